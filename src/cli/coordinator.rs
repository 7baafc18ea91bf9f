//! `asynapse coordinator`: trains with workers that somebody else starts.

use std::path::PathBuf;
use std::time::Duration;

use super::{Failure, complain, train};
use crate::config::{Config, LinkTransport, ScheduleMode};
use crate::engine::transport::Transport;
use crate::experiment::workers::Hands;
use crate::process::endpoint::Endpoint;
use crate::process::key;
use crate::rule::RuleName;

#[derive(Debug, clap::Args)]
// Its name would be that of the arguments of `train`, which are among these.
#[group(skip)]
#[command(after_help = "As `train`, but it waits for `workers` processes that are started by hand once it listens.

Example:
  asynapse coordinator --listen unix:DIR/a.sock --secret-file DIR/secret mnist data.dir=FOLDER workers=2
  asynapse worker --connect unix:DIR/a.sock --secret-file DIR/secret          twice, in other terminals")]
pub(super) struct Arguments {
    /// Where workers call: unix:PATH, or tcp:ADDRESS:PORT of this machine alone
    #[arg(long, value_name = "ENDPOINT")]
    listen: Endpoint,
    /// The file with the secret of the run; made if it is not there, readable by its owner only
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// Seconds to wait for the workers
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    wait: u32,
    #[command(flatten)]
    training: train::Arguments,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { listen, secret_file, wait, training } = arguments;
    let (config, beginning) = training.load()?;
    fits(&config, &listen).map_err(Failure::input)?;
    let secret = key::make_or_read(&secret_file).map_err(Failure::input)?;
    complain(format_args!(
        "waiting up to {wait} s for {} workers: asynapse worker --connect {listen} --secret-file {}",
        config.workers,
        secret_file.display()
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
    if matches!(listen, Endpoint::Tcp(address) if address.port() == 0) {
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
