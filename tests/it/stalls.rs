//! Oracle: a hand on the links. Signals are held back, let go and cut from outside while real layers run: a phase with an unheard
//! signal is never called settled, what can't go on ends with an error that says why (`endings` has the rest of those), and what
//! is called settled has the residual that `scene` works out from the states alone.

mod endings;
mod scene;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use asynapse::engine::{EngineError, Schedule};
use asynapse::rule::FreePhase;
use asynapse::settling::{Limits, PhaseRecord};

use crate::common::engine_states;
use scene::{IMPATIENT, NUDGE, PATIENT, Scene, in_time, links, release_at_rest, until_settled};

fn stalled(result: Result<PhaseRecord, EngineError>) -> String {
    match result {
        Err(error @ EngineError::Stalled { .. }) => error.to_string(),
        other => panic!("it should have stalled: {other:?}"),
    }
}

#[test]
fn a_signal_held_back_is_never_called_settled_and_the_watchdog_names_it() {
    // On two threads the links of one layer are enough: every one of these waits for the watchdog.
    let of_one_layer = links().filter(|link| link.0 == 2).map(|link| (2, link));
    for (threads, link) in links().map(|link| (1, link)).chain(of_one_layer) {
        in_time(move || {
            let mut scene = Scene::nudged(Schedule::FreeRunning, threads, IMPATIENT);
            scene.gate(link).hold();
            let result = scene.run(1, until_settled());
            if link == (0, 1) {
                // The input has said everything in the free phase: there is nothing to hold back.
                return scene.assert_settled(&result.expect("a phase"), NUDGE);
            }
            let text = stalled(result);
            let expected = format!("layer {} has not heard what layer {} last said", link.1, link.0);
            assert!(text.contains("in phase 2") && text.contains(&expected), "{link:?}: {text}");
        });
    }
}

/// The counts that the coordinator takes by itself keep nobody awake: answers to them are no progress.
#[test]
fn the_watchdog_is_not_kept_quiet_by_its_own_questions() {
    in_time(|| {
        let mut scene = Scene::nudged(Schedule::FreeRunning, 1, IMPATIENT);
        scene.gate((2, 1)).hold();
        let text = stalled(scene.run(1, Limits { plateau: 1e-9, ..until_settled() }));
        assert!(text.contains("layer 1 has not heard what layer 2 last said"), "{text}");
    });
}

/// One link is slow: its signals come when everything else has come to rest. That includes an error that comes after a layer has
/// moved on by hundreds of predictions, which must all be said before the layer counts as resting.
#[test]
fn a_signal_released_in_time_is_heard_before_the_phase_settles() {
    for (threads, link) in [1, 2].into_iter().flat_map(|threads| links().map(move |link| (threads, link))) {
        for free in [true, false] {
            if !free && link == (0, 1) {
                continue;
            }
            in_time(move || {
                let mut scene = if free {
                    Scene::new(Schedule::FreeRunning, threads, PATIENT, FreePhase::Relax)
                } else {
                    Scene::nudged(Schedule::FreeRunning, threads, PATIENT)
                };
                let gate = scene.gate(link);
                gate.hold();
                let (hand, released) = release_at_rest(vec![gate]);
                let record = scene.run(usize::from(!free), until_settled()).expect("a phase");
                assert_eq!(released.load(SeqCst), 1, "settled around a signal that nobody had heard");
                scene.assert_settled(&record, if free { 0.0 } else { NUDGE });
                hand.join().expect("a hand");
            });
        }
    }
}

/// A layer is slow: it hears one neighbour when everyone else has come to rest, and the other when that has changed nothing more.
#[test]
fn a_slow_layer_is_waited_for() {
    for threads in [1, 2] {
        in_time(move || {
            let mut scene = Scene::nudged(Schedule::FreeRunning, threads, PATIENT);
            let gates = [(3, 2), (1, 2)].map(|link| scene.gate(link));
            gates.iter().for_each(asynapse::engine::mailbox::Gate::hold);
            let (hand, released) = release_at_rest(gates.to_vec());
            let record = scene.run(1, until_settled()).expect("a phase");
            assert_eq!(released.load(SeqCst), 2, "settled before a layer had heard its neighbours");
            scene.assert_settled(&record, NUDGE);
            hand.join().expect("a hand");
        });
    }
}

/// Links that come and go at random moments change nothing about what a settled network is.
#[test]
fn restless_links_settle_where_the_residual_is_small() {
    for threads in [1, 2] {
        in_time(move || {
            let mut scene = Scene::new(Schedule::FreeRunning, threads, PATIENT, FreePhase::Relax);
            let gates: Vec<_> = links().map(|link| scene.gate(link)).collect();
            let over = Arc::new(AtomicBool::new(false));
            let hand = {
                let over = Arc::clone(&over);
                thread::spawn(move || {
                    let mut chance = 12_345_u64;
                    while !over.load(SeqCst) {
                        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        let gate = &gates[(chance >> 33) as usize % gates.len()];
                        gate.hold();
                        (0..chance >> 58).for_each(|_| thread::yield_now());
                        gate.release();
                    }
                })
            };
            for _ in 0..20 {
                scene.present();
                for (phase, nudge) in [(0, 0.0), (1, NUDGE)] {
                    let record = scene.run(phase, until_settled()).expect("a phase");
                    scene.assert_settled(&record, nudge);
                }
            }
            over.store(true, SeqCst);
            hand.join().expect("a hand");
        });
    }
}

#[test]
fn in_lock_step_a_signal_held_back_stalls_the_phase_and_the_message_says_who_waits_for_whom() {
    for (from, to) in links() {
        in_time(move || {
            let mut scene = Scene::nudged(Schedule::LockStep, 1, IMPATIENT);
            scene.gate((from, to)).hold();
            let text = stalled(scene.run(1, until_settled()));
            let what = if from < to { "prediction" } else { "error" };
            let expected = format!("layer {to} waits for the {what} of layer {from} (phase 2, step 0)");
            assert!(text.contains(&expected), "{text}");
        });
    }
}

/// The wave of the free phase, in both schedules.
#[test]
fn a_wave_that_is_held_back_stalls_and_the_message_says_where() {
    for schedule in scene::BOTH {
        in_time(move || {
            let mut scene = Scene::new(schedule, 2, IMPATIENT, FreePhase::Forward);
            scene.gate((1, 2)).hold();
            let text = stalled(scene.run(0, until_settled()));
            assert!(text.contains("layer 2 waits for the prediction of layer 1 (phase 1, step 0)"), "{text}");
        });
    }
}

/// In lock-step a slow link costs time and not a bit.
#[test]
fn in_lock_step_a_signal_released_in_time_changes_no_bit() {
    for (threads, link) in [1, 2].into_iter().flat_map(|threads| links().map(move |link| (threads, link))) {
        in_time(move || {
            let mut scene = Scene::nudged(Schedule::LockStep, threads, PATIENT);
            let mut reference = scene.reference();
            let limits = Limits::steps(40);
            reference.run_phase(&scene.plan.phases[0], limits);
            let expected = reference.run_phase(&scene.plan.phases[1], limits);
            let gate = scene.gate(link);
            gate.hold();
            let (hand, released) = release_at_rest(vec![gate]);
            let record = scene.run(1, limits).expect("a phase");
            assert_eq!(released.load(SeqCst), 1);
            assert_eq!(record.energy().to_bits(), expected.energy().to_bits());
            assert_eq!(engine_states(&mut scene.engine), reference.states());
            hand.join().expect("a hand");
        });
    }
}
