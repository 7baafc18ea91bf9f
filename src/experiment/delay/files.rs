//! What `asynapse delay` leaves in its folder: the table, the figures with the CSV that drew them, and the timeline.
//!
//! ```text
//! delay.csv            one row per wave, layer and group                 delay-WAVE.*      time over hops
//! delay.json           the same, with everything that was asked   heat-WAVE.*       log₁₀ ‖x − x̄‖ over layer and time
//!                                                                errors-WAVE.*     log₁₀ ‖x − f(a)‖, in predictive coding
//! depth.csv            the farthest layer of every depth          depth-WAVE-time.*, depth-WAVE-displacement.*
//! trace.json           the event timeline, for Perfetto
//! ```

use std::path::Path;

use serde::Serialize;

use super::depth::{Fit, Sweep};
use super::trace::{self, Source, Summary, VIRTUAL};
use super::{DelayError, Direction, Request, Rest, Row, Wave, heat};
use crate::config::Config;
use crate::plot::{Axis, Figure, PlotError, Series, Style};
use crate::run::atomic::write_atomic;
use crate::run::table::write_table;
use crate::run::{RunDirectory, RunError};

/// What was asked and what was found, as it is written and printed.
#[derive(Serialize)]
pub struct Written<'a> {
    /// Of all times.
    pub unit: &'static str,
    /// Share of the final displacement that counts as onset.
    pub threshold: f64,
    /// What the layers rested on.
    pub rest: Rest,
    /// One row per wave and layer.
    pub rows: Vec<&'a Row>,
    /// One per wave, if depths were asked for.
    pub depths: &'a [Sweep],
    /// What the timeline holds.
    pub trace: Summary,
    /// Network, clocks and links.
    pub config: &'a Config,
}

/// Writes everything; returns what `delay.json` holds.
///
/// # Errors
/// A file that could not be written, a figure that could not be drawn.
pub fn write<'a>(
    request: &'a Request,
    waves: &'a [Wave],
    sweeps: &'a [Sweep],
    run: &RunDirectory,
) -> Result<Written<'a>, DelayError> {
    let folder = run.path();
    let rows: Vec<&Row> = waves.iter().flat_map(|wave| &wave.rows).collect();
    write_table(&run.file("delay.csv"), &rows)?;
    for wave in waves {
        over_hops(wave, request.threshold)
            .map(|figure| figure.write(folder, &format!("delay-{}", wave.direction.name())))
            .transpose()?;
        heat::write(wave, folder)?;
    }
    if !sweeps.is_empty() {
        let far: Vec<FarRow<'_>> =
            sweeps.iter().flat_map(|sweep| sweep.far.iter().map(|far| FarRow::of(far.depth, &far.row))).collect();
        write_table(&run.file("depth.csv"), &far)?;
        sweeps.iter().try_for_each(|sweep| over_depth(sweep, folder))?;
    }
    let sources: Vec<Source<'_>> = waves.iter().map(source).collect();
    let (timeline, trace) = trace::timeline(&sources, &VIRTUAL);
    json(&run.file("trace.json"), &timeline)?;
    let written = Written {
        unit: "units of model time, one nominal period each",
        threshold: request.threshold,
        rest: request.rest,
        rows,
        depths: sweeps,
        trace,
        config: &request.config,
    };
    let pretty = serde_json::to_value(&written).map_err(|error| RunError::content(folder, error.to_string()))?;
    json(&run.file("delay.json"), &pretty)?;
    Ok(written)
}

pub(super) fn json(path: &Path, value: &serde_json::Value) -> Result<(), RunError> {
    let bytes = serde_json::to_vec(value).map_err(|error| RunError::content(path, error.to_string()))?;
    write_atomic(path, &bytes)
}

/// A row of `depth.csv`: tables of flattened structs are no columns.
#[derive(Serialize)]
struct FarRow<'a> {
    depth: usize,
    direction: Direction,
    layer: usize,
    hops: usize,
    arrival: Option<f64>,
    closed_form: Option<f64>,
    synchronous: Option<f64>,
    onset: Option<f64>,
    rise50: Option<f64>,
    settling: Option<f64>,
    displacement: &'a f64,
}

impl<'a> FarRow<'a> {
    fn of(depth: usize, row: &'a Row) -> Self {
        let &Row { direction, layer, hops, arrival, closed_form, synchronous, onset, rise50, settling, .. } = row;
        let displacement = &row.displacement;
        Self { depth, direction, layer, hops, arrival, closed_form, synchronous, onset, rise50, settling, displacement }
    }
}

pub(super) fn source(wave: &Wave) -> Source<'_> {
    let arrivals = wave.rows.iter().filter_map(|row| Some((row.node, row.arrival?))).collect();
    let name = format!("wave {}", wave.direction.name());
    Source {
        name,
        switch: wave.switch.clone(),
        length: wave.length,
        seen: &wave.seen,
        arrivals,
        names: wave.names.clone(),
        homes: Vec::new(),
    }
}

pub(super) fn origin(direction: Direction) -> &'static str {
    match direction {
        Direction::Down => "the output",
        Direction::Up => "the input",
    }
}

/// Time over hops; `None` if nothing ever moved.
fn over_hops(wave: &Wave, threshold: f64) -> Option<Figure> {
    let line = |name: &str, style: Style, value: &dyn Fn(&Row) -> Option<f64>| {
        let points = wave.rows.iter().filter_map(|row| Some((row.hops as f64, value(row)?))).collect::<Vec<_>>();
        (!points.is_empty()).then(|| Series::new(name, points, style))
    };
    let series = [
        line("first change, measured", Style::Points, &|row| row.arrival),
        line("first change, closed form", Style::Dashed, &|row| row.closed_form),
        line("synchronous bound (no delay)", Style::Dashed, &|row| row.synchronous),
        line(&format!("onset ({} % of final)", threshold * 100.0), Style::Marked, &|row| row.onset),
        line("half of final", Style::Marked, &|row| row.rise50),
    ];
    let series: Vec<Series> = series.into_iter().flatten().collect();
    let title = format!("Wave {}: {}", wave.direction.name(), wave.switch);
    let x = Axis::linear(format!("hops from {}", origin(wave.direction)));
    (!series.is_empty()).then(|| Figure { title, x, y: Axis::linear("time after the switch (model time)"), series })
}

/// The two figures of a sweep.
fn over_depth(sweep: &Sweep, folder: &Path) -> Result<(), PlotError> {
    let name = sweep.direction.name();
    let points = |value: &dyn Fn(&Row) -> Option<f64>| {
        sweep.far.iter().filter_map(|far| Some((far.row.hops as f64, value(&far.row)?))).collect::<Vec<_>>()
    };
    let x = Axis::linear(format!("hops from {} to the farthest hidden layer", origin(sweep.direction)));
    let slope = |fit: Option<Fit>| fit.map_or(String::new(), |fit| format!(", {:.4} per hop", fit.slope));
    let times = [
        Series::new(format!("first change{}", slope(sweep.arrival)), points(&|row| row.arrival), Style::Points),
        Series::new(format!("closed form{}", slope(sweep.closed_form)), points(&|row| row.closed_form), Style::Dashed),
        Series::new("synchronous bound (no delay)", points(&|row| row.synchronous), Style::Dashed),
        Series::new(format!("onset{}", slope(sweep.onset)), points(&|row| row.onset), Style::Marked),
    ];
    let series: Vec<Series> = times.into_iter().filter(|series| !series.points.is_empty()).collect();
    if !series.is_empty() {
        let title = format!("Wave {name}: delay grows with depth");
        let figure = Figure { title, x: x.clone(), y: Axis::linear("time after the switch (model time)"), series };
        figure.write(folder, &format!("depth-{name}-time"))?;
    }
    let left = points(&|row| (row.displacement > 0.0).then_some(row.displacement));
    if left.is_empty() {
        return Ok(());
    }
    let fit = sweep.log_displacement;
    let factor = fit.map_or(String::new(), |fit| format!(", a factor {:.4} per hop", fit.slope.exp()));
    let mut series = vec![Series::new(format!("final displacement{factor}"), left.clone(), Style::Marked)];
    if let Some(fit) = fit {
        let line = left.iter().map(|&(hops, _)| (hops, (fit.intercept + fit.slope * hops).exp())).collect();
        series.push(Series::new("least squares", line, Style::Dashed));
    }
    let title = format!("Wave {name}: what is left of it at the farthest hidden layer");
    let figure = Figure { title, x, y: Axis::log("displacement from rest"), series };
    figure.write(folder, &format!("depth-{name}-displacement")).map(drop)
}
