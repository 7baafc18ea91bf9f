//! How often is begun anew: a worker that dies again and again, or a run that makes no progress any more, is not helped by it.
//!
//! At most [`RESTARTS_MOST`] restarts for the same worker within [`WITHIN`], with pauses of 50 ms · 2ⁿ before them; and at most
//! [`BARREN_MOST`] generations in a row that make no checkpoint. The limits are of the kind of Erlang's supervisors (`intensity`
//! and `period`).

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// Restarts for the same worker …
pub const RESTARTS_MOST: usize = 5;
/// … within this time.
pub const WITHIN: Duration = Duration::from_secs(60);
/// Generations in a row without a new checkpoint.
pub const BARREN_MOST: usize = 3;
/// The first pause; every further one is twice as long.
const PAUSE: Duration = Duration::from_millis(50);

/// What is left of the patience with a run.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// When which worker was lost, as far as that counts still; nobody's losses are those of which nobody knows whose they are.
    losses: BTreeMap<Option<usize>, VecDeque<Duration>>,
    barren: usize,
}

/// What to do about a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Begin the next generation, after this pause.
    Restart(Duration),
    /// End the run.
    GiveUp(Exhausted),
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// [`RESTARTS_MOST`].
    Restarts,
    /// [`BARREN_MOST`].
    Generations,
}

impl Budget {
    /// A worker was lost, at this time on any clock.
    pub fn lost(&mut self, worker: Option<usize>, now: Duration) -> Decision {
        let losses = self.losses.entry(worker).or_default();
        losses.retain(|&then| then + WITHIN > now);
        let before = losses.len();
        losses.push_back(now);
        self.barren += 1;
        if before >= RESTARTS_MOST {
            Decision::GiveUp(Exhausted::Restarts)
        } else if self.barren >= BARREN_MOST {
            Decision::GiveUp(Exhausted::Generations)
        } else {
            Decision::Restart(PAUSE * (1 << before))
        }
    }

    /// A checkpoint was made.
    pub fn stored(&mut self) {
        self.barren = 0;
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restarts => write!(f, "it was restarted {RESTARTS_MOST} times within {} s", WITHIN.as_secs()),
            Self::Generations => write!(f, "{BARREN_MOST} generations in a row made no checkpoint"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_worker_that_dies_too_often_is_given_up_and_one_that_dies_seldom_is_not() {
        let mut budget = Budget::default();
        for (second, pause) in [50, 100, 200, 400, 800].into_iter().enumerate() {
            let at = SECOND * u32::try_from(second).expect("small");
            assert_eq!(budget.lost(Some(1), at), Decision::Restart(Duration::from_millis(pause)));
            budget.stored();
        }
        assert_eq!(budget.lost(Some(0), 5 * SECOND), Decision::Restart(PAUSE), "another worker has its own");
        budget.stored();
        assert_eq!(budget.lost(Some(1), 5 * SECOND), Decision::GiveUp(Exhausted::Restarts));
        let mut seldom = Budget::default();
        for minute in 0..100 {
            seldom.stored();
            assert_eq!(seldom.lost(Some(1), minute * 13 * SECOND), Decision::Restart(PAUSE * (1 << minute.min(4))));
        }
    }

    #[test]
    fn generations_without_a_checkpoint_are_counted_over_all_workers() {
        let mut budget = Budget::default();
        assert_eq!(budget.lost(Some(0), SECOND), Decision::Restart(PAUSE));
        assert_eq!(budget.lost(None, SECOND), Decision::Restart(PAUSE));
        budget.stored();
        assert_eq!(budget.lost(Some(1), SECOND), Decision::Restart(PAUSE));
        assert_eq!(budget.lost(Some(2), SECOND), Decision::Restart(PAUSE));
        assert_eq!(budget.lost(Some(3), SECOND), Decision::GiveUp(Exhausted::Generations));
    }
}
