//! The folder of a sweep: the grid, a file per row, and the index made of them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::row::{self, Row};
use super::{Grid, RunKind, SweepError};
use crate::run::RunError;
use crate::run::atomic::write_atomic;

/// Version of the format of `sweep.json`.
const FORMAT: u32 = 1;

/// What is swept: everything a process needs to make one run of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    format: u32,
    program: String,
    /// What a run is.
    pub kind: RunKind,
    /// Which runs there are.
    pub grid: Grid,
}

impl Sweep {
    /// A sweep of this program.
    pub fn new(kind: RunKind, grid: Grid) -> Self {
        Self { format: FORMAT, program: format!("asynapse {}", env!("CARGO_PKG_VERSION")), kind, grid }
    }
}

/// A sweep's folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes a new one.
    ///
    /// # Errors
    /// It exists, or can't be made.
    pub fn create(path: &Path, sweep: &Sweep) -> Result<Self, SweepError> {
        if path.exists() {
            let what =
                "exists already and nothing is overwritten; choose another output.name, or continue it with --resume";
            return Err(RunError::content(path, what).into());
        }
        Self::join(path, sweep)
    }

    /// Takes part in a sweep that others may have begun: makes its folder, or finds it with the same sweep.
    ///
    /// # Errors
    /// The folder is that of another sweep, or can't be used.
    pub fn join(path: &Path, sweep: &Sweep) -> Result<Self, SweepError> {
        let folder = Self { path: path.to_path_buf() };
        if !folder.file("sweep.json").exists() {
            let rows = folder.file("rows");
            fs::create_dir_all(&rows).map_err(RunError::io("created", &rows))?;
            let text = serde_json::to_vec_pretty(sweep).map_err(|error| RunError::content(path, error.to_string()))?;
            write_atomic(&folder.file("sweep.json"), &text)?;
        }
        let (folder, stored) = Self::open(path)?;
        let what = if stored.kind != sweep.kind {
            Some(format!("its runs are `{}`, not `{}`", stored.kind, sweep.kind))
        } else {
            sweep.grid.difference(&stored.grid)
        };
        match what {
            None => Ok(folder),
            Some(what) => {
                let what = format!("holds another sweep: {what}; choose another output.name, or give the same grid");
                Err(RunError::content(path, what).into())
            }
        }
    }

    /// Opens one that exists.
    ///
    /// # Errors
    /// It is none, or was written by another version.
    pub fn open(path: &Path) -> Result<(Self, Sweep), SweepError> {
        let file = path.join("sweep.json");
        if !file.is_file() {
            return Err(RunError::content(path, "is not the folder of a sweep: it has no sweep.json").into());
        }
        let text = fs::read(&file).map_err(RunError::io("read", &file))?;
        let sweep: Sweep = serde_json::from_slice(&text)
            .map_err(|error| RunError::content(&file, format!("is not a sweep this program can read: {error}")))?;
        if sweep.format != FORMAT {
            let what = format!("has format {}, this program reads {FORMAT}", sweep.format);
            return Err(RunError::content(&file, what).into());
        }
        Ok((Self { path: path.to_path_buf() }, sweep))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Keeps other processes from running the same sweep as long as the file is held.
    pub(super) fn lock(&self) -> Result<fs::File, RunError> {
        let path = self.file(".lock");
        let lock = fs::File::create(&path).map_err(RunError::io("created", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(fs::TryLockError::WouldBlock) => Err(RunError::InUse { path: self.path.clone() }),
            Err(fs::TryLockError::Error(error)) => Err(RunError::io("locked", &path)(error)),
        }
    }

    /// What a run is called.
    pub(super) fn name(run: usize) -> String {
        format!("run-{run:06}")
    }

    fn row_file(&self, run: usize) -> PathBuf {
        self.file("rows").join(format!("{}.json", Self::name(run)))
    }

    /// Where the process of a run says what it has to say.
    pub(super) fn log_file(&self, run: usize) -> PathBuf {
        self.file("rows").join(format!("{}.log", Self::name(run)))
    }

    /// The row of a run, if it was made.
    ///
    /// # Errors
    /// The file is there and can't be read as the row of this run.
    pub fn row(&self, run: usize) -> Result<Option<Row>, SweepError> {
        let path = self.row_file(run);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(RunError::io("read", &path))?,
        };
        let row: Row = serde_json::from_slice(&text)
            .map_err(|error| RunError::content(&path, format!("is no row: {error}; remove it to run it again")))?;
        if row.run != run {
            return Err(RunError::content(&path, format!("is the row of run {}", row.run)).into());
        }
        Ok(Some(row))
    }

    /// Stores the row of a run; a row of an earlier attempt is replaced.
    pub(super) fn put(&self, row: &Row) -> Result<(), RunError> {
        let path = self.row_file(row.run);
        let text = serde_json::to_vec_pretty(row).map_err(|error| RunError::content(&path, error.to_string()))?;
        write_atomic(&path, &text)
    }

    /// Takes away what an earlier attempt left of a row.
    pub(super) fn forget(&self, run: usize) -> Result<(), RunError> {
        for path in [self.row_file(run), self.log_file(run)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(RunError::io("removed", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Gathers the rows there are, in the order of the grid, and writes `index.csv`.
    ///
    /// # Errors
    /// A row that can't be read, an index that can't be written.
    pub fn collect(&self, grid: &Grid) -> Result<Vec<Row>, SweepError> {
        let rows = (0..grid.len()).filter_map(|run| self.row(run).transpose()).collect::<Result<Vec<_>, _>>()?;
        self.write_index(grid, &rows)?;
        Ok(rows)
    }

    /// Writes `index.csv`, whole or not at all.
    pub(super) fn write_index(&self, grid: &Grid, rows: &[Row]) -> Result<(), RunError> {
        let path = self.file("index.csv");
        let keys: Vec<&str> = grid.axes().iter().map(|axis| axis.key.as_str()).collect();
        let text = row::table(&keys, rows).map_err(|error| RunError::content(&path, error.to_string()))?;
        write_atomic(&path, &text)
    }
}
