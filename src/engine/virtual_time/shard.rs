//! A shard: some of the nodes with a queue of their own, and what a shard and the driver of windows say to each other.
//!
//! ```text
//! driver → shard   Window { until, letters }       what neighbours sent; go on to `until`, which is not reached
//! shard → driver   Outcome { next, letters, … }    when it will go on, and what it sends to other shards
//! ```
//!
//! This is the whole of what crosses between shards while a phase runs, and the only way in which one shard affects another. A
//! [`Letter`] is an event of a node elsewhere: its key in the order of events, and a signal or an acknowledged version. Nothing in
//! it refers to memory of the sender but the page of numbers, which is never written again, so a member may as well live in
//! another process: whoever implements [`Member`] by frames on a socket has put it there. The driver asks nothing else of it.
//!
//! What a member has to keep:
//!
//! - it does everything that is earlier than `until`, in the order of keys, and nothing that is not;
//! - every letter it gives out is due no earlier than the event that sent it plus the least delay of the link it takes;
//! - its answer does not depend on the order of the letters it was given, for they all have different keys.

use std::ops::Range;

use super::kernel::{Key, Queue, Time};
use super::links::Passage;
use super::node::Node;
use super::record::Record;
use super::stage::Stage;
use crate::engine::EngineError;
use crate::math::Real;
use crate::signal::Report;

/// What an event carries.
#[derive(Clone, Debug)]
pub enum Carried<T> {
    /// Nothing: a clock, or a time-out.
    Nothing,
    /// A signal.
    Signal(Passage<T>),
    /// The version that arrived.
    Version(u64),
}

/// An event of a node in another shard.
#[derive(Clone, Debug)]
pub struct Letter<T> {
    /// Its place in the order of events; `key.node` says to whom.
    pub key: Key,
    /// What it carries.
    pub carried: Carried<T>,
}

/// What a member is told.
#[derive(Debug)]
pub struct Window<T> {
    /// Everything before this is to be done. With zero nothing is done, and the answer says what has been sent and what comes next.
    pub until: Time,
    /// What the others sent it.
    pub letters: Vec<Letter<T>>,
}

/// What it answers.
#[derive(Debug)]
pub struct Outcome<T> {
    /// Its next event, if there is one. It is not before `until`.
    pub next: Option<Time>,
    /// Its last event so far.
    pub now: Time,
    /// Events of this window.
    pub events: u64,
    /// For others.
    pub letters: Vec<Letter<T>>,
    /// Events of this window in order, if somebody keeps a log.
    pub records: Vec<Record>,
}

/// A shard as the driver of windows sees it, wherever it lives. In the order of members, nodes are numbered without gaps.
pub trait Member<T> {
    /// Runs one window.
    ///
    /// # Errors
    /// A member that cannot be reached.
    fn advance(&mut self, window: Window<T>) -> Result<Outcome<T>, EngineError>;

    /// The reports of its nodes, in their order, at `now`; with `drain`, everything that has arrived is heard first.
    ///
    /// # Errors
    /// A member that cannot be reached.
    fn count(&mut self, now: Time, drain: bool) -> Result<Vec<Report>, EngineError>;

    /// Its nodes take no more steps in this phase.
    ///
    /// # Errors
    /// A member that cannot be reached.
    fn halt(&mut self) -> Result<(), EngineError>;
}

/// A shard in this process.
pub(super) struct Shard<T> {
    pub(super) nodes: Vec<Node<T>>,
    pub(super) stage: Stage<T>,
}

impl<T: Real> Shard<T> {
    /// The nodes with these numbers.
    pub(super) fn new(range: Range<usize>, nodes: Vec<Node<T>>) -> Self {
        let own = range.start as u32..range.end as u32;
        let stage = Stage {
            own,
            queue: Queue::default(),
            now: Time(0),
            phase: 0,
            arrived: 0,
            sent_away: Vec::new(),
            records: None,
            observer: None,
        };
        Self { nodes, stage }
    }

    /// Forgets everything that was to come.
    pub(super) fn clear(&mut self) {
        self.stage.queue.clear();
        self.stage.sent_away.clear();
    }
}

impl<T: Real> Member<T> for Shard<T> {
    fn advance(&mut self, window: Window<T>) -> Result<Outcome<T>, EngineError> {
        let Self { nodes, stage } = self;
        for Letter { key, carried } in window.letters {
            stage.queue.push(key, carried);
        }
        let mut events = 0;
        while let Some((key, carried)) = stage.queue.pop_before(window.until) {
            events += 1;
            stage.now = key.time;
            nodes[(key.node - stage.own.start) as usize].on(&key, carried, stage);
        }
        Ok(Outcome {
            next: stage.queue.next_time(),
            now: stage.now,
            events,
            letters: std::mem::take(&mut stage.sent_away),
            records: stage.records.as_mut().map(std::mem::take).unwrap_or_default(),
        })
    }

    fn count(&mut self, now: Time, drain: bool) -> Result<Vec<Report>, EngineError> {
        self.stage.now = now;
        Ok(self.nodes.iter_mut().map(|node| node.report(drain, &mut self.stage)).collect())
    }

    fn halt(&mut self) -> Result<(), EngineError> {
        self.nodes.iter_mut().for_each(Node::halt);
        Ok(())
    }
}
