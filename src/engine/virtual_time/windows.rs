//! The driver of windows: lets all shards go on together, exactly as far as none can be surprised by another.
//!
//! ```text
//! repeat   next  = the earliest event anywhere, letters under way included
//!          until = next + lookahead, but not beyond the next moment at which somebody looks
//!          every shard does what comes before `until`; then letters are handed over
//! ```
//!
//! This is conservative synchronisation by windows (Nicol 1993, "The cost of conservative synchronization in parallel discrete event
//! simulations"). An event at t ≥ next sends to another shard for t + lookahead at the earliest, which is not before `until`: within
//! a window no shard can receive anything, so each meets its own events in the order in which one queue would have given them.
//! Records are merged by the keys that head the shards' lists, which is that order again. So neither states nor logs know how many
//! shards or threads there were.
//!
//! Looks and budgets are at moments that follow from the events alone, never from the length of a window.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard};
use std::thread;

use super::census::Overseer;
use super::errand::{Errand, Letter, Outcome, Reply, Window};
use super::kernel::Time;
use super::record::{EventLog, Record};
use super::shard::{Member, ask_all};
use crate::engine::EngineError;
use crate::settling::StopReason;

/// How a run of windows ended.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// Events.
    pub(super) events: u64,
    /// The last of them.
    pub(super) now: Time,
    /// Why it was broken off, if it was.
    pub(super) broken: Option<StopReason>,
}

/// What a run of windows is told.
pub(super) struct Windows<'a> {
    /// The first node of every member.
    pub(super) starts: Vec<u32>,
    pub(super) lookahead: Time,
    pub(super) threads: usize,
    pub(super) log: Option<&'a mut EventLog>,
}

/// A member with what lies between two windows.
pub(super) struct Seat<'a, T, M> {
    pub(super) member: &'a mut M,
    letters: Vec<Letter<T>>,
    outcome: Option<Result<Outcome<T>, EngineError>>,
    next: Option<Time>,
}

/// All of them are given their window before any answer is awaited.
fn advance<T, M: Member<T>>(seats: &[Mutex<Seat<'_, T, M>>], until: Time) {
    let asked: Vec<_> = seats
        .iter()
        .map(|seat| {
            let mut seat = sit(seat);
            let letters = std::mem::take(&mut seat.letters);
            let sent = seat.member.send(Errand::Window(Window { until, letters }));
            (seat, sent)
        })
        .collect();
    for (mut seat, sent) in asked {
        let answer = sent.and_then(|()| seat.member.answer());
        seat.outcome = Some(answer.and_then(Reply::outcome));
    }
}

/// Asks every member for something between two windows.
pub(super) fn ask_seats<T, M: Member<T>>(
    seats: &[Mutex<Seat<'_, T, M>>],
    errand: impl Fn() -> Errand<T>,
) -> Result<Vec<Reply<T>>, EngineError> {
    let mut held: Vec<_> = seats.iter().map(sit).collect();
    ask_all(held.iter_mut().map(|seat| &mut *seat.member), |_| errand())
}

pub(super) fn sit<'a, 'm, T, M>(seat: &'a Mutex<Seat<'m, T, M>>) -> MutexGuard<'a, Seat<'m, T, M>> {
    seat.lock().expect("a member that panicked has ended the run")
}

impl Windows<'_> {
    /// Runs until nothing is left to happen, or until the overseer breaks it off.
    pub(super) fn run<T: Send + Sync, M: Member<T> + Send>(
        &mut self,
        members: &mut [M],
        overseer: &mut Overseer,
    ) -> Result<Course, EngineError> {
        let seats = members.iter_mut();
        let seats: Vec<_> =
            seats.map(|member| Mutex::new(Seat { member, letters: Vec::new(), outcome: None, next: None })).collect();
        let threads = self.threads.clamp(1, seats.len());
        if threads == 1 {
            let mut all = |until| advance(&seats, until);
            return self.drive(&seats, &mut all, overseer);
        }
        let share = |thread: usize| &seats[thread * seats.len() / threads..(thread + 1) * seats.len() / threads];
        thread::scope(|scope| {
            // A thread whose partner is gone finds its channel closed, and ends: nobody waits for ever.
            let others: Vec<(SyncSender<Time>, Receiver<()>)> = (1..threads)
                .map(|thread| {
                    let (order, orders) = sync_channel::<Time>(1);
                    let (done, dones) = sync_channel(1);
                    let seats = share(thread);
                    scope.spawn(move || {
                        for until in orders {
                            advance(seats, until);
                            if done.send(()).is_err() {
                                break;
                            }
                        }
                    });
                    (order, dones)
                })
                .collect();
            let mut all = |until| {
                for (order, _) in &others {
                    order.send(until).expect("a thread ends only when it is left");
                }
                advance(share(0), until);
                for (_, done) in &others {
                    done.recv().expect("a thread ends only when it is left");
                }
            };
            self.drive(&seats, &mut all, overseer)
        })
    }

    fn drive<T, M: Member<T>>(
        &mut self,
        seats: &[Mutex<Seat<'_, T, M>>],
        advance: &mut dyn FnMut(Time),
        overseer: &mut Overseer,
    ) -> Result<Course, EngineError> {
        let mut course = Course::default();
        // What was sent at the beginning of a phase is collected first.
        let mut until = Time(0);
        loop {
            advance(until);
            self.exchange(seats, &mut course)?;
            let Some(next) = seats.iter().filter_map(|seat| sit(seat).next).min() else { return Ok(course) };
            if overseer.due() < next
                && let Some(reason) = overseer.look(seats, next, course.events)?
            {
                course.broken = Some(reason);
                return Ok(course);
            }
            until = (next + self.lookahead).min(overseer.due() + Time::TICK);
        }
    }

    /// Hands over letters, and writes down what has happened.
    fn exchange<T, M>(&mut self, seats: &[Mutex<Seat<'_, T, M>>], course: &mut Course) -> Result<(), EngineError> {
        let mut records = Vec::new();
        let mut posted = Vec::new();
        for seat in seats {
            let mut seat = sit(seat);
            let outcome = seat.outcome.take().expect("every member was advanced")?;
            seat.next = outcome.next;
            course.events += outcome.events;
            course.now = course.now.max(outcome.now);
            posted.extend(outcome.letters);
            records.push(outcome.records);
        }
        for letter in posted {
            let member = self.starts.partition_point(|&start| start <= letter.key.node) - 1;
            let mut seat = sit(&seats[member]);
            seat.next = Some(seat.next.map_or(letter.key.time, |next| next.min(letter.key.time)));
            seat.letters.push(letter);
        }
        if let Some(log) = &mut self.log {
            merged(&records, |record| log.add(record));
        }
        Ok(())
    }
}

/// All records, always the least of those that head a list.
fn merged(lists: &[Vec<Record>], mut add: impl FnMut(&Record)) {
    let mut heads: Vec<&[Record]> = lists.iter().map(Vec::as_slice).filter(|list| !list.is_empty()).collect();
    while let Some(least) = (0..heads.len()).min_by_key(|&index| heads[index][0].key) {
        let (first, rest) = heads[least].split_first().expect("empty lists are left out");
        add(first);
        heads[least] = rest;
        if rest.is_empty() {
            heads.swap_remove(least);
        }
    }
}
