//! Oracle of everything called settled: the textbook formula, from states, weights and targets and from no signal. And a network
//! in front of a phase, with hands on its links.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use asynapse::energy::{Activation, Loss};
use asynapse::engine::mailbox::Gate;
use asynapse::engine::{Engine, EngineError, EngineSettings, Schedule};
use asynapse::math::Field;
use asynapse::network::{NetworkSpec, Weights};
use asynapse::reference::Synchronous;
use asynapse::rule::{FreePhase, Plan, RuleName};
use asynapse::settling::{Limits, PhaseRecord, StopReason};
use asynapse::signal::Message;
use ndarray::{Axis, aview1};

use crate::common::{RATE, adam, batch, engine_states, engine_weights, settings, spec, weights};

pub(super) const TOLERANCE: f64 = 1e-9;
pub(super) const NUDGE: f64 = 0.3;
/// The watchdog's, where it is to bite.
pub(super) const IMPATIENT: Duration = Duration::from_millis(400);
/// Where it is not.
pub(super) const PATIENT: Duration = Duration::from_secs(60);

pub(super) const BOTH: [Schedule; 2] = [Schedule::LockStep, Schedule::FreeRunning];

/// To tolerance, with more steps than any of these phases needs.
pub(super) fn until_settled() -> Limits {
    Limits::tolerance(TOLERANCE, 100_000)
}

/// Runs on a thread of its own, so that a hang is a failure and not a test that never ends.
pub(super) fn in_time<R: Send + 'static>(run: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, result) = channel();
    let runner = thread::spawn(move || done.send(run()).expect("somebody waits"));
    match result.recv_timeout(Duration::from_secs(120)) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(RecvTimeoutError::Disconnected) => std::panic::resume_unwind(runner.join().expect_err("it failed")),
    }
}

/// Every link of the network, in both directions.
pub(super) fn links() -> impl Iterator<Item = (usize, usize)> {
    (0..WIDTHS.len() - 1).flat_map(|lower| [(lower, lower + 1), (lower + 1, lower)])
}

const WIDTHS: [usize; 5] = [6, 8, 7, 5, 4];

/// A network of actors, the same network for the reference, and a batch; nothing has run yet.
pub(super) struct Scene {
    pub(super) network: NetworkSpec,
    pub(super) plan: Plan,
    pub(super) sample: (Field<f64>, Field<f64>),
    pub(super) engine: Engine<f64>,
}

impl Scene {
    pub(super) fn new(schedule: Schedule, threads: usize, patience: Duration, free: FreePhase) -> Self {
        let network = spec(&WIDTHS, Activation::Tanh, Loss::SquaredError);
        let chosen = EngineSettings { stall: patience, ..settings(schedule, threads, Message::ErrorEcho) };
        let engine = Engine::new(&network, weights(&network, 5), chosen).expect("engine");
        let plan = crate::common::plan(RuleName::PcNudge, &network, NUDGE, free);
        let sample = batch(&network, 4, 5);
        let mut scene = Self { network, plan, sample, engine };
        scene.present();
        scene
    }

    /// The free phase is over, in one wave.
    pub(super) fn nudged(schedule: Schedule, threads: usize, patience: Duration) -> Self {
        let mut scene = Self::new(schedule, threads, patience, FreePhase::Forward);
        assert_eq!(scene.run(0, until_settled()).expect("the wave").reason, StopReason::Wave);
        scene
    }

    pub(super) fn present(&mut self) {
        self.engine.present(&self.sample.0, &self.sample.1).expect("present");
    }

    pub(super) fn run(&mut self, phase: usize, limits: Limits) -> Result<PhaseRecord, EngineError> {
        self.engine.run_phase(&self.plan.phases[phase], limits)
    }

    pub(super) fn gate(&self, (from, to): (usize, usize)) -> Gate<f64> {
        self.engine.gate(from, to).expect("neighbours")
    }

    /// Settled, by the engine's word and by the true residual.
    pub(super) fn assert_settled(&mut self, record: &PhaseRecord, nudge: f64) {
        assert_eq!(record.reason, StopReason::Settled, "{record:?}");
        assert!(record.residual() <= TOLERANCE, "{}", record.residual());
        let (weights, states) = (engine_weights(&mut self.engine), engine_states(&mut self.engine));
        let residual = true_residual(&weights, &states, &self.sample.1, nudge);
        assert!(residual <= 1.01 * TOLERANCE, "called settled, but the true residual is {residual:e}");
    }

    /// The same network, run by the synchronous program, with the same batch presented.
    pub(super) fn reference(&self) -> Synchronous<f64> {
        let mut reference = Synchronous::new(&self.network, weights(&self.network, 5), RATE, adam());
        reference.present(&self.sample.0, &self.sample.1);
        reference
    }
}

/// `max |W_{l+1}ᵀ d_{l+1} − e_l|` of tanh layers below a linear output.
fn true_residual(weights: &Weights<f64>, states: &[Field<f64>], target: &Field<f64>, nudge: f64) -> f64 {
    let mut largest: f64 = 0.0;
    let mut d_above: Option<Field<f64>> = None;
    for l in (1..=weights.len()).rev() {
        let a = weights[l - 1].weights.dot(&states[l - 1]) + aview1(&weights[l - 1].bias).insert_axis(Axis(1));
        d_above = Some(match d_above {
            None => nudge * (target - &a),
            Some(d) => {
                let e = &states[l] - &a.mapv(f64::tanh);
                let drive = weights[l].weights.t().dot(&d) - &e;
                largest = drive.iter().fold(largest, |largest, drive| largest.max(drive.abs()));
                e * a.mapv(|a| 1.0 - a.tanh().powi(2))
            }
        });
    }
    largest
}

/// A thread that releases gates one after the other, each when what waits there is not replaced any more, so that its sender
/// and everyone who could have moved the sender has come to rest; and how many it has released.
pub(super) fn release_at_rest(gates: Vec<Gate<f64>>) -> (JoinHandle<()>, Arc<AtomicUsize>) {
    let released = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&released);
    let hand = thread::spawn(move || {
        for gate in gates {
            until_nothing_new(&gate);
            count.fetch_add(1, SeqCst);
            gate.release();
        }
    });
    (hand, released)
}

pub(super) fn until_nothing_new(gate: &Gate<f64>) {
    let (mut newest, mut times) = (None, 0);
    for _ in 0..60_000 {
        let unheard = gate.unheard().map(|stamp| stamp.version);
        times = if unheard.is_some() && unheard == newest { times + 1 } else { 0 };
        newest = unheard;
        if times == 30 {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("nothing came, or no end of it");
}
