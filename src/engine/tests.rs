//! Oracle: a task that ends by itself. What only the inside of an engine can do to its layers; everything that can be done from
//! outside is in `tests/it/stalls.rs`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::actor::Presence;
use super::*;
use crate::energy::{Activation, Loss};
use crate::network::Init;
use crate::signal::{Motion, Origin, Teaching};

fn nudged() -> PlannedPhase {
    PlannedPhase::read(Motion::Relax { teaching: Teaching::Nudged(0.1), from: Origin::Zero }, 1.0)
}

fn engine(schedule: Schedule, threads: usize) -> Engine<f64> {
    let network = NetworkSpec::new(&[3, 4, 4, 2], Activation::Tanh, Loss::SquaredError).expect("a network");
    let (message, optimizer, stall) = (Message::ErrorEcho, OptimizerSpec::sgd(0.1), Duration::from_secs(60));
    let settings =
        EngineSettings { schedule, threads, message, rate: 0.1, optimizer, numerics: Numerics::default(), stall };
    let weights = network.initial_weights(Init::TorchLinear, 1);
    let mut engine = Engine::new(&network, weights, settings).expect("an engine");
    engine.present(&Field::ones((3, 2)), &Field::ones((2, 2))).expect("present");
    engine
}

/// Its neighbours notice, the call says who and why, and later calls fail as well.
#[test]
fn a_layer_that_ends_ends_the_phase_with_an_error() {
    for schedule in [Schedule::LockStep, Schedule::FreeRunning] {
        for threads in [1, 2] {
            let mut engine = engine(schedule, threads);
            // With its line closed the layer takes in what was said, and ends. What is said from now on reaches nobody.
            let (line, _nobody) = line::line();
            drop(std::mem::replace(&mut engine.coordinator.directives[2], line));
            let error = engine.run_phase(&nudged(), Limits::tolerance(1e-6, 1000)).expect_err("a layer is missing");
            assert!(matches!(error, EngineError::LinkBroken { layer: 1 | 3, .. }), "{error}");
            assert!(error.to_string().contains("layer 2 has ended"), "{error}");
            let later = engine.extract(Wanted::State).map(drop).expect_err("a layer is missing");
            assert!(matches!(later, EngineError::LinkBroken { layer: 1 | 3, .. }), "{later}");
        }
    }
}

/// Without a neighbour who has noticed yet, the coordinator does.
#[test]
fn a_layer_that_has_ended_can_be_told_nothing() {
    let mut engine = engine(Schedule::FreeRunning, 1);
    let (line, ended) = line::line();
    drop(ended);
    drop(std::mem::replace(&mut engine.coordinator.directives[2], line));
    let error = engine.run_phase(&nudged(), Limits::tolerance(1e-6, 1000)).expect_err("a layer is missing");
    assert!(matches!(error, EngineError::Ended { .. }), "{error}");
}

#[test]
fn a_layer_that_panics_is_said_to_have_ended() {
    let whereabouts = Arc::new(Whereabouts::new(&[1, 1]));
    let presence = Presence { whereabouts: Arc::clone(&whereabouts), node: 1 };
    let panics = AssertUnwindSafe(|| {
        let _presence = presence;
        std::panic::resume_unwind(Box::new("a bug"));
    });
    assert!(catch_unwind(panics).is_err());
    assert!(whereabouts.to_string().contains("layer 1 has ended"), "{whereabouts}");
}

/// There may be a million of them. A task of tokio takes 96 bytes beside what it holds, and is laid out in steps of 128.
#[test]
fn an_actor_that_waits_between_phases_is_small() {
    let (task, actor) = (size_of::<actor::Life<f32>>(), size_of::<Actor<f32>>());
    assert!(task <= 32, "the task of an idle actor holds {task} bytes");
    assert!(actor <= 576, "an actor is of {actor} bytes before it has been shown anything");
}
