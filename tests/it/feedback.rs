//! Feedback weights that are not the weights. Oracles: the tied network when both matrices are the same; a backward pass through
//! `B`, written here from Lillicrap et al. (2016); the synchronous program, bit for bit; the definitions of each kind.

use asynapse::data::dataset::{Sizes, generated};
use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::engine::{Engine, EngineSettings, Schedule};
use asynapse::math::optimizer::{OptimizerKind, OptimizerSpec};
use asynapse::math::{Field, Real};
use asynapse::network::{Feedback, FeedbackKind, FeedbackState, Init, NetworkSpec, Weights};
use asynapse::reference::{Synchronous, backprop};
use asynapse::rule::{FreePhase, Plan, RuleName};
use asynapse::settling::{Limits, StopReason};
use asynapse::signal::{Extract, Message, Wanted};
use ndarray::Axis;

use crate::common::{
    RATE, adam, batch, distance, engine_estimate, engine_states, engine_step, engine_weights, norm, plan,
    reference_step, settings, spec, weights,
};

const KINDS: [FeedbackKind; 3] = [FeedbackKind::Random, FeedbackKind::SignSymmetric, FeedbackKind::KolenPollack];

fn with(network: &NetworkSpec, kind: FeedbackKind) -> NetworkSpec {
    network.clone().with_feedback(Feedback { kind, init: Init::TorchLinear, seed: 21 })
}

/// One network of each energy, with a plan and limits.
fn networks() -> Vec<(NetworkSpec, Plan, Limits)> {
    let limits = Limits { steps_max: 40, tolerance: 1e-5, check_every: 7, plateau: 1e-9 };
    let coding = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    let first = plan(RuleName::FirstStep, &coding, 1.0, FreePhase::Forward);
    let nudge = plan(RuleName::PcNudge, &coding, 0.1, FreePhase::Relax);
    let hopfield = spec(&[6, 8, 7, 4], Activation::HardSigmoid, Loss::SquaredError)
        .with_energy(EnergyKind::Hopfield)
        .expect("bounded");
    let ep = plan(RuleName::Ep, &hopfield, 0.2, FreePhase::Relax);
    let rate = spec(&[6, 8, 7, 4], Activation::Sigmoid, Loss::SquaredError)
        .with_energy(EnergyKind::Rate)
        .and_then(|network| network.with_feedback_gain(0.3))
        .expect("a rate network");
    let chl = plan(RuleName::Chl, &rate, 1.0, FreePhase::Persistent);
    vec![(coding.clone(), first, limits), (coding, nudge, limits), (hopfield, ep, limits), (rate, chl, limits)]
}

fn engine<T: Real>(network: &NetworkSpec, seed: u64, optimizer: OptimizerSpec) -> Engine<T> {
    let chosen = EngineSettings { optimizer, ..settings(Schedule::LockStep, 2, Message::ErrorEcho) };
    Engine::new(network, weights(network, seed), chosen).expect("engine")
}

fn engine_feedback<T: Real>(engine: &mut Engine<T>) -> Vec<FeedbackState<T>> {
    let extracts = engine.extract(Wanted::Feedback).expect("feedback weights");
    extracts.into_iter().filter_map(|e| if let Extract::Feedback(state) = e { Some(state) } else { None }).collect()
}

fn decaying(kind: OptimizerKind) -> OptimizerSpec {
    OptimizerSpec { kind, momentum: 0.9, weight_decay: 0.02, ..OptimizerSpec::sgd(0.1) }
}

fn bits_agree<T: Real>(network: &NetworkSpec, plan: &Plan, limits: Limits) {
    let optimizer = decaying(OptimizerKind::Adamw);
    let mut reference = Synchronous::new(network, weights::<T>(network, 4), RATE, optimizer);
    let mut engine = engine::<T>(network, 4, optimizer);
    for (step, size) in [4, 1, 9, 9].into_iter().enumerate() {
        let sample = batch::<T>(network, size, step as u64);
        let expected = reference_step(&mut reference, plan, limits, &sample);
        let records = engine_step(&mut engine, plan, limits, &sample);
        for (expected, record) in expected.iter().zip(&records) {
            assert_eq!((expected.reason, expected.steps()), (record.reason, record.steps()), "{plan:?}");
            assert_eq!(expected.energy().to_bits(), record.energy().to_bits(), "{plan:?}");
            assert_eq!(expected.residual().to_bits(), record.residual().to_bits(), "{plan:?}");
        }
        assert_eq!(reference.states(), engine_states(&mut engine), "{plan:?} step {step}");
        reference.learn();
        engine.learn().expect("learn");
        assert!(*reference.weights() == engine_weights(&mut engine), "weights, {plan:?} step {step}");
        assert!(reference.feedback() == engine_feedback(&mut engine), "feedback weights, {plan:?} step {step}");
    }
}

#[test]
fn layers_agree_with_the_synchronous_program_bit_for_bit_for_every_kind_and_energy() {
    for (network, plan, limits) in networks() {
        for kind in KINDS {
            bits_agree::<f32>(&with(&network, kind), &plan, limits);
            bits_agree::<f64>(&with(&network, kind), &plan, limits);
        }
    }
}

#[test]
fn feedback_through_a_copy_of_the_weights_is_tied_feedback() {
    for (network, plan, limits) in networks() {
        let limits = Limits { tolerance: 0.0, ..limits };
        let optimizer = decaying(OptimizerKind::Momentum);
        let mut tied = engine::<f64>(&network, 2, optimizer);
        // W and B get the same updates, so they stay the same.
        let mut copied = engine::<f64>(&with(&network, FeedbackKind::KolenPollack), 2, optimizer);
        let drawn = engine_feedback(&mut copied);
        let initial = weights::<f64>(&network, 2);
        let copies = drawn.into_iter().zip(&initial[1..]).map(|(state, parameters)| {
            assert_ne!(state.matrix, parameters.weights, "it is drawn from a stream of its own");
            Extract::Feedback(FeedbackState { matrix: parameters.weights.clone(), ..state })
        });
        copied.install(std::iter::once(Extract::Nothing).chain(copies).collect()).expect("a copy");
        for step in 0..5 {
            let sample = batch::<f64>(&network, 6, step);
            engine_step(&mut tied, &plan, limits, &sample);
            engine_step(&mut copied, &plan, limits, &sample);
            assert_eq!(engine_states(&mut tied), engine_states(&mut copied), "{plan:?} step {step}");
            tied.learn().expect("learn");
            copied.learn().expect("learn");
        }
        assert!(engine_weights(&mut tied) == engine_weights(&mut copied), "{plan:?}");
    }
}

/// δ_l = f'(a_l) ⊙ B_{l+1}ᵀ δ_{l+1}, from the output's error p − T.
fn aligned_gradient(
    network: &NetworkSpec,
    w: &Weights<f64>,
    b: &[FeedbackState<f64>],
    (data, target): &(Field<f64>, Field<f64>),
) -> Weights<f64> {
    let (depth, size) = (network.depth(), data.ncols() as f64);
    let mut x = vec![data.clone()];
    for (l, p) in (1..).zip(w) {
        let bias = Field::from_shape_fn((p.bias.len(), 1), |(i, _)| p.bias[i]);
        let a = p.weights.dot(&x[l - 1]) + bias;
        x.push(if l < depth { a.mapv(f64::tanh) } else { a });
    }
    let exponentials = x[depth].mapv(f64::exp);
    let sums = exponentials.sum_axis(Axis(0)).insert_axis(Axis(0));
    let mut delta = exponentials / sums - target;
    let mut gradient = w.clone();
    for l in (1..=depth).rev() {
        gradient[l - 1].weights = delta.dot(&x[l - 1].t()) / size;
        gradient[l - 1].bias = (delta.sum_axis(Axis(1)) / size).to_vec();
        if l > 1 {
            delta = b[l - 2].matrix.t().dot(&delta) * x[l - 1].mapv(|x| 1.0 - x * x);
        }
    }
    gradient
}

#[test]
fn the_first_step_is_feedback_alignment_and_not_backpropagation() {
    let tied = spec(&[6, 8, 7, 6, 4], Activation::Tanh, Loss::CrossEntropy);
    let plan = plan(RuleName::FirstStep, &tied, 1.0, FreePhase::Forward);
    for kind in KINDS {
        let network = with(&tied, kind);
        let (w, sample) = (weights::<f64>(&network, 3), batch::<f64>(&network, 5, 3));
        let mut reference = Synchronous::new(&network, w.clone(), RATE, adam());
        let expected = aligned_gradient(&network, &w, &reference.feedback(), &sample);
        let exact = backprop::gradient(&network, &w, &sample.0, &sample.1).parameters;
        assert!(distance(&expected, &exact, 1.0) / norm(&exact) > 0.1, "{kind:?}: B is not W");
        reference_step(&mut reference, &plan, Limits::steps(9), &sample);
        let far = distance(&reference.estimate(), &expected, -1.0) / norm(&expected);
        assert!(far < 1e-12, "reference, {kind:?}: {far}");
        for schedule in [Schedule::LockStep, Schedule::FreeRunning] {
            let chosen = settings(schedule, 2, Message::ErrorEcho);
            let mut engine = Engine::new(&network, w.clone(), chosen).expect("engine");
            engine_step(&mut engine, &plan, Limits::steps(9), &sample);
            let far = distance(&engine_estimate(&mut engine), &expected, -1.0) / norm(&expected);
            assert!(far < 1e-12, "{schedule:?}, {kind:?}: {far}");
        }
    }
}

#[test]
fn free_running_layers_come_to_the_fixed_point_of_the_synchronous_program() {
    let hopfield =
        spec(&[6, 7, 4], Activation::Sigmoid, Loss::SquaredError).with_energy(EnergyKind::Hopfield).expect("bounded");
    let coding = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    for (tied, rule, free) in
        [(coding, RuleName::PcNudge, FreePhase::Forward), (hopfield, RuleName::Ep, FreePhase::Relax)]
    {
        for kind in KINDS {
            let network = with(&tied, kind);
            let (plan, sample) = (plan(rule, &network, 0.2, free), batch::<f64>(&network, 4, 8));
            let mut reference = Synchronous::new(&network, weights(&network, 8), RATE, adam());
            reference_step(&mut reference, &plan, Limits::tolerance(1e-11, 100_000), &sample);
            for message in [Message::ErrorEcho, Message::Error] {
                let chosen = settings(Schedule::FreeRunning, 2, message);
                let mut engine = Engine::new(&network, weights(&network, 8), chosen).expect("engine");
                for record in engine_step(&mut engine, &plan, Limits::tolerance(1e-8, 1_000_000), &sample) {
                    assert!(matches!(record.reason, StopReason::Settled | StopReason::Wave), "{kind:?} {record:?}");
                }
                let far = distance(&engine_estimate(&mut engine), &reference.estimate(), 1.0);
                assert!(far < 1e-6, "{rule:?} {kind:?} {message:?}: {far}");
            }
        }
    }
}

#[test]
fn sign_symmetric_feedback_has_the_signs_of_the_weights_and_its_own_magnitudes() {
    let network = with(&spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy), FeedbackKind::SignSymmetric);
    let plan = plan(RuleName::FirstStep, &network, 1.0, FreePhase::Forward);
    let mut engine = engine::<f64>(&network, 6, OptimizerSpec::sgd(0.5));
    let magnitudes = |engine: &mut Engine<f64>| {
        engine_feedback(engine).iter().map(|state| state.matrix.mapv(f64::abs)).collect::<Vec<_>>()
    };
    let (before, initial) = (magnitudes(&mut engine), engine_weights(&mut engine));
    for step in 0..40 {
        engine_step(&mut engine, &plan, Limits::steps(9), &batch(&network, 8, step));
        engine.learn().expect("learn");
    }
    let learnt = engine_weights(&mut engine);
    let mut turned = 0;
    for (state, (now, then)) in engine_feedback(&mut engine).iter().zip(learnt[1..].iter().zip(&initial[1..])) {
        for (b, (w, w0)) in state.matrix.iter().zip(now.weights.iter().zip(&then.weights)) {
            assert_eq!(b.signum(), w.signum(), "B = {b}, W = {w}");
            turned += usize::from(w.signum() != w0.signum());
        }
    }
    assert!(turned > 5, "weights have changed their signs: {turned}");
    assert_eq!(before, magnitudes(&mut engine));
}

fn angle<'a>(a: impl Iterator<Item = &'a f64> + Clone, b: impl Iterator<Item = &'a f64> + Clone) -> f64 {
    let dot: f64 = a.clone().zip(b.clone()).map(|(a, b)| a * b).sum();
    let size = |numbers: &mut dyn Iterator<Item = &'a f64>| numbers.map(|n| n * n).sum::<f64>().sqrt();
    (dot / (size(&mut a.clone()) * size(&mut b.clone()))).acos().to_degrees()
}

/// `‖W − B‖` shrinks by exactly `1 − ηω` an update (Kolen & Pollack 1994), so the angle falls to nothing.
#[test]
fn kolen_pollack_feedback_meets_the_weights() {
    let network = with(&spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy), FeedbackKind::KolenPollack);
    let plan = plan(RuleName::FirstStep, &network, 1.0, FreePhase::Forward);
    let optimizer = decaying(OptimizerKind::Sgd);
    let mut reference = Synchronous::new(&network, weights::<f64>(&network, 6), RATE, optimizer);
    let apart = |reference: &mut Synchronous<f64>, l: usize| {
        let b = reference.feedback()[l - 2].matrix.clone();
        let w = &reference.weights()[l - 1].weights;
        (angle(w.iter(), b.iter()), (w - &b).mapv(|d| d * d).sum().sqrt())
    };
    let before = [2, 3].map(|l| apart(&mut reference, l));
    let updates = 2000;
    for step in 0..updates {
        reference_step(&mut reference, &plan, Limits::steps(9), &batch(&network, 8, step % 10));
        reference.learn();
    }
    for (l, before) in [2, 3].into_iter().zip(before) {
        let after = apart(&mut reference, l);
        assert!(before.0 > 60.0 && after.0 < 5.0, "layer {l}: {before:?} then {after:?}");
        let expected = before.1 * (1.0_f64 - 0.1 * 0.02).powi(updates as i32);
        assert!((after.1 / expected - 1.0).abs() < 1e-8, "layer {l}: {} and by the theorem {expected}", after.1);
    }
}

/// Feedback alignment: the forward weights turn until the random feedback points downhill.
#[test]
fn fixed_random_feedback_learns_digits_and_its_estimate_turns_towards_backpropagation() {
    let splits = generated(0, Sizes { train: 1000, validation: 0, test: 200 });
    let network = with(&spec(&[784, 32, 10], Activation::Tanh, Loss::CrossEntropy), FeedbackKind::Random);
    let plan = plan(RuleName::FirstStep, &network, 1.0, FreePhase::Forward);
    let mut reference = Synchronous::new(&network, weights::<f64>(&network, 0), RATE, OptimizerSpec::sgd(0.1));
    let everything: Vec<usize> = (0..splits.test.len()).collect();
    let test = splits.test.batch::<f64>(&everything);
    let hidden = |reference: &mut Synchronous<f64>| {
        reference_step(reference, &plan, Limits::steps(9), &test);
        let exact = backprop::gradient(&network, reference.weights(), &test.0, &test.1);
        let downhill = exact.parameters[0].weights.mapv(|g| -g);
        let accuracy = exact.score.correct as f64 / test.0.ncols() as f64;
        (angle(reference.estimate()[0].weights.iter(), downhill.iter()), accuracy)
    };
    let before = hidden(&mut reference);
    for epoch in 0..8 {
        for samples in splits.train.order(true, 0, epoch).chunks(20) {
            reference_step(&mut reference, &plan, Limits::steps(9), &splits.train.batch(samples));
            reference.learn();
        }
    }
    let after = hidden(&mut reference);
    assert!((before.0 - 90.0).abs() < 20.0, "random directions are nearly orthogonal: {before:?}");
    assert!(after.0 < 70.0 && after.1 > 0.6, "{before:?} then {after:?}");
}
