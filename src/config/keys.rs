//! The table of keys: every name a configuration may use, what it may hold, what it means and where it is from.
//!
//! One table for five readers: the search for unknown keys (`suggest.rs`), the check of a value (`accept.rs`), the
//! writer (`write.rs`), the JSON Schema and the table in `configs/README.md` (both in `schema.rs`). The defaults are
//! not repeated here; they come from `values.rs`, and a test holds both to the same set of keys in the same order.

use super::kind::{Interval, Kind};

/// One key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The whole name, such as `inference.activity_lr`.
    pub path: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// What it means, in one or two sentences, with the unit.
    pub meaning: &'static str,
    /// Where it stands in the paper, such as "Eq. 25"; empty when it is not in it.
    pub equation: &'static str,
}

/// One table of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Its name, without brackets.
    pub name: &'static str,
    /// What its keys are about.
    pub meaning: &'static str,
    /// The tables inside it in which some of its keys can be overridden.
    pub parts: Option<Parts>,
}

/// Tables inside a table: the same keys for one layer or one link only.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// What a name of such a table stands for, with an example.
    pub meaning: &'static str,
    /// A regular expression of the names.
    pub pattern: &'static str,
    /// The keys that can be overridden.
    pub keys: &'static [&'static str],
}

impl Key {
    /// The table the key is in; empty for the top level.
    pub fn section(&self) -> &'static str {
        self.path.split_once('.').map_or("", |(section, _)| section)
    }

    /// The name inside its table.
    pub fn leaf(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(_, leaf)| leaf)
    }
}

/// The key of this name.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The keys of one table, in order; `""` is the top level.
pub(super) fn keys_of(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section() == section)
}

/// Whether a table of this name exists.
pub(super) fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|section| section.name == name)
}

/// The tables inside the table of this name, if it can have any.
pub(super) fn parts_of(section: &str) -> Option<&'static Parts> {
    SECTIONS.iter().find(|known| known.name == section)?.parts.as_ref()
}

/// The tables, in the order of `Config`.
pub const SECTIONS: &[Section] = &[
    section("data", "The samples."),
    section("model", "The network and its energy."),
    section("inference", "How the states go down the energy."),
    section("learning", "How the weights follow."),
    section("schedule", "In which order the layers work, and on what."),
    Section {
        name: "clocks",
        meaning: "When the layers act in virtual time.",
        parts: Some(Parts {
            meaning: "the number of a layer, as in [clocks.\"2\"], or of a layer and a group, as in [clocks.\"1.3\"]",
            pattern: "^[0-9]+(\\.[0-9]+)?$",
            keys: &["period", "offset"],
        }),
    },
    Section {
        name: "links",
        meaning: "What neighbouring layers tell each other, and what befalls it on the way.",
        parts: Some(Parts {
            meaning: "one direction of a link, as in [links.\"2->1\"] from layer 2 down to layer 1, or of the links of a group, as in \
                      [links.\"1.0->2.3\"]",
            pattern: "^[0-9]+(\\.[0-9]+)?->[0-9]+(\\.[0-9]+)?$",
            keys: &["delay", "jitter", "loss", "duplicate", "reorder", "bandwidth", "delivery", "threshold", "resend"],
        }),
    },
    section("numerics", "How precisely it is computed: formats and noise that are simulated."),
    section("record", "What is written down, and how often."),
    section("output", "Where it is written."),
];

const ACTIVATIONS: Kind =
    Kind::Choice(&["identity", "relu", "leaky-relu", "tanh", "sigmoid", "hard-sigmoid", "softplus", "gelu"]);
const SEED: Kind = Kind::Integer { least: 0, most: u64::MAX };
const POSITIVE: Kind = Kind::Number(Interval::Positive);
const ZERO_OR_MORE: Kind = Kind::Number(Interval::ZeroOrMore);
const FRACTION: Kind = Kind::Number(Interval::Fraction);

const fn from(least: u64) -> Kind {
    Kind::Integer { least, most: u32::MAX as u64 }
}

const fn up_to(least: u64, most: u64) -> Kind {
    Kind::Integer { least, most }
}

const fn section(name: &'static str, meaning: &'static str) -> Section {
    Section { name, meaning, parts: None }
}

const fn key(path: &'static str, kind: Kind, equation: &'static str, meaning: &'static str) -> Key {
    Key { path, kind, meaning, equation }
}

/// The keys, in the order of `Config`.
#[rustfmt::skip] // One key is one entry: its facts on the first line, its meaning below.
pub const KEYS: &[Key] = &[
    key("seed", SEED, "", "Seed of the initial weights and of the order of the samples."),
    key("dtype", Kind::Choice(&["f32", "f64"]), "",
        "Number format of states, weights and signals. A nudge below 1e-3 wants `f64` or \
         `inference.variables = \"deviation\"`."),
    key("workers", up_to(1, 65_536), "", "Number of processes the layers live in, on this machine. 1: all in the program's own; more: \
         workers that it starts, each with at least one layer."),
    key("data.name", Kind::Choice(&["digits", "idx"]), "",
        "`digits`: drawn by the embedded generator; `idx`: read from the files in `data.dir`. \
         Left out, it is `idx` when `data.dir` is given."),
    key("data.dir", Kind::Text, "",
        "A folder of IDX files (the format of MNIST), raw or gzip. Giving it is enough: it sets \
         `data.name`, and `data.train` and `data.test` to all."),
    key("data.batch_size", up_to(1, 65_536), "A.1.2",
        "Samples per minibatch. Gradients are averaged over it."),
    key("data.train", from(0), "A.1",
        "Training samples: how many the generator draws, or how many of an IDX set are used (0: \
         all). Left out with an IDX set, it is 0."),
    key("data.validation", from(0), "A.1",
        "How many of the training samples, taken from the end, are kept for validation. 10000 \
         gives the paper's 50,000 for training on MNIST."),
    key("data.test", from(0), "A.1",
        "Test samples: how many the generator draws, or how many of an IDX set are used (0: all). \
         Left out with an IDX set, it is 0."),
    key("data.seed", SEED, "", "Seed of the generator of digits. Without effect on an IDX set."),
    key("data.shuffle", Kind::Flag, "",
        "Whether every epoch visits the training samples in a new order."),
    key("data.scale", Kind::Choice(&["unit", "symmetric"]), "A.1",
        "Interval that pixels are scaled to: `unit` is [0, 1], `symmetric` [−1, 1], as in the authors' program."),
    key("model.widths", Kind::Widths, "A.1",
        "Units per layer, from the data (layer 0) to the classes (layer L)."),
    key("model.act_fn", ACTIVATIONS, "Eq. 3", "Activation f of the hidden layers."),
    key("model.output_act_fn", ACTIVATIONS, "Eq. 3",
        "Activation f of the output layer. Must be `identity` with the loss `cross-entropy`, \
         which contains the softmax."),
    key("model.loss", Kind::Choice(&["cross-entropy", "squared-error"]), "Eq. 10",
        "The supervised loss 𝓛: softmax cross-entropy, or ½‖T − f(a_L)‖²."),
    key("model.energy", Kind::Choice(&["predictive-coding", "hopfield", "rate"]), "Eq. 3, 8",
        "The internal energy I: `predictive-coding` ½ Σ Π_l ‖x_l − f(a_l)‖²; `hopfield` ½ Σ ‖x_l‖² − Σ ρ(x_l)·a_l with ρ = \
         `act_fn` (hard-sigmoid, sigmoid or tanh); `rate`, the layered rate network with feedback γ."),
    key("model.init", Kind::Choice(&["torch-linear", "xavier", "he", "orthogonal"]), "",
        "How the weights start. `torch-linear` is PyTorch's default for `Linear`: uniform within \
         ±1/√fan_in."),
    key("model.precision", Kind::Precision, "Eq. 3",
        "Precision Π: one number for all layers, a list for layers 1 to L, or for each of these a list with one number per unit \
         (equal ones at the output)."),
    key("model.precision_ratio", Kind::Number(Interval::Share), "",
        "Factor γ of the precision from layer to layer, in (0, 1]: Π_l = `precision` · γ^l. Weak feedback: the estimate of \
         `pc-clamped` is off by O(γ) (Whittington & Bogacz 2017). `precision` = 1/γ makes Π_1 one."),
    key("model.feedback_gain", Kind::Number(Interval::Share), "",
        "Feedback γ of a rate network, in (0, 1]. Without effect on other energies."),
    key("model.feedback", Kind::Choice(&["tied", "random", "sign-symmetric", "kolen-pollack"]), "A.2",
        "Matrices B that errors come down through, g_l = B_{l+1}ᵀ d_{l+1}: `tied` B = W; `random` fixed (feedback alignment); \
         `sign-symmetric` fixed magnitudes with the signs of W; `kolen-pollack` B learns with W, and both decay."),
    key("model.groups", Kind::Groups, "",
        "Groups of neurons per layer, each an actor with its own state, links and outgoing weights; `neuron` is one each. A layer \
         with fewer neurons has as many groups as neurons; the output layer is one group always, since the softmax and the decision \
         couple its units. Free-running, and in virtual time with clocks or links of its own, it wants `links.message` = `error`."),
    key("inference.activity_lr", POSITIVE, "Eq. 1",
        "Step η_x of the states, in model time per inference step."),
    key("inference.max_infer_iters", up_to(1, 10_000_000), "A.1",
        "Most steps of one phase, in inference steps."),
    key("inference.tolerance", ZERO_OR_MORE, "Eq. 11",
        "Residual at or below which a layer counts as settled. 0: every phase runs exactly \
         `max_infer_iters` steps."),
    key("inference.check_every", from(1), "",
        "Inference steps between two looks of the coordinator. Without effect while `tolerance` \
         is 0."),
    key("inference.plateau", FRACTION, "",
        "Relative fall of the energy between two looks; three falls below it in a row end the \
         phase as a plateau. 0: off. Without effect while `tolerance` is 0."),
    key("inference.free_phase", Kind::Choice(&["forward", "relax", "persistent"]), "Eq. 20",
        "How the free equilibrium is found: `forward` computes it in one pass (predictive coding only), `relax` goes down \
         the energy from zero, `persistent` from where the batch before ended."),
    key("inference.variables", Kind::Choice(&["state", "deviation"]), "",
        "What the taught phases of predictive coding simulate: the states x, or their deviation u = (x − x̄)/λ from the free \
         equilibrium x̄, which loses no digits to a small λ. Tolerance and residual are then those of u, the energy is \
         (E(x) − E(x̄))/λ²."),
    key("learning.rule", Kind::Choice(&["pc-nudge", "pc-clamped", "first-step", "ep", "chl", "spelt-out", "backprop"]), "Eq. 9, 25",
        "The learning rule: `pc-nudge` (weak supervision λ), `pc-clamped` (λ = Π_L), `first-step` (read at the first arrival of \
         an error: exact backpropagation), `ep` (equilibrium propagation), `chl` (contrastive Hebbian), `spelt-out` (the phases \
         and the read-out of the keys below), or the baseline `backprop`, which has no phases and replaces the schedule."),
    key("learning.nudge", ZERO_OR_MORE, "Eq. 25",
        "Weight λ (or β) of the supervised loss in the nudged phase; at most 1 for predictive coding. 0, the limit itself, only \
         in deviation variables and one-sided. Without effect on rules that clamp."),
    key("learning.nudging", Kind::Choice(&["one-sided", "negative", "symmetric", "richardson"]), "Eq. 9",
        "Sides of the free equilibrium on which the nudge is taken: `one-sided` and `negative` have an error of O(λ), \
         `symmetric` (+λ against −λ) and `richardson` (λ and λ/2, extrapolated) of O(λ²). For `pc-nudge` and `ep`."),
    key("learning.phases", Kind::Texts, "Eq. 6, 9",
        "Phases of the rule `spelt-out`: `forward`, `free`, `nudged`, `nudged C` (with C·λ) or `clamped`, each optionally followed by \
         `from here`, `from zero` or `from free` (where the first phase ended)."),
    key("learning.read_out", Kind::Choice(&["difference", "last", "first-arrival", "coefficients"]), "Eq. 6, 9",
        "Read-out of the rule `spelt-out`: `difference` (h_K − h_{K−1})/(λ_K − λ_{K−1}) of the last two phases, `last` h_K/λ_K, \
         `first-arrival` the same when the first error arrives, `coefficients` Σ c_k h_k."),
    key("learning.coefficients", Kind::Numbers, "",
        "Coefficients c_k of the read-out `coefficients`, one per phase."),
    key("learning.update", Kind::Choice(&["at-end", "continual"]), "",
        "When the weights move: `at-end`, once after the last phase; `continual`, by η/β (h(t+1) − h(t)) at every inference step of \
         the nudged phase (Ernoult et al. 2020), for `ep` with the energy `hopfield` and the optimizer `sgd`. A step that \
         ends in a number that is not finite has then moved weights; the last checkpoint is as it was."),
    key("learning.optimizer", Kind::Choice(&["sgd", "momentum", "adam", "adamw"]), "Eq. 2",
        "What turns the estimated gradient into a change of the weights."),
    key("learning.param_lr", POSITIVE, "Eq. 2",
        "Learning rate η_θ of the weights, per update; the estimate is already divided by λ."),
    key("learning.momentum", FRACTION, "A.1.2", "Momentum of the optimizer `momentum`."),
    key("learning.beta1", FRACTION, "", "Decay of the first moment, for `adam` and `adamw`."),
    key("learning.beta2", FRACTION, "", "Decay of the second moment, for `adam` and `adamw`."),
    key("learning.epsilon", POSITIVE, "", "Added to the divisor, for `adam` and `adamw`."),
    key("learning.weight_decay", ZERO_OR_MORE, "",
        "Weight decay, per update: added to the gradient, or decoupled from it in `adamw`."),
    key("learning.precision_lr", ZERO_OR_MORE, "",
        "Learning rate of the precisions of hidden units, ln Π ← ln Π + η ½ (1 − Π ⟨ε²⟩) per update, within 1e-3 and 1e3. 0: they \
         stay as they are. Free-running, it wants `links.message` = `error`."),
    key("learning.epochs", from(1), "", "Passes over the training samples."),
    key("schedule.mode", Kind::Choice(&["reference", "lock-step", "free-running", "virtual-time"]), "",
        "`reference`: one loop over whole matrices; `lock-step`: actors, with the same numbers \
         bit for bit; `free-running`: actors that never wait; `virtual-time`: layers driven by one order of events, with \
         clocks, delays and losses drawn from `seed`. Replaced by the rule `backprop`."),
    key("schedule.order", Kind::Choice(&["jacobi", "gauss-seidel"]), "",
        "Order of the layers within a step of the mode `reference`: `jacobi`, all at once from the same signals; `gauss-seidel`, one \
         after another from the top with the newest, as in the authors' program. Actors know no other than `jacobi`."),
    // Far more than there are cores already; a system refuses to start some ten thousand threads, and tokio then ends the program.
    key("schedule.threads", up_to(0, 1_024), "",
        "Threads, in every process. 0: all cores. The mode `reference` has exactly 1."),
    key("schedule.shards", from(0), "",
        "Into how many shards the layers are cut in virtual time, each with a queue of its own; results do not depend on it, bit for \
         bit. 0: one per thread, or fewer, since layers are not cut apart where a link may deliver at once (least delay and \
         jitter 0). Another number that cannot be had is an error. In several processes every worker is one shard: 0 or `workers`."),
    key("schedule.stall_seconds", Kind::Number(Interval::Seconds), "",
        "Seconds without progress after which the watchdog says who waits for whom; a link between hosts is given up when nothing \
         on it is answered for half of it, at least 6."),
    key("schedule.events_max", up_to(1, u64::MAX >> 1), "",
        "Most events of one phase in virtual time; a phase that has had more at the end of a period ends as `event-budget`."),
    key("schedule.time_unit_ms", ZERO_OR_MORE, "",
        "Milliseconds of wall clock per unit of model time τ, free-running: layers then tick by `[clocks]` and signals are held by `[links]`, \
         in wall-clock time. 0: layers never wait, and links take the time they take."),
    key("schedule.placement", Kind::Placement, "",
        "Which layers live in which process, such as `[[0, 1], [2], [3]]`, or which groups of a layer, such as \
         `[[0, \"1.0\"], [\"1.1\", 2, 3]]`. `auto`: blocks of neighbours, balanced by the sizes of their weights; where layers are cut, \
         group g of k lives with process g·workers/k. In virtual time the layers or groups of a process lie side by side, and every link \
         between two processes takes some time; `auto` cuts as `schedule.shards` does."),
    key("clocks.period", Kind::Law { zero: false }, "",
        "Virtual time between two ticks of a layer, in units of model time τ; 1 is one inference step. Constant, or drawn for each \
         tick: laws `constant` (value), `uniform` (low, high), `exponential` (mean), `log-normal` (mean, sd), `gamma` (mean, shape), \
         the last three with an optional floor `min`. For one layer: `[clocks.\"2\"]`; for group 3 of layer 1: \
         `[clocks.\"1.3\"]`."),
    key("clocks.offset", Kind::Law { zero: true }, "",
        "From the beginning of a phase to a layer's first tick, in τ. For one layer: `[clocks.\"2\"]`."),
    key("links.message", Kind::Choice(&["error+echo", "error", "state"]), "",
        "What a layer sends down: its error with an echo of the state it answers, the bare error, \
         or its state (only `free-running` and `virtual-time`)."),
    key("links.transport", Kind::Choice(&["auto", "in-process", "bytes", "unix", "tcp"]), "",
        "By what neighbours are connected: a mailbox they share, bytes in memory, Unix sockets, TCP on the loopback \
         interface. `auto`: `in-process` with one worker, `unix` with several. Without effect on numbers in lock-step."),
    key("links.delay", Kind::Law { zero: true }, "",
        "How long a signal is under way, in τ. Like all keys of this table below, for one direction of one link: `[links.\"2->1\"]`; \
         between groups: `[links.\"1.0->2.3\"]`, or `[links.\"1.0->2\"]` for all of layer 2."),
    key("links.jitter", Kind::Law { zero: true }, "", "Added to the delay of each signal, in τ."),
    key("links.loss", FRACTION, "", "Probability that a signal never arrives."),
    key("links.duplicate", FRACTION, "", "Probability that a signal arrives twice, the second time with a delay of its own."),
    key("links.reorder", Kind::Flag, "",
        "Whether signals may overtake each other. One that comes after a newer one is dropped and counted as late."),
    key("links.bandwidth", ZERO_OR_MORE, "",
        "Numbers per τ that a link carries, one signal after the other. 0: no limit."),
    key("links.delivery", Kind::Choice(&["newest-wins", "queue"]), "",
        "What happens to a signal that was not heard when the next one arrives: it is replaced, or both wait and one is heard at a tick."),
    key("links.threshold", ZERO_OR_MORE, "",
        "A moving layer speaks only if some number differs by more than this from what it last said; a layer at rest says what it has \
         left unsaid. 0: any difference."),
    key("links.resend", ZERO_OR_MORE, "",
        "Time-out in τ after which the newest signal is sent again if no acknowledgement has come back. 0: never."),
    key("numerics.states", Kind::Format, "A.2",
        "Number format to which the states are rounded after every step, to nearest, saturating; in deviation variables, those."),
    key("numerics.messages", Kind::Format, "A.2",
        "Number format to which signals between layers are rounded as they are said. Weights and what a layer computes by itself \
         stay in `dtype`."),
    key("numerics.state_noise", ZERO_OR_MORE, "A.2",
        "Standard deviation of Gaussian noise added to every state at every step, before rounding. Drawn from `seed`."),
    key("numerics.message_noise", ZERO_OR_MORE, "A.2",
        "Standard deviation of Gaussian noise added to every number of every signal, before rounding. Drawn from `seed`."),
    key("record.every", from(1), "", "Training steps between two rows of `metrics.csv`."),
    key("record.layers_every", from(0), "",
        "Training steps between two groups of rows of `layers.csv`. 0: never."),
    key("record.cosine_every", from(0), "Eq. 26",
        "Training steps between two comparisons of the estimate with backpropagation. 0: never."),
    key("record.checkpoint_every", from(0), "",
        "Training steps between two checkpoints. 0: at the end of every epoch."),
    key("record.keep", from(1), "", "How many checkpoints stay on disk, newest first."),
    key("record.event_log", from(0), "",
        "In virtual time: of how many training batches, the first ones of the run, every event is written to `events.log` (48 bytes \
         each), for `asynapse replay`. 0: none."),
    key("output.dir", Kind::Text, "", "Folder in which the run directory is made."),
    key("output.name", Kind::Text, "",
        "Name of the run directory. Empty: made from date, preset and seed."),
];
