//! Oracles for delays: closed forms of onset and of the largest stable step, equilibria that have no memory of the path, and the same
//! seed once more.

use std::sync::{Arc, Mutex};

use asynapse::energy::{Activation, Loss};
use asynapse::engine::mailbox::Delivery;
use asynapse::engine::virtual_time::clocks::ClockLaws;
use asynapse::engine::virtual_time::kernel::Time;
use asynapse::engine::virtual_time::links::LinkLaws;
use asynapse::engine::virtual_time::record::{EventLog, Observer, Stepped, displacement};
use asynapse::engine::virtual_time::{VirtualNetwork, VirtualSettings};
use asynapse::math::Field;
use asynapse::math::law::{Drawn, Law};
use asynapse::network::{NetworkSpec, Parameters};
use asynapse::reference::{Synchronous, backprop};
use asynapse::rule::{FreePhase, PlannedPhase, RuleName};
use asynapse::settling::{Limits, StopReason};
use asynapse::signal::{Message, Motion, Origin, Teaching};
use ndarray::Array2;

use crate::common::{RATE, adam, batch, distance, norm, plan, reference_step, spec, weights};
use crate::virtual_time::{estimate, states, step};

fn laws(layers: usize, link: LinkLaws, clock: ClockLaws) -> VirtualSettings {
    let settings = VirtualSettings::in_step(layers, Message::ErrorEcho, RATE, adam());
    VirtualSettings { clocks: vec![clock; layers], links: vec![[link; 2]; layers - 1], ..settings }
}

pub(crate) fn rough(seed: u64) -> LinkLaws {
    let delay = match seed % 4 {
        0 => Law::Drawn(Drawn::Exponential { mean: 1.5, min: None }),
        1 => Law::Drawn(Drawn::Uniform { low: 0.0, high: 4.0 }),
        2 => Law::Drawn(Drawn::Gamma { mean: 2.0, shape: 0.7, min: Some(0.25) }),
        _ => Law::Drawn(Drawn::LogNormal { mean: 1.0, sd: 1.0, min: None }),
    };
    LinkLaws {
        delay,
        jitter: Law::Drawn(Drawn::Uniform { low: 0.0, high: 0.5 }),
        loss: [0.0, 0.1, 0.3, 0.5][(seed / 4 % 4) as usize],
        duplicate: [0.0, 0.2][(seed / 16 % 2) as usize],
        reorder: (seed / 32).is_multiple_of(2),
        bandwidth: [0.0, 8.0][(seed / 64 % 2) as usize],
        delivery: [Delivery::NewestWins, Delivery::InOrder][(seed / 128 % 2) as usize],
        threshold: [0.0, 1e-3][(seed / 256 % 2) as usize],
        resend: 6.0,
    }
}

/// When each layer's state was first displaced, and how far it was in the end.
#[derive(Default)]
struct Onsets {
    resting: Vec<Field<f64>>,
    first: Vec<Option<Time>>,
}

struct Watch(Arc<Mutex<Onsets>>);

impl Observer<f64> for Watch {
    fn stepped(&mut self, stepped: &Stepped<'_, f64>) {
        let mut onsets = self.0.lock().expect("one thread");
        let Some(state) = stepped.state else { return };
        if onsets.first[stepped.layer].is_none() && displacement(state, &onsets.resting[stepped.layer]) > 0.0 {
            onsets.first[stepped.layer] = Some(stepped.time);
        }
    }
}

/// From the free equilibrium the target is shown at t = 0; layer l can move for the first time (L − l)(⌊D/P⌋ + 1) P later.
#[test]
fn the_onset_of_each_of_twenty_layers_is_the_closed_form_exactly() {
    let depth = 20;
    let network = spec(&vec![3; depth + 1], Activation::Identity, Loss::SquaredError);
    // Identities hand every error on, halved by the rate: the lowest layer moves by some 10⁻⁶.
    let identity = vec![Parameters { weights: Array2::eye(3), bias: vec![0.0; 3] }; depth];
    let sample = batch::<f64>(&network, 2, 1);
    let plan = plan(RuleName::PcClamped, &network, 1.0, FreePhase::Forward);
    for (period, delay) in [(1.0, 0.0), (1.0, 3.0), (1.0, 2.5), (0.75, 2.0), (2.0, 0.5), (0.1, 0.35), (1.0, 1.0)] {
        let link = LinkLaws { delay: Law::Always(delay), ..LinkLaws::default() };
        let clock = ClockLaws { period: Law::Always(period), offset: Law::ZERO };
        let settings = VirtualSettings { rate: 0.5, ..laws(depth + 1, link, clock) };
        let mut actual = VirtualNetwork::new(&network, identity.clone(), &settings);
        actual.present(&sample.0, &sample.1).expect("present");
        let record = actual.run_phase(&plan.phases[0], Limits::steps(5)).expect("the wave");
        assert_eq!(record.reason, StopReason::Wave);
        let onsets = Onsets { resting: states(&mut actual), first: vec![None; depth + 1] };
        let onsets = Arc::new(Mutex::new(onsets));
        actual.watch(Some(Box::new(Watch(Arc::clone(&onsets)))));
        let began = actual.now();
        actual.run_phase(&plan.phases[1], Limits::steps(400)).expect("the clamped phase");
        let first = onsets.lock().expect("one thread").first.clone();
        let (period, delay) = (Time::of(period).0, Time::of(delay).0);
        for (layer, onset) in first.iter().enumerate().take(depth).skip(1) {
            let expected = (depth - layer) as u64 * (delay / period + 1) * period;
            let onset = onset.expect("every hidden layer moves").since(began).0;
            assert_eq!(onset, expected, "layer {layer}, P = {period}, D = {delay} ticks");
        }
    }
}

/// A chain of single linear neurons with every weight `w`; true if descent with rate `rate` under delay `delay` grows.
fn grows(weight: f64, message: Message, delay: f64, rate: f64) -> bool {
    let depth = 8;
    let network = spec(&[1; 9], Activation::Identity, Loss::SquaredError);
    let one = Parameters { weights: Array2::from_elem((1, 1), weight), bias: vec![0.0] };
    let link = LinkLaws { delay: Law::Always(delay), ..LinkLaws::default() };
    let settings = VirtualSettings { message, rate, ..laws(depth + 1, link, ClockLaws::default()) };
    let mut actual = VirtualNetwork::<f64>::new(&network, vec![one; depth], &settings);
    let (data, target) = (Array2::zeros((1, 1)), Array2::from_elem((1, 1), 1.0));
    actual.present(&data, &target).expect("present");
    let phase = |from| PlannedPhase::read(Motion::Relax { teaching: Teaching::Clamped, from }, 0.0);
    let steps = Limits::steps(if delay > 4.0 { 2500 } else { 500 });
    actual.run_phase(&phase(Origin::Zero), steps).expect("a phase");
    let early = actual.run_phase(&phase(Origin::Here), Limits::steps(200)).expect("a phase").residual();
    let late = actual.run_phase(&phase(Origin::Here), steps).expect("a phase").residual();
    // Below the border the residual falls to rounding and stays there.
    !late.is_finite() || late > early.max(1e-10)
}

/// The largest stable step in closed form. A mode of the chain, with neighbours coupled by c = 2 cos(kπ/8), behaves as
///
/// ```text
/// x(t+1) = x(t) + η ( −x(t) + w c x(t−B) − w² x(t−2B) )     bare errors: the curvature comes back after a round trip
/// x(t+1) = x(t) + η ( −(1 + w²) x(t) + w c x(t−B) )          states, and errors with an echo
/// ```
///
/// and is at its border where a root z = e^{iθ} of this equation has a real η: the least over θ and k.
pub(crate) fn border(weight: f64, delay: f64, bare: bool) -> f64 {
    let w = weight;
    let mut least = f64::INFINITY;
    for k in 1..8 {
        let c = 2.0 * (f64::from(k) * std::f64::consts::PI / 8.0).cos();
        // η(θ) = (z − 1) / (…), as (real, imaginary).
        let eta = |theta: f64| {
            let power = |steps: f64| ((theta * steps).cos(), (theta * steps).sin());
            let (one, two) = (power(-delay), power(-2.0 * delay));
            let (re, im) = if bare {
                (-1.0 + w * c * one.0 - w * w * two.0, w * c * one.1 - w * w * two.1)
            } else {
                (-(1.0 + w * w) + w * c * one.0, w * c * one.1)
            };
            let (up, across) = (theta.cos() - 1.0, theta.sin());
            let size = re * re + im * im;
            ((up * re + across * im) / size, (across * re - up * im) / size)
        };
        let mut before = eta(1e-4);
        for i in 2..40_001 {
            let here = eta(f64::from(i) * std::f64::consts::PI / 40_000.0);
            let crosses = before.1 * here.1 <= 0.0 && (here.0 - before.0).abs() < 0.1;
            if (crosses || (i == 40_000 && here.1.abs() < 1e-9)) && here.0 > 0.0 {
                least = least.min(here.0);
            }
            before = here;
        }
    }
    least
}

/// The program against the closed form; and the closed form against what prototypes found for short delays, where their horizon did
/// not matter, and against 2/(1 + w² + 2w cos(π/8)) without delay.
#[test]
fn the_largest_stable_step_under_delay_is_the_closed_form_within_five_percent() {
    let prototypes = [(1.0, [0.520, 0.353, 0.253, 0.162]), (2.0, [0.230, 0.111, 0.069, 0.040])];
    for (weight, row) in prototypes {
        for (delay, found) in [0.0, 1.0, 2.0, 4.0].into_iter().zip(row) {
            let exact = border(weight, delay, true);
            assert!((found / exact - 1.0_f64).abs() < 0.05, "w = {weight} B = {delay}: {found} against {exact}");
        }
        let least = 2.0 / (1.0 + weight * weight + 2.0 * weight * (std::f64::consts::PI / 8.0).cos());
        assert!((border(weight, 0.0, false) / least - 1.0_f64).abs() < 1e-3);
        assert!((border(weight, 16.0, false) / least - 1.0_f64).abs() < 1e-3, "no delay lowers it");
    }
    for message in [Message::Error, Message::State, Message::ErrorEcho] {
        for weight in [1.0, 2.0, 0.5] {
            let delays: &[f64] =
                if message == Message::Error { &[0.0, 1.0, 2.0, 4.0, 8.0, 16.0] } else { &[0.0, 2.0, 16.0] };
            for &delay in delays {
                let exact = border(weight, delay, message == Message::Error);
                let at = |factor: f64| grows(weight, message, delay, factor * exact);
                assert!(!at(0.95), "{message:?} w = {weight} B = {delay}: grows below {exact}");
                assert!(at(1.05), "{message:?} w = {weight} B = {delay}: stable above {exact}");
            }
        }
    }
}

fn logged(seed: u64, network: &NetworkSpec) -> (String, u64, Vec<u8>) {
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("one thread").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let sink = Sink::default();
    let layers = network.depth() + 1;
    let clock = ClockLaws {
        period: Law::Drawn(Drawn::LogNormal { mean: 1.0, sd: 0.3, min: None }),
        offset: Law::Drawn(Drawn::Uniform { low: 0.0, high: 1.0 }),
    };
    let settings = VirtualSettings { seed, ..laws(layers, rough(seed % 7 + 20), clock) };
    let mut actual = VirtualNetwork::new(network, weights(network, 3), &VirtualSettings { seed, ..settings });
    actual.log_to(EventLog::to(Box::new(sink.clone())));
    let plan = plan(RuleName::PcNudge, network, 0.1, FreePhase::Forward);
    for index in 0..3 {
        let sample = batch::<f64>(network, 4, index);
        step(&mut actual, &plan, Limits::tolerance(1e-4, 4000), &sample);
        actual.learn().expect("learn");
    }
    let mut log = actual.take_log().expect("a log");
    log.finish().expect("memory");
    let bytes = sink.0.lock().expect("one thread").clone();
    (log.digest(), log.events(), bytes)
}

#[test]
fn the_same_seed_gives_the_same_log_byte_for_byte_and_another_seed_another() {
    let network = spec(&[5, 7, 6, 4], Activation::Tanh, Loss::CrossEntropy);
    for seed in 0..6 {
        let (one, again) = (logged(seed, &network), logged(seed, &network));
        assert_eq!(one, again);
        assert_eq!(one.2.len() as u64, 48 * one.1);
        assert!(one.1 > 1000, "{} events", one.1);
        // The same laws drawn from another seed.
        assert_ne!(one.0, logged(seed + 7, &network).0);
    }
}

/// Ten thousand small networks under every kind of link. Whoever says "settled" is held against the synchronous program started at
/// the same states: its residual at step 0 belongs to that state and to nothing else.
#[test]
fn nothing_is_called_settled_that_is_not_and_nothing_hangs() {
    let (tolerance, mut settled, mut others) = (1e-5, 0, 0);
    for seed in 0..10_000_u64 {
        let activation = [Activation::Tanh, Activation::Sigmoid, Activation::Softplus][(seed % 3) as usize];
        let network = spec(if seed % 2 == 0 { &[2, 3, 2] } else { &[2, 3, 3, 2] }, activation, Loss::SquaredError);
        let layers = network.depth() + 1;
        let clock = ClockLaws {
            period: Law::Drawn(Drawn::Uniform { low: 0.5, high: 1.5 }),
            offset: Law::Drawn(Drawn::Uniform { low: 0.0, high: 2.0 }),
        };
        let message = [Message::ErrorEcho, Message::Error, Message::State][(seed / 3 % 3) as usize];
        let settings = VirtualSettings { seed, message, events_most: 200_000, ..laws(layers, rough(seed), clock) };
        let initial = weights::<f64>(&network, seed);
        let mut actual = VirtualNetwork::new(&network, initial.clone(), &settings);
        let plan = plan(RuleName::PcNudge, &network, 0.5, FreePhase::Forward);
        let sample = batch::<f64>(&network, 1, seed);
        let records = step(&mut actual, &plan, Limits::tolerance(tolerance, 2000), &sample);
        assert_eq!(records[0].reason, StopReason::Wave, "seed {seed}");
        if records[1].reason != StopReason::Settled {
            assert!(
                matches!(records[1].reason, StopReason::StepBudget | StopReason::EventBudget),
                "seed {seed}: {:?}",
                records[1].reason
            );
            others += 1;
            continue;
        }
        settled += 1;
        let residual = residual_at(&network, &initial, &states(&mut actual), &sample, 0.5);
        assert!(residual <= tolerance * 1.001, "seed {seed}: called settled with residual {residual:e}");
    }
    assert!(settled > 9_900, "{settled} settled, {others} did not");
}

/// max |∂E/∂x| of whole states, from the equations alone: x_l − f(a_l) against W_{l+1}ᵀ d_{l+1}.
pub(crate) fn residual_at(
    network: &NetworkSpec,
    weights: &[Parameters<f64>],
    states: &[Field<f64>],
    sample: &(Field<f64>, Field<f64>),
    nudge: f64,
) -> f64 {
    let depth = network.depth();
    let current = |l: usize| {
        let mut a = weights[l - 1].weights.dot(&states[l - 1]);
        for (mut row, bias) in a.rows_mut().into_iter().zip(&weights[l - 1].bias) {
            row += *bias;
        }
        a
    };
    let mut most = 0.0_f64;
    for (l, above) in weights.iter().enumerate().skip(1) {
        let error = |l: usize| {
            let a = current(l);
            let f = network.activation(l);
            let (value, slope) = (a.mapv(|a| f.value_and_slope(a).0), a.mapv(|a| f.value_and_slope(a).1));
            let e = if l == depth { (&sample.1 - &value) * nudge } else { &states[l] - &value };
            (e.clone(), e * slope)
        };
        let drive = above.weights.t().dot(&error(l + 1).1) - error(l).0;
        most = drive.iter().fold(most, |most, d| most.max(d.abs()));
    }
    most
}

/// Without resending, a lost signal is never heard, and the reason says so; with it the same network settles.
#[test]
fn a_signal_that_is_lost_for_good_is_named_and_resending_heals_it() {
    let network = spec(&[3, 5, 4, 2], Activation::Tanh, Loss::CrossEntropy);
    let plan = plan(RuleName::PcNudge, &network, 0.5, FreePhase::Forward);
    let sample = batch::<f64>(&network, 2, 1);
    let mut lost = 0;
    for seed in 0..50 {
        for resend in [0.0, 5.0] {
            let link = LinkLaws { delay: Law::Always(1.0), loss: 0.4, resend, ..LinkLaws::default() };
            let settings = VirtualSettings { seed, ..laws(4, link, ClockLaws::default()) };
            let mut actual = VirtualNetwork::new(&network, weights::<f64>(&network, 1), &settings);
            actual.present(&sample.0, &sample.1).expect("present");
            let limits = Limits::tolerance(1e-6, 5000);
            let wave = actual.run_phase(&plan.phases[0], limits).expect("the wave").reason;
            if resend > 0.0 {
                assert_eq!(wave, StopReason::Wave);
                assert_eq!(actual.run_phase(&plan.phases[1], limits).expect("a phase").reason, StopReason::Settled);
                let resent: u64 = actual.tallies().iter().map(|(_, tally)| tally.resent).sum();
                let losses: u64 = actual.tallies().iter().map(|(_, tally)| tally.lost).sum();
                assert!(resent > 0 && losses > 0, "{resent} sent again, {losses} lost");
            } else {
                lost += usize::from(wave == StopReason::SignalsLost);
            }
        }
    }
    // Three predictions have to get through: 0.6³ = 0.216.
    assert!((30..=48).contains(&lost), "{lost} of 50 waves were lost");
}

#[test]
fn an_event_budget_that_runs_out_is_named() {
    let network = spec(&[3, 5, 4, 2], Activation::Tanh, Loss::CrossEntropy);
    let link = LinkLaws { delay: Law::Always(1.0), ..LinkLaws::default() };
    let settings = VirtualSettings { events_most: 40, ..laws(4, link, ClockLaws::default()) };
    let mut actual = VirtualNetwork::new(&network, weights::<f64>(&network, 1), &settings);
    let plan = plan(RuleName::PcNudge, &network, 0.5, FreePhase::Forward);
    let records = step(&mut actual, &plan, Limits::tolerance(1e-9, 5000), &batch(&network, 2, 1));
    assert_eq!((records[0].reason, records[1].reason), (StopReason::Wave, StopReason::EventBudget));
}

/// An equilibrium has no memory of the path: whatever the delays, the estimate is the one of the synchronous program.
#[test]
fn the_gradient_at_equilibrium_does_not_depend_on_delays() {
    let network = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    let plan = plan(RuleName::PcNudge, &network, 0.1, FreePhase::Forward);
    for seed in 0..24 {
        let sample = batch::<f64>(&network, 4, seed);
        let mut reference = Synchronous::new(&network, weights(&network, seed), RATE, adam());
        reference_step(&mut reference, &plan, Limits::tolerance(1e-11, 100_000), &sample);
        let settings = VirtualSettings { seed, ..laws(4, rough(seed), ClockLaws::default()) };
        let mut actual = VirtualNetwork::new(&network, weights(&network, seed), &settings);
        let records = step(&mut actual, &plan, Limits::tolerance(1e-8, 100_000), &sample);
        assert_eq!(records[1].reason, StopReason::Settled, "seed {seed}");
        let apart = distance(&estimate(&mut actual), &reference.estimate(), 1.0) / norm(&reference.estimate());
        assert!(apart < 1e-5, "seed {seed}: {apart:e}");
    }
}

/// Read at the first arrival: exact backpropagation under any delay, in order or not, and under loss with resending, because every
/// layer moves once. It breaks where an error is lost for good: the layers below read nothing.
#[test]
fn the_first_arrival_is_exact_however_late_and_breaks_where_an_error_is_lost_for_good() {
    let network = spec(&[5, 7, 6, 6, 4], Activation::Tanh, Loss::CrossEntropy);
    let plan = plan(RuleName::FirstStep, &network, 1.0, FreePhase::Forward);
    let delay = Law::Drawn(Drawn::Exponential { mean: 3.0, min: None });
    let mut broken = [0; 4];
    for seed in 0..60 {
        let sample = batch::<f64>(&network, 3, seed);
        let exact = backprop::gradient(&network, &weights(&network, seed), &sample.0, &sample.1).parameters;
        let in_order = LinkLaws { delay, ..LinkLaws::default() };
        let reorders = LinkLaws { reorder: true, duplicate: 0.5, ..in_order };
        let resends = LinkLaws { loss: 0.3, resend: 10.0, ..reorders };
        let loses = LinkLaws { loss: 0.3, ..in_order };
        for (link, broken) in [in_order, reorders, resends, loses].into_iter().zip(&mut broken) {
            let mut settings = VirtualSettings { seed, ..laws(5, link, ClockLaws::default()) };
            // The wave upward comes through: what is tried is the way down.
            settings.links.iter_mut().for_each(|[up, _]| up.loss = 0.0);
            let mut actual = VirtualNetwork::new(&network, weights::<f64>(&network, seed), &settings);
            let records = step(&mut actual, &plan, Limits::steps(200), &sample);
            let apart = distance(&estimate(&mut actual), &exact, -1.0) / norm(&exact);
            let expected = if apart > 1e-9 { StopReason::SignalsLost } else { StopReason::StepBudget };
            assert_eq!(records[1].reason, expected, "seed {seed}: {apart:e}");
            *broken += usize::from(apart > 1e-9);
        }
    }
    assert_eq!(broken[..3], [0, 0, 0]);
    // The first of four errors is lost with probability 0.3, or the next, …: 1 − 0.7⁴ = 0.76.
    assert!((35..=56).contains(&broken[3]), "{} of 60", broken[3]);
}
