//! Oracle: exhaustion. Every interleaving of the atomic operations by which groups that run free settle, around the real `Outstanding`:
//! whenever it says that everything rests, everybody does and nothing is unheard; and it always says so in the end. Four orders of these
//! operations that look as good are refuted.

use std::collections::{HashSet, VecDeque};

use asynapse::settling::Outstanding;

/// In which order the operations of two steps are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// As in the program.
    Right,
    /// The mark first, then the count.
    MarkBeforeCount,
    /// A group at rest takes its mark away before it counts itself.
    LookBeforeCount,
    /// Reads what is new before it takes the mark away.
    ReadBeforeLook,
    /// The marks before what they announce.
    MarkBeforeSignal,
}

const PUBLISH: [&[Step]; 2] = [&[Step::Store, Step::Marks], &[Step::Marks, Step::Store]];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Store,
    Marks,
}

/// Where a group is in its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Awake,
    /// Publishing: which step of it, and with marks which listener and which operation.
    Publishing(u8, u8, u8),
    /// Hearing: operations done.
    Hearing(u8),
    /// Has seen that there is no news and is about to come to rest.
    Resting,
    Rest,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Group {
    at: At,
    /// It was at rest when it began to hear.
    slept: bool,
    version: u8,
    left: u8,
    dirty: bool,
    heard: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    count: usize,
    groups: Vec<Group>,
}

struct Walk {
    states: usize,
    declared: usize,
    falsely: usize,
    undeclared: usize,
}

/// All states from the start: `next_to[i]` listens to group i and speaks to it; each may speak `left` times.
fn walk(order: Order, next_to: &[&[usize]], left: u8) -> Walk {
    let group = |links: &&[usize]| Group {
        at: At::Awake,
        slept: false,
        version: 0,
        left,
        dirty: false,
        heard: vec![0; links.len()],
    };
    let start = World { count: next_to.len(), groups: next_to.iter().map(group).collect() };
    let (mut seen, mut queue) = (HashSet::from([start.clone()]), VecDeque::from([start]));
    let mut walk = Walk { states: 0, declared: 0, falsely: 0, undeclared: 0 };
    while let Some(world) = queue.pop_front() {
        walk.states += 1;
        let mut moves = 0;
        for i in 0..next_to.len() {
            for (next, declares) in steps(&world, i, order, next_to) {
                moves += 1;
                if declares {
                    walk.declared += 1;
                    walk.falsely += usize::from(!is_quiet(&next, next_to));
                }
                if seen.insert(next.clone()) {
                    queue.push_back(next);
                }
            }
        }
        walk.undeclared += usize::from(moves == 0 && world.count != 0);
    }
    walk
}

fn is_quiet(world: &World, next_to: &[&[usize]]) -> bool {
    world.groups.iter().zip(next_to).all(|(group, links)| {
        let heard = links.iter().zip(&group.heard).all(|(&from, &heard)| world.groups[from].version == heard);
        group.at == At::Rest && !group.dirty && heard
    })
}

/// One operation on the count.
fn counting(world: &mut World, operation: impl FnOnce(&Outstanding) -> bool) -> bool {
    let outstanding = Outstanding::of(world.count);
    let result = operation(&outstanding);
    // An order that is wrong may count below zero; what follows from there is of no interest.
    world.count = outstanding.count().min(100);
    result
}

fn add(world: &mut World) {
    counting(world, |outstanding| {
        outstanding.add();
        false
    });
}

fn withdraw(world: &mut World) {
    counting(world, |outstanding| {
        outstanding.withdraw();
        false
    });
}

/// Every next operation of group `i`, and whether with it everything is said to rest.
fn steps(world: &World, i: usize, order: Order, next_to: &[&[usize]]) -> Vec<(World, bool)> {
    let mut next = world.clone();
    let group = &world.groups[i];
    match group.at {
        At::Awake => {
            let mut all = Vec::new();
            if group.left > 0 {
                let mut publishing = world.clone();
                publishing.groups[i].left -= 1;
                publishing.groups[i].at = At::Publishing(0, 0, 0);
                all.push((publishing, false));
            }
            next.groups[i].slept = false;
            next.groups[i].at = if group.dirty { At::Hearing(0) } else { At::Resting };
            all.push((next, false));
            return all;
        }
        At::Resting => {
            next.groups[i].at = At::Rest;
            let declares = counting(&mut next, Outstanding::rests);
            return vec![(next, declares)];
        }
        At::Rest if group.dirty => {
            next.groups[i].slept = true;
            next.groups[i].at = At::Hearing(0);
        }
        At::Rest => return Vec::new(),
        At::Publishing(step, listener, operation) => {
            let done = publish(&mut next, i, (step, listener, operation), order, next_to[i]);
            next.groups[i].at = done;
        }
        At::Hearing(done) => {
            hear(&mut next, i, done, order, next_to[i]);
            next.groups[i].at = if done == 3 { At::Awake } else { At::Hearing(done + 1) };
        }
    }
    vec![(next, false)]
}

fn publish(world: &mut World, i: usize, at: (u8, u8, u8), order: Order, listeners: &[usize]) -> At {
    let (step, listener, operation) = at;
    let after = |step: u8| if step == 1 { At::Awake } else { At::Publishing(step + 1, 0, 0) };
    if PUBLISH[usize::from(order == Order::MarkBeforeSignal)][step as usize] == Step::Store {
        world.groups[i].version += 1;
        return after(step);
    }
    let to = listeners[listener as usize];
    let counts_first = order != Order::MarkBeforeCount;
    let next =
        if listener as usize + 1 == listeners.len() { after(step) } else { At::Publishing(step, listener + 1, 0) };
    match (operation, counts_first) {
        (0, true) => {
            add(world);
            At::Publishing(step, listener, 1)
        }
        (0, false) => {
            let was = std::mem::replace(&mut world.groups[to].dirty, true);
            if was { next } else { At::Publishing(step, listener, 1) }
        }
        (1, true) => {
            let was = std::mem::replace(&mut world.groups[to].dirty, true);
            if was { At::Publishing(step, listener, 2) } else { next }
        }
        (1, false) => {
            add(world);
            next
        }
        _ => {
            withdraw(world);
            next
        }
    }
}

/// Counting itself if it slept, taking the mark, withdrawing it, reading: four operations.
fn hear(world: &mut World, i: usize, done: u8, order: Order, from: &[usize]) {
    let operations = match order {
        Order::LookBeforeCount => [1, 2, 0, 3],
        Order::ReadBeforeLook => [0, 3, 1, 2],
        _ => [0, 1, 2, 3],
    };
    match operations[done as usize] {
        0 if world.groups[i].slept => add(world),
        0 => {}
        1 => world.groups[i].dirty = false,
        2 => {
            // Where the count is wrong already it may be zero.
            if world.count > 0 {
                withdraw(world);
            }
        }
        _ => {
            let versions: Vec<u8> = from.iter().map(|&from| world.groups[from].version).collect();
            world.groups[i].heard = versions;
        }
    }
}

const PAIR: &[&[usize]] = &[&[1], &[0]];
/// One group above, two below.
const FORK: &[&[usize]] = &[&[1, 2], &[0], &[0]];

#[test]
fn whenever_everything_is_said_to_rest_it_does_and_it_is_always_said_in_the_end() {
    for (next_to, left, states) in [(PAIR, 3, 2_000), (FORK, 1, 5_000)] {
        let walk = walk(Order::Right, next_to, left);
        println!("{} states, {} declarations", walk.states, walk.declared);
        assert!(walk.states > states, "{} states", walk.states);
        assert!(walk.declared > 0);
        assert_eq!((walk.falsely, walk.undeclared), (0, 0), "{next_to:?}");
    }
}

#[test]
fn other_orders_of_the_same_operations_are_wrong() {
    let wrong = [Order::MarkBeforeCount, Order::LookBeforeCount, Order::ReadBeforeLook, Order::MarkBeforeSignal];
    for order in wrong {
        let walk = walk(order, PAIR, 2);
        assert!(walk.falsely > 0, "{order:?}: {} states, {} declarations", walk.states, walk.declared);
    }
}
