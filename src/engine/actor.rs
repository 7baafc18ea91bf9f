//! The task around a layer: it reads directives first, then signals, and hands both to the layer. All decisions about numbers
//! are the layer's (`crate::layer`); all decisions about order are the schedule's (`lock_step`, `free_running`).

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

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

/// What all actors of one process share.
pub(super) struct Common<T> {
    pub(super) news: mpsc::Sender<News<T>>,
    /// Of all groups that run free in this process.
    pub(super) outstanding: Arc<Outstanding>,
    pub(super) schedule: Schedule,
    /// Polls of an empty mailbox before the task parks: worth it where another thread is about to send.
    pub(super) polls_before_parking: u32,
}

/// A group of neurons (a whole layer if it is not cut), its mailboxes, and its line to the coordinator.
pub(super) struct Actor<T> {
    /// Dropped before its links, so that neighbours who notice find it said where it has gone.
    pub(super) presence: Presence,
    pub(super) layer: Group<T>,
    pub(super) links: Links<T>,
    pub(super) directives: Hearer<T>,
    pub(super) common: Arc<Common<T>>,
    /// When it acts, where that is imposed.
    pub(super) beat: Option<Box<Beat>>,
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

/// The task of an actor: runs until the coordinator drops its end of the directives.
///
/// There may be a million that wait for a directive, and a task is as large as the largest that it holds while it waits. So what every
/// actor has between phases is written as a state by hand, as small as it can be, and the rest is made when it is needed and given back.
pub(super) enum Life<T> {
    /// Waits for a directive.
    Idle(Box<Actor<T>>),
    /// Is amid a phase, or waits until the coordinator has read other news.
    Busy(Deeds<T>),
    /// Has ended.
    Over,
}

/// What leads back to the actor, or to its end.
type Deeds<T> = Pin<Box<dyn Future<Output = Option<Box<Actor<T>>>> + Send>>;

impl<T: Real> Life<T> {
    pub(super) fn begin(actor: Actor<T>) -> Self {
        actor.waits(Awaits::Directive);
        Self::Idle(Box::new(actor))
    }
}

impl<T: Real> Future for Life<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let deed = match &mut *self {
                Self::Idle(actor) => {
                    ready!(actor.directives.poll_next(context)).map(|directive| actor.hear_directive(directive))
                }
                Self::Busy(deeds) => {
                    *self = ready!(deeds.as_mut().poll(context)).map_or(Self::Over, Self::Idle);
                    continue;
                }
                Self::Over => return Poll::Ready(()),
            };
            *self = match (std::mem::replace(&mut *self, Self::Over), deed) {
                (Self::Idle(actor), Some(Deed::Done)) => Self::Idle(actor),
                (Self::Idle(actor), Some(Deed::Say(news))) => Self::Busy(Box::pin(tell(actor, news))),
                (Self::Idle(actor), Some(Deed::Phase)) => Self::Busy(Box::pin(pass_phases(actor))),
                _ => Self::Over,
            };
        }
    }
}

/// Tells the coordinator, which may be gone; then nobody is left to be told.
async fn tell<T: Real>(actor: Box<Actor<T>>, news: News<T>) -> Option<Box<Actor<T>>> {
    actor.say(news).await;
    Some(actor)
}

/// One phase, and those that follow on it at once; nothing if the actor has come to its end.
async fn pass_phases<T: Real>(mut actor: Box<Actor<T>>) -> Option<Box<Actor<T>>> {
    loop {
        let after = match actor.common.schedule {
            Schedule::LockStep => lock_step::phase(&mut actor).await,
            Schedule::FreeRunning if actor.layer.is_cut() => Box::pin(free_groups::phase(&mut actor)).await,
            Schedule::FreeRunning => Box::pin(free_running::phase(&mut actor)).await,
        };
        let deed = match after {
            After::Directive(directive) => actor.obey(*directive),
            After::Dismissed => return None,
            After::Broken => {
                actor.say(News::LinkBroken(actor.layer.index())).await;
                return None;
            }
        };
        match deed {
            Deed::Phase => {}
            Deed::Done => break,
            Deed::Say(news) => {
                actor.say(news).await;
                break;
            }
        }
    }
    actor.waits(Awaits::Directive);
    Some(actor)
}

/// What a directive leads to.
enum Deed<T> {
    Done,
    Say(News<T>),
    Phase,
}

/// An actor's line on the page of who waits for whom. Its end says that the actor has ended, also when it panics.
pub(super) struct Presence {
    pub(super) whereabouts: Arc<Whereabouts>,
    /// Its index among all groups of the network.
    pub(super) node: usize,
}

impl Presence {
    pub(super) fn goes_on(&self) {
        self.whereabouts.goes_on(self.node);
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.whereabouts.ends(self.node);
    }
}

impl<T: Real> Actor<T> {
    pub(super) fn phase(&self) -> u64 {
        self.layer.phase().map_or(0, |phase| phase.number)
    }

    pub(super) fn waits(&self, awaits: Awaits) {
        self.presence.whereabouts.waits(self.presence.node, awaits, self.phase(), self.layer.step());
    }

    pub(super) async fn next_directive(&mut self) -> Option<Directive<T>> {
        self.waits(Awaits::Directive);
        let directive = self.directives.next().await;
        self.presence.goes_on();
        directive
    }

    /// Takes in a directive between phases.
    fn hear_directive(&mut self, directive: Directive<T>) -> Deed<T> {
        self.presence.goes_on();
        let deed = self.obey(directive);
        self.waits(Awaits::Directive);
        deed
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
        self.say(News::Report(Box::new(report)))
    }

    /// Tells the coordinator; false if it is gone.
    pub(super) async fn say(&self, news: News<T>) -> bool {
        match self.common.news.try_send(news) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            // Boxed, for those who have to wait: the others need no room for it.
            Err(TrySendError::Full(news)) => Box::pin(self.common.news.send(news)).await.is_ok(),
        }
    }

    fn obey(&mut self, directive: Directive<T>) -> Deed<T> {
        let begins = matches!(directive, Directive::Begin(_));
        if let Directive::Extract(wanted @ (Wanted::Clock | Wanted::Sightings)) = directive {
            let seen = Extract::Seen(Box::new(self.recorder.hand_out(wanted, self.layer.state())));
            return Deed::Say(News::Extract(self.presence.node, Box::new(seen)));
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
            Ok(Some(extract)) => Deed::Say(News::Extract(self.presence.node, Box::new(extract))),
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
