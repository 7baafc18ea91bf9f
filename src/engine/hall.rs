//! Where the groups of a layer speak and all groups next door listen: one place per speaker, heard by everybody.
//!
//! ```text
//! layer l, groups 0 … k−1  ──say──►  [ newest of 0 | newest of 1 | … | newest of k−1 ]  ◄──read──  every group of layer l ± 1
//! ```
//!
//! Between k and m groups there are k·m links in each direction, and on each its own signal is heard: but what a group says is the same
//! for all, so it is stored once, and a link costs no memory. Two ways of use:
//!
//! - **rounds** (lock-step): every speaker speaks once a round. A listener waits until all have; since it answers every round before the
//!   next is spoken, nobody can be a round ahead, one place is enough, and a count of all that was said tells when a round is complete;
//! - **newest wins** (free-running): a signal replaces the one before it, and every listener finds a mark that something is new.
//!
//! Saying never waits. A speaker or listener that is gone closes the hall for all, as a mailbox does.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;

use super::mailbox::Broken;
use crate::settling::Outstanding;
use crate::signal::Signal;

/// The listener's side of a hall.
#[derive(Debug, Default)]
struct Listener {
    waker: AtomicWaker,
    /// Something was said since it last looked.
    dirty: AtomicBool,
}

/// One direction between two neighbouring layers.
#[derive(Debug)]
pub(super) struct Hall<T> {
    places: Vec<Mutex<Option<Signal<T>>>>,
    listeners: Vec<Listener>,
    /// How much was ever said here.
    said: AtomicU64,
    /// The latest phase anything said here belongs to.
    phase: AtomicU64,
    closed: AtomicBool,
}

impl<T> Hall<T> {
    fn new(speakers: usize, listeners: usize) -> Arc<Self> {
        Arc::new(Self {
            places: (0..speakers).map(|_| Mutex::new(None)).collect(),
            listeners: (0..listeners).map(|_| Listener::default()).collect(),
            said: AtomicU64::new(0),
            phase: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        })
    }

    fn place(&self, speaker: usize) -> MutexGuard<'_, Option<Signal<T>>> {
        // Arithmetic on numbers is all that runs while the lock is held.
        self.places[speaker].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_all(&self) {
        self.listeners.iter().for_each(|listener| listener.waker.wake());
    }

    fn close(&self) {
        self.closed.store(true, SeqCst);
        self.wake_all();
    }
}

/// One group's seat in two halls: where it speaks and where it listens. Both are with the same layer next door.
#[derive(Debug)]
pub(super) struct Seat<T> {
    speaks: Arc<Hall<T>>,
    listens: Arc<Hall<T>>,
    /// Its number in its own layer.
    own: usize,
    /// Rounds heard.
    rounds: u64,
}

/// Counts what is said in one hall.
#[derive(Debug)]
pub(super) struct Counter<T>(Arc<Hall<T>>);

impl<T> Counter<T> {
    /// Links through this hall, from each speaker to each listener.
    pub(super) fn links(&self) -> usize {
        self.0.places.len() * self.0.listeners.len()
    }

    /// Messages so far: what was said, times those who hear it.
    pub(super) fn messages(&self) -> u64 {
        self.0.said.load(SeqCst) * self.0.listeners.len() as u64
    }
}

/// The seats of all groups of two neighbouring layers, of the lower and of the upper one, and what counts between them.
pub(super) fn seats<T>(lower: usize, upper: usize) -> ([Vec<Seat<T>>; 2], [Counter<T>; 2]) {
    let (up, down) = (Hall::new(lower, upper), Hall::new(upper, lower));
    let of = |speaks: &Arc<Hall<T>>, listens: &Arc<Hall<T>>, groups: usize| {
        let seat = |own| Seat { speaks: Arc::clone(speaks), listens: Arc::clone(listens), own, rounds: 0 };
        (0..groups).map(seat).collect()
    };
    ([of(&up, &down, lower), of(&down, &up, upper)], [Counter(up), Counter(down)])
}

impl<T> Seat<T> {
    /// How many speak to it.
    pub(super) fn speakers(&self) -> usize {
        self.listens.places.len()
    }

    /// Says the signal of this round.
    pub(super) fn say(&self, signal: Signal<T>) -> Result<(), Broken> {
        let hall = &*self.speaks;
        if hall.closed.load(SeqCst) {
            return Err(Broken);
        }
        let before = hall.place(self.own).replace(signal);
        drop(before);
        let said = hall.said.fetch_add(1, SeqCst) + 1;
        if said.is_multiple_of(hall.places.len() as u64) {
            hall.wake_all();
        }
        Ok(())
    }

    /// Polls until everybody has spoken in the next round.
    pub(super) fn poll_round(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let hall = &*self.listens;
        let due = (self.rounds + 1) * hall.places.len() as u64;
        let mut complete = hall.said.load(SeqCst) >= due;
        if !complete {
            hall.listeners[self.own].waker.register(context.waker());
            complete = hall.said.load(SeqCst) >= due;
        }
        if complete {
            self.rounds += 1;
            Poll::Ready(Ok(()))
        } else if hall.closed.load(SeqCst) {
            Poll::Ready(Err(Broken))
        } else {
            Poll::Pending
        }
    }

    /// Says what replaces whatever was said before. Every listener for whom nothing was new has something outstanding now.
    pub(super) fn publish(&self, signal: Signal<T>, outstanding: &Outstanding) -> Result<(), Broken> {
        let hall = &*self.speaks;
        if hall.closed.load(SeqCst) {
            return Err(Broken);
        }
        hall.phase.fetch_max(signal.stamp.phase, SeqCst);
        hall.said.fetch_add(1, SeqCst);
        let before = hall.place(self.own).replace(signal);
        drop(before);
        for listener in &hall.listeners {
            // Counted before it can be seen: see `Outstanding`.
            outstanding.add();
            if listener.dirty.swap(true, SeqCst) {
                outstanding.withdraw();
            } else {
                listener.waker.wake();
            }
        }
        Ok(())
    }

    /// True if something that may be heard in this phase has come since [`Seat::look`].
    pub(super) fn has_news(&self, phase: u64) -> bool {
        let hall = &*self.listens;
        hall.listeners[self.own].dirty.load(SeqCst) && hall.phase.load(SeqCst) <= phase
    }

    /// Takes the mark away that something is new; whoever does this is counted as outstanding itself.
    pub(super) fn look(&self, outstanding: &Outstanding) {
        if self.listens.listeners[self.own].dirty.swap(false, SeqCst) {
            outstanding.withdraw();
        }
    }

    /// Polls until something of a phase up to `phase` is new, or nothing will come any more.
    pub(super) fn poll_news(&self, phase: u64, context: &mut Context<'_>) -> Poll<()> {
        let ready = || self.has_news(phase) || self.is_over();
        if !ready() {
            self.listens.listeners[self.own].waker.register(context.waker());
        }
        if ready() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// True if somebody of either layer is gone.
    pub(super) fn is_over(&self) -> bool {
        self.listens.closed.load(SeqCst)
    }

    /// What a speaker last said.
    pub(super) fn hear<R>(&self, speaker: usize, hear: impl FnOnce(&Signal<T>) -> R) -> Option<R> {
        self.listens.place(speaker).as_ref().map(hear)
    }
}

impl<T> Drop for Seat<T> {
    fn drop(&mut self) {
        self.speaks.close();
        self.listens.close();
    }
}
