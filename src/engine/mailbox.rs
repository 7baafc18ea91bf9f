//! The mailbox between two neighbours: one direction, one sender, one receiver. Sending never waits.
//!
//! - **in order** (lock-step): a short queue; a neighbour can be at most one step ahead, so a queue that grows is a bug and is
//!   reported as one, not hidden by waiting;
//! - **newest wins** (free-running): a new signal replaces one that was not yet heard, and the sender is told which.
//!
//! Order promised: signals of one mailbox are heard in the order in which they were sent. Between mailboxes nothing is
//! promised. A pair of bounded queues with waiting sends, in both directions of a chain, deadlocks; hence none of that here.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use serde::{Deserialize, Serialize};

use crate::signal::{Signal, Stamp};

/// More than a correct neighbour can be ahead.
const AHEAD_MOST: usize = 4;

/// What happens to a signal that was not heard when the next one comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// Both are kept, in order.
    InOrder,
    /// The newer replaces the older.
    NewestWins,
}

/// What became of a signal that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It waits to be heard.
    Delivered,
    /// It waits, and the one of this version will never be heard.
    Replaced(u64),
}

/// The other side is gone, or is further behind than it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

#[derive(Debug)]
struct Inner<T> {
    delivery: Delivery,
    /// In order; never more than a few.
    waiting: Vec<Signal<T>>,
    waker: Option<Waker>,
    held: bool,
    closed: bool,
    /// What is sent goes here instead of to a receiver of this mailbox.
    detour: Option<Arc<dyn Detour<T>>>,
}

impl<T> Inner<T> {
    /// Something can be heard in `phase`.
    fn ready(&self, phase: u64) -> bool {
        !self.held && self.waiting.first().is_some_and(|signal| signal.stamp.phase <= phase)
    }

    fn take(&mut self) -> Option<Signal<T>> {
        (!self.waiting.is_empty()).then(|| self.waiting.remove(0))
    }

    /// The sender is gone and everything it sent was taken.
    fn over(&self) -> bool {
        self.closed && self.waiting.is_empty()
    }
}

type Shared<T> = Arc<Mutex<Inner<T>>>;

fn lock<T>(shared: &Shared<T>) -> MutexGuard<'_, Inner<T>> {
    // No code that can panic runs while the lock is held.
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A way that what is sent takes to another mailbox, such as one that takes time.
pub(super) trait Detour<T>: Send + Sync + std::fmt::Debug {
    /// Takes over a signal; never waits.
    fn take(&self, signal: Signal<T>) -> Result<(), Broken>;
}

/// The sending end.
#[derive(Debug)]
pub struct Outbox<T>(Shared<T>);

/// The receiving end.
#[derive(Debug)]
pub struct Inbox<T>(Shared<T>);

/// A mailbox's two ends.
pub fn mailbox<T>(delivery: Delivery) -> (Outbox<T>, Inbox<T>) {
    let inner = Inner { delivery, waiting: Vec::new(), waker: None, held: false, closed: false, detour: None };
    let shared = Arc::new(Mutex::new(inner));
    (Outbox(Arc::clone(&shared)), Inbox(shared))
}

impl<T> Outbox<T> {
    /// A sending end whose signals go by a detour; nobody hears from its own mailbox.
    pub(super) fn by(detour: Arc<dyn Detour<T>>) -> Self {
        let (delivery, waiting) = (Delivery::NewestWins, Vec::new());
        let inner = Inner { delivery, waiting, waker: None, held: false, closed: false, detour: Some(detour) };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Its mailbox's gate.
    pub fn gate(&self) -> Gate<T> {
        Gate(Arc::clone(&self.0))
    }

    /// True if nobody will hear what is sent.
    pub fn is_closed(&self) -> bool {
        lock(&self.0).closed
    }

    /// Ends the mailbox, as if this end were gone.
    pub(super) fn close(&self) {
        close(&self.0);
    }

    /// Sends without waiting.
    pub fn send(&self, signal: Signal<T>) -> Result<Sent, Broken> {
        let mut replaced = None;
        let (waker, sent) = {
            let mut inner = lock(&self.0);
            if inner.closed {
                return Err(Broken);
            }
            if let Some(detour) = inner.detour.clone() {
                drop(inner);
                return detour.take(signal).map(|()| Sent::Delivered);
            }
            let sent = match inner.delivery {
                Delivery::InOrder if inner.waiting.len() == AHEAD_MOST => return Err(Broken),
                Delivery::InOrder => Sent::Delivered,
                Delivery::NewestWins => {
                    replaced = inner.take();
                    replaced.as_ref().map_or(Sent::Delivered, |old| Sent::Replaced(old.stamp.version))
                }
            };
            // Mostly one waits: room for more is made when more do.
            inner.waiting.reserve_exact(1);
            inner.waiting.push(signal);
            (inner.waker.take(), sent)
        };
        drop(replaced);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(sent)
    }
}

impl<T> Inbox<T> {
    /// The next signal, if one waits and `phase` has come: a signal of a later phase stays where it is.
    pub fn try_take(&self, phase: u64) -> Option<Signal<T>> {
        let mut inner = lock(&self.0);
        if inner.ready(phase) { inner.take() } else { None }
    }

    /// Polls for the next signal of a phase up to `phase`.
    pub fn poll_take(&self, phase: u64, context: &mut Context<'_>) -> Poll<Result<Signal<T>, Broken>> {
        let mut inner = lock(&self.0);
        if inner.ready(phase) || inner.over() {
            return Poll::Ready(inner.take().ok_or(Broken));
        }
        inner.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// True if the sender is gone and everything it sent was taken.
    pub fn is_over(&self) -> bool {
        lock(&self.0).over()
    }

    /// Polls until something of a phase up to `phase` waits, without taking it, or nothing will come any more.
    pub fn poll_waiting(&self, phase: u64, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = lock(&self.0);
        // Not `closed` alone: what waits for its phase would keep the receiver awake without anything to take.
        if inner.ready(phase) || inner.over() {
            return Poll::Ready(());
        }
        inner.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

/// A hand on one mailbox from outside the network, for the study of slow and broken synapses. Layers cannot tell a signal that
/// is held back from one that is slow.
#[derive(Debug)]
pub struct Gate<T>(Shared<T>);

impl<T> Gate<T> {
    /// From now on nothing is heard through this mailbox; what is sent waits in it, by the rules of its delivery.
    pub fn hold(&self) {
        lock(&self.0).held = true;
    }

    /// What waits can be heard again.
    pub fn release(&self) {
        let waker = {
            let mut inner = lock(&self.0);
            inner.held = false;
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends the link, as if the neighbour at the other end were gone, for both sides.
    pub fn cut(&self) {
        close(&self.0);
    }

    /// The stamp of the last signal that was sent and not heard.
    pub fn unheard(&self) -> Option<Stamp> {
        lock(&self.0).waiting.last().map(|signal| signal.stamp)
    }
}

impl<T> Clone for Gate<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

fn close<T>(shared: &Shared<T>) {
    let (waker, detour) = {
        let mut inner = lock(shared);
        inner.closed = true;
        (inner.waker.take(), inner.detour.take())
    };
    // With its detour a mailbox closes the one that is at the end of it.
    drop(detour);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<T> Drop for Outbox<T> {
    fn drop(&mut self) {
        close(&self.0);
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        close(&self.0);
    }
}
