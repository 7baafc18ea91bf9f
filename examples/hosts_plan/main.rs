//! How many training steps a second H hosts would make in lock-step: a model of measured constants, held against what really runs on
//! this machine with 1, 2 and 3 processes, then used for up to a thousand hosts.
//!
//! The model and its equations are in `model.rs`; here its constants are measured.
//!
//! `cargo run --release --example hosts_plan -- [CONFIG|PRESET] [key=value]…`

mod model;

use std::error::Error;
use std::future::poll_fn;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asynapse::config::{self, Config};
use asynapse::engine::mailbox::{Delivery, mailbox};
use asynapse::engine::transport::{Ends, Stream, carry};
use asynapse::experiment::assemble;
use asynapse::experiment::machine::{Procedure, Purpose};
use asynapse::experiment::workers::{Hands, placement};
use asynapse::math::Field;
use asynapse::math::optimizer::OptimizerKind;
use asynapse::network::NetworkSpec;
use asynapse::rule::PlannedPhase;
use asynapse::settling::Limits;
use asynapse::signal::{Content, Motion, Reading, Signal, Stamp};
use asynapse::wire::frame::{Direction, Link};
use model::{Chain, Deeds, Speed, Wire, exchanges, numbers, predict, products};

/// How often everything is measured.
const TURNS: usize = 3;

type Any<T> = Result<T, Box<dyn Error>>;

/// Seconds per number to copy it and to see that it is finite.
fn staging(numbers: usize) -> f64 {
    let before = vec![0.5_f32; numbers];
    let times = (0..9).map(|_| {
        let started = Instant::now();
        let copy = std::hint::black_box(&before).clone();
        assert!(copy.iter().all(|number| number.is_finite()));
        started.elapsed().as_secs_f64()
    });
    median(times.collect()) / numbers as f64
}

/// Seconds of a training step as it really is: the median of several.
fn measured(config: &Config, network: &NetworkSpec, steps: u64) -> Any<f64> {
    let weights = network.initial_weights::<f32>(config.model.init, config.seed);
    let plan = assemble::plan(config, network)?;
    let mut machine = assemble::machine::<f32>(config, network, weights, (&Hands::Children, 1))?;
    let widths = network.widths();
    let data = Field::from_shape_fn((widths[0], config.data.batch_size), |(r, c)| ((r * 7 + c * 3) % 11) as f32 / 11.0);
    let output = widths[widths.len() - 1];
    let target = Field::from_shape_fn((output, config.data.batch_size), |(r, c)| f32::from(u8::from(c % output == r)));
    let procedure = Procedure { plan: plan.as_ref(), limits: Limits::steps(steps) };
    let mut times = Vec::new();
    let begun = Instant::now();
    while times.len() < 5 || (begun.elapsed() < Duration::from_secs(2) && times.len() < 200) {
        let started = Instant::now();
        machine.step((&data, &target), procedure, Purpose::Learn)?;
        times.push(started.elapsed().as_secs_f64());
    }
    // The first is cold.
    times.remove(0);
    Ok(median(times))
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Seconds of a signal's round trip to another thread with a runtime of its own.
fn round_trip(tcp: bool, rows: usize) -> Any<f64> {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let link = Link { lower: 0, group: 0, rows, columns_most: 64 };
    let (near, far) = if tcp {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let near = std::net::TcpStream::connect(listener.local_addr()?)?;
        let far = listener.accept()?.0;
        [&near, &far].into_iter().try_for_each(|end| end.set_nodelay(true).and(end.set_nonblocking(true)))?;
        (End::Tcp(near), End::Tcp(far))
    } else {
        let (near, far) = std::os::unix::net::UnixStream::pair()?;
        [&near, &far].into_iter().try_for_each(|end| end.set_nonblocking(true))?;
        (End::Unix(near), End::Unix(far))
    };
    let echo = runtime()?;
    std::thread::spawn(move || {
        echo.block_on(async {
            let Ok(stream) = far.resume() else { return };
            let ((out, said), (heard, inbox)) = (mailbox(Delivery::InOrder), mailbox(Delivery::InOrder));
            tokio::spawn(carry::<f32>(stream, link, Direction::Down, Ends { said, heard }));
            while let Ok(signal) = poll_fn(|context| inbox.poll_take(u64::MAX, context)).await {
                if out.send(Signal { content: Content::Adjoint, ..signal }).is_err() {
                    break;
                }
            }
        });
    });
    runtime()?.block_on(async {
        let ((out, said), (heard, inbox)) = (mailbox(Delivery::InOrder), mailbox(Delivery::InOrder));
        tokio::spawn(carry::<f32>(near.resume()?, link, Direction::Up, Ends { said, heard }));
        let numbers = Arc::new(Field::zeros((rows, 64)));
        let mut times = Vec::new();
        for trip in 1..=2000 {
            let stamp = Stamp { phase: 1, version: trip, ..Stamp::default() };
            let started = Instant::now();
            let signal = Signal { stamp, content: Content::Prediction, numbers: Arc::clone(&numbers) };
            out.send(signal).map_err(|_| "the link is gone")?;
            poll_fn(|context| inbox.poll_take(u64::MAX, context)).await.map_err(|_| "the link is gone")?;
            times.push(started.elapsed().as_secs_f64());
        }
        Ok(median(times))
    })
}

enum End {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl End {
    fn resume(self) -> std::io::Result<Stream> {
        Ok(match self {
            Self::Tcp(stream) => tokio::net::TcpStream::from_std(stream)?.into(),
            Self::Unix(stream) => tokio::net::UnixStream::from_std(stream)?.into(),
        })
    }
}

fn wire(name: &'static str, tcp: bool) -> Any<Wire> {
    let (small, large) = (round_trip(tcp, 2)?, round_trip(tcp, 1024)?);
    let bytes = 2.0 * 4.0 * 64.0 * (1024.0 - 2.0);
    Ok(Wire { name, latency: small / 2.0, bandwidth: bytes / (large - small).max(1e-9) })
}

/// The load of the last minute, where the system tells.
fn load() -> String {
    let told = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    told.split_whitespace().next().map_or("unknown".to_owned(), str::to_owned)
}

/// A run on this machine: its configuration, what it is called, what connects it, and its chain.
struct Case {
    config: Config,
    workers: usize,
    tcp: bool,
    chain: Chain,
}

fn plan() -> Any<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (overrides, targets): (Vec<String>, Vec<String>) = words.into_iter().partition(|word| word.contains('='));
    let load_with = |more: &[&str]| {
        let more = more.iter().map(|word| (*word).to_owned());
        config::load(targets.first().map(String::as_str), &overrides.iter().cloned().chain(more).collect::<Vec<_>>())
    };
    let alone = load_with(&[])?.config;
    let network = assemble::network(&alone)?;
    let steps = alone.inference.max_infer_iters as u64;
    let batch = alone.data.batch_size;
    let plan = assemble::plan(&alone, &network)?.ok_or("a rule without phases sends nothing")?;
    let makes_steps = |phase: &&PlannedPhase| phase.motion != Motion::Forward && phase.reading == Reading::AtEnd;
    let of_steps = plan.phases.iter().filter(makes_steps).count();
    if of_steps == 0 {
        return Err("no phase of this rule makes steps".into());
    }
    let kept = match alone.learning.optimizer {
        OptimizerKind::Sgd => 1,
        OptimizerKind::Momentum => 2,
        OptimizerKind::Adam | OptimizerKind::Adamw => 3,
    };
    let deeds = Deeds { batch, phases: [plan.phases.len(), of_steps], steps, kept };
    let cores = std::thread::available_parallelism()?.get();
    let widths = network.widths().to_vec();
    let groups = network.group_counts();

    // A network that is cut has room for as many workers as a layer has groups.
    let most = if network.is_cut() { groups.iter().copied().max().unwrap_or(1) } else { widths.len() };
    let mut cases = Vec::new();
    for workers in 1..=3.min(most) {
        for tcp in [false, true].into_iter().take(if workers == 1 { 1 } else { 2 }) {
            let (count, by) =
                (format!("workers={workers}"), format!("links.transport={}", if tcp { "tcp" } else { "unix" }));
            let config = load_with(if workers > 1 { vec![count.as_str(), &by] } else { vec![] }.as_slice())?.config;
            let parts = placement(&config, &network)?.parts().to_vec();
            cases.push(Case { config, workers, tcp, chain: Chain::of_nodes(&widths, &groups, &parts, deeds, cores) });
        }
    }
    // In turns, so that whatever else the machine does falls on constants and cases alike.
    let mut found = vec![Vec::new(); cases.len()];
    let (mut once, mut twice, mut wires, mut stage) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()], Vec::new());
    let weights: usize = widths.windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum();
    for _ in 0..TURNS {
        for (case, times) in cases.iter().zip(&mut found) {
            let seconds = measured(&case.config, &network, steps)?;
            if case.workers == 1 {
                // One behind the other, so that the load is the same.
                twice.push(measured(&alone, &network, 2 * steps)? / seconds);
                once.push(seconds);
            }
            times.push(seconds);
        }
        wires[0].push(wire("unix", false)?);
        wires[1].push(wire("tcp", true)?);
        stage.push(staging(weights));
    }
    let once = median(once);
    let all = |of: &dyn Fn(usize) -> f64| (0..widths.len()).map(of).sum::<f64>();
    // Twice the steps take at most twice the time; what is more was the load.
    let inference = once * (median(twice).min(2.0) - 1.0);
    if inference <= 0.0 {
        return Err("twice the steps took no longer: there is too much other work on this machine to measure".into());
    }
    let product = inference / (steps as f64 * of_steps as f64 * all(&|layer| products(&widths, layer, batch)));
    let stage = median(stage);
    let speed = Speed { product, stage, once: (once - inference).max(0.0) / all(&|layer| numbers(&widths, layer)) };
    let wires = wires.map(|seen| Wire {
        name: seen[0].name,
        latency: median(seen.iter().map(|wire| wire.latency).collect()),
        bandwidth: median(seen.iter().map(|wire| wire.bandwidth).collect()),
    });
    let [phases, _] = deeds.phases;
    println!(
        "{widths:?}, batch {batch}, {phases} phases, {of_steps} of them of {steps} steps, {cores} cores at a load of {}",
        load()
    );
    println!(
        "computing {:.2} GFLOP/s, staging {:.2} ns per number, per weight and training step {:.2} ns",
        2e-9 / speed.product,
        speed.stage * 1e9,
        speed.once * 1e9
    );
    for Wire { name, latency, bandwidth } in &wires {
        println!("{name:<5} latency {:.1} µs, bandwidth {:.2} GB/s", latency * 1e6, bandwidth * 1e-9);
    }
    println!("{} exchanges with the coordinator per training step", exchanges(deeds));
    println!("\n   workers  by       predicted /s  measured /s  measured / predicted  bound by");
    for (Case { workers, tcp, chain, .. }, times) in cases.iter().zip(found) {
        let wire = wires[usize::from(*tcp)];
        let (predicted, bound) = predict(chain, speed, wire);
        let (found, name) = (median(times), if *workers == 1 { "-" } else { wire.name });
        println!(
            "   {workers:>7}  {name:<7} {:>13.1} {:>12.1} {:>21.2}  {bound}",
            1.0 / predicted,
            1.0 / found,
            predicted / found
        );
    }
    // A signal goes one layer per step, so a chain needs as many steps as it has layers there and back.
    let wires = [
        Wire { name: "10 Gbit/s", latency: 30e-6, bandwidth: 1.25e9 },
        Wire { name: "200 Gbit/s", latency: 10e-6, bandwidth: 25e9 },
    ];
    println!("\none layer on every host, batch {batch}, as many steps as there are layers there and back");
    println!("   hosts  width  network      steps/s    against one host  bound by");
    for width in [256, 2048] {
        for wire in wires {
            for hosts in [1, 10, 100, 1000] {
                let chain = |hosts_used: usize| {
                    let home = |h| (0..=hosts).filter(|l| l * hosts_used / (hosts + 1) == h).collect();
                    let parts: Vec<Vec<usize>> = (0..hosts_used).map(home).collect();
                    let deeds = Deeds { steps: 2 * hosts as u64, ..deeds };
                    Chain::of_nodes(&vec![width; hosts + 1], &vec![1; hosts + 1], &parts, deeds, hosts_used)
                };
                let (alone, (spread, bound)) = (predict(&chain(1), speed, wire).0, predict(&chain(hosts), speed, wire));
                println!(
                    "   {hosts:>5}  {width:>5}  {:<10} {:>9.3} {:>18.1} ×  {bound}",
                    wire.name,
                    1.0 / spread,
                    alone / spread
                );
            }
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    // The workers of a run are this program again.
    if std::env::args().nth(1).is_some_and(|word| word == "worker") {
        return asynapse::cli::main();
    }
    match plan() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
