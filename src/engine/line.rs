//! The line on which the coordinator tells one layer, or one group, what to do: reliable, in order, read before signals.
//!
//! A line that has nothing to say costs some fifty bytes, one that has, a link in a chain for each directive. A general channel reserves a block of places for messages, several thousand
//! bytes here, which a million neurons would each pay for.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use crate::signal::Directive;

/// Directives that may wait on a line; the coordinator never has more than a few outstanding.
const WAITING_MOST: usize = 64;

#[derive(Debug)]
struct Inner<T> {
    first: Option<Box<Waiting<T>>>,
    waker: Option<Waker>,
    /// One of the two ends is gone.
    closed: bool,
}

/// A directive that waits, and those behind it.
#[derive(Debug)]
struct Waiting<T> {
    directive: Directive<T>,
    next: Option<Box<Waiting<T>>>,
}

type Shared<T> = Arc<Mutex<Inner<T>>>;

fn lock<T>(shared: &Shared<T>) -> MutexGuard<'_, Inner<T>> {
    // No code that can panic runs while the lock is held.
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The coordinator's end.
#[derive(Debug)]
pub(crate) struct Teller<T>(Shared<T>);

/// The layer's end.
#[derive(Debug)]
pub(crate) struct Hearer<T>(Shared<T>);

/// Why something could not be told.
#[derive(Debug)]
pub(crate) enum Untold<T> {
    /// Nobody is there to hear it.
    Gone,
    /// Dozens are unread; the directive comes back.
    Full(Directive<T>),
}

/// What a line holds at a moment.
#[derive(Debug)]
pub(super) enum Heard<T> {
    Directive(Directive<T>),
    /// Nothing now.
    Nothing,
    /// Nothing any more.
    Over,
}

/// Both ends of a new line.
pub(crate) fn line<T>() -> (Teller<T>, Hearer<T>) {
    let shared = Arc::new(Mutex::new(Inner { first: None, waker: None, closed: false }));
    (Teller(Arc::clone(&shared)), Hearer(shared))
}

impl<T> Teller<T> {
    /// Tells without waiting.
    pub(crate) fn tell(&self, directive: Directive<T>) -> Result<(), Untold<T>> {
        let waker = {
            let mut inner = lock(&self.0);
            if inner.closed {
                return Err(Untold::Gone);
            }
            let (mut count, mut end) = (0, &mut inner.first);
            while let Some(waiting) = end {
                (count, end) = (count + 1, &mut waiting.next);
            }
            if count == WAITING_MOST {
                return Err(Untold::Full(directive));
            }
            *end = Some(Box::new(Waiting { directive, next: None }));
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }
}

impl<T> Hearer<T> {
    /// What is there now.
    pub(super) fn try_next(&self) -> Heard<T> {
        Self::take(&mut lock(&self.0))
    }

    fn take(inner: &mut Inner<T>) -> Heard<T> {
        match inner.first.take() {
            Some(waiting) => {
                let Waiting { directive, next } = *waiting;
                inner.first = next;
                Heard::Directive(directive)
            }
            None if inner.closed => Heard::Over,
            None => Heard::Nothing,
        }
    }

    /// Polls for the next directive; `None` if the coordinator is gone.
    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Directive<T>>> {
        let mut inner = lock(&self.0);
        match Self::take(&mut inner) {
            Heard::Directive(directive) => Poll::Ready(Some(directive)),
            Heard::Over => Poll::Ready(None),
            Heard::Nothing => {
                inner.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The next directive; `None` if the coordinator is gone.
    pub(super) async fn next(&self) -> Option<Directive<T>> {
        poll_fn(|context| self.poll_next(context)).await
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

impl<T> Drop for Teller<T> {
    fn drop(&mut self) {
        close(&self.0);
    }
}

impl<T> Drop for Hearer<T> {
    fn drop(&mut self) {
        close(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_heard_in_order_and_the_end_after_it() {
        let (teller, hearer) = line::<f32>();
        assert!(matches!(hearer.try_next(), Heard::Nothing));
        for step in 0..WAITING_MOST as u64 {
            teller.tell(Directive::Continue(step)).expect("there is room");
        }
        assert!(matches!(teller.tell(Directive::Learn), Err(Untold::Full(Directive::Learn))));
        drop(teller);
        for step in 0..WAITING_MOST as u64 {
            assert!(matches!(hearer.try_next(), Heard::Directive(Directive::Continue(told)) if told == step));
        }
        assert!(matches!(hearer.try_next(), Heard::Over));
    }

    #[test]
    fn nobody_can_be_told_anything_who_is_gone() {
        let (teller, hearer) = line::<f32>();
        drop(hearer);
        assert!(matches!(teller.tell(Directive::Learn), Err(Untold::Gone)));
    }
}
