//! `events.log`: the records of `crate::engine::virtual_time::record`, one after another, read as they come.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::RunError;
use crate::engine::virtual_time::record::Record;

/// Its name in the run directory.
pub const FILE: &str = "events.log";

/// A log that is read from its beginning.
#[derive(Debug)]
pub struct Records<R = BufReader<File>> {
    path: PathBuf,
    file: R,
}

impl Records {
    /// Opens one.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        let file = File::open(path).map_err(RunError::io("opened", path))?;
        Ok(Self::of(path, BufReader::new(file)))
    }
}

impl<R: Read> Records<R> {
    /// Reads one from anywhere; `path` stands for it in messages.
    pub fn of(path: &Path, file: R) -> Self {
        Self { path: path.to_path_buf(), file }
    }

    /// The next record; `None` at the end, and at a record that was torn by a crash.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(&mut self) -> Result<Option<Record>, RunError> {
        let mut bytes = [0; Record::BYTES];
        match self.file.read_exact(&mut bytes) {
            Ok(()) => Ok(Some(Record::from_bytes(&bytes))),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(RunError::io("read", &self.path)(error)),
        }
    }
}
