//! The only file that knows the plotting library `kuva`: our types become its types, pictures come back.
//!
//! A logarithmic axis of the library begins at 1e-10, so numbers on one are first multiplied by a power of ten and the labels of its
//! ticks divided by it again. Axes end a little outside of the data, not at whole decades, so that no marker is cut.

use std::sync::Arc;

use kuva::TickFormat;
use kuva::backend::png::PngBackend;
use kuva::backend::svg::SvgBackend;
use kuva::plot::legend::LegendPosition;
use kuva::plot::scatter::MarkerShape;
use kuva::plot::{Heatmap as Cells, LinePlot, LineStyle, ScatterPlot};
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;
use kuva::render::render::render_multiple;

use super::heatmap::Heatmap;
use super::{Axis, Drawn, Figure, PlotError, Series, Style};

/// Okabe & Ito (2008), the yellow left out: on white it is too pale for a line.
const COLOURS: [&str; 7] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"];
/// Pixels of a dash and of the gap behind it.
const DASH: (f64, f64) = (9.0, 5.0);
const SIZE: (f64, f64) = (820.0, 480.0);
/// Pixels per unit of the drawing: 300 dots per inch at the width of a text column of 5.5 inches.
const SCALE: f32 = 2.0;

/// An axis as the library sees it: the power of ten that the numbers are multiplied with, and where it ends.
struct Scaled {
    factor: f64,
    low: f64,
    high: f64,
    log: bool,
}

impl Scaled {
    fn of(axis: &Axis, numbers: impl Iterator<Item = f64> + Clone) -> Self {
        let lowest = numbers.clone().fold(f64::INFINITY, f64::min);
        let highest = numbers.fold(f64::NEG_INFINITY, f64::max);
        if !axis.log {
            let span = if highest > lowest { highest - lowest } else { 1.0_f64.max(highest.abs()) };
            // Zero is worth showing where it is near, and no axis begins below it without a reason.
            let low = if lowest >= 0.0 && lowest < 0.3 * span { 0.0 } else { lowest - 0.04 * span };
            return Self { factor: 1.0, low, high: highest + 0.04 * span, log: false };
        }
        let factor = 10.0_f64.powi(-(lowest.log10().floor() as i32));
        let room = (highest / lowest).powf(0.05).max(1.25);
        Self { factor, low: factor * lowest / room, high: factor * highest * room, log: true }
    }

    fn at(&self, number: f64) -> f64 {
        (self.factor * number).clamp(self.low, self.high)
    }

    /// Pixels, roughly, from the beginning of an axis of this length.
    fn pixels(&self, at: f64, length: f64) -> f64 {
        let share = if self.log {
            (at / self.low).ln() / (self.high / self.low).ln()
        } else {
            (at - self.low) / (self.high - self.low)
        };
        share * length
    }
}

/// 0.002, 1, 50 or 10⁻⁷.
fn label(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let exponent = number.abs().log10();
    if (-3.01..4.0).contains(&exponent) {
        // Rounding away what the arithmetic of ticks left behind.
        return format!("{}", format!("{number:.6}").parse::<f64>().unwrap_or(number));
    }
    let power = (exponent + 1e-9).floor();
    let digits: String = format!("{power}")
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            digit => "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit.to_digit(10).unwrap_or(0) as usize).unwrap_or('?'),
        })
        .collect();
    let factor = (number / 10.0_f64.powf(power) * 100.0).round() / 100.0;
    if factor == 1.0 { format!("10{digits}") } else { format!("{factor}·10{digits}") }
}

fn ticks(scaled: &Scaled) -> TickFormat {
    let factor = scaled.factor;
    TickFormat::Custom(Arc::new(move |tick| label(tick / factor)))
}

/// SVG and PNG of lines.
pub(super) fn figure(figure: &Figure) -> Result<Drawn, PlotError> {
    let points = || figure.series.iter().flat_map(|series| &series.points);
    // A band that a logarithmic axis can't hold does not stretch it.
    let bands = figure.series.iter().flat_map(|series| &series.band).flat_map(|&(low, high)| [low, high]);
    let lowest = points().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let bands = bands.filter(move |&edge| !figure.y.log || edge > 0.2 * lowest);
    let x = Scaled::of(&figure.x, points().map(|point| point.0));
    let y = Scaled::of(&figure.y, points().map(|point| point.1).chain(bands));
    let plots: Vec<Plot> = figure
        .series
        .iter()
        .enumerate()
        .flat_map(|(index, series)| drawn(series.place.unwrap_or(index), series, &x, &y))
        .collect();
    let layout = Layout::auto_from_plots(&plots)
        .with_title(&figure.title)
        .with_x_label(&figure.x.label)
        .with_y_label(&figure.y.label)
        .with_title_size(15)
        .with_width(SIZE.0)
        .with_height(SIZE.1)
        .with_legend_position(LegendPosition::OutsideRightTop)
        .with_legend_box(false)
        .with_x_axis_min(x.low)
        .with_x_axis_max(x.high)
        .with_y_axis_min(y.low)
        .with_y_axis_max(y.high)
        .with_x_tick_format(ticks(&x))
        .with_y_tick_format(ticks(&y));
    let layout = if figure.x.log { layout.with_log_x() } else { layout };
    let layout = if figure.y.log { layout.with_log_y() } else { layout };
    render(&figure.title, plots, layout)
}

/// A line with its band, and markers.
fn drawn(index: usize, series: &Series, x: &Scaled, y: &Scaled) -> Vec<Plot> {
    let colour = COLOURS[index % COLOURS.len()];
    let points: Vec<(f64, f64)> = series.points.iter().map(|&(px, py)| (x.at(px), y.at(py))).collect();
    let mut plots = Vec::new();
    let line = |points: &[(f64, f64)]| LinePlot::new().with_data(points.iter().copied()).with_color(colour);
    if series.style != Style::Points {
        let mut whole = line(&points);
        if !series.band.is_empty() {
            let edge = |of: fn(&(f64, f64)) -> f64| series.band.iter().map(of).map(|v| y.at(v)).collect::<Vec<_>>();
            whole = whole.with_band(edge(|band| band.0), edge(|band| band.1));
        }
        let is_marked = series.style == Style::Marked;
        if series.style == Style::Dashed || index >= COLOURS.len() {
            // The library begins its dashes anew at every point, so that dense lines come out solid: these are our own.
            plots.extend(dashes(&points, x, y).iter().map(|dash| Plot::Line(line(dash))));
            whole = whole.with_stroke_width(0.0);
            if !is_marked {
                let name = line(&points[..1]).with_line_style(LineStyle::Custom("8 4".to_owned()));
                plots.push(Plot::Line(name.with_legend(&series.name)));
            }
        } else if !is_marked {
            whole = whole.with_legend(&series.name);
        }
        plots.push(Plot::Line(whole));
    }
    if matches!(series.style, Style::Marked | Style::Points) {
        let shapes = [
            MarkerShape::Circle,
            MarkerShape::Square,
            MarkerShape::Triangle,
            MarkerShape::Diamond,
            MarkerShape::TriangleDown,
            MarkerShape::Plus,
            MarkerShape::Cross,
        ];
        // From the eighth series on colours come again, with other markers and dashed lines.
        let marker = shapes[(index + index / COLOURS.len()) % shapes.len()];
        let dots = ScatterPlot::new().with_data(points).with_color(colour).with_size(4.0).with_marker(marker);
        plots.push(Plot::Scatter(dots.with_legend(&series.name)));
    }
    plots
}

/// The pieces of a line that are drawn when it is dashed.
fn dashes(points: &[(f64, f64)], x: &Scaled, y: &Scaled) -> Vec<Vec<(f64, f64)>> {
    let (mut pieces, mut piece, mut walked) = (Vec::new(), Vec::new(), 0.0_f64);
    for pair in points.windows(2) {
        let [a, b] = [pair[0], pair[1]].map(|(px, py)| (x.pixels(px, 0.7 * SIZE.0), y.pixels(py, 0.8 * SIZE.1)));
        let length = (b.0 - a.0).hypot(b.1 - a.1);
        let between = |share: f64, axis: &Scaled, a: f64, b: f64| {
            if axis.log { a * (b / a).powf(share) } else { a + share * (b - a) }
        };
        let mut along = 0.0;
        loop {
            let phase = walked % (DASH.0 + DASH.1);
            let is_drawn = phase < DASH.0;
            let left = if is_drawn { DASH.0 } else { DASH.0 + DASH.1 } - phase;
            let share = |along: f64| if length > 0.0 { along / length } else { 1.0 };
            let at = |along: f64| {
                (between(share(along), x, pair[0].0, pair[1].0), between(share(along), y, pair[0].1, pair[1].1))
            };
            let step = left.min(length - along).max(1e-6);
            if is_drawn {
                if piece.is_empty() {
                    piece.push(at(along));
                }
                piece.push(at((along + step).min(length)));
            }
            (walked, along) = (walked + step, along + step);
            if is_drawn && step >= left - 1e-9 {
                pieces.push(std::mem::take(&mut piece));
            }
            if along >= length {
                break;
            }
        }
    }
    pieces.extend((piece.len() > 1).then_some(piece));
    pieces
}

/// SVG and PNG of cells.
/// Names beside each other in so many pixels: where all of them have no room, every second or third is left blank.
fn thinned(names: &[String], room: f64, pixels: impl Fn(&String) -> f64) -> Vec<String> {
    let widest = names.iter().map(pixels).fold(0.0, f64::max);
    let every = ((names.len() as f64 * widest / room).ceil() as usize).max(1);
    names.iter().enumerate().map(|(i, name)| if i % every == 0 { name.clone() } else { String::new() }).collect()
}

pub(super) fn heatmap(map: &Heatmap, cells: Vec<Vec<f64>>) -> Result<Drawn, PlotError> {
    let name = if map.log { format!("log₁₀ {}", map.label) } else { map.label.clone() };
    let plots = vec![Plot::Heatmap(Cells::new().with_data(cells).with_legend(name))];
    let layout = Layout::auto_from_plots(&plots)
        .with_title(&map.title)
        .with_title_size(15)
        .with_width(SIZE.0)
        .with_height(SIZE.1)
        .with_x_label(&map.x.0)
        .with_y_label(&map.y.0)
        .with_x_categories(thinned(&map.x.1, 0.8 * SIZE.0, |name| 8.0 * (name.chars().count() + 1) as f64))
        .with_y_categories(thinned(&map.y.1, 0.8 * SIZE.1, |_| 14.0));
    render(&map.title, plots, layout)
}

fn render(title: &str, plots: Vec<Plot>, layout: Layout) -> Result<Drawn, PlotError> {
    let scene = render_multiple(plots, layout);
    let failed = |problem| PlotError::Drawing { figure: title.to_owned(), problem };
    let png = PngBackend::new().with_scale(SCALE).render_scene(&scene).map_err(failed)?;
    Ok(Drawn { svg: SvgBackend::new().render_scene(&scene), png })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_what_a_person_would_write() {
        let labels = [0.001, 0.05, 0.1 + 0.2, 1.0, 50.0, 1e-7, 2e-5, 1e6].map(label);
        assert_eq!(labels, ["0.001", "0.05", "0.3", "1", "50", "10⁻⁷", "2·10⁻⁵", "10⁶"]);
    }

    #[test]
    fn names_that_have_no_room_beside_each_other_are_thinned() {
        let names: Vec<String> = (0..40).map(|i| i.to_string()).collect();
        assert_eq!(thinned(&names, 400.0, |_| 10.0), names, "they just fit");
        let shown: Vec<String> = thinned(&names, 300.0, |_| 10.0).into_iter().filter(|name| !name.is_empty()).collect();
        assert_eq!(shown, (0..20).map(|i| (2 * i).to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn dashes_cover_their_share_of_a_line_and_stay_on_it() {
        let points: Vec<(f64, f64)> = (0..=100).map(|i| (f64::from(i), 2.0 * f64::from(i))).collect();
        let axis = |high| Scaled { factor: 1.0, low: 0.0, high, log: false };
        let pieces = dashes(&points, &axis(100.0), &axis(200.0));
        assert!(pieces.len() > 20 && pieces.iter().flatten().all(|(x, y)| (y - 2.0 * x).abs() < 1e-9));
        let covered: f64 = pieces.iter().map(|piece| piece[piece.len() - 1].0 - piece[0].0).sum();
        assert!((covered / 100.0 - DASH.0 / (DASH.0 + DASH.1)).abs() < 0.02, "{covered} of 100");
    }

    #[test]
    fn a_logarithmic_axis_reaches_below_what_the_library_can_show() {
        let scaled = Scaled::of(&Axis::log("x"), [3e-15, 1e-3].into_iter());
        assert!(scaled.low > 1e-10 && scaled.low < scaled.at(3e-15) && scaled.at(1e-3) < scaled.high);
        assert_eq!(label(scaled.at(1e-3) / scaled.factor), "0.001");
    }
}
