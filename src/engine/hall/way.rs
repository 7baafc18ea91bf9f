//! The ways of what a group says to those who hear it, where links take their time: each listener has a link of its own.
//!
//! ```text
//! speaker ─► lane (wall_clock) ─(held until due)─► place of this speaker and this listener ─► mark ─► listener
//!              owed: counted as outstanding                                             counted as outstanding
//! ```
//!
//! Two rules more than those of [`Outstanding`]: what is owed on a way is counted from before it is sent, by a speaker who is counted; and
//! when the newest is delivered its count becomes that of the mark, in one step, so that nobody has to notice that it was the last. A mark
//! counts as often as something was delivered since its listener looked.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, PoisonError};

use super::Pair;
use crate::engine::mailbox::{Broken, Detour, Outbox};
use crate::math::Real;
use crate::settling::Outstanding;
use crate::signal::Signal;
use crate::wire::frame::Direction;

/// Versions on one way.
#[derive(Debug, Default)]
struct Debt {
    newest: u64,
    delivered: u64,
}

/// Where a way ends.
#[derive(Debug)]
struct End<T> {
    halls: Pair<T>,
    direction: Direction,
    speaker: usize,
    listener: usize,
    outstanding: Arc<Outstanding>,
    debt: Mutex<Debt>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Way<T> {
    end: Arc<End<T>>,
    outbox: Outbox<T>,
}

/// Those of one speaker, in the order of the listeners; few groups have any, so that the others keep no more room than a pointer.
#[derive(Debug)]
pub(super) struct Ways<T>(pub(super) Vec<Way<T>>);

impl<T: Real> Way<T> {
    /// From a speaker to a listener, by what `lane` puts before its end.
    pub(super) fn new(
        (halls, direction, speaker): (&Pair<T>, Direction, usize),
        listener: usize,
        outstanding: &Arc<Outstanding>,
        lane: impl FnOnce(Outbox<T>) -> Outbox<T>,
    ) -> Self {
        let (halls, outstanding) = (halls.clone(), Arc::clone(outstanding));
        let end = Arc::new(End { halls, direction, speaker, listener, outstanding, debt: Mutex::default() });
        let target: Arc<dyn Detour<T>> = Arc::<End<T>>::clone(&end);
        Self { end, outbox: lane(Outbox::by(target)) }
    }
}

impl<T> Way<T> {
    /// Sends what will replace whatever was sent before.
    pub(super) fn send(&self, signal: Signal<T>) -> Result<(), Broken> {
        {
            let mut debt = self.end.debt.lock().unwrap_or_else(PoisonError::into_inner);
            if debt.newest == debt.delivered {
                self.end.outstanding.add();
            }
            debt.newest = signal.stamp.version;
        }
        self.outbox.send(signal).map(drop)
    }
}

impl<T: Real> Detour<T> for End<T> {
    fn take(&self, signal: Signal<T>) -> Result<(), Broken> {
        let Self { halls, direction, speaker, listener, outstanding, debt } = self;
        let [hall, _] = halls.of(*direction);
        if hall.closed.load(SeqCst) {
            return Err(Broken);
        }
        let mut debt = debt.lock().unwrap_or_else(PoisonError::into_inner);
        hall.phase.fetch_max(signal.stamp.phase, SeqCst);
        debt.delivered = signal.stamp.version;
        let before = hall.place(*speaker, *listener).replace(signal);
        drop(before);
        if debt.delivered != debt.newest {
            // The way stays counted for what is still on it.
            outstanding.add();
        }
        let listener = &hall.listeners[*listener];
        listener.marks.fetch_add(1, SeqCst);
        listener.waker.wake();
        Ok(())
    }
}
