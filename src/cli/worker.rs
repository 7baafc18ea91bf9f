//! `asynapse worker`: runs some layers of a network for a coordinator. Nobody types this for `workers = N`; `train` does it.

use std::thread;
use std::time::{Duration, Instant};

use super::Failure;
use super::keys::{Chosen, Missing};
use crate::process::ProcessError;
use crate::process::endpoint::Endpoint;
use crate::process::worker::{WorkerOptions, run as run_worker};

/// Between two calls when nobody listens.
const BETWEEN_CALLS: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
#[command(after_help = "It is told which layers, and ends when the coordinator's connection does.

Example, in two more terminals beside `asynapse coordinator --listen unix:DIR/a.sock --secret-file DIR/secret workers=2`:
  asynapse worker --connect unix:DIR/a.sock --secret-file DIR/secret

On another host, beside `asynapse coordinator --listen tcp:node1:7400 --keys DIR workers=2` on node1 (see `asynapse keys --help`):
  asynapse worker --join tcp:node1:7400 --keys DIR --wait 60")]
pub(super) struct Arguments {
    /// Where the coordinator listens: unix:PATH or tcp:HOST:PORT; a port of another machine needs --keys
    #[arg(long, visible_alias = "join", value_name = "ENDPOINT")]
    connect: Endpoint,
    #[command(flatten)]
    keys: Chosen,
    /// Seconds to call again for, as long as nobody listens there
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    wait: u32,
    /// Threads for its layers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { connect, keys, wait, threads } = arguments;
    let opened = keys.open(connect, Missing::Refuse);
    let (connect, secret) = opened
        .map_err(|failure| Failure { message: failure.message.replacen("error: ", "error: worker: ", 1), ..failure })?;
    let options = WorkerOptions { connect, threads: threads.into(), owns_process: true };
    let until = Instant::now() + Duration::from_secs(wait.into());
    let outcome = loop {
        match run_worker(&options, &secret) {
            Err(error) if error.is_nobody_there() && Instant::now() < until => thread::sleep(BETWEEN_CALLS),
            ended => break ended,
        }
    };
    outcome.map_err(|error| {
        let code = if matches!(error, ProcessError::Talk(_)) { 75 } else { 2 };
        Failure::input(format!("worker: {error}")).with_code(code)
    })
}
