//! Events per second in virtual time: chains of small layers under jittered delays, on one and two threads. Prints a table; asserts
//! nothing. `cargo bench --bench events [-- LAYERS [LAWS]]`. "a core" divides by the processor time of all threads, which other
//! programs on the machine do not lengthen much; "a second" divides by the time on the wall, which they do.
//!
//! An event is a tick, an answer, or an arrival; each includes all that the layer computes at it. "ideal" has no draws at all,
//! "even" constant periods and delays, "jitter" draws every delay, "rough" draws every period and every delay, and loses signals.
//! The digests of one row's runs are compared, so that a fast wrong answer is seen.

use std::time::Instant;

use asynapse::energy::{Activation, Loss};
use asynapse::engine::virtual_time::clocks::ClockLaws;
use asynapse::engine::virtual_time::links::LinkLaws;
use asynapse::engine::virtual_time::record::EventLog;
use asynapse::engine::virtual_time::{VirtualNetwork, VirtualSettings};
use asynapse::math::law::{Drawn, Law};
use asynapse::math::optimizer::OptimizerSpec;
use asynapse::network::{Init, NetworkSpec};
use asynapse::rule::PlannedPhase;
use asynapse::settling::Limits;
use asynapse::signal::{Message, Motion, Origin, Teaching};
use ndarray::Array2;

fn laws(kind: &str) -> (ClockLaws, LinkLaws) {
    let jitter = Law::Drawn(Drawn::Uniform { low: 0.0, high: 1.0 });
    let late = LinkLaws { delay: Law::Always(2.0), ..LinkLaws::default() };
    let jittery = ClockLaws { period: Law::Drawn(Drawn::Uniform { low: 0.5, high: 1.5 }), offset: jitter };
    match kind {
        "ideal" => (ClockLaws::default(), LinkLaws::default()),
        "even" => (ClockLaws::default(), late),
        "jitter" => (ClockLaws::default(), LinkLaws { jitter, ..late }),
        _ => (jittery, LinkLaws { jitter, loss: 0.01, reorder: true, ..late }),
    }
}

/// Processor time of all threads of this process, as the system counts it, in hundredths of a second.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

struct Measured {
    events: u64,
    seconds: f64,
    processor: f64,
    digest: String,
}

fn measure(kind: &str, (layers, width): (usize, usize), (shards, threads): (usize, usize), logged: bool) -> Measured {
    let network = NetworkSpec::new(&vec![width; layers], Activation::Tanh, Loss::SquaredError).expect("a chain");
    let weights = network.initial_weights::<f32>(Init::TorchLinear, 0);
    let (clock, link) = laws(kind);
    let settings = VirtualSettings {
        seed: 1,
        clocks: vec![clock; layers],
        links: vec![[link; 2]; layers - 1],
        shards,
        threads,
        ..VirtualSettings::in_step(layers, Message::ErrorEcho, 0.1, OptimizerSpec::sgd(0.1))
    };
    let mut chain = VirtualNetwork::new(&network, weights, &settings);
    let sample = Array2::<f32>::ones((width, 1));
    chain.present(&sample, &sample).expect("a sample");
    let relax = |from| PlannedPhase::read(Motion::Relax { teaching: Teaching::Nudged(0.1), from }, 1.0);
    chain.run_phase(&relax(Origin::Zero), Limits::steps(20)).expect("a phase");
    if logged {
        chain.log_to(EventLog::digest_only());
    }
    // Some three million events, five to a step of a layer.
    let steps = (600_000 / layers as u64).max(20);
    let before = chain.events();
    let (started, used) = (Instant::now(), processor_seconds());
    chain.run_phase(&relax(Origin::Here), Limits::steps(steps)).expect("a phase");
    let (seconds, processor) = (started.elapsed().as_secs_f64(), processor_seconds() - used);
    let digest = chain.take_log().map(|log| log.digest()).unwrap_or_default();
    Measured { events: chain.events() - before, seconds, processor, digest }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let layers = arguments.first().and_then(|layers| layers.parse().ok()).unwrap_or(1000_usize).max(4);
    let chosen = |kind: &&str| arguments.get(1).is_none_or(|only| only == kind);
    println!("{layers} layers; million events, a core (a second), on 1 thread, on 2 threads, and on 1 with a log");
    println!(
        "{:>7} {:>6} {:>14} {:>14} {:>14} {:>9}  log on 1, 3, 7 shards",
        "laws", "units", "1", "2", "logged", "events"
    );
    for kind in ["ideal", "even", "jitter", "rough"].iter().filter(|kind| chosen(kind)) {
        for width in [1, 4, 16] {
            let rate = |m: &Measured| {
                let events = m.events as f64 / 1e6;
                format!("{:.2} ({:.2})", events / m.processor, events / m.seconds)
            };
            let chain = (layers, width);
            let (one, two) = (measure(kind, chain, (1, 1), false), measure(kind, chain, (2, 2), false));
            let logged = measure(kind, chain, (1, 1), true);
            let others = [(3, 1), (7, 2)].map(|how| measure(kind, chain, how, true).digest);
            let same = if others.iter().all(|digest| *digest == logged.digest) { "equal" } else { "NOT EQUAL" };
            let digest = &logged.digest[..12];
            let (one_rate, two_rate, logged_rate) = (rate(&one), rate(&two), rate(&logged));
            println!(
                "{kind:>7} {width:>6} {one_rate:>14} {two_rate:>14} {logged_rate:>14} {:>9}  {same} {digest}",
                one.events
            );
        }
    }
}
