//! What both sides of a conversation know without being told, and hold every message against: the network, whose nodes these are, the
//! size of the batch, and how far time has come.
//!
//! ```text
//! a prediction         up a link, to the node above       n_{l+1} × batch numbers, the share of a whole current
//! an error             down a link, to the node below     (rows of the sender) × batch numbers
//! an acknowledgement   to the sender of what came         none
//! ```
//!
//! A letter is due not before the window in which it was sent has ended.

use std::collections::BTreeMap;
use std::ops::Range;

use super::heads::{Envelope, Load};
use crate::engine::remote::Limits;
use crate::engine::virtual_time::errand::Errand;
use crate::engine::virtual_time::kernel::Time;
use crate::engine::virtual_time::wiring::{SideName, sides};
use crate::engine::virtual_time::{RANK_ACKNOWLEDGED, RANK_ERROR, RANK_PREDICTION};
use crate::signal::Content;
use crate::wire::WireError;

/// Times, versions and counts above this are of nobody who counts from zero.
pub(super) const COUNT_MOST: u64 = 1 << 60;
/// Most letters to or from a worker in one window, which is at most a period long.
pub(super) const LETTERS_MOST: usize = 1 << 22;
/// Most events of a worker in one window while somebody keeps a log.
pub(super) const RECORDS_MOST: u64 = 1 << 24;

/// The nodes of a worker and where they stand.
pub(crate) struct Site {
    pub(super) limits: Limits,
    pub(super) own: Range<usize>,
    /// All sides of its nodes.
    pub(super) sides: Vec<SideName>,
    /// Those that lead elsewhere.
    pub(super) borders: Vec<SideName>,
    by_link: BTreeMap<u32, SideName>,
    batch: usize,
    /// Nothing is due before it.
    pub(super) floor: Time,
    pub(super) logged: bool,
}

/// Which way a letter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the worker.
    In,
    /// From the worker.
    Out,
}

impl Site {
    pub(crate) fn new(limits: Limits, own: Range<usize>) -> Self {
        let sides = sides(&limits.network, own.clone());
        let borders: Vec<SideName> = sides.iter().filter(|side| !own.contains(&side.to)).copied().collect();
        let by_link = borders.iter().map(|side| (side.link, *side)).collect();
        Self { limits, own, sides, borders, by_link, batch: 0, floor: Time(0), logged: false }
    }

    /// The layer of a node.
    pub(super) fn layer(&self, node: usize) -> usize {
        self.limits.network.place_of(node).map_or(0, |(layer, _)| layer)
    }

    /// Some of the nodes are of the input.
    pub(super) fn has_input(&self) -> bool {
        self.own.start < self.limits.network.groups(0)
    }

    /// Some of the nodes are of the output.
    pub(super) fn has_output(&self) -> bool {
        let network = &self.limits.network;
        self.own.end > network.groups_in_all() - network.groups(network.depth())
    }

    /// What is said next depends on what was asked.
    pub(crate) fn note<T>(&mut self, errand: &Errand<T>) {
        match errand {
            Errand::Present { size, .. } => (self.batch, self.floor) = (*size, Time(0)),
            Errand::Begin(opening) => (self.floor, self.logged) = (opening.now, opening.logged),
            Errand::Window(window) => self.floor = self.floor.max(window.until),
            _ => {}
        }
    }

    /// A time that somebody may speak of.
    pub(super) fn time(&self, field: &'static str, time: Time) -> Result<Time, WireError> {
        if (self.floor.0..=COUNT_MOST).contains(&time.0) {
            return Ok(time);
        }
        Err(WireError::Field { field, found: time.0, expected: format!("{} to {COUNT_MOST}", self.floor.0) })
    }

    /// The shape of the page that follows a letter, if one does.
    pub(super) fn page(&self, letter: &Envelope, way: Way) -> Result<Option<(usize, usize)>, WireError> {
        let Envelope { key, carried } = letter;
        self.time("the time of a letter", key.time)?;
        count("the number of a letter", key.number)?;
        // The side of an own node at this border, whichever way the link leads.
        let known = |link: u32| self.by_link.get(&link);
        let (leaves, arrives) = (known(key.link), known(key.link ^ 1));
        let crossing = leaves.map(|side| (side.from, side.to)).or(arrives.map(|side| (side.to, side.from)));
        let field = "the link of a letter";
        let (from, to) = crossing.ok_or_else(|| wrong(field, key.link, "one at a border of this worker"))?;
        let is_up = from < to;
        let network = &*self.limits.network;
        let (receiver, rows) = match (key.rank, carried) {
            (RANK_PREDICTION, Load::Signal { content: Content::Prediction, .. }) if is_up => {
                (to, Some(network.widths()[self.layer(to)]))
            }
            (RANK_ERROR, Load::Signal { content, .. }) if !is_up && *content != Content::Prediction => {
                (to, network.place_of(from).map(|(layer, group)| network.rows(layer, group).len()))
            }
            (RANK_ACKNOWLEDGED, Load::Version(_)) => (from, None),
            (rank, _) => return Err(wrong("the kind of a letter", u32::from(rank), "one that travels on its link")),
        };
        if key.node as usize != receiver || self.own.contains(&receiver) != (way == Way::In) {
            return Err(wrong("the node of a letter", key.node, "the one at the other end of its link"));
        }
        match carried {
            Load::Signal { said, stamp, .. } => {
                let counts = [said.0, stamp.phase, stamp.step, stamp.version, stamp.answers];
                counts.into_iter().try_for_each(|number| count("the stamp of a letter", number).map(drop))?;
            }
            Load::Version(version) => drop(count("the version of a letter", *version)?),
        }
        Ok(rows.map(|rows| (rows, self.batch)))
    }
}

/// A number that somebody may have counted to.
pub(super) fn count(field: &'static str, number: u64) -> Result<u64, WireError> {
    if number <= COUNT_MOST {
        return Ok(number);
    }
    Err(WireError::Field { field, found: number, expected: format!("at most {COUNT_MOST}") })
}

/// So many of something.
pub(super) fn most(field: &'static str, found: usize, most: usize) -> Result<usize, WireError> {
    if found <= most {
        return Ok(found);
    }
    Err(WireError::Field { field, found: found as u64, expected: format!("at most {most}") })
}

pub(super) fn wrong(field: &'static str, found: u32, expected: &str) -> WireError {
    WireError::Field { field, found: found.into(), expected: expected.to_owned() }
}
