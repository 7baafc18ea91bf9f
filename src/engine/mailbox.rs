//! The mailbox between two neighbours: one direction, one sender, one receiver. Sending never waits.
//!
//! - **in order** (lock-step): a short queue; a neighbour can be at most one step ahead, so a queue that grows is a bug and is
//!   reported as one, not hidden by waiting;
//! - **newest wins** (free-running): a new signal replaces one that was not yet heard, and the sender is told which.
//!
//! Order promised: signals of one mailbox are heard in the order in which they were sent. Between mailboxes nothing is
//! promised. A pair of bounded queues with waiting sends, in both directions of a chain, deadlocks; hence none of that here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use crate::signal::Signal;

/// More than a correct neighbour can be ahead.
const AHEAD_MOST: usize = 4;

/// What happens to a signal that was not heard when the next one comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    waiting: VecDeque<Signal<T>>,
    waker: Option<Waker>,
    closed: bool,
}

type Shared<T> = Arc<Mutex<Inner<T>>>;

fn lock<T>(shared: &Shared<T>) -> MutexGuard<'_, Inner<T>> {
    // No code that can panic runs while the lock is held.
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The sending end.
#[derive(Debug)]
pub struct Outbox<T>(Shared<T>);

/// The receiving end.
#[derive(Debug)]
pub struct Inbox<T>(Shared<T>);

/// A mailbox's two ends.
pub fn mailbox<T>(delivery: Delivery) -> (Outbox<T>, Inbox<T>) {
    let inner = Inner { delivery, waiting: VecDeque::with_capacity(AHEAD_MOST), waker: None, closed: false };
    let shared = Arc::new(Mutex::new(inner));
    (Outbox(Arc::clone(&shared)), Inbox(shared))
}

impl<T> Outbox<T> {
    /// Sends without waiting.
    pub fn send(&self, signal: Signal<T>) -> Result<Sent, Broken> {
        let mut replaced = None;
        let (waker, sent) = {
            let mut inner = lock(&self.0);
            if inner.closed {
                return Err(Broken);
            }
            let sent = match inner.delivery {
                Delivery::InOrder if inner.waiting.len() == AHEAD_MOST => return Err(Broken),
                Delivery::InOrder => Sent::Delivered,
                Delivery::NewestWins => {
                    replaced = inner.waiting.pop_front();
                    replaced.as_ref().map_or(Sent::Delivered, |old| Sent::Replaced(old.stamp.version))
                }
            };
            inner.waiting.push_back(signal);
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
        if inner.waiting.front()?.stamp.phase > phase { None } else { inner.waiting.pop_front() }
    }

    /// Polls for the next signal of a phase up to `phase`.
    pub fn poll_take(&self, phase: u64, context: &mut Context<'_>) -> Poll<Result<Signal<T>, Broken>> {
        let mut inner = lock(&self.0);
        match inner.waiting.front() {
            Some(signal) if signal.stamp.phase <= phase => Poll::Ready(inner.waiting.pop_front().ok_or(Broken)),
            None if inner.closed => Poll::Ready(Err(Broken)),
            _ => {
                inner.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// True if the sender is gone and everything it sent was taken.
    pub fn is_over(&self) -> bool {
        let inner = lock(&self.0);
        inner.closed && inner.waiting.is_empty()
    }

    /// Polls until something of a phase up to `phase` waits, without taking it.
    pub fn poll_waiting(&self, phase: u64, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = lock(&self.0);
        let ready = inner.closed || inner.waiting.front().is_some_and(|signal| signal.stamp.phase <= phase);
        if ready {
            return Poll::Ready(());
        }
        inner.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

fn close<T>(shared: &Shared<T>) {
    let waker = {
        let mut inner = lock(shared);
        inner.closed = true;
        inner.waker.take()
    };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{Content, Stamp};
    use futures::future::poll_fn;

    fn signal(phase: u64, version: u64) -> Signal<f32> {
        let stamp = Stamp { phase, version, ..Stamp::default() };
        Signal { stamp, content: Content::Prediction, numbers: Arc::default() }
    }

    fn heard(inbox: &Inbox<f32>, phase: u64) -> Option<u64> {
        inbox.try_take(phase).map(|signal| signal.stamp.version)
    }

    #[test]
    fn in_order_keeps_every_signal_and_a_runaway_neighbour_is_an_error() {
        let (outbox, inbox) = mailbox(Delivery::InOrder);
        for version in 1..=4 {
            assert_eq!(outbox.send(signal(1, version)), Ok(Sent::Delivered));
        }
        assert_eq!(outbox.send(signal(1, 5)), Err(Broken));
        assert_eq!((heard(&inbox, 1), heard(&inbox, 1)), (Some(1), Some(2)));
        assert_eq!(outbox.send(signal(1, 5)), Ok(Sent::Delivered));
    }

    #[test]
    fn newest_wins_replaces_what_was_not_heard_and_says_so() {
        let (outbox, inbox) = mailbox(Delivery::NewestWins);
        assert_eq!(outbox.send(signal(1, 1)), Ok(Sent::Delivered));
        assert_eq!(outbox.send(signal(1, 2)), Ok(Sent::Replaced(1)));
        assert_eq!((heard(&inbox, 1), heard(&inbox, 1)), (Some(2), None));
        assert_eq!(outbox.send(signal(1, 3)), Ok(Sent::Delivered));
    }

    #[test]
    fn a_signal_of_a_later_phase_waits_for_its_phase() {
        let (outbox, inbox) = mailbox(Delivery::NewestWins);
        assert!(outbox.send(signal(2, 1)).is_ok());
        assert_eq!((heard(&inbox, 1), heard(&inbox, 2)), (None, Some(1)));
    }

    #[tokio::test]
    async fn a_sender_that_goes_away_wakes_its_receiver_but_what_it_sent_is_still_heard() {
        let (outbox, inbox) = mailbox(Delivery::InOrder);
        let receiver = tokio::spawn(async move {
            let first = poll_fn(|context| inbox.poll_take(1, context)).await.map(|signal| signal.stamp.version);
            let second = poll_fn(|context| inbox.poll_take(1, context)).await.map(|signal| signal.stamp.version);
            (first, second)
        });
        tokio::task::yield_now().await;
        assert!(outbox.send(signal(1, 9)).is_ok());
        drop(outbox);
        assert_eq!(receiver.await.ok(), Some((Ok(9), Err(Broken))));
    }
}
