//! Groups of neurons whose clocks and links are imposed on the wall clock. Oracles: the equilibrium of the network that is not cut; the
//! laws as lower bounds, group by group; nothing is said to be settled while anything is held.

use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::engine::transport::Transport;
use asynapse::engine::virtual_time::clocks::ClockLaws;
use asynapse::engine::virtual_time::links::LinkLaws;
use asynapse::engine::wall_clock::WallLaws;
use asynapse::engine::{Engine, Schedule};
use asynapse::math::law::{Drawn, Law};
use asynapse::network::{Grouping, NetworkSpec};
use asynapse::reference::Synchronous;
use asynapse::rule::{FreePhase, RuleName};
use asynapse::settling::{Limits, StopReason};
use asynapse::signal::sighting::Sightings;
use asynapse::signal::{Extract, Message, Wanted};

use crate::common::{
    RATE, adam, batch, distance, engine_estimate, engine_step, norm, plan, reference_step, settings, spec, weights,
};

fn clock(period: f64) -> ClockLaws {
    ClockLaws { period: Law::Always(period), offset: Law::ZERO }
}

fn of(delay: f64) -> LinkLaws {
    LinkLaws { delay: Law::Always(delay), ..LinkLaws::default() }
}

/// The same for every group; what is different is put in by the test, in order.
fn laws(network: &NetworkSpec, unit_ms: f64, link: LinkLaws) -> WallLaws {
    let depth = network.depth();
    let (group_clocks, group_links) = (Vec::new(), Vec::new());
    let (clocks, links) = (vec![clock(1.0); depth + 1], vec![[link; 2]; depth]);
    WallLaws { unit_ms, seed: 5, clocks, links, group_clocks, group_links }
}

fn engine(cut: &NetworkSpec, threads: usize, laws: WallLaws) -> Engine<f64> {
    let chosen = settings(Schedule::FreeRunning, threads, Message::Error);
    Engine::with_laws(cut, weights(cut, 3), chosen, Transport::InProcess, Some(laws)).expect("engine")
}

/// Whatever befalls the signals, and batch after batch.
#[test]
fn equilibria_have_no_memory_of_delays_losses_and_copies() {
    let jitter = Law::Drawn(Drawn::Exponential { mean: 0.7, min: None });
    let slow = of(2.0);
    let rough = LinkLaws { jitter, loss: 0.2, duplicate: 0.2, reorder: true, resend: 9.0, ..slow };
    let narrow = LinkLaws { bandwidth: 40.0, ..slow };
    let coding = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    let hopfield = spec(&[6, 8, 7, 4], Activation::Sigmoid, Loss::SquaredError).with_energy(EnergyKind::Hopfield);
    let hopfield = hopfield.expect("an energy");
    for (seed, (network, rule, grouping, link, threads)) in (0..).zip([
        (&coding, RuleName::PcNudge, Grouping::Count(2), slow, 1),
        (&coding, RuleName::PcNudge, Grouping::Count(3), rough, 2),
        (&coding, RuleName::PcNudge, Grouping::Neuron, rough, 1),
        (&coding, RuleName::PcNudge, Grouping::Neuron, narrow, 2),
        (&hopfield, RuleName::Ep, Grouping::Count(2), rough, 2),
    ]) {
        let cut = network.clone().with_groups(grouping);
        let mut laws = laws(network, 0.05, link);
        laws.group_clocks = vec![((1, 1), clock(1.7))];
        laws.group_links = vec![([(1, 1), (2, 0)], LinkLaws { delay: Law::Always(4.5), ..link })];
        let mut engine = engine(&cut, threads, laws);
        for (free, batch_seed) in [(FreePhase::Relax, seed), (FreePhase::Relax, seed + 20)] {
            let plan = plan(rule, network, 0.1, free);
            let sample = batch::<f64>(network, 3, batch_seed);
            let mut reference = Synchronous::new(network, weights(network, 3), RATE, adam());
            reference_step(&mut reference, &plan, Limits::tolerance(1e-10, 100_000), &sample);
            for record in engine_step(&mut engine, &plan, Limits::tolerance(1e-6, 1_000_000), &sample) {
                assert_eq!(record.reason, StopReason::Settled, "case {seed}");
                assert!(record.residual() <= 1e-6, "case {seed}: settled with residual {}", record.residual());
            }
            let apart = distance(&engine_estimate(&mut engine), &reference.estimate(), 1.0);
            let size = norm(&reference.estimate());
            assert!(apart < 1e-3 * size, "case {seed}: estimates differ by {apart} of {size}");
        }
    }
}

fn sightings(engine: &mut Engine<f64>) -> Vec<Sightings> {
    let seen = |extract| if let Extract::Seen(seen) = extract { *seen } else { panic!("{extract:?}") };
    engine.extract_of_nodes(Wanted::Sightings).expect("sightings").into_iter().map(seen).collect()
}

/// 5-6-6-3 in two groups per layer: nodes 0 and 1 are the input, 2 and 3 layer 1, 4 and 5 layer 2, 6 the output. What is slow is named;
/// everything else takes 1 ms. Times of first changes from the switch on, in ns.
fn changes(slow: &[([(usize, usize); 2], f64)], switch_input: bool) -> Vec<Option<u64>> {
    let network = spec(&[5, 6, 6, 3], Activation::Tanh, Loss::SquaredError);
    let cut = network.clone().with_groups(Grouping::Count(2));
    let plan = plan(RuleName::PcClamped, &network, 0.1, FreePhase::Forward);
    let mut laws = laws(&network, 1.0, of(1.0));
    laws.group_links = slow.iter().map(|&(ends, delay)| (ends, of(delay))).collect();
    laws.group_clocks = vec![((1, 1), clock(2.5))];
    let mut engine = engine(&cut, 1, laws);
    let (data, target) = batch(&network, 2, 3);
    engine.present(&data, &target).expect("present");
    let wave = engine.run_phase(&plan.phases[0], Limits::steps(1)).expect("a wave");
    assert_eq!(wave.reason, StopReason::Wave);
    sightings(&mut engine);
    let mut phase = plan.phases[1];
    if switch_input {
        engine.show(&batch(&network, 2, 4).0).expect("other data");
        phase.motion = asynapse::signal::Motion::Relax {
            teaching: asynapse::signal::Teaching::Free,
            from: asynapse::signal::Origin::Here,
        };
    }
    let record = engine.run_phase(&phase, Limits::steps(60)).expect("a relaxation");
    assert_ne!(record.reason, StopReason::Settled, "to a budget");
    let seen = sightings(&mut engine);
    assert_eq!(seen.len(), 7);
    for (node, seen) in seen.iter().enumerate().take(6).skip(2) {
        let began = seen.began.expect("the phase began");
        let period = if node == 3 { 2_500_000 } else { 1_000_000 };
        for step in &seen.steps {
            let tick = began + step.step * period;
            assert!(step.at >= tick, "node {node}: step {} is early by {} ns", step.step, tick - step.at);
        }
    }
    let zero = seen[if switch_input { 0 } else { 6 }].began.expect("the switch");
    let first = |seen: &Sightings| seen.steps.iter().find(|step| step.differs).map(|step| step.at.saturating_sub(zero));
    seen.iter().map(first).collect()
}

/// No group hears anything sooner than its own links allow, and those of the other group of its layer are not its own.
#[test]
fn every_group_has_its_own_links_and_clock() {
    let ms = 1_000_000;
    let at_least = |changes: &[Option<u64>], bounds: [(usize, u64); 4]| {
        for (node, bound) in bounds {
            let first = changes[node].unwrap_or_else(|| panic!("node {node} never changed: {changes:?}"));
            assert!(first >= bound * ms, "node {node} after {first} ns, not {bound} ms: {changes:?}");
        }
    };
    // Both groups of layer 2 are far from group 1 of layer 1, and group 1 of layer 2 from the output.
    let down = [([(2, 0), (1, 1)], 30.0), ([(2, 1), (1, 1)], 30.0), ([(3, 0), (2, 1)], 40.0)];
    let changed = changes(&down, false);
    at_least(&changed, [(4, 1), (5, 3), (2, 2), (3, 31)]);
    let up = [([(0, 0), (1, 1)], 30.0), ([(0, 1), (1, 1)], 30.0)];
    let changed = changes(&up, true);
    at_least(&changed, [(2, 1), (3, 3), (4, 2), (5, 2)]);
}
