//! Oracle for shards and threads: one queue on one thread. What happens, in which order, with which numbers, must not depend on how
//! layers are dealt out.

use std::sync::{Arc, Mutex};

use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::engine::mailbox::Delivery;
use asynapse::engine::virtual_time::clocks::ClockLaws;
use asynapse::engine::virtual_time::kernel::Time;
use asynapse::engine::virtual_time::links::{LinkLaws, Tally};
use asynapse::engine::virtual_time::record::{EventLog, Observer, Passed, Stepped};
use asynapse::engine::virtual_time::shard::Member;
use asynapse::engine::virtual_time::{VirtualNetwork, VirtualSettings};
use asynapse::math::Field;
use asynapse::math::law::{Drawn, Law};
use asynapse::network::{NetworkSpec, Weights};
use asynapse::rule::{FreePhase, RuleName};
use asynapse::settling::{Limits, PhaseRecord, StopReason};
use asynapse::signal::{Extract, Message, Wanted};

use crate::common::{RATE, adam, batch, plan, spec, weights};
use crate::virtual_time::{states, step};

const WAYS: [(usize, usize); 8] = [(1, 1), (2, 1), (3, 1), (7, 1), (1, 2), (2, 2), (3, 2), (7, 2)];

/// Everything that a run leaves behind.
#[derive(Debug, PartialEq)]
pub(crate) struct Trace {
    pub(crate) digest: String,
    pub(crate) events: u64,
    pub(crate) records: Vec<PhaseRecord>,
    states: Vec<Field<f64>>,
    weights: Weights<f64>,
    tallies: Vec<((usize, usize), Tally)>,
    now: Time,
}

pub(crate) fn settings(seed: u64, layers: usize, link: LinkLaws) -> VirtualSettings {
    let clock = ClockLaws {
        period: Law::Drawn(Drawn::LogNormal { mean: 1.0, sd: 0.4, min: None }),
        offset: Law::Drawn(Drawn::Uniform { low: 0.0, high: 1.5 }),
    };
    VirtualSettings {
        seed,
        clocks: vec![clock; layers],
        links: vec![[link; 2]; layers - 1],
        ..VirtualSettings::in_step(layers, Message::ErrorEcho, RATE, adam())
    }
}

pub(crate) fn trained(
    network: &NetworkSpec,
    settings: &VirtualSettings,
    what: (RuleName, Limits),
    (shards, threads): (usize, usize),
) -> Trace {
    let settings = VirtualSettings { shards, threads, ..settings.clone() };
    let mut actual = VirtualNetwork::new(network, weights(network, 3), &settings);
    assert_eq!(actual.shards(), shards.min(network.groups_in_all()), "as many as asked for");
    trace(&mut actual, network, what)
}

/// Three batches, and what is left of them.
pub(crate) fn trace<M: Member<f64> + Send>(
    actual: &mut VirtualNetwork<f64, M>,
    network: &NetworkSpec,
    (rule, limits): (RuleName, Limits),
) -> Trace {
    actual.log_to(EventLog::digest_only());
    let free = if network.energy() == EnergyKind::Hopfield { FreePhase::Relax } else { FreePhase::Forward };
    let plan = plan(rule, network, 0.2, free);
    let mut records = Vec::new();
    for index in 0..3 {
        let sample = batch::<f64>(network, [4, 1, 4][index], index as u64);
        records.extend(step(actual, &plan, limits, &sample));
        // A phase may be broken off before anything was heard; there is nothing to learn from then.
        let _ = actual.learn();
    }
    let extracts = actual.extract(Wanted::Weights).expect("weights").into_iter();
    Trace {
        records,
        states: states(actual),
        weights: extracts.filter_map(|e| if let Extract::Weights(p, _) = e { Some(p) } else { None }).collect(),
        tallies: actual.tallies(),
        now: actual.now(),
        events: actual.events(),
        digest: actual.take_log().expect("a log").digest(),
    }
}

pub(crate) fn assert_one_and_many(
    network: &NetworkSpec,
    settings: &VirtualSettings,
    what: (RuleName, Limits),
) -> Trace {
    let one = trained(network, settings, what, WAYS[0]);
    for way in &WAYS[1..] {
        let many = trained(network, settings, what, *way);
        assert_eq!(one.digest, many.digest, "the log on (shards, threads) = {way:?}");
        assert_eq!(one, many, "on (shards, threads) = {way:?}");
    }
    one
}

pub(crate) fn rough(delay: Law) -> LinkLaws {
    let jitter = Law::Drawn(Drawn::Exponential { mean: 0.5, min: None });
    LinkLaws { delay, jitter, loss: 0.2, duplicate: 0.2, reorder: true, resend: 6.0, ..LinkLaws::default() }
}

/// The criterion: one order of events on 1, 2, 3 and 7 shards by 1 and 2 threads, in every kind of phase; another seed differs.
#[test]
fn logs_weights_and_records_are_the_same_on_any_number_of_shards_and_threads() {
    let delay = Law::Drawn(Drawn::Uniform { low: 0.25, high: 3.0 });
    let chain = spec(&[5, 6, 4, 7, 3, 5, 6, 4], Activation::Tanh, Loss::CrossEntropy);
    let queue = LinkLaws { delivery: Delivery::InOrder, bandwidth: 40.0, threshold: 1e-3, ..rough(delay) };
    let mut reasons = Vec::new();
    for link in [rough(delay), queue] {
        let settings = |seed| settings(seed, 8, link);
        // Steps, a tolerance, a first arrival; and so many that a plateau or the budget ends it.
        for what in [
            (RuleName::PcNudge, Limits::steps(60)),
            (RuleName::PcNudge, Limits::tolerance(1e-3, 3000)),
            (RuleName::FirstStep, Limits::steps(60)),
            (RuleName::PcClamped, Limits { steps_max: 4000, tolerance: 1e-14, check_every: 25, plateau: 1e-6 }),
        ] {
            let one = assert_one_and_many(&chain, &settings(1), what);
            assert!(one.events > 300, "{} events", one.events);
            assert_ne!(one.digest, trained(&chain, &settings(2), what, (3, 2)).digest, "another seed");
            reasons.extend(one.records.iter().map(|record| record.reason));
        }
    }
    for reason in [StopReason::Wave, StopReason::StepBudget, StopReason::Settled, StopReason::Plateau] {
        assert!(reasons.contains(&reason), "no phase ended as {reason:?}: {reasons:?}");
    }
}

#[test]
fn energies_with_an_output_state_and_phases_that_are_broken_off_do_not_know_their_shards() {
    let link = rough(Law::Drawn(Drawn::Gamma { mean: 1.0, shape: 2.0, min: Some(0.125) }));
    let hopfield = spec(&[4, 6, 5, 4, 5, 4, 3], Activation::Sigmoid, Loss::SquaredError);
    let hopfield = hopfield.with_energy(EnergyKind::Hopfield).expect("bounded");
    let settings = settings(4, 7, link);
    assert_one_and_many(&hopfield, &settings, (RuleName::Ep, Limits::tolerance(1e-4, 2000)));
    let short = VirtualSettings { events_most: 900, ..settings };
    let one = assert_one_and_many(&hopfield, &short, (RuleName::Ep, Limits::tolerance(1e-9, 2000)));
    assert!(one.records.iter().any(|record| record.reason == StopReason::EventBudget), "it is broken off");
    // Counted at the end of a period: more than were allowed, and not many more.
    assert!(one.events > 900);
}

/// A shard is cut off only where everything takes some time, and the rest is the same still.
#[test]
fn layers_whose_link_may_deliver_at_once_stay_together() {
    let network = spec(&[4, 5, 6, 5, 4, 3], Activation::Tanh, Loss::SquaredError);
    let late = LinkLaws { delay: Law::Always(0.75), ..rough(Law::ZERO) };
    let at_once = rough(Law::ZERO);
    let mut settings = settings(9, 6, late);
    settings.links[1][1] = at_once;
    settings.links[3] = [at_once; 2];
    let limits = Limits::tolerance(1e-3, 2000);
    let logged = |shards: usize, threads: usize| {
        let settings = VirtualSettings { shards, threads, ..settings.clone() };
        let mut actual = VirtualNetwork::new(&network, weights::<f64>(&network, 3), &settings);
        assert_eq!(actual.shards(), shards.min(4), "three of five links can be cut");
        assert_eq!(actual.lookahead(), (shards > 1).then_some(Time::of(0.75)));
        actual.log_to(EventLog::digest_only());
        let plan = plan(RuleName::PcNudge, &network, 0.2, FreePhase::Forward);
        step(&mut actual, &plan, limits, &batch(&network, 2, 1));
        actual.take_log().expect("a log").digest()
    };
    let one = logged(1, 1);
    for (shards, threads) in [(2, 1), (2, 2), (3, 2), (4, 2), (9, 2)] {
        assert_eq!(logged(shards, threads), one, "{shards} shards");
    }
}

/// Somebody who watches sees one order, whatever the shards, and nobody notices.
#[test]
fn who_watches_sees_the_events_of_all_shards_in_one_order() {
    #[derive(Clone, Default)]
    struct Watch(Arc<Mutex<Vec<(Time, usize, u64)>>>);
    impl Observer<f64> for Watch {
        fn stepped(&mut self, stepped: &Stepped<'_, f64>) {
            self.0.lock().expect("alive").push((stepped.time, stepped.layer, stepped.step));
        }
        fn arrived(&mut self, passed: Passed) {
            self.0.lock().expect("alive").push((passed.time, 100 + passed.to, passed.version));
        }
    }
    let network = spec(&[4, 5, 6, 5, 4, 3], Activation::Tanh, Loss::SquaredError);
    let seen = |shards: usize, watched: bool| {
        let settings = VirtualSettings { shards, threads: 2, ..settings(9, 6, rough(Law::Always(0.5))) };
        let mut actual = VirtualNetwork::new(&network, weights::<f64>(&network, 3), &settings);
        actual.log_to(EventLog::digest_only());
        let watch = Watch::default();
        let plan = plan(RuleName::PcNudge, &network, 0.2, FreePhase::Forward);
        step(&mut actual, &plan, Limits::steps(30), &batch(&network, 2, 1));
        actual.watch(watched.then(|| Box::new(watch.clone()) as _));
        step(&mut actual, &plan, Limits::steps(30), &batch(&network, 2, 2));
        actual.watch(None);
        step(&mut actual, &plan, Limits::steps(30), &batch(&network, 2, 3));
        let events = watch.0.lock().expect("alive").clone();
        (actual.take_log().expect("a log").digest(), events)
    };
    let (digest, events) = seen(1, true);
    assert!(events.len() > 200 && events.windows(2).all(|pair| pair[0].0 <= pair[1].0), "in the order of time");
    assert_eq!((digest.clone(), events), seen(4, true));
    assert_eq!((digest, Vec::new()), seen(4, false));
}
