//! What `asynapse delay` leaves of a run on the wall clock: as in virtual time, with the prediction beside it.
//!
//! ```text
//! delay.csv        one row per wave and layer, measured and predicted         delay-WAVE.*                     time over hops
//! delay.json       the same, with the clocks and everything that was asked     heat-WAVE.*, errors-WAVE.*       over layer and time
//! trace.json       the event timeline of all processes on one clock
//! ```

use serde::Serialize;

use super::super::files::{json, origin, source};
use super::super::trace::{self, Source, Summary, WALL};
use super::super::{DelayError, Direction, Request, Rest, heat};
use super::verdict::ratios;
use super::{ClockOffset, WallRow, WallWave};
use crate::config::Config;
use crate::plot::{Axis, Figure, Series, Style};
use crate::run::table::write_table;
use crate::run::{RunDirectory, RunError};

/// What was asked and what was found.
#[derive(Serialize)]
pub struct Written<'a> {
    /// Of all times.
    pub unit: &'static str,
    /// Milliseconds per unit of model time; 0: nothing was imposed, and nothing is predicted.
    pub time_unit_ms: f64,
    /// Share of the final displacement that counts as onset.
    pub threshold: f64,
    /// What the layers rested on.
    pub rest: Rest,
    /// One row per wave and layer, or group.
    pub rows: Vec<&'a WallRow>,
    /// Of every wave.
    pub waves: Vec<Summed<'a>>,
    /// How clocks were compared.
    pub clocks: &'static str,
    /// What the timeline holds.
    pub trace: Summary,
    /// Network, clocks and links.
    pub config: &'a Config,
}

/// One wave in a few numbers.
#[derive(Serialize)]
pub struct Summed<'a> {
    /// `down` or `up`.
    pub direction: Direction,
    /// What was done at t = 0.
    pub switch: &'a str,
    /// Smallest and largest ratio of measured to predicted onset.
    pub ratios: Option<(f64, f64)>,
    /// Clocks of the processes, if there are several.
    pub offsets: &'a [ClockOffset],
    /// Signals that were heard; none between groups, which are not followed signal by signal.
    pub arrows: Option<usize>,
    /// Of these, sooner than their links allow.
    pub arrows_too_early: Option<usize>,
}

const CLOCKS: &str = "each process reads the monotonic clock of its own machine, in nanoseconds; offsets are estimated from \
                      the fastest of 100 pings before and after the wave, and are off by no more than half a round trip. Processes of \
                      one machine read one clock: there the true offset is 0.";

/// Writes everything; returns what `delay.json` holds.
///
/// # Errors
/// A file that could not be written, a figure that could not be drawn.
pub fn write<'a>(request: &'a Request, waves: &'a [WallWave], run: &RunDirectory) -> Result<Written<'a>, DelayError> {
    let folder = run.path();
    let rows: Vec<&WallRow> = waves.iter().flat_map(|wave| &wave.rows).collect();
    write_table(&run.file("delay.csv"), &rows)?;
    for wave in waves {
        over_hops(wave, request.threshold)
            .map(|figure| figure.write(folder, &format!("delay-{}", wave.wave.direction.name())))
            .transpose()?;
        heat::write(&wave.wave, folder)?;
    }
    let sources: Vec<Source<'_>> =
        waves.iter().map(|wave| Source { homes: wave.homes.clone(), ..source(&wave.wave) }).collect();
    let (timeline, trace) = trace::timeline(&sources, &WALL);
    json(&run.file("trace.json"), &timeline)?;
    let summed = |wave: &'a WallWave| Summed {
        direction: wave.wave.direction,
        switch: &wave.wave.switch,
        ratios: ratios(&wave.rows),
        offsets: &wave.offsets,
        arrows: wave.arrows.map(|(heard, _)| heard),
        arrows_too_early: wave.arrows.map(|(_, early)| early),
    };
    let written = Written {
        unit: "milliseconds of wall clock",
        time_unit_ms: request.config.schedule.time_unit_ms,
        threshold: request.threshold,
        rest: request.rest,
        rows,
        waves: waves.iter().map(summed).collect(),
        clocks: CLOCKS,
        trace,
        config: &request.config,
    };
    let pretty = serde_json::to_value(&written).map_err(|error| RunError::content(folder, error.to_string()))?;
    json(&run.file("delay.json"), &pretty)?;
    Ok(written)
}

/// Time over hops, with the prediction of virtual time beside it; `None` if nothing ever moved.
fn over_hops(wave: &WallWave, threshold: f64) -> Option<Figure> {
    let line = |name: &str, style: Style, value: &dyn Fn(&WallRow) -> Option<f64>| {
        let points = wave.rows.iter().filter_map(|row| Some((row.hops as f64, value(row)?))).collect::<Vec<_>>();
        (!points.is_empty()).then(|| Series::new(name, points, style))
    };
    let share = threshold * 100.0;
    let series = [
        line("first change, measured", Style::Points, &|row| row.arrival),
        line("first change, virtual time", Style::Dashed, &|row| row.predicted_arrival),
        line(&format!("onset ({share} % of final), measured"), Style::Marked, &|row| row.onset),
        line("onset, virtual time", Style::Dashed, &|row| row.predicted_onset),
        line("half of final, measured", Style::Marked, &|row| row.rise50),
        line("half of final, virtual time", Style::Dashed, &|row| row.predicted_rise50),
        line("the links alone", Style::Dashed, &|row| (row.least > 0.0).then_some(row.least)),
    ];
    let series: Vec<Series> = series.into_iter().flatten().collect();
    let direction = wave.wave.direction;
    let title = format!("Wave {} on the wall clock: {}", direction.name(), wave.wave.switch);
    let x = Axis::linear(format!("hops from {}", origin(direction)));
    (!series.is_empty()).then(|| Figure { title, x, y: Axis::linear("time after the switch (ms)"), series })
}
