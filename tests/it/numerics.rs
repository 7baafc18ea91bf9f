//! Simulated precision. Oracles: the synchronous program, bit for bit; backpropagation, from which coarser formats are farther; the
//! grid itself, on which every state must stand; a second run that begins in the middle.

use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::engine::{Engine, EngineSettings, Schedule};
use asynapse::math::optimizer::{OptimizerKind, OptimizerSpec};
use asynapse::math::rounding::Format;
use asynapse::math::{Field, Numerics, Real};
use asynapse::network::{Feedback, FeedbackKind, Init, NetworkSpec};
use asynapse::reference::{Synchronous, backprop};
use asynapse::rule::{FreePhase, Nudging, Plan, RuleName};
use asynapse::settling::{Limits, StopReason};
use asynapse::signal::{Extract, Message, Wanted};

use crate::common::{
    RATE, adam, batch, engine_estimate, engine_states, engine_step, engine_weights, reference_step, settings, spec,
    weights,
};

fn format(text: &str) -> Format {
    text.parse().expect("a format")
}

fn rounded(states: &str, messages: &str) -> Numerics {
    Numerics { states: format(states), messages: format(messages), ..Numerics::default() }
}

fn noisy(state_noise: f64, message_noise: f64) -> Numerics {
    Numerics { state_noise, message_noise, seed: 7, ..rounded("exact", "bf16") }
}

fn coding(nudge: f64, network: &NetworkSpec) -> [Plan; 2] {
    [Plan::named, Plan::in_deviations].map(|plan| {
        let planned = plan(RuleName::PcNudge, network, nudge, Nudging::Symmetric, FreePhase::Forward);
        planned.expect("a plan").expect("phases")
    })
}

fn lock_step_agrees<T: Real>(network: &NetworkSpec, plan: &Plan, numerics: Numerics, threads: usize) {
    lock_step_learns::<T>(network, plan, numerics, (threads, adam()));
}

fn lock_step_learns<T: Real>(
    network: &NetworkSpec,
    plan: &Plan,
    numerics: Numerics,
    (threads, optimizer): (usize, OptimizerSpec),
) {
    let limits = Limits { steps_max: 40, tolerance: 1e-3, check_every: 7, plateau: 1e-9 };
    let mut reference = Synchronous::new(network, weights::<T>(network, 1), RATE, optimizer).with_numerics(numerics);
    let chosen = EngineSettings { numerics, optimizer, ..settings(Schedule::LockStep, threads, Message::ErrorEcho) };
    let mut engine = Engine::new(network, weights::<T>(network, 1), chosen).expect("engine");
    for (step, size) in [4, 4, 1, 9].into_iter().enumerate() {
        let sample = batch::<T>(network, size, step as u64);
        let expected = reference_step(&mut reference, plan, limits, &sample);
        let records = engine_step(&mut engine, plan, limits, &sample);
        for (expected, record) in expected.iter().zip(&records) {
            assert_eq!(
                (expected.reason, expected.steps()),
                (record.reason, record.steps()),
                "{numerics:?} step {step}"
            );
            assert_eq!(expected.energy().to_bits(), record.energy().to_bits(), "energy, {numerics:?} step {step}");
            assert_eq!(
                expected.residual().to_bits(),
                record.residual().to_bits(),
                "residual, {numerics:?} step {step}"
            );
            assert_eq!(expected.score(), record.score());
        }
        assert!(reference.states() == engine_states(&mut engine), "states, {numerics:?} step {step}");
        assert!(reference.estimate() == engine_estimate(&mut engine), "estimate, {numerics:?} step {step}");
        reference.learn();
        engine.learn().expect("learn");
    }
    assert!(*reference.weights() == engine_weights(&mut engine), "final weights, {numerics:?}");
    let mut feedback = Vec::new();
    let mut precisions = Vec::new();
    for wanted in [Wanted::Feedback, Wanted::Precision] {
        for extract in engine.extract(wanted).expect("extracts") {
            match extract {
                Extract::Feedback(state) => feedback.push(state),
                Extract::Precision(logarithms) => precisions.push(logarithms),
                _ => {}
            }
        }
    }
    assert!(reference.feedback() == feedback, "final feedback weights, {numerics:?}");
    assert!(reference.precisions() == precisions, "final precisions, {numerics:?}");
}

#[test]
fn lock_step_is_bit_identical_to_the_synchronous_program_at_every_precision() {
    let network = spec(&[6, 8, 7, 4], Activation::Relu, Loss::CrossEntropy);
    let hopfield = spec(&[6, 8, 7, 4], Activation::Sigmoid, Loss::SquaredError).with_energy(EnergyKind::Hopfield);
    let rate = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::SquaredError).with_energy(EnergyKind::Rate);
    for numerics in [
        rounded("bf16", "exact"),
        rounded("exact", "fp8-e4m3"),
        rounded("fixed:16", "fp8-e5m2"),
        rounded("fp16", "fixed:8"),
        noisy(0.01, 0.0),
        noisy(0.0, 0.01),
        noisy(0.01, 0.01),
    ] {
        for plan in coding(0.1, &network) {
            lock_step_agrees::<f32>(&network, &plan, numerics, 1);
            lock_step_agrees::<f64>(&network, &plan, numerics, 2);
        }
        for other in [&hopfield, &rate] {
            let other = other.as_ref().expect("a network");
            let plan = Plan::named(RuleName::Ep, other, 0.3, Nudging::Symmetric, FreePhase::Relax);
            lock_step_agrees::<f32>(other, &plan.expect("a plan").expect("phases"), numerics, 2);
        }
    }
    let plan = Plan::named(RuleName::FirstStep, &network, 1.0, Nudging::OneSided, FreePhase::Forward);
    let plan = plan.expect("a plan").expect("phases");
    lock_step_agrees::<f32>(&network, &plan, rounded("fp16", "fp8-e4m3"), 1);
}

/// What comes down is rounded before it meets feedback weights, precisions, or products that weights follow at every step.
#[test]
fn lock_step_has_the_bits_with_feedback_weights_own_precisions_and_moving_weights() {
    let coding = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    let units = [vec![0.5, 1.0, 2.0, 1.5, 1.0, 0.7, 1.0, 1.0], vec![1.3; 7], vec![1.0; 4]];
    let hopfield = spec(&[6, 8, 7, 4], Activation::Sigmoid, Loss::SquaredError).with_energy(EnergyKind::Hopfield);
    let hopfield = hopfield.expect("bounded");
    let with = |network: &NetworkSpec, kind| {
        network.clone().with_feedback(Feedback { kind, init: Init::TorchLinear, seed: 21 })
    };
    let decaying = OptimizerSpec { kind: OptimizerKind::Adamw, weight_decay: 0.02, ..adam() };
    let plain = OptimizerSpec::sgd(0.05);
    for numerics in [rounded("bf16", "fp8-e5m2"), noisy(0.01, 0.01)] {
        for network in [
            with(&coding, FeedbackKind::Random),
            with(&coding, FeedbackKind::SignSymmetric),
            with(&coding, FeedbackKind::KolenPollack),
            coding.clone().with_unit_precision(&units).expect("precisions of units"),
            coding.clone().with_learned_precision(0.1).expect("learned precisions"),
        ] {
            let plan = Plan::named(RuleName::PcNudge, &network, 0.1, Nudging::OneSided, FreePhase::Relax);
            let plan = plan.expect("a plan").expect("phases");
            lock_step_learns::<f32>(&network, &plan, numerics, (2, decaying));
        }
        for network in [hopfield.clone(), with(&hopfield, FeedbackKind::Random)] {
            let plan = Plan::named(RuleName::Ep, &network, 0.3, Nudging::OneSided, FreePhase::Persistent);
            let plan = plan.expect("a plan").expect("phases").continually(RuleName::Ep, &network, &plain);
            lock_step_learns::<f64>(&network, &plan.expect("a continual plan"), numerics, (1, plain));
        }
    }
}

/// 1 − cosine between the reference's estimate of −∂𝓛/∂W after 300 steps and backpropagation.
fn angle<T: Real>(plan: &Plan, network: &NetworkSpec, numerics: Numerics) -> f64 {
    let sample = batch::<T>(network, 16, 4);
    let w = weights::<T>(network, 4);
    let exact = backprop::gradient(network, &w, &sample.0, &sample.1).parameters;
    let mut reference = Synchronous::new(network, w, RATE, adam()).with_numerics(numerics);
    reference_step(&mut reference, plan, Limits::steps(300), &sample);
    let found = reference.estimate();
    let pairs = found.iter().zip(&exact).flat_map(|(f, e)| f.numbers().zip(e.numbers()));
    let [dot, ff, ee] = pairs.fold([0.0; 3], |[dot, ff, ee], (f, e)| {
        let (f, e) = (-f.wide(), e.wide());
        [dot + f * e, ff + f * f, ee + e * e]
    });
    // An estimate that is zero throughout has no direction at all.
    if ff == 0.0 { 1.0 } else { 1.0 - dot / (ff * ee).sqrt() }
}

#[test]
fn narrow_messages_cost_accuracy_in_states_and_less_in_deviations() {
    let network = spec(&[12, 20, 16, 5], Activation::Tanh, Loss::CrossEntropy);
    let [states, deviations] = coding(0.01, &network);
    let exact = angle::<f64>(&states, &network, Numerics::default());
    assert!(exact < 1e-6, "{exact:e}");
    // Single precision is no loss at this λ, and 24 bits of fixed point are about as good.
    let single = angle::<f32>(&states, &network, Numerics::default());
    let fixed = angle::<f64>(&states, &network, rounded("fixed:24:20", "fixed:24:20"));
    assert!(single < 1e-4 && fixed < 1e-2, "{single:e} {fixed:e}");
    for narrow in ["bf16", "fp8-e4m3", "fp8-e5m2", "fixed:8"] {
        let numerics = rounded("exact", narrow);
        let [in_states, in_deviations] = [&states, &deviations].map(|plan| angle::<f64>(plan, &network, numerics));
        assert!(in_states > 100.0 * exact, "{narrow}: {in_states:e}");
        assert!(in_deviations < 0.5 * in_states, "{narrow}: deviations {in_deviations:e}, states {in_states:e}");
    }
    let [bf16, fp8] = ["bf16", "fp8-e5m2"].map(|narrow| angle::<f64>(&deviations, &network, rounded("exact", narrow)));
    assert!(bf16 < fp8, "fewer bits are worse: {bf16:e} {fp8:e}");
}

/// On a coarse grid no state gets to where its drive is zero: the phase ends otherwise, and every state stands on the grid.
#[test]
fn a_coarse_grid_is_never_called_settled() {
    let network = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    let [plan, _] = coding(0.5, &network);
    let limits = Limits { steps_max: 2000, tolerance: 1e-6, check_every: 10, plateau: 1e-9 };
    let sample = batch::<f64>(&network, 8, 2);
    let stands = |states: &[Field<f64>]| {
        assert!(states[1..3].iter().flatten().all(|x| (x * 16.0).fract() == 0.0), "multiples of 1/16: {states:?}");
    };
    for (numerics, settles) in [(rounded("fixed:8", "exact"), false), (Numerics::default(), true)] {
        let mut reference = Synchronous::new(&network, weights(&network, 2), RATE, adam()).with_numerics(numerics);
        let mut records = vec![reference_step(&mut reference, &plan, limits, &sample)];
        let mut states = vec![reference.states()];
        for schedule in [Schedule::LockStep, Schedule::FreeRunning] {
            let chosen = EngineSettings { numerics, ..settings(schedule, 1, Message::ErrorEcho) };
            let mut engine = Engine::new(&network, weights(&network, 2), chosen).expect("engine");
            records.push(engine_step(&mut engine, &plan, limits, &sample));
            states.push(engine_states(&mut engine));
        }
        for record in records.iter().flat_map(|records| &records[1..]) {
            assert_eq!(record.reason == StopReason::Settled, settles, "{numerics:?}: {:?}", record.reason);
            assert_eq!(record.residual() <= limits.tolerance, settles, "{numerics:?}: {}", record.residual());
        }
        if !settles {
            states.iter().for_each(|states| stands(states));
        }
    }
}

#[test]
fn free_running_layers_with_rounded_messages_end_near_the_reference() {
    let network = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    let limits = Limits { steps_max: 3000, tolerance: 1e-6, check_every: 10, plateau: 1e-9 };
    for message in [Message::ErrorEcho, Message::Error, Message::State] {
        for plan in coding(0.5, &network) {
            let sample = batch::<f64>(&network, 8, 3);
            let numerics = rounded("exact", "bf16");
            let mut reference = Synchronous::new(&network, weights(&network, 3), RATE, adam()).with_numerics(numerics);
            reference_step(&mut reference, &plan, limits, &sample);
            let chosen = EngineSettings { numerics, ..settings(Schedule::FreeRunning, 2, message) };
            let mut engine = Engine::new(&network, weights(&network, 3), chosen).expect("engine");
            engine_step(&mut engine, &plan, limits, &sample);
            let apart =
                |(a, b): (&Field<f64>, &Field<f64>)| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let apart = reference.states().iter().zip(&engine_states(&mut engine)).map(apart).fold(0.0, f64::max);
            // Eight bits of currents and errors of order one.
            assert!(apart < 0.03, "{message:?}: {apart}");
        }
    }
}

/// Noise is a function of the batch's number: a program that begins at batch 3 meets the noise of one that began at 1.
#[test]
fn a_run_that_begins_in_the_middle_has_the_same_noise() {
    let network = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    let [plan, _] = coding(0.1, &network);
    let (numerics, limits) = (noisy(0.02, 0.02), Limits::steps(12));
    let new = || Synchronous::<f32>::new(&network, weights(&network, 5), RATE, adam()).with_numerics(numerics);
    let estimate = |reference: &mut Synchronous<f32>, seed| {
        reference_step(reference, &plan, limits, &batch(&network, 5, seed));
        reference.estimate()
    };
    let mut whole = new();
    let estimates = [1, 2, 3].map(|seed| estimate(&mut whole, seed));
    let mut late = new();
    late.number(3);
    assert!(estimate(&mut late, 3) == estimates[2]);
    assert!(estimate(&mut new(), 3) != estimates[2], "without its number it is batch 1, with other noise");
    let chosen = EngineSettings { numerics, ..settings(Schedule::LockStep, 1, Message::ErrorEcho) };
    let mut engine = Engine::new(&network, weights(&network, 5), chosen).expect("engine");
    engine.number(3).expect("a number");
    engine_step(&mut engine, &plan, limits, &batch(&network, 5, 3));
    assert!(engine_estimate(&mut engine) == estimates[2], "actors likewise");
}
