//! What must hold between the keys of the data.

use super::broken;
use crate::config::DataName;
use crate::config::diagnostic::Diagnostic;
use crate::config::values::Config;

/// More digits than this would ask for more memory than a machine is sure to have.
const DIGITS_MOST: usize = 1_000_000;

pub(super) fn data_have_a_folder(config: &Config) -> Option<Diagnostic> {
    let missing = config.data.name == DataName::Idx && config.data.dir.is_empty();
    missing.then(|| {
        Diagnostic::error("`data.dir` must name the folder of the IDX files")
            .help("give data.dir=FOLDER, or run `asynapse data fetch mnist` to get the files of MNIST")
    })
}

pub(super) fn digits_need_no_folder(config: &Config) -> Option<Diagnostic> {
    if config.data.name != DataName::Digits || config.data.dir.is_empty() {
        return None;
    }
    broken(
        "`data.dir` cannot be used with the digits of the generator",
        "leave `data.name` out or set it to `idx` to read the folder; leave `data.dir` out to have the digits",
    )
}

pub(super) fn digits_are_counted(config: &Config, path: &str, samples: usize) -> Option<Diagnostic> {
    if config.data.name != DataName::Digits {
        return None;
    }
    if samples > DIGITS_MOST {
        let title = format!("`{path}` must be at most {DIGITS_MOST} for the digits of the generator");
        return broken(title, "all of them are drawn before training, 784 bytes each");
    }
    if samples > 0 {
        return None;
    }
    broken(
        format!("`{path}` must be at least 1 for the digits of the generator"),
        "0 means all of a set, and the generator has no end",
    )
}

pub(super) fn validation_leaves_some(config: &Config) -> Option<Diagnostic> {
    let data = &config.data;
    if data.train == 0 || data.validation < data.train {
        return None;
    }
    broken(
        format!("`data.validation` takes all {} training samples", data.train),
        "the validation samples are taken from the end of the training samples; some must be left",
    )
}
