//! What it costs to make every neuron an actor: bytes per actor, messages per second. Prints medians and ratios to one thread; asserts
//! nothing.
//!
//! A grid of `width × depth` single-neuron actors, each linked to every neuron of the layer below and above, takes lock-step inference
//! steps with one sample, so that nearly everything is messages. `cargo bench --bench neurons [-- 10000 100000 1000000]`. Bytes are
//! resident memory less the numbers of the weights: of actors that were made and shown nothing yet, and of the same after a phase, with
//! all they hold for a batch. Messages are counted
//! per second of a processor, which other work on the machine hardly changes, and per second of a clock: medians of five phases.

use std::time::{Duration, Instant};

use asynapse::energy::{Activation, Loss};
use asynapse::engine::{Engine, EngineSettings, Schedule};
use asynapse::math::Numerics;
use asynapse::math::optimizer::OptimizerSpec;
use asynapse::network::{Grouping, Init, NetworkSpec};
use asynapse::rule::PlannedPhase;
use asynapse::settling::Limits;
use asynapse::signal::{Message, Motion, Origin, Teaching, Wanted};
use ndarray::Array2;

/// Processor seconds of this process in all its threads, to a hundredth; zero where the system does not say.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_the_name = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after_the_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>()
        / 100.0
}

/// Phases that are timed.
const PHASES: usize = 5;

/// Resident bytes of this process; zero where the system does not say.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4096.0
}

fn measure(neurons: usize, width: usize, threads: usize) {
    let depth = neurons / width;
    let network = NetworkSpec::new(&vec![width; depth], Activation::Tanh, Loss::SquaredError).expect("a grid");
    let network = network.with_groups(Grouping::Neuron);
    let initial = network.initial_weights::<f32>(Init::TorchLinear, 0);
    let before = resident();
    let settings = EngineSettings {
        schedule: Schedule::LockStep,
        threads,
        message: Message::Error,
        rate: 0.1,
        optimizer: OptimizerSpec::sgd(0.1),
        numerics: Numerics::default(),
        stall: Duration::from_secs(600),
    };
    let mut engine = Engine::new(&network, initial, settings).expect("an engine");
    // A question that every actor answers: all tasks have been polled once.
    engine.extract(Wanted::Feedback).expect("an answer");
    let weights: usize = (0..network.depth()).map(|layer| network.widths()[layer] * network.widths()[layer + 1]).sum();
    let idle = resident() - before - 4.0 * weights as f64;
    let sample = Array2::<f32>::ones((width, 1));
    engine.present(&sample, &sample).expect("a sample");
    let relax = |from| PlannedPhase::read(Motion::Relax { teaching: Teaching::Nudged(0.1), from }, 1.0);
    engine.run_phase(&relax(Origin::Zero), Limits::steps(1)).expect("a phase");
    let busy = resident() - before - 4.0 * weights as f64;
    let actors = network.groups_in_all();
    let links: usize = (0..network.depth()).map(|layer| 2 * network.groups(layer) * network.groups(layer + 1)).sum();
    let steps = (6_000_000 / links).clamp(2, 400) as u64;
    // Every link carries a signal at the beginning and after every step.
    let messages = links as f64 * (steps + 1) as f64 / 1e6;
    let mut seconds: Vec<[f64; 2]> = (0..PHASES)
        .map(|_| {
            let (started, worked) = (Instant::now(), processor_seconds());
            engine.run_phase(&relax(Origin::Here), Limits::steps(steps)).expect("a phase");
            [started.elapsed().as_secs_f64(), processor_seconds() - worked]
        })
        .collect();
    let mut median = |of: usize| {
        seconds.sort_by(|one, other| one[of].total_cmp(&other[of]));
        seconds[PHASES / 2][of]
    };
    let [wall, processor] = [median(0), median(1)];
    println!(
        "{actors:>8} actors, {links:>9} links, {threads} threads: {:>6.0} bytes an idle actor, {:>6.0} after a phase, {:>6.2} M messages a \
         processor second, {:>6.2} M messages/s",
        idle / actors as f64,
        busy / actors as f64,
        messages / processor,
        messages / wall
    );
}

/// Every measurement has a process of its own, so that none finds memory that another has left behind.
fn in_own_process(neurons: usize, width: usize, threads: usize) -> f64 {
    let program = std::env::current_exe().expect("this program");
    let [neurons, width, threads] = [neurons, width, threads].map(|number| number.to_string());
    let output = std::process::Command::new(program).args(["one", &neurons, &width, &threads]).output();
    let text = String::from_utf8(output.expect("it starts").stdout).expect("text");
    print!("{text}");
    text.rsplit_once("bytes an idle actor")
        .and_then(|_| text.split_whitespace().rev().nth(2)?.parse().ok())
        .unwrap_or(f64::NAN)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sizes: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    if let (Some("one"), [neurons, width, threads]) = (arguments.first().map(String::as_str), &sizes[..]) {
        measure(*neurons, *width, *threads);
        return;
    }
    // `cargo test --benches` and a first look take the small one; the large ones are asked for.
    let sizes = if sizes.is_empty() { vec![10_000] } else { sizes };
    for neurons in sizes {
        for width in [1, 4] {
            let [one, two] = [1, 2].map(|threads| in_own_process(neurons, width, threads));
            println!(
                "{neurons:>8} neurons in columns of {width}: two threads send {:.2} × the messages of one",
                two / one
            );
        }
    }
}
