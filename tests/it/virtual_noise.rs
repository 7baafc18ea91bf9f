//! Noise in virtual time. Oracles: the synchronous program, bit for bit, where nothing is late; one queue on one thread; closed forms of
//! means and variances where something is.

use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::engine::virtual_time::clocks::ClockLaws;
use asynapse::engine::virtual_time::links::LinkLaws;
use asynapse::engine::virtual_time::record::EventLog;
use asynapse::engine::virtual_time::{VirtualNetwork, VirtualSettings};
use asynapse::math::law::{Drawn, Law};
use asynapse::math::{Field, Numerics, Real};
use asynapse::network::{NetworkSpec, Parameters};
use asynapse::rule::{FreePhase, Nudging, Plan, RuleName};
use asynapse::settling::{Limits, StopReason};
use asynapse::signal::Message;
use ndarray::Array2;

use crate::common::{adam, batch, plan, spec, weights};
use crate::shards::{assert_one_and_many, rough, settings, trained};
use crate::virtual_time::{agrees_when_rounded, estimate, states, step};

fn noise(state_noise: f64, message_noise: f64) -> Numerics {
    Numerics { state_noise, message_noise, seed: 7, ..Numerics::default() }
}

/// Every phase there is: waves and descents, free, nudged and clamped, to a budget and to a tolerance. Inputs and clamped outputs do not
/// move, and say the same with other noise at every step.
#[test]
fn in_step_noise_on_states_and_signals_has_the_bits_of_lock_step() {
    let mut seen = 0;
    for (energy, activation) in [
        (EnergyKind::PredictiveCoding, Activation::Tanh),
        (EnergyKind::Hopfield, Activation::Sigmoid),
        (EnergyKind::Rate, Activation::Sigmoid),
    ] {
        let network = spec(&[6, 8, 7, 4], activation, Loss::SquaredError).with_energy(energy).expect("an energy");
        for rule in [RuleName::PcNudge, RuleName::PcClamped, RuleName::Ep, RuleName::Chl] {
            for free in [FreePhase::Forward, FreePhase::Relax, FreePhase::Persistent] {
                let Ok(Some(plan)) = Plan::named(rule, &network, 0.2, Nudging::Symmetric, free) else { continue };
                let limits = Limits { steps_max: 30, tolerance: 1e-3, check_every: 7, plateau: 1e-9 };
                for numerics in [noise(0.01, 0.0), noise(0.0, 0.01), noise(0.02, 0.01)] {
                    seen += 1;
                    agrees_when_rounded::<f64>(&network, &plan, Limits::steps(9), (Message::Error, numerics), seen);
                    agrees_when_rounded::<f32>(&network, &plan, limits, (Message::ErrorEcho, numerics), seen);
                }
            }
        }
    }
    assert!(seen >= 30, "{seen} plans");
}

/// A second wave in the same batch meets other noise from the input on.
#[test]
fn a_wave_that_comes_again_is_as_noisy_as_the_first() {
    let network = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::SquaredError);
    let mut plan = plan(RuleName::PcNudge, &network, 0.2, FreePhase::Forward);
    let wave = plan.phases[0];
    plan.phases.insert(1, wave);
    agrees_when_rounded::<f64>(&network, &plan, Limits::steps(9), (Message::Error, noise(0.01, 0.01)), 3);
}

/// One order of events and the same noise on 1, 2, 3 and 7 shards by 1 and 2 threads; another seed of the noise alone differs.
#[test]
fn noise_does_not_know_shards_and_threads() {
    let delay = Law::Drawn(Drawn::Uniform { low: 0.25, high: 3.0 });
    let chain = spec(&[5, 6, 4, 7, 3, 5, 6, 4], Activation::Tanh, Loss::CrossEntropy);
    let queue = LinkLaws { bandwidth: 40.0, threshold: 1e-3, ..rough(delay) };
    let mut reasons = Vec::new();
    for (link, message) in [(rough(delay), Message::ErrorEcho), (queue, Message::Error), (rough(delay), Message::State)]
    {
        let with = |seed| {
            let numerics = Numerics { seed, ..noise(0.01, 0.01) };
            VirtualSettings { numerics, message, ..settings(1, 8, link) }
        };
        for limits in [Limits::steps(40), Limits { steps_max: 300, tolerance: 1e-3, check_every: 25, plateau: 1e-9 }] {
            let what = (RuleName::PcNudge, limits);
            let one = assert_one_and_many(&chain, &with(1), what);
            assert!(one.events > 300, "{} events", one.events);
            assert_ne!(one.digest, trained(&chain, &with(2), what, (3, 2)).digest, "another seed of the noise");
            let silent = VirtualSettings { numerics: Numerics::default(), ..with(1) };
            assert_ne!(one.digest, trained(&chain, &silent, what, (1, 1)).digest, "no noise");
            reasons.extend(one.records.iter().map(|record| record.reason));
        }
    }
    assert!(reasons.contains(&StopReason::StepBudget), "{reasons:?}");
    assert!(!reasons.contains(&StopReason::Settled), "states that are shaken by more than the tolerance rest nowhere");
}

/// Columns of a batch, which are independent samples.
const SAMPLES: usize = 8000;
const RATE: f64 = 0.2;

/// Mean and variance of the hidden state of 1-1-1 (w₁ = 0.8, b₁ = 0.3, w₂ = 0.5, x₀ = 1, everything linear) after a free phase.
fn moments(numerics: Numerics, periods: [f64; 3], link: LinkLaws) -> (f64, f64) {
    let network: NetworkSpec = spec(&[1, 1, 1], Activation::Identity, Loss::SquaredError);
    let single = |weight: f64, bias: f64| Parameters { weights: Array2::from_elem((1, 1), weight), bias: vec![bias] };
    let settings = VirtualSettings {
        numerics,
        clocks: periods.map(|period| ClockLaws { period: Law::Always(period), ..ClockLaws::default() }).to_vec(),
        links: vec![[link; 2]; 2],
        ..VirtualSettings::in_step(3, Message::Error, RATE, adam())
    };
    let mut network = VirtualNetwork::new(&network, vec![single(0.8, 0.3), single(0.5, 0.0)], &settings);
    let (data, target) = (Field::from_elem((1, SAMPLES), 1.0), Field::zeros((1, SAMPLES)));
    network.present(&data, &target).expect("a batch");
    let of = spec(&[1, 1, 1], Activation::Identity, Loss::SquaredError);
    let free = plan(RuleName::PcNudge, &of, 0.1, FreePhase::Relax).phases[0];
    network.run_phase(&free, Limits::steps(80)).expect("a phase");
    let hidden = states(&mut network).swap_remove(1);
    let mean = hidden.sum() / SAMPLES as f64;
    (mean, hidden.mapv(|x| (x - mean) * (x - mean)).sum() / SAMPLES as f64)
}

/// ```text
/// x ← q x + η (w₁ x₀ + b₁ + σ_m n + w₂ σ_m n') + σ_x n''     q = 1 − η, new draws at every step
/// mean w₁ x₀ + b₁        variance (η² σ_m² (1 + w₂²) + σ_x²) / (1 − q²)
/// ```
///
/// whatever the delay, since every step hears another signal. If its neighbours tick half as often a draw is heard twice, and two steps
/// are one of rate 1 − q²: their share of the variance is σ_m² (1 + w₂²) (1 − q²)² / (1 − q⁴).
#[test]
fn the_noise_of_a_linear_chain_has_the_variance_that_clocks_and_rates_make_it() {
    let (q, w2, state, message) = (1.0 - RATE, 0.5, 0.05, 0.2_f64);
    let said = message * message * (1.0 + w2 * w2);
    let every = (RATE * RATE * said + state * state) / (1.0 - q * q);
    let other = said * (1.0 - q * q).powi(2) / (1.0 - q.powi(4)) + state * state / (1.0 - q * q);
    let numerics = noise(state, message);
    let late = LinkLaws { delay: Law::Always(2.5), ..LinkLaws::default() };
    let copied = LinkLaws { duplicate: 0.5, reorder: true, ..late };
    let alike = [1.0; 3];
    for (what, expected, (mean, variance)) in [
        ("in step", every, moments(numerics, alike, LinkLaws::default())),
        ("late", every, moments(numerics, alike, late)),
        ("a copy is the same page", every, moments(numerics, alike, copied)),
        ("neighbours at half the rate", other, moments(numerics, [2.0, 1.0, 2.0], LinkLaws::default())),
    ] {
        // Five standard errors of a mean and of a variance of normal numbers.
        assert!((mean - 1.1).abs() < 5.0 * (expected / SAMPLES as f64).sqrt(), "{what}: mean {mean}");
        let relative = variance / expected - 1.0;
        assert!(relative.abs() < 5.0 * (2.0 / SAMPLES as f64).sqrt(), "{what}: {variance} instead of {expected}");
    }
    assert!(other > 1.3 * every, "the two can be told apart: {other} {every}");
    let (mean, variance) = moments(Numerics::default(), alike, late);
    assert!((mean - 1.1).abs() < 1e-6 && variance < 1e-20, "without noise all samples are one: {mean} {variance}");
}

/// Without losses, resending changes when signals arrive for the first time nowhere, and what is sent again is what was said: the states
/// are the same to the bit.
#[test]
fn what_is_sent_again_carries_the_noise_it_was_said_with() {
    let network = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::SquaredError);
    let plan = plan(RuleName::PcNudge, &network, 0.2, FreePhase::Forward);
    let once = LinkLaws { delay: Law::Always(1.5), ..LinkLaws::default() };
    // Sooner than any acknowledgement can come.
    let again = LinkLaws { resend: 0.75, ..once };
    let run = |link: LinkLaws, seed| {
        let numerics = Numerics { seed, ..noise(0.01, 0.01) };
        let settings = VirtualSettings {
            numerics,
            links: vec![[link; 2]; 3],
            ..VirtualSettings::in_step(4, Message::ErrorEcho, 0.1, adam())
        };
        let mut actual = VirtualNetwork::new(&network, weights::<f64>(&network, 2), &settings);
        actual.log_to(EventLog::digest_only());
        step(&mut actual, &plan, Limits::steps(30), &batch(&network, 5, 2));
        let resent: u64 = actual.tallies().iter().map(|(_, tally)| tally.resent).sum();
        (resent, states(&mut actual), estimate(&mut actual))
    };
    let (first, second, other) = (run(once, 1), run(again, 1), run(again, 2));
    assert!(first.0 == 0 && second.0 > 50, "{} and {} resent", first.0, second.0);
    assert!(first.1 == second.1 && first.2 == second.2, "states and estimate");
    assert!(first.1 != other.1, "another seed of the noise");
}

/// A network that begins at a batch of this number meets the noise of one that has had those before, though its versions are others.
#[test]
fn a_run_that_begins_in_the_middle_has_the_same_noise() {
    late_start::<f32>(LinkLaws { delay: Law::Always(1.5), ..LinkLaws::default() });
    late_start::<f64>(LinkLaws::default());
}

fn late_start<T: Real>(link: LinkLaws) {
    let network = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    let plan = plan(RuleName::PcNudge, &network, 0.2, FreePhase::Forward);
    let settings = VirtualSettings {
        numerics: noise(0.01, 0.01),
        links: vec![[link; 2]; 3],
        ..VirtualSettings::in_step(4, Message::ErrorEcho, 0.1, adam())
    };
    let new = || VirtualNetwork::new(&network, weights::<T>(&network, 2), &settings);
    let show = |actual: &mut VirtualNetwork<T>, seed| {
        step(actual, &plan, Limits::steps(12), &batch(&network, 5, seed));
        estimate(actual)
    };
    let mut whole = new();
    let estimates = [1, 2, 3].map(|seed| show(&mut whole, seed));
    let mut late = new();
    late.set_batches(2);
    late.number(3).expect("a number");
    assert!(show(&mut late, 3) == estimates[2]);
    assert!(show(&mut new(), 3) != estimates[2], "without its number it is batch 1, with other noise");
}
