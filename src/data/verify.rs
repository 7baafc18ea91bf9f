//! Compares the files in a folder with the catalogue.
//!
//! Why it exists: before results are compared or published, it must be certain that they rest on
//! the published data. A file counts as right when its bytes are the ones the mirrors serve. It also
//! counts as right when it only differs in its compression, provided the catalogue knows the digest
//! of the uncompressed content; otherwise a raw file can only be checked for its structure.
//!
//! Where to go next: [`super::catalogue`] for the digests, [`super::fetch`] to replace bad files.

use std::path::{Path, PathBuf};

use super::catalogue::{DataFile, DataSet};
use super::digest;
use super::error::DataError;
use super::folder;
use super::idx;

/// What is known about one file.
#[derive(Debug)]
pub enum State {
    /// Byte for byte the file the mirrors serve.
    Published,
    /// Compressed in another way, or not at all, but with exactly the published content.
    SameContent,
    /// A raw file of the right structure and count; no digest of its content is known to compare.
    RightStructure,
    /// There is no such file, under any of its spellings.
    Missing,
    /// Other bytes than expected.
    WrongDigest {
        /// The digest it should have.
        expected: String,
        /// The digest it has.
        actual: String,
    },
    /// A raw file with another number of images or labels than the data set has.
    WrongCount {
        /// The number it should hold.
        expected: usize,
        /// The number it holds.
        actual: usize,
    },
    /// Not an IDX file of this part, or not readable at all.
    Unreadable(DataError),
}

impl State {
    /// Whether nothing speaks against using the file.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self, State::Published | State::SameContent | State::RightStructure)
    }
}

/// The outcome for one file.
#[derive(Debug)]
pub struct Check {
    /// The file's name in the catalogue.
    pub file: &'static str,
    /// The file that was looked at, unless it is missing.
    pub path: Option<PathBuf>,
    /// SHA-256 of its stored bytes, if they could be read.
    pub sha256: Option<String>,
    /// What is known about it.
    pub state: State,
}

/// Checks every file of a data set in `dir`.
///
/// Bad files are part of the answer, not errors.
///
/// # Errors
/// When `dir` is not a folder.
pub fn verify(dataset: &DataSet, dir: &Path) -> Result<Vec<Check>, DataError> {
    if !dir.is_dir() {
        let dir = dir.to_path_buf();
        return Err(DataError::NotAFolder { dir });
    }
    let checks = dataset.files.iter().map(|file| {
        let published = dir.join(file.name);
        let path = if published.exists() { Some(published) } else { folder::locate(dir, file.role) };
        match path {
            Some(path) => check_file(file, path),
            None => Check { file: file.name, path: None, sha256: None, state: State::Missing },
        }
    });
    Ok(checks.collect())
}

/// Checks one file that exists.
pub(crate) fn check_file(file: &DataFile, path: PathBuf) -> Check {
    let (sha256, state) = match digest::of_file(&path) {
        Err(error) => (None, State::Unreadable(error)),
        Ok(sha256) if sha256 == file.sha256 => (Some(sha256), State::Published),
        Ok(sha256) => {
            let state = check_content(file, &path, &sha256);
            (Some(sha256), state)
        }
    };
    Check { file: file.name, path: Some(path), sha256, state }
}

/// Looks into a file that is not, byte for byte, the published one.
fn check_content(file: &DataFile, path: &Path, sha256: &str) -> State {
    let wrong = |expected: &str, actual: &str| State::WrongDigest {
        expected: expected.to_string(),
        actual: actual.to_string(),
    };
    // The published digest is that of the compressed file, so it says nothing about an unpacked one.
    let published_form =
        path.extension().is_some_and(|ending| ending == "gz") || path.file_name().is_some_and(|name| name == file.name);
    match (idx::examine(path, file.role.kind()), file.content_sha256) {
        (Ok((_, content)), Some(expected)) if content == expected => State::SameContent,
        (_, _) if published_form => wrong(file.sha256, sha256),
        (Err(error), _) => State::Unreadable(error),
        (Ok((actual, _)), _) if actual != file.items => State::WrongCount { expected: file.items, actual },
        (Ok((_, content)), Some(expected)) => wrong(expected, &content),
        (Ok(_), None) => State::RightStructure,
    }
}
