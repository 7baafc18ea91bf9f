//! Oracles for virtual time: lock-step and the reference bit for bit where nothing is late, closed forms where delays are constant,
//! another run of the same seed.

use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::engine::virtual_time::shard::Member;
use asynapse::engine::virtual_time::{VirtualNetwork, VirtualSettings};
use asynapse::math::{Field, Numerics, Real};
use asynapse::network::{NetworkSpec, Weights};
use asynapse::reference::Synchronous;
use asynapse::rule::{FreePhase, Nudging, Plan, RuleName};
use asynapse::settling::{Limits, PhaseRecord};
use asynapse::signal::{Extract, Message, Wanted};

use crate::common::{RATE, adam, batch, reference_step, spec, weights};

pub(crate) fn step<T: Real, M: Member<T> + Send>(
    network: &mut VirtualNetwork<T, M>,
    plan: &Plan,
    limits: Limits,
    (data, target): &(Field<T>, Field<T>),
) -> Vec<PhaseRecord> {
    network.present(data, target).expect("present");
    let mut records = Vec::new();
    for (index, phase) in plan.phases.iter().enumerate() {
        records.push(network.run_phase(phase, limits).expect("a phase"));
        if phase.coefficient != 0.0 {
            network.collect(plan, index).expect("collect");
        }
    }
    records
}

pub(crate) fn states<T: Real, M: Member<T> + Send>(network: &mut VirtualNetwork<T, M>) -> Vec<Field<T>> {
    let extracts = network.extract(Wanted::State).expect("states");
    extracts.into_iter().filter_map(|e| if let Extract::State(x) = e { Some(x) } else { None }).collect()
}

pub(crate) fn estimate<T: Real>(network: &mut VirtualNetwork<T>) -> Weights<T> {
    let extracts = network.extract(Wanted::Estimate).expect("an estimate");
    extracts.into_iter().filter_map(|e| if let Extract::Estimate(p) = e { Some(p) } else { None }).collect()
}

pub(crate) fn final_weights<T: Real>(network: &mut VirtualNetwork<T>) -> Weights<T> {
    let extracts = network.extract(Wanted::Weights).expect("weights");
    extracts.into_iter().filter_map(|e| if let Extract::Weights(p, _) = e { Some(p) } else { None }).collect()
}

/// Twelve training steps; states, estimates, records and weights are the reference's, which lock-step actors are held to as well.
fn agrees_bit_for_bit<T: Real>(network: &NetworkSpec, plan: &Plan, limits: Limits, message: Message, seed: u64) {
    agrees_when_rounded::<T>(network, plan, limits, (message, Numerics::default()), seed);
}

pub(crate) fn agrees_when_rounded<T: Real>(
    network: &NetworkSpec,
    plan: &Plan,
    limits: Limits,
    (message, numerics): (Message, Numerics),
    seed: u64,
) {
    let initial = weights::<T>(network, seed);
    let mut reference = Synchronous::new(network, initial.clone(), RATE, adam()).with_numerics(numerics);
    let settings = VirtualSettings { numerics, ..VirtualSettings::in_step(network.depth() + 1, message, RATE, adam()) };
    let mut actual = VirtualNetwork::new(network, initial, &settings);
    assert!(actual.is_in_step());
    for index in 0..12 {
        let sample = batch::<T>(network, [5, 1, 16][index % 3], seed * 100 + index as u64);
        let expected = reference_step(&mut reference, plan, limits, &sample);
        let records = step(&mut actual, plan, limits, &sample);
        for (phase, (expected, record)) in expected.iter().zip(&records).enumerate() {
            let what = format!("{:?} {message:?} step {index} phase {phase}", network.energy());
            assert_eq!((expected.reason, expected.steps()), (record.reason, record.steps()), "{what}");
            assert_eq!(expected.energy().to_bits(), record.energy().to_bits(), "{what}: energy");
            assert_eq!(expected.residual().to_bits(), record.residual().to_bits(), "{what}: residual");
            assert_eq!(expected.score(), record.score(), "{what}");
        }
        assert_eq!(reference.states(), states(&mut actual), "states at step {index}");
        assert!(reference.estimate() == estimate(&mut actual), "estimate at step {index}");
        reference.learn();
        actual.learn().expect("learn");
    }
    assert!(*reference.weights() == final_weights(&mut actual), "final weights");
}

#[test]
fn in_step_rounded_states_and_signals_have_the_bits_of_lock_step() {
    let numerics = Numerics {
        states: "fp16".parse().expect("a format"),
        messages: "fp8-e5m2".parse().expect("a format"),
        ..Numerics::default()
    };
    let coding = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    let hopfield = spec(&[6, 8, 7, 4], Activation::Sigmoid, Loss::SquaredError).with_energy(EnergyKind::Hopfield);
    for (network, rule) in [(coding, RuleName::PcNudge), (hopfield.expect("bounded"), RuleName::Ep)] {
        let plan = Plan::named(rule, &network, 0.3, Nudging::Symmetric, FreePhase::Relax);
        let plan = plan.expect("a plan").expect("phases");
        let limits = Limits { steps_max: 40, tolerance: 1e-3, check_every: 7, plateau: 1e-9 };
        agrees_when_rounded::<f32>(&network, &plan, limits, (Message::ErrorEcho, numerics), 8);
    }
}

/// Every rule with every energy that has a meaning for it.
#[test]
fn without_delays_and_with_equal_clocks_every_rule_has_the_bits_of_lock_step() {
    let widths = [6, 8, 7, 5, 4];
    let mut seen = 0;
    for (energy, activation, loss) in [
        (EnergyKind::PredictiveCoding, Activation::Tanh, Loss::CrossEntropy),
        (EnergyKind::PredictiveCoding, Activation::Relu, Loss::SquaredError),
        (EnergyKind::Hopfield, Activation::HardSigmoid, Loss::SquaredError),
        (EnergyKind::Hopfield, Activation::Sigmoid, Loss::CrossEntropy),
        (EnergyKind::Rate, Activation::Sigmoid, Loss::SquaredError),
    ] {
        let network = spec(&widths, activation, loss).with_energy(energy).expect("an energy");
        for rule in [RuleName::PcNudge, RuleName::PcClamped, RuleName::FirstStep, RuleName::Ep, RuleName::Chl] {
            for nudging in [Nudging::OneSided, Nudging::Negative, Nudging::Symmetric, Nudging::Richardson] {
                for free in [FreePhase::Forward, FreePhase::Relax, FreePhase::Persistent] {
                    let Ok(Some(plan)) = Plan::named(rule, &network, 0.1, nudging, free) else { continue };
                    // Where the free phase is found by descent to a budget, no first error is the adjoint.
                    if rule == RuleName::FirstStep && free != FreePhase::Forward {
                        continue;
                    }
                    seen += 1;
                    for limits in
                        [Limits::steps(17), Limits { steps_max: 80, tolerance: 1e-3, check_every: 7, plateau: 1e-9 }]
                    {
                        agrees_bit_for_bit::<f32>(&network, &plan, limits, Message::ErrorEcho, seen);
                        agrees_bit_for_bit::<f64>(&network, &plan, limits, Message::State, seen);
                    }
                }
            }
        }
    }
    assert!(seen > 60, "{seen} plans");
}
