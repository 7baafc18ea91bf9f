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
//! Where groups live in several processes each has its own pair of halls between two layers: what is said in one of them is said
//! again in the others in which somebody listens (`super::halls`), once for each process and not for each listener.
//!
//! Where links take their time (`way`), what a group says arrives at another moment for everybody who hears it, so that every listener has
//! places of its own.
//!
//! Saying never waits. A speaker or listener that is gone closes the hall for all, as a mailbox does.

mod way;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use tokio::sync::mpsc;

use super::mailbox::{Broken, Outbox};
use crate::math::Real;
use crate::settling::Outstanding;
use crate::signal::Signal;
use crate::wire::frame::Direction;
use way::{Way, Ways};

/// The listener's side of a hall.
#[derive(Debug, Default)]
struct Listener {
    waker: AtomicWaker,
    /// How often something was said since it last looked; no more than once is counted where it is the same for all.
    marks: AtomicUsize,
}

/// One direction between two neighbouring layers.
#[derive(Debug)]
pub(super) struct Hall<T> {
    /// Of each speaker one for everybody, or as many as there are listeners.
    places: Vec<Mutex<Option<Signal<T>>>>,
    speakers: usize,
    listeners: Vec<Listener>,
    /// How much was ever said here.
    said: AtomicU64,
    /// The latest phase anything said here belongs to.
    phase: AtomicU64,
    closed: AtomicBool,
    /// Other processes in which somebody listens.
    elsewhere: Option<Mutex<Vec<mpsc::Sender<Said<T>>>>>,
}

/// What was said in a hall, for another process.
#[derive(Debug)]
pub(super) struct Said<T> {
    pub(super) direction: Direction,
    pub(super) group: usize,
    pub(super) signal: Signal<T>,
}

impl<T> Hall<T> {
    fn new(speakers: usize, listeners: usize, apart: bool) -> Self {
        let places = if apart { speakers * listeners } else { speakers };
        Self {
            places: (0..places).map(|_| Mutex::new(None)).collect(),
            speakers,
            listeners: (0..listeners).map(|_| Listener::default()).collect(),
            said: AtomicU64::new(0),
            phase: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            elsewhere: None,
        }
    }

    /// Something is said, by somebody here or elsewhere.
    fn put(&self, speaker: usize, signal: Signal<T>) -> Result<(), Broken> {
        if self.closed.load(SeqCst) {
            return Err(Broken);
        }
        let before = self.place(speaker, 0).replace(signal);
        drop(before);
        let said = self.said.fetch_add(1, SeqCst) + 1;
        if said.is_multiple_of(self.speakers as u64) {
            self.wake_all();
        }
        Ok(())
    }

    fn place(&self, speaker: usize, listener: usize) -> MutexGuard<'_, Option<Signal<T>>> {
        let each = self.places.len() / self.speakers;
        // Arithmetic on numbers is all that runs while the lock is held.
        self.places[speaker * each + listener.min(each - 1)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_all(&self) {
        self.listeners.iter().for_each(|listener| listener.waker.wake());
    }

    fn close(&self) {
        self.closed.store(true, SeqCst);
        self.wake_all();
        // Whoever carries what is said here to others ends when nothing more can come.
        if let Some(elsewhere) = &self.elsewhere {
            elsewhere.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}

/// One group's seat in a pair of halls: it speaks in one and listens in the other. Both are with the same layer next door.
#[derive(Debug)]
pub(super) struct Seat<T> {
    halls: Pair<T>,
    /// Rounds heard.
    rounds: u64,
    /// Its number in its own layer; half a word, since a seat is one of as many as there are groups.
    own: u32,
    /// The way in which it speaks.
    direction: Direction,
    /// To every listener, where links take their time.
    ways: Option<Box<Ways<T>>>,
}

/// Counts what is said in a pair of halls.
#[derive(Debug)]
pub(super) struct Counter<T>(Pair<T>);

impl<T> Counter<T> {
    /// Links through these halls, from each speaker to each listener.
    pub(super) fn links(&self) -> usize {
        self.0.0.iter().map(|hall| hall.speakers * hall.listeners.len()).sum()
    }

    /// Messages so far: what was said, times those who hear it.
    pub(super) fn messages(&self) -> u64 {
        self.0.0.iter().map(|hall| hall.said.load(SeqCst) * hall.listeners.len() as u64).sum()
    }
}

/// The seats of all groups of two neighbouring layers, of the lower and of the upper one, and what counts between them. `apart`: what is
/// said does not reach everybody at once.
pub(super) fn seats<T>(lower: usize, upper: usize, apart: bool) -> ([Vec<Seat<T>>; 2], Counter<T>) {
    let halls = Pair(Arc::new([Hall::new(lower, upper, apart), Hall::new(upper, lower, apart)]));
    let below = (0..lower).map(|own| halls.seat(Direction::Up, own)).collect();
    let above = (0..upper).map(|own| halls.seat(Direction::Down, own)).collect();
    ([below, above], Counter(halls))
}

/// The halls between two layers, up and down.
#[derive(Debug)]
pub(super) struct Pair<T>(Arc<[Hall<T>; 2]>);

impl<T> Clone for Pair<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Pair<T> {
    /// Halls for so many groups of the lower and of the upper layer that live in several processes, with these listeners elsewhere.
    pub(super) fn new(lower: usize, upper: usize, [up, down]: [Vec<mpsc::Sender<Said<T>>>; 2]) -> Self {
        let hall = |speakers, listeners, elsewhere| Hall {
            elsewhere: Some(Mutex::new(elsewhere)),
            ..Hall::new(speakers, listeners, false)
        };
        Self(Arc::new([hall(lower, upper, up), hall(upper, lower, down)]))
    }

    /// The seat of a group that lives here and speaks in this direction.
    pub(super) fn seat(&self, direction: Direction, own: usize) -> Seat<T> {
        let own = u32::try_from(own).expect("a layer has fewer than four billion groups");
        Seat { halls: self.clone(), rounds: 0, own, direction, ways: None }
    }

    /// Where groups speak in this direction, and where they listen.
    fn of(&self, direction: Direction) -> [&Hall<T>; 2] {
        let [up, down] = &*self.0;
        if direction == Direction::Up { [up, down] } else { [down, up] }
    }

    /// Says what a group elsewhere has said.
    pub(super) fn pass_on(&self, direction: Direction, speaker: usize, signal: Signal<T>) -> Result<(), Broken> {
        self.of(direction)[0].put(speaker, signal)
    }

    /// Somebody elsewhere is gone.
    pub(super) fn close(&self) {
        self.0.iter().for_each(Hall::close);
    }
}

impl<T> Seat<T> {
    /// From now on what it says takes its time: `lane` puts what imposes that before the place at which a listener, named by its group,
    /// will find it. To be called where seats are `apart`, before anything is said.
    pub(super) fn impose(&mut self, outstanding: &Arc<Outstanding>, lane: impl Fn(usize, Outbox<T>) -> Outbox<T>)
    where
        T: Real,
    {
        let from = (&self.halls, self.direction, self.own());
        let way = |listener| Way::new(from, listener, outstanding, |target| lane(listener, target));
        self.ways = Some(Box::new(Ways((0..self.speaks().listeners.len()).map(way).collect())));
    }

    fn speaks(&self) -> &Hall<T> {
        self.halls.of(self.direction)[0]
    }

    fn listens(&self) -> &Hall<T> {
        self.halls.of(self.direction)[1]
    }

    fn own(&self) -> usize {
        self.own as usize
    }

    /// How many speak to it.
    pub(super) fn speakers(&self) -> usize {
        self.listens().speakers
    }

    /// Says the signal of this round, here and wherever else somebody listens.
    pub(super) fn say(&self, signal: Signal<T>) -> Result<(), Broken> {
        if let Some(elsewhere) = &self.speaks().elsewhere {
            for process in elsewhere.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                let said = Said { direction: self.direction, group: self.own(), signal: signal.share() };
                // Room for more than a round: who has not taken the last one yet is gone, or has answered what was never said.
                process.try_send(said).map_err(|_| Broken)?;
            }
        }
        self.speaks().put(self.own(), signal)
    }

    /// Polls until everybody has spoken in the next round.
    pub(super) fn poll_round(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let hall = self.listens();
        let due = (self.rounds + 1) * hall.speakers as u64;
        let mut complete = hall.said.load(SeqCst) >= due;
        if !complete {
            hall.listeners[self.own()].waker.register(context.waker());
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
        let hall = self.speaks();
        if hall.closed.load(SeqCst) {
            return Err(Broken);
        }
        hall.said.fetch_add(1, SeqCst);
        if let Some(ways) = &self.ways {
            return ways.0.iter().try_for_each(|way| way.send(signal.share()));
        }
        hall.phase.fetch_max(signal.stamp.phase, SeqCst);
        let before = hall.place(self.own(), 0).replace(signal);
        drop(before);
        for listener in &hall.listeners {
            // Counted before it can be seen: see `Outstanding`.
            outstanding.add();
            if listener.marks.swap(1, SeqCst) > 0 {
                outstanding.withdraw();
            } else {
                listener.waker.wake();
            }
        }
        Ok(())
    }

    /// True if something that may be heard in this phase has come since [`Seat::look`].
    pub(super) fn has_news(&self, phase: u64) -> bool {
        let hall = self.listens();
        hall.listeners[self.own()].marks.load(SeqCst) > 0 && hall.phase.load(SeqCst) <= phase
    }

    /// Takes the mark away that something is new; whoever does this is counted as outstanding itself.
    pub(super) fn look(&self, outstanding: &Outstanding) {
        for _ in 0..self.listens().listeners[self.own()].marks.swap(0, SeqCst) {
            outstanding.withdraw();
        }
    }

    /// Polls until something of a phase up to `phase` is new, or nothing will come any more.
    pub(super) fn poll_news(&self, phase: u64, context: &mut Context<'_>) -> Poll<()> {
        let ready = || self.has_news(phase) || self.is_over();
        if !ready() {
            self.listens().listeners[self.own()].waker.register(context.waker());
        }
        if ready() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// True if somebody of either layer is gone.
    pub(super) fn is_over(&self) -> bool {
        self.listens().closed.load(SeqCst)
    }

    /// What a speaker last said.
    pub(super) fn hear<R>(&self, speaker: usize, hear: impl FnOnce(&Signal<T>) -> R) -> Option<R> {
        self.listens().place(speaker, self.own()).as_ref().map(hear)
    }
}

impl<T> Drop for Seat<T> {
    fn drop(&mut self) {
        self.halls.close();
    }
}
