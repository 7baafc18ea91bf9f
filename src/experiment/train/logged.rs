//! The log of events of a training run in virtual time: of its first `record.event_log` batches, evaluations left out.
//!
//! Before the events of a batch stands a record that says which it is. So a run that goes on at a checkpoint finds the place up to
//! which its log is true, cuts off what is beyond, and ends with the file of a run that was not interrupted.

use std::fs::OpenOptions;
use std::io::{BufWriter, Seek, SeekFrom};
use std::path::Path;

use super::TrainError;
use super::trainer::Trainer;
use crate::config::Config;
use crate::engine::virtual_time::record::{EventLog, Record};
use crate::experiment::machine::Machine;
use crate::math::Real;
use crate::run::RunError;
use crate::run::checkpoint::Position;
use crate::run::events;
use crate::run::meta::{LoggedEvents, Status};

impl<T: Real> Trainer<'_, T> {
    /// Opens the log, cut back to where the run stands.
    pub(super) fn open_events(&mut self) -> Result<(), TrainError> {
        if self.config.record.event_log == 0 || self.meta.status == Status::Done {
            return Ok(());
        }
        let path = self.run.file(events::FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(RunError::io("opened", &path))?;
        let (kept, bytes) = kept(&path, self.config, &self.position)?;
        file.set_len(bytes).map_err(RunError::io("cut back", &path))?;
        file.seek(SeekFrom::End(0)).map_err(RunError::io("read", &path))?;
        self.events = Some(kept.into_sink(Box::new(BufWriter::new(file))));
        self.note_events();
        Ok(())
    }

    /// The next batch is logged, if it is one of the first.
    pub(super) fn begin_events(&mut self) {
        if self.position.step >= self.config.record.event_log as u64 {
            return;
        }
        if let (Some(machine), Some(mut log)) = (&mut self.machine, self.events.take()) {
            log.add(&Record::batch(self.position.step));
            self.events = machine.log_to(log);
        }
    }

    /// The batch is over.
    pub(super) fn end_events(&mut self) {
        if let Some(log) = self.machine.as_mut().and_then(Machine::take_log) {
            self.events = Some(log);
        }
    }

    pub(super) fn flush_events(&mut self) -> Result<(), RunError> {
        if let Some(log) = &mut self.events {
            let path = self.run.file(events::FILE);
            log.finish().map_err(RunError::io("written", &path))?;
            self.note_events();
        }
        Ok(())
    }

    fn note_events(&mut self) {
        if let Some(log) = &self.events {
            let (batches, events, sha256) = (log.batches(), log.events(), log.digest());
            self.meta.events = Some(LoggedEvents { batches, events, sha256 });
        }
    }
}

/// What of a log belongs to the run up to where it stands, and its bytes.
///
/// # Errors
/// A log that cannot be read, or that has not all batches that should be there.
pub(super) fn kept(path: &Path, config: &Config, position: &Position) -> Result<(EventLog, u64), RunError> {
    let made = position.step.min(config.record.event_log as u64);
    let mut kept = EventLog::digest_only();
    let mut bytes = 0;
    if made > 0 || path.is_file() {
        let mut records = events::Records::open(path)?;
        while let Some(record) = records.read()?.filter(|record| *record != Record::batch(made)) {
            kept.goes_on_from(&record);
            bytes += Record::BYTES as u64;
        }
    }
    if kept.batches() == made {
        return Ok((kept, bytes));
    }
    let there = kept.batches();
    let problem = format!(
        "holds {there} batches, and the run has made {made} that should be there; leave record.event_log as it was"
    );
    Err(RunError::content(path, problem))
}
