//! An update that is worked out beside the weights and becomes the weights when all layers have voted for it
//! (`crate::transaction`).
//!
//! Staged, committed or dropped, the arithmetic is that of `Learn`, so the bits are too. Weights that move during a phase (`continual`)
//! have moved before the vote; there a vote against them ends the run, and the last checkpoint is what counts.

use super::feedback::Feedback;
use super::precision::UnitPrecision;
use super::{Layer, LayerError};
use crate::math::optimizer::Optimizer;
use crate::math::{Field, Real, values};
use crate::network::Parameters;
use crate::signal::Extract;
use crate::transaction::{Answer, Order, OutOfTurn, Participant, ParticipantAction, ParticipantEvent};

/// Where a layer is among generations and steps, and the update that awaits the verdict.
#[derive(Debug)]
pub(super) struct InTransaction<T> {
    participant: Participant,
    staged: Option<Learnt<T>>,
}

impl<T> Default for InTransaction<T> {
    fn default() -> Self {
        Self { participant: Participant::default(), staged: None }
    }
}

/// Everything that a layer learns.
#[derive(Debug)]
struct Learnt<T> {
    outgoing: Option<OfOutgoing<T>>,
    units: Option<Box<UnitPrecision<T>>>,
}

/// What leads up from it, and the way back.
#[derive(Debug)]
struct OfOutgoing<T> {
    parameters: Parameters<T>,
    optimizers: Option<Box<[Optimizer<T>; 2]>>,
    back: Option<Box<Feedback<T>>>,
}

impl<T: Real> Learnt<T> {
    fn is_finite(&self) -> bool {
        let finite = |field: &Field<T>| values(field).iter().all(|number| number.is_finite());
        let outgoing = self.outgoing.as_ref().is_none_or(|OfOutgoing { parameters, back, .. }| {
            parameters.numbers().all(T::is_finite) && back.as_ref().is_none_or(|back| finite(&back.matrix))
        });
        outgoing && self.units.as_ref().is_none_or(|units| units.is_finite())
    }
}

impl<T: Real> Layer<T> {
    /// Takes in an order. One of another generation or step is refused and changes nothing.
    pub(super) fn transact(&mut self, order: Order) -> Result<Option<Extract<T>>, LayerError> {
        let answer = self.goes_through(ParticipantEvent::Heard(order))?;
        Ok(answer.map(Extract::Answer))
    }

    fn goes_through(&mut self, event: ParticipantEvent) -> Result<Option<Answer>, LayerError> {
        let actions = self
            .transaction
            .get_or_insert_default()
            .participant
            .on(event)
            .map_err(|error: OutOfTurn| self.fault(error.to_string()))?;
        let mut said = None;
        for action in actions {
            match action {
                ParticipantAction::Stage => {
                    let finite = self.stage()?;
                    said = self.goes_through(ParticipantEvent::Staged { finite })?;
                }
                ParticipantAction::Apply => {
                    if let Some(mut staged) = self.transaction.get_or_insert_default().staged.take() {
                        self.exchange(&mut staged);
                    }
                }
                ParticipantAction::Discard => self.transaction.get_or_insert_default().staged = None,
                ParticipantAction::Say(answer) => said = Some(answer),
            }
        }
        Ok(said)
    }

    /// Works out the update; the weights stay what they were. True if all numbers of it are finite.
    fn stage(&mut self) -> Result<bool, LayerError> {
        let mut staged = self.learnt();
        let learning = self.learn();
        self.exchange(&mut staged);
        learning?;
        let finite = staged.is_finite();
        self.transaction.get_or_insert_default().staged = Some(staged);
        Ok(finite)
    }

    fn learnt(&self) -> Learnt<T> {
        let of = |outgoing: &super::Outgoing<T>| OfOutgoing {
            parameters: outgoing.parameters.clone(),
            optimizers: outgoing.optimizers.clone(),
            back: outgoing.back.clone(),
        };
        let units = self.incoming.as_ref().and_then(|incoming| incoming.units.clone());
        Learnt { outgoing: self.outgoing.as_ref().map(of), units }
    }

    /// Swaps what was learnt for another version of it; whatever was worked out with the one is void.
    fn exchange(&mut self, other: &mut Learnt<T>) {
        if let (Some(own), Some(staged)) = (&mut self.outgoing, &mut other.outgoing) {
            std::mem::swap(&mut own.parameters, &mut staged.parameters);
            std::mem::swap(&mut own.optimizers, &mut staged.optimizers);
            std::mem::swap(&mut own.back, &mut staged.back);
            own.clear();
        }
        if let Some(incoming) = &mut self.incoming {
            std::mem::swap(&mut incoming.units, &mut other.units);
            incoming.touch();
        }
    }
}
