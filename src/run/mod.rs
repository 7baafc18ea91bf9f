//! The run directory: created before the first step, the same files pandas, numpy and safetensors open.
//!
//! ```text
//! RUN/config.toml      fully resolved, re-runnable            RUN/metrics.csv   one row per step, and per evaluation
//! RUN/overrides.txt    what was typed                         RUN/layers.csv    tidy: one row per step × layer
//! RUN/meta.json        versions, seed, data, status           RUN/checkpoints/  step-N/: model, optimizer, state
//! RUN/run.log          what was said on the way              RUN/events.log    virtual time: every event of the first batches
//! RUN/generation       lives so far, with workers > 1
//! ```
//!
//! Nothing is overwritten: a run directory that exists is refused, except to resume it. Read on: [`checkpoint`], [`table`],
//! then `crate::experiment`.

pub mod atomic;
pub mod checkpoint;
pub mod events;
pub mod meta;
pub mod table;

use std::fs;
use std::path::{Path, PathBuf};

use atomic::write_atomic;

/// Why a run directory can't be used, naming the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something in the file system.
    #[error("{} could not be {action}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The directory is there already.
    #[error("{} exists already and nothing is overwritten; choose another output.name, or continue it with --resume", .path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// Another process writes there.
    #[error("{} is in use by another run", .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A file holds something else than it should.
    #[error("{}: {problem}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
}

impl RunError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn content(path: &Path, problem: impl Into<String>) -> Self {
        Self::Content { path: path.to_path_buf(), problem: problem.into() }
    }
}

/// An open run directory. The lock is held as long as it lives.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    _lock: fs::File,
}

impl RunDirectory {
    /// Makes a new one: `parent/name`, with its configuration inside.
    pub fn create(parent: &Path, name: &str, config: &str, overrides: &[String]) -> Result<Self, RunError> {
        fs::create_dir_all(parent).map_err(RunError::io("created", parent))?;
        let path = parent.join(name);
        fs::create_dir(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => RunError::Exists { path: path.clone() },
            _ => RunError::io("created", &path)(error),
        })?;
        let run = Self::lock(path)?;
        run.configure(config, overrides)?;
        Ok(run)
    }

    /// Stores the configuration, and adds what was typed to what was typed before.
    pub fn configure(&self, config: &str, overrides: &[String]) -> Result<(), RunError> {
        write_atomic(&self.file("config.toml"), config.as_bytes())?;
        let path = self.file("overrides.txt");
        let mut typed = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            other => other.map_err(RunError::io("read", &path))?,
        };
        overrides.iter().for_each(|line| typed.push_str(&format!("{line}\n")));
        write_atomic(&path, typed.as_bytes())
    }

    /// Opens one that exists, to resume it.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        if !path.join("config.toml").is_file() {
            return Err(RunError::content(path, "is not a run directory: it has no config.toml"));
        }
        Self::lock(path.to_path_buf())
    }

    fn lock(path: PathBuf) -> Result<Self, RunError> {
        let lock_path = path.join(".lock");
        let lock = fs::File::create(&lock_path).map_err(RunError::io("created", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => Err(RunError::InUse { path }),
            Err(fs::TryLockError::Error(error)) => Err(RunError::io("locked", &lock_path)(error)),
        }
    }

    /// Begins another life of the run, in which layers live in processes of their own; its number is on the disk before anybody is
    /// told it.
    pub fn next_generation(&self) -> Result<u64, RunError> {
        let path = self.file("generation");
        let generation = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(RunError::io("read", &path)(error)),
            Ok(text) => {
                let problem =
                    |_| RunError::content(&path, "does not hold a number; write one there that no process knows");
                text.trim_end().parse::<u64>().map_err(problem)?
            }
        };
        let next = generation.checked_add(1);
        let next =
            next.ok_or_else(|| RunError::content(&path, "holds the last number there is; write a smaller one"))?;
        write_atomic(&path, format!("{next}\n").as_bytes())?;
        Ok(next)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}
