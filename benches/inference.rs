//! Speed of one training step's inference, and of whole training steps, by reference, lock-step and free-running.
//!
//! `cargo bench` first prints ratios to the reference, measured in turns within one run (medians; the machine may be shared),
//! then criterion's absolute figures: `inference/*` in inference steps per second, `training/*` in samples per second.

use std::hint::black_box;
use std::time::{Duration, Instant};

use asynapse::energy::{Activation, Loss};
use asynapse::engine::{Engine, EngineSettings, Schedule};
use asynapse::experiment::Machine;
use asynapse::experiment::machine::{Procedure, Purpose};
use asynapse::math::Numerics;
use asynapse::math::optimizer::OptimizerSpec;
use asynapse::math::random::{Purpose as Use, Stream};
use asynapse::math::{Field, Real};
use asynapse::network::{Init, NetworkSpec};
use asynapse::reference::{Baseline, Synchronous};
use asynapse::rule::{FreePhase, Nudging, Plan, RuleName};
use asynapse::settling::Limits;
use asynapse::signal::Message;
use criterion::{Criterion, Throughput};
use ndarray::Array2;

const BATCH: usize = 64;
const STEPS: u64 = 50;
const RATE: f64 = 0.1;

const PROGRAMS: [&str; 6] = [
    "reference",
    "lock-step, 1 thread",
    "lock-step, 2 threads",
    "free-running, 1 thread",
    "free-running, 2 threads",
    "backprop",
];

struct Bench<T: Real> {
    machine: Machine<T>,
    plan: Plan,
    data: Field<T>,
    target: Field<T>,
}

fn network(widths: &[usize]) -> NetworkSpec {
    NetworkSpec::new(widths, Activation::Relu, Loss::CrossEntropy).expect("a valid network")
}

impl<T: Real> Bench<T> {
    fn new(widths: &[usize], program: &str) -> Self {
        let network = network(widths);
        let weights = network.initial_weights::<T>(Init::TorchLinear, 0);
        let optimizer = OptimizerSpec::sgd(1e-4);
        let actors = |schedule, threads| {
            let stall = Duration::from_secs(30);
            let settings = EngineSettings {
                schedule,
                threads,
                message: Message::ErrorEcho,
                rate: RATE,
                optimizer,
                numerics: Numerics::default(),
                stall,
            };
            Machine::Actors(Box::new(Engine::new(&network, weights.clone(), settings).expect("an engine")))
        };
        let machine = match program {
            "reference" => Machine::Reference(Box::new(Synchronous::new(&network, weights.clone(), RATE, optimizer))),
            "lock-step, 1 thread" => actors(Schedule::LockStep, 1),
            "lock-step, 2 threads" => actors(Schedule::LockStep, 2),
            "free-running, 1 thread" => actors(Schedule::FreeRunning, 1),
            "free-running, 2 threads" => actors(Schedule::FreeRunning, 2),
            _ => Machine::Backprop(Box::new(Baseline::new(&network, weights.clone(), optimizer))),
        };
        let mut stream = Stream::new(1, Use::Trial, 0);
        let data = Array2::from_shape_simple_fn((widths[0], BATCH), || T::of(stream.unit()));
        let mut target = Array2::zeros((widths[widths.len() - 1], BATCH));
        let classes = target.nrows();
        (0..BATCH).for_each(|sample| target[[sample % classes, sample]] = T::one());
        let plan = Plan::named(RuleName::PcNudge, &network, 0.01, Nudging::OneSided, FreePhase::Forward);
        let plan = plan.expect("a plan").expect("phases");
        Self { machine, plan, data, target }
    }

    fn step(&mut self, purpose: Purpose) {
        let procedure = Procedure { plan: Some(&self.plan), limits: Limits::steps(STEPS) };
        let record = self.machine.step((&self.data, &self.target), procedure, purpose);
        black_box(record.expect("a step"));
    }
}

/// Median times of training steps, taken in turns.
fn ratios<T: Real>(widths: &[usize]) {
    let mut benches: Vec<Bench<T>> = PROGRAMS.iter().map(|program| Bench::new(widths, program)).collect();
    let mut times = vec![Vec::new(); benches.len()];
    for _ in 0..150 {
        for (bench, times) in benches.iter_mut().zip(&mut times) {
            let started = Instant::now();
            bench.step(Purpose::Learn);
            times.push(started.elapsed().as_secs_f64());
        }
    }
    let medians: Vec<f64> = times
        .iter_mut()
        .map(|times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
        .collect();
    println!(
        "{} {:?}, batch {BATCH}, {STEPS} inference steps: time of a training step against the reference",
        network(widths),
        T::DTYPE
    );
    for (program, median) in PROGRAMS.iter().zip(&medians) {
        let (ratio, micros, samples) = (median / medians[0], median * 1e6, BATCH as f64 / median);
        println!("  {program:<24} {ratio:>6.3} ×   {micros:>8.0} µs   {samples:>8.0} samples/s");
    }
}

fn criterion_groups(criterion: &mut Criterion) {
    for widths in [&[784, 128, 64, 10][..], &[784, 256, 256, 10]] {
        for (group, purpose, elements) in
            [("inference", Purpose::Show, STEPS), ("training", Purpose::Learn, BATCH as u64)]
        {
            let mut group = criterion.benchmark_group(format!("{group}/{}", network(widths)));
            group.throughput(Throughput::Elements(elements)).measurement_time(Duration::from_secs(3)).sample_size(20);
            for program in PROGRAMS.iter().filter(|program| !(purpose == Purpose::Show && **program == "backprop")) {
                let mut bench = Bench::<f32>::new(widths, program);
                group.bench_function(*program, |bencher| bencher.iter(|| bench.step(purpose)));
            }
            group.finish();
        }
    }
}

fn main() {
    let test_mode = std::env::args().any(|argument| argument == "--test");
    if !test_mode {
        ratios::<f32>(&[784, 128, 64, 10]);
        ratios::<f32>(&[784, 256, 256, 10]);
        ratios::<f64>(&[784, 256, 256, 10]);
    }
    let mut criterion = Criterion::default().configure_from_args();
    criterion_groups(&mut criterion);
    criterion.final_summary();
}
