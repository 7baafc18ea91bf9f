//! `asynapse worker`: runs some layers of a network for a coordinator. Nobody types this for `workers = N`; `train` does it.

use std::path::{Path, PathBuf};

use super::Failure;
use crate::process::endpoint::Endpoint;
use crate::process::worker::{WorkerOptions, run as run_worker};
use crate::process::{ProcessError, key};

#[derive(Debug, clap::Args)]
#[command(after_help = "It is told which layers, and ends when the coordinator's connection does.

Example, in two more terminals beside `asynapse coordinator --listen unix:DIR/a.sock --secret-file DIR/secret workers=2`:
  asynapse worker --connect unix:DIR/a.sock --secret-file DIR/secret")]
pub(super) struct Arguments {
    /// Where the coordinator listens: unix:PATH, or tcp:ADDRESS:PORT of this machine
    #[arg(long, value_name = "ENDPOINT")]
    connect: Endpoint,
    /// The file with the secret of the run, which only its owner may read; `-` for standard input
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// Threads for its layers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { connect, secret_file, threads } = arguments;
    let secret = if secret_file == Path::new("-") {
        key::receive(&mut std::io::stdin().lock())
    } else {
        key::read(&secret_file)
    };
    let secret = secret.map_err(|error| Failure::input(format!("worker: {error}")))?;
    let options = WorkerOptions { connect, threads: threads.into(), owns_process: true };
    run_worker(&options, &secret).map_err(|error| {
        let code = if matches!(error, ProcessError::Talk(_)) { 75 } else { 2 };
        Failure::input(format!("worker: {error}")).with_code(code)
    })
}
