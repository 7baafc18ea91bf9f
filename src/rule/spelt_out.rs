//! A rule without a name: phases in words, and how the estimate is read off them.
//!
//! ```text
//! phase     "forward" | "free" | "nudged" | "nudged C" | "clamped",  then optionally "from here" | "from zero" | "from free"
//!           nudged C: with C·λ;  from free: where the first phase ended;  a free phase begins at zero unless it says otherwise
//!
//! read-out  difference      (h_K − h_{K−1}) / (λ_K − λ_{K−1})      of the last two phases; λ = 0 when free, Π_L when clamped
//!           last            h_K / λ_K
//!           first-arrival   h_K / λ_K, each layer by itself when the first error reaches it
//!           coefficients    Σ_k c_k h_k
//! ```
//!
//! `free, nudged` read as `difference` is Eq. 9 for any energy; `free, nudged, nudged -1 from free` is the symmetric nudge. A clamped
//! output of a Hopfield or rate network has no λ: its difference is taken against a free phase, undivided (Eq. 6).

use serde::{Deserialize, Serialize};

use super::{Plan, PlanError, PlannedPhase};
use crate::energy::EnergyKind;
use crate::network::NetworkSpec;
use crate::signal::{Motion, Origin, Reading, Teaching};

/// How an estimate is read off the phases that were spelt out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadOut {
    /// Difference quotient of the last two phases.
    #[default]
    Difference,
    /// The last phase alone, divided by its λ.
    Last,
    /// The last phase, by every layer at the first arrival of an error.
    FirstArrival,
    /// A sum with coefficients that are given.
    Coefficients,
}

/// What a phase does, in words; see the head of this file.
fn parse(text: &str, first: bool, nudge: f64) -> Result<Motion, PlanError> {
    let refuse = |why: &str| {
        Err(PlanError(format!(
            "phase {text:?} {why}; a phase is `forward`, `free`, `nudged`, `nudged C` (C times the nudge) or `clamped`, and then \
             optionally `from here`, `from zero` or `from free`"
        )))
    };
    let mut words = text.split_whitespace().peekable();
    let Some(what) = words.next() else { return refuse("is empty") };
    let teaching = match what {
        "forward" | "free" => Teaching::Free,
        "clamped" => Teaching::Clamped,
        "nudged" => {
            let factor = match words.peek().map(|word| word.parse::<f64>()) {
                Some(Ok(factor)) if factor.is_finite() && factor != 0.0 => {
                    words.next();
                    factor
                }
                Some(Ok(_)) => return refuse("nudges by nothing"),
                _ => 1.0,
            };
            Teaching::Nudged(factor * nudge)
        }
        _ => return refuse("is not known"),
    };
    let from = match (words.next(), words.next(), words.next()) {
        (None, ..) if first => Origin::Zero,
        (None, ..) => Origin::Here,
        (Some("from"), Some("here"), None) => Origin::Here,
        (Some("from"), Some("zero"), None) => Origin::Zero,
        (Some("from"), Some("free"), None) if !first => Origin::Remembered,
        (Some("from"), Some("free"), None) => return refuse("is the first, so nothing has ended before it"),
        _ => return refuse("does not end there"),
    };
    Ok(match what {
        "forward" if text.trim() != "forward" => return refuse("has no beginning: one wave sets every state"),
        "forward" => Motion::Forward,
        _ => Motion::Relax { teaching, from },
    })
}

/// λ of a phase; `None` for the clamped output of a network whose output has a state.
fn nudge_of(motion: Motion, network: &NetworkSpec) -> Option<f64> {
    match motion {
        Motion::Forward | Motion::Relax { teaching: Teaching::Free, .. } => Some(0.0),
        Motion::Relax { teaching: Teaching::Nudged(nudge), .. } | Motion::Deviate { nudge } => Some(nudge),
        Motion::Relax { teaching: Teaching::Clamped, .. } => {
            let coding = network.energy() == EnergyKind::PredictiveCoding;
            coding.then(|| network.precision(network.depth()))
        }
    }
}

impl Plan {
    /// The plan of phases in words; `coefficients` belong to the read-out of that name.
    pub fn spelt_out(
        network: &NetworkSpec,
        phases: &[String],
        read_out: ReadOut,
        coefficients: &[f64],
        nudge: f64,
    ) -> Result<Self, PlanError> {
        let motions = phases.iter().enumerate().map(|(index, text)| parse(text, index == 0, nudge));
        let motions = motions.collect::<Result<Vec<Motion>, PlanError>>()?;
        check(network, &motions, phases)?;
        let mut planned: Vec<PlannedPhase> = motions.iter().map(|&motion| PlannedPhase::read(motion, 0.0)).collect();
        planned[0].remember =
            motions.iter().any(|motion| matches!(motion, Motion::Relax { from: Origin::Remembered, .. }));
        let nudges: Vec<Option<f64>> = motions.iter().map(|&motion| nudge_of(motion, network)).collect();
        read(&mut planned, &nudges, read_out, coefficients)?;
        if read_out == ReadOut::FirstArrival {
            can_be_read_at_arrival(network, &motions)?;
        }
        let gain = if network.energy() == EnergyKind::Rate { network.feedback_gain() } else { 1.0 };
        Ok(Self { phases: planned, gain })
    }
}

/// What no read-out could make sense of.
fn check(network: &NetworkSpec, motions: &[Motion], phases: &[String]) -> Result<(), PlanError> {
    let refuse = |what: String| Err(PlanError(what));
    let Some(first) = motions.first() else { return refuse("learning.phases is empty".to_owned()) };
    if nudge_of(*first, network) != Some(0.0) {
        return refuse(format!(
            "the first phase is {:?}, but what a network predicts is read off a free phase",
            phases[0]
        ));
    }
    let forward = motions.iter().position(|motion| *motion == Motion::Forward);
    match forward {
        Some(_) if network.energy() != EnergyKind::PredictiveCoding => {
            refuse("a forward wave is the free equilibrium of predictive coding only; write `free`".to_owned())
        }
        Some(at) if at > 0 => refuse("`forward` can only be the first phase: no error comes down in it".to_owned()),
        _ => Ok(()),
    }
}

fn read(
    planned: &mut [PlannedPhase],
    nudges: &[Option<f64>],
    read_out: ReadOut,
    coefficients: &[f64],
) -> Result<(), PlanError> {
    let refuse = |what: &str| Err(PlanError(what.to_owned()));
    let last = planned.len() - 1;
    match read_out {
        ReadOut::Difference => {
            let Some(before) = last.checked_sub(1) else { return refuse("a difference needs two phases") };
            let apart = match (nudges[before], nudges[last]) {
                (Some(before), Some(last)) => last - before,
                // Eq. 6: clamped minus free.
                (Some(0.0), None) => 1.0,
                _ => return refuse("a clamped output has no nudge here; its difference is taken against a free phase"),
            };
            if apart == 0.0 {
                return refuse("the last two phases have the same nudge: their difference says nothing about the loss");
            }
            planned[before].coefficient = -1.0 / apart;
            planned[last].coefficient = 1.0 / apart;
        }
        ReadOut::Last | ReadOut::FirstArrival => match nudges[last] {
            Some(nudge) if nudge != 0.0 => {
                let scale = 1.0 / nudge;
                match read_out {
                    ReadOut::Last => planned[last].coefficient = scale,
                    _ => planned[last].reading = Reading::FirstArrival(scale),
                }
            }
            Some(_) => return refuse("the last phase is free: nothing in it knows the target"),
            None => return refuse("a clamped output has no nudge here to divide by; read the difference"),
        },
        ReadOut::Coefficients => {
            if coefficients.len() != planned.len() {
                let (have, want) = (coefficients.len(), planned.len());
                return Err(PlanError(format!("learning.coefficients has {have} numbers for {want} phases")));
            }
            if coefficients.iter().all(|&c| c == 0.0) {
                return refuse("learning.coefficients are all zero: nothing would be learnt");
            }
            planned.iter_mut().zip(coefficients).for_each(|(phase, &c)| phase.coefficient = c);
        }
    }
    // Every error of a forward wave is zero (Eq. 20), and none is sent down in it that could be read.
    if planned[0].motion == Motion::Forward {
        planned[0].coefficient = 0.0;
    }
    if planned.iter().all(|phase| phase.coefficient == 0.0 && phase.reading == Reading::AtEnd) {
        return refuse("only the forward wave is read, in which every error is zero");
    }
    Ok(())
}

/// The first error that arrives is the adjoint only if no error was there before it.
fn can_be_read_at_arrival(network: &NetworkSpec, motions: &[Motion]) -> Result<(), PlanError> {
    let refuse = |what: &str| Err(PlanError(what.to_owned()));
    if network.energy() != EnergyKind::PredictiveCoding {
        return refuse(
            "a first arrival needs a free equilibrium at which every error is zero; the descending signal of this energy is the \
             state, which is never silent",
        );
    }
    if motions.len() != 2 || motions[0] != Motion::Forward {
        return refuse(
            "a first arrival needs two phases, of which the first is `forward`: only then is every error zero",
        );
    }
    if !matches!(motions[1], Motion::Relax { from: Origin::Here, .. }) {
        return refuse("a phase read at the first arrival begins where the forward wave ended");
    }
    if !network.hidden_precisions_are_one() {
        return refuse("a first arrival is the gradient for unit precisions of the hidden layers only");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::{Activation, Loss};
    use crate::rule::{FreePhase, Nudging, RuleName};

    fn network(energy: EnergyKind) -> NetworkSpec {
        let network = NetworkSpec::new(&[3, 4, 2], Activation::Sigmoid, Loss::SquaredError).expect("a network");
        network.with_energy(energy).expect("an energy")
    }

    fn spelt(energy: EnergyKind, phases: &[&str], read_out: ReadOut, coefficients: &[f64]) -> Result<Plan, String> {
        let phases: Vec<String> = phases.iter().map(|&phase| phase.to_owned()).collect();
        Plan::spelt_out(&network(energy), &phases, read_out, coefficients, 0.1).map_err(|error| error.to_string())
    }

    #[test]
    fn the_named_rules_can_be_spelt_out() {
        use EnergyKind::{Hopfield, PredictiveCoding};
        let named = |energy, rule, nudging, free| {
            Plan::named(rule, &network(energy), 0.1, nudging, free).expect("a plan").expect("phases")
        };
        let cases = [
            (PredictiveCoding, vec!["forward", "nudged"], ReadOut::Last, RuleName::PcNudge, Nudging::OneSided),
            (PredictiveCoding, vec!["forward", "clamped"], ReadOut::Last, RuleName::PcClamped, Nudging::OneSided),
            (
                PredictiveCoding,
                vec!["forward", "clamped"],
                ReadOut::FirstArrival,
                RuleName::FirstStep,
                Nudging::OneSided,
            ),
            (Hopfield, vec!["free", "nudged"], ReadOut::Difference, RuleName::Ep, Nudging::OneSided),
            (Hopfield, vec!["free", "nudged -1"], ReadOut::Difference, RuleName::Ep, Nudging::Negative),
            (Hopfield, vec!["free", "clamped"], ReadOut::Difference, RuleName::Chl, Nudging::OneSided),
            (
                Hopfield,
                vec!["free", "nudged", "nudged -1 from free"],
                ReadOut::Difference,
                RuleName::Ep,
                Nudging::Symmetric,
            ),
        ];
        for (energy, phases, read_out, rule, nudging) in cases {
            let free = if energy == PredictiveCoding { FreePhase::Forward } else { FreePhase::Relax };
            let plan = spelt(energy, &phases, read_out, &[]).expect("a plan");
            let other = named(energy, rule, nudging, free);
            assert_eq!(plan.phases.len(), other.phases.len(), "{phases:?}");
            for (one, other) in plan.phases.iter().zip(&other.phases) {
                assert_eq!(
                    (one.motion, one.reading, one.remember),
                    (other.motion, other.reading, other.remember),
                    "{phases:?}"
                );
                assert!((one.coefficient - other.coefficient).abs() < 1e-12, "{phases:?}: {one:?} {other:?}");
            }
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused_with_the_reason() {
        use EnergyKind::{Hopfield, PredictiveCoding};
        let refused: [(_, &[&str], _, &[f64], &str); 14] = [
            (Hopfield, &["free", "nudged"], ReadOut::FirstArrival, &[], "never silent"),
            (Hopfield, &["forward", "nudged"], ReadOut::Difference, &[], "write `free`"),
            (Hopfield, &["nudged", "free"], ReadOut::Difference, &[], "read off a free phase"),
            (Hopfield, &["free", "nudged", "clamped"], ReadOut::Difference, &[], "against a free phase"),
            (Hopfield, &["free", "clamped"], ReadOut::Last, &[], "read the difference"),
            (PredictiveCoding, &["forward", "free"], ReadOut::Last, &[], "knows the target"),
            (PredictiveCoding, &["free", "free"], ReadOut::Difference, &[], "same nudge"),
            (PredictiveCoding, &["free", "nudged"], ReadOut::FirstArrival, &[], "`forward`"),
            (PredictiveCoding, &["free", "forward"], ReadOut::Difference, &[], "only be the first"),
            (PredictiveCoding, &["forward", "nudged"], ReadOut::Coefficients, &[1.0], "1 numbers for 2 phases"),
            (PredictiveCoding, &["forward", "nudged"], ReadOut::Coefficients, &[1.0, 0.0], "only the forward wave"),
            (PredictiveCoding, &["forward", "pushed"], ReadOut::Last, &[], "\"pushed\" is not known"),
            (PredictiveCoding, &["forward", "nudged 0"], ReadOut::Last, &[], "nudges by nothing"),
            (PredictiveCoding, &[], ReadOut::Last, &[], "is empty"),
        ];
        for (energy, phases, read_out, coefficients, reason) in refused {
            let error = spelt(energy, phases, read_out, coefficients).expect_err("no meaning");
            assert!(error.contains(reason), "{phases:?}: {error}");
        }
    }
}
