//! A learning rule is a value: a sequence of phases and how the estimate is read off their equilibria.
//!
//! ```text
//! estimate of −∂𝓛/∂W_l  =  1/B · γ^{l−L} · Σ_k c_k h_l(k),      h_l(k) = d_lᵀ s_{l−1} at the end of phase k
//!
//! one-sided    free → λ              c = (−1/λ, 1/λ)             error O(λ)      Eq. 9, 25
//! negative     free → −λ             c = (1/λ, −1/λ)             error O(λ)
//! symmetric    free → λ → −λ         c = (0, 1/2λ, −1/2λ)        error O(λ²)     Laborieux et al. 2021
//! richardson   free → λ → λ/2        c = (−3/λ, −1/λ, 4/λ)       error O(λ²)     2 ĝ(λ/2) − ĝ(λ)
//! clamped      free → clamped        c = (−1, 1), 1/Π_L          contrastive     Eq. 6
//! continual    free → β, weights move at every step by η/β (h(t+1) − h(t)) (Ernoult et al. 2020)
//! first step   free → λ, read at the first arrival of an error, η_x = 1:  exact backpropagation (Song et al. 2020)
//! ```
//!
//! The free phase of predictive coding has no errors, so its Hebbian product is zero and its coefficient may be (Eq. 21). γ is one but
//! for rate networks with weak feedback (Xie & Seung 2003). The second nudged phase begins where the free phase ended.
//! `backprop` is not a sequence of phases but the baseline, and is run by `crate::reference`. What has no name is put together from
//! words in [`spelt_out`]; [`Variables`] are the same rules in units of λ.

mod deviation;
pub mod spelt_out;

pub use deviation::Variables;

use serde::{Deserialize, Serialize};

use crate::energy::EnergyKind;
use crate::math::optimizer::{OptimizerKind, OptimizerSpec};
use crate::math::{Field, Real};
use crate::network::NetworkSpec;
use crate::signal::{Motion, Origin, Reading, Teaching};

/// Rules with a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleName {
    /// Predictive coding, nudged output, read-out divided by λ (this paper, Eq. 25).
    #[default]
    PcNudge,
    /// Predictive coding, clamped output (Whittington & Bogacz 2017).
    PcClamped,
    /// Predictive coding, read at the first arrival of an error: exact backpropagation (Song et al. 2020).
    FirstStep,
    /// Equilibrium propagation (Scellier & Bengio 2017).
    Ep,
    /// Contrastive Hebbian learning (Movellan 1991; with a rate network and weak feedback, Xie & Seung 2003).
    Chl,
    /// Phases and read-out as spelt out ([`spelt_out`]).
    SpeltOut,
    /// Plain backpropagation: the baseline.
    Backprop,
}

/// On which sides of the free equilibrium a nudge is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nudging {
    /// `+λ` against the free phase.
    #[default]
    OneSided,
    /// `−λ` against the free phase.
    Negative,
    /// `+λ` against `−λ`.
    Symmetric,
    /// `λ` and `λ/2`, extrapolated to zero.
    Richardson,
}

/// When the weights move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateTime {
    /// Once, after the last phase.
    #[default]
    AtEnd,
    /// At every inference step of the nudged phase.
    Continual,
}

/// How the free equilibrium is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FreePhase {
    /// Predictive coding: one forward wave, which is the equilibrium.
    #[default]
    Forward,
    /// Relaxation from zero states.
    Relax,
    /// Relaxation from where the last batch's free phase ended.
    Persistent,
}

/// One phase of a plan, and its weight in the read-out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlannedPhase {
    /// How the states move.
    pub motion: Motion,
    /// `c_k`; zero: this phase is not read at its end.
    pub coefficient: f64,
    /// When it is read.
    pub reading: Reading,
    /// Its end is where a later phase begins.
    pub remember: bool,
}

/// The phases of one training step, in order; the first is free.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// In the order in which they run.
    pub phases: Vec<PlannedPhase>,
    /// γ of the read-out.
    pub gain: f64,
}

/// Why a rule and an energy have no meaning together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(String);

impl PlannedPhase {
    /// A phase that is read at its end.
    pub fn read(motion: Motion, coefficient: f64) -> Self {
        Self { motion, coefficient, reading: Reading::AtEnd, remember: false }
    }
}

impl Plan {
    /// The plan of a named rule for a network; `None` for backpropagation, which has no phases. A rule that is spelt out has its own
    /// way in, [`Plan::spelt_out`].
    pub fn named(
        rule: RuleName,
        network: &NetworkSpec,
        nudge: f64,
        nudging: Nudging,
        free: FreePhase,
    ) -> Result<Option<Self>, PlanError> {
        let coding = network.energy() == EnergyKind::PredictiveCoding;
        let refuse = |what: &str| Err(PlanError(what.to_owned()));
        match rule {
            RuleName::Backprop => return Ok(None),
            RuleName::SpeltOut => return refuse("a rule that is spelt out has no name to plan by"),
            RuleName::PcNudge | RuleName::PcClamped if !coding => {
                return refuse("the pc- rules are rules of predictive coding; use ep or chl with this energy");
            }
            RuleName::FirstStep if !coding => {
                return refuse(
                    "first-step needs a free equilibrium at which every error is zero, so that the first error that arrives is \
                     the adjoint; only predictive coding has that",
                );
            }
            RuleName::FirstStep if !network.hidden_precisions_are_one() => {
                return refuse("first-step is exact for unit precisions of the hidden layers only");
            }
            _ => {}
        }
        if free == FreePhase::Forward && !coding {
            return refuse(
                "a forward wave is the free equilibrium of predictive coding only; set inference.free_phase = \"relax\"",
            );
        }
        let start = match free {
            FreePhase::Forward => Motion::Forward,
            FreePhase::Relax => Motion::Relax { teaching: Teaching::Free, from: Origin::Zero },
            FreePhase::Persistent => Motion::Relax { teaching: Teaching::Free, from: Origin::Here },
        };
        let output = network.precision(network.depth());
        let taught = |teaching, from| Motion::Relax { teaching, from };
        let at_free = |coefficient: f64| if coding { 0.0 } else { coefficient };
        let nudged =
            |lambda: f64, from, coefficient| PlannedPhase::read(taught(Teaching::Nudged(lambda), from), coefficient);
        let phases = match rule {
            RuleName::FirstStep => {
                let reading = Reading::FirstArrival(1.0 / output);
                let teaching = taught(Teaching::Clamped, Origin::Here);
                vec![PlannedPhase::read(start, 0.0), PlannedPhase { reading, ..PlannedPhase::read(teaching, 0.0) }]
            }
            RuleName::PcClamped | RuleName::Chl => {
                let scale = 1.0 / output;
                let clamped = PlannedPhase::read(taught(Teaching::Clamped, Origin::Here), scale);
                vec![PlannedPhase::read(start, at_free(-scale)), clamped]
            }
            _ => match nudging {
                Nudging::OneSided => {
                    vec![PlannedPhase::read(start, at_free(-1.0 / nudge)), nudged(nudge, Origin::Here, 1.0 / nudge)]
                }
                Nudging::Negative => {
                    vec![PlannedPhase::read(start, at_free(1.0 / nudge)), nudged(-nudge, Origin::Here, -1.0 / nudge)]
                }
                Nudging::Symmetric => vec![
                    PlannedPhase { remember: true, ..PlannedPhase::read(start, 0.0) },
                    nudged(nudge, Origin::Here, 0.5 / nudge),
                    nudged(-nudge, Origin::Remembered, -0.5 / nudge),
                ],
                Nudging::Richardson => vec![
                    PlannedPhase { remember: true, ..PlannedPhase::read(start, at_free(-3.0 / nudge)) },
                    nudged(nudge, Origin::Here, -1.0 / nudge),
                    nudged(0.5 * nudge, Origin::Remembered, 4.0 / nudge),
                ],
            },
        };
        let gain = if network.energy() == EnergyKind::Rate { network.feedback_gain() } else { 1.0 };
        Ok(Some(Self { phases, gain }))
    }

    /// The same plan with weights that move during the nudged phase (C-EP, Ernoult et al. 2020). The steps telescope: without the
    /// motion of the weights their sum is the estimate of equilibrium propagation, with it they differ by O(η). No product of the free
    /// phase has to be kept, only that of the step before.
    pub fn continually(
        mut self,
        rule: RuleName,
        network: &NetworkSpec,
        optimizer: &OptimizerSpec,
    ) -> Result<Self, PlanError> {
        let refuse = |what: &str| Err(PlanError(what.to_owned()));
        if rule != RuleName::Ep || network.energy() != EnergyKind::Hopfield {
            return refuse(
                "continual updates are those of equilibrium propagation: rule ep with the energy hopfield (predictive coding has no \
                 free-phase product that they would save)",
            );
        }
        if optimizer.kind != OptimizerKind::Sgd || optimizer.weight_decay != 0.0 {
            return refuse(
                "continual updates telescope only if they are added as they are; set learning.optimizer = \"sgd\" and \
                 learning.weight_decay = 0",
            );
        }
        let [free, nudged] = &mut self.phases[..] else {
            return refuse("continual updates need one nudged phase; set learning.nudging to one-sided or negative");
        };
        free.coefficient = 0.0;
        nudged.reading = Reading::Continual(nudged.coefficient);
        Ok(self)
    }

    /// Refuses targets that a clamped output can't have: a Hopfield or rate output is put on the target, which therefore has to lie
    /// in the range of its activation, bounds included (a logistic neuron comes as close to 0 and 1 as one likes).
    pub fn admits<T: Real>(&self, network: &NetworkSpec, target: &Field<T>) -> Result<(), PlanError> {
        let clamps = |phase: &PlannedPhase| matches!(phase.motion, Motion::Relax { teaching: Teaching::Clamped, .. });
        if !network.energy().has_output_state() || !self.phases.iter().any(clamps) {
            return Ok(());
        }
        let activation = network.activation(network.depth());
        let (least, most) = activation.range();
        match target.iter().map(|t| t.wide()).find(|t| !(least..=most).contains(t)) {
            None => Ok(()),
            Some(outside) => Err(PlanError(format!(
                "a clamped output is put on its target, and the target {outside} is outside of [{least}, {most}], the range of \
                 {activation:?}; use a rule that nudges, or another activation"
            ))),
        }
    }

    /// The coefficient of phase `k` for the weights that lead to layer `layer` of a network of depth `depth`.
    pub fn coefficient(&self, phase: usize, layer: usize, depth: usize) -> f64 {
        let power = i32::try_from(depth - layer).unwrap_or(i32::MAX);
        self.phases[phase].coefficient / self.gain.powi(power)
    }
}
