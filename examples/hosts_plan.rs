//! How many training steps a second H hosts would make in lock-step: a model of four measured constants, held against what really
//! runs on this machine with 1, 2 and 3 processes, then used for up to a thousand hosts.
//!
//! ```text
//! inference step = max( Σ c_l of the busiest host ,  c_l + c_{l+1} + 2 (α + bytes_l / β) of the slowest link ,  Σ c / cores )
//! training step  = f · (L + 1) + phases · 2 α + phases · steps · inference step
//! ```
//!
//! c_l: computing of layer l, α, β: latency and bandwidth of a link, f: what coordinator and layer do once per training step. In
//! lock-step layer l answers its neighbour's prediction of every step, so a link is a cycle of a max-plus linear system, whose period
//! is its largest mean over cycles (Baccelli, Cohen, Olsder & Quadrat 1992, chapter 2). It is a bound from below: what else the
//! processors have to do, stragglers and lost packets are not in it.
//!
//! `cargo run --release --example hosts_plan -- [CONFIG|PRESET] [key=value]…`

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
use asynapse::network::NetworkSpec;
use asynapse::settling::Limits;
use asynapse::signal::{Content, Signal, Stamp};
use asynapse::wire::frame::{Direction, Link};

type Any<T> = Result<T, Box<dyn Error>>;

/// Seconds, and bytes per second.
#[derive(Clone, Copy, Debug)]
struct Wire {
    name: &'static str,
    latency: f64,
    bandwidth: f64,
}

/// What one process needs: seconds per multiplication and addition, and once per layer and training step.
#[derive(Clone, Copy, Debug)]
struct Speed {
    product: f64,
    once: f64,
}

/// A chain on hosts.
struct Chain {
    widths: Vec<usize>,
    /// Layers of every host.
    parts: Vec<Vec<usize>>,
    batch: usize,
    phases: usize,
    steps: u64,
    cores: usize,
}

/// Multiplications and additions of one inference step of a layer: the product up and the one down.
fn products(widths: &[usize], layer: usize, batch: usize) -> f64 {
    let above = widths.get(layer + 1).copied().unwrap_or(0);
    if layer == 0 { 0.0 } else { 2.0 * (widths[layer] * above * batch) as f64 }
}

/// Seconds of a training step, and what bounds it.
fn predict(chain: &Chain, speed: Speed, wire: Wire) -> (f64, &'static str) {
    let Chain { widths, parts, batch, phases, steps, cores } = chain;
    let compute: Vec<f64> = (0..widths.len()).map(|l| speed.product * products(widths, l, *batch)).collect();
    let home = |layer: usize| parts.iter().position(|part| part.contains(&layer));
    let busiest = parts.iter().map(|part| part.iter().map(|&l| compute[l]).sum::<f64>()).fold(0.0, f64::max);
    let shared = compute.iter().sum::<f64>() / (*cores).min(parts.len()) as f64;
    let apart = (1..widths.len() - 1).filter(|&lower| home(lower) != home(lower + 1));
    let cycle = |lower: usize| {
        let bytes = (64 + 4 * widths[lower + 1] * batch) as f64;
        compute[lower] + compute[lower + 1] + 2.0 * (wire.latency + bytes / wire.bandwidth)
    };
    let slowest = apart.map(cycle).fold(0.0, f64::max);
    let step = busiest.max(shared).max(slowest);
    let inference = *phases as f64 * *steps as f64 * step;
    let talk = if parts.len() > 1 { *phases as f64 * 2.0 * wire.latency } else { 0.0 };
    let once = speed.once * widths.len() as f64 + talk;
    let bound = if once > inference {
        "coordinator"
    } else if slowest >= busiest.max(shared) {
        "links"
    } else {
        "computing"
    };
    (once + inference, bound)
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

fn plan() -> Any<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (overrides, targets): (Vec<String>, Vec<String>) = words.into_iter().partition(|word| word.contains('='));
    let load = |more: &[&str]| {
        let more = more.iter().map(|word| (*word).to_owned());
        config::load(targets.first().map(String::as_str), &overrides.iter().cloned().chain(more).collect::<Vec<_>>())
    };
    let alone = load(&[])?.config;
    let network = assemble::network(&alone)?;
    let steps = alone.inference.max_infer_iters as u64;
    let batch = alone.data.batch_size;
    let phases = assemble::plan(&alone, &network)?.map_or(0, |plan| plan.phases.len());
    let cores = std::thread::available_parallelism()?.get();
    let widths = network.widths().to_vec();

    let (once, twice) = (measured(&alone, &network, steps)?, measured(&alone, &network, 2 * steps)?);
    let all: f64 = (0..widths.len()).map(|layer| products(&widths, layer, batch)).sum();
    let inference = (twice - once).max(0.0);
    let speed = Speed {
        product: inference / (steps as f64 * phases as f64 * all),
        once: (once - inference).max(0.0) / widths.len() as f64,
    };
    let (unix, tcp) = (wire("unix", false)?, wire("tcp", true)?);
    println!("{widths:?}, batch {batch}, {phases} phases of {steps} steps, {cores} cores");
    println!("computing {:.2} GFLOP/s, once per layer and step {:.1} µs", 2e-9 / speed.product, speed.once * 1e6);
    for Wire { name, latency, bandwidth } in [unix, tcp] {
        println!("{name:<5} latency {:.1} µs, bandwidth {:.2} GB/s", latency * 1e6, bandwidth * 1e-9);
    }
    println!("\n   workers  by       predicted /s  measured /s  measured / predicted  bound by");
    for workers in 1..=3.min(widths.len()) {
        for wire in [unix, tcp] {
            let (count, by) = (format!("workers={workers}"), format!("links.transport={}", wire.name));
            let config = load(if workers > 1 { vec![count.as_str(), &by] } else { vec![] }.as_slice())?.config;
            let parts = placement(&config, &network)?.parts().to_vec();
            let chain = Chain { widths: widths.clone(), parts, batch, phases, steps, cores };
            let (predicted, bound) = predict(&chain, speed, wire);
            let found = measured(&config, &network, steps)?;
            println!(
                "   {workers:>7}  {:<7} {:>13.1} {:>12.1} {:>21.2}  {bound}",
                if workers == 1 { "-" } else { wire.name },
                1.0 / predicted,
                1.0 / found,
                predicted / found
            );
            if workers == 1 {
                break;
            }
        }
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
                let chain = |hosts_used: usize| Chain {
                    widths: vec![width; hosts + 1],
                    parts: (0..hosts_used)
                        .map(|h| (0..=hosts).filter(|l| l * hosts_used / (hosts + 1) == h).collect())
                        .collect(),
                    batch,
                    phases,
                    steps: 2 * hosts as u64,
                    cores: hosts_used,
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
