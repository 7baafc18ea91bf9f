//! `asynapse worker`: runs some layers of a network for a coordinator. Nobody types this for `workers = N`; `train` does it.
//!
//! ```text
//! calls ──let in──► layers, links ──farewell──► exit 0
//!   ▲                   │ cut: the coordinator or a neighbour is gone
//!   └──── --wait ◄──────┘ and is called again, for a place in the next generation; exit 75 when that is over
//! ```

use std::thread;
use std::time::{Duration, Instant};

use super::keys::{Chosen, Missing};
use super::{Failure, complain};
use crate::process::ProcessError;
use crate::process::endpoint::Endpoint;
use crate::process::worker::{Parting, Reached, Stint, WorkerOptions, run as run_worker};

/// Between two calls, at first; every further pause is twice as long …
const PAUSE: Duration = Duration::from_millis(50);
/// … up to this.
const PAUSE_MOST: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "It is told which layers, and ends with exit code 0 when the coordinator says that the run is over. When another worker or the
coordinator dies, one that was given --wait calls again and takes part in the next generation; without, or if nobody lets it in,
it ends with 75: start it again (in a loop, or by requeueing its job).

Example, in two more terminals beside `asynapse coordinator --listen unix:DIR/a.sock --secret-file DIR/secret workers=2`:
  asynapse worker --connect unix:DIR/a.sock --secret-file DIR/secret

On another host, beside `asynapse coordinator --listen tcp:node1:7400 --keys DIR workers=2` on node1 (see `asynapse keys --help`):
  asynapse worker --join tcp:node1:7400 --keys DIR --wait 60
  until asynapse worker --join tcp:node1:7400 --keys DIR --wait 60; do [ $? -ge 75 ] || break; done   comes back if it is killed"
)]
pub(super) struct Arguments {
    /// Where the coordinator listens: unix:PATH or tcp:HOST:PORT; a port of another machine needs --keys
    #[arg(long, visible_alias = "join", value_name = "ENDPOINT")]
    connect: Endpoint,
    #[command(flatten)]
    keys: Chosen,
    /// Seconds to call again for, as long as nobody listens there or all places are taken, and when the connection was cut
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    wait: u32,
    /// Threads for its layers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Started by its coordinator, which knows how it ends
    #[arg(long, hide = true)]
    child: bool,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { connect, keys, wait, threads, child } = arguments;
    let opened = keys.open(connect, Missing::Refuse);
    let (connect, secret) = opened
        .map_err(|failure| Failure { message: failure.message.replacen("error: ", "error: worker: ", 1), ..failure })?;
    let options = WorkerOptions { connect, threads: threads.into(), owns_process: true };
    let mut search = Search::begin(wait);
    loop {
        let Stint { reached, outcome } = run_worker(&options, &secret);
        if reached == Reached::Work {
            search = Search { was_cut: true, ..Search::begin(wait) };
        }
        let may_pass = match &outcome {
            Ok(Parting::Farewell) => return Ok(()),
            Ok(Parting::Cut) if child => return Ok(()),
            Ok(Parting::Cut) => true,
            // Once it was let in, what failed was somebody else's death, or will fail again and be given up.
            Err(error) => reached > Reached::Nobody || error.may_pass(),
        };
        if !may_pass || Instant::now() >= search.until {
            return ended(outcome, &search, wait);
        }
        if reached > Reached::Nobody {
            let how = outcome.err().map_or_else(|| "was cut".to_owned(), |error| error.to_string());
            complain(format_args!("worker: {how}; calling {} again for up to {wait} s", options.connect));
        }
        thread::sleep(search.pause);
        search.pause = (2 * search.pause).min(PAUSE_MOST);
    }
}

/// Calls in vain.
struct Search {
    until: Instant,
    pause: Duration,
    /// It had layers before.
    was_cut: bool,
}

impl Search {
    fn begin(wait: u32) -> Self {
        Self { until: Instant::now() + Duration::from_secs(wait.into()), pause: PAUSE, was_cut: false }
    }
}

/// How it ends if not by a farewell: 75 if another start may help, 2 if nobody ever let it in.
fn ended(outcome: Result<Parting, ProcessError>, search: &Search, wait: u32) -> Result<(), Failure> {
    let cut = || ProcessError::Cut { seconds: wait.into() };
    let error = match outcome {
        Err(error) if search.was_cut && error.may_pass() => cut(),
        Err(error) => error,
        Ok(_) => cut(),
    };
    let code = if matches!(error, ProcessError::Talk(_) | ProcessError::Cut { .. }) { 75 } else { 2 };
    Err(Failure::input(format!("worker: {error}")).with_code(code))
}
