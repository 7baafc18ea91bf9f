//! Rules in deviation variables: the same phases, simulated in units of λ, so that nothing is divided by it.
//!
//! ```text
//! h_l(k) = λ_k · d_l x_{l−1}ᵀ,  d in units of λ_k          so the coefficient of phase k is  c_k λ_k
//!
//! one-sided    free → λ             c = (0, 1)               λ = 0: the linearised network, exact backpropagation
//! negative     free → −λ            c = (0, 1)
//! symmetric    free → λ → −λ        c = (0, ½, ½)
//! richardson   free → λ → λ/2       c = (0, −1, 2)
//! clamped      free → Π_L           c = (0, 1)
//! ```
//!
//! The equations are in `crate::energy::deviation`.

use serde::{Deserialize, Serialize};

use super::{FreePhase, Nudging, Plan, PlanError, PlannedPhase, RuleName};
use crate::energy::EnergyKind;
use crate::network::{FeedbackKind, NetworkSpec};
use crate::signal::Motion;

/// What is simulated in the taught phases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variables {
    /// The states `x`.
    #[default]
    State,
    /// `u = (x − x̄)/λ`, the distance to the free equilibrium in units of λ.
    Deviation,
}

impl Plan {
    /// The plan of a named rule in deviation variables; `None` for backpropagation. Unlike [`Plan::named`], λ may be zero.
    pub fn in_deviations(
        rule: RuleName,
        network: &NetworkSpec,
        nudge: f64,
        nudging: Nudging,
        free: FreePhase,
    ) -> Result<Option<Self>, PlanError> {
        let refuse = |what: &str| Err(PlanError(what.to_owned()));
        if rule == RuleName::Backprop {
            return Ok(None);
        }
        if network.energy() != EnergyKind::PredictiveCoding {
            return refuse(
                "deviation variables measure errors from a free equilibrium at which all of them are zero; only predictive coding \
                 has that",
            );
        }
        if network.feedback() != FeedbackKind::Tied {
            return refuse(
                "in deviation variables errors come down through the weights themselves; set model.feedback = \"tied\"",
            );
        }
        if (1..network.depth()).any(|layer| network.unit_precision::<f64>(layer).is_some()) {
            return refuse(
                "deviation variables know one precision per layer, and one that is given; precisions of single units and learned ones need \
                 inference.variables = \"state\"",
            );
        }
        if free != FreePhase::Forward {
            return refuse(
                "deviation variables need free errors that are exactly zero, which only the forward wave has; set \
                 inference.free_phase = \"forward\"",
            );
        }
        if rule == RuleName::FirstStep {
            return refuse(
                "first-step divides by no nudge and is exact already; deviation variables would change nothing",
            );
        }
        let clamps = matches!(rule, RuleName::PcClamped | RuleName::Chl);
        if nudge == 0.0 && nudging != Nudging::OneSided && !clamps {
            return refuse("at λ = 0 there is one linearised network and no sides to it; use the one-sided nudge");
        }
        let taught: Vec<(f64, f64)> = match nudging {
            _ if clamps => vec![(network.precision(network.depth()), 1.0)],
            Nudging::OneSided => vec![(nudge, 1.0)],
            Nudging::Negative => vec![(-nudge, 1.0)],
            Nudging::Symmetric => vec![(nudge, 0.5), (-nudge, 0.5)],
            Nudging::Richardson => vec![(nudge, -1.0), (0.5 * nudge, 2.0)],
        };
        let mut phases = vec![PlannedPhase::read(Motion::Forward, 0.0)];
        phases.extend(taught.into_iter().map(|(nudge, c)| PlannedPhase::read(Motion::Deviate { nudge }, c)));
        Ok(Some(Self { phases, gain: 1.0 }))
    }
}
