//! A layer's side: what it may do with its weights, and when.

use super::{Answer, Order, OutOfTurn, Ticket};

/// Where a layer is in the protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Participant {
    /// The generation, and the steps that are in the weights; none before weights were installed.
    at: Option<Ticket>,
    staged: Staged,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Staged {
    #[default]
    Nothing,
    /// The update is being worked out.
    Awaited,
    /// It is there, and all its numbers are finite or not.
    Update { finite: bool },
}

/// What happens to a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParticipantEvent {
    /// An order came.
    Heard(Order),
    /// What [`ParticipantAction::Stage`] asked for is done.
    Staged {
        /// All its numbers are finite.
        finite: bool,
    },
}

/// What a layer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParticipantAction {
    /// Work out the update, without touching the weights.
    Stage,
    /// Make the staged weights the weights.
    Apply,
    /// Drop what is staged.
    Discard,
    /// Answer.
    Say(Answer),
}

impl Participant {
    /// The generation and the steps that are in the weights.
    pub fn at(&self) -> Option<Ticket> {
        self.at
    }

    /// Takes in an event. An error changes nothing: whoever sent the order is of another life of the run, or wrong.
    pub fn on(&mut self, event: ParticipantEvent) -> Result<Vec<ParticipantAction>, OutOfTurn> {
        use ParticipantAction::{Apply, Discard, Say, Stage};
        match event {
            ParticipantEvent::Heard(Order::Install(ticket))
                if self.at.is_none_or(|at| at.generation < ticket.generation) =>
            {
                let left = std::mem::take(&mut self.staged) != Staged::Nothing;
                self.at = Some(ticket);
                Ok(left.then_some(Discard).into_iter().chain([Say(Answer::Installed(ticket))]).collect())
            }
            ParticipantEvent::Heard(Order::Prepare(ticket))
                if self.awaits(ticket) && self.staged == Staged::Nothing =>
            {
                self.staged = Staged::Awaited;
                Ok(vec![Stage])
            }
            ParticipantEvent::Staged { finite } if self.staged == Staged::Awaited => {
                let ticket = self.at.map(Ticket::next).ok_or_else(|| self.out_of_turn("an update", None))?;
                self.staged = Staged::Update { finite };
                Ok(vec![Say(Answer::Vote(ticket, finite))])
            }
            ParticipantEvent::Heard(Order::Commit(ticket))
                if self.awaits(ticket) && self.staged == Staged::Update { finite: true } =>
            {
                self.staged = Staged::Nothing;
                self.at = Some(ticket);
                Ok(vec![Apply, Say(Answer::Applied(ticket))])
            }
            ParticipantEvent::Heard(Order::Abort(ticket))
                if self.awaits(ticket) && matches!(self.staged, Staged::Update { .. }) =>
            {
                self.staged = Staged::Nothing;
                Ok(vec![Discard])
            }
            ParticipantEvent::Heard(Order::Store(ticket))
                if self.at == Some(ticket) && self.staged == Staged::Nothing =>
            {
                Ok(vec![Say(Answer::Stored(ticket))])
            }
            ParticipantEvent::Heard(order) => Err(self.out_of_turn(&format!("{order:?}"), Some(order.ticket()))),
            ParticipantEvent::Staged { .. } => Err(self.out_of_turn("an update", None)),
        }
    }

    /// True for the step after the one the weights are at.
    fn awaits(&self, ticket: Ticket) -> bool {
        self.at.map(Ticket::next) == Some(ticket)
    }

    fn out_of_turn(&self, what: &str, ticket: Option<Ticket>) -> OutOfTurn {
        let at = self.at.map_or("the beginning".to_owned(), |at| at.to_string());
        let is_late = ticket.zip(self.at).is_some_and(|(ticket, at)| ticket.generation < at.generation);
        OutOfTurn { what: what.to_owned(), at: format!("{at} ({:?} staged)", self.staged), is_late }
    }
}
