//! The coordinator's side of a training step that is a transaction (`crate::transaction`): orders go out, answers come in, and one
//! outcome comes back. Only layers in other processes need it; in one process nobody dies alone.

use std::collections::VecDeque;

use super::actor::News;
use super::coordinator::Coordinator;
use super::{Engine, EngineError, crash};
use crate::math::Real;
use crate::signal::{Directive, Extract};
use crate::transaction::{self, CoordinatorAction, CoordinatorEvent, Order, Ticket};

impl<T: Real> Coordinator<T> {
    /// Sets off an event and waits until nothing more is to be waited for; the last thing that then is to be done outside.
    async fn transact(&mut self, event: CoordinatorEvent) -> Result<Option<CoordinatorAction>, EngineError> {
        self.watchdog.wake();
        let mut actions: VecDeque<CoordinatorAction> = self.goes_through(event)?.into();
        let mut outcome = None;
        loop {
            match actions.pop_front() {
                Some(CoordinatorAction::TellAll(order)) => {
                    crash::point(before(order));
                    for node in 0..self.nodes() {
                        self.tell(node, Directive::Transact(order))?;
                        // Told in part, where the runtime has passed on what the first was told.
                        if node == 0 && crash::is_armed() {
                            tokio::task::yield_now().await;
                            crash::point(amid(order));
                        }
                    }
                }
                Some(done) => outcome = Some(done),
                None if self.transaction.as_ref().is_some_and(transaction::Coordinator::waits) => {
                    let news = self.next_news(None).await?.ok_or_else(|| self.ended())?;
                    if let News::Extract(node, extract) = news
                        && let Extract::Answer(answer) = *extract
                    {
                        actions.extend(self.goes_through(CoordinatorEvent::Answered(node, answer))?);
                    }
                }
                None => return Ok(outcome),
            }
        }
    }

    fn goes_through(&mut self, event: CoordinatorEvent) -> Result<Vec<CoordinatorAction>, EngineError> {
        let Some(transaction) = &mut self.transaction else { return Ok(Vec::new()) };
        match transaction.on(event) {
            Err(out_of_turn) if !out_of_turn.is_late => Err(EngineError::OutOfTurn(out_of_turn)),
            // Of a generation that is over: it changes nothing.
            Err(_) => Ok(Vec::new()),
            Ok(actions) => Ok(actions),
        }
    }

    /// Begins the generation, if it has not begun.
    async fn begin(&mut self) -> Result<(), EngineError> {
        if self.transaction.as_ref().is_some_and(transaction::Coordinator::is_new) {
            self.transact(CoordinatorEvent::Begin).await?;
        }
        Ok(())
    }
}

fn before(order: Order) -> &'static str {
    match order {
        Order::Install(_) => "coordinator.install",
        Order::Prepare(_) => "coordinator.prepare",
        Order::Commit(_) => "coordinator.commit",
        Order::Abort(_) => "coordinator.abort",
        Order::Store(_) => "coordinator.store",
    }
}

fn amid(order: Order) -> &'static str {
    match order {
        Order::Prepare(_) => "coordinator.half-prepared",
        Order::Commit(_) => "coordinator.half-committed",
        Order::Install(_) | Order::Abort(_) | Order::Store(_) => "coordinator.half-told",
    }
}

impl<T: Real> Engine<T> {
    /// The weights that were installed are those of this step; layers in one process do not ask.
    pub fn stand_at(&mut self, step: u64) {
        if let Some(transaction) = &mut self.coordinator.transaction {
            let at = Ticket { step, ..transaction.at() };
            *transaction = transaction::Coordinator::new(self.coordinator.directives.len(), at);
        }
    }

    /// Updates all weights from what was collected: in other processes all of them or none.
    pub fn learn(&mut self) -> Result<(), EngineError> {
        if self.coordinator.transaction.is_none() {
            return self.coordinator.tell_all(|| Directive::Learn);
        }
        let coordinator = &mut self.coordinator;
        let outcome = self.runtime.block_on(async {
            coordinator.begin().await?;
            coordinator.transact(CoordinatorEvent::Step).await
        });
        match outcome? {
            Some(CoordinatorAction::Aborted { ticket, layer }) => {
                let layer = coordinator.network.place_of(layer).map_or(layer, |(layer, _)| layer);
                Err(EngineError::Refused { layer, step: ticket.step })
            }
            _ => Ok(()),
        }
    }

    /// Everybody hands out the weights of one and the same step from now on, until they are [written](Self::written). Which one it is;
    /// `None` where layers do not count.
    pub fn store(&mut self) -> Result<Option<u64>, EngineError> {
        let coordinator = &mut self.coordinator;
        let outcome = self.runtime.block_on(async {
            coordinator.begin().await?;
            coordinator.transact(CoordinatorEvent::Store).await
        });
        match outcome? {
            Some(CoordinatorAction::Write(ticket)) => Ok(Some(ticket.step)),
            _ => Ok(None),
        }
    }

    /// What was handed out is on the disk.
    pub fn written(&mut self) -> Result<(), EngineError> {
        self.coordinator.goes_through(CoordinatorEvent::Written).map(drop)
    }
}
