//! From a configuration to layers in several processes (`crate::process`).

use crate::config::{Config, LinkTransport, Placing, ScheduleMode};
use crate::engine::EngineSettings;
use crate::engine::transport::Transport;
use crate::engine::virtual_time::VirtualSettings;
use crate::engine::virtual_time::laws::dealt;
use crate::math::Real;
use crate::network::{NetworkSpec, Weights};
use crate::process::placement::{Placement, PlacementError};

use super::assemble::virtual_time;
use super::machine::{Machine, StepError};

/// Samples per batch of an evaluation.
pub(super) const EVALUATION_BATCH: usize = 500;

/// Which layers live where.
pub fn placement(config: &Config, network: &NetworkSpec) -> Result<Placement, PlacementError> {
    match &config.schedule.placement {
        Placing::Word(_) if config.schedule.mode == ScheduleMode::VirtualTime => {
            // Cut as shards are.
            let runs = dealt(network, &virtual_time(config, network), config.workers);
            let lists: Vec<Vec<usize>> = runs.into_iter().map(Iterator::collect).collect();
            Placement::of_nodes(&lists, &network.group_counts())
        }
        Placing::Word(_) => Placement::auto(network, config.workers),
        Placing::Lists(lists) => Placement::named(lists, &network.group_counts()),
    }
}

/// The largest batch a run presents: workers make room for no more.
fn batch_most(config: &Config) -> usize {
    config.data.batch_size.max(EVALUATION_BATCH)
}

/// What connects processes.
fn transport(config: &Config) -> Transport {
    if config.links.transport == LinkTransport::Tcp { Transport::Tcp } else { Transport::Unix }
}

/// Who runs the layers of several processes.
#[derive(Clone, Debug)]
pub enum Hands {
    /// Workers that are started here.
    Children,
    /// Workers that somebody else starts.
    #[cfg(unix)]
    Callers {
        /// Where they call.
        listen: crate::process::endpoint::Endpoint,
        /// What they know.
        secret: crate::wire::handshake::Secret,
        /// How long to wait for them, in every generation.
        patience: std::time::Duration,
        /// What was typed to begin so, up to the configuration.
        command: String,
    },
}

impl Hands {
    /// The command that goes on with a run in the same way, but for `--resume` and the run.
    #[must_use]
    pub fn command(&self) -> String {
        match self {
            Self::Children => "asynapse train".to_owned(),
            #[cfg(unix)]
            Self::Callers { command, .. } => command.clone(),
        }
    }

    /// How the workers of another generation come, as the middle of a sentence.
    #[must_use]
    pub fn muster(&self, workers: usize) -> String {
        match self {
            Self::Children => "starts all workers anew".to_owned(),
            #[cfg(unix)]
            Self::Callers { listen, patience, .. } => {
                format!("waits up to {} s at {listen} for {workers} workers to call", patience.as_secs())
            }
        }
    }
}

/// Layers as actors in processes of their own.
#[cfg(unix)]
pub(super) fn machine<T: Real>(
    config: &Config,
    network: &NetworkSpec,
    weights: Weights<T>,
    settings: EngineSettings,
    (hands, generation): (&Hands, u64),
) -> Result<Machine<T>, StepError> {
    use super::assemble::wall_laws;
    use crate::engine::Schedule;
    use crate::process::launch;
    let laws = if settings.schedule == Schedule::FreeRunning { wall_laws(config, network) } else { None };
    let crew = crew(config, network, laws, (hands, generation))?;
    Ok(Machine::Actors(Box::new(launch(network, weights, settings, &crew)?)))
}

/// Virtual time with members in processes of their own.
#[cfg(unix)]
pub(super) fn virtual_machine<T: Real>(
    config: &Config,
    network: &NetworkSpec,
    weights: Weights<T>,
    settings: (EngineSettings, &VirtualSettings),
    hands: (&Hands, u64),
) -> Result<Machine<T>, StepError> {
    let crew = crew(config, network, None, hands)?;
    Ok(Machine::Apart(Box::new(crate::process::launch_virtual(network, weights, settings, &crew)?)))
}

/// Who runs the layers.
#[cfg(unix)]
fn crew(
    config: &Config,
    network: &NetworkSpec,
    laws: Option<crate::engine::wall_clock::WallLaws>,
    (hands, generation): (&Hands, u64),
) -> Result<crate::process::Crew, StepError> {
    use crate::process::{Crew, ProcessError, Source};
    let source = match hands {
        Hands::Children => {
            let program = std::env::current_exe();
            let unknown = |source| ProcessError::System { what: "the path of this program", source };
            Source::Children { program: program.map_err(unknown)?, transport: transport(config) }
        }
        Hands::Callers { listen, secret, patience, .. } => {
            Source::Callers { listen: listen.clone(), secret: secret.clone(), patience: *patience }
        }
    };
    let placement = placement(config, network).map_err(ProcessError::from)?;
    Ok(Crew { placement, batch_most: batch_most(config), source, generation, laws })
}

/// Starts nothing: this needs Unix.
#[cfg(not(unix))]
pub(super) fn machine<T: Real>(
    _config: &Config,
    _network: &NetworkSpec,
    _weights: Weights<T>,
    _settings: EngineSettings,
    _hands: (&Hands, u64),
) -> Result<Machine<T>, StepError> {
    Err(StepError::NoProcesses)
}

/// Starts nothing: this needs Unix.
#[cfg(not(unix))]
pub(super) fn virtual_machine<T: Real>(
    _config: &Config,
    _network: &NetworkSpec,
    _weights: Weights<T>,
    _settings: (EngineSettings, &VirtualSettings),
    _hands: (&Hands, u64),
) -> Result<Machine<T>, StepError> {
    Err(StepError::NoProcesses)
}
