//! `asynapse coordinator`: trains with workers that somebody else starts.

use super::keys::Chosen;
use super::{Failure, callers, train};
use crate::process::endpoint::Endpoint;

#[derive(Debug, clap::Args)]
// Its name would be that of the arguments of `train`, which are among these.
#[group(skip)]
#[command(
    after_help = "As `train`, but it waits for `workers` processes that are started by hand once it listens. When one
is lost it listens again: survivors that were given --wait come back by themselves, the lost one has to be started again.

Example:
  asynapse coordinator --listen unix:DIR/a.sock --secret-file DIR/secret mnist data.dir=FOLDER workers=2
  asynapse worker --connect unix:DIR/a.sock --secret-file DIR/secret          twice, in other terminals

On several hosts, with keys made by `asynapse keys DIR`:
  asynapse coordinator --listen tcp:node1:7400 --keys DIR mnist data.dir=FOLDER workers=2
  asynapse worker --join tcp:node1:7400 --keys DIR --wait 60                 on every host"
)]
pub(super) struct Arguments {
    /// Where workers call: unix:PATH or tcp:HOST:PORT; a port that other machines can reach needs --keys
    #[arg(long, value_name = "ENDPOINT")]
    listen: Endpoint,
    #[command(flatten)]
    keys: Chosen,
    /// Seconds to wait for the workers, at the start and whenever one was lost
    #[arg(long, default_value_t = callers::WAIT, value_name = "SECONDS")]
    wait: u32,
    #[command(flatten)]
    training: train::Arguments,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { listen, keys, wait, training } = arguments;
    let (config, beginning) = training.load()?;
    let hands = callers::hands(&config, listen, (&keys, wait), "asynapse coordinator")?;
    training.train(&config, beginning, &hands)
}
