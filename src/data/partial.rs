//! The unfinished copy of a file that is being downloaded: `<name>.part`.
//!
//! Why it exists: the file under its real name is always complete and verified. Until then the bytes
//! collect in a second file, which survives a cut connection or a stopped program, so that the next
//! attempt only asks for the rest.
//!
//! Where to go next: `download.rs` fills it, [`super::fetch`] decides what becomes of it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::digest;
use super::error::DataError;

/// An open, locked `.part` file; writing always continues at its end.
pub(crate) struct Partial {
    target: PathBuf,
    path: PathBuf,
    file: File,
    length: u64,
}

impl Partial {
    /// Opens or creates the unfinished copy of `target`.
    pub(crate) fn open(target: &Path) -> Result<Self, DataError> {
        let mut name: OsString = target.as_os_str().to_os_string();
        name.push(".part");
        let path = PathBuf::from(name);
        let failed = |source| DataError::io("write", &path, source);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        // Some network file systems know no locks; then two downloads at once are at their own
        // risk, and the digest still catches what they do to each other.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(DataError::Busy { path });
        }
        let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let target = target.to_path_buf();
        Ok(Partial { target, path, file, length })
    }

    /// How many bytes there are already.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Adds bytes at the end.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        let written = self.file.write_all(bytes);
        written.map_err(|source| DataError::io("write", &self.path, source))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Throws all bytes away and starts at zero.
    pub(crate) fn restart(&mut self) -> Result<(), DataError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map_err(|source| DataError::io("empty", &self.path, source))?;
        self.length = 0;
        Ok(())
    }

    /// The digest of the bytes there are, read back from the file.
    pub(crate) fn digest(&mut self) -> Result<String, DataError> {
        let path = &self.path;
        let failed = |source| DataError::io("read", path, source);
        // Through the same handle, because some systems keep a locked file from every other one.
        self.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let digest = digest::of_reader(&mut self.file).map_err(failed)?;
        self.file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(digest)
    }

    /// Gives the complete file its real name, in one step and only after it is safely on the disk.
    pub(crate) fn install(self) -> Result<(), DataError> {
        let synced = self.file.sync_all();
        synced.map_err(|source| DataError::io("write", &self.path, source))?;
        // Closed first, because some systems do not rename open files.
        drop(self.file);
        let renamed = fs::rename(&self.path, &self.target);
        renamed.map_err(|source| DataError::io("rename", &self.path, source))?;
        // The new name is only as safe as the folder's own entry. Not every system can open a
        // folder, and the content is safe already, so failing here is no reason to stop.
        if let Some(folder) = self.target.parent().and_then(|dir| File::open(dir).ok()) {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    /// Removes the file unless it holds bytes worth keeping for the next attempt.
    pub(crate) fn leave(self) -> Result<(), DataError> {
        if self.length > 0 {
            return Ok(());
        }
        drop(self.file);
        fs::remove_file(&self.path).map_err(|source| DataError::io("remove", &self.path, source))
    }
}
