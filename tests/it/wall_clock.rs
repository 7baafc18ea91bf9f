//! Clocks and links of virtual time, imposed on free-running layers. Oracles: the equilibrium, which has no memory of delays; the laws
//! themselves, below which nothing may ever be. How late things are is the machine's affair and is not asserted.

use asynapse::energy::{Activation, Loss};
use asynapse::engine::transport::Transport;
use asynapse::engine::virtual_time::clocks::ClockLaws;
use asynapse::engine::virtual_time::links::LinkLaws;
use asynapse::engine::wall_clock::WallLaws;
use asynapse::engine::{Engine, Schedule};
use asynapse::math::law::{Drawn, Law};
use asynapse::network::NetworkSpec;
use asynapse::reference::Synchronous;
use asynapse::rule::{FreePhase, RuleName};
use asynapse::settling::{Limits, StopReason};
use asynapse::signal::sighting::{Side, Sightings};
use asynapse::signal::{Extract, Message, Wanted};

use crate::common::{
    RATE, adam, batch, distance, engine_estimate, engine_step, norm, plan, reference_step, settings, spec, weights,
};

/// The same laws for every layer and link.
fn laws(network: &NetworkSpec, unit_ms: f64, period: f64, link: LinkLaws) -> WallLaws {
    let clock = ClockLaws { period: Law::Always(period), offset: Law::ZERO };
    let depth = network.depth();
    let (group_clocks, group_links) = (Vec::new(), Vec::new());
    let (clocks, links) = (vec![clock; depth + 1], vec![[link; 2]; depth]);
    WallLaws { unit_ms, seed: 5, clocks, links, group_clocks, group_links }
}

/// Settles within the tolerance and has the reference's estimate, whatever befalls the signals.
#[test]
fn equilibria_have_no_memory_of_delays_losses_and_copies() {
    let jitter = Law::Drawn(Drawn::Exponential { mean: 0.7, min: None });
    let slow = LinkLaws { delay: Law::Always(3.0), ..LinkLaws::default() };
    let rough = LinkLaws { jitter, loss: 0.2, duplicate: 0.2, reorder: true, resend: 9.0, ..slow };
    let narrow = LinkLaws { bandwidth: 40.0, ..slow };
    let network = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    let plan = plan(RuleName::PcNudge, &network, 0.1, FreePhase::Relax);
    let cases = [
        (slow, Message::ErrorEcho, Transport::InProcess, 1),
        (slow, Message::State, Transport::Bytes, 2),
        (rough, Message::ErrorEcho, Transport::InProcess, 2),
        (rough, Message::State, Transport::InProcess, 1),
        (narrow, Message::ErrorEcho, Transport::InProcess, 1),
    ];
    for (seed, (link, message, transport, threads)) in (0..).zip(cases) {
        let sample = batch::<f64>(&network, 3, seed);
        let mut reference = Synchronous::new(&network, weights(&network, seed), RATE, adam());
        reference_step(&mut reference, &plan, Limits::tolerance(1e-10, 100_000), &sample);
        let chosen = settings(Schedule::FreeRunning, threads, message);
        let laws = laws(&network, 0.05, 1.0, link);
        let mut engine =
            Engine::with_laws(&network, weights(&network, seed), chosen, transport, Some(laws)).expect("engine");
        for record in engine_step(&mut engine, &plan, Limits::tolerance(1e-6, 1_000_000), &sample) {
            assert_eq!(record.reason, StopReason::Settled, "case {seed}");
            assert!(record.residual() <= 1e-6, "case {seed}: settled with residual {}", record.residual());
            let pairs = record.reports.windows(2);
            let unheard = |pair: &[asynapse::signal::Report]| {
                pair[0].spoken.above != pair[1].heard.below || pair[1].spoken.below != pair[0].heard.above
            };
            assert!(!pairs.into_iter().any(unheard), "case {seed}: settled while a signal was held");
        }
        let apart = distance(&engine_estimate(&mut engine), &reference.estimate(), 1.0);
        let size = norm(&reference.estimate());
        assert!(apart < 1e-3 * size, "case {seed}: estimates differ by {apart} of {size}");
    }
}

fn sightings(engine: &mut Engine<f64>) -> Vec<Sightings> {
    let seen = |extract| if let Extract::Seen(seen) = extract { *seen } else { panic!("{extract:?}") };
    engine.extract(Wanted::Sightings).expect("sightings").into_iter().map(seen).collect()
}

/// Signals that are heard, in every direction of every link, and how long they took at least.
fn fastest(seen: &[Sightings], up: bool) -> (usize, u64) {
    let (said_to, heard_from) = if up { (Side::Above, Side::Below) } else { (Side::Below, Side::Above) };
    let (mut heard, mut least) = (0, u64::MAX);
    for pair in seen.windows(2) {
        let (from, to) = if up { (&pair[0], &pair[1]) } else { (&pair[1], &pair[0]) };
        for arrival in to.passings.iter().filter(|passing| !passing.said && passing.side == heard_from) {
            let sent = |said: &&asynapse::signal::sighting::PassingSeen| {
                said.said && said.side == said_to && said.version == arrival.version
            };
            if let Some(said) = from.passings.iter().find(sent) {
                heard += 1;
                least = least.min(arrival.at - said.at);
            }
        }
    }
    (heard, least)
}

/// Delays differ upward and downward; ticks have their period. The bound is strict.
#[test]
fn no_signal_and_no_tick_is_early() {
    let network = spec(&[5, 6, 6, 3], Activation::Tanh, Loss::SquaredError);
    let plan = plan(RuleName::PcClamped, &network, 0.1, FreePhase::Forward);
    let mut laws = laws(&network, 1.0, 1.5, LinkLaws::default());
    let of = |delay| LinkLaws { delay: Law::Always(delay), ..LinkLaws::default() };
    laws.links.fill([of(4.0), of(2.0)]);
    let chosen = settings(Schedule::FreeRunning, 1, Message::ErrorEcho);
    let weights = weights::<f64>(&network, 3);
    let mut engine = Engine::with_laws(&network, weights, chosen, Transport::InProcess, Some(laws)).expect("engine");
    let (data, target) = batch(&network, 2, 3);
    engine.present(&data, &target).expect("present");
    engine.run_phase(&plan.phases[0], Limits::steps(1)).expect("a wave");
    assert!(sightings(&mut engine).iter().all(|seen| seen.steps.is_empty()), "nobody had asked before");
    engine.run_phase(&plan.phases[1], Limits::steps(40)).expect("a relaxation");
    let seen = sightings(&mut engine);
    for (layer, seen) in seen.iter().enumerate().take(3).skip(1) {
        let began = seen.began.expect("the phase began");
        assert_eq!(seen.steps.len(), 40, "layer {layer}");
        for step in &seen.steps {
            let tick = began + step.step * 1_500_000;
            assert!(step.at >= tick, "layer {layer}: step {} is early by {} ns", step.step, tick - step.at);
        }
        let pairs = seen.steps.windows(2);
        assert!(pairs.into_iter().all(|pair| pair[0].at < pair[1].at && pair[0].step + 1 == pair[1].step));
    }
    let (up, down) = (fastest(&seen, true), fastest(&seen, false));
    assert!(up.0 > 20 && up.1 >= 4_000_000, "{up:?}");
    assert!(down.0 > 20 && down.1 >= 2_000_000, "{down:?}");
}

/// What nobody asked for is not kept; what is kept has an end, and says what is missing.
#[test]
fn sightings_are_bounded_and_say_so() {
    let network = spec(&[5, 6, 3], Activation::Tanh, Loss::SquaredError);
    let plan = plan(RuleName::PcClamped, &network, 0.1, FreePhase::Forward);
    let chosen = settings(Schedule::FreeRunning, 1, Message::ErrorEcho);
    let mut engine = Engine::new(&network, weights::<f64>(&network, 3), chosen).expect("engine");
    let (data, target) = batch(&network, 2, 3);
    engine.present(&data, &target).expect("present");
    engine.run_phase(&plan.phases[0], Limits::steps(1)).expect("a wave");
    sightings(&mut engine);
    let more = Sightings::STEPS_MOST as u64 + 500;
    let record = engine.run_phase(&plan.phases[1], Limits::steps(more)).expect("a relaxation");
    let seen = sightings(&mut engine);
    let steps = seen[1].steps.len() as u64;
    assert_eq!(steps + seen[1].steps_dropped, record.reports[1].step, "kept or counted");
    assert!(steps <= Sightings::STEPS_MOST as u64 && seen[1].passings.len() <= Sightings::PASSINGS_MOST);
}
