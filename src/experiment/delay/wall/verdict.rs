//! What a measurement on the wall clock is held to. Delays can be late, by as much as the machine likes; none may be early.

use super::{WallRow, WallWave};
use crate::experiment::delay::AT_REST;

/// What is wrong with a measurement, worst first.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Something was faster than the links allow.
    Early(String),
    /// An onset is not within the tolerance of its prediction.
    Beyond(String),
    /// A layer was still moving at the end.
    Restless(usize),
}

/// Smallest and largest ratio of measured to predicted onset; `None` if there is none.
pub fn ratios(rows: &[WallRow]) -> Option<(f64, f64)> {
    let ratios: Vec<f64> = rows.iter().filter_map(|row| row.ratio).collect();
    let least = ratios.iter().copied().reduce(f64::min)?;
    Some((least, ratios.into_iter().fold(least, f64::max)))
}

/// Everything that is wrong; `within`: the largest |ratio − 1| that every layer may have.
pub fn faults(wave: &WallWave, within: Option<f64>) -> Vec<Fault> {
    let mut faults: Vec<Fault> = wave.rows.iter().filter_map(early).map(Fault::Early).collect();
    if let Some((all, early)) = wave.arrows.filter(|(_, early)| *early > 0) {
        faults.push(Fault::Early(format!(
            "{early} of {all} signals were heard sooner after they were said than their link allows"
        )));
    }
    if let Some(within) = within {
        faults.extend(wave.rows.iter().filter_map(|row| beyond(row, within)).map(Fault::Beyond));
    }
    let moving = wave.rows.iter().filter(|row| row.residual > AT_REST * row.displacement).count();
    if moving > 0 {
        faults.push(Fault::Restless(moving));
    }
    faults
}

fn early(row: &WallRow) -> Option<String> {
    let first = row.arrival.or(row.onset)?;
    let &WallRow { ref name, least, clock_error, .. } = row;
    (first + clock_error + 1e-6 < least)
        .then(|| format!("layer {name} moved {first:.3} ms after the switch, and the links alone take {least:.3} ms"))
}

fn beyond(row: &WallRow, within: f64) -> Option<String> {
    let name = &row.name;
    match row.ratio {
        Some(ratio) if (ratio - 1.0).abs() <= within => None,
        Some(ratio) => {
            let (onset, predicted) = (row.onset.unwrap_or(f64::NAN), row.predicted_onset.unwrap_or(f64::NAN));
            Some(format!(
                "layer {name}: onset at {onset:.3} ms, {ratio:.3} times the {predicted:.3} ms of virtual time"
            ))
        }
        None => Some(format!(
            "layer {name}: no onset to compare, measured {:?}, predicted {:?}",
            row.onset, row.predicted_onset
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::delay::watch::Seen;
    use crate::experiment::delay::{Direction, Wave};

    fn wave(onset: f64, arrows_too_early: usize) -> WallWave {
        let row = WallRow {
            direction: Direction::Down,
            layer: 3,
            group: 0,
            node: 3,
            name: "3".to_owned(),
            worker: 0,
            hops: 1,
            least: 5.0,
            clock_error: 0.25,
            arrival: None,
            predicted_arrival: None,
            onset: Some(onset),
            predicted_onset: Some(6.0),
            ratio: Some(onset / 6.0),
            rise10: None,
            rise50: None,
            predicted_rise50: None,
            rise90: None,
            settling: None,
            predicted_settling: None,
            overshoot: None,
            displacement: 1.0,
            residual: 0.0,
        };
        let (direction, seen) = (Direction::Down, Seen::default());
        let wave = Wave {
            direction,
            switch: String::new(),
            rows: Vec::new(),
            names: Vec::new(),
            length: 9.0,
            unit: "ms",
            seen,
        };
        WallWave { wave, rows: vec![row], homes: vec![0], offsets: Vec::new(), arrows: Some((10, arrows_too_early)) }
    }

    #[test]
    fn a_ratio_within_the_tolerance_is_fine_and_one_beyond_it_is_not() {
        assert_eq!(faults(&wave(7.1, 0), Some(0.2)), []);
        assert!(matches!(faults(&wave(7.3, 0), Some(0.2))[..], [Fault::Beyond(_)]));
        assert_eq!(faults(&wave(70.0, 0), None), [], "who does not ask is only told");
        let mut unknown = wave(6.0, 0);
        unknown.rows[0].ratio = None;
        assert!(matches!(faults(&unknown, Some(0.2))[..], [Fault::Beyond(_)]), "what can't be compared is not within");
        assert_eq!(ratios(&wave(7.5, 0).rows), Some((1.25, 1.25)));
    }

    #[test]
    fn what_is_early_by_more_than_the_clocks_may_be_off_is_caught() {
        assert_eq!(faults(&wave(4.8, 0), None), []);
        assert!(matches!(faults(&wave(4.7, 0), None)[..], [Fault::Early(_)]));
        assert!(matches!(faults(&wave(6.0, 1), None)[..], [Fault::Early(_)]));
    }

    #[test]
    fn a_layer_that_moves_has_no_final_displacement() {
        let mut moving = wave(6.0, 0);
        moving.rows[0].residual = 0.1;
        assert_eq!(faults(&moving, None), [Fault::Restless(1)]);
    }
}
