//! Figures fit for a paper: a few plain types in, an SVG, a PNG and the CSV that drew them out, beside each other.
//!
//! [`Figure`] has lines with bands on linear or logarithmic axes; [`Heatmap`] has cells. The drawing itself is the library
//! `kuva`'s, and `draw.rs` is the only file that names it. Colours are Okabe and Ito's, which people with any colour vision can
//! tell apart, and every series has its own marker or dash, so that a grey copy can be read too. A number that can't be drawn where
//! it was asked for is an error, never left out. The library's font, DejaVu Sans, has Greek and most signs, but no script letters: 𝓛 would
//! come out as a box.
//!
//! Next: `draw.rs`, then `crate::experiment::reproduce`, which uses it.

mod draw;
mod heatmap;

pub use heatmap::Heatmap;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::run::RunError;
use crate::run::atomic::write_atomic;
use crate::run::table::write_table;

/// One axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Name, with the unit if there is one.
    pub label: String,
    /// Logarithmic; all numbers on it have to be positive.
    pub log: bool,
}

impl Axis {
    /// A linear axis.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), log: false }
    }

    /// A logarithmic axis.
    pub fn log(label: impl Into<String>) -> Self {
        Self { label: label.into(), log: true }
    }
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// A line through all points.
    #[default]
    Line,
    /// A dashed line.
    Dashed,
    /// A line with a marker at every point: for few points.
    Marked,
    /// Markers alone.
    Points,
}

/// Points with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What the legend says.
    pub name: String,
    /// `(x, y)` in the order in which they are joined.
    pub points: Vec<(f64, f64)>,
    /// `(low, high)` at every point, mean ± standard deviation unless the figure says otherwise; empty: no band. Where a
    /// logarithmic axis can't show the low end, the band is cut at the axis.
    pub band: Vec<(f64, f64)>,
    /// How it is drawn.
    pub style: Style,
    /// Its colour and marker are those of the series in this place; by default its own. So that a name keeps its colour where others
    /// are left out.
    pub place: Option<usize>,
}

impl Series {
    /// A series without a band.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>, style: Style) -> Self {
        Self { name: name.into(), points, band: Vec::new(), style, place: None }
    }

    /// Mean and standard deviation of several `y` at every `x`.
    pub fn banded(name: impl Into<String>, spread: &[(f64, Spread)], style: Style) -> Self {
        let points = spread.iter().map(|(x, spread)| (*x, spread.mean)).collect();
        let band = spread.iter().map(|(_, Spread { mean, deviation })| (mean - deviation, mean + deviation)).collect();
        Self { name: name.into(), points, band, style, place: None }
    }
}

/// Mean and sample standard deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation, with n − 1; zero for a single number.
    pub deviation: f64,
}

impl Spread {
    /// Of these numbers.
    pub fn of(numbers: &[f64]) -> Self {
        let count = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
        Self { mean, deviation: if numbers.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 } }
    }
}

/// Lines on two axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Above the axes.
    pub title: String,
    /// Across.
    pub x: Axis,
    /// Up.
    pub y: Axis,
    /// Drawn in this order, coloured in this order.
    pub series: Vec<Series>,
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// A number that no axis can show.
    #[error("{figure}: {series} has the point ({x}, {y}), which can't be drawn on {axes} axes")]
    Point {
        /// Title of the figure.
        figure: String,
        /// Name of the series.
        series: String,
        /// Where it is.
        x: f64,
        /// How high it is.
        y: f64,
        /// `linear` or `logarithmic`.
        axes: &'static str,
    },
    /// Nothing to draw, or parts that do not belong together.
    #[error("{figure}: {problem}")]
    Shape {
        /// Title of the figure.
        figure: String,
        /// What does not fit.
        problem: String,
    },
    /// The library could not draw it.
    #[error("{figure}: {problem}")]
    Drawing {
        /// Title of the figure.
        figure: String,
        /// What it said.
        problem: String,
    },
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] RunError),
}

/// One row of the CSV of a figure.
#[derive(Serialize)]
struct Row<'a> {
    series: &'a str,
    x: f64,
    y: f64,
    low: Option<f64>,
    high: Option<f64>,
}

impl Figure {
    /// Writes `STEM.svg`, `STEM.png` and `STEM.csv` (one row per point: series, x, y, low, high) into a folder.
    pub fn write(&self, folder: &Path, stem: &str) -> Result<Vec<PathBuf>, PlotError> {
        self.check()?;
        let drawn = draw::figure(self)?;
        let mut rows = Vec::new();
        for series in &self.series {
            for (index, &(x, y)) in series.points.iter().enumerate() {
                let (low, high) = series.band.get(index).copied().unzip();
                rows.push(Row { series: &series.name, x, y, low, high });
            }
        }
        write_all(folder, stem, &drawn, rows)
    }

    /// Every number can be shown, and bands have a pair per point.
    fn check(&self) -> Result<(), PlotError> {
        let shape = |problem: String| PlotError::Shape { figure: self.title.clone(), problem };
        if self.series.iter().all(|series| series.points.is_empty()) {
            return Err(shape("there is nothing to draw".to_owned()));
        }
        for series in &self.series {
            if !series.band.is_empty() && series.band.len() != series.points.len() {
                let (band, points) = (series.band.len(), series.points.len());
                return Err(shape(format!("{} has a band of {band} pairs for {points} points", series.name)));
            }
            let fits = |value: f64, axis: &Axis| value.is_finite() && (!axis.log || value > 0.0);
            let band_fits = series.band.iter().all(|(low, high)| low.is_finite() && high.is_finite());
            let bad = series.points.iter().find(|(x, y)| !fits(*x, &self.x) || !fits(*y, &self.y) || !band_fits);
            if let Some(&(x, y)) = bad {
                let axes = if self.x.log || self.y.log { "logarithmic" } else { "linear" };
                let (figure, series) = (self.title.clone(), series.name.clone());
                return Err(PlotError::Point { figure, series, x, y, axes });
            }
        }
        Ok(())
    }
}

/// What the library made of a figure.
struct Drawn {
    svg: String,
    png: Vec<u8>,
}

/// Writes a figure and the rows that drew it.
fn write_all<R: Serialize>(
    folder: &Path,
    stem: &str,
    drawn: &Drawn,
    rows: impl IntoIterator<Item = R>,
) -> Result<Vec<PathBuf>, PlotError> {
    let [svg, png, csv] = ["svg", "png", "csv"].map(|ending| folder.join(format!("{stem}.{ending}")));
    write_atomic(&svg, drawn.svg.as_bytes())?;
    write_atomic(&png, &drawn.png)?;
    write_table(&csv, rows)?;
    Ok(vec![svg, png, csv])
}

#[cfg(test)]
mod tests;
