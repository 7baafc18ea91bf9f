//! The task around a layer: it reads directives first, then signals, and hands both to the layer. All decisions about numbers
//! are the layer's (`crate::layer`); all decisions about order are the schedule's (`lock_step`, `free_running`).

use std::future::poll_fn;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::error::Loss;
use super::mailbox::{Broken, Inbox, Outbox};
use super::wall_clock::{Beat, Recorder};
use super::whereabouts::{Awaits, Whereabouts};
use super::{Schedule, crash, free_running, lock_step};
use crate::layer::LayerError;
use crate::layer::group::Group;
use crate::math::Real;
use crate::signal::{Directive, Extract, Report, Signal, Wanted};

/// What a task tells the coordinator.
#[derive(Debug)]
pub(crate) enum News<T> {
    Report(Report),
    Extract(usize, Extract<T>),
    Fault(LayerError),
    /// A neighbour is gone, or spoke out of turn.
    LinkBroken(usize),
    /// A process is gone.
    Lost(Loss),
}

/// The mailboxes of one group, to and from every group next door; none at the ends of the chain.
#[derive(Debug)]
pub(super) struct Links<T> {
    pub(super) to_above: Vec<Outbox<T>>,
    pub(super) from_above: Vec<Inbox<T>>,
    pub(super) to_below: Vec<Outbox<T>>,
    pub(super) from_below: Vec<Inbox<T>>,
}

impl<T> Links<T> {
    pub(super) fn none() -> Self {
        Self { to_above: Vec::new(), from_above: Vec::new(), to_below: Vec::new(), from_below: Vec::new() }
    }
}

/// A group of neurons (a whole layer if it is not cut), its mailboxes, and its line to the coordinator.
pub(super) struct Actor<T> {
    pub(super) layer: Group<T>,
    /// Its index among all groups of the network.
    pub(super) node: usize,
    pub(super) links: Links<T>,
    pub(super) directives: mpsc::Receiver<Directive<T>>,
    pub(super) news: mpsc::Sender<News<T>>,
    pub(super) whereabouts: Arc<Whereabouts>,
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
    Directive(Directive<T>),
    /// The coordinator is gone.
    Dismissed,
    /// A neighbour is gone, or spoke out of turn.
    Broken,
}

/// Runs until the coordinator drops its end of the directives, then returns the group.
pub(super) async fn run<T: Real>(mut actor: Actor<T>) -> Group<T> {
    let mut pending = None;
    let _departure = Departure { whereabouts: Arc::clone(&actor.whereabouts), node: actor.node };
    loop {
        let directive = match pending.take() {
            Some(directive) => directive,
            None => match actor.next_directive().await {
                Some(directive) => directive,
                None => break,
            },
        };
        let begins = matches!(directive, Directive::Begin(_));
        if let Directive::Extract(wanted @ (Wanted::Clock | Wanted::Sightings)) = directive {
            let seen = actor.recorder.hand_out(wanted, actor.layer.state());
            let _ = actor.news.send(News::Extract(actor.node, Extract::Seen(Box::new(seen)))).await;
            continue;
        }
        if begins {
            actor.recorder.begins();
        }
        let [before, behind] = crash::places(&directive);
        crash::point(before);
        let heard = actor.layer.hear_directive(directive);
        crash::point(behind);
        match heard {
            Ok(None) if begins => {
                let after = match actor.schedule {
                    Schedule::LockStep => lock_step::phase(&mut actor).await,
                    Schedule::FreeRunning => free_running::phase(&mut actor).await,
                };
                match after {
                    After::Directive(directive) => pending = Some(directive),
                    After::Dismissed => break,
                    After::Broken => {
                        // The coordinator may be gone as well; then nobody is left to be told.
                        let _ = actor.news.send(News::LinkBroken(actor.layer.index())).await;
                        break;
                    }
                }
            }
            Ok(None) => {}
            Ok(Some(extract)) => {
                let _ = actor.news.send(News::Extract(actor.node, extract)).await;
            }
            Err(fault) => {
                let _ = actor.news.send(News::Fault(fault)).await;
            }
        }
    }
    actor.layer
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
        let directive = self.directives.recv().await;
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
    pub(super) async fn report(&self, report: Report) -> bool {
        self.news.send(News::Report(report)).await.is_ok()
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
