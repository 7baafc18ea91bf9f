//! Everything that can go wrong with a data set, as one error type.
//!
//! Why it exists: each sentence is read by somebody who wants to start an experiment, so each names
//! the file, what was expected, what was found, and what to do about it. The sentence is complete by
//! itself: it contains the reason given by the operating system, which is also kept as the source
//! for programs that want it.
//!
//! Where to go next: [`super::idx_problem`] for the content of single files, [`super::fetch`] for
//! the errors about mirrors.

use std::io;
use std::path::{Path, PathBuf};

use super::idx_problem::IdxProblem;

/// Why one address did not deliver a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorFailure {
    /// The address that was tried.
    pub url: String,
    /// What went wrong there.
    pub reason: String,
}

/// Everything that can go wrong while reading, fetching or verifying a data set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused something.
    #[error("cannot {action} {}: {source}; {}", .path.display(), advice(.source.kind()))]
    Io {
        /// What was attempted, as in "cannot *read* …".
        action: &'static str,
        /// The file or folder concerned.
        path: PathBuf,
        /// The reason given by the operating system.
        source: io::Error,
    },
    /// The content of one IDX file is refused.
    #[error("{} {source}", .path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// Why it is refused.
        source: IdxProblem,
    },
    /// The data folder does not exist, or is not a folder.
    #[error(
        "{dir} is not a folder, expected one with the four files of a data set; \
         `asynapse data fetch mnist --dir {dir}` creates and fills it", dir = .dir.display()
    )]
    NotAFolder {
        /// The path given.
        dir: PathBuf,
    },
    /// Some of the four files are not there.
    #[error(
        "the data folder {dir} is incomplete: {missing}; \
         `asynapse data fetch mnist --dir {dir}` downloads what is missing", dir = .dir.display()
    )]
    MissingFiles {
        /// The data folder.
        dir: PathBuf,
        /// What is missing, with every spelling looked for.
        missing: String,
    },
    /// An image file and its label file do not belong together.
    #[error(
        "{} holds {label_count} labels, expected {image_count}, one for each image in {}; \
         take both files from the same data set", .labels.display(), .images.display()
    )]
    CountMismatch {
        /// The image file.
        images: PathBuf,
        /// How many images it holds.
        image_count: usize,
        /// The label file.
        labels: PathBuf,
        /// How many labels it holds.
        label_count: usize,
    },
    /// Training and test images differ in size.
    #[error(
        "{} holds images of {} x {} pixels, expected {} x {} as in the training images; \
         take all files from the same data set",
        .test.display(), .found.0, .found.1, .expected.0, .expected.1
    )]
    SizeMismatch {
        /// The file of test images.
        test: PathBuf,
        /// Rows and columns of the training images.
        expected: (usize, usize),
        /// Rows and columns of the test images.
        found: (usize, usize),
    },
    /// Nothing to tell apart.
    #[error(
        "{} holds only label 0, expected at least two classes (labels 0 and 1); \
         check that it is the right label file", .path.display()
    )]
    OneClass {
        /// The file of training labels.
        path: PathBuf,
    },
    /// More samples asked for than the folder has.
    #[error("{key} asks for {wanted} samples, {} has {held} to give; choose fewer, or 0 for all", .dir.display())]
    TooFew {
        /// The key of the configuration.
        key: &'static str,
        /// Samples asked for.
        wanted: usize,
        /// Samples there are.
        held: usize,
        /// The folder.
        dir: PathBuf,
    },
    /// A test label that never occurs in training.
    #[error(
        "label {index} (counted from 0) in {} is {value}, expected less than {classes}, the number \
         of classes in the training labels; take all files from the same data set", .path.display()
    )]
    LabelOutOfRange {
        /// The file of test labels.
        path: PathBuf,
        /// Which label, counted from 0.
        index: usize,
        /// Its value.
        value: u8,
        /// Number of classes in the training labels.
        classes: usize,
    },
    /// No data set of that name in the catalogue.
    #[error("there is no data set called `{name}`, expected one of: {known}; check the spelling")]
    UnknownDataSet {
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A file is already there, but with other content, and must not be lost silently.
    #[error(
        "{} is already there with other content: expected SHA-256 {expected}, found {actual}; \
         move it away, or replace it with --force", .path.display()
    )]
    WrongDigest {
        /// The file.
        path: PathBuf,
        /// The catalogue's digest.
        expected: String,
        /// The file's digest.
        actual: String,
    },
    /// Another download writes the same file at this moment.
    #[error(
        "{} is being written by another download, expected it to be free; \
         wait until that download has ended", .path.display()
    )]
    Busy {
        /// The unfinished file.
        path: PathBuf,
    },
    /// No mirror delivered the file.
    #[error(
        "cannot download {file}: expected one of the mirrors to deliver it, found {}; check the \
         network, name another mirror, or put the file into the folder by hand", listed(.failures)
    )]
    MirrorsFailed {
        /// The file's name.
        file: String,
        /// Every address tried, with the reason it failed.
        failures: Vec<MirrorFailure>,
    },
}

impl DataError {
    /// Wraps an input or output error with what was attempted and where.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> DataError {
        let path = path.to_path_buf();
        DataError::Io { action, path, source }
    }
}

/// What to do about an error of the operating system.
fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "check who may read and write there",
        io::ErrorKind::StorageFull => "make room on the disk and repeat",
        io::ErrorKind::OutOfMemory => "close other programs, or use a machine with more memory",
        _ => "check the disk and repeat",
    }
}

/// The failures of all mirrors in one sentence.
fn listed(failures: &[MirrorFailure]) -> String {
    if failures.is_empty() {
        return "no mirror to try in this build".to_string();
    }
    let reasons: Vec<String> = failures.iter().map(|failure| format!("{}: {}", failure.url, failure.reason)).collect();
    reasons.join("; ")
}
