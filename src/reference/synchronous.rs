//! The synchronous program: a network, its states and its optimisers in one place, and a global clock.
//!
//! One training step: `present` a batch, `run_phase` every phase of the plan, `collect` those that are read, `learn`. The states are
//! [`Coding`] or [`Recurrent`], by energy.

use super::Order;
use super::coding::Coding;
use super::contrast::Contrast;
use super::feedback::Descent;
use super::learner::Learner;
use super::numerics::Imprecision;
use super::recurrent::Recurrent;
use crate::math::optimizer::{Optimizer, OptimizerSpec};
use crate::math::{Field, Numerics, Real};
use crate::network::{FeedbackState, NetworkSpec, Weights};
use crate::rule::{Plan, PlannedPhase};
use crate::settling::{Limits, PhaseRecord};
use crate::signal::Reading;

#[derive(Debug)]
enum States<T> {
    Coding(Coding<T>),
    Recurrent(Recurrent<T>),
}

/// A network, its states and its optimisers, all in one place.
#[derive(Debug)]
pub struct Synchronous<T> {
    network: NetworkSpec,
    weights: Weights<T>,
    optimizers: Vec<[Optimizer<T>; 2]>,
    states: States<T>,
    contrast: Contrast<T>,
}

impl<T: Real> Synchronous<T> {
    /// A network with these weights.
    pub fn new(network: &NetworkSpec, weights: Weights<T>, rate: f64, optimizer: OptimizerSpec) -> Self {
        Self::in_order(network, weights, rate, optimizer, Order::Jacobi)
    }

    /// The same with an order of the layers within a step. Predictive coding only: the others know but Jacobi's.
    pub fn in_order(
        network: &NetworkSpec,
        weights: Weights<T>,
        rate: f64,
        optimizer: OptimizerSpec,
        order: Order,
    ) -> Self {
        let coding = !network.energy().has_output_state();
        assert!(coding || order == Order::Jacobi, "Gauss-Seidel order is that of predictive coding");
        assert!(network.fits(&weights), "weights have the shapes of the network");
        let optimizers = weights
            .iter()
            .map(|p| [Optimizer::new(optimizer, p.weights.len()), Optimizer::new(optimizer, p.bias.len())])
            .collect();
        let descent = Descent::new(network, &weights, optimizer);
        let states = if network.energy().has_output_state() {
            States::Recurrent(Recurrent::new(network, rate, descent))
        } else {
            States::Coding(Coding::new(network, rate, order, descent))
        };
        let contrast = Contrast::new(&weights, 1);
        Self { network: network.clone(), weights, optimizers, states, contrast }
    }

    /// The same with states and signals of limited precision.
    pub fn with_numerics(mut self, numerics: Numerics) -> Self {
        let whole = self.network.groups_in_all() == self.network.depth() + 1;
        assert!(whole || !numerics.acts(), "limited precision is that of whole layers");
        match &mut self.states {
            States::Coding(states) => {
                assert!(
                    states.order == Order::Jacobi || !numerics.acts(),
                    "limited precision is that of Jacobi's order"
                );
                states.imprecision = Imprecision::new(numerics);
            }
            States::Recurrent(states) => states.imprecision = Imprecision::new(numerics),
        }
        self
    }

    /// The number of the next batch, which noise is a function of; without it batches are numbered from 1.
    pub fn number(&mut self, batch: u64) {
        match &mut self.states {
            States::Coding(states) => states.imprecision.number(batch),
            States::Recurrent(states) => states.imprecision.number(batch),
        }
    }

    /// The weights.
    pub fn weights(&self) -> &Weights<T> {
        &self.weights
    }

    /// The optimisers of weights and bias, `W_1`'s first.
    pub fn optimizers(&mut self) -> &mut [[Optimizer<T>; 2]] {
        &mut self.optimizers
    }

    /// Takes other weights.
    pub fn install(&mut self, weights: Weights<T>) {
        assert!(self.network.fits(&weights), "weights have the shapes of the network");
        self.weights = weights;
        let (descent, weights) = self.descent();
        descent.align(weights);
    }

    fn descent(&mut self) -> (&mut Descent<T>, &Weights<T>) {
        let descent = match &mut self.states {
            States::Coding(states) => &mut states.descent,
            States::Recurrent(states) => &mut states.descent,
        };
        (descent, &self.weights)
    }

    /// `B_2 … B_L`, what errors come down through; none if they are tied to the weights.
    pub fn feedback(&mut self) -> Vec<FeedbackState<T>> {
        self.descent().0.states()
    }

    /// ln Π of the units of layers 1 … L − 1; none where precisions are not learned.
    pub fn precisions(&self) -> Vec<Vec<T>> {
        match &self.states {
            States::Coding(states) => states.precisions.logarithms(),
            States::Recurrent(_) => Vec::new(),
        }
    }

    /// Takes other learned precisions; false if they do not fit.
    #[must_use]
    pub fn install_precisions(&mut self, logarithms: Vec<Vec<T>>) -> bool {
        match &mut self.states {
            States::Coding(states) => states.precisions.restore(logarithms),
            States::Recurrent(_) => logarithms.is_empty(),
        }
    }

    /// Takes other feedback weights; false if they do not fit.
    #[must_use]
    pub fn install_feedback(&mut self, states: Vec<FeedbackState<T>>) -> bool {
        let (descent, weights) = self.descent();
        let fits = descent.restore(states);
        descent.align(weights);
        fits
    }

    /// `x_0 … x_{L−1}`, then `x_L` or, where the output has no state, the current `a_L`.
    pub fn states(&self) -> Vec<Field<T>> {
        match &self.states {
            States::Coding(states) => states.states(),
            States::Recurrent(states) => states.states(),
        }
    }

    /// Goes on from states that were handed out, if there are any; false if they do not fit.
    pub fn install_states(&mut self, states: Vec<Field<T>>) -> bool {
        let widths = self.network.widths();
        let batch = states.first().map_or(0, Field::ncols);
        if states.is_empty() {
            return true;
        }
        if states.len() != widths.len()
            || states.iter().zip(widths).any(|(state, &width)| state.dim() != (width, batch))
        {
            return false;
        }
        // A batch of that size makes the room, and the states are put into it.
        let zeros = |width: usize| Field::<T>::zeros((width, batch));
        let (data, target) = (states[0].clone(), zeros(widths[widths.len() - 1]));
        match &mut self.states {
            States::Coding(coding) => {
                coding.present(&data, &target, &self.weights);
                coding.x.iter_mut().zip(states).for_each(|(x, state)| *x = state);
            }
            States::Recurrent(recurrent) => {
                recurrent.present(&data, &target);
                recurrent.x = states;
            }
        }
        true
    }

    /// A new batch.
    pub fn present(&mut self, data: &Field<T>, target: &Field<T>) {
        let widths = self.network.widths();
        assert_eq!(data.nrows(), widths[0], "data have one row per input");
        assert_eq!(target.dim(), (widths[self.network.depth()], data.ncols()), "targets have one row per output");
        match &mut self.states {
            States::Coding(states) => states.present(data, target, &self.weights),
            States::Recurrent(states) => states.present(data, target),
        }
        self.contrast = Contrast::new(&self.weights, data.ncols());
    }

    /// Runs one phase to its end.
    pub fn run_phase(&mut self, planned: &PlannedPhase, limits: Limits) -> PhaseRecord {
        let Self { weights, optimizers, contrast, .. } = self;
        match &mut self.states {
            States::Coding(states) => states.run_phase(planned, limits, weights, contrast),
            States::Recurrent(states) => {
                states.run_phase(planned, limits, &mut Learner { weights, optimizers, contrast })
            }
        }
    }

    /// Adds the Hebbian products of phase `index` of a plan to the estimate, for all layers. Where the weights have moved during the
    /// phase, that is their last step.
    pub fn collect(&mut self, plan: &Plan, index: usize) {
        let Self { weights, optimizers, contrast, .. } = self;
        match (&mut self.states, plan.phases[index].reading) {
            (States::Recurrent(states), Reading::Continual(coefficient)) => {
                states.drift(coefficient, &mut Learner { weights, optimizers, contrast });
            }
            (States::Coding(states), _) => states.collect(plan, index, contrast),
            (States::Recurrent(states), _) => states.collect(plan, index, contrast),
        }
    }

    /// The estimate of −∂𝓛/∂W collected so far, batch mean.
    pub fn estimate(&self) -> Weights<T> {
        self.contrast.estimate()
    }

    /// Updates all weights from what was collected, unless they have moved during the phase.
    pub fn learn(&mut self) {
        if self.contrast.has_drifted() {
            return;
        }
        if let States::Coding(states) = &mut self.states {
            states.learn_precisions();
        }
        let sums = self.contrast.sums().clone();
        let Self { weights, optimizers, contrast, .. } = self;
        Learner { weights, optimizers, contrast }.update(&sums);
        let mean = self.contrast.mean();
        let (descent, weights) = self.descent();
        descent.learn(weights, &sums, mean);
    }
}
