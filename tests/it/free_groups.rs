//! Groups of neurons that run free. Oracle: the equilibrium, which the synchronous program of the network that is not cut finds too.

use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::engine::{Engine, Schedule};
use asynapse::network::{Grouping, NetworkSpec};
use asynapse::reference::Synchronous;
use asynapse::rule::{FreePhase, RuleName};
use asynapse::settling::{Limits, StopReason};
use asynapse::signal::Message;

use crate::common::{
    RATE, adam, batch, engine_states, engine_step, engine_weights, plan, reference_step, settings, spec, weights,
};
use crate::free_running;

const TOLERANCE: f64 = 1e-7;

/// As whole layers are held against it; groups that run free say bare errors.
fn distance_to_reference(network: &NetworkSpec, grouping: Grouping, rule: RuleName, seed: u64, threads: usize) -> f64 {
    let cut = network.clone().with_groups(grouping);
    free_running::distance_to_reference((network, &cut), rule, seed, threads, Message::Error)
}

fn many_seeds(threads: usize) {
    let activations = [Activation::Tanh, Activation::Sigmoid, Activation::Softplus, Activation::Gelu];
    let groupings = [Grouping::Neuron, Grouping::Count(2), Grouping::Count(3)];
    for seed in 0..60 {
        let activation = activations[seed as usize % 4];
        let loss = if seed % 3 == 0 { Loss::SquaredError } else { Loss::CrossEntropy };
        let network = spec(&[6, 8, 7, 4], activation, loss);
        let grouping = groupings[seed as usize / 4 % 3];
        let gap = distance_to_reference(&network, grouping, RuleName::PcNudge, seed, threads);
        assert!(gap <= 10.0 * TOLERANCE, "seed {seed} {grouping:?}: {gap:e}");
    }
}

#[test]
fn equilibria_are_the_references_on_one_thread() {
    many_seeds(1);
}

#[test]
fn equilibria_are_the_references_on_two_threads() {
    many_seeds(2);
}

#[test]
fn other_energies_settle_where_the_reference_does() {
    for (kind, rule) in [(EnergyKind::Hopfield, RuleName::Ep), (EnergyKind::Rate, RuleName::Chl)] {
        for seed in 0..8 {
            let network = spec(&[5, 7, 6, 3], Activation::Sigmoid, Loss::SquaredError);
            let network = network.with_energy(kind).expect("an energy");
            let gap = distance_to_reference(&network, Grouping::Neuron, rule, seed, 2);
            assert!(gap <= 10.0 * TOLERANCE, "{kind:?} seed {seed}: {gap:e}");
        }
    }
}

/// With a budget instead of a tolerance nobody exceeds it, and the phase is not called settled; and the forward wave is the one
/// of layers.
#[test]
fn a_budget_is_kept_and_named() {
    let network = spec(&[6, 8, 7, 4], Activation::Relu, Loss::CrossEntropy);
    let plan = plan(RuleName::PcNudge, &network, 0.1, FreePhase::Forward);
    for threads in [1, 2] {
        let chosen = settings(Schedule::FreeRunning, threads, Message::Error);
        let cut = network.clone().with_groups(Grouping::Neuron);
        let mut engine = Engine::<f32>::new(&cut, weights(&network, 1), chosen).expect("engine");
        for seed in 0..20 {
            let sample = batch(&network, 8, seed);
            let records = engine_step(&mut engine, &plan, Limits::steps(30), &sample);
            assert_eq!(records[0].reason, StopReason::Wave);
            assert_eq!(records[1].reason, StopReason::StepBudget);
            assert_eq!(records[1].steps(), 30);
            engine.learn().expect("learn");
        }
        assert!(engine_weights(&mut engine).iter().all(|p| p.numbers().all(f32::is_finite)));
    }
}

/// What was said of one batch is not heard of the next, which may have another size.
#[test]
fn every_batch_has_its_own_equilibrium() {
    let network = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    for (threads, free) in [(1, FreePhase::Forward), (2, FreePhase::Relax), (2, FreePhase::Forward)] {
        let plan = plan(RuleName::PcNudge, &network, 0.1, free);
        let chosen = settings(Schedule::FreeRunning, threads, Message::Error);
        let cut = network.clone().with_groups(Grouping::Neuron);
        let mut engine = Engine::new(&cut, weights(&network, 5), chosen).expect("engine");
        for (seed, size) in [4, 7, 1, 7, 3, 2].into_iter().enumerate() {
            let sample = batch::<f64>(&network, size, seed as u64);
            let mut reference = Synchronous::new(&network, weights(&network, 5), RATE, adam());
            reference_step(&mut reference, &plan, Limits::tolerance(TOLERANCE * 1e-3, 100_000), &sample);
            let records = engine_step(&mut engine, &plan, Limits::tolerance(TOLERANCE, 10_000_000), &sample);
            assert_eq!(records[1].reason, StopReason::Settled);
            for (state, exact) in engine_states(&mut engine).iter().zip(&reference.states()) {
                let gap = state.iter().zip(exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(gap <= 10.0 * TOLERANCE, "{threads} threads, {free:?}, batch of {size}: {gap:e}");
            }
        }
    }
}

/// States that sit on a kink chatter for ever and end as a plateau; the same network with a smooth activation settles.
#[test]
fn chattering_ends_as_a_plateau_and_smooth_networks_settle() {
    for (activation, expected) in [(Activation::Relu, StopReason::Plateau), (Activation::Softplus, StopReason::Settled)]
    {
        let network = spec(&[6, 24, 24, 4], activation, Loss::CrossEntropy);
        let plan = plan(RuleName::PcClamped, &network, 1.0, FreePhase::Forward);
        let limits = Limits { steps_max: 500_000, tolerance: 1e-9, check_every: 10, plateau: 1e-9 };
        let chosen = settings(Schedule::FreeRunning, 2, Message::Error);
        let cut = network.clone().with_groups(Grouping::Count(3));
        let mut engine = Engine::new(&cut, weights(&network, 3), chosen).expect("engine");
        let records = engine_step(&mut engine, &plan, limits, &batch::<f64>(&network, 16, 3));
        assert_eq!(records[1].reason, expected);
    }
}

#[test]
fn numbers_that_are_not_finite_end_the_phase_as_diverged() {
    let network = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    let plan = plan(RuleName::PcNudge, &network, 0.1, FreePhase::Relax);
    for threads in [1, 2] {
        let chosen = settings(Schedule::FreeRunning, threads, Message::Error);
        let cut = network.clone().with_groups(Grouping::Neuron);
        let mut bad = weights::<f64>(&network, 1);
        bad[1].weights[[3, 5]] = f64::NAN;
        let mut engine = Engine::new(&cut, bad, chosen).expect("engine");
        let (data, target) = batch(&network, 4, 1);
        engine.present(&data, &target).expect("present");
        let record = engine.run_phase(&plan.phases[0], Limits::tolerance(1e-6, 100_000)).expect("a phase");
        assert_eq!(record.reason, StopReason::Diverged);
        assert!(record.reports.iter().any(|report| report.bad.is_some()));
    }
}
