//! Many runs at a time: a process each, started by as many threads as there are jobs.
//!
//! The process makes its row; if it ends without one, whatever ended it is the reason in the row that is written for it here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::row::{Row, RowStatus};
use super::{Folder, Sweep, SweepError};
use crate::run::RunError;

/// The index is for people who look while it grows; it is not written more often than they can.
const INDEX_EVERY: Duration = Duration::from_secs(2);
/// What a process said last, as far as it goes into a row.
const LOG_END: u64 = 16 * 1024;
/// Exit code of a process that was interrupted and left its run to be continued.
const INTERRUPTED: i32 = 130;

/// Who makes the runs.
#[derive(Clone, Debug)]
pub struct Crew {
    /// The program, called as `PROGRAM sweep --folder FOLDER --task-id RUN`; mostly this one.
    pub program: PathBuf,
    /// Processes at a time.
    pub jobs: usize,
}

/// What the threads share.
struct Shared<'a> {
    rows: BTreeMap<usize, Row>,
    pending: std::vec::IntoIter<usize>,
    indexed: Instant,
    failure: Option<SweepError>,
    observer: &'a mut (dyn FnMut(&Row, usize) + Send),
}

/// Makes every run that has no row yet, or one of a failure, and gives all rows in the order of the grid. `observer` is told of every
/// new row and of how many there are now. When cancelled it starts no further run and waits for those that run; what they leave
/// without a row is missing in the result.
///
/// # Errors
/// Another process runs the same sweep; processes can't be started; rows can't be written. A run that fails is no error.
pub fn run(
    folder: &Folder,
    sweep: &Sweep,
    crew: &Crew,
    cancel: &CancellationToken,
    observer: &mut (dyn FnMut(&Row, usize) + Send),
) -> Result<Vec<Row>, SweepError> {
    let _lock = folder.lock()?;
    let mut rows = BTreeMap::new();
    let mut pending = Vec::new();
    for run in 0..sweep.grid.len() {
        match folder.row(run)? {
            Some(row) if row.status == RowStatus::Done => drop(rows.insert(run, row)),
            _ => {
                folder.forget(run)?;
                pending.push(run);
            }
        }
    }
    let jobs = crew.jobs.clamp(1, pending.len().max(1));
    let shared =
        Mutex::new(Shared { rows, pending: pending.into_iter(), indexed: Instant::now(), failure: None, observer });
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| work(folder, sweep, crew, cancel, &shared));
        }
    });
    let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    let rows: Vec<Row> = shared.rows.into_values().collect();
    folder.write_index(&sweep.grid, &rows)?;
    match shared.failure {
        Some(failure) => Err(failure),
        None => Ok(rows),
    }
}

/// A thread that panicked holds no half of anything: every row is put in whole.
fn held<'m, 'a>(shared: &'m Mutex<Shared<'a>>) -> MutexGuard<'m, Shared<'a>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(folder: &Folder, sweep: &Sweep, crew: &Crew, cancel: &CancellationToken, shared: &Mutex<Shared<'_>>) {
    loop {
        let next = {
            let mut shared = held(shared);
            if shared.failure.is_some() || cancel.is_cancelled() { None } else { shared.pending.next() }
        };
        let Some(run) = next else { return };
        match one(folder, sweep, crew, run, cancel) {
            Ok(Some(row)) => {
                let mut shared = held(shared);
                shared.rows.insert(run, row.clone());
                let count = shared.rows.len();
                (shared.observer)(&row, count);
                if shared.indexed.elapsed() >= INDEX_EVERY {
                    let rows: Vec<Row> = shared.rows.values().cloned().collect();
                    if let Err(error) = folder.write_index(&sweep.grid, &rows) {
                        shared.failure.get_or_insert(error.into());
                    }
                    shared.indexed = Instant::now();
                }
            }
            Ok(None) => {}
            Err(error) => drop(held(shared).failure.get_or_insert(error)),
        }
    }
}

/// Runs a process to its end; `None` if it was interrupted.
fn one(
    folder: &Folder,
    sweep: &Sweep,
    crew: &Crew,
    run: usize,
    cancel: &CancellationToken,
) -> Result<Option<Row>, SweepError> {
    let log = folder.log_file(run);
    let stderr = File::create(&log).map_err(RunError::io("created", &log))?;
    let status = Command::new(&crew.program)
        .args(["sweep", "--folder"])
        .arg(folder.path())
        .args(["--task-id", &run.to_string()])
        // A row has room for the message of a panic, not for its backtrace.
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .status()
        .map_err(|source| SweepError::Program { program: crew.program.clone(), source })?;
    if let Some(row) = folder.row(run)? {
        if row.status == RowStatus::Done {
            std::fs::remove_file(&log).map_err(RunError::io("removed", &log))?;
        }
        return Ok(Some(row));
    }
    let was_interrupted = status.code() == Some(INTERRUPTED) || (cancel.is_cancelled() && status.code().is_none());
    if was_interrupted {
        return Ok(None);
    }
    let Some(point) = sweep.grid.point(run) else { return Ok(None) };
    let row = Row::failed(point, &format!("its process ended with {}: {}", ending(status), last_words(&log)?));
    folder.put(&row)?;
    Ok(Some(row))
}

fn ending(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("signal {signal}");
    }
    status.code().map_or_else(|| "no exit code".to_owned(), |code| format!("exit code {code}"))
}

/// From the message of a panic on, or the last line.
fn last_words(log: &Path) -> Result<String, RunError> {
    let mut file = File::open(log).map_err(RunError::io("opened", log))?;
    let length = file.metadata().map_err(RunError::io("read", log))?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_END))).map_err(RunError::io("read", log))?;
    let mut bytes = Vec::new();
    file.take(LOG_END).read_to_end(&mut bytes).map_err(RunError::io("read", log))?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let from = lines.iter().position(|line| line.contains("panicked at")).unwrap_or(lines.len().saturating_sub(1));
    let said = lines[from..].iter().filter(|line| !line.starts_with("note: run with")).copied().collect::<Vec<_>>();
    Ok(if said.is_empty() { "it said nothing".to_owned() } else { said.join(" ") })
}
