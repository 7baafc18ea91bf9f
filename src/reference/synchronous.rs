//! The synchronous program: a network, its states and its optimisers in one place, and a global clock.
//!
//! One training step: `present` a batch, `run_phase` every phase of the plan, `collect` those that are read, `learn`. The states are
//! [`Coding`] or [`Recurrent`], by energy.

use super::Order;
use super::coding::Coding;
use super::contrast::Contrast;
use super::feedback::Descent;
use super::recurrent::Recurrent;
use crate::math::optimizer::{Optimizer, OptimizerSpec};
use crate::math::{Field, Real, values, values_mut};
use crate::network::{FeedbackState, NetworkSpec, Weights};
use crate::rule::{Plan, PlannedPhase};
use crate::settling::{Limits, PhaseRecord};

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
        match &mut self.states {
            States::Coding(states) => states.run_phase(planned, limits, &self.weights, &mut self.contrast),
            States::Recurrent(states) => states.run_phase(planned, limits, &self.weights),
        }
    }

    /// Adds the Hebbian products of phase `index` of a plan to the estimate, for all layers.
    pub fn collect(&mut self, plan: &Plan, index: usize) {
        match &self.states {
            States::Coding(states) => states.collect(plan, index, &mut self.contrast),
            States::Recurrent(states) => states.collect(plan, index, &mut self.contrast),
        }
    }

    /// The estimate of −∂𝓛/∂W collected so far, batch mean.
    pub fn estimate(&self) -> Weights<T> {
        self.contrast.estimate()
    }

    /// Updates all weights from what was collected.
    pub fn learn(&mut self) {
        let mean = self.contrast.mean();
        let sums = self.contrast.sums();
        for ((parameters, sum), [of_weights, of_bias]) in self.weights.iter_mut().zip(sums).zip(&mut self.optimizers) {
            of_weights.update(values_mut(&mut parameters.weights), values(&sum.weights), mean);
            of_bias.update(&mut parameters.bias, &sum.bias, mean);
        }
        let descent = match &mut self.states {
            States::Coding(states) => &mut states.descent,
            States::Recurrent(states) => &mut states.descent,
        };
        descent.learn(&self.weights, sums, mean);
    }
}
