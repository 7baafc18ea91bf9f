//! Oracle: exhaustion. A chain of abstract layers around the real `Settler`s and the real `Detector`, small enough that every
//! order of events can be walked (`super::walk`).
//!
//! A layer's state is a small integer. As in predictive coding, its prediction depends on its state, the error it answers with
//! on its state and the prediction it last heard, and its residual on both and the error it last heard:
//!
//! ```text
//! prediction = x        error = x − heard prediction        residual = |heard error − error|        x ← x ± 1
//! ```
//!
//! A layer is freer here than the real task, which hears, speaks and turns in a fixed order: it hears, speaks and obeys whenever
//! there is something to hear, say or obey, also in the middle of that order, and turns whenever everything it can say is said
//! (or, where it `hesitates`, at any time). What holds for it holds for the task.

use asynapse::settling::{Settler, Standing, Turn};
use asynapse::signal::{Report, Repose, Versions};

use super::judge::Judge;
use super::keyed::Keyed;

/// What becomes of signals on their way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mail {
    /// One at most waits, the newest.
    NewestWins,
    /// All wait, in order.
    InOrder,
    /// As `NewestWins`, and what waits may be lost.
    Lossy,
}

/// A small network, and what may happen to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<const N: usize> {
    pub(super) mail: Mail,
    /// States at the beginning.
    pub(super) start: [i8; N],
    /// False: clamped.
    pub(super) can_move: [bool; N],
    /// What layer 0 is predicted to be.
    pub(super) data: i8,
    /// What the last layer is drawn to, in each phase.
    pub(super) targets: &'static [i8],
    pub(super) tolerance: f64,
    pub(super) budget: u64,
    /// A layer may turn with something unspoken, and say it at any later moment.
    pub(super) hesitates: bool,
    /// The coordinator may halt every phase at any moment.
    pub(super) halts: bool,
    /// Recounts that the coordinator may ask for, at any moment of any phase.
    pub(super) recounts: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Hash)]
pub(super) struct Signal {
    phase: u64,
    version: u64,
    value: i8,
}

/// What a layer knows and has said.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub(super) struct Body {
    pub(super) x: i8,
    prediction: Option<i8>,
    error: Option<i8>,
    /// `[above, below]`, like every pair here; these are the last versions.
    said: [u64; 2],
    heard: [u64; 2],
    new: [bool; 2],
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Layer {
    pub(super) rests: bool,
    settled: bool,
    pub(super) phase: u64,
    step: u64,
    pub(super) settler: Keyed<Settler>,
}

#[derive(Clone, Copy, Debug, PartialEq, Hash)]
pub(super) enum Order {
    Begin,
    Recount,
    Halt,
}

/// Everything that layers share with each other, and must stand still once the network is declared quiet.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct Network<const N: usize> {
    pub(super) bodies: [Body; N],
    /// `[up, down]` between layers l and l + 1, at index l.
    pub(super) mail: [[Vec<Signal>; 2]; N],
}

#[derive(Clone, Debug, Hash)]
pub(super) struct World<const N: usize> {
    pub(super) network: Network<N>,
    pub(super) layers: [Layer; N],
    pub(super) reports: [Vec<Keyed<Report>>; N],
    pub(super) orders: [Vec<Order>; N],
    pub(super) judge: Keyed<Judge>,
    pub(super) phase: u64,
    pub(super) recounts: u8,
    pub(super) halted: bool,
    /// It was declared quiet in this phase.
    pub(super) quiet: bool,
}

const ABOVE: usize = 0;
const BELOW: usize = 1;

impl<const N: usize> World<N> {
    pub(super) fn new(case: &Case<N>, judge: Judge) -> Self {
        let body = |l: usize| Body {
            x: case.start[l],
            prediction: (l == 0).then_some(case.data),
            new: [l + 1 < N, l > 0],
            ..Body::default()
        };
        let asleep =
            || Layer { rests: true, settled: false, phase: 0, step: 0, settler: Keyed::new(Settler::new(0.0, 0)) };
        Self {
            network: Network { bodies: std::array::from_fn(body), mail: std::array::from_fn(|_| Default::default()) },
            layers: std::array::from_fn(|_| asleep()),
            reports: std::array::from_fn(|_| Vec::new()),
            orders: std::array::from_fn(|_| vec![Order::Begin]),
            judge: Keyed::new(judge),
            phase: 1,
            recounts: case.recounts,
            halted: false,
            quiet: false,
        }
    }

    pub(super) fn tell_all(&mut self, order: Order) {
        self.orders.iter_mut().for_each(|orders| orders.push(order));
    }

    /// The mailbox in which `l` hears `side`.
    pub(super) fn inbox(&mut self, l: usize, side: usize) -> &mut Vec<Signal> {
        if side == ABOVE { &mut self.network.mail[l][1] } else { &mut self.network.mail[l - 1][0] }
    }

    /// The next signal that `l` would hear from `side`.
    pub(super) fn next_signal(&self, l: usize, side: usize) -> Option<Signal> {
        let mail = &self.network.mail;
        if side == ABOVE { &mail[l][1] } else { &mail[l.checked_sub(1)?][0] }.first().copied()
    }

    pub(super) fn can_hear(&self, l: usize, side: usize) -> bool {
        // A signal of a later phase waits until the layer has come there.
        self.next_signal(l, side).is_some_and(|signal| signal.phase <= self.layers[l].phase)
    }

    pub(super) fn hear(&mut self, l: usize, side: usize) {
        let signal = self.inbox(l, side).remove(0);
        let body = &mut self.network.bodies[l];
        body.heard[side] = signal.version;
        if side == ABOVE {
            body.error = Some(signal.value);
        } else {
            body.prediction = Some(signal.value);
            body.new[BELOW] = true;
        }
        self.layers[l].rests = false;
        self.layers[l].settler.change(Settler::stir);
    }

    pub(super) fn can_speak(&self, l: usize, side: usize) -> bool {
        let body = &self.network.bodies[l];
        self.layers[l].phase > 0 && body.new[side] && (side == ABOVE || body.prediction.is_some())
    }

    pub(super) fn speak(&mut self, case: &Case<N>, l: usize, side: usize) {
        let phase = self.layers[l].phase;
        let body = &mut self.network.bodies[l];
        body.new[side] = false;
        body.said[side] += 1;
        let value = if side == ABOVE { body.x } else { body.x - body.prediction.expect("it was heard") };
        let signal = Signal { phase, version: body.said[side], value };
        let mailbox = if side == ABOVE { &mut self.network.mail[l][0] } else { &mut self.network.mail[l - 1][1] };
        if case.mail != Mail::InOrder {
            mailbox.clear();
        }
        mailbox.push(signal);
        let layer = &mut self.layers[l];
        layer.settler.change(Settler::stir);
        layer.rests = false;
    }

    /// Which way the state would move with these signals from the neighbours; nowhere before a prediction was heard.
    fn drive(&self, case: &Case<N>, l: usize, prediction: Option<i8>, error: Option<i8>) -> i8 {
        let x = self.network.bodies[l].x;
        let target = case.targets[self.phase_of(l) - 1];
        let error = if l + 1 == N { target - x } else { error.unwrap_or(0) };
        match prediction {
            Some(prediction) if case.can_move[l] => error - (x - prediction),
            _ => 0,
        }
    }

    fn phase_of(&self, l: usize) -> usize {
        (self.layers[l].phase as usize).max(1)
    }

    /// The drive by what it has heard.
    fn supposed(&self, case: &Case<N>, l: usize) -> i8 {
        let body = &self.network.bodies[l];
        self.drive(case, l, body.prediction, body.error)
    }

    /// The residual by what its neighbours' states are at this moment.
    pub(super) fn true_residual(&self, case: &Case<N>, l: usize) -> f64 {
        let x = |l: usize| self.network.bodies[l].x;
        let prediction = if l == 0 { case.data } else { x(l - 1) };
        let error = (l + 1 < N).then(|| x(l + 1) - x(l));
        f64::from(self.drive(case, l, Some(prediction), error).abs())
    }

    pub(super) fn can_turn(&self, case: &Case<N>, l: usize) -> bool {
        !self.layers[l].rests && (case.hesitates || self.has_spoken(l))
    }

    pub(super) fn has_spoken(&self, l: usize) -> bool {
        !self.can_speak(l, ABOVE) && !self.can_speak(l, BELOW)
    }

    /// A turn; returns whether it woke a layer that had settled.
    pub(super) fn turn(&mut self, case: &Case<N>, l: usize) -> bool {
        let drive = self.supposed(case, l);
        let standing = Standing { spoken: self.has_spoken(l), can_move: case.can_move[l] };
        let (layer, body) = (&mut self.layers[l], &mut self.network.bodies[l]);
        let had_settled = layer.settled;
        let turn = layer.settler.change(|settler| settler.turn(f64::from(drive.abs()), layer.step, standing));
        layer.settled = layer.settler.get().repose() == Repose::Settled;
        layer.rests = turn != Turn::Move;
        match turn {
            Turn::Move => {
                layer.step += 1;
                if case.can_move[l] {
                    body.x += drive.signum();
                    body.new = [l + 1 < N, l > 0];
                }
            }
            Turn::Rest { report: true } => self.report(case, l),
            Turn::Rest { report: false } => {}
        }
        had_settled && turn == Turn::Move
    }

    fn report(&mut self, case: &Case<N>, l: usize) {
        let (layer, body) = (&self.layers[l], &self.network.bodies[l]);
        let versions = |[above, below]: [u64; 2]| Versions { above, below };
        let report = Report {
            group: 0,
            layer: l,
            phase: layer.phase,
            step: layer.step,
            residual: f64::from(self.supposed(case, l).abs()),
            unsettled: 0,
            energy: 0.0,
            score: None,
            bad: None,
            spoken: versions(body.said),
            heard: versions(body.heard),
            repose: layer.settler.get().repose(),
            staleness: 0,
        };
        self.reports[l].push(Keyed::new(report));
    }

    pub(super) fn obey(&mut self, case: &Case<N>, l: usize) {
        match self.orders[l].remove(0) {
            Order::Begin => {
                let (layer, body) = (&mut self.layers[l], &mut self.network.bodies[l]);
                layer.phase += 1;
                layer.step = 0;
                layer.settler = Keyed::new(Settler::new(case.tolerance, case.budget));
                body.new[BELOW] = l > 0;
            }
            Order::Recount => self.report(case, l),
            Order::Halt => self.layers[l].settler.change(Settler::halt),
        }
        self.layers[l].rests = false;
    }
}
