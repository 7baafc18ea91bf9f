//! Oracle: exhaustion. Every order of events of small networks, around the real `Settler` and the real `Detector`: no declaration
//! of quiet is ever false, no network without losses ends undeclared, and the rules that look right and are not are refuted by
//! a counterexample. `model` is the network, `judge` the rules, `walk` the search and what it demands of a declaration.

mod judge;
mod keyed;
mod model;
mod walk;

use asynapse::settling::{Settler, Standing, Turn};
use asynapse::signal::Repose;

use judge::{Rule, TOLERANCE};
use model::{Case, Mail};
use walk::Walk;

/// Two layers that both move, drawn apart.
const PAIR: Case<2> = Case {
    mail: Mail::NewestWins,
    start: [0, 0],
    can_move: [true; 2],
    data: 5,
    targets: &[-5],
    tolerance: TOLERANCE,
    budget: 3,
    hesitates: false,
    halts: false,
    recounts: 0,
};

/// Input, one hidden layer, output, as in the smallest network that has something to settle.
const CLAMPED: Case<3> = Case {
    mail: Mail::NewestWins,
    start: [3, 0, -5],
    can_move: [false, true, false],
    data: 3,
    targets: &[-5],
    tolerance: TOLERANCE,
    budget: 2,
    hesitates: false,
    halts: false,
    recounts: 0,
};

/// Three layers that all move.
const LINE: Case<3> = Case { start: [3, 0, -3], can_move: [true; 3], budget: 1, ..CLAMPED };

/// No declaration is false; without losses every end is declared; and enough was walked for that to mean something.
fn holds<const N: usize>(case: &Case<N>, states_least: usize) -> Walk {
    let walk = Walk::of(case, Rule::Detector);
    println!("{walk:?}");
    assert!(walk.counterexample.is_none(), "{case:?}: {walk:?}");
    assert!(walk.states >= states_least, "{case:?}: {walk:?}");
    assert!(walk.ends[0] > 0, "{case:?}: {walk:?}");
    assert_eq!(walk.ends[1] > 0, case.mail == Mail::Lossy, "{case:?}: {walk:?}");
    walk
}

#[test]
fn two_layers_are_never_falsely_declared_and_always_declared_in_the_end() {
    for (mail, states) in [(Mail::NewestWins, 80_000), (Mail::InOrder, 150_000)] {
        let walk = holds(&Case { mail, ..PAIR }, states);
        assert!(walk.woken > 0, "a layer that had settled is woken by its neighbour: {walk:?}");
        assert!(walk.declared.iter().all(|&n| n > 0), "some settle and some use up their steps: {walk:?}");
    }
}

#[test]
fn three_layers_between_clamped_ends_are_never_falsely_declared() {
    let walk = holds(&CLAMPED, 600_000);
    assert!(walk.woken > 0 && walk.declared.iter().all(|&n| n > 0), "{walk:?}");
}

#[test]
fn three_layers_that_all_move_are_never_falsely_declared() {
    let walk = holds(&Case { mail: Mail::InOrder, ..LINE }, 400_000);
    assert!(walk.woken > 0 && walk.declared[1] > 0, "{walk:?}");
}

/// Without a tolerance a layer rests where nothing draws it, and at the end of its budget.
#[test]
fn budgets_alone_end_a_phase() {
    for (budget, states) in [(0, 90), (1, 1000), (2, 10_000)] {
        let walk = holds(&Case { tolerance: 0.0, budget, ..PAIR }, states);
        assert!(walk.declared[1] > 0, "{walk:?}");
    }
}

/// A layer that can't say everything at once is at rest only when it has.
#[test]
fn what_is_unspoken_for_a_while_is_not_overlooked() {
    for mail in [Mail::NewestWins, Mail::InOrder] {
        holds(&Case { mail, budget: 2, hesitates: true, ..PAIR }, 30_000);
    }
}

/// Halts and recounts reach layers at every possible moment, and what is left of a phase arrives in the next.
#[test]
fn halts_recounts_and_a_second_phase_change_nothing() {
    let halted = Case { halts: true, budget: 1, targets: &[-5, 5], ..PAIR };
    let recounted = Case { recounts: 1, budget: 1, targets: &[-5, 5], ..PAIR };
    let both = Case { halts: true, recounts: 1, budget: 0, targets: &[-5, 5], ..PAIR };
    for (case, states) in [(halted, 200_000), (recounted, 300_000), (both, 60_000)] {
        let walk = holds(&case, states);
        assert!(walk.late > 1000, "reports come late: {walk:?}");
    }
}

/// Lost signals hold a declaration up, they never make it false.
#[test]
fn losses_leave_networks_undeclared_and_never_falsely_declared() {
    holds(&Case { mail: Mail::Lossy, budget: 2, ..PAIR }, 30_000);
    holds(&Case { mail: Mail::Lossy, budget: 1, ..CLAMPED }, 60_000);
}

/// The shortest counterexample to `rule`.
fn refuted<const N: usize>(case: &Case<N>, rule: Rule) {
    let walk = Walk::of(case, rule);
    let events = walk.counterexample.as_ref().unwrap_or_else(|| panic!("{rule:?} looks right: {walk:?}"));
    println!("{rule:?}: a counterexample of {} events. {walk:?}", events.len());
    // The same case is walked to its end under the real rule, so it is the rule that is at fault.
    holds(case, 1000);
}

#[test]
fn small_residuals_alone_are_no_rest() {
    refuted(&Case { budget: 2, ..PAIR }, Rule::SmallResiduals);
    refuted(&Case { budget: 1, ..CLAMPED }, Rule::SmallResiduals);
}

#[test]
fn as_many_heard_as_spoken_in_sum_is_no_rest() {
    refuted(&Case { budget: 2, mail: Mail::InOrder, ..PAIR }, Rule::Sums);
    refuted(&Case { budget: 1, mail: Mail::InOrder, ..CLAMPED }, Rule::Sums);
}

#[test]
fn a_report_of_another_phase_is_no_evidence() {
    refuted(&Case { halts: true, budget: 0, targets: &[-5, 5], ..PAIR }, Rule::AnyPhase);
    refuted(&Case { recounts: 1, budget: 0, targets: &[-5, 5], ..PAIR }, Rule::AnyPhase);
}

/// A residual that is no number compares with nothing, so it settles nothing; the budget bounds it.
#[test]
fn a_residual_that_is_no_number_never_settles() {
    let mut settler = Settler::new(1.0, 2);
    let standing = Standing { spoken: true, can_move: true };
    assert_eq!(settler.turn(f64::NAN, 0, standing), Turn::Move);
    assert_eq!(settler.turn(f64::NAN, 1, standing), Turn::Move);
    assert_eq!(
        (settler.turn(f64::NAN, 2, standing), settler.repose()),
        (Turn::Rest { report: true }, Repose::Exhausted)
    );
}
