//! Oracle: the equilibrium. It has no memory of the path, so free-running layers must end where the synchronous program ends.

use asynapse::energy::{Activation, Loss};
use asynapse::engine::{Engine, Schedule};
use asynapse::network::NetworkSpec;
use asynapse::reference::Synchronous;
use asynapse::rule::{FreePhase, RuleName};
use asynapse::settling::{Limits, StopReason};
use asynapse::signal::Message;

use crate::common::{
    RATE, adam, batch, distance, engine_estimate, engine_states, engine_step, reference_step, settings, spec, weights,
};

const TOLERANCE: f64 = 1e-7;

/// Largest distance of any state from the reference's, settled a thousand times more finely. `cut` is the network, or the same with its
/// layers cut into groups.
pub(crate) fn distance_to_reference(
    (network, cut): (&NetworkSpec, &NetworkSpec),
    rule: RuleName,
    seed: u64,
    threads: usize,
    message: Message,
) -> f64 {
    let plan = crate::common::plan(rule, network, 0.1, FreePhase::Relax);
    let sample = batch::<f64>(network, 4, seed);
    let mut reference = Synchronous::new(network, weights(network, seed), RATE, adam());
    reference_step(&mut reference, &plan, Limits::tolerance(TOLERANCE * 1e-3, 100_000), &sample);
    let chosen = settings(Schedule::FreeRunning, threads, message);
    let mut engine = Engine::new(cut, weights(network, seed), chosen).expect("engine");
    let limits = Limits::tolerance(TOLERANCE, 10_000_000);
    for record in engine_step(&mut engine, &plan, limits, &sample) {
        assert_eq!(record.reason, StopReason::Settled, "seed {seed}");
        assert!(record.residual() <= TOLERANCE, "settled with residual {}", record.residual());
    }
    let estimates = distance(&engine_estimate(&mut engine), &reference.estimate(), 1.0);
    assert!(estimates < 1e-4, "estimates differ by {estimates}");
    let states = engine_states(&mut engine);
    let gap = |(a, b): (&ndarray::Array2<f64>, &ndarray::Array2<f64>)| {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    states.iter().zip(&reference.states()).map(gap).fold(0.0, f64::max)
}

fn hundred_seeds(threads: usize) {
    let activations = [Activation::Tanh, Activation::Sigmoid, Activation::Softplus, Activation::Gelu];
    for seed in 0..100 {
        let activation = activations[seed as usize % 4];
        let loss = if seed % 3 == 0 { Loss::SquaredError } else { Loss::CrossEntropy };
        let network = spec(&[6, 8, 7, 6, 4], activation, loss);
        let gap = distance_to_reference((&network, &network), RuleName::PcNudge, seed, threads, Message::ErrorEcho);
        assert!(gap <= 10.0 * TOLERANCE, "seed {seed}: {gap:e}");
    }
}

#[test]
fn equilibria_are_the_references_on_one_thread() {
    hundred_seeds(1);
}

#[test]
fn equilibria_are_the_references_on_two_threads() {
    hundred_seeds(2);
}

#[test]
fn every_message_reaches_the_same_equilibrium() {
    for message in [Message::ErrorEcho, Message::Error, Message::State] {
        for seed in 200..210 {
            let network = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
            let gap = distance_to_reference((&network, &network), RuleName::PcNudge, seed, 2, message);
            assert!(gap <= 10.0 * TOLERANCE, "{message:?} seed {seed}: {gap:e}");
        }
    }
}

/// With a budget instead of a tolerance nobody exceeds it, and the phase is not called settled.
#[test]
fn a_budget_is_kept_and_named() {
    let network = spec(&[6, 8, 7, 4], Activation::Relu, Loss::CrossEntropy);
    let plan = crate::common::plan(RuleName::PcNudge, &network, 0.1, FreePhase::Forward);
    for threads in [1, 2] {
        let chosen = settings(Schedule::FreeRunning, threads, Message::ErrorEcho);
        let mut engine = Engine::<f32>::new(&network, weights(&network, 1), chosen).expect("engine");
        for seed in 0..20 {
            let sample = batch(&network, 8, seed);
            let records = engine_step(&mut engine, &plan, Limits::steps(30), &sample);
            assert_eq!(records[0].reason, StopReason::Wave);
            assert_eq!(records[1].reason, StopReason::StepBudget);
            assert!(records[1].reports.iter().all(|report| report.step <= 30));
            assert_eq!(records[1].steps(), 30);
            engine.learn().expect("learn");
        }
    }
}

/// States of a ReLU network that sit on the kink chatter for ever; the plateau clause ends the phase and says so. The same network
/// with a smooth activation settles.
#[test]
fn chattering_ends_as_a_plateau_and_smooth_networks_settle() {
    for (activation, expected) in [(Activation::Relu, StopReason::Plateau), (Activation::Softplus, StopReason::Settled)]
    {
        let network = spec(&[6, 24, 24, 4], activation, Loss::CrossEntropy);
        let plan = crate::common::plan(RuleName::PcClamped, &network, 1.0, FreePhase::Forward);
        let limits = Limits { steps_max: 500_000, tolerance: 1e-9, check_every: 10, plateau: 1e-9 };
        let sample = batch::<f64>(&network, 16, 3);
        let mut reference = Synchronous::new(&network, weights(&network, 3), RATE, adam());
        let by_reference = reference_step(&mut reference, &plan, limits, &sample);
        assert_eq!(by_reference[1].reason, expected, "reference");
        let chosen = settings(Schedule::FreeRunning, 2, Message::ErrorEcho);
        let mut engine = Engine::new(&network, weights(&network, 3), chosen).expect("engine");
        let records = engine_step(&mut engine, &plan, limits, &sample);
        assert_eq!(records[1].reason, expected, "free-running");
        let chattering: usize = records[1].reports.iter().map(|report| report.unsettled).sum();
        assert_eq!(chattering > 0, expected == StopReason::Plateau, "{chattering} units chatter");
        let energies = (by_reference[1].energy(), records[1].energy());
        assert!((energies.0 / energies.1 - 1.0).abs() < 1e-3, "{energies:?}");
    }
}
