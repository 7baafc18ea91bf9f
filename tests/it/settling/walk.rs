//! Oracle: exhaustion. Walks every order of events of a small network, breadth first, and judges every declaration.
//!
//! Whenever the network is declared quiet, first and after every recount, all of this must hold:
//!
//! - no signal is unheard in any mailbox, and every layer rests;
//! - every residual, recomputed from the neighbours' states at that moment, is within the tolerance, unless the layer has used
//!   its steps or was halted; and it is the one that was reported;
//! - until the next phase nothing that happens touches a state, a signal or a version.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::{self, Debug};
use std::hash::{DefaultHasher, Hash, Hasher};

use asynapse::signal::Repose;

use super::judge::{Judge, Rule};
use super::keyed::Keyed;
use super::model::{Case, Mail, Order, World};

/// More than any case here has.
const STATES_MOST: usize = 1_000_000;

/// One event.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// A layer takes in a signal; sides are 0 above, 1 below.
    Hears(usize, usize),
    Speaks(usize, usize),
    Turns(usize),
    Obeys(usize),
    /// A signal on its way to a layer is lost.
    Loses(usize, usize),
    /// A layer's oldest report arrives at the coordinator.
    Arrives(usize),
    Recounts,
    Halts,
    NextPhase,
}

/// What was seen on the way.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) states: usize,
    pub(super) events: usize,
    /// States in which nothing can happen any more, declared and not.
    pub(super) ends: [usize; 2],
    /// Declarations with every layer settled, and with some exhausted or halted.
    pub(super) declared: [usize; 2],
    /// Turns by which a layer that had settled moved again.
    pub(super) woken: usize,
    /// Reports of an earlier phase that arrived in a later one.
    pub(super) late: usize,
    /// The shortest way to a false declaration.
    pub(super) counterexample: Option<Vec<Event>>,
    pub(super) why: Option<String>,
    heard: HashMap<(u64, u64), (Keyed<Judge>, bool)>,
}

impl Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, events, ends, declared, woken, late, .. } = self;
        write!(
            f,
            "{states} states, {events} events, ends {ends:?}, declared {declared:?}, woken {woken}, late {late}"
        )?;
        if let (Some(events), Some(why)) = (&self.counterexample, &self.why) {
            write!(f, "; {why} after {} events: {events:?}", events.len())?;
        }
        Ok(())
    }
}

impl Walk {
    /// Everything that can happen in `case` under `rule`, or up to the first false declaration.
    pub(super) fn of<const N: usize>(case: &Case<N>, rule: Rule) -> Self {
        let mut walk = Self::default();
        let first = World::new(case, Judge::new(rule, 1, N));
        let mut seen = HashSet::from([fingerprint(&first)]);
        let mut came_by: Vec<Option<(usize, Event)>> = vec![None];
        let mut open = VecDeque::from([(0, first)]);
        while let Some((index, world)) = open.pop_front() {
            walk.states += 1;
            assert!(walk.states < STATES_MOST, "the case is too large to be walked: {walk:?}");
            let mut stuck = true;
            for event in every::<N>() {
                if !can_happen(case, &world, event) {
                    continue;
                }
                let mut next = world.clone();
                walk.happens(case, &mut next, event);
                (stuck, walk.events) = (false, walk.events + 1);
                if let Err(why) = judge(case, &world, &next) {
                    let mut events = vec![event];
                    let mut at = index;
                    while let Some((before, event)) = came_by[at] {
                        events.insert(0, event);
                        at = before;
                    }
                    (walk.counterexample, walk.why) = (Some(events), Some(why));
                    return walk;
                }
                if seen.insert(fingerprint(&next)) {
                    came_by.push(Some((index, event)));
                    open.push_back((came_by.len() - 1, next));
                }
            }
            if stuck {
                let declared = world.phase as usize == case.targets.len() && world.judge.get().is_quiet();
                walk.ends[usize::from(!declared)] += 1;
            }
        }
        walk
    }

    fn happens<const N: usize>(&mut self, case: &Case<N>, world: &mut World<N>, event: Event) {
        match event {
            Event::Hears(l, side) => world.hear(l, side),
            Event::Speaks(l, side) => world.speak(case, l, side),
            Event::Turns(l) => self.woken += usize::from(world.turn(case, l)),
            Event::Obeys(l) => world.obey(case, l),
            Event::Loses(l, side) => drop(world.inbox(l, side).remove(0)),
            Event::Arrives(l) => {
                let report = world.reports[l].remove(0);
                self.late += usize::from(report.get().phase < world.phase);
                // The same machine does the same with the same report: it need not be run more than once.
                let (judge, quiet) = self.heard.entry((world.judge.key(), report.key())).or_insert_with(|| {
                    let mut judge = world.judge.clone();
                    let quiet = judge.change(|judge| judge.hear(*report.get()));
                    (judge, quiet)
                });
                world.judge = judge.clone();
                if *quiet && !world.quiet {
                    world.quiet = true;
                    let reports = judge.get().reports().unwrap_or_default();
                    let settled = reports.iter().all(|report| report.repose == Repose::Settled);
                    self.declared[usize::from(!settled)] += 1;
                }
            }
            Event::Recounts => {
                world.recounts -= 1;
                if world.quiet {
                    world.judge.change(Judge::recount);
                }
                world.tell_all(Order::Recount);
            }
            Event::Halts => {
                world.halted = true;
                world.tell_all(Order::Halt);
            }
            Event::NextPhase => {
                world.phase += 1;
                (world.quiet, world.halted) = (false, false);
                world.judge.change(Judge::next);
                world.tell_all(Order::Begin);
            }
        }
    }
}

fn can_happen<const N: usize>(case: &Case<N>, world: &World<N>, event: Event) -> bool {
    match event {
        Event::Hears(l, side) => world.can_hear(l, side),
        Event::Speaks(l, side) => world.can_speak(l, side),
        Event::Turns(l) => world.can_turn(case, l),
        Event::Obeys(l) => !world.orders[l].is_empty(),
        Event::Loses(l, side) => case.mail == Mail::Lossy && world.next_signal(l, side).is_some(),
        Event::Arrives(l) => !world.reports[l].is_empty(),
        Event::Recounts => world.recounts > 0,
        Event::Halts => case.halts && !world.halted,
        Event::NextPhase => world.quiet && (world.phase as usize) < case.targets.len(),
    }
}

fn every<const N: usize>() -> impl Iterator<Item = Event> {
    let of_layer = |l| {
        let sides = |event: fn(usize, usize) -> Event| [event(l, 0), event(l, 1)];
        let signals = [sides(Event::Hears), sides(Event::Speaks), sides(Event::Loses)].into_iter().flatten();
        signals.chain([Event::Turns(l), Event::Obeys(l), Event::Arrives(l)])
    };
    (0..N).flat_map(of_layer).chain([Event::Recounts, Event::Halts, Event::NextPhase])
}

fn fingerprint(world: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// Whether what was declared is true.
fn judge<const N: usize>(case: &Case<N>, before: &World<N>, world: &World<N>) -> Result<(), String> {
    if before.quiet && world.quiet && before.network != world.network {
        return Err("something happens afterwards".into());
    }
    if !world.quiet || !world.judge.get().is_quiet() {
        return Ok(());
    }
    if world.network.mail.as_flattened().iter().any(|mailbox| !mailbox.is_empty()) {
        return Err("a signal is unheard".into());
    }
    let reports = world.judge.get().reports().expect("everyone has reported");
    for (l, layer) in world.layers.iter().enumerate() {
        let residual = world.true_residual(case, l);
        if layer.phase != world.phase || !world.has_spoken(l) || reports[l].repose == Repose::Moving {
            return Err(format!("layer {l} does not rest"));
        }
        if reports[l].repose == Repose::Settled && residual > case.tolerance {
            return Err(format!("layer {l} is not settled: {residual}"));
        }
        if reports[l].residual.to_bits() != residual.to_bits() {
            return Err(format!("layer {l} reported {}, not {residual}", reports[l].residual));
        }
    }
    Ok(())
}
