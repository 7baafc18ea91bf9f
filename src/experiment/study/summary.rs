//! Trials of several seeds become a line of a figure, a table and a sentence: median and quartiles.
//!
//! ```text
//! quantile q of n sorted numbers: linear between the numbers at ⌊(n − 1) q⌋ and the next      (Hyndman & Fan 1996, type 7)
//! ```

use std::collections::BTreeSet;

use serde::Serialize;

use super::trial::{Curve, Row};
use crate::plot::{Series, Style};

/// Three quantiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Quartiles {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

impl Quartiles {
    /// Of these numbers; `None` of none.
    pub(super) fn of(mut numbers: Vec<f64>) -> Option<Self> {
        numbers.sort_by(f64::total_cmp);
        let last = numbers.len().checked_sub(1)?;
        let quantile = |share: f64| {
            let at = share * last as f64;
            let below = numbers[at.floor() as usize];
            below + (numbers[at.ceil() as usize] - below) * at.fract()
        };
        Some(Self { low: quantile(0.25), median: quantile(0.5), high: quantile(0.75) })
    }
}

/// A curve at one value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) value: f64,
    /// Of the seeds that have the number.
    pub(super) quartiles: Option<Quartiles>,
    /// Seeds that have none.
    pub(super) missing: usize,
}

/// A curve that is left out, or has holes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeftOut {
    /// Which curve.
    pub curve: String,
    /// Trials without a number.
    pub trials: usize,
    /// Of how many.
    pub of: usize,
    /// What the program says.
    pub reason: String,
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { curve, trials, of, reason } = self;
        if trials == of {
            write!(f, "{curve} is left out: {reason}")
        } else {
            write!(f, "{curve} lacks {trials} of {of} trials: {reason}")
        }
    }
}

/// What is drawn of the rows of one curve.
pub(super) fn points(rows: &[Row], curve: &Curve, number: fn(&Row) -> Option<f64>) -> Vec<Point> {
    let own = || rows.iter().filter(|row| row.curve == curve.name);
    let at = |&value: &f64| {
        let found: Vec<Option<f64>> = own().filter(|row| row.value == value).map(number).collect();
        let numbers: Vec<f64> = found.iter().flatten().copied().collect();
        Point { value, missing: found.len() - numbers.len(), quartiles: Quartiles::of(numbers) }
    };
    curve.values.iter().map(at).collect()
}

/// A line with the quartiles as its band. A logarithmic axis has no place for what is not positive: such points stay in the table.
pub(super) fn series(name: &str, points: &[Point], log: (bool, bool)) -> Series {
    let shown = |value: f64, log: bool| !log || value > 0.0;
    let drawn: Vec<(f64, Quartiles)> = points
        .iter()
        .filter_map(|point| Some((point.value, point.quartiles?)))
        .filter(|(value, quartiles)| shown(*value, log.0) && shown(quartiles.median, log.1))
        .collect();
    Series {
        name: name.to_owned(),
        points: drawn.iter().map(|(value, quartiles)| (*value, quartiles.median)).collect(),
        band: drawn.iter().map(|(_, quartiles)| (quartiles.low, quartiles.high)).collect(),
        style: Style::Marked,
        place: None,
    }
}

/// Curves with trials that gave no number, and the first sentence that says why.
pub(super) fn left_out(rows: &[Row], curves: &[Curve]) -> Vec<LeftOut> {
    let of = |curve: &Curve| {
        let own: Vec<&Row> = rows.iter().filter(|row| row.curve == curve.name).collect();
        let problems: Vec<&str> = own.iter().filter_map(|row| row.problem.as_deref()).collect();
        let reasons: BTreeSet<&str> = problems.iter().copied().collect();
        (!problems.is_empty()).then(|| LeftOut {
            curve: curve.name.clone(),
            trials: problems.len(),
            of: own.len(),
            reason: reasons.into_iter().collect::<Vec<_>>().join("; "),
        })
    };
    curves.iter().filter_map(of).collect()
}

/// A Markdown table: a row per value, a column per curve.
pub(super) fn markdown(label: &str, curves: &[(&str, Vec<Point>)]) -> String {
    let mut text = format!("| {label} |");
    curves.iter().for_each(|(name, _)| text.push_str(&format!(" {name} |")));
    text.push_str(&format!("\n|---|{}\n", "---|".repeat(curves.len())));
    let mut values: Vec<f64> = Vec::new();
    for point in curves.iter().flat_map(|(_, points)| points) {
        if !values.contains(&point.value) {
            values.push(point.value);
        }
    }
    for value in values {
        text.push_str(&format!("| {} |", plain(value)));
        for (_, points) in curves {
            let quartiles = points.iter().find(|point| point.value == value).and_then(|point| point.quartiles);
            let cell = quartiles.map_or("–".to_owned(), |Quartiles { low, median, high }| {
                format!("{} ({} … {})", plain(median), plain(low), plain(high))
            });
            text.push_str(&format!(" {cell} |"));
        }
        text.push('\n');
    }
    text
}

/// Five digits behind the point, or an exponent where they would say nothing.
pub(super) fn plain(number: f64) -> String {
    match number.abs() {
        size if size == 0.0 || (1e-3..1e4).contains(&size) => {
            format!("{number:.5}").trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{number:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_those_of_the_textbook() {
        let found = Quartiles::of(vec![4.0, 1.0, 3.0, 2.0, 5.0]).expect("numbers");
        assert_eq!((found.low, found.median, found.high), (2.0, 3.0, 4.0));
        let found = Quartiles::of(vec![1.0, 2.0]).expect("numbers");
        assert_eq!((found.low, found.median, found.high), (1.25, 1.5, 1.75));
        assert_eq!(Quartiles::of(Vec::new()), None);
    }

    #[test]
    fn numbers_are_written_as_a_person_would() {
        let written = [0.0, 1.0, 0.25, 12.5, 1e-6, 0.99912, 20000.0].map(plain);
        assert_eq!(written, ["0", "1", "0.25", "12.5", "1.0e-6", "0.99912", "2.0e4"]);
    }
}
