//! A shard: some of the nodes with a queue of their own; and what the driver needs of whoever holds some, wherever that is.
//!
//! ```text
//! driver → member   Window { until, letters }       what neighbours sent; go on to `until`, which is not reached
//! member → driver   Outcome { next, letters, … }    when it will go on, and what it sends to other members
//! ```
//!
//! Letters are the only way in which one shard affects another while a phase runs. A [`Letter`] is an event of a node elsewhere: its
//! key in the order of events, and a signal or an acknowledged version. The rest of what is asked is in [`super::errand`].
//!
//! What a member has to keep:
//!
//! - it does everything that is earlier than `until`, in the order of keys, and nothing that is not;
//! - every letter it gives out is due no earlier than the event that sent it plus the least delay of the link it takes;
//! - its answer does not depend on the order of the letters it was given, for they all have different keys.

use std::ops::Range;

use super::errand::{Counted, Counts, Ends, Errand, Gait, Letter, Opening, Outcome, Reply, Window};
use super::kernel::{Queue, Time};
use super::node::{Node, Pace};
use super::stage::{Side, Stage};
use crate::engine::EngineError;
use crate::math::Real;
use crate::settling::Settler;
use crate::signal::Directive;

/// Some of the nodes as the driver sees them, wherever they live. In the order of members, nodes are numbered without gaps.
pub trait Member<T> {
    /// Which nodes.
    fn own(&self) -> Range<usize>;

    /// Asks for something. A member elsewhere works on it from then on, while others are asked.
    ///
    /// # Errors
    /// A member that cannot be reached.
    fn send(&mut self, errand: Errand<T>) -> Result<(), EngineError>;

    /// The answer to what was asked first.
    ///
    /// # Errors
    /// A member that cannot be reached, or a node that cannot do what was asked.
    fn answer(&mut self) -> Result<Reply<T>, EngineError>;

    /// What was counted on the sides of its nodes up to the end of the last phase, node by node.
    fn counts(&self) -> Vec<Counts>;
}

/// Asks every member for something and waits for all answers: all are asked before any answer is awaited. The first error, after all
/// have answered.
pub(super) fn ask_all<'m, T: 'm, M: Member<T> + 'm>(
    members: impl Iterator<Item = &'m mut M>,
    mut errand: impl FnMut(&M) -> Errand<T>,
) -> Result<Vec<Reply<T>>, EngineError> {
    let asked: Vec<(&mut M, Result<(), EngineError>)> = members
        .map(|member| {
            let errand = errand(member);
            let sent = member.send(errand);
            (member, sent)
        })
        .collect();
    let answers: Vec<_> = asked.into_iter().map(|(member, sent)| sent.and_then(|()| member.answer())).collect();
    answers.into_iter().collect()
}

/// A shard in this process.
pub struct Shard<T> {
    pub(super) nodes: Vec<Node<T>>,
    pub(super) stage: Stage<T>,
    reply: Option<Result<Reply<T>, EngineError>>,
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
        Self { nodes, stage, reply: None }
    }

    /// Does what is asked.
    pub(in crate::engine) fn perform(&mut self, errand: Errand<T>) -> Result<Reply<T>, EngineError> {
        match errand {
            Errand::Window(window) => return Ok(Reply::Outcome(self.advance(window))),
            Errand::Count { now, drain } => return Ok(Reply::Counted(self.count(now, drain))),
            Errand::Ends => return Ok(Reply::Ends(self.ends())),
            Errand::Direct(directives) => {
                let mut extracts = Vec::new();
                for (node, directive) in directives {
                    let node = &mut self.nodes[node - self.stage.own.start as usize];
                    extracts.extend(node.layer.hear_directive(directive)?);
                }
                return Ok(Reply::Extracts(extracts));
            }
            Errand::Present { batch, size, data, target } => {
                self.clear();
                for node in &mut self.nodes {
                    let data = node.below.is_empty().then(|| data.clone());
                    let target = node.above.is_empty().then(|| target.clone());
                    node.turn_to(batch, Directive::Present { batch: size, data, target })?;
                }
            }
            Errand::Begin(opening) => self.begin(&opening)?,
            Errand::GoOn(until) => self.nodes.iter_mut().for_each(|node| node.go_on(until, &mut self.stage)),
            Errand::Halt => self.nodes.iter_mut().for_each(Node::halt),
            Errand::Finish { remember } => {
                self.clear();
                for node in &mut self.nodes {
                    node.sides_mut().for_each(|side| side.outlet.forget_the_future());
                    if remember {
                        node.layer.hear_directive(Directive::Remember)?;
                    }
                }
            }
        }
        Ok(Reply::Done)
    }

    /// Forgets everything that was to come.
    fn clear(&mut self) {
        self.stage.queue.clear();
        self.stage.sent_away.clear();
    }

    fn begin(&mut self, opening: &Opening) -> Result<(), EngineError> {
        let Opening { phase, gait, now, logged, .. } = *opening;
        let stage = &mut self.stage;
        (stage.now, stage.phase, stage.arrived) = (now, phase.number, 0);
        stage.records = logged.then(Vec::new);
        for node in &mut self.nodes {
            let pace = match gait {
                Gait::Wave => Pace::Wave { done: false },
                Gait::Clocked => Pace::Clocked { until: phase.steps },
                Gait::Resting => Pace::Resting(Settler::new(phase.tolerance, phase.steps)),
            };
            node.begin(phase, pace, stage)?;
        }
        self.say_again(&opening.heard);
        Ok(())
    }

    /// What a phase that was broken off left unheard is sent once more.
    fn say_again(&mut self, elsewhere: &[(u32, u64)]) {
        let mut heard = self.heard();
        elsewhere.iter().for_each(|&(link, version)| heard.set(link, version));
        for (from, node) in (self.stage.own.start..).zip(&mut self.nodes) {
            for Side { outlet, .. } in node.sides_mut() {
                if outlet.version() > heard.get(outlet.link) {
                    outlet.tally.resent += 1;
                    self.stage.send(outlet, from);
                }
            }
        }
    }

    /// The version last heard here on every link that comes in.
    fn heard(&self) -> Heard {
        let sides = || self.nodes.iter().flat_map(Node::sides);
        let links = sides().map(|side| side.outlet.link);
        let (first, last) = links.fold((u32::MAX, 0), |(first, last), link| (first.min(link), last.max(link)));
        // The two directions of a link have numbers side by side.
        let (first, last) = (first & !1, last | 1);
        let mut heard = Heard { first, versions: vec![0; (last as usize + 1).saturating_sub(first as usize)] };
        sides().for_each(|side| heard.set(side.outlet.link ^ 1, side.inlet.heard));
        heard
    }

    fn ends(&self) -> Ends {
        let heard = self.heard();
        let mut ends = Ends::default();
        for Side { outlet, inlet, .. } in self.nodes.iter().flat_map(Node::sides) {
            if self.stage.own.contains(&outlet.to) {
                ends.unheard |= outlet.version() != heard.get(outlet.link);
            } else {
                ends.spoken.push((outlet.link, outlet.version()));
                ends.heard.push((outlet.link ^ 1, inlet.heard));
            }
        }
        ends
    }

    fn advance(&mut self, window: Window<T>) -> Outcome<T> {
        let Self { nodes, stage, .. } = self;
        for Letter { key, carried } in window.letters {
            stage.queue.push(key, carried);
        }
        let mut events = 0;
        while let Some((key, carried)) = stage.queue.pop_before(window.until) {
            events += 1;
            stage.now = key.time;
            nodes[(key.node - stage.own.start) as usize].on(&key, carried, stage);
        }
        Outcome {
            next: stage.queue.next_time(),
            now: stage.now,
            events,
            letters: std::mem::take(&mut stage.sent_away),
            records: stage.records.as_mut().map(std::mem::take).unwrap_or_default(),
        }
    }

    fn count(&mut self, now: Time, drain: bool) -> Counted {
        self.stage.now = now;
        let arrived = self.stage.arrived;
        let reports = self.nodes.iter_mut().map(|node| node.report(drain, &mut self.stage)).collect();
        Counted { reports, waved: self.nodes.iter().all(Node::has_waved), arrived }
    }
}

/// Versions by the numbers of links, from the first of a shard on.
struct Heard {
    first: u32,
    versions: Vec<u64>,
}

impl Heard {
    fn set(&mut self, link: u32, version: u64) {
        if let Some(slot) = link.checked_sub(self.first).and_then(|at| self.versions.get_mut(at as usize)) {
            *slot = version;
        }
    }

    fn get(&self, link: u32) -> u64 {
        link.checked_sub(self.first).and_then(|at| self.versions.get(at as usize)).copied().unwrap_or(0)
    }
}

impl<T: Real> Member<T> for Shard<T> {
    fn own(&self) -> Range<usize> {
        self.stage.own.start as usize..self.stage.own.end as usize
    }

    fn send(&mut self, errand: Errand<T>) -> Result<(), EngineError> {
        self.reply = Some(self.perform(errand));
        Ok(())
    }

    fn answer(&mut self) -> Result<Reply<T>, EngineError> {
        self.reply.take().unwrap_or(Err(EngineError::Unasked))
    }

    fn counts(&self) -> Vec<Counts> {
        let of = |(from, node)| {
            Node::sides(node).map(move |Side { outlet, inlet, .. }| Counts {
                link: outlet.link,
                from,
                to: outlet.to as usize,
                sent: outlet.tally,
                heard: inlet.tally,
            })
        };
        (self.stage.own.start as usize..).zip(&self.nodes).flat_map(of).collect()
    }
}
