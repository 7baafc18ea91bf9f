//! Oracle for virtual time in several processes: one queue in one process. Which worker has which layers must not be seen in what
//! happens, in which order, with which numbers. The workers here are threads that run what a worker process runs; processes
//! themselves are in `tests/it/cli`.

use std::thread::JoinHandle;

use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::engine::afar::Distant;
use asynapse::engine::mailbox::Delivery;
use asynapse::engine::virtual_time::links::LinkLaws;
use asynapse::engine::virtual_time::{VirtualNetwork, VirtualSettings};
use asynapse::engine::{EngineError, Schedule};
use asynapse::math::law::{Drawn, Law};
use asynapse::math::random::{Purpose, Stream};
use asynapse::network::{Feedback, FeedbackKind, Grouping, Init, NetworkSpec};
use asynapse::process::placement::Placement;
use asynapse::process::{ProcessError, launch_virtual};
use asynapse::rule::RuleName;
use asynapse::settling::{Limits, StopReason};
use asynapse::signal::Message;

use crate::common::{adam, settings as engine_settings, spec, weights};
use crate::shards::{Trace, rough, settings, trace};
use crate::transports::{crew, start_worker, unix};

type Apart = VirtualNetwork<f64, Distant<f64>>;
type Workers = Vec<JoinHandle<Result<(), ProcessError>>>;

fn apart(
    network: &NetworkSpec,
    settings: &VirtualSettings,
    parts: &[Vec<usize>],
) -> Result<(Apart, Workers), ProcessError> {
    let folder = tempfile::tempdir().expect("a folder");
    let (listen, groups) = (unix(folder.path()), network.group_counts());
    let placement = Placement::of_nodes(parts, &groups).expect("a placement");
    let workers = parts.iter().map(|_| start_worker(listen.clone(), 1)).collect();
    let engine = asynapse::engine::EngineSettings {
        optimizer: adam(),
        ..engine_settings(Schedule::LockStep, 1, settings.message)
    };
    let crew = crew(placement, listen);
    Ok((launch_virtual(network, weights(network, 3), (engine, settings), &crew)?, workers))
}

/// Runs of nodes, at random, dealt to workers in any order.
fn parts(nodes: usize, workers: usize, stream: &mut Stream) -> Vec<Vec<usize>> {
    let mut cuts: Vec<usize> = (1..nodes).collect();
    while cuts.len() > workers - 1 {
        cuts.remove(stream.below(cuts.len()));
    }
    let ends: Vec<usize> = cuts.into_iter().chain([nodes]).collect();
    let mut start = 0;
    let mut parts: Vec<Vec<usize>> =
        ends.into_iter().map(|end| (std::mem::replace(&mut start, end)..end).collect()).collect();
    for last in (1..parts.len()).rev() {
        parts.swap(last, stream.below(last + 1));
    }
    parts
}

/// One process, and workers placed at random.
fn assert_one_and_many(
    network: &NetworkSpec,
    settings: &VirtualSettings,
    what: (RuleName, Limits),
    stream: &mut Stream,
) -> Trace {
    let one = trace(&mut VirtualNetwork::new(network, weights(network, 3), settings), network, what);
    for workers in [2, 3] {
        let parts = parts(network.groups_in_all(), workers, stream);
        let (mut actual, threads) = apart(network, settings, &parts).expect("workers");
        let many = trace(&mut actual, network, what);
        actual.dismiss();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic").expect("a farewell"));
        assert_eq!(one.digest, many.digest, "the log of {parts:?}");
        assert_eq!(one, many, "{parts:?}");
    }
    one
}

#[test]
fn logs_weights_reports_and_counts_are_those_of_one_process_wherever_layers_live() {
    let mut stream = Stream::new(5, Purpose::Trial, 0);
    let delay = Law::Drawn(Drawn::Uniform { low: 0.25, high: 3.0 });
    let chain = spec(&[5, 6, 4, 7, 3, 5], Activation::Tanh, Loss::CrossEntropy);
    let queue = LinkLaws { delivery: Delivery::InOrder, bandwidth: 40.0, threshold: 1e-3, ..rough(delay) };
    let mut reasons = Vec::new();
    for (seed, link) in [(1, rough(delay)), (2, queue)] {
        for what in [
            (RuleName::PcNudge, Limits::steps(40)),
            (RuleName::PcNudge, Limits::tolerance(1e-3, 3000)),
            (RuleName::FirstStep, Limits::steps(40)),
            (RuleName::PcClamped, Limits { steps_max: 4000, tolerance: 1e-14, check_every: 25, plateau: 1e-6 }),
        ] {
            let one = assert_one_and_many(&chain, &settings(seed, 6, link), what, &mut stream);
            assert!(one.events > 300, "{} events", one.events);
            reasons.extend(one.records.iter().map(|record| record.reason));
        }
    }
    for reason in [StopReason::Wave, StopReason::StepBudget, StopReason::Settled, StopReason::Plateau] {
        assert!(reasons.contains(&reason), "no phase ended as {reason:?}: {reasons:?}");
    }
}

#[test]
fn other_energies_messages_and_feedback_do_not_know_their_processes_and_neither_do_phases_that_are_broken_off() {
    let mut stream = Stream::new(6, Purpose::Trial, 0);
    let link = rough(Law::Drawn(Drawn::Gamma { mean: 1.0, shape: 2.0, min: Some(0.125) }));
    let hopfield = spec(&[4, 6, 5, 4, 3], Activation::Sigmoid, Loss::SquaredError);
    let hopfield = hopfield.with_energy(EnergyKind::Hopfield).expect("bounded");
    let drawn = settings(4, 5, link);
    assert_one_and_many(&hopfield, &drawn, (RuleName::Ep, Limits::tolerance(1e-4, 2000)), &mut stream);
    let short = VirtualSettings { events_most: 700, ..drawn.clone() };
    let one = assert_one_and_many(&hopfield, &short, (RuleName::Ep, Limits::tolerance(1e-9, 2000)), &mut stream);
    assert!(one.records.iter().any(|record| record.reason == StopReason::EventBudget), "it is broken off");
    let chain = spec(&[4, 6, 5, 4, 3], Activation::Tanh, Loss::SquaredError);
    let learns = Feedback { kind: FeedbackKind::KolenPollack, init: Init::TorchLinear, seed: 21 };
    let chain = chain.with_feedback(learns);
    for message in [Message::Error, Message::State] {
        let drawn = VirtualSettings { message, ..drawn.clone() };
        assert_one_and_many(&chain, &drawn, (RuleName::PcNudge, Limits::steps(25)), &mut stream);
    }
}

#[test]
fn groups_of_neurons_live_in_several_processes_too() {
    let mut stream = Stream::new(7, Purpose::Trial, 0);
    let link = rough(Law::Drawn(Drawn::Uniform { low: 0.25, high: 2.0 }));
    let network = spec(&[5, 6, 7, 3], Activation::Tanh, Loss::CrossEntropy).with_groups(Grouping::Count(3));
    let drawn = VirtualSettings { message: Message::Error, ..settings(3, 4, link) };
    for limits in [Limits::steps(25), Limits::tolerance(1e-3, 2000)] {
        let one = assert_one_and_many(&network, &drawn, (RuleName::PcNudge, limits), &mut stream);
        assert!(one.events > 300, "{} events", one.events);
    }
}

#[test]
fn a_border_that_may_be_crossed_at_once_and_layers_that_do_not_lie_side_by_side_are_refused() {
    let network = spec(&[4, 5, 6, 3], Activation::Tanh, Loss::SquaredError);
    let mut drawn = settings(9, 4, LinkLaws { delay: Law::Always(0.75), ..LinkLaws::default() });
    drawn.links[1][1] = LinkLaws::default();
    let problem = |parts: &[Vec<usize>]| match apart(&network, &drawn, parts) {
        Err(ProcessError::Placement(problem)) => problem.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("{parts:?} is none"),
    };
    let immediate = problem(&[vec![0, 1], vec![2, 3]]);
    assert!(immediate.contains("layer 2") && immediate.contains("links.delay"), "{immediate}");
    let scattered = problem(&[vec![0, 2], vec![1, 3]]);
    assert!(scattered.contains("worker 0") && scattered.contains("layer 2"), "{scattered}");
}

#[test]
fn a_batch_for_which_no_room_was_made_is_refused_and_workers_notice_the_end() {
    let network = spec(&[4, 5, 3], Activation::Tanh, Loss::SquaredError);
    let late = LinkLaws { delay: Law::Always(1.0), ..LinkLaws::default() };
    let (mut actual, threads) = apart(&network, &settings(1, 3, late), &[vec![0, 1], vec![2]]).expect("workers");
    let (data, target) = crate::common::batch::<f64>(&network, 65, 1);
    let refused = actual.present(&data, &target);
    assert!(matches!(refused, Err(EngineError::Batch { batch: 65, most: 64 })), "{refused:?}");
    drop(actual);
    for thread in threads {
        // Not a farewell: to them it is the death of their coordinator.
        thread.join().expect("no panic").expect("the connection is closed");
    }
}
