//! The coordinator's side, for the length of one generation: whoever is lost ends it, and the next one has a machine of its own.

use super::{Answer, Order, OutOfTurn, Ticket};

/// One generation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Coordinator {
    /// The generation, and the steps that every layer has applied.
    at: Ticket,
    stage: Stage,
    /// Who has answered, in the present stage.
    answered: Vec<bool>,
    /// The first layer that voted no.
    refused: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    New,
    Installing,
    /// All are at the same step.
    Ready,
    Preparing,
    Committing,
    Storing,
    /// Everything is handed out, and is being made durable.
    Writing,
    Aborted,
}

/// What happens to the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinatorEvent {
    /// Everybody is there and has been given the weights.
    Begin,
    /// A layer answered.
    Answered(usize, Answer),
    /// The phases of the next step are over.
    Step,
    /// A checkpoint is due.
    Store,
    /// The manifest is on the disk.
    Written,
}

/// What the coordinator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinatorAction {
    /// Give every layer this order.
    TellAll(Order),
    /// All have installed what they were given.
    Installed(Ticket),
    /// The step is made, on every layer.
    Committed(Ticket),
    /// The step is made on no layer, because this one's update is not finite.
    Aborted {
        /// The step that was not made.
        ticket: Ticket,
        /// Who voted no.
        layer: usize,
    },
    /// Write what was handed out, the name that makes it count last; then say so.
    Write(Ticket),
}

impl Coordinator {
    /// A generation of so many layers that begins with these steps made.
    pub fn new(layers: usize, at: Ticket) -> Self {
        Self { at, stage: Stage::New, answered: vec![false; layers], refused: None }
    }

    /// The generation and the steps that every layer has applied.
    pub fn at(&self) -> Ticket {
        self.at
    }

    /// True if all layers are at the same step and nothing is under way.
    pub fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// True before it has begun.
    pub fn is_new(&self) -> bool {
        self.stage == Stage::New
    }

    /// True if answers are missing.
    pub fn waits(&self) -> bool {
        matches!(self.stage, Stage::Installing | Stage::Preparing | Stage::Committing | Stage::Storing)
    }

    /// Takes in an event. An error changes nothing.
    pub fn on(&mut self, event: CoordinatorEvent) -> Result<Vec<CoordinatorAction>, OutOfTurn> {
        use CoordinatorAction::TellAll;
        match (event, self.stage) {
            (CoordinatorEvent::Begin, Stage::New) => Ok(vec![self.ask(Stage::Installing, Order::Install(self.at))]),
            (CoordinatorEvent::Step, Stage::Ready) => {
                Ok(vec![self.ask(Stage::Preparing, Order::Prepare(self.at.next()))])
            }
            (CoordinatorEvent::Store, Stage::Ready) => Ok(vec![self.ask(Stage::Storing, Order::Store(self.at))]),
            (CoordinatorEvent::Written, Stage::Writing) => {
                self.stage = Stage::Ready;
                Ok(Vec::new())
            }
            (CoordinatorEvent::Answered(layer, answer), stage) if self.expects(layer, answer, stage) => {
                self.answered[layer] = true;
                if matches!(answer, Answer::Vote(_, false)) {
                    self.refused = Some(self.refused.map_or(layer, |first| first.min(layer)));
                }
                Ok(if self.answered.contains(&false) { Vec::new() } else { self.all_have_answered() })
            }
            (event, _) => Err(self.out_of_turn(event)),
        }
        .inspect(|actions| debug_assert!(actions.iter().filter(|action| matches!(action, TellAll(_))).count() < 2))
    }

    fn ask(&mut self, stage: Stage, order: Order) -> CoordinatorAction {
        self.stage = stage;
        self.answered.fill(false);
        CoordinatorAction::TellAll(order)
    }

    fn expects(&self, layer: usize, answer: Answer, stage: Stage) -> bool {
        let of_this_stage = match (stage, answer) {
            (Stage::Installing, Answer::Installed(ticket)) | (Stage::Storing, Answer::Stored(ticket)) => {
                ticket == self.at
            }
            (Stage::Preparing, Answer::Vote(ticket, _)) | (Stage::Committing, Answer::Applied(ticket)) => {
                ticket == self.at.next()
            }
            _ => false,
        };
        of_this_stage && self.answered.get(layer) == Some(&false)
    }

    fn all_have_answered(&mut self) -> Vec<CoordinatorAction> {
        use CoordinatorAction::{Aborted, Committed, Installed, TellAll, Write};
        let next = self.at.next();
        match (self.stage, self.refused) {
            (Stage::Installing, _) => {
                self.stage = Stage::Ready;
                vec![Installed(self.at)]
            }
            (Stage::Preparing, None) => vec![self.ask(Stage::Committing, Order::Commit(next))],
            (Stage::Preparing, Some(layer)) => {
                self.stage = Stage::Aborted;
                vec![TellAll(Order::Abort(next)), Aborted { ticket: next, layer }]
            }
            (Stage::Committing, _) => {
                self.stage = Stage::Ready;
                self.at = next;
                vec![Committed(next)]
            }
            (Stage::Storing, _) => {
                self.stage = Stage::Writing;
                vec![Write(self.at)]
            }
            _ => Vec::new(),
        }
    }

    fn out_of_turn(&self, event: CoordinatorEvent) -> OutOfTurn {
        let is_late = match event {
            CoordinatorEvent::Answered(_, answer) => answer.ticket().generation < self.at.generation,
            _ => false,
        };
        OutOfTurn { what: format!("{event:?}"), at: format!("{} ({:?})", self.at, self.stage), is_late }
    }
}
