//! `asynapse delay` as a library. Oracles: the closed form of `closed_form.rs` and, for equal clocks, the one line k (⌊D/P⌋ + 1) P written
//! here once more; the synchronous program's equilibria. Files and exit codes: `cli/delaying.rs`; the timeline:
//! `src/experiment/delay/trace_tests.rs`.

use asynapse::config::{self, Config};
use asynapse::experiment::assemble;
use asynapse::experiment::delay::{Direction, Request, Rest, Row, Wave, depth, measure};
use asynapse::reference::Synchronous;
use asynapse::settling::{Limits, StopReason};

fn configured(words: &[&str]) -> Config {
    let overrides: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    config::load(Some("delay"), &overrides).expect("a configuration").config
}

fn request(words: &[&str], rest: Rest) -> Request {
    Request { config: configured(words), directions: Vec::new(), threshold: 0.01, rest, depths: Vec::new() }
}

fn twenty(more: &[&str]) -> Request {
    let mut widths = vec!["6"; 19];
    widths.insert(0, "784");
    widths.push("10");
    let widths = format!("model.widths=[{}]", widths.join(","));
    let words = [&[widths.as_str(), "data.batch_size=2", "inference.max_infer_iters=400"], more].concat();
    request(&words, Rest::Zero)
}

fn run(request: &Request, direction: Direction) -> Wave {
    measure::<f64>(request, direction, 0).expect("a wave")
}

/// 20 layers; D shorter and longer than P, a multiple of it, none, and nothing that is dyadic.
#[test]
fn the_arrival_at_each_of_twenty_layers_is_the_closed_form_exactly() {
    let ticks = |units: f64| (units * 1_048_576.0).round() as u64;
    for (period, delay) in [(1.0, 0.0), (1.0, 1.0), (1.0, 3.0), (1.0, 2.5), (0.75, 2.0), (2.0, 0.5), (0.1, 0.35)] {
        let request = twenty(&[&format!("links.delay={delay}"), &format!("clocks.period={period}")]);
        for direction in [Direction::Down, Direction::Up] {
            let wave = run(&request, direction);
            assert_eq!(wave.rows.len(), 19, "every hidden layer");
            for row in &wave.rows {
                let by_hand = row.hops as u64 * (ticks(delay) / ticks(period) + 1) * ticks(period);
                let what = format!("{direction:?}: layer {}, P = {period}, D = {delay}", row.layer);
                assert_eq!(row.arrival, row.closed_form, "{what}");
                assert_eq!(row.arrival.map(ticks), Some(by_hand), "{what}");
                assert_eq!(row.synchronous.map(ticks), Some(row.hops as u64 * ticks(period)), "{what}");
            }
        }
    }
}

/// Clocks and links that differ from layer to layer and from up to down.
#[test]
fn clocks_and_links_of_single_layers_are_in_the_closed_form() {
    let request = twenty(&[
        "links.delay=1.25",
        "clocks.offset=0.25",
        "clocks.\"7\".period=0.4",
        "clocks.\"12\".offset=30",
        "clocks.\"3\".period=3.5",
        "links.\"9->8\".delay=17",
        "links.\"4->5\".delay=0",
        "links.jitter=0.125",
    ]);
    let waves = [Direction::Down, Direction::Up].map(|direction| run(&request, direction));
    for wave in &waves {
        assert!(wave.rows.iter().all(|row| row.agrees()), "{:?}", wave.rows);
    }
    let at = |wave: &Wave, layer: usize| wave.rows.iter().find(|row| row.layer == layer).and_then(|row| row.arrival);
    let gap = |wave: &Wave, from: usize, to: usize| at(wave, to).expect("it came") - at(wave, from).expect("it came");
    assert!(gap(&waves[0], 9, 8) > 17.0 && gap(&waves[1], 8, 9) < 17.0, "the slow link is slow in its direction only");
}

/// Other energies: their states relax to rest, their output has a state that has to move first when it is nudged.
#[test]
fn hopfield_networks_are_held_against_a_run_without_the_switch() {
    let energy =
        ["model.widths=[784,12,10,8,10]", "model.energy=hopfield", "model.act_fn=tanh", "model.loss=squared-error"];
    let inference = [
        "inference.free_phase=relax",
        "inference.activity_lr=0.2",
        "inference.tolerance=1e-6",
        "inference.max_infer_iters=2000",
        "links.delay=1.5",
    ];
    for rule in [["learning.rule=ep", "learning.nudge=0.5"].as_slice(), &["learning.rule=chl"]] {
        let request = request(&[&energy[..], &inference, rule].concat(), Rest::Data);
        let wave = run(&request, Direction::Down);
        assert_eq!(wave.rows.len(), 3);
        assert!(wave.rows.iter().all(|row| row.agrees()), "{rule:?}: {:#?}", wave.rows);
        let first = wave.rows[0].arrival.expect("it came");
        assert_eq!(first, if rule.len() == 2 { 3.0 } else { 2.0 }, "the nudged output takes its own step first");
    }
}

/// Oracle: the synchronous program, whose equilibria have no memory of delays. How far it moves is how far every layer is displaced.
#[test]
fn a_wave_that_has_settled_has_moved_every_layer_to_the_other_equilibrium() {
    let request = request(&["inference.max_infer_iters=3000"], Rest::Data);
    let wave = run(&request, Direction::Down);
    let config = &request.config;
    let network = assemble::network(config).expect("a network");
    let plan = assemble::plan(config, &network).expect("a plan").expect("phases");
    let splits = assemble::data(config, &network).expect("data");
    let (data, target) = splits.train.batch::<f64>(&(0..config.data.batch_size).collect::<Vec<_>>());
    let weights = network.initial_weights(config.model.init, config.seed);
    let mut reference = Synchronous::new(&network, weights, config.inference.activity_lr, assemble::optimizer(config));
    reference.present(&data, &target);
    reference.run_phase(&plan.phases[0], Limits::steps(1));
    let rest = reference.states();
    let record = reference.run_phase(&plan.phases[1], Limits::tolerance(1e-13, 20_000));
    assert_eq!(record.reason, StopReason::Settled);
    for (row, layer) in wave.rows.iter().zip((1..network.depth()).rev()) {
        assert_eq!(row.layer, layer);
        let moved = (&reference.states()[layer] - &rest[layer]).iter().map(|d| d * d).sum::<f64>().sqrt();
        assert!((row.displacement / moved - 1.0).abs() < 1e-6, "layer {layer}: {} against {moved}", row.displacement);
        assert!(row.is_at_rest() && row.settling.is_some(), "{row:?}");
        let order = [row.arrival, row.rise10, row.rise50, row.rise90].map(|time| time.expect("it moved"));
        assert!(order.windows(2).all(|pair| pair[0] <= pair[1]), "{row:?}");
        assert!(row.onset.is_some_and(|onset| onset >= order[0]), "{row:?}");
    }
}

/// Cut off early, the same layers have no settling time.
#[test]
fn a_layer_that_still_moves_has_not_settled() {
    let wave = run(&request(&["inference.max_infer_iters=60"], Rest::Data), Direction::Down);
    assert!(wave.rows.iter().all(|row| row.arrival.is_some()), "{:?}", wave.rows);
    let far = wave.rows.last().expect("layer 1");
    assert!(!far.is_at_rest() && far.settling.is_none() && far.rise50.is_some(), "{far:?}");
}

/// What is sooner than the closed form is caught, what never came is not called early.
#[test]
fn a_detector_of_early_arrivals_fires() {
    let wave = run(&request(&["inference.max_infer_iters=60"], Rest::Data), Direction::Down);
    let row = wave.rows[3].clone();
    assert!(!row.is_too_early() && row.agrees());
    let early = Row { arrival: row.closed_form.map(|time| time - 1.0), ..row.clone() };
    assert!(early.is_too_early() && !early.agrees());
    let never = Row { arrival: None, ..row };
    assert!(!never.is_too_early() && !never.agrees());
}

#[test]
fn where_something_is_drawn_or_lost_there_is_no_closed_form() {
    for word in ["links.delay={law=\"exponential\",mean=1}", "links.bandwidth=100", "links.threshold=1e-9"] {
        let wave = run(&request(&[word], Rest::Zero), Direction::Down);
        assert!(wave.rows.iter().all(|row| row.closed_form.is_none() && row.arrival.is_some()), "{word}");
    }
}

/// The delay grows by the closed form's share with each layer, and what arrives shrinks by the same factor again and again.
#[test]
fn delay_grows_linearly_with_depth_and_the_wave_decays() {
    let mut request = request(
        &["model.widths=[784,8,10]", "links.delay=1.5", "clocks.period=0.5", "inference.max_infer_iters=600"],
        Rest::Zero,
    );
    request.depths = vec![2, 4, 8, 16, 32];
    let sweep = depth::sweep::<f64>(&request, Direction::Down, &mut |_| ()).expect("a sweep");
    assert_eq!(sweep.far.iter().map(|far| far.row.hops).collect::<Vec<_>>(), [1, 3, 7, 15, 31]);
    let fit = sweep.arrival.expect("a line");
    // (⌊1.5 / 0.5⌋ + 1) · 0.5
    assert!((fit.slope - 2.0).abs() < 1e-12 && fit.intercept.abs() < 1e-9, "{fit:?}");
    assert!(sweep.log_displacement.is_some_and(|fit| fit.slope < -0.1 && fit.r_squared > 0.9), "{sweep:?}");
}
