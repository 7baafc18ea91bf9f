//! `asynapse coordinator`: trains with workers that somebody else starts.

use std::time::Duration;

use super::keys::{Chosen, Missing};
use super::{Failure, complain, train};
use crate::config::{Config, LinkTransport, ScheduleMode};
use crate::engine::transport::Transport;
use crate::experiment::workers::Hands;
use crate::process::endpoint::Endpoint;
use crate::rule::RuleName;

#[derive(Debug, clap::Args)]
// Its name would be that of the arguments of `train`, which are among these.
#[group(skip)]
#[command(after_help = "As `train`, but it waits for `workers` processes that are started by hand once it listens.

Example:
  asynapse coordinator --listen unix:DIR/a.sock --secret-file DIR/secret mnist data.dir=FOLDER workers=2
  asynapse worker --connect unix:DIR/a.sock --secret-file DIR/secret          twice, in other terminals

On several hosts, with keys made by `asynapse keys DIR`:
  asynapse coordinator --listen tcp:node1:7400 --keys DIR mnist data.dir=FOLDER workers=2
  asynapse worker --join tcp:node1:7400 --keys DIR                           on every host")]
pub(super) struct Arguments {
    /// Where workers call: unix:PATH or tcp:HOST:PORT; a port that other machines can reach needs --keys
    #[arg(long, value_name = "ENDPOINT")]
    listen: Endpoint,
    #[command(flatten)]
    keys: Chosen,
    /// Seconds to wait for the workers
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    wait: u32,
    #[command(flatten)]
    training: train::Arguments,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { listen, keys, wait, training } = arguments;
    let (config, beginning) = training.load()?;
    fits(&config, &listen).map_err(Failure::input)?;
    let (listen, secret) = keys.open(listen, Missing::Make)?;
    complain(format_args!(
        "waiting up to {wait} s for {} workers: asynapse worker --join {listen} {}",
        config.workers,
        keys.words()
    ));
    let hands = Hands::Callers { listen, secret, patience: Duration::from_secs(wait.into()) };
    training.train(&config, beginning, &hands)
}

/// What a configuration says that this way of running can't honour.
fn fits(config: &Config, listen: &Endpoint) -> Result<(), String> {
    let apart = matches!(config.schedule.mode, ScheduleMode::LockStep | ScheduleMode::FreeRunning);
    if config.learning.rule == RuleName::Backprop || !apart {
        return Err(
            "a coordinator runs layers; give a rule other than backprop, in the mode lock-step or free-running".into(),
        );
    }
    if listen.port() == Some(0) {
        return Err(format!("{listen}: workers have to be told a port; give one above 0"));
    }
    let wanted = match config.links.transport {
        LinkTransport::Auto => return Ok(()),
        LinkTransport::InProcess => Transport::InProcess,
        LinkTransport::Bytes => Transport::Bytes,
        LinkTransport::Unix => Transport::Unix,
        LinkTransport::Tcp => Transport::Tcp,
    };
    let given = listen.transport();
    if wanted == given {
        return Ok(());
    }
    Err(format!(
        "links.transport is `{wanted}`, but workers that call at {listen} are linked by `{given}`; leave it at `auto`"
    ))
}
