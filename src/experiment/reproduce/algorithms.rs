//! Every algorithm of the paper as a value, with the strength that takes it to its limit, the exact gradient it approaches, and the
//! order of its error (theory, section 3).
//!
//! ```text
//! predictive coding    λ      against backpropagation             1; symmetric and Richardson 2; first step exact
//! weak feedback        γ      Π_l = γ^{l−1}, clamped; likewise    1           (Whittington & Bogacz 2017)
//! Hopfield             β      against recurrent backpropagation   1; symmetric and Richardson 2
//! rate network         γ      against backpropagation for the loss whose output error has no f'     1   (Xie & Seung 2003)
//! ```

use super::ReproduceError;
use super::measure::{apart, back, run as run_plan};
use crate::energy::{Activation, EnergyKind, Loss};
use crate::experiment::assemble::AssembleError;
use crate::experiment::machine::{Machine, StepError, closeness};
use crate::math::Field;
use crate::network::{NetworkSpec, Weights};
use crate::reference::{backprop, implicit};
use crate::rule::{FreePhase, Nudging, Plan, RuleName};
use crate::settling::{Limits, StopReason};

/// Which network an algorithm belongs to. All are smooth, so that orders mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Coding,
    WeakCoding,
    Hopfield,
    Rate,
}

/// One algorithm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Algorithm {
    /// As tables and legends say it.
    pub(super) name: &'static str,
    /// λ, β or γ; empty where there is none.
    pub(super) symbol: &'static str,
    /// Power of the strength with which the error falls; `None`: exact.
    pub(super) order: Option<f64>,
    /// Deepest network in which its limit can be seen: read-outs that divide by γ^L run out of digits.
    pub(super) deepest: usize,
    /// Strengths at which the order is measured, within the range where the leading term rules.
    pub(super) strengths: &'static [f64],
    rule: RuleName,
    nudging: Nudging,
    family: Family,
}

const NUDGES: &[f64] = &[0.02, 0.01, 0.005, 0.0025, 0.00125];
const GAINS: &[f64] = &[0.08, 0.04, 0.02, 0.01];
const ONCE: &[f64] = &[1.0];

const fn nudged(name: &'static str, family: Family, nudging: Nudging, order: f64) -> Algorithm {
    let (rule, symbol) = match family {
        Family::Hopfield => (RuleName::Ep, "β"),
        _ => (RuleName::PcNudge, "λ"),
    };
    Algorithm { name, symbol, order: Some(order), deepest: 6, strengths: NUDGES, rule, nudging, family }
}

const fn weak(name: &'static str, family: Family, rule: RuleName, deepest: usize) -> Algorithm {
    let nudging = Nudging::OneSided;
    Algorithm { name, symbol: "γ", order: Some(1.0), deepest, strengths: GAINS, rule, nudging, family }
}

/// All of them.
pub(super) const ALGORITHMS: [Algorithm; 11] = [
    nudged("pc-nudge, one-sided", Family::Coding, Nudging::OneSided, 1.0),
    nudged("pc-nudge, negative", Family::Coding, Nudging::Negative, 1.0),
    nudged("pc-nudge, symmetric", Family::Coding, Nudging::Symmetric, 2.0),
    nudged("pc-nudge, richardson", Family::Coding, Nudging::Richardson, 2.0),
    weak("pc-clamped, weak feedback", Family::WeakCoding, RuleName::PcClamped, 3),
    nudged("ep, one-sided", Family::Hopfield, Nudging::OneSided, 1.0),
    nudged("ep, negative", Family::Hopfield, Nudging::Negative, 1.0),
    nudged("ep, symmetric", Family::Hopfield, Nudging::Symmetric, 2.0),
    nudged("ep, richardson", Family::Hopfield, Nudging::Richardson, 2.0),
    weak("chl, weak feedback", Family::Rate, RuleName::Chl, 4),
    Algorithm {
        name: "first-step",
        symbol: "",
        order: None,
        deepest: 6,
        strengths: ONCE,
        rule: RuleName::FirstStep,
        nudging: Nudging::OneSided,
        family: Family::Coding,
    },
];

/// What an algorithm made of a batch at one strength.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// Σ_l ‖x_l − x̄_l‖ over the hidden layers, between the free and the next equilibrium.
    pub(super) moved: f64,
    /// ‖ĝ − g‖ and the same divided by ‖g‖.
    pub(super) distance: f64,
    pub(super) relative_error: f64,
    /// Steps of the last phase.
    pub(super) steps: u64,
    /// Why the phase ended that ended least well.
    pub(super) ended: StopReason,
}

/// A network with its weights, a batch, and the exact gradient.
pub(super) struct Problem {
    widths: Vec<usize>,
    weights: Weights<f64>,
    data: Field<f64>,
    target: Field<f64>,
    exact: Weights<f64>,
}

impl Algorithm {
    /// The network of this algorithm at a strength.
    pub(super) fn network(&self, widths: &[usize], strength: f64) -> Result<NetworkSpec, ReproduceError> {
        let smooth = |activation, loss| NetworkSpec::new(widths, activation, loss);
        let built = match self.family {
            Family::Coding => smooth(Activation::Tanh, Loss::CrossEntropy),
            Family::WeakCoding => smooth(Activation::Tanh, Loss::CrossEntropy).and_then(|network| {
                let precisions = (0..network.depth()).map(|level| strength.powi(level as i32)).collect::<Vec<_>>();
                network.with_precision(&precisions)
            }),
            Family::Hopfield => smooth(Activation::Sigmoid, Loss::SquaredError)
                .and_then(|network| network.with_energy(EnergyKind::Hopfield)),
            Family::Rate => smooth(Activation::Sigmoid, Loss::SquaredError)
                .and_then(|network| network.with_energy(EnergyKind::Rate))
                .and_then(|network| network.with_feedback_gain(strength)),
        };
        Ok(built.map_err(AssembleError::from)?)
    }

    fn plan(&self, network: &NetworkSpec, strength: f64) -> Result<Plan, ReproduceError> {
        let coding = network.energy() == EnergyKind::PredictiveCoding;
        let free = if coding { FreePhase::Forward } else { FreePhase::Relax };
        let plan = Plan::named(self.rule, network, strength, self.nudging, free).map_err(AssembleError::from)?;
        Ok(plan.expect("none of the algorithms is backpropagation"))
    }

    /// Weights and batch, with the exact gradient of this algorithm's network.
    pub(super) fn problem(
        &self,
        widths: &[usize],
        weights: Weights<f64>,
        (data, target): (Field<f64>, Field<f64>),
    ) -> Result<Problem, ReproduceError> {
        let network = self.network(widths, self.strengths[0])?;
        let exact = match self.family {
            Family::Coding | Family::WeakCoding => backprop::gradient(&network, &weights, &data, &target).parameters,
            Family::Hopfield => implicit::gradient(&network, &weights, &data, &target)?.parameters,
            Family::Rate => {
                let currents = backprop::forward(&network, &weights, &data);
                let output = network.activation(network.depth());
                let delta = currents[network.depth() - 1].mapv(|a| output.value(a)) - &target;
                back(&network, &weights, &data, delta).0
            }
        };
        Ok(Problem { widths: widths.to_vec(), weights, data, target, exact })
    }

    /// Runs it at one strength to `tolerance` with a machine made by `machine`.
    pub(super) fn run(
        &self,
        problem: &Problem,
        strength: f64,
        limits: Limits,
        machine: impl Fn(&NetworkSpec, Weights<f64>) -> Result<Machine<f64>, StepError>,
    ) -> Result<Outcome, ReproduceError> {
        let network = self.network(&problem.widths, strength)?;
        let plan = self.plan(&network, strength)?;
        let mut machine = machine(&network, problem.weights.clone())?;
        let ran = run_plan(&mut machine, &plan, limits, (&problem.data, &problem.target))?;
        let (_, whole) = closeness(&ran.estimate, &problem.exact);
        let hidden = 1..network.depth();
        Ok(Outcome {
            moved: apart(&ran.states[0][hidden.clone()], &ran.states[1][hidden]),
            distance: whole.distance,
            relative_error: whole.relative_distance,
            steps: ran.end().0,
            ended: ran.worst(),
        })
    }
}
