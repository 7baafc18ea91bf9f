//! Oracle: exhaustion. Walks every order of events, breadth first, and judges every state:
//!
//! - the weights of a layer have exactly the updates to the step it is at, each once and in order;
//! - a checkpoint that counts has those of its step, of every layer; what was once taken for durable stays;
//! - when a step is committed, every layer that is there is at it; nobody refuses anything of the present generation;
//! - an update that a layer refused is nowhere;
//! - where nothing can happen any more the training is finished, on the disk and in every layer, or has stopped at that update.

use std::collections::{HashSet, VecDeque};
use std::fmt::{self, Debug};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::world::{Case, Event, Outcome, Seat, Updates, World};

/// More than any case here has.
const STATES_MOST: usize = 4_000_000;

/// What was seen on the way.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) states: usize,
    pub(super) generations: u64,
    /// Messages of another generation that were refused.
    pub(super) late: usize,
    /// Ends with the training finished, and with an update refused.
    pub(super) done: usize,
    pub(super) stopped: usize,
    /// The shortest way to something wrong.
    pub(super) counterexample: Option<Vec<Event>>,
    pub(super) why: Option<String>,
}

impl Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, generations, late, done, stopped, .. } = self;
        write!(f, "{states} states, {generations} generations, {late} late, {done} done, {stopped} stopped")?;
        if let (Some(events), Some(why)) = (&self.counterexample, &self.why) {
            write!(f, "; {why} after {} events: {events:?}", events.len())?;
        }
        Ok(())
    }
}

impl Walk {
    pub(super) fn of<const N: usize>(case: Case) -> Self {
        let mut walk = Self::default();
        let first = World::<N>::new(&case);
        let mut seen = HashSet::from([fingerprint(&first)]);
        let mut came_by: Vec<Option<(usize, Event)>> = vec![None];
        let mut open = VecDeque::from([(0, first)]);
        while let Some((index, world)) = open.pop_front() {
            walk.states += 1;
            assert!(walk.states < STATES_MOST, "the case is too large to be walked: {walk:?}");
            walk.generations = walk.generations.max(world.generation);
            let mut stuck = true;
            for event in world.every().filter(|&event| world.can_happen(&case, event)) {
                let mut next = world.clone();
                let outcome = next.happen(&case, event);
                stuck = false;
                walk.late += usize::from(outcome == Outcome::Late);
                if let Err(why) = judge(&case, &next, outcome) {
                    walk.found(why, &came_by, index, Some(event));
                    return walk;
                }
                if seen.insert(fingerprint(&next)) {
                    came_by.push(Some((index, event)));
                    open.push_back((came_by.len() - 1, next));
                }
            }
            if stuck {
                match end(&case, &world) {
                    Ok(true) => walk.done += 1,
                    Ok(false) => walk.stopped += 1,
                    Err(why) => {
                        walk.found(why, &came_by, index, None);
                        return walk;
                    }
                }
            }
        }
        walk
    }

    fn found(&mut self, why: String, came_by: &[Option<(usize, Event)>], index: usize, last: Option<Event>) {
        let mut events: Vec<Event> = last.into_iter().collect();
        let mut at = index;
        while let Some((before, event)) = came_by[at] {
            events.insert(0, event);
            at = before;
        }
        (self.counterexample, self.why) = (Some(events), Some(why));
    }
}

fn fingerprint(world: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

fn judge<const N: usize>(case: &Case, world: &World<N>, outcome: Outcome) -> Result<(), String> {
    for (index, layer) in world.layers.iter().enumerate() {
        let Some(layer) = layer else { continue };
        if let Some(at) = layer.participant.at()
            && layer.weights != Updates::to(at.step)
        {
            return Err(format!("layer {index} at {at} has the updates {:?}", layer.weights));
        }
        if case.bad.is_some_and(|(_, step)| layer.weights.has(step)) {
            return Err(format!("layer {index} has an update that was refused"));
        }
        if let Outcome::Committed(ticket) = outcome
            && layer.participant.at() != Some(ticket)
        {
            return Err(format!("{ticket} is committed, layer {index} is at {:?}", layer.participant.at()));
        }
    }
    for (step, parts) in &world.checkpoints {
        if parts.iter().any(|part| *part != Some(Updates::to(*step))) {
            return Err(format!("the checkpoint of step {step} holds {parts:?}"));
        }
    }
    if world.newest().is_none_or(|(step, _)| *step < world.promised) {
        return Err(format!("the checkpoint of step {} was promised and is not there", world.promised));
    }
    if outcome == Outcome::Refused {
        return Err("something of the present generation came out of turn".into());
    }
    Ok(())
}

/// True for a finished training, false for one that stopped at an update that was refused.
fn end<const N: usize>(case: &Case, world: &World<N>) -> Result<bool, String> {
    match &world.seat {
        Seat::Stopped if case.bad.is_some() => Ok(false),
        Seat::Running(machine, _) => {
            let last = Updates::to(case.steps);
            let learnt = world.layers.iter().all(|layer| layer.as_ref().is_some_and(|layer| layer.weights == last));
            let stored = world.newest().is_some_and(|(step, _)| *step == case.steps);
            if machine.is_ready() && learnt && stored { Ok(true) } else { Err(format!("nothing goes on: {world:?}")) }
        }
        seat => Err(format!("nothing goes on: {seat:?}")),
    }
}
