//! The task around a layer: it reads directives first, then signals, and hands both to the layer. All decisions about numbers
//! are the layer's (`crate::layer`); all decisions about order are the schedule's (`lock_step`, `free_running`).

use std::future::poll_fn;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::error::{Loss, Severed};
use super::hall::Seat;
use super::line::Hearer;
use super::mailbox::{Broken, Inbox, Outbox};
use super::wall_clock::{Beat, Recorder};
use super::whereabouts::{Awaits, Whereabouts};
use super::{Schedule, crash, free_groups, free_running, lock_step};
use crate::layer::LayerError;
use crate::layer::group::Group;
use crate::math::Real;
use crate::settling::Outstanding;
use crate::signal::{Directive, Extract, Report, Signal, Wanted};

/// What a task tells the coordinator.
#[derive(Debug)]
pub(crate) enum News<T> {
    Report(Box<Report>),
    Extract(usize, Box<Extract<T>>),
    /// In this phase nothing is outstanding among groups that run free.
    Quiet(u64),
    /// A number that is not finite has come up in this phase among groups that run free.
    Bad(u64),
    Fault(LayerError),
    /// A neighbour is gone, or spoke out of turn.
    LinkBroken(usize),
    /// A process is gone.
    Lost(Box<Loss>),
    /// The line between two processes is dead.
    Severed(Box<Severed>),
}

/// The links of one node with the layer on one side.
#[derive(Debug)]
pub(super) enum Side<T> {
    /// The end of the chain.
    Nobody,
    /// A whole layer next door.
    Mail(Outbox<T>, Inbox<T>),
    /// All groups of a layer next door.
    Hall(Seat<T>),
}

impl<T> Side<T> {
    pub(super) fn outbox(&self) -> Option<&Outbox<T>> {
        if let Self::Mail(outbox, _) = self { Some(outbox) } else { None }
    }

    pub(super) fn inbox(&self) -> Option<&Inbox<T>> {
        if let Self::Mail(_, inbox) = self { Some(inbox) } else { None }
    }

    pub(super) fn seat(&self) -> Option<&Seat<T>> {
        if let Self::Hall(seat) = self { Some(seat) } else { None }
    }

    /// Says the signal of a step in lock-step.
    pub(super) fn say(&self, signal: Signal<T>) -> Result<(), Broken> {
        match self {
            Self::Nobody => Ok(()),
            Self::Mail(outbox, _) => outbox.send(signal).map(drop),
            Self::Hall(seat) => seat.say(signal),
        }
    }
}

/// The links of one node.
#[derive(Debug)]
pub(super) struct Links<T> {
    pub(super) above: Side<T>,
    pub(super) below: Side<T>,
}

impl<T> Links<T> {
    pub(super) fn none() -> Self {
        Self { above: Side::Nobody, below: Side::Nobody }
    }
}

/// A group of neurons (a whole layer if it is not cut), its mailboxes, and its line to the coordinator.
pub(super) struct Actor<T> {
    pub(super) layer: Group<T>,
    /// Its index among all groups of the network.
    pub(super) node: usize,
    pub(super) links: Links<T>,
    pub(super) directives: Hearer<T>,
    pub(super) news: mpsc::Sender<News<T>>,
    pub(super) whereabouts: Arc<Whereabouts>,
    /// Of all groups that run free in this process.
    pub(super) outstanding: Arc<Outstanding>,
    pub(super) schedule: Schedule,
    /// Polls of an empty mailbox before the task parks: worth it where another thread is about to send.
    pub(super) polls_before_parking: u32,
    /// When it acts, where that is imposed.
    pub(super) beat: Option<Beat>,
    /// What is seen of it on the wall clock.
    pub(super) recorder: Recorder<T>,
}

/// How a phase ended for an actor.
pub(super) enum After<T> {
    /// With a directive that belongs to what comes next.
    Directive(Box<Directive<T>>),
    /// The coordinator is gone.
    Dismissed,
    /// A neighbour is gone, or spoke out of turn.
    Broken,
}

/// Runs until the coordinator drops its end of the directives.
///
/// A task is as large as the largest that it holds while it waits, and there may be a million: so the actor and what is rare are boxed,
/// and nothing large lives across an `await`.
pub(super) async fn run<T: Real>(mut actor: Box<Actor<T>>) {
    let _departure = Departure { whereabouts: Arc::clone(&actor.whereabouts), node: actor.node };
    let mut pending: Option<Box<Directive<T>>> = None;
    loop {
        let deed = match pending.take() {
            Some(directive) => actor.obey(*directive),
            None => match actor.next_directive().await {
                Some(directive) => actor.obey(directive),
                None => break,
            },
        };
        match deed {
            Deed::Done => {}
            Deed::Say(news) => {
                // The coordinator may be gone; then nobody is left to be told.
                let _ = actor.news.send(news).await;
            }
            Deed::Phase => {
                let after = match actor.schedule {
                    Schedule::LockStep => lock_step::phase(&mut actor).await,
                    Schedule::FreeRunning if actor.layer.is_cut() => Box::pin(free_groups::phase(&mut actor)).await,
                    Schedule::FreeRunning => Box::pin(free_running::phase(&mut actor)).await,
                };
                match after {
                    After::Directive(directive) => pending = Some(directive),
                    After::Dismissed => break,
                    After::Broken => {
                        let _ = actor.news.send(News::LinkBroken(actor.layer.index())).await;
                        break;
                    }
                }
            }
        }
    }
}

/// What a directive leads to.
enum Deed<T> {
    Done,
    Say(News<T>),
    Phase,
}

/// Says where the layer has gone before its neighbours can notice, also when it panics.
pub(super) struct Departure {
    pub(super) whereabouts: Arc<Whereabouts>,
    pub(super) node: usize,
}

impl Drop for Departure {
    fn drop(&mut self) {
        self.whereabouts.ends(self.node);
    }
}

impl<T: Real> Actor<T> {
    pub(super) fn phase(&self) -> u64 {
        self.layer.phase().map_or(0, |phase| phase.number)
    }

    pub(super) fn waits(&self, awaits: Awaits) {
        self.whereabouts.waits(self.node, awaits, self.phase(), self.layer.step());
    }

    pub(super) async fn next_directive(&mut self) -> Option<Directive<T>> {
        self.waits(Awaits::Directive);
        let directive = self.directives.next().await;
        self.whereabouts.goes_on(self.node);
        directive
    }

    /// Tells the layer of a directive that is the schedule's: it says nothing to the mathematics, but a journal has it.
    pub(super) fn note(&mut self, directive: Directive<T>) {
        // A layer ignores these, and so it can't refuse them.
        let _ = self.layer.hear_directive(directive);
    }

    /// One step down the energy, seen by whoever watches.
    pub(super) fn step(&mut self) {
        let residual = self.layer.relax();
        self.recorder.stepped(&self.layer, residual);
    }

    /// Sends a report; false if the coordinator is gone.
    pub(super) fn report(&self, report: Report) -> impl Future<Output = bool> {
        let news = News::Report(Box::new(report));
        async move { self.news.send(news).await.is_ok() }
    }

    fn obey(&mut self, directive: Directive<T>) -> Deed<T> {
        let begins = matches!(directive, Directive::Begin(_));
        if let Directive::Extract(wanted @ (Wanted::Clock | Wanted::Sightings)) = directive {
            let seen = Extract::Seen(Box::new(self.recorder.hand_out(wanted, self.layer.state())));
            return Deed::Say(News::Extract(self.node, Box::new(seen)));
        }
        if begins {
            self.recorder.begins();
        }
        let [before, behind] = crash::places(&directive);
        crash::point(before);
        let heard = self.layer.hear_directive(directive);
        crash::point(behind);
        match heard {
            Ok(None) if begins => Deed::Phase,
            Ok(None) => Deed::Done,
            Ok(Some(extract)) => Deed::Say(News::Extract(self.node, Box::new(extract))),
            Err(fault) => Deed::Say(News::Fault(fault)),
        }
    }
}

/// The next signal of an inbox: polls a while where that pays, then parks.
pub(super) async fn take<T>(inbox: &Inbox<T>, phase: u64, polls: u32) -> Result<Signal<T>, Broken> {
    for _ in 0..polls {
        if let Some(signal) = inbox.try_take(phase) {
            return Ok(signal);
        }
        tokio::task::yield_now().await;
    }
    poll_fn(|context| inbox.poll_take(phase, context)).await
}
