//! Oracle: what has to end, ends. Numbers that are not finite name the same layer and unit in every schedule and in the reference,
//! and leave no trace in the weights or in the next batch; links and layers that end, and engines that are dropped, hang nobody.

use std::thread;

use asynapse::engine::{EngineError, Schedule};
use asynapse::math::Field;
use asynapse::rule::FreePhase;
use asynapse::settling::{Limits, StopReason};
use asynapse::signal::{BadNumber, Wanted};

use super::scene::{BOTH, IMPATIENT, NUDGE, PATIENT, Scene, in_time, links, until_nothing_new, until_settled};
use crate::common::{engine_states, engine_weights, weights};

/// The schedules and their numbers of threads.
const MACHINES: [(Schedule, usize); 4] =
    [(Schedule::LockStep, 1), (Schedule::LockStep, 2), (Schedule::FreeRunning, 1), (Schedule::FreeRunning, 2)];

/// Who is named when `spoil` has been at the batch: by the reference, and by every machine the same. The weights are untouched.
fn named(free: FreePhase, phases: usize, spoil: fn(&mut (Field<f64>, Field<f64>))) -> (usize, BadNumber) {
    let named = MACHINES.map(|(schedule, threads)| {
        in_time(move || {
            let mut scene = Scene::new(schedule, threads, PATIENT, free);
            let clean = scene.sample.clone();
            spoil(&mut scene.sample);
            let mut reference = scene.reference();
            scene.present();
            let limits = Limits::tolerance(1e-6, 1000);
            for phase in 0..phases - 1 {
                reference.run_phase(&scene.plan.phases[phase], limits);
                scene.run(phase, limits).expect("a phase");
            }
            let expected = reference.run_phase(&scene.plan.phases[phases - 1], limits);
            let record = scene.run(phases - 1, limits).expect("a phase");
            assert_eq!((expected.reason, record.reason), (StopReason::Diverged, StopReason::Diverged));
            let initial = weights(&scene.network, 5);
            assert!(engine_weights(&mut scene.engine) == initial, "{schedule:?} changed a weight");
            assert!(*reference.weights() == initial);
            (scene.sample, _) = (clean, reference.present(&scene.sample.0, &scene.sample.1));
            unharmed(&mut scene);
            (record.bad().expect("a bad number"), expected.bad().expect("a bad number"))
        })
    });
    let (first, _) = named[0];
    assert!(named.iter().all(|&both| both == (first, first)), "{named:?}");
    first
}

/// The next batch knows nothing of the bad one.
fn unharmed(scene: &mut Scene) {
    scene.present();
    let mut reference = scene.reference();
    for (phase, nudge) in [(0, 0.0), (1, NUDGE)] {
        let expected = reference.run_phase(&scene.plan.phases[phase], until_settled());
        let record = scene.run(phase, until_settled()).expect("a phase");
        assert_eq!(record.reason, expected.reason);
        assert_eq!(record.bad(), None);
        if record.reason == StopReason::Settled {
            scene.assert_settled(&record, nudge);
        }
    }
    for (state, expected) in engine_states(&mut scene.engine).iter().zip(reference.states()) {
        assert!(state.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "other states than the reference's");
    }
}

#[test]
fn a_bad_number_in_the_data_names_the_first_layer_everywhere() {
    // Sample 1 of input 3 reaches every unit of layer 1; the first is named.
    let (layer, bad) = named(FreePhase::Relax, 1, |(data, _)| data[[3, 1]] = f64::NAN);
    assert_eq!((layer, bad), (1, BadNumber { step: 0, unit: 0 }));
}

#[test]
fn a_bad_number_in_the_target_names_the_output_and_its_unit_everywhere() {
    let (layer, bad) = named(FreePhase::Forward, 2, |(_, target)| target[[2, 1]] = f64::NAN);
    assert_eq!((layer, bad), (4, BadNumber { step: 0, unit: 2 }));
}

/// A wave carries a bad number through every layer in one step: all are bad, and all machines name the same one.
#[test]
fn a_bad_number_in_a_wave_is_named_alike_everywhere() {
    let (_, bad) = named(FreePhase::Forward, 1, |(data, _)| data[[3, 1]] = f64::NAN);
    assert_eq!(bad, BadNumber { step: 0, unit: 0 });
}

fn broken<R: std::fmt::Debug>(result: Result<R, EngineError>) -> String {
    match result {
        Err(error @ EngineError::LinkBroken { .. }) => error.to_string(),
        other => panic!("a link was cut: {other:?}"),
    }
}

#[test]
fn a_link_that_is_cut_between_phases_ends_the_next_and_every_later_call_with_an_error() {
    for ((schedule, threads), link) in MACHINES.into_iter().flat_map(|m| links().map(move |link| (m, link))) {
        in_time(move || {
            let mut scene = Scene::nudged(schedule, threads, PATIENT);
            scene.gate(link).cut();
            let text = broken(scene.run(1, until_settled()));
            assert!(text.contains("lost a neighbour in phase 2"), "{text}");
            broken(scene.run(1, until_settled()));
            broken(scene.engine.extract(Wanted::State));
        });
    }
}

#[test]
fn a_link_that_is_cut_within_a_phase_ends_it_with_an_error() {
    for (schedule, threads) in MACHINES {
        in_time(move || {
            let mut scene = Scene::nudged(schedule, threads, PATIENT);
            // What is held back keeps the phase from ending before the cut.
            let (held, cut) = (scene.gate((3, 2)), scene.gate((1, 2)));
            held.hold();
            let hand = thread::spawn(move || {
                until_nothing_new(&held);
                cut.cut();
                held.release();
            });
            broken(scene.run(1, until_settled()));
            hand.join().expect("a hand");
        });
    }
}

/// The receiver of a link that ended with a signal still held back in it waits for that signal like for any other.
#[test]
fn a_link_that_is_cut_while_it_is_held_ends_with_an_error() {
    for (schedule, threads) in MACHINES {
        in_time(move || {
            let mut scene = Scene::nudged(schedule, threads, IMPATIENT);
            let gate = scene.gate((3, 2));
            gate.hold();
            let hand = thread::spawn(move || {
                until_nothing_new(&gate);
                gate.cut();
            });
            assert!(scene.run(1, until_settled()).is_err());
            hand.join().expect("a hand");
        });
    }
}

/// Dropped while layers wait for what will never come.
#[test]
fn an_engine_can_be_dropped_in_a_stall() {
    for (schedule, threads) in MACHINES {
        in_time(move || {
            let mut scene = Scene::nudged(schedule, threads, IMPATIENT);
            scene.gate((3, 2)).hold();
            assert!(matches!(scene.run(1, until_settled()), Err(EngineError::Stalled { .. })));
            drop(scene);
        });
    }
}

/// Dropped while layers are on their way: a layer that was told to learn too early says so, which ends the call before the phase.
#[test]
fn an_engine_can_be_dropped_in_the_middle_of_a_phase() {
    for (schedule, threads) in MACHINES {
        in_time(move || {
            let mut scene = Scene::nudged(schedule, threads, PATIENT);
            scene.engine.learn().expect("told");
            let result = scene.run(1, Limits::tolerance(0.0, u64::MAX));
            assert!(matches!(result, Err(EngineError::Layer(_))), "{result:?}");
            drop(scene);
        });
    }
}

#[test]
fn only_neighbours_have_a_gate() {
    for schedule in BOTH {
        let scene = Scene::nudged(schedule, 1, PATIENT);
        for (from, to) in (0..7).flat_map(|from| (0..7).map(move |to| (from, to))) {
            let neighbours = links().any(|link| link == (from, to));
            assert_eq!(scene.engine.gate(from, to).is_some(), neighbours, "{from} → {to}");
        }
    }
}
