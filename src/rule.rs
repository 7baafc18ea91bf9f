//! A learning rule is a value: a sequence of phases and how the estimate is read off their equilibria.
//!
//! ```text
//! estimate of −∂𝓛/∂W_l  =  1/B · Σ_k c_k h_l(k),      h_l(k) = d_lᵀ s_{l−1} at the end of phase k
//!
//! pc-nudge      free → nudged λ       c = (0, 1/λ)         Eq. 25: error O(λ)
//! pc-clamped    free → clamped        c = (0, 1/Π_L)       clamping a quadratic output is the nudge λ = Π_L
//! ```
//!
//! The free phase of predictive coding has no errors, so its Hebbian product is zero and its coefficient may be (Eq. 21).
//! `backprop` is not a sequence of phases but the baseline, and is run by `crate::reference`.

use serde::{Deserialize, Serialize};

use crate::network::NetworkSpec;
use crate::signal::{Motion, Origin};

/// Rules with a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleName {
    /// Predictive coding, nudged output, read-out divided by λ (this paper, Eq. 25).
    #[default]
    PcNudge,
    /// Predictive coding, clamped output (Whittington & Bogacz 2017).
    PcClamped,
    /// Plain backpropagation: the baseline.
    Backprop,
}

/// How the free equilibrium of predictive coding is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FreePhase {
    /// One forward wave, which is the equilibrium.
    #[default]
    Forward,
    /// Relaxation from zero states, to show that it is.
    Relax,
}

/// One phase of a plan, and its weight in the read-out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlannedPhase {
    /// How the states move.
    pub motion: Motion,
    /// `c_k`; zero: this phase is not read.
    pub coefficient: f64,
}

/// The phases of one training step, in order; the first is free.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// In the order in which they run.
    pub phases: Vec<PlannedPhase>,
}

impl Plan {
    /// The plan of a named rule for a network; `None` for backpropagation, which has no phases.
    pub fn named(rule: RuleName, network: &NetworkSpec, nudge: f64, free: FreePhase) -> Option<Self> {
        let strength = match rule {
            RuleName::PcNudge => nudge,
            RuleName::PcClamped => network.precision(network.depth()),
            RuleName::Backprop => return None,
        };
        let free = match free {
            FreePhase::Forward => Motion::Forward,
            FreePhase::Relax => Motion::Relax { nudge: 0.0, from: Origin::Zero },
        };
        let nudged = Motion::Relax { nudge: strength, from: Origin::Here };
        Some(Self {
            phases: vec![
                PlannedPhase { motion: free, coefficient: 0.0 },
                PlannedPhase { motion: nudged, coefficient: 1.0 / strength },
            ],
        })
    }
}
