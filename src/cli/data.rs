//! `asynapse data list|fetch|verify`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Failure, complain, say};
use crate::data::catalogue::{KNOWN, find};
use crate::data::fetch::{FetchOptions, Origin, Progress, fetch};
use crate::data::verify::{State, verify};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// List the data sets that can be fetched
    List,
    /// Download a data set: mirrors in turn, resumed where it stopped, held against its SHA-256
    Fetch {
        /// mnist, fashion-mnist or kmnist
        name: String,
        /// Where to put the files [default: data/NAME]
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Another mirror, tried instead of the known ones; repeatable, in this order
        #[arg(long, value_name = "URL")]
        mirror: Vec<String>,
        /// Replace files that are there with another content
        #[arg(long)]
        force: bool,
    },
    /// Hold the files of a folder against their published SHA-256
    Verify {
        /// mnist, fashion-mnist or kmnist
        name: String,
        /// Where the files are [default: data/NAME]
        #[arg(long)]
        dir: Option<PathBuf>,
    },
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments {
        Arguments::List => {
            for set in &KNOWN {
                let bytes: u64 = set.files.iter().map(|file| file.bytes).sum();
                say(format_args!("{:<15}{:>6.1} MB  {}", set.name, bytes as f64 / 1e6, set.mirrors.join("  ")));
            }
            Ok(())
        }
        Arguments::Fetch { name, dir, mirror, force } => {
            let set = find(&name).map_err(Failure::input)?;
            let dir = dir.unwrap_or_else(|| Path::new("data").join(set.name));
            let options = FetchOptions { mirrors: mirror, force, ..FetchOptions::default() };
            let mut watcher = Watcher { bar: ProgressBar::hidden() };
            let fetched = fetch(set, &dir, &options, &mut |progress| watcher.see(progress)).map_err(Failure::input)?;
            for file in fetched {
                let origin = match file.origin {
                    Origin::AlreadyThere => "was there".to_owned(),
                    Origin::Downloaded { url } => format!("from {url}"),
                };
                say(format_args!("{}  {}  {origin}", file.path.display(), file.sha256));
            }
            complain(format_args!("train on it with: asynapse train mnist data.dir={}", dir.display()));
            Ok(())
        }
        Arguments::Verify { name, dir } => {
            let set = find(&name).map_err(Failure::input)?;
            let dir = dir.unwrap_or_else(|| Path::new("data").join(set.name));
            let checks = verify(set, &dir).map_err(Failure::input)?;
            let mut bad = Vec::new();
            for check in &checks {
                say(format_args!("{:<28}{}", check.file, verdict(&check.state)));
                if !check.state.is_ok() {
                    bad.push(check.file);
                }
            }
            if bad.is_empty() { Ok(()) } else { Err(Failure::input(format!("not as published: {}", bad.join(", ")))) }
        }
    }
}

fn verdict(state: &State) -> String {
    match state {
        State::Published => "ok: as published".into(),
        State::SameContent => "ok: the published content, compressed otherwise".into(),
        State::RightStructure => "ok: right structure; no digest of its content is known".into(),
        State::Missing => "missing".into(),
        State::WrongDigest { expected, actual } => format!("wrong: SHA-256 {actual}, expected {expected}"),
        State::WrongCount { expected, actual } => format!("wrong: {actual} items, expected {expected}"),
        State::Unreadable(error) => format!("unreadable: {error}"),
    }
}

/// Progress of a download: a bar on a terminal, a line per file elsewhere.
struct Watcher {
    bar: ProgressBar,
}

impl Watcher {
    fn see(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::AlreadyThere { .. } => {}
            Progress::Started { file, url, from, total } => {
                complain(format_args!("{file}: {url}{}", if from > 0 { ", resumed" } else { "" }));
                if std::io::stderr().is_terminal() {
                    self.bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
                    if let Ok(style) =
                        ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
                    {
                        self.bar.set_style(style);
                    }
                    self.bar.set_position(from);
                }
            }
            Progress::Received { received, .. } => self.bar.set_position(received),
            Progress::Failed { file, url, reason } => {
                self.bar.finish_and_clear();
                complain(format_args!("{file}: {url}: {reason}"));
            }
            Progress::Finished { .. } => self.bar.finish_and_clear(),
        }
    }
}
