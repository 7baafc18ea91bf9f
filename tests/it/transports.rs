//! Oracle: another transport, and the synchronous program. Links that carry bytes, within one process and between workers with
//! sockets of their own, against mailboxes, bit for bit; and the equilibrium where nobody waits. The workers here are threads that
//! run what a worker process runs; processes themselves are in `tests/it/cli`.

use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::engine::transport::Transport;
use asynapse::engine::{Engine, EngineError, EngineSettings, Schedule};
use asynapse::math::optimizer::OptimizerSpec;
use asynapse::math::{Numerics, Real};
use asynapse::network::{Feedback, FeedbackKind, Grouping, Init, NetworkSpec, Weights};
use asynapse::process::endpoint::Endpoint;
use asynapse::process::placement::Placement;
use asynapse::process::worker::{self, WorkerOptions};
use asynapse::process::{Crew, ProcessError, Source, launch};
use asynapse::reference::Synchronous;
use asynapse::rule::{FreePhase, Nudging, Plan, RuleName};
use asynapse::settling::{Limits, StopReason};
use asynapse::signal::{Message, Reading, Wanted};
use asynapse::wire::handshake::Secret;
use proptest::prelude::*;

use crate::common::{
    RATE, adam, batch, engine_states, engine_step, engine_weights, reference_step, settings, spec, weights,
};

pub(crate) const SECRET: [u8; 32] = [7; 32];

/// An engine whose layers live with workers on threads of this process, and those threads.
pub(crate) struct Spread<T: Real> {
    pub(crate) engine: Engine<T>,
    threads: Vec<JoinHandle<Result<(), ProcessError>>>,
}

impl<T: Real> Spread<T> {
    /// Ends the engine; the workers end by themselves.
    pub(crate) fn end(self) -> Vec<Result<(), ProcessError>> {
        drop(self.engine);
        self.threads.into_iter().map(|thread| thread.join().expect("a worker without a panic")).collect()
    }
}

/// A port nobody uses now.
pub(crate) fn tcp() -> Endpoint {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    Endpoint::Tcp(listener.local_addr().expect("an address"))
}

pub(crate) fn unix(folder: &Path) -> Endpoint {
    Endpoint::Unix(folder.join("coordinator.sock"))
}

/// Calls again until somebody listens.
pub(crate) fn start_worker(connect: Endpoint, threads: usize) -> JoinHandle<Result<(), ProcessError>> {
    thread::spawn(move || {
        let options = WorkerOptions { connect, threads, owns_process: false };
        for _ in 0..400 {
            match worker::run(&options, &Secret::new(SECRET)).outcome {
                Err(ProcessError::Call { .. }) => thread::sleep(Duration::from_millis(5)),
                ended => return ended.map(drop),
            }
        }
        panic!("nobody listens");
    })
}

pub(crate) fn crew(placement: Placement, listen: Endpoint) -> Crew {
    let patience = Duration::from_secs(30);
    Crew {
        placement,
        batch_most: 64,
        source: Source::Callers { listen, secret: Secret::new(SECRET), patience },
        laws: None,
        generation: 1,
    }
}

pub(crate) fn spread<T: Real>(
    network: &NetworkSpec,
    initial: Weights<T>,
    schedule: Schedule,
    (placement, listen): (Placement, Endpoint),
    (threads, optimizer): (usize, OptimizerSpec),
) -> Spread<T> {
    let workers = (0..placement.workers()).map(|_| start_worker(listen.clone(), threads)).collect();
    let chosen = EngineSettings { optimizer, ..settings(schedule, threads, Message::ErrorEcho) };
    let engine = launch(network, initial, chosen, &crew(placement, listen)).expect("workers");
    Spread { engine, threads: workers }
}

/// What a family member is, with the plan it is trained by.
fn family() -> Vec<(&'static str, NetworkSpec, Plan, Limits)> {
    let pc = spec(&[7, 9, 6, 5, 3], Activation::Tanh, Loss::CrossEntropy);
    let squared = spec(&[7, 9, 6, 5, 3], Activation::HardSigmoid, Loss::SquaredError);
    let hopfield = squared.clone().with_energy(EnergyKind::Hopfield).expect("an energy");
    let rate = spec(&[7, 9, 6, 5, 3], Activation::Tanh, Loss::SquaredError).with_energy(EnergyKind::Rate);
    let rate = rate.and_then(|network| network.with_feedback_gain(0.5)).expect("an energy");
    let named = |rule, network: &NetworkSpec, nudging, free| {
        Plan::named(rule, network, 0.1, nudging, free).expect("a plan").expect("phases")
    };
    let feedback = |kind| pc.clone().with_feedback(Feedback { kind, init: Init::TorchLinear, seed: 21 });
    let [signs, learned] = [FeedbackKind::SignSymmetric, FeedbackKind::KolenPollack].map(feedback);
    let precise = pc.clone().with_learned_precision(0.1).expect("precisions");
    let continual = named(RuleName::Ep, &hopfield, Nudging::OneSided, FreePhase::Relax);
    let continual = continual.continually(RuleName::Ep, &hopfield, &OptimizerSpec::sgd(0.1)).expect("a plan");
    let nudge = named(RuleName::PcNudge, &pc, Nudging::OneSided, FreePhase::Forward);
    let deviations = Plan::in_deviations(RuleName::PcNudge, &pc, 0.1, Nudging::Symmetric, FreePhase::Forward);
    let deviations = deviations.expect("a plan").expect("phases");
    let fixed = Limits::steps(12);
    let until = Limits { steps_max: 60, tolerance: 1e-3, check_every: 7, plateau: 1e-9 };
    vec![
        ("pc-nudge", pc.clone(), named(RuleName::PcNudge, &pc, Nudging::OneSided, FreePhase::Forward), fixed),
        ("pc-nudge relax", pc.clone(), named(RuleName::PcNudge, &pc, Nudging::Symmetric, FreePhase::Relax), until),
        ("deviations", pc.clone(), deviations, until),
        ("signs of the weights come down", signs, nudge.clone(), fixed),
        ("feedback learns", learned, nudge.clone(), fixed),
        ("precisions learn", precise, nudge, fixed),
        ("ep continual", hopfield.clone(), continual, fixed),
        ("pc-clamped", pc.clone(), named(RuleName::PcClamped, &pc, Nudging::OneSided, FreePhase::Persistent), until),
        ("first-step", pc.clone(), named(RuleName::FirstStep, &pc, Nudging::OneSided, FreePhase::Forward), fixed),
        ("ep", hopfield.clone(), named(RuleName::Ep, &hopfield, Nudging::Symmetric, FreePhase::Relax), fixed),
        (
            "ep persistent",
            hopfield.clone(),
            named(RuleName::Ep, &hopfield, Nudging::OneSided, FreePhase::Persistent),
            until,
        ),
        ("chl", hopfield.clone(), named(RuleName::Chl, &hopfield, Nudging::OneSided, FreePhase::Relax), fixed),
        ("chl rate", rate.clone(), named(RuleName::Chl, &rate, Nudging::OneSided, FreePhase::Relax), fixed),
    ]
}

/// Continual updates are those of plain gradient descent.
fn optimizer(plan: &Plan) -> OptimizerSpec {
    let continual = plan.phases.iter().any(|phase| matches!(phase.reading, Reading::Continual(_)));
    if continual { OptimizerSpec::sgd(0.1) } else { adam() }
}

/// Trains by reference and by engine and compares everything, every step.
pub(crate) fn same_bits<T: Real>(
    engine: &mut Engine<T>,
    (network, plan, limits): (&NetworkSpec, &Plan, Limits),
    initial: Weights<T>,
    (steps, what): (usize, &str),
) {
    let reference = Synchronous::new(network, initial, RATE, optimizer(plan));
    same_bits_as(reference, engine, (network, plan, limits), (steps, what));
}

fn same_bits_as<T: Real>(
    mut reference: Synchronous<T>,
    engine: &mut Engine<T>,
    (network, plan, limits): (&NetworkSpec, &Plan, Limits),
    (steps, what): (usize, &str),
) {
    for step in 0..steps {
        let sample = batch::<T>(network, [5, 1, 16][step % 3], step as u64);
        let expected = reference_step(&mut reference, plan, limits, &sample);
        let records = engine_step(engine, plan, limits, &sample);
        for (expected, record) in expected.iter().zip(&records) {
            assert_eq!((expected.reason, expected.steps()), (record.reason, record.steps()), "{what}, step {step}");
            assert_eq!(expected.energy().to_bits(), record.energy().to_bits(), "{what}: energy at step {step}");
        }
        if step % 10 == 0 {
            assert_eq!(reference.states(), engine_states(engine), "{what}: states at step {step}");
        }
        reference.learn();
        engine.learn().expect("learn");
    }
    assert!(*reference.weights() == engine_weights(engine), "{what}: final weights");
}

#[test]
fn every_rule_has_the_references_bits_on_every_transport() {
    for (name, network, plan, limits) in family() {
        for transport in [Transport::Bytes, Transport::Unix, Transport::Tcp] {
            for threads in [1, 2] {
                let initial = weights::<f32>(&network, 3);
                let chosen = settings(Schedule::LockStep, threads, Message::ErrorEcho);
                let chosen = EngineSettings { optimizer: optimizer(&plan), ..chosen };
                let engine = Engine::with_transport(&network, initial.clone(), chosen, transport);
                let what = format!("{name} on {transport}, {threads} threads");
                same_bits(&mut engine.expect("an engine"), (&network, &plan, limits), initial, (9, &what));
            }
        }
    }
}

#[test]
fn every_rule_has_the_references_bits_with_three_workers() {
    for (name, network, plan, limits) in family() {
        for over_tcp in [false, true] {
            let folder = tempfile::tempdir().expect("a folder");
            let listen = if over_tcp { tcp() } else { unix(folder.path()) };
            let placement = Placement::auto(&network, 3).expect("a placement");
            let initial = weights::<f64>(&network, 3);
            let what = format!("{name} at {listen}");
            let mut spread =
                spread(&network, initial.clone(), Schedule::LockStep, (placement, listen), (1, optimizer(&plan)));
            same_bits(&mut spread.engine, (&network, &plan, limits), initial, (9, &what));
            assert!(spread.end().iter().all(Result::is_ok), "workers end well");
            assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "sockets are gone");
        }
    }
}

/// bf16 signals, then noise on everything as well, from batch 41 on: every layer is told its number.
#[test]
fn limited_precision_has_the_references_bits_on_every_transport_and_with_three_workers() {
    let network = spec(&[7, 9, 6, 5, 3], Activation::Tanh, Loss::CrossEntropy);
    let plan = crate::common::plan(RuleName::PcNudge, &network, 0.1, FreePhase::Forward);
    let rounded = Numerics { messages: "bf16".parse().expect("a format"), ..Numerics::default() };
    let noisy = Numerics { state_noise: 0.01, message_noise: 0.02, seed: 5, ..rounded };
    for numerics in [rounded, noisy] {
        let initial = weights::<f32>(&network, 3);
        let check = |engine: &mut Engine<f32>, what: &str| {
            let reference = Synchronous::new(&network, initial.clone(), RATE, adam());
            let mut reference = reference.with_numerics(numerics);
            reference.number(41);
            engine.number(41).expect("a number");
            let what = format!("{what}, {numerics:?}");
            same_bits_as(reference, engine, (&network, &plan, Limits::steps(12)), (9, &what));
        };
        let chosen = EngineSettings { numerics, ..settings(Schedule::LockStep, 1, Message::ErrorEcho) };
        for transport in [Transport::Bytes, Transport::Unix, Transport::Tcp] {
            let engine = Engine::with_transport(&network, initial.clone(), chosen, transport);
            check(&mut engine.expect("an engine"), &transport.to_string());
        }
        let folder = tempfile::tempdir().expect("a folder");
        let listen = unix(folder.path());
        let workers: Vec<_> = (0..3).map(|_| start_worker(listen.clone(), 1)).collect();
        let placement = Placement::auto(&network, 3).expect("a placement");
        let mut engine = launch(&network, initial.clone(), chosen, &crew(placement, listen)).expect("workers");
        check(&mut engine, "three workers");
        drop(engine);
        workers.into_iter().for_each(|worker| worker.join().expect("a worker").expect("a good end"));
    }
}

#[test]
fn weights_are_the_references_after_1000_steps_on_three_workers() {
    let network = spec(&[12, 10, 8, 4], Activation::Relu, Loss::CrossEntropy);
    let plan = crate::common::plan(RuleName::PcNudge, &network, 0.05, FreePhase::Forward);
    let folder = tempfile::tempdir().expect("a folder");
    for listen in [unix(folder.path()), tcp()] {
        let initial = weights::<f32>(&network, 1);
        let placement = Placement::auto(&network, 3).expect("a placement");
        let mut spread = spread(&network, initial.clone(), Schedule::LockStep, (placement, listen), (1, adam()));
        same_bits(&mut spread.engine, (&network, &plan, Limits::steps(20)), initial, (1000, "1000 steps"));
        spread.end();
    }
}

/// Lists of layers: a worker for every layer, then renumbered so that none is empty.
fn partition(homes: &[usize]) -> Placement {
    let mut parts: Vec<Vec<usize>> = vec![Vec::new(); homes.len()];
    homes.iter().enumerate().for_each(|(layer, &home)| parts[home].push(layer));
    parts.retain(|part| !part.is_empty());
    Placement::explicit(&parts, homes.len()).expect("a partition")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_partition_over_workers_and_threads_has_the_same_bits(
        homes in prop::collection::vec(0_usize..6, 6),
        threads in 1_usize..=2,
        over_tcp in any::<bool>(),
        seed in 0_u64..1000,
    ) {
        let network = spec(&[6, 5, 7, 4, 6, 3], Activation::Softplus, Loss::CrossEntropy);
        let plan = crate::common::plan(RuleName::PcNudge, &network, 0.1, FreePhase::Relax);
        let folder = tempfile::tempdir().expect("a folder");
        let listen = if over_tcp { tcp() } else { unix(folder.path()) };
        let initial = weights::<f32>(&network, seed);
        let placement = partition(&homes);
        let what = format!("{placement}");
        let mut spread = spread(&network, initial.clone(), Schedule::LockStep, (placement, listen), (threads, adam()));
        same_bits(&mut spread.engine, (&network, &plan, Limits::steps(7)), initial, (4, &what));
        spread.end();
    }
}

#[test]
fn free_running_workers_settle_at_the_equilibrium() {
    let network = spec(&[6, 8, 7, 3], Activation::Tanh, Loss::CrossEntropy);
    let plan = crate::common::plan(RuleName::PcNudge, &network, 0.1, FreePhase::Forward);
    let limits = Limits::tolerance(1e-8, 200_000);
    let folder = tempfile::tempdir().expect("a folder");
    for (message, listen) in
        [(Message::ErrorEcho, unix(folder.path())), (Message::State, tcp()), (Message::Error, unix(folder.path()))]
    {
        let initial = weights::<f64>(&network, 5);
        let mut reference = Synchronous::new(&network, initial.clone(), RATE, adam());
        let placement = Placement::auto(&network, 3).expect("a placement");
        let workers: Vec<_> = (0..3).map(|_| start_worker(listen.clone(), 1)).collect();
        let chosen = settings(Schedule::FreeRunning, 1, message);
        let mut engine = launch(&network, initial, chosen, &crew(placement, listen)).expect("workers");
        for step in 0..5 {
            let sample = batch::<f64>(&network, 4, step);
            let expected = reference_step(&mut reference, &plan, limits, &sample);
            let records = engine_step(&mut engine, &plan, limits, &sample);
            assert_eq!(records[1].reason, StopReason::Settled, "{message:?}");
            assert_eq!(expected[1].reason, StopReason::Settled);
            for (expected, found) in reference.states().iter().zip(engine_states(&mut engine)) {
                let apart = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                // Both are within the tolerance of a minimum whose curvature is 1 or more.
                assert!(apart < 1e-6, "{message:?}: states {apart:e} apart");
            }
        }
        drop(engine);
        workers.into_iter().for_each(|worker| worker.join().expect("a worker").expect("a good end"));
    }
}

#[test]
fn a_cut_network_is_refused_by_what_joins_whole_layers_in_one_process() {
    let network = spec(&[6, 8, 3], Activation::Tanh, Loss::CrossEntropy).with_groups(Grouping::Count(2));
    let chosen = settings(Schedule::LockStep, 1, Message::ErrorEcho);
    let refused = Engine::with_transport(&network, weights::<f32>(&network, 1), chosen, Transport::Bytes);
    assert!(matches!(refused.map(drop), Err(EngineError::Together)));
    let numerics = Numerics { state_noise: 0.1, ..Numerics::default() };
    let noisy = EngineSettings { numerics, ..chosen };
    let refused = Engine::new(&network, weights::<f32>(&network, 1), noisy);
    assert!(matches!(refused.map(drop), Err(EngineError::ImpreciseGroups)));
}

#[test]
fn a_batch_beyond_what_workers_were_told_is_refused_and_journals_do_not_travel() {
    let network = spec(&[6, 3], Activation::Tanh, Loss::CrossEntropy);
    let placement = Placement::auto(&network, 2).expect("a placement");
    let mut spread = spread(&network, weights::<f32>(&network, 1), Schedule::LockStep, (placement, tcp()), (1, adam()));
    let (data, target) = batch::<f32>(&network, 65, 1);
    let refused = spread.engine.present(&data, &target).expect_err("65 of 64").to_string();
    assert!(refused.contains("65 samples") && refused.contains("64"), "{refused}");
    let refused = spread.engine.extract(Wanted::Journal).map(drop);
    assert!(matches!(refused, Err(EngineError::Journals)), "{refused:?}");
    spread.end();
}
