//! What is said between the driver of virtual time and a worker: the heads, in bincode. What follows each of them is in the lists of
//! `errands` and `replies`.

use serde::{Deserialize, Serialize};

use crate::engine::virtual_time::errand::Gait;
use crate::engine::virtual_time::kernel::{Key, Time};
use crate::signal::{Content, Phase, Stamp};

/// What a worker is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Bid {
    /// Numbers of the data follow if it has the input, and then those of the target if it has the output.
    Present { batch: u64, size: usize },
    /// For every link that leaves it, the version heard at the other end.
    Begin { phase: Phase, gait: Gait, now: Time, logged: bool },
    /// So many letters.
    Window { until: Time, letters: usize },
    /// Nothing follows.
    Count { now: Time, drain: bool },
    /// Nothing follows.
    GoOn(u64),
    /// Nothing follows.
    Halt,
    /// Nothing follows.
    Finish { remember: bool },
    /// Nothing follows.
    Ends,
    /// So many directives.
    Direct(usize),
    /// The run is over, or nobody is needed any more. A connection that ends without it was cut.
    Farewell,
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Said {
    /// It is done; after [`Bid::Finish`] with the counts of all sides.
    Done,
    /// So many letters, and as many records as events if somebody keeps a log.
    Outcome { next: Option<Time>, now: Time, events: u64, letters: usize },
    /// A report of every node.
    Counted { waved: bool, arrived: usize },
    /// For every side that leads elsewhere the version spoken, and then the version heard.
    Ends { unheard: bool },
    /// What every node that was asked for something hands out.
    Extracts,
    /// This layer could not do what was asked.
    Fault(usize, String),
}

/// A letter without its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) key: Key,
    pub(crate) carried: Load,
}

/// What is in a letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Load {
    /// Its numbers follow.
    Signal { said: Time, stamp: Stamp, content: Content },
    /// An acknowledgement.
    Version(u64),
}
