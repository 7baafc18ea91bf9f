//! The thread that does things when they are due, never earlier.
//!
//! tokio's timers have a resolution of a millisecond and round up, which is 20 % of a delay of 5 ms. A thread that sleeps on a condition
//! variable is woken by the system's own timer, some tens of microseconds late where a processor is free. It does not spin: the
//! processor belongs to the layers.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What is to be done. Short, and waiting for nothing: everything that is due later has to wait for it.
type Errand = Box<dyn FnOnce() + Send>;

struct Due {
    at: Instant,
    /// Of two at the same moment the one that was asked for first comes first.
    number: u64,
    errand: Errand,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    /// The earliest is the greatest, which is what a heap gives first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

#[derive(Default)]
struct State {
    heap: BinaryHeap<Due>,
    number: u64,
    stopped: bool,
    lateness: Lateness,
}

/// How late errands were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// Errands done.
    pub errands: u64,
    /// The sum of what they were late by.
    pub sum: Duration,
    /// The most that one was late by.
    pub most: Duration,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    alarm: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No errand runs while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where errands are left.
#[derive(Clone)]
pub struct Keeper(Arc<Shared>);

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keeper({} errands)", self.0.lock().heap.len())
    }
}

impl Keeper {
    /// Has something done at or soon after a moment; dropped undone if the timekeeper has ended or ends before.
    pub fn at(&self, at: Instant, errand: impl FnOnce() + Send + 'static) {
        let mut state = self.0.lock();
        if state.stopped {
            return;
        }
        state.number += 1;
        let due = Due { at, number: state.number, errand: Box::new(errand) };
        let is_next = state.heap.peek().is_none_or(|first| at < first.at);
        state.heap.push(due);
        drop(state);
        if is_next {
            self.0.alarm.notify_one();
        }
    }

    /// How late errands were so far.
    pub fn lateness(&self) -> Lateness {
        self.0.lock().lateness
    }
}

/// The thread; it ends with this value, and what is not due by then is not done.
pub struct Timekeeper {
    keeper: Keeper,
    thread: Option<JoinHandle<()>>,
}

impl Timekeeper {
    /// Begins.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start() -> std::io::Result<Self> {
        let keeper = Keeper(Arc::default());
        let shared = Arc::clone(&keeper.0);
        let thread = thread::Builder::new().name("timekeeper".into()).spawn(move || keep(&shared))?;
        Ok(Self { keeper, thread: Some(thread) })
    }

    /// Where errands are left.
    pub fn keeper(&self) -> Keeper {
        self.keeper.clone()
    }
}

impl Drop for Timekeeper {
    fn drop(&mut self) {
        let left = {
            let mut state = self.keeper.0.lock();
            state.stopped = true;
            std::mem::take(&mut state.heap)
        };
        self.keeper.0.alarm.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already.
            let _ = thread.join();
        }
        drop(left);
    }
}

fn keep(shared: &Shared) {
    let mut state = shared.lock();
    while !state.stopped {
        let now = Instant::now();
        match state.heap.peek().map(|due| due.at) {
            None => state = shared.alarm.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(at) if at > now => {
                let waited = shared.alarm.wait_timeout(state, at - now);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            Some(at) => {
                let late = now - at;
                let Lateness { errands, sum, most } = state.lateness;
                state.lateness = Lateness { errands: errands + 1, sum: sum + late, most: most.max(late) };
                let due = state.heap.pop();
                drop(state);
                if let Some(due) = due {
                    (due.errand)();
                }
                state = shared.lock();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Every errand is done once, at or after its moment, and of two the earlier first.
    #[test]
    fn errands_are_done_in_order_and_never_early() {
        let timekeeper = Timekeeper::start().expect("a thread");
        let (keeper, start) = (timekeeper.keeper(), Instant::now());
        let (out, done) = mpsc::channel();
        for after in [9_u64, 3, 6, 3, 0, 12] {
            let (out, at) = (out.clone(), start + Duration::from_millis(after));
            keeper.at(at, move || {
                assert!(Instant::now() >= at, "early");
                let _ = out.send(after);
            });
        }
        drop(out);
        assert_eq!(done.iter().collect::<Vec<u64>>(), [0, 3, 3, 6, 9, 12]);
        assert_eq!(keeper.lateness().errands, 6);
    }

    #[test]
    fn what_is_not_due_when_it_ends_is_not_done() {
        let timekeeper = Timekeeper::start().expect("a thread");
        let keeper = timekeeper.keeper();
        let (out, done) = mpsc::channel::<()>();
        let late = out.clone();
        keeper.at(Instant::now() + Duration::from_secs(3600), move || {
            let _ = out.send(());
        });
        drop(timekeeper);
        keeper.at(Instant::now(), move || {
            let _ = late.send(());
        });
        assert_eq!(done.recv(), Err(mpsc::RecvError), "both senders are gone, unused");
    }
}
