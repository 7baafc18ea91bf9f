//! Groups of neurons that live in several processes, in lock-step. Oracle: the synchronous program that adds the shares in the same
//! order, bit for bit, whatever the placement and whatever connects the processes. The workers are threads that run what a worker
//! process runs; processes themselves, and their deaths, are in `tests/it/cli`.

use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::engine::{EngineError, Schedule};
use asynapse::network::{Grouping, NetworkSpec};
use asynapse::process::placement::Placement;
use asynapse::process::{ProcessError, launch};
use asynapse::rule::{FreePhase, RuleName};
use asynapse::settling::Limits;
use asynapse::signal::Message;
use proptest::prelude::*;

use crate::common::{adam, plan, settings, spec, weights};
use crate::groups::cases;
use crate::transports::{crew, same_bits, spread, tcp, unix};

#[test]
fn every_rule_has_the_references_bits_with_its_groups_in_several_processes() {
    for (grouping, workers) in [
        (Grouping::Count(2), 2),
        (Grouping::Count(2), 3),
        (Grouping::Count(3), 3),
        (Grouping::Count(4), 2),
        (Grouping::Neuron, 3),
    ] {
        for (case, (network, plan)) in cases().into_iter().enumerate() {
            let network = network.with_groups(grouping);
            let folder = tempfile::tempdir().expect("a folder");
            let listen = if case % 2 == 0 { unix(folder.path()) } else { tcp() };
            let placement = Placement::auto(&network, workers).expect("a placement");
            let what = format!("{network} {:?} as {placement} at {listen}", network.energy());
            let initial = weights::<f32>(&network, 3);
            let chosen = (1 + case / 2 % 2, adam());
            let mut spread = spread(&network, initial.clone(), Schedule::LockStep, (placement, listen), chosen);
            same_bits(&mut spread.engine, (&network, &plan, Limits::steps(12)), initial, (7, &what));
            assert!(spread.end().iter().all(Result::is_ok), "workers end well");
            assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "sockets are gone");
        }
    }
}

#[test]
fn groups_in_two_processes_settle_when_the_reference_does() {
    let until = Limits { steps_max: 60, tolerance: 1e-3, check_every: 7, plateau: 1e-9 };
    for (network, plan) in cases() {
        let network = network.with_groups(Grouping::Count(3));
        let folder = tempfile::tempdir().expect("a folder");
        let placement = Placement::auto(&network, 2).expect("a placement");
        let initial = weights::<f64>(&network, 3);
        let place = (placement, unix(folder.path()));
        let mut spread = spread(&network, initial.clone(), Schedule::LockStep, place, (1, adam()));
        same_bits(&mut spread.engine, (&network, &plan, until), initial, (6, &network.to_string()));
        spread.end();
    }
}

#[test]
fn weights_are_the_references_after_1000_steps_with_groups_in_two_processes() {
    let network = spec(&[12, 10, 8, 4], Activation::Relu, Loss::CrossEntropy).with_groups(Grouping::Count(2));
    let plan = plan(RuleName::PcNudge, &network, 0.05, FreePhase::Forward);
    let folder = tempfile::tempdir().expect("a folder");
    for listen in [unix(folder.path()), tcp()] {
        let initial = weights::<f32>(&network, 1);
        let placement = Placement::auto(&network, 2).expect("a placement");
        let mut spread = spread(&network, initial.clone(), Schedule::LockStep, (placement, listen), (1, adam()));
        same_bits(&mut spread.engine, (&network, &plan, Limits::steps(20)), initial, (1000, "1000 steps"));
        spread.end();
    }
}

/// A worker for every home that somebody has.
fn scattered(network: &NetworkSpec, homes: &[usize]) -> Placement {
    let mut parts: Vec<Vec<usize>> = vec![Vec::new(); homes.len()];
    homes.iter().take(network.groups_in_all()).enumerate().for_each(|(node, &home)| parts[home].push(node));
    parts.retain(|part| !part.is_empty());
    Placement::of_nodes(&parts, &network.group_counts()).expect("a partition")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_placement_of_groups_has_the_same_bits(
        homes in prop::collection::vec(0_usize..5, 13),
        count in 2_usize..=4,
        threads in 1_usize..=2,
        (over_tcp, hopfield) in any::<(bool, bool)>(),
        seed in 0_u64..1000,
    ) {
        let network = if hopfield {
            let network = spec(&[6, 5, 7, 3], Activation::HardSigmoid, Loss::SquaredError);
            network.with_energy(EnergyKind::Hopfield).expect("an energy")
        } else {
            spec(&[6, 5, 7, 3], Activation::Gelu, Loss::CrossEntropy)
        };
        let network = network.with_groups(Grouping::Count(count));
        let rule = if hopfield { RuleName::Ep } else { RuleName::PcNudge };
        let plan = plan(rule, &network, 0.1, FreePhase::Relax);
        let folder = tempfile::tempdir().expect("a folder");
        let listen = if over_tcp { tcp() } else { unix(folder.path()) };
        let initial = weights::<f32>(&network, seed);
        let placement = scattered(&network, &homes);
        let what = format!("{placement}");
        let mut spread = spread(&network, initial.clone(), Schedule::LockStep, (placement, listen), (threads, adam()));
        same_bits(&mut spread.engine, (&network, &plan, Limits::steps(7)), initial, (4, &what));
        spread.end();
    }
}

#[test]
fn groups_that_run_free_live_together() {
    let network = spec(&[6, 8, 3], Activation::Tanh, Loss::CrossEntropy).with_groups(Grouping::Count(2));
    let placement = Placement::auto(&network, 2).expect("a placement");
    let chosen = settings(Schedule::FreeRunning, 1, Message::Error);
    let refused = launch(&network, weights::<f32>(&network, 1), chosen, &crew(placement, tcp()));
    assert!(matches!(refused.map(drop), Err(ProcessError::Engine(EngineError::Apart))));
}
