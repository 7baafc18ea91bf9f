//! The audit: it lets local layers pass and catches one that is not, and what it says about algorithms is what their equations say.
//!
//! Oracles: layers made non-local on purpose; the equations (who reads what); closed forms (how much is said).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use asynapse::config::text_of;
use asynapse::energy::{Activation, Loss};
use asynapse::experiment::audit::algorithms::find;
use asynapse::experiment::audit::reads::{Source, Transport};
use asynapse::experiment::audit::replay::{Replay, Subject, Witnessed, replay_alone};
use asynapse::experiment::audit::{Card, Request, audit};
use asynapse::experiment::compare::compare;
use asynapse::layer::{Layer, LayerSettings, Voice};
use asynapse::math::{Field, Numerics};
use asynapse::network::{NetworkSpec, Weights};
use asynapse::signal::journal::{Call, Entry, Said};
use asynapse::signal::{Directive, Extract, Motion, Origin, Phase, Reading, Teaching, Wanted};

use crate::common::{RATE, adam, batch, spec, weights};

/// What all leaky layers can see: the present weights of layer 2, and whether they look.
type Window = Rc<RefCell<Option<Field<f64>>>>;

/// A layer that, when it learns, adds a trace of what it sees through the window.
struct Leaky {
    layer: Layer<f64>,
    window: Window,
    /// It looks.
    peeks: bool,
    /// It is the one that is looked at.
    shows: bool,
}

impl Subject<f64> for Leaky {
    fn act(&mut self, call: Call<f64>) -> Said<f64> {
        let learns = matches!(call, Call::Directive(Directive::Learn));
        let said = self.layer.replay(call);
        if learns && self.shows {
            *self.window.borrow_mut() = Some(weights_of(&mut self.layer));
        }
        if learns && self.peeks {
            let seen = self.window.borrow().as_ref().map_or(0.0, |seen| seen.sum());
            let Said::Extract(Extract::Weights(mut own, states)) = ask(&mut self.layer, Wanted::Weights) else {
                panic!("a layer has weights")
            };
            own.weights.mapv_inplace(|weight| weight + 1e-3 * seen);
            self.layer.replay(Call::Directive(Directive::Install(Box::new(Extract::Weights(own, states)))));
        }
        said
    }
}

fn ask(layer: &mut Layer<f64>, wanted: Wanted) -> Said<f64> {
    layer.replay(Call::Directive(Directive::Extract(wanted)))
}

fn weights_of(layer: &mut Layer<f64>) -> Field<f64> {
    match ask(layer, Wanted::Weights) {
        Said::Extract(Extract::Weights(own, _)) => own.weights,
        _ => Field::zeros((0, 0)),
    }
}

fn network() -> NetworkSpec {
    spec(&[5, 4, 4, 3], Activation::Tanh, Loss::SquaredError)
}

/// Layer `index` in a world of these weights. `peeking` looks through the window at layer 2.
fn leaky(index: usize, world: &Weights<f64>, peeking: Option<usize>, window: &Window) -> Leaky {
    let settings =
        LayerSettings { rate: RATE, optimizer: adam(), voice: Voice::Adjoint, numerics: Numerics::default() };
    Leaky {
        layer: Layer::new(&network(), index, world.get(index).cloned(), settings),
        window: Rc::clone(window),
        peeks: peeking == Some(index),
        shows: index == 2,
    }
}

/// Two updates of predictive coding by a `for` loop; every layer's journal.
fn run_by_hand(weights: &Weights<f64>, peeking: Option<usize>, window: &Window) -> Vec<Vec<Entry<f64>>> {
    let depth = weights.len();
    let mut layers: Vec<Witnessed<Leaky, f64>> =
        (0..=depth).map(|index| Witnessed::new(leaky(index, weights, peeking, window))).collect();
    for update in 0..2 {
        let (data, target) = batch::<f64>(&network(), 3, 40 + update);
        for (index, layer) in layers.iter_mut().enumerate() {
            let data = (index == 0).then(|| Arc::new(data.clone()));
            let target = (index == depth).then(|| Arc::new(target.clone()));
            layer.act(Call::Directive(Directive::Present { batch: 3, data, target }));
        }
        let taught = Motion::Relax { teaching: Teaching::Nudged(0.1), from: Origin::Here };
        for (number, motion) in [(2 * update + 1, Motion::Forward), (2 * update + 2, taught)] {
            let phase = Phase { number, motion, steps: 6, tolerance: 0.0, reading: Reading::AtEnd };
            layers.iter_mut().for_each(|layer| drop(layer.act(Call::Directive(Directive::Begin(phase)))));
            say_upward(&mut layers, motion == Motion::Forward);
            for _ in 0..if motion == Motion::Forward { 0 } else { 6 } {
                say_downward(&mut layers);
                layers.iter_mut().for_each(|layer| drop(layer.act(Call::Relax)));
                say_upward(&mut layers, false);
            }
        }
        say_downward(&mut layers);
        for layer in layers.iter_mut().take(depth) {
            layer.act(Call::Directive(Directive::Collect { coefficient: 10.0 }));
        }
        // The top first, so that whoever looks down on it sees what it has just learnt.
        layers.iter_mut().rev().for_each(|layer| drop(layer.act(Call::Directive(Directive::Learn))));
        layers.iter_mut().for_each(|layer| drop(layer.act(Call::Directive(Directive::Extract(Wanted::Weights)))));
    }
    layers.into_iter().map(|layer| layer.journal).collect()
}

fn say_upward(layers: &mut [Witnessed<Leaky, f64>], in_a_wave: bool) {
    for index in 0..layers.len() - 1 {
        if in_a_wave {
            layers[index].act(Call::Forward);
        }
        if let Said::Signal(prediction) = layers[index].act(Call::SpeakPrediction) {
            layers[index + 1].act(Call::Prediction(prediction));
        }
    }
}

fn say_downward(layers: &mut [Witnessed<Leaky, f64>]) {
    for index in (1..layers.len()).rev() {
        if let Said::Signal(error) = layers[index].act(Call::SpeakError) {
            layers[index - 1].act(Call::Error(error));
        }
    }
}

fn replayed(peeking: Option<usize>, window: &Window, after: impl FnOnce()) -> Vec<Replay> {
    let own = weights::<f64>(&network(), 3);
    let strangers = weights::<f64>(&network(), 4);
    let journals = run_by_hand(&own, peeking, window);
    after();
    replay_alone(&journals, &own, &strangers, |index, world| leaky(index, world, peeking, window))
}

#[test]
fn layers_that_read_nothing_else_pass() {
    let window = Window::default();
    let found = replayed(None, &window, || ());
    assert!(found.iter().all(Replay::is_local), "{found:?}");
    assert!(found.iter().all(|replay| replay.updates == 2 && replay.numbers > 20), "{found:?}");
}

#[test]
fn a_layer_that_reads_the_weights_of_another_is_caught_and_nobody_else() {
    let window = Window::default();
    let found = replayed(Some(1), &window, || ());
    let caught: Vec<usize> = found.iter().filter(|replay| !replay.is_local()).map(|replay| replay.layer).collect();
    assert_eq!(caught, [1], "{found:?}");
    let what = found[1].differs.as_deref().expect("caught");
    assert!(what.contains("the weights") && what.contains("after 1 updates"), "{what}");
}

#[test]
fn a_layer_that_reads_what_never_changes_is_caught_where_the_others_are_strangers() {
    // It sees the weights that layer 2 began with, in this world and in the other.
    let window = Window::default();
    let own = weights::<f64>(&network(), 3);
    let strangers = weights::<f64>(&network(), 4);
    let fixed = |world: &Weights<f64>| Rc::new(RefCell::new(Some(world[2].weights.clone())));
    let build = |index: usize, world: &Weights<f64>| Leaky {
        shows: false,
        peeks: index == 1,
        window: fixed(world),
        ..leaky(index, world, None, &window)
    };
    let mut alone = Witnessed::new(build(1, &own));
    let journals = run_by_hand(&own, None, &window);
    journals[1].iter().for_each(|entry| drop(alone.act(entry.call.clone())));
    let found = replay_alone(&[Vec::new(), alone.journal], &own, &strangers, build);
    assert!(found[0].is_local() && !found[1].is_local(), "{found:?}");
}

/// The card of an algorithm on a network with 8 and 6 hidden neurons, with `f64` to keep every dependence.
fn card(name: &str, more: &[&str]) -> Card {
    card_after(2, name, more)
}

fn card_after(updates: usize, name: &str, more: &[&str]) -> Card {
    let algorithm = find(name).expect("an algorithm");
    let small = ["model.widths=[784,8,6,10]", "data.batch_size=4", "inference.max_infer_iters=12", "dtype=f64"];
    let typed: Vec<String> = small.iter().chain(more).map(|&word| word.to_owned()).collect();
    let text = text_of(None).expect("a preset");
    let request = Request {
        origin: text.origin,
        text: text.text,
        name: name.to_owned(),
        meaning: String::new(),
        overrides: algorithm.overrides(true, &typed),
        updates,
        quick: true,
    };
    audit(&request).expect("a card")
}

/// Which of `W_1 W_2 W_3` read it, in lock-step.
fn readers(card: &Card, source: Source) -> [Option<bool>; 3] {
    let of = |layer: usize| {
        let reads = &card.observed[0].reads[layer];
        reads.iter().find(|read| read.source == source).and_then(|read| read.read)
    };
    [of(0), of(1), of(2)]
}

const ALL: [Option<bool>; 3] = [Some(true); 3];
const NOBODY: [Option<bool>; 3] = [Some(false); 3];
const NOT_GIVEN: [Option<bool>; 3] = [None; 3];
/// The data are not moved by any feedback.
const HIDDEN: [Option<bool>; 3] = [Some(false), Some(true), Some(true)];

fn assert_local(card: &Card) {
    for observed in &card.observed {
        assert_eq!(observed.replays.len(), 4);
        assert!(observed.replays.iter().all(Replay::is_local), "{}: {:?}", card.algorithm, observed.replays);
    }
    assert_eq!(card.observed.len(), 2);
}

#[test]
fn updates_of_predictive_coding_read_what_their_equations_have() {
    let tied = card("pc-nudge", &[]);
    assert_local(&tied);
    // h_l = d_l x_{l−1}ᵀ / λ, and x moves by Wᵀ d.
    assert_eq!(readers(&tied, Source::OwnState), ALL);
    assert_eq!(readers(&tied, Source::Errors), ALL);
    assert_eq!(readers(&tied, Source::Coefficient), ALL);
    assert_eq!(readers(&tied, Source::OwnWeights), HIDDEN);
    assert_eq!(readers(&tied, Source::Predictions), [None, Some(true), Some(true)]);
    assert_eq!(readers(&tied, Source::Strength), NOBODY);
    assert_eq!(readers(&tied, Source::OwnFeedback), NOT_GIVEN);
    // No product of the free phase: its errors are zero.
    assert_eq!(readers(&tied, Source::OtherProduct), NOT_GIVEN);
    assert_eq!((tied.observed[0].counts.kept_states, tied.observed[0].counts.kept_products), (0, 0));
    assert!(tied.descents.iter().all(|descent| descent.transport == Transport::Weights && descent.cosine == 1.0));
}

#[test]
fn transport_is_seen_in_what_the_states_do() {
    for (name, transport) in
        [("pc-random", Transport::None), ("pc-sign-symmetric", Transport::Signs), ("pc-kolen-pollack", Transport::None)]
    {
        let card = card(name, &[]);
        assert_local(&card);
        assert_eq!(card.descents.len(), 2);
        for descent in &card.descents {
            assert_eq!(descent.transport, transport, "{name}");
            assert!(descent.cosine < 0.95, "{name}: {descent:?}");
        }
        assert_eq!(readers(&card, Source::OwnWeights), NOBODY, "{name}");
        assert_eq!(readers(&card, Source::OwnFeedback), [None, Some(true), Some(true)], "{name}");
    }
}

#[test]
fn kolen_pollack_feedback_comes_closer_to_the_weights() {
    // The difference of the two shrinks by 1 − 0.03 with every update.
    let settings = ["learning.param_lr=0.3", "learning.weight_decay=0.1", "inference.max_infer_iters=5"];
    let after = |updates| card_after(updates, "pc-kolen-pollack", &settings).descents[1].cosine;
    let (few, many) = (after(1), after(60));
    assert!(few < 0.6 && many > few + 0.2, "{few} {many}");
}

#[test]
fn contrasts_keep_a_product_and_continual_updates_keep_the_step_before() {
    let weights_in_all = 784 * 8 + 8 + 8 * 6 + 6 + 6 * 10 + 10;
    for name in ["ep", "chl", "chl-weak"] {
        let card = card(name, &[]);
        assert_local(&card);
        assert_eq!(card.parameters, weights_in_all);
        assert_eq!(readers(&card, Source::OtherProduct), ALL, "{name}");
        assert_eq!(card.observed[0].counts.kept_products, weights_in_all, "{name}");
        assert_eq!(card.observed[0].counts.kept_between_steps, 0, "{name}");
    }
    let continual = card("ep-continual", &[]);
    assert_local(&continual);
    assert_eq!(readers(&continual, Source::OtherProduct), NOT_GIVEN);
    assert_eq!(continual.observed[0].counts.kept_products, 0);
    assert_eq!(continual.observed[0].counts.kept_between_steps, weights_in_all);
}

#[test]
fn what_lock_step_says_has_a_closed_form() {
    // A wave of L predictions, then T + 1 exchanges; every signal has the numbers of its link for every sample.
    let (steps, links) = (12.0, [8.0, 6.0, 10.0]);
    let numbers: f64 = links.iter().sum();
    let counted = |name: &str, words: &[&str]| {
        let counts = card(name, words).observed[0].counts.clone();
        (counts.phases, counts.traffic(true), counts.traffic(false))
    };
    let bytes = numbers * 4.0 * 8.0;
    let exchanges = steps + 1.0;
    let coding = (2.0, (3.0 * (1.0 + exchanges), bytes * (1.0 + exchanges)), (3.0 * exchanges, bytes * exchanges));
    assert_eq!(counted("pc-nudge", &[]), coding);
    let both = (2.0, (6.0 * exchanges, 2.0 * bytes * exchanges), (6.0 * exchanges, 2.0 * bytes * exchanges));
    assert_eq!(counted("ep", &[]), both);
    let symmetric = card("pc-symmetric", &[]);
    assert_local(&symmetric);
    assert_eq!(symmetric.observed[0].counts.phases, 3.0);
    // Every layer but the output, which has no state, remembers where the free phase ended.
    assert_eq!(symmetric.observed[0].counts.kept_states, 4 * (784 + 8 + 6));
    assert_eq!(symmetric.observed[0].counts.directives["remember"], 1.0);
}

#[test]
fn the_first_arrival_needs_no_more_steps_than_layers() {
    let card = card("first-step", &[]);
    assert_local(&card);
    let counts = &card.observed[0].counts;
    assert!(counts.steps <= 3.0 && card.observed[0].cosine > 0.999_999, "{counts:?}");
    assert!(!counts.directives.contains_key("collect"), "each layer reads by itself");
}

#[test]
fn backpropagation_gets_no_card() {
    let card = card("backprop", &[]);
    assert!(card.no_layers.is_some() && card.observed.is_empty() && card.tolerances.is_empty());
}

#[test]
fn tolerances_are_what_compare_measures() {
    let card = card("pc-nudge", &["inference.max_infer_iters=60"]);
    let tolerance = |of: &str| card.tolerances.iter().find(|tolerance| tolerance.of == of).expect("measured").clone();
    let precision = tolerance("precision");
    let borne = precision.bears.clone().expect("24 bits are enough");
    assert!(
        precision
            .trials
            .iter()
            .all(|trial| trial.amount >= borne.amount || trial.cosine.is_none_or(|cosine| cosine < 0.99))
    );
    for (tolerance, keys) in [
        (precision, ["numerics.states", "numerics.messages"].as_slice()),
        (tolerance("noise"), &["numerics.message_noise"]),
    ] {
        let borne = tolerance.bears.clone().expect("something is borne");
        let amount = if tolerance.of == "noise" { format!("{:e}", borne.amount) } else { borne.setting.clone() };
        let words = keys.iter().map(|key| format!("{key}={amount}"));
        let overrides = [card.overrides.clone(), words.collect()].concat();
        let config = asynapse::config::load(None, &overrides).expect("a configuration").config;
        let compared = compare::<f64>(&config).expect("a comparison");
        assert_eq!(Some(compared.entries[0].whole.cosine), borne.cosine, "{}", tolerance.of);
    }
    let delay = tolerance("delay");
    assert!(delay.bears.is_some() && delay.trials.iter().all(|trial| trial.problem.is_none()), "{delay:?}");
    assert_eq!(delay.undisturbed.map(f64::to_bits), Some(card.observed[0].cosine.to_bits()), "no delay is lock-step");
}

#[test]
fn what_is_far_from_the_gradient_is_held_against_itself() {
    let card = card("pc-random", &[]);
    for tolerance in &card.tolerances {
        assert!(tolerance.undisturbed.is_some_and(|cosine| cosine < 0.9) && tolerance.against_itself, "{tolerance:?}");
        assert!(tolerance.cell().ends_with('†') || tolerance.cell().starts_with("not available"), "{tolerance:?}");
    }
}

#[test]
fn deviations_keep_the_equilibrium_they_are_measured_from() {
    let card = card("pc-nudge", &["inference.variables=deviation"]);
    assert_local(&card);
    assert_eq!(readers(&card, Source::Remembered), ALL);
    // x̄ of every layer that has a state, ā of every link on both of its sides.
    assert_eq!(card.observed[0].counts.kept_states, 4 * (784 + 8 + 6 + 2 * (8 + 6 + 10)));
}
