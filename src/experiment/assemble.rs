//! From a configuration to the parts it names. Everything a configuration can say and these parts can't honour is an error here.

use std::path::Path;
use std::time::Duration;

use super::machine::{Machine, StepError};
use super::workers::{self, Hands};
use crate::config::{Clocks, Config, DataName, DeliveryName, LinkTransport, Links, Precision, ScheduleMode};
use crate::data::dataset::{Sizes, Splits, from_folder, generated};
use crate::data::error::DataError;
use crate::engine::mailbox::Delivery;
use crate::engine::transport::Transport;
use crate::engine::virtual_time::clocks::ClockLaws;
use crate::engine::virtual_time::kernel::Time;
use crate::engine::virtual_time::links::LinkLaws;
use crate::engine::virtual_time::{VirtualNetwork, VirtualSettings};
use crate::engine::wall_clock::WallLaws;
use crate::engine::{Engine, EngineSettings, Schedule};
use crate::math::optimizer::OptimizerSpec;
use crate::math::{Numerics, Real};
use crate::network::{Feedback, NetworkError, NetworkSpec, Weights};
use crate::reference::{Baseline, Synchronous};
use crate::rule::{Plan, PlanError, RuleName, UpdateTime, Variables};
use crate::settling::Limits;

/// Why a configuration can't be run.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The data can't be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The network can't be made.
    #[error("[model]: {0}")]
    Network(#[from] NetworkError),
    /// Rule and energy have no meaning together.
    #[error("learning.rule: {0}")]
    Plan(#[from] PlanError),
    /// The weights can't move when they should.
    #[error("learning.update: {0}")]
    Update(#[source] PlanError),
    /// Data and network do not fit each other.
    #[error("{0}")]
    Misfit(String),
}

/// The network a configuration describes.
pub fn network(config: &Config) -> Result<NetworkSpec, NetworkError> {
    let model = &config.model;
    let feedback = Feedback { kind: model.feedback, init: model.init, seed: config.seed };
    let network = NetworkSpec::new(&model.widths, model.act_fn, model.loss)?.with_output(model.output_act_fn)?;
    let network = match &model.precision {
        Precision::PerUnit(layers) => {
            let ratio = |layer: usize| model.precision_ratio.powi(i32::try_from(layer).unwrap_or(i32::MAX));
            let scaled = |(layer, units): (usize, &Vec<f64>)| units.iter().map(|p| p * ratio(layer)).collect();
            network.with_unit_precision(&(1..).zip(layers).map(scaled).collect::<Vec<Vec<f64>>>())?
        }
        _ => {
            let layers = 1..model.widths.len();
            network.with_precision(&layers.map(|l| model.precision_of(l).unwrap_or(f64::NAN)).collect::<Vec<f64>>())?
        }
    };
    let network = network
        .with_energy(model.energy)?
        .with_feedback_gain(model.feedback_gain)?
        .with_learned_precision(config.learning.precision_lr)?
        .with_feedback(feedback);
    Ok(network.with_groups(model.groups.into()))
}

/// The data, checked against the network.
pub fn data(config: &Config, network: &NetworkSpec) -> Result<Splits, AssembleError> {
    let data = &config.data;
    let sizes = Sizes { train: data.train, validation: data.validation, test: data.test };
    let splits = match data.name {
        DataName::Digits => generated(data.seed, sizes),
        DataName::Idx => from_folder(Path::new(&data.dir), sizes)?,
    }
    .rescaled(data.scale);
    let (features, classes) = (splits.train.features(), splits.train.classes());
    let (inputs, outputs) = (network.widths()[0], network.widths()[network.depth()]);
    if inputs != features {
        let what =
            format!("model.widths begins with {inputs}, the images of {} have {features} pixels", source(config));
        return Err(AssembleError::Misfit(what));
    }
    if outputs != classes {
        let what = format!("model.widths ends with {outputs}, the labels of {} have {classes} classes", source(config));
        return Err(AssembleError::Misfit(what));
    }
    Ok(splits)
}

fn source(config: &Config) -> String {
    if config.data.dir.is_empty() { "the embedded digits".to_owned() } else { config.data.dir.clone() }
}

/// What ends a phase.
pub fn limits(config: &Config) -> Limits {
    let inference = &config.inference;
    Limits {
        steps_max: inference.max_infer_iters as u64,
        tolerance: inference.tolerance,
        check_every: inference.check_every as u64,
        plateau: inference.plateau,
    }
}

/// The optimiser.
pub fn optimizer(config: &Config) -> OptimizerSpec {
    let learning = &config.learning;
    OptimizerSpec {
        kind: learning.optimizer,
        rate: learning.param_lr,
        momentum: learning.momentum,
        betas: (learning.beta1, learning.beta2),
        epsilon: learning.epsilon,
        weight_decay: learning.weight_decay,
    }
}

/// The precision of computation that is simulated.
pub fn numerics(config: &Config) -> Numerics {
    let crate::config::Numerics { states, messages, state_noise, message_noise } = config.numerics;
    Numerics { states, messages, state_noise, message_noise, seed: config.seed }
}

/// The number of a batch, which noise is a function of: part 0 of a training step is its own batch, the others are those of the
/// evaluation after it.
pub fn batch_number(step: u64, part: u64) -> u64 {
    step << 24 | part
}

/// Threads of the engine: what was asked for, or all there are.
pub fn threads(config: &Config) -> usize {
    match config.schedule.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

/// The plan of the configured rule; `None` for backpropagation.
pub fn plan(config: &Config, network: &NetworkSpec) -> Result<Option<Plan>, AssembleError> {
    let learning = &config.learning;
    let plan = if learning.rule == RuleName::SpeltOut {
        let (phases, coefficients) = (&learning.phases, &learning.coefficients);
        Some(Plan::spelt_out(network, phases, learning.read_out, coefficients, learning.nudge)?)
    } else {
        let planned = match config.inference.variables {
            Variables::State => Plan::named,
            Variables::Deviation => Plan::in_deviations,
        };
        planned(learning.rule, network, learning.nudge, learning.nudging, config.inference.free_phase)?
    };
    match (plan, learning.update) {
        (Some(plan), UpdateTime::Continual) => {
            let plan = plan.continually(learning.rule, network, &optimizer(config));
            plan.map(Some).map_err(AssembleError::Update)
        }
        (plan, _) => Ok(plan),
    }
}

/// Clocks and links in virtual time.
pub fn virtual_time(config: &Config, network: &NetworkSpec) -> VirtualSettings {
    let laws = |links: Links| {
        let Links { delay, jitter, loss, duplicate, reorder, bandwidth, delivery, threshold, resend, .. } = links;
        let delivery = match delivery {
            DeliveryName::NewestWins => Delivery::NewestWins,
            DeliveryName::Queue => Delivery::InOrder,
        };
        LinkLaws { delay, jitter, loss, duplicate, reorder, bandwidth, delivery, threshold, resend }
    };
    let link = |from, to| laws(config.links.of(from, to));
    let clock = |Clocks { period, offset, .. }: Clocks| ClockLaws { period, offset };
    let between = config.links.between_groups(|layer| network.groups(layer)).into_iter();
    let of_groups = config.clocks.of_groups().into_iter();
    VirtualSettings {
        seed: config.seed,
        message: config.links.message,
        rate: config.inference.activity_lr,
        optimizer: optimizer(config),
        numerics: numerics(config),
        clocks: (0..=network.depth()).map(|layer| clock(config.clocks.of(layer))).collect(),
        links: (0..network.depth()).map(|lower| [link(lower, lower + 1), link(lower + 1, lower)]).collect(),
        group_clocks: of_groups.map(|(place, table)| (place, clock(table))).collect(),
        group_links: between.map(|(ends, table)| (ends, laws(table))).collect(),
        events_most: config.schedule.events_max as u64,
        shards: if config.schedule.shards == 0 { threads(config) } else { config.schedule.shards },
        threads: threads(config),
    }
}

/// Clocks and links on the wall clock; `None` where nothing is imposed.
pub fn wall_laws(config: &Config, network: &NetworkSpec) -> Option<WallLaws> {
    let imposed = config.schedule.mode == ScheduleMode::FreeRunning && config.schedule.time_unit_ms > 0.0;
    imposed.then(|| {
        let VirtualSettings { seed, clocks, links, group_clocks, group_links, .. } = virtual_time(config, network);
        // As lists, in their order: laws travel as text, in which names are not pairs.
        let (group_clocks, group_links) = (group_clocks.into_iter().collect(), group_links.into_iter().collect());
        WallLaws { unit_ms: config.schedule.time_unit_ms, seed, clocks, links, group_clocks, group_links }
    })
}

/// The program that runs the configured rule in the configured schedule. Layers in processes of their own are told which life of
/// the run this is.
pub fn machine<T: Real>(
    config: &Config,
    network: &NetworkSpec,
    weights: Weights<T>,
    (hands, generation): (&Hands, u64),
) -> Result<Machine<T>, StepError> {
    if config.learning.rule == RuleName::Backprop {
        return Ok(Machine::Backprop(Box::new(Baseline::new(network, weights, optimizer(config)))));
    }
    match schedule(config.schedule.mode) {
        Some(schedule) if is_spread(config, hands) => {
            workers::machine(config, network, weights, settings(config, schedule), (hands, generation))
        }
        None if is_spread(config, hands) => virtual_machine(config, network, weights, (hands, generation)),
        _ => machine_in(config, network, weights, config.schedule.mode),
    }
}

/// Whether layers live in processes of their own.
pub fn is_spread(config: &Config, hands: &Hands) -> bool {
    let apart = config.workers > 1 || !matches!(hands, Hands::Children);
    apart && config.learning.rule != RuleName::Backprop && config.schedule.mode != ScheduleMode::Reference
}

/// Virtual time in several processes.
fn virtual_machine<T: Real>(
    config: &Config,
    network: &NetworkSpec,
    weights: Weights<T>,
    hands: (&Hands, u64),
) -> Result<Machine<T>, StepError> {
    // The order of actors says nothing there, and a worker's one shard runs on one thread.
    let settings = EngineSettings { threads: 1, ..settings(config, Schedule::LockStep) };
    workers::virtual_machine(config, network, weights, (settings, &virtual_time(config, network)), hands)
}

/// The order of actors that this mode is, if it is one.
fn schedule(mode: ScheduleMode) -> Option<Schedule> {
    match mode {
        ScheduleMode::Reference | ScheduleMode::VirtualTime => None,
        ScheduleMode::LockStep => Some(Schedule::LockStep),
        ScheduleMode::FreeRunning => Some(Schedule::FreeRunning),
    }
}

/// The same in another schedule.
pub fn machine_in<T: Real>(
    config: &Config,
    network: &NetworkSpec,
    weights: Weights<T>,
    mode: ScheduleMode,
) -> Result<Machine<T>, StepError> {
    let Some(schedule) = schedule(mode) else {
        if mode == ScheduleMode::VirtualTime && config.workers > 1 {
            return virtual_machine(config, network, weights, (&Hands::Children, 1));
        }
        if mode == ScheduleMode::VirtualTime {
            let settings = virtual_time(config, network);
            let network = VirtualNetwork::new(network, weights, &settings);
            if settings.shards > 1 {
                let (shards, wanted) = (network.shards(), settings.shards);
                let lookahead = network.lookahead().map_or(0.0, Time::units);
                tracing::info!(
                    shards,
                    wanted,
                    lookahead,
                    "virtual time; layers are not cut apart where links may deliver at once"
                );
            }
            return Ok(Machine::Virtual(Box::new(network)));
        }
        let (rate, order) = (config.inference.activity_lr, config.schedule.order);
        let reference = Synchronous::in_order(network, weights, rate, optimizer(config), order);
        return Ok(Machine::Reference(Box::new(reference.with_numerics(numerics(config)))));
    };
    let settings = settings(config, schedule);
    if config.workers > 1 {
        return workers::machine(config, network, weights, settings, (&Hands::Children, 1));
    }
    let transport = match config.links.transport {
        LinkTransport::Auto | LinkTransport::InProcess => Transport::InProcess,
        LinkTransport::Bytes => Transport::Bytes,
        LinkTransport::Unix => Transport::Unix,
        LinkTransport::Tcp => Transport::Tcp,
    };
    let laws = if mode == ScheduleMode::FreeRunning { wall_laws(config, network) } else { None };
    Ok(Machine::Actors(Box::new(Engine::with_laws(network, weights, settings, transport, laws)?)))
}

/// How actors are run, but for their number of processes.
fn settings(config: &Config, schedule: Schedule) -> EngineSettings {
    EngineSettings {
        schedule,
        threads: threads(config),
        message: config.links.message,
        rate: config.inference.activity_lr,
        optimizer: optimizer(config),
        numerics: numerics(config),
        stall: Duration::from_secs_f64(config.schedule.stall_seconds),
    }
}
