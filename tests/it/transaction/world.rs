//! Oracle: exhaustion. A run in small: the real machines, a disk, and a bag of messages of which any may be delivered next, also
//! those to and from the dead.

use asynapse::transaction::{
    Answer, Coordinator, CoordinatorAction, CoordinatorEvent, Order, Participant, ParticipantAction, ParticipantEvent,
    Ticket,
};

/// What is walked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) steps: u64,
    /// Steps between two checkpoints.
    pub(super) every: u64,
    /// Layers or coordinators that die, or are wrongly thought dead.
    pub(super) deaths: u8,
    /// This layer's update to this step is not finite.
    pub(super) bad: Option<(usize, u64)>,
    pub(super) fault: Fault,
}

/// A mistake around the machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// A layer that lived through a loss does not go back.
    SurvivorsKeep,
    /// Nobody looks at the generation.
    NoFencing,
    /// The number of a generation is not on the disk before anybody is told.
    NotRecorded,
    /// The manifest is written when one layer has not handed out its weights.
    EarlyManifest,
    /// A checkpoint counts before it has its name.
    PromisedEarly,
    /// A checkpoint is written over the one before.
    InPlace,
    /// The update is made when it is worked out.
    AppliedAtPrepare,
    FirstVoteCounts,
    FirstAppliedCounts,
    /// A vote against an update is taken for one in favour.
    DeafToNo,
}

/// The updates that are in weights, in the order in which they were made, four bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Updates(u32);

impl Updates {
    pub(super) fn to(step: u64) -> Self {
        (1..=step).fold(Self::default(), Self::with)
    }

    fn with(self, step: u64) -> Self {
        Self(self.0 << 4 | u32::try_from(step).expect("few steps"))
    }

    pub(super) fn has(self, step: u64) -> bool {
        (0..8).any(|place| u64::from(self.0 >> (4 * place) & 15) == step)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Mail {
    /// With the weights to install.
    Down(usize, Order, Option<Updates>),
    /// With the weights that are handed out.
    Up(usize, Answer, Option<Updates>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Layer {
    pub(super) participant: Participant,
    pub(super) weights: Updates,
    staged: Option<Updates>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Seat<const N: usize> {
    Dead,
    /// The number of the generation is on the disk.
    Recorded,
    Running(Coordinator, [Option<Updates>; N]),
    /// The run has ended with an update that was refused.
    Stopped,
}

pub(super) type Checkpoint<const N: usize> = (u64, [Option<Updates>; N]);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World<const N: usize> {
    pub(super) deaths: u8,
    pub(super) generation: u64,
    /// Whole checkpoints on the disk, oldest first, beginning with the initial weights, which are a function of the seed.
    pub(super) checkpoints: Vec<Checkpoint<N>>,
    pub(super) half: Option<Checkpoint<N>>,
    /// The newest step that was ever taken for durable.
    pub(super) promised: u64,
    pub(super) seat: Seat<N>,
    pub(super) layers: [Option<Layer>; N],
    pub(super) mail: Vec<Mail>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Delivers(usize),
    LayerDies(usize),
    CoordinatorDies,
    /// Somebody was lost, or is thought to be: the number of the next generation goes to the disk.
    Records,
    /// Whoever is missing is started, and everybody is given the weights of the newest checkpoint.
    Starts,
    Steps,
    Stores,
    /// The checkpoint gets its name.
    Renames,
    Acknowledges,
}

/// What came of an event, for the judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Nothing,
    Committed(Ticket),
    /// Something of another generation was refused.
    Late,
    /// Something of this generation was refused.
    Refused,
}

impl<const N: usize> World<N> {
    pub(super) fn new(case: &Case) -> Self {
        Self {
            deaths: case.deaths,
            generation: 0,
            checkpoints: vec![(0, [Some(Updates::default()); N])],
            half: None,
            promised: 0,
            seat: Seat::Dead,
            layers: std::array::from_fn(|_| None),
            mail: Vec::new(),
        }
    }

    pub(super) fn newest(&self) -> Option<&Checkpoint<N>> {
        self.checkpoints.last()
    }

    pub(super) fn every(&self) -> impl Iterator<Item = Event> + use<N> {
        let layers = (0..N).map(Event::LayerDies);
        (0..self.mail.len()).map(Event::Delivers).chain(layers).chain([
            Event::CoordinatorDies,
            Event::Records,
            Event::Starts,
            Event::Steps,
            Event::Stores,
            Event::Renames,
            Event::Acknowledges,
        ])
    }

    pub(super) fn can_happen(&self, case: &Case, event: Event) -> bool {
        let running = match &self.seat {
            Seat::Running(machine, _) => Some(machine),
            _ => None,
        };
        let ready = running.filter(|machine| machine.is_ready()).map(|machine| machine.at().step);
        let is_due = |step: u64| (step.is_multiple_of(case.every) || step == case.steps) && step > self.promised;
        match event {
            Event::Delivers(index) => index < self.mail.len(),
            Event::LayerDies(layer) => self.deaths > 0 && self.layers[layer].is_some() && self.seat != Seat::Stopped,
            Event::CoordinatorDies => self.deaths > 0 && !matches!(self.seat, Seat::Dead | Seat::Stopped),
            Event::Records => match self.seat {
                Seat::Dead => true,
                // Without anybody missing it is a false alarm: somebody was silent for too long.
                Seat::Running(..) => self.deaths > 0 || self.layers.iter().any(Option::is_none),
                Seat::Recorded | Seat::Stopped => false,
            },
            Event::Starts => self.seat == Seat::Recorded,
            Event::Steps => ready.is_some_and(|step| step < case.steps && !is_due(step)),
            Event::Stores => ready.is_some_and(is_due),
            Event::Renames => running.is_some() && self.half.is_some(),
            Event::Acknowledges => {
                let early = case.fault == Fault::PromisedEarly;
                running.is_some_and(|machine| {
                    let step = machine.at().step;
                    let is_there = self.half.is_none() && self.newest().is_some_and(|newest| newest.0 == step);
                    let waits = !machine.is_ready() && !machine.waits() && !machine.is_new();
                    waits && (is_there || early)
                })
            }
        }
    }

    pub(super) fn happen(&mut self, case: &Case, event: Event) -> Outcome {
        let outcome = match event {
            Event::Delivers(index) => match self.mail.remove(index) {
                Mail::Down(layer, order, weights) => self.hear_order(case, layer, order, weights),
                Mail::Up(layer, answer, weights) => self.hear_answer(case, layer, answer, weights),
            },
            Event::LayerDies(layer) => {
                self.deaths -= 1;
                self.layers[layer] = None;
                Outcome::Nothing
            }
            Event::CoordinatorDies => {
                self.deaths -= 1;
                self.seat = Seat::Dead;
                // Whatever has no name yet is of no use to anybody.
                self.half = None;
                Outcome::Nothing
            }
            Event::Records => {
                let false_alarm = self.seat != Seat::Dead && self.layers.iter().all(Option::is_some);
                self.deaths -= u8::from(false_alarm);
                self.half = None;
                if case.fault != Fault::NotRecorded || self.generation == 0 {
                    self.generation += 1;
                }
                self.seat = Seat::Recorded;
                Outcome::Nothing
            }
            Event::Starts => {
                let (step, weights) = *self.newest().expect("the initial weights at least");
                let mut machine = Coordinator::new(N, Ticket { generation: self.generation, step });
                let actions = machine.on(CoordinatorEvent::Begin).expect("a new machine begins");
                self.seat = Seat::Running(machine, [None; N]);
                let survives: [bool; N] = std::array::from_fn(|layer| self.layers[layer].is_some());
                for layer in &mut self.layers {
                    layer.get_or_insert_default();
                }
                for action in actions {
                    let CoordinatorAction::TellAll(order) = action else { continue };
                    for layer in 0..N {
                        let keeps = case.fault == Fault::SurvivorsKeep && survives[layer];
                        self.mail.push(Mail::Down(layer, order, weights[layer].filter(|_| !keeps)));
                    }
                }
                Outcome::Nothing
            }
            Event::Steps => self.run(case, CoordinatorEvent::Step),
            Event::Stores => self.run(case, CoordinatorEvent::Store),
            Event::Renames => {
                self.checkpoints.extend(self.half.take());
                let old = self.checkpoints.len().saturating_sub(2);
                self.checkpoints.drain(..old);
                Outcome::Nothing
            }
            Event::Acknowledges => {
                if let Seat::Running(machine, _) = &self.seat {
                    self.promised = self.promised.max(machine.at().step);
                }
                self.run(case, CoordinatorEvent::Written)
            }
        };
        self.mail.sort_unstable();
        outcome
    }

    fn hear_order(&mut self, case: &Case, index: usize, order: Order, weights: Option<Updates>) -> Outcome {
        let present = self.present_generation();
        let Some(layer) = &mut self.layers[index] else { return Outcome::Nothing };
        let order = match layer.participant.at() {
            Some(at) if case.fault == Fault::NoFencing && !matches!(order, Order::Install(_)) => {
                of_generation(order, at.generation)
            }
            _ => order,
        };
        let mut events = vec![ParticipantEvent::Heard(order)];
        while let Some(event) = events.pop() {
            let Ok(actions) = layer.participant.on(event) else {
                return if present == Some(order.ticket().generation) { Outcome::Refused } else { Outcome::Late };
            };
            if let Order::Install(_) = order {
                layer.weights = weights.unwrap_or(layer.weights);
            }
            for action in actions {
                match action {
                    ParticipantAction::Stage => {
                        let step = order.ticket().step;
                        layer.staged = Some(layer.weights.with(step));
                        if case.fault == Fault::AppliedAtPrepare {
                            layer.weights = layer.weights.with(step);
                        }
                        let finite = case.bad != Some((index, step)) || case.fault == Fault::DeafToNo;
                        events.push(ParticipantEvent::Staged { finite });
                    }
                    ParticipantAction::Apply => layer.weights = layer.staged.take().unwrap_or(layer.weights),
                    ParticipantAction::Discard => layer.staged = None,
                    ParticipantAction::Say(answer) => {
                        let handed = matches!(answer, Answer::Stored(_)).then_some(layer.weights);
                        self.mail.push(Mail::Up(index, answer, handed));
                    }
                }
            }
        }
        Outcome::Nothing
    }

    fn hear_answer(&mut self, case: &Case, layer: usize, answer: Answer, weights: Option<Updates>) -> Outcome {
        let Seat::Running(machine, parts) = &mut self.seat else { return Outcome::Late };
        let answer = match case.fault {
            Fault::NoFencing => answer_of_generation(answer, machine.at().generation),
            _ => answer,
        };
        let before = machine.clone();
        match machine.on(CoordinatorEvent::Answered(layer, answer)) {
            Err(out_of_turn) if out_of_turn.is_late => Outcome::Late,
            Err(_) => Outcome::Refused,
            Ok(_) => {
                parts[layer] = weights.or(parts[layer]);
                // Once more, with whatever follows from it; and with what the mistake makes of it.
                *machine = before;
                let counts_for_all = matches!(
                    (case.fault, answer),
                    (Fault::FirstVoteCounts, Answer::Vote(..))
                        | (Fault::FirstAppliedCounts, Answer::Applied(_))
                        | (Fault::EarlyManifest, Answer::Stored(_))
                );
                let mut outcome = self.run(case, CoordinatorEvent::Answered(layer, answer));
                for other in (0..N).filter(|&other| counts_for_all && other != layer) {
                    outcome = self.run(case, CoordinatorEvent::Answered(other, answer));
                }
                outcome
            }
        }
    }

    fn present_generation(&self) -> Option<u64> {
        match &self.seat {
            Seat::Running(machine, _) => Some(machine.at().generation),
            _ => None,
        }
    }

    fn run(&mut self, case: &Case, event: CoordinatorEvent) -> Outcome {
        let Seat::Running(machine, parts) = &mut self.seat else { return Outcome::Late };
        let Ok(actions) = machine.on(event) else {
            return Outcome::Refused;
        };
        let mut outcome = Outcome::Nothing;
        for action in actions {
            match action {
                CoordinatorAction::TellAll(order) => {
                    if let Order::Store(_) = order {
                        *parts = [None; N];
                    }
                    self.mail.extend((0..N).map(|layer| Mail::Down(layer, order, None)));
                }
                CoordinatorAction::Installed(_) => {}
                CoordinatorAction::Committed(ticket) => outcome = Outcome::Committed(ticket),
                CoordinatorAction::Write(ticket) => {
                    self.half = Some((ticket.step, *parts));
                    if case.fault == Fault::InPlace {
                        self.checkpoints.pop();
                    }
                }
                CoordinatorAction::Aborted { .. } => {
                    self.seat = Seat::Stopped;
                    return outcome;
                }
            }
        }
        outcome
    }
}

fn of_generation(order: Order, generation: u64) -> Order {
    let ticket = Ticket { generation, ..order.ticket() };
    match order {
        Order::Install(_) => Order::Install(ticket),
        Order::Prepare(_) => Order::Prepare(ticket),
        Order::Commit(_) => Order::Commit(ticket),
        Order::Abort(_) => Order::Abort(ticket),
        Order::Store(_) => Order::Store(ticket),
    }
}

fn answer_of_generation(answer: Answer, generation: u64) -> Answer {
    let ticket = Ticket { generation, ..answer.ticket() };
    match answer {
        Answer::Installed(_) => Answer::Installed(ticket),
        Answer::Vote(_, finite) => Answer::Vote(ticket, finite),
        Answer::Applied(_) => Answer::Applied(ticket),
        Answer::Stored(_) => Answer::Stored(ticket),
    }
}
