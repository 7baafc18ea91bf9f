//! Groups of neurons in virtual time. Oracles: the synchronous program that adds shares in the same order (bits), one queue on one
//! thread, the equations' residual and the equilibrium of the network that is not cut, the closed form of the first arrival.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use asynapse::config;
use asynapse::energy::{Activation, Loss};
use asynapse::engine::EngineError;
use asynapse::engine::mailbox::Delivery;
use asynapse::engine::virtual_time::clocks::ClockLaws;
use asynapse::engine::virtual_time::links::LinkLaws;
use asynapse::engine::virtual_time::record::{EventLog, Observer, Passed, Stepped};
use asynapse::engine::virtual_time::{VirtualNetwork, VirtualSettings};
use asynapse::experiment::delay::{Direction, Request, Rest, Wave, measure};
use asynapse::math::law::{Drawn, Law};
use asynapse::math::{Field, Real};
use asynapse::network::{Grouping, NetworkSpec, Weights};
use asynapse::reference::Synchronous;
use asynapse::rule::{FreePhase, RuleName};
use asynapse::settling::{Limits, PhaseRecord, StopReason};
use asynapse::signal::{Message, Wanted};

use crate::common::{RATE, adam, batch, plan, reference_step, spec, weights};
use crate::groups::{cases, same_records};
use crate::virtual_delays::{residual_at, rough};
use crate::virtual_time::{estimate, final_weights, states, step};

fn agrees<T: Real>(grouping: Grouping, size: usize, limits: Limits) {
    for (network, plan) in cases() {
        let what = format!("{network} {grouping:?} {:?}", network.energy());
        let cut = network.clone().with_groups(grouping);
        let initial = weights::<T>(&network, 3);
        let mut reference = Synchronous::new(&cut, initial.clone(), RATE, adam());
        let settings = VirtualSettings::in_step(network.depth() + 1, Message::ErrorEcho, RATE, adam());
        let mut actual = VirtualNetwork::new(&cut, initial, &settings);
        for index in 0..6 {
            let sample = batch::<T>(&network, size, index);
            let expected = reference_step(&mut reference, &plan, limits, &sample);
            same_records(&expected, &step(&mut actual, &plan, limits, &sample), &what);
            assert!(states(&mut actual) == reference.states(), "{what}: states");
            assert!(estimate(&mut actual) == reference.estimate(), "{what}: estimate");
            actual.learn().expect("learn");
            reference.learn();
            assert!(final_weights(&mut actual) == *reference.weights(), "{what}: weights after step {index}");
        }
        let traffic = actual.traffic().expect("it is cut");
        assert_eq!(traffic.actors, cut.groups_in_all());
    }
}

#[test]
fn groups_in_step_have_the_bits_of_the_reference_that_adds_shares_in_the_same_order() {
    for grouping in [Grouping::Count(2), Grouping::Count(3), Grouping::Neuron] {
        agrees::<f32>(grouping, 5, Limits::steps(12));
        agrees::<f64>(grouping, 1, Limits::steps(12));
    }
    agrees::<f64>(Grouping::Count(3), 4, Limits::tolerance(1e-4, 400));
}

/// Checkpoints are of whole layers.
#[test]
fn weights_and_optimisers_go_from_one_cut_to_another() {
    let network = spec(&[7, 9, 8, 5], Activation::Tanh, Loss::CrossEntropy);
    let plan = plan(RuleName::PcNudge, &network, 0.1, FreePhase::Forward);
    let settings = VirtualSettings::in_step(4, Message::Error, RATE, adam());
    let made = || {
        VirtualNetwork::new(&network.clone().with_groups(Grouping::Count(3)), weights::<f64>(&network, 1), &settings)
    };
    let (mut first, mut second) = (made(), made());
    for index in 0..3 {
        step(&mut first, &plan, Limits::steps(5), &batch(&network, 4, index));
        first.learn().expect("learn");
    }
    let mut moved = first.extract(Wanted::Weights).expect("weights");
    moved.truncate(network.depth());
    second.install(moved).expect("it fits");
    for actual in [&mut first, &mut second] {
        step(actual, &plan, Limits::steps(5), &batch(&network, 4, 8));
        actual.learn().expect("learn");
    }
    assert!(final_weights(&mut first) == final_weights(&mut second));
}

fn slow(seed: u64, network: &NetworkSpec, link: LinkLaws) -> VirtualSettings {
    let clock = ClockLaws {
        period: Law::Drawn(Drawn::LogNormal { mean: 1.0, sd: 0.4, min: None }),
        offset: Law::Drawn(Drawn::Uniform { low: 0.0, high: 1.5 }),
    };
    let layers = network.depth() + 1;
    VirtualSettings {
        seed,
        clocks: vec![clock; layers],
        links: vec![[link; 2]; layers - 1],
        ..VirtualSettings::in_step(layers, Message::Error, RATE, adam())
    }
}

#[derive(Debug, PartialEq)]
struct Trace {
    digest: String,
    events: u64,
    records: Vec<PhaseRecord>,
    states: Vec<Field<f64>>,
    weights: Weights<f64>,
}

fn trained(network: &NetworkSpec, settings: &VirtualSettings, (shards, threads): (usize, usize)) -> Trace {
    let settings = VirtualSettings { shards, threads, ..settings.clone() };
    let mut actual = VirtualNetwork::new(network, weights(network, 3), &settings);
    assert_eq!(actual.shards(), shards, "as many as asked for");
    actual.log_to(EventLog::digest_only());
    let plan = plan(RuleName::PcNudge, network, 0.2, FreePhase::Forward);
    let mut records = Vec::new();
    for index in 0..2 {
        let sample = batch::<f64>(network, [4, 1][index], index as u64);
        records.extend(step(&mut actual, &plan, Limits::tolerance(1e-4, 600), &sample));
        actual.learn().expect("learn");
    }
    Trace {
        records,
        states: states(&mut actual),
        weights: final_weights(&mut actual),
        events: actual.events(),
        digest: actual.take_log().expect("a log").digest(),
    }
}

#[test]
fn no_bit_depends_on_shards_and_threads_and_another_seed_has_another_log() {
    let network = spec(&[4, 5, 6, 3], Activation::Tanh, Loss::CrossEntropy);
    for (grouping, nodes) in [(Grouping::Count(2), 7), (Grouping::Neuron, 16)] {
        let network = network.clone().with_groups(grouping);
        assert_eq!(network.groups_in_all(), nodes);
        let link =
            LinkLaws { delay: Law::Drawn(Drawn::Exponential { mean: 0.7, min: Some(0.2) }), ..LinkLaws::default() };
        let lossy = LinkLaws { loss: 0.1, duplicate: 0.1, reorder: true, resend: 5.0, ..link };
        for (seed, link) in [(1, link), (2, lossy)] {
            let settings = slow(seed, &network, link);
            let one = trained(&network, &settings, (1, 1));
            for way in [(1, 1), (3, 1), (nodes, 1), (2, 2), (5, 2)] {
                assert_eq!(one, trained(&network, &settings, way), "{grouping:?} {way:?}");
            }
            let other = VirtualSettings { seed: seed + 10, ..settings };
            assert_ne!(one.digest, trained(&network, &other, (1, 1)).digest);
        }
    }
}

/// Every link late, lossy, in any order; every group with its own clock. Whoever says settled has the residual, by the equations of
/// the network that is not cut, and is at its equilibrium.
#[test]
fn nothing_is_called_settled_that_is_not_and_what_is_settled_is_at_the_equilibrium() {
    let (tolerance, mut settled, mut others) = (1e-5, 0, BTreeMap::new());
    for seed in 0..300_u64 {
        let activation = [Activation::Tanh, Activation::Sigmoid, Activation::Softplus][(seed % 3) as usize];
        let network = spec(if seed % 2 == 0 { &[2, 3, 2] } else { &[2, 3, 3, 2] }, activation, Loss::SquaredError);
        let grouping = if seed % 5 == 0 { Grouping::Count(2) } else { Grouping::Neuron };
        let cut = network.clone().with_groups(grouping);
        let settings = VirtualSettings { events_most: 400_000, ..slow(seed, &cut, rough(seed)) };
        let initial = weights::<f64>(&network, seed);
        let mut actual = VirtualNetwork::new(&cut, initial.clone(), &settings);
        let plan = plan(RuleName::PcNudge, &network, 0.5, FreePhase::Forward);
        let sample = batch::<f64>(&network, 1, seed);
        let records = step(&mut actual, &plan, Limits::tolerance(tolerance, 4000), &sample);
        assert_eq!(records[0].reason, StopReason::Wave, "seed {seed}");
        if records[1].reason != StopReason::Settled {
            assert!(
                matches!(records[1].reason, StopReason::StepBudget | StopReason::EventBudget),
                "seed {seed}: {:?}",
                records[1].reason
            );
            *others.entry(records[1].reason.to_string()).or_insert(0) += 1;
            continue;
        }
        settled += 1;
        let found = states(&mut actual);
        let residual = residual_at(&network, &initial, &found, &sample, 0.5);
        assert!(residual <= tolerance * 1.001, "seed {seed}: called settled with residual {residual:e}");
        let mut whole = Synchronous::new(&network, initial, RATE, adam());
        let exact = reference_step(&mut whole, &plan, Limits::tolerance(1e-10, 10_000), &sample);
        assert_eq!(exact[1].reason, StopReason::Settled);
        for (layer, (found, exact)) in found.iter().zip(whole.states()).enumerate().take(network.depth()) {
            let apart = found.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart <= 10.0 * tolerance, "seed {seed}: layer {layer} is {apart:e} from equilibrium");
        }
    }
    assert!(settled > 280, "{settled} settled, others: {others:?}");
}

/// A group moves with the wave when the last share of its current has come, and not before: then nothing of the way is left in it.
#[test]
fn the_forward_wave_has_the_bits_of_the_reference_however_late_a_share_comes() {
    for seed in 0..40 {
        let network = spec(&[3, 6, 5, 2], Activation::Tanh, Loss::SquaredError);
        let network = network.with_groups(if seed % 2 == 0 { Grouping::Neuron } else { Grouping::Count(2) });
        let plan = plan(RuleName::PcNudge, &network, 0.5, FreePhase::Forward);
        let initial = weights::<f64>(&network, seed);
        let mut reference = Synchronous::new(&network, initial.clone(), RATE, adam());
        let mut actual = VirtualNetwork::new(&network, initial, &slow(seed, &network, rough(seed)));
        for index in 0..2 {
            let (data, target) = batch::<f64>(&network, 3, index);
            reference.present(&data, &target);
            reference.run_phase(&plan.phases[0], Limits::steps(1));
            actual.present(&data, &target).expect("present");
            actual.run_phase(&plan.phases[0], Limits::steps(1)).expect("a wave");
            assert!(states(&mut actual) == reference.states(), "seed {seed}, batch {index}");
        }
    }
}

/// Without resending, the loss of the only signal on one of many links is enough: nothing is settled then.
#[test]
fn a_signal_that_is_lost_for_good_is_not_settled() {
    let network = spec(&[3, 4, 4, 2], Activation::Tanh, Loss::SquaredError).with_groups(Grouping::Neuron);
    let plan = plan(RuleName::PcNudge, &network, 0.5, FreePhase::Forward);
    let mut lost = 0;
    for seed in 0..20 {
        let mut settings = slow(seed, &network, LinkLaws { delay: Law::Always(0.5), ..LinkLaws::default() });
        let link = LinkLaws { loss: 0.5, ..settings.links[1][1] };
        settings.group_links.insert([(2, 1), (1, 3)], link);
        let mut actual = VirtualNetwork::new(&network, weights::<f64>(&network, seed), &settings);
        let records = step(&mut actual, &plan, Limits::tolerance(1e-5, 4000), &batch(&network, 1, seed));
        let tally: BTreeMap<(usize, usize), u64> =
            actual.tallies().into_iter().map(|(link, tally)| (link, tally.lost)).collect();
        // Nodes 0 … 2 are the input, 3 … 6 layer 1, 7 … 10 layer 2, 11 the output.
        assert!(tally.iter().all(|(link, lost)| *lost == 0 || *link == (8, 6)), "{tally:?}");
        match records[1].reason {
            StopReason::SignalsLost => lost += 1,
            // The last one came through.
            reason => assert_eq!(reason, StopReason::Settled),
        }
    }
    assert!((3..=17).contains(&lost), "{lost} of 20 lost the last signal, with probability one half each");
}

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    /// Times of steps, by node.
    steps: BTreeMap<usize, Vec<f64>>,
    sent: BTreeMap<(usize, usize, u64), f64>,
    /// How long signals were under way, by link.
    ages: BTreeMap<(usize, usize), BTreeSet<String>>,
}

impl<T> Observer<T> for Notes {
    fn stepped(&mut self, stepped: &Stepped<'_, T>) {
        let mut noted = self.0.lock().expect("one thread");
        noted.steps.entry(stepped.node).or_default().push(stepped.time.units());
    }

    fn sent(&mut self, passed: Passed) {
        let mut noted = self.0.lock().expect("one thread");
        noted.sent.insert((passed.from, passed.to, passed.version), passed.time.units());
    }

    fn arrived(&mut self, passed: Passed) {
        let mut noted = self.0.lock().expect("one thread");
        let sent = noted.sent[&(passed.from, passed.to, passed.version)];
        let age = format!("{:.6}", passed.time.units() - sent);
        noted.ages.entry((passed.from, passed.to)).or_default().insert(age);
    }
}

#[test]
fn an_override_acts_on_its_group_and_on_its_links_only() {
    let network = spec(&[4, 6, 3], Activation::Tanh, Loss::SquaredError).with_groups(Grouping::Count(3));
    // Nodes 0 … 2, 3 … 5, 6.
    let noted = |change: &dyn Fn(&mut VirtualSettings)| {
        let link = LinkLaws { delay: Law::Always(0.25), ..LinkLaws::default() };
        let mut settings = VirtualSettings::in_step(3, Message::Error, RATE, adam());
        settings.links = vec![[link; 2]; 2];
        change(&mut settings);
        let mut actual = VirtualNetwork::new(&network, weights::<f64>(&network, 1), &settings);
        let (data, target) = batch::<f64>(&network, 2, 1);
        actual.present(&data, &target).expect("present");
        let plan = plan(RuleName::PcNudge, &network, 0.5, FreePhase::Forward);
        actual.run_phase(&plan.phases[0], Limits::steps(1)).expect("a wave");
        let notes = Notes::default();
        actual.watch(Some(Box::new(notes.clone())));
        actual.run_phase(&plan.phases[1], Limits::steps(5)).expect("a phase");
        actual.watch(None);
        let noted = std::mem::take(&mut *notes.0.lock().expect("it is over"));
        let first = noted.steps[&6][0];
        let beats = |times: &Vec<f64>| times.iter().map(|time| time - first).collect::<Vec<f64>>();
        (noted.steps.iter().map(|(&node, times)| (node, beats(times))).collect::<BTreeMap<_, _>>(), noted.ages)
    };
    let (steps, ages) = noted(&|_| {});
    assert_eq!(steps.len(), 7);
    assert!(ages.values().all(|ages| ages.iter().eq(["0.250000"])), "{ages:?}");

    let slow = ClockLaws { period: Law::Always(4.0), ..ClockLaws::default() };
    let (with, _) = noted(&|settings| {
        settings.group_clocks.insert((1, 1), slow);
    });
    for (node, times) in &with {
        let period = times[1] - times[0];
        assert_eq!(period, if *node == 4 { 4.0 } else { 1.0 }, "node {node}");
    }

    let late = LinkLaws { delay: Law::Always(2.25), ..LinkLaws::default() };
    let (_, with) = noted(&|settings| {
        settings.group_links.insert([(2, 0), (1, 2)], late);
    });
    assert_eq!(with.keys().collect::<Vec<_>>(), ages.keys().collect::<Vec<_>>());
    for (link, ages) in with {
        let expected = if link == (6, 5) { "2.250000" } else { "0.250000" };
        assert!(ages.iter().eq([expected]), "{link:?}: {ages:?}");
    }
}

#[test]
fn what_groups_cannot_do_when_they_are_late_is_refused() {
    let network = spec(&[3, 4, 2], Activation::Tanh, Loss::CrossEntropy).with_groups(Grouping::Neuron);
    let link = LinkLaws { delay: Law::Always(1.0), delivery: Delivery::InOrder, ..LinkLaws::default() };
    let run = |message, rule| {
        let settings = VirtualSettings { message, ..slow(1, &network, link) };
        let mut actual = VirtualNetwork::new(&network, weights::<f32>(&network, 1), &settings);
        let plan = plan(rule, &network, 1.0, FreePhase::Forward);
        let (data, target) = batch(&network, 3, 1);
        actual.present(&data, &target).expect("present");
        let mut phases = plan.phases.iter().map(|phase| actual.run_phase(phase, Limits::steps(3)));
        phases.find_map(Result::err)
    };
    for message in [Message::ErrorEcho, Message::State] {
        assert!(matches!(run(message, RuleName::PcNudge), Some(EngineError::Echoes)));
    }
    assert!(matches!(run(Message::Error, RuleName::FirstStep), Some(EngineError::Partial)));
    assert!(run(Message::Error, RuleName::PcNudge).is_none());
}

fn wave(words: &[&str], direction: Direction) -> Wave {
    let widths = "model.widths=[784,6,6,6,10]";
    let common = [
        widths,
        "model.groups=3",
        "links.message=error",
        "data.batch_size=2",
        "inference.max_infer_iters=200",
        "inference.activity_lr=0.05",
    ];
    let overrides: Vec<String> = common.iter().chain(words).map(|word| (*word).to_owned()).collect();
    let config = config::load(Some("delay"), &overrides).expect("a configuration").config;
    let request = Request { config, directions: Vec::new(), threshold: 0.01, rest: Rest::Zero, depths: Vec::new() };
    measure::<f64>(&request, direction, 0).expect("a wave")
}

/// Ways of different length to every group; the closed form takes the shortest, and so does the wave.
#[test]
fn the_wave_arrives_at_every_group_by_the_fastest_way() {
    let words = [
        "links.delay=1.5",
        "links.\"4->3.1\".delay=6",
        "links.\"3.0->2.2\".delay=7.25",
        "links.\"3.2->2.2\".delay=0",
        "links.\"2->1.0\".delay=9",
        "links.\"2.1->1.0\".delay=0.5",
        "links.\"0.1->1.1\".delay=0.25",
        "links.\"1->2.0\".delay=5",
        "clocks.\"2.1\".period=0.75",
        "clocks.\"3.2\".offset=2.5",
    ];
    for direction in [Direction::Down, Direction::Up] {
        let wave = wave(&words, direction);
        let places: Vec<(usize, usize)> = wave.rows.iter().map(|row| (row.layer, row.group)).collect();
        let layers = if direction == Direction::Down { [3, 2, 1] } else { [1, 2, 3] };
        assert_eq!(places, layers.iter().flat_map(|&l| [(l, 0), (l, 1), (l, 2)]).collect::<Vec<_>>());
        for row in &wave.rows {
            assert!(row.closed_form.is_some() && row.agrees(), "{direction:?}: {row:?}");
        }
    }
    let down = wave(&words, Direction::Down);
    let at = |layer, group| {
        let row = down.rows.iter().find(|row| (row.layer, row.group) == (layer, group)).expect("a row");
        row.arrival.expect("it arrives")
    };
    // By hand. The output speaks at 0. 3.0 hears it at 1.5 and steps at 2; 3.1 would hear it at 6 and step at 7, but hears
    // before of 2.1, which has moved at 3.75, at 5.25: 6. 3.2 hears it at 1.5, its clock begins at 2.5: 3.5.
    assert_eq!([at(3, 0), at(3, 1), at(3, 2)], [2.0, 6.0, 3.5]);
    // From 3.0 at 3.5: step at 4. The clock of 2.1 steps at 3.75. From 3.2 at once at 3.5, not from 3.0 at 9.25: 4.
    assert_eq!([at(2, 0), at(2, 1), at(2, 2)], [4.0, 3.75, 4.0]);
    // Not from 2.0 and 2.2 at 13, but from 2.1 at 4.25: 5. The others from 2.1 at 5.25: 6.
    assert_eq!([at(1, 0), at(1, 1), at(1, 2)], [5.0, 6.0, 6.0]);
}
