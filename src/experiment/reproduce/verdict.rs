//! One sentence of the paper against one measurement.

use std::fmt;

use serde::Serialize;

use crate::plot::Spread;

/// What somebody says, what was measured, and whether the two agree by the criterion of the panel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The panel, as its files are called.
    pub panel: &'static str,
    /// Who says it: `the paper` or `theory` (numbers of another program).
    pub who: &'static str,
    /// What is said.
    pub says: String,
    /// What was measured.
    pub measured: String,
    /// Whether the criterion holds.
    pub agrees: bool,
}

impl Verdict {
    /// Of the paper.
    pub fn paper(panel: &'static str, says: impl Into<String>, measured: impl Into<String>, agrees: bool) -> Self {
        Self { panel, who: "the paper", says: says.into(), measured: measured.into(), agrees }
    }

    /// Of theory.
    pub fn theory(panel: &'static str, says: impl Into<String>, measured: impl Into<String>, agrees: bool) -> Self {
        Self { panel, who: "theory", says: says.into(), measured: measured.into(), agrees }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { panel, who, says, measured, agrees } = self;
        let outcome = if *agrees { "agrees" } else { "does not agree" };
        write!(f, "{panel}: {who} says {says} / measured {measured} / {outcome}")
    }
}

/// True if an expected number lies within two standard deviations of what was measured. A number that is not finite lies nowhere,
/// and without a deviation (a single seed) there is nothing to measure by.
pub fn within(measured: Spread, expected: f64) -> bool {
    measured.deviation > 0.0 && (measured.mean - expected).abs() <= 2.0 * measured.deviation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_numbers_do_not_agree() {
        let measured = Spread { mean: 1.0, deviation: 0.1 };
        assert!(within(measured, 1.19) && within(measured, 0.81));
        assert!(!within(measured, 1.21) && !within(measured, f64::NAN));
        assert!(!within(Spread { mean: f64::NAN, deviation: 0.1 }, 1.0));
        assert!(!within(Spread { mean: 1.0, deviation: 0.0 }, 1.0), "one seed says nothing of a spread");
        let line = Verdict::paper("fig3a", "1", "2", within(measured, 2.0)).to_string();
        assert_eq!(line, "fig3a: the paper says 1 / measured 2 / does not agree");
        let line = Verdict::theory("fig3a", "1", "1", within(measured, 1.0)).to_string();
        assert_eq!(line, "fig3a: theory says 1 / measured 1 / agrees");
    }
}
