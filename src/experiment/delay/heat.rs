//! Heat maps of a wave: how far every layer is displaced, and how large its prediction error is, over layer and time.
//!
//! ```text
//! heat-WAVE      log₁₀ ‖x_l − x̄_l‖₂         errors-WAVE      log₁₀ ‖x_l − f(a_l)‖₂        both over units and batch
//! ```

use std::path::Path;

use super::{Row, Wave};
use crate::plot::{Heatmap, PlotError};

/// Columns of a heat map.
const COLUMNS: usize = 48;
/// A heat map shows numbers down to this share of the largest at least.
const FAINTEST: f64 = 1e-15;

/// Writes both; what never was, or does not exist in this energy, is left out.
pub(super) fn write(wave: &Wave, folder: &Path) -> Result<(), PlotError> {
    let name = wave.direction.name();
    let displacements = |row: &Row| wave.seen.tracks[row.node].trajectory.as_slice();
    let errors = |row: &Row| wave.seen.tracks[row.node].errors.as_slice();
    let maps = [
        ("heat", heat(wave, &displacements, ("log10 of the displacement from rest", "displacement"))),
        ("errors", heat(wave, &errors, ("log10 of the prediction error", "error norm"))),
    ];
    for (stem, map) in maps {
        map.map(|map| map.write(folder, &format!("{stem}-{name}"))).transpose()?;
    }
    Ok(())
}

/// Numbers over layer and time; `None` if all of them are zero.
fn heat<'a>(
    wave: &'a Wave,
    samples: &dyn Fn(&Row) -> &'a [(f64, f64)],
    (title, label): (&str, &str),
) -> Option<Heatmap> {
    let largest = wave.rows.iter().flat_map(samples).map(|sample| sample.1).fold(0.0, f64::max);
    // The foot of the wave and what follows it; how it settles is in the table.
    let latest = wave.rows.iter().filter_map(|row| row.arrival.or(row.onset)).fold(0.0, f64::max);
    if largest == 0.0 || latest == 0.0 || !largest.is_finite() {
        return None;
    }
    let end = (2.0 * latest).min(wave.length);
    let times: Vec<f64> = (1..=COLUMNS).map(|column| end * column as f64 / COLUMNS as f64).collect();
    let first_above_zero = |row: &Row| samples(row).iter().map(|sample| sample.1).find(|&number| number > 0.0);
    // A layer where nothing has happened has the darkest colour, one decade below the first where something has.
    let first = wave.rows.iter().filter_map(first_above_zero).fold(largest, f64::min);
    let floor = (0.1 * first).max(FAINTEST * largest).max(f64::MIN_POSITIVE);
    let row = |row: &Row| {
        let samples = samples(row);
        let at = |time: &f64| {
            let steps = samples.partition_point(|sample| sample.0 <= *time);
            // What it was before its first step is not known where it did not begin at zero; it is drawn as after it.
            samples.get(steps.saturating_sub(1)).map_or(0.0, |sample| sample.1).max(floor)
        };
        times.iter().map(at).collect()
    };
    let digits = if end < 100.0 { 2 } else { 1 };
    // Layer 1 at the bottom, whichever way the wave ran.
    let mut rows: Vec<&Row> = wave.rows.iter().collect();
    rows.sort_by_key(|row| row.node);
    Some(Heatmap {
        title: format!("Wave {}: {title}; {}", wave.direction.name(), wave.switch),
        x: (
            format!("time after the switch ({})", wave.unit),
            times.iter().map(|time| format!("{time:.digits$}")).collect(),
        ),
        y: ("layer".to_owned(), rows.iter().map(|row| row.name(wave).to_owned()).collect()),
        values: rows.into_iter().map(row).collect(),
        label: label.to_owned(),
        log: true,
    })
}
