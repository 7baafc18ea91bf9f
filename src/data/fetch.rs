//! Downloads a catalogued data set into a folder, file by file, mirror by mirror.
//!
//! Why it exists: downloads fail in many small ways, and none of them may leave a wrong file behind.
//! A file gets its real name only after its SHA-256 was found right, an existing file is never
//! replaced silently, and what one mirror cannot deliver is asked from the next.
//!
//! Where to go next: [`super::fetch_options`] for what can be chosen, [`super::catalogue`] for what
//! is expected; inside the crate, `download.rs` sends a single request and `partial.rs` keeps the
//! unfinished file.

use std::fs;
use std::path::{Path, PathBuf};

use ureq::Agent;

use super::catalogue::{DataFile, DataSet};
use super::download::{self, Order, Trouble};
use super::error::{DataError, MirrorFailure};
pub use super::fetch_options::{FetchOptions, Limits, Progress, ProxyUse};
use super::partial::Partial;
use super::verify::{self, State};

/// How a file came to be in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It was there before, if only as a complete download that had not got its name yet.
    AlreadyThere,
    /// It was downloaded.
    Downloaded {
        /// The address that delivered it, or the last part of it.
        url: String,
    },
}

/// One file of the data set, now in the folder and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The file's name in the catalogue.
    pub file: &'static str,
    /// Where it lies.
    pub path: PathBuf,
    /// SHA-256 of its stored bytes in lower-case hexadecimal.
    pub sha256: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Makes sure that `dir` holds every file of the data set, downloading what is missing.
///
/// The folder is created if need be. Files that are there and right are left alone, also when they
/// are only compressed differently (see [`super::verify`]).
///
/// # Errors
/// When a file is there with other content and `force` is not set (before anything is downloaded),
/// when no mirror delivers a file, or when the folder cannot be written.
pub fn fetch(
    dataset: &DataSet,
    dir: &Path,
    options: &FetchOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<Fetched>, DataError> {
    fs::create_dir_all(dir).map_err(|source| DataError::io("create", dir, source))?;
    let mut present = Vec::new();
    for file in &dataset.files {
        present.push(already_there(file, dir.join(file.name), options)?);
    }
    let agent = download::agent(&options.limits, options.proxy);
    let mut all = Vec::new();
    for (file, present) in dataset.files.iter().zip(present) {
        let fetched = match present {
            Some(fetched) => {
                progress(Progress::AlreadyThere { file: file.name });
                fetched
            }
            None => {
                let urls = addresses(dataset, file, options);
                let target = dir.join(file.name);
                let errand = Errand { agent: &agent, limits: &options.limits, file, target };
                let fetched = errand.run(&urls, progress)?;
                progress(Progress::Finished { file: file.name });
                fetched
            }
        };
        all.push(fetched);
    }
    Ok(all)
}

/// The file, if it is there and right.
fn already_there(file: &DataFile, path: PathBuf, options: &FetchOptions) -> Result<Option<Fetched>, DataError> {
    if !path.exists() {
        return Ok(None);
    }
    let check = verify::check_file(file, path.clone());
    match (check.state, check.sha256) {
        (State::Published | State::SameContent, Some(sha256)) => {
            Ok(Some(Fetched { file: file.name, path, sha256, origin: Origin::AlreadyThere }))
        }
        _ if options.force => Ok(None),
        (State::Unreadable(error), None) => Err(error),
        (_, sha256) => {
            Err(DataError::WrongDigest { path, expected: file.sha256.to_string(), actual: sha256.unwrap_or_default() })
        }
    }
}

/// The complete addresses of a file, in the order to try.
fn addresses(dataset: &DataSet, file: &DataFile, options: &FetchOptions) -> Vec<String> {
    let complete = |base: &str| format!("{}/{}", base.trim_end_matches('/'), file.name);
    if options.mirrors.is_empty() {
        // The catalogue lists https addresses for builds that can use them.
        let mirrors = dataset.mirrors.iter();
        let tried = mirrors.filter(|base| download::unusable(base).is_none());
        tried.map(|base| complete(base)).collect()
    } else {
        options.mirrors.iter().map(|base| complete(base)).collect()
    }
}

/// How one mirror did.
enum Outcome {
    /// The unfinished file is complete and right.
    Complete,
    /// The mirror could not help, for this reason.
    Failed(String),
}

/// One file to get, and the means for it.
struct Errand<'a> {
    agent: &'a Agent,
    limits: &'a Limits,
    file: &'a DataFile,
    target: PathBuf,
}

impl Errand<'_> {
    /// Gets the file from the first address that delivers it.
    fn run(&self, urls: &[String], progress: &mut dyn FnMut(Progress<'_>)) -> Result<Fetched, DataError> {
        let mut partial = Partial::open(&self.target)?;
        if partial.length() == self.file.bytes && self.objection(&mut partial)?.is_none() {
            return self.install(partial, Origin::AlreadyThere);
        }
        if partial.length() >= self.file.bytes {
            partial.restart()?;
        }
        let mut failures = Vec::new();
        for url in urls {
            match self.ask_mirror(url, &mut partial, progress)? {
                Outcome::Complete => {
                    let url = url.clone();
                    return self.install(partial, Origin::Downloaded { url });
                }
                Outcome::Failed(reason) => failures.push(MirrorFailure { url: url.clone(), reason }),
            }
        }
        partial.leave()?;
        Err(DataError::MirrorsFailed { file: self.file.name.to_string(), failures })
    }

    /// Asks one mirror as often as it gets further.
    fn ask_mirror(
        &self,
        url: &str,
        partial: &mut Partial,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Outcome, DataError> {
        let file = self.file.name;
        if let Some(reason) = download::unusable(url) {
            progress(Progress::Failed { file, url, reason });
            return Ok(Outcome::Failed(reason.to_string()));
        }
        let order = Order { agent: self.agent, limits: self.limits, file, url, bytes: self.file.bytes };
        let mut last = String::new();
        for _ in 0..self.limits.tries.max(1) {
            let before = partial.length();
            let (reason, again) = match download::download(&order, partial, progress) {
                Ok(()) => match self.objection(partial)? {
                    None => return Ok(Outcome::Complete),
                    Some(reason) => {
                        partial.restart()?;
                        // If the beginning came from an earlier attempt, that may have been the
                        // wrong part, and this mirror deserves a fresh start.
                        (reason, before > 0)
                    }
                },
                Err(Trouble::Local(error)) => return Err(error),
                Err(Trouble::Mirror(reason)) => (reason, false),
                Err(Trouble::Again(reason)) => (reason, partial.length() != before),
            };
            progress(Progress::Failed { file, url, reason: &reason });
            last = reason;
            if !again {
                break;
            }
        }
        Ok(Outcome::Failed(last))
    }

    /// What is wrong with the bytes on the disk, measured by the catalogue; nothing if they are right.
    fn objection(&self, partial: &mut Partial) -> Result<Option<String>, DataError> {
        let actual = partial.digest()?;
        let expected = self.file.sha256;
        Ok((actual != expected).then(|| format!("the content is wrong: expected SHA-256 {expected}, found {actual}")))
    }

    /// Gives the verified file its real name.
    fn install(&self, partial: Partial, origin: Origin) -> Result<Fetched, DataError> {
        partial.install()?;
        Ok(Fetched { file: self.file.name, path: self.target.clone(), sha256: self.file.sha256.to_string(), origin })
    }
}
