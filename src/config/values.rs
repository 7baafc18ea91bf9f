//! The configuration itself: one struct per TOML table, with every default in one place.
//!
//! A [`Config`] is what the rest of the program reads; nobody else looks at TOML. Meanings, limits and equations
//! of the keys stand in `keys.rs`, the checks across keys in `rules.rs`, and `write.rs` turns a value back into
//! text. A value built by hand can be checked with [`super::check`]. The tables that can be overridden for single layers and
//! links are in `asynchrony.rs`.

use serde::{Deserialize, Serialize};

use super::asynchrony::{Clocks, Links};
use crate::network::{Address, Grouping};

use super::{
    Activation, Dtype, EnergyKind, FeedbackKind, Format, FreePhase, Init, Loss, Nudging, OptimizerKind, Order, ReadOut,
    RuleName, Scale, UpdateTime, Variables,
};

/// Declares one table: its fields, their documentation and their defaults.
macro_rules! table {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $kind:ty = $default:expr,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $($(#[$doc])* pub $field: $kind,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

table! {
    /// Everything a run needs to know. `Config::default()` is the preset `digits`.
    Config {
        /// Seed of the initial weights and of the order of the samples.
        seed: u64 = 0,
        /// Number format of states, weights and signals.
        dtype: Dtype = Dtype::F32,
        /// Number of processes.
        workers: usize = 1,
        /// `[data]`: the samples.
        data: Data = Data::default(),
        /// `[model]`: the network and its energy.
        model: Model = Model::default(),
        /// `[inference]`: how the states go down the energy.
        inference: Inference = Inference::default(),
        /// `[learning]`: how the weights follow.
        learning: Learning = Learning::default(),
        /// `[schedule]`: in which order, on what.
        schedule: Schedule = Schedule::default(),
        /// `[clocks]`: when layers act in virtual time.
        clocks: Clocks = Clocks::default(),
        /// `[links]`: what neighbours tell each other, and what befalls it on the way.
        links: Links = Links::default(),
        /// `[numerics]`: how precisely everything is computed.
        numerics: Numerics = Numerics::default(),
        /// `[record]`: what is written down, and how often.
        record: Record = Record::default(),
        /// `[output]`: where it is written.
        output: Output = Output::default(),
    }
}

table! {
    /// `[data]`: the samples.
    Data {
        /// Which set of samples.
        name: DataName = DataName::Digits,
        /// A folder of IDX files; empty for the embedded digits.
        dir: String = String::new(),
        /// Samples per minibatch.
        batch_size: usize = 64,
        /// Training samples; 0 for all of an IDX set.
        train: usize = 12_000,
        /// How many of the training samples, taken from the end, are kept for validation.
        validation: usize = 0,
        /// Test samples; 0 for all of an IDX set.
        test: usize = 2_000,
        /// Seed of the generator of digits.
        seed: u64 = 0,
        /// Whether every epoch visits the training samples in a new order.
        shuffle: bool = true,
        /// The interval that pixels are scaled to.
        scale: Scale = Scale::Unit,
    }
}

table! {
    /// `[model]`: the network and its energy.
    Model {
        /// Units per layer, `n_0` to `n_L`.
        widths: Vec<usize> = vec![784, 128, 64, 10],
        /// Activation of the hidden layers.
        act_fn: Activation = Activation::Relu,
        /// Activation of the output layer.
        output_act_fn: Activation = Activation::Identity,
        /// The supervised loss.
        loss: Loss = Loss::CrossEntropy,
        /// The internal energy.
        energy: EnergyKind = EnergyKind::PredictiveCoding,
        /// How the weights start.
        init: Init = Init::TorchLinear,
        /// Precision of each layer.
        precision: Precision = Precision::Uniform(1.0),
        /// Factor of the precision from layer to layer.
        precision_ratio: f64 = 1.0,
        /// Feedback γ of a rate network.
        feedback_gain: f64 = 1.0,
        /// What errors come down through.
        feedback: FeedbackKind = FeedbackKind::Tied,
        /// Groups of neurons per layer.
        groups: Groups = Groups::Count(1),
    }
}

table! {
    /// `[inference]`: how the states go down the energy.
    Inference {
        /// Step of the states.
        activity_lr: f64 = 0.1,
        /// Most steps of one phase.
        max_infer_iters: usize = 50,
        /// Residual below which a layer counts as settled; 0 to run exactly `max_infer_iters` steps.
        tolerance: f64 = 0.0,
        /// Steps between two looks of the coordinator.
        check_every: usize = 10,
        /// Relative fall of the energy between two looks that counts as none; 0 for off.
        plateau: f64 = 1e-9,
        /// How the free phase is found.
        free_phase: FreePhase = FreePhase::Forward,
        /// What is simulated in the taught phases.
        variables: Variables = Variables::State,
    }
}

table! {
    /// `[learning]`: how the weights follow.
    Learning {
        /// The learning rule.
        rule: RuleName = RuleName::PcNudge,
        /// Weight of the supervised loss in the nudged phase.
        nudge: f64 = 0.01,
        /// On which sides of the free equilibrium the nudge is taken.
        nudging: Nudging = Nudging::OneSided,
        /// The phases of a rule that is spelt out.
        phases: Vec<String> = vec!["free".to_owned(), "nudged".to_owned()],
        /// How they are read.
        read_out: ReadOut = ReadOut::Difference,
        /// One coefficient per phase, for the read-out of that name.
        coefficients: Vec<f64> = Vec::new(),
        /// When the weights move.
        update: UpdateTime = UpdateTime::AtEnd,
        /// The optimiser.
        optimizer: OptimizerKind = OptimizerKind::Adam,
        /// Learning rate of the weights.
        param_lr: f64 = 1e-3,
        /// Momentum of the optimiser `momentum`.
        momentum: f64 = 0.9,
        /// Decay of the first moment of Adam.
        beta1: f64 = 0.9,
        /// Decay of the second moment of Adam.
        beta2: f64 = 0.999,
        /// Smallest divisor of Adam.
        epsilon: f64 = 1e-8,
        /// Weight decay.
        weight_decay: f64 = 0.0,
        /// Learning rate of the precisions; 0 for off.
        precision_lr: f64 = 0.0,
        /// Passes over the training samples.
        epochs: usize = 5,
    }
}

table! {
    /// `[schedule]`: in which order, on what.
    Schedule {
        /// The schedule.
        mode: ScheduleMode = ScheduleMode::LockStep,
        /// Order of the layers within a step of the reference.
        order: Order = Order::Jacobi,
        /// Threads; 0 for all cores.
        threads: usize = 1,
        /// Shards in virtual time; 0 for one per thread.
        shards: usize = 0,
        /// Seconds without progress after which the watchdog speaks.
        stall_seconds: f64 = 10.0,
        /// Most events of one phase in virtual time.
        events_max: usize = 1_000_000_000,
        /// Milliseconds of wall clock per unit of model time; 0: clocks and links take no model time, free-running.
        time_unit_ms: f64 = 0.0,
        /// Which layers live in which process.
        placement: Placing = Placing::Word(Auto::Auto),
    }
}

table! {
    /// `[numerics]`: how precisely everything is computed.
    Numerics {
        /// Format of the states.
        states: Format = Format::Exact,
        /// Format of the signals.
        messages: Format = Format::Exact,
        /// Standard deviation of the noise on the states.
        state_noise: f64 = 0.0,
        /// Standard deviation of the noise on the signals.
        message_noise: f64 = 0.0,
    }
}

table! {
    /// `[record]`: what is written down, and how often.
    Record {
        /// Training steps between two rows of `metrics.csv`.
        every: usize = 1,
        /// Training steps between two groups of rows of `layers.csv`; 0 for never.
        layers_every: usize = 50,
        /// Training steps between two comparisons with backpropagation; 0 for never.
        cosine_every: usize = 100,
        /// Training steps between two checkpoints; 0 for the end of every epoch.
        checkpoint_every: usize = 0,
        /// How many checkpoints stay on disk.
        keep: usize = 3,
        /// Training batches whose events are logged; 0 for none.
        event_log: usize = 0,
    }
}

table! {
    /// `[output]`: where it is written.
    Output {
        /// Folder of the run directories.
        dir: String = "runs".to_owned(),
        /// Name of the run directory; empty for one made from date, preset and seed.
        name: String = String::new(),
    }
}

/// Groups of neurons per layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Groups {
    /// So many.
    Count(usize),
    /// One neuron each.
    Word(GroupsWord),
}

/// The word for groups of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupsWord {
    /// Every neuron is an actor.
    Neuron,
}

impl From<Groups> for Grouping {
    fn from(groups: Groups) -> Self {
        match groups {
            Groups::Count(count) => Self::Count(count),
            Groups::Word(GroupsWord::Neuron) => Self::Neuron,
        }
    }
}

/// In which order layers act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleMode {
    /// The synchronous program, without actors.
    Reference,
    /// Actors; step `t` waits for the neighbours' step `t`.
    #[default]
    LockStep,
    /// Actors; everyone at its own pace with the newest signals.
    FreeRunning,
    /// Layers driven by one queue of events, with clocks and delays drawn from the seed.
    VirtualTime,
}

/// Which layers live in which process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Placing {
    /// Chosen by cost.
    Word(Auto),
    /// For every worker its layers, or groups of them.
    Lists(Vec<Vec<Address>>),
}

/// The word for a choice that is left to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auto {
    /// `auto`
    Auto,
}

/// By what neighbours are connected, as it is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkTransport {
    /// In-process with one worker, Unix sockets with several.
    #[default]
    Auto,
    /// A mailbox that both share.
    InProcess,
    /// Bytes in memory.
    Bytes,
    /// Unix sockets.
    Unix,
    /// TCP on the loopback interface.
    Tcp,
}

/// Which set of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataName {
    /// The digits drawn by the embedded generator.
    Digits,
    /// IDX files, the format of MNIST.
    Idx,
}

/// The precisions `Π_1 … Π_L`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Precision {
    /// The same number for every layer.
    Uniform(f64),
    /// One number per layer, layer 1 first.
    PerLayer(Vec<f64>),
    /// One list per layer, with one number per unit.
    PerUnit(Vec<Vec<f64>>),
}

impl Model {
    /// `Π_layer` with the ratio taken in, for `layer` in `1..=L`; `None` for a layer that has none.
    pub fn precision_of(&self, layer: usize) -> Option<f64> {
        let power = i32::try_from(layer).unwrap_or(i32::MAX);
        Some(self.precision.of(layer)? * self.precision_ratio.powi(power))
    }
}

impl Precision {
    /// Every number in it.
    pub fn numbers(&self) -> Vec<f64> {
        match self {
            Self::Uniform(value) => vec![*value],
            Self::PerLayer(values) => values.clone(),
            Self::PerUnit(layers) => layers.concat(),
        }
    }

    /// `Π_layer` for `layer` in `1..=L`; `None` for a layer that has none, or one for each unit.
    pub fn of(&self, layer: usize) -> Option<f64> {
        match self {
            Self::Uniform(value) => (layer > 0).then_some(*value),
            Self::PerLayer(values) => values.get(layer.checked_sub(1)?).copied(),
            Self::PerUnit(_) => None,
        }
    }
}
