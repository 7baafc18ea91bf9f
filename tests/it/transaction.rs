//! Oracle: exhaustion. Every order of events of two and three layers, around the real `Participant`s and the real `Coordinator`s,
//! with deaths of anybody at any moment, messages in any order and late ones of the dead: every update is made exactly once on
//! every layer or on none. And the mistakes one could make are seen, each by name. `world` is what can happen, `walk` the search
//! and what it demands.

mod walk;
mod world;

use walk::Walk;
use world::{Case, Fault};

/// Two layers, two steps, a checkpoint after each, two deaths.
const PAIR: Case = Case { steps: 2, every: 1, deaths: 2, bad: None, fault: Fault::None };

/// A checkpoint at every second step only: what is lost has to be done again.
const REDONE: Case = Case { steps: 3, every: 2, deaths: 1, ..PAIR };

fn holds<const N: usize>(case: Case, states_least: usize) -> Walk {
    let walk = Walk::of::<N>(case);
    println!("{case:?}: {walk:?}");
    assert!(walk.counterexample.is_none(), "{case:?}: {walk:?}");
    assert!(walk.states >= states_least && walk.generations >= 2, "{case:?}: {walk:?}");
    walk
}

#[test]
fn two_layers_make_every_update_once_or_not_at_all() {
    for (case, states) in [(PAIR, 100_000), (REDONE, 5000)] {
        let walk = holds::<2>(case, states);
        assert!(walk.done > 0 && walk.stopped == 0, "every end is a finished training: {walk:?}");
        assert!(walk.late > 100, "what the dead have said arrives: {walk:?}");
    }
}

#[test]
fn three_layers_make_every_update_once_or_not_at_all() {
    let walk = holds::<3>(Case { deaths: 1, ..PAIR }, 20_000);
    assert!(walk.done > 0 && walk.stopped == 0 && walk.late > 100, "{walk:?}");
}

/// One layer's update is not finite: it is made on no layer, whoever dies meanwhile, and everything ends there.
#[test]
fn an_update_that_one_layer_refuses_is_made_on_none() {
    for (layer, step) in [(0, 1), (1, 2)] {
        let walk = holds::<2>(Case { bad: Some((layer, step)), deaths: 1, ..PAIR }, 500);
        assert!(walk.done == 0 && walk.stopped > 0, "{walk:?}");
    }
}

/// The shortest way to where this mistake shows.
#[track_caller]
fn seen(case: Case, why: &str) {
    let walk = Walk::of::<2>(case);
    let found = walk.counterexample.as_ref().unwrap_or_else(|| panic!("{case:?} looks right: {walk:?}"));
    println!("{:?}: {} events. {walk:?}", case.fault, found.len());
    assert!(walk.why.as_ref().is_some_and(|told| told.contains(why)), "{why}: {walk:?}");
}

#[test]
fn survivors_that_keep_their_weights_are_seen() {
    seen(Case { fault: Fault::SurvivorsKeep, ..REDONE }, "has the updates");
}

#[test]
fn orders_and_answers_of_any_generation_are_seen() {
    seen(Case { fault: Fault::NoFencing, ..PAIR }, "");
}

#[test]
fn a_generation_that_is_not_recorded_is_seen() {
    seen(Case { fault: Fault::NotRecorded, ..PAIR }, "");
}

#[test]
fn a_manifest_before_the_last_answer_is_seen() {
    seen(Case { fault: Fault::EarlyManifest, ..PAIR }, "checkpoint");
}

#[test]
fn a_checkpoint_that_counts_before_it_is_durable_is_seen() {
    seen(Case { fault: Fault::PromisedEarly, ..PAIR }, "promised");
}

#[test]
fn a_checkpoint_that_is_written_in_place_is_seen() {
    seen(Case { fault: Fault::InPlace, ..PAIR }, "promised");
}

#[test]
fn weights_that_move_before_the_commit_are_seen() {
    seen(Case { fault: Fault::AppliedAtPrepare, ..PAIR }, "has the updates");
}

#[test]
fn a_commit_after_the_first_vote_is_seen() {
    seen(Case { fault: Fault::FirstVoteCounts, ..PAIR }, "");
}

#[test]
fn a_next_step_before_all_have_applied_is_seen() {
    seen(Case { fault: Fault::FirstAppliedCounts, ..PAIR }, "");
}

#[test]
fn a_vote_that_is_not_listened_to_is_seen() {
    seen(Case { fault: Fault::DeafToNo, bad: Some((1, 1)), ..PAIR }, "refused");
}
