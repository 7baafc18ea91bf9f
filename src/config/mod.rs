//! The configuration of a run: a TOML file or a preset, plus `key=value` overrides, with errors that point.
//!
//! [`load`] is the way in. It reports every problem it can find in one pass, each with file, line, caret and the
//! nearest known name, and gives either a [`Config`] that is fully resolved and checked, or a [`ConfigError`].
//! Nothing is printed here and nothing is ignored. [`to_toml`] is the way back out; [`schema()`] and [`key_table`]
//! describe the keys.
//!
//! The reading order is the order of the modules below. To add a key: a field in `values.rs`, an entry in `keys.rs`,
//! a line in `configs/README.md`; the tests say which of these is missing.

// The words of the mathematics that a configuration can choose from; the other files of this module
// take them from here.
use crate::data::dataset::Scale;
use crate::energy::{Activation, EnergyKind, Loss};
use crate::engine::virtual_time::kernel::Time;
use crate::math::Dtype;
use crate::math::law::{Drawn, Law};
use crate::math::optimizer::OptimizerKind;
use crate::math::rounding::Format;
use crate::network::{FeedbackKind, Init};
use crate::reference::Order;
use crate::rule::spelt_out::ReadOut;
use crate::rule::{FreePhase, Nudging, RuleName, UpdateTime, Variables};
use crate::signal::Message;

// What a problem looks like.
mod diagnostic;

// What a key may hold, which keys there are, and what they hold by default.
mod kind;

mod keys;

mod asynchrony;

mod values;

mod write;

// From a text to names and values with places.
mod source;

mod document;

// From names and values to a configuration.
mod suggest;

mod accept;

mod gather;

// What must hold between the values.
mod rules;

mod reach;

mod caution;
mod idle;

// The configurations that come with the program, and the keys for other readers.
mod presets;

mod schema;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

pub use asynchrony::{ClockOverride, Clocks, DeliveryName, LinkOverride, Links};
pub use diagnostic::{ConfigError, Diagnostic, Level, Mark, Place};
pub use keys::{KEYS, Key, Parts, SECTIONS, Section};
pub use kind::{Interval, Kind};
pub use presets::{Preset, presets};
pub use schema::{key_table, schema};
pub use values::{
    Auto, Config, Data, DataName, Groups, GroupsWord, Inference, Learning, LinkTransport, Model, Numerics, Output,
    Placing, Precision, Record, Schedule, ScheduleMode,
};
pub use write::to_toml;

use gather::Gathered;
use source::Source;

/// A configuration that can be run, and where it is from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration, fully resolved and checked.
    pub config: Config,
    /// The name of the preset, or the file name without `.toml`.
    pub name: String,
    /// The source that is not an override: `preset digits`, or the path of the file.
    pub origin: String,
    /// The overrides as they were given.
    pub overrides: Vec<String>,
    /// For every key that was set, where: `file:line`, or which override.
    pub set_at: BTreeMap<&'static str, String>,
    /// Settings that have no effect. Worth showing, no reason to stop.
    pub warnings: Vec<Diagnostic>,
}

/// Reads a configuration and checks it.
///
/// `target` is the path of a TOML file or the name of a preset; without one it is the preset `digits`. A name with
/// a separator or the ending `.toml` is a path, any other is a preset first. Overrides are of the form `key=value`;
/// later ones win.
///
/// # Errors
/// Every problem that was found: a file that cannot be read, text that is not TOML, unknown keys, values that a key
/// cannot hold, and combinations that cannot be honoured.
pub fn load(target: Option<&str>, overrides: &[String]) -> Result<Loaded, ConfigError> {
    let (name, source) = find_source(target)?;
    resolve(name, &source, overrides)
}

/// The text of a configuration before any override, for whoever reads it many times with other overrides ([`load_text`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// As in [`Loaded`].
    pub name: String,
    /// As in [`Loaded`].
    pub origin: String,
    /// TOML.
    pub text: String,
}

/// Finds the text of a configuration; `target` as for [`load`].
///
/// # Errors
/// A file that cannot be read, a name that is neither a preset nor a file.
pub fn text_of(target: Option<&str>) -> Result<Text, ConfigError> {
    let (name, Source { origin, text, .. }) = find_source(target)?;
    Ok(Text { name, origin, text })
}

/// Reads a configuration from text instead of a file; `origin` stands for the file in messages.
///
/// # Errors
/// As for [`load`].
pub fn load_text(origin: &str, text: &str, overrides: &[String]) -> Result<Loaded, ConfigError> {
    resolve(stem(origin), &Source::document(origin, text), overrides)
}

/// Checks a configuration that was built by hand. Messages point into its [`to_toml`] text.
///
/// # Errors
/// As for [`load`].
pub fn check(config: &Config) -> Result<(), ConfigError> {
    load_text("resolved configuration", &to_toml(config), &[]).map(|_| ())
}

fn find_source(target: Option<&str>) -> Result<(String, Source), Diagnostic> {
    let Some(target) = target else {
        return Ok(preset_source(presets::DEFAULT));
    };
    let path = Path::new(target);
    let looks_like_a_path = target.contains(std::path::is_separator) || target.ends_with(".toml");
    if looks_like_a_path {
        return match Source::file(path) {
            Ok(source) => Ok((stem(target), source)),
            Err(problem) if path.exists() => Err(problem),
            Err(problem) => Err(presets::with_offer(problem, &stem(target))),
        };
    }
    match presets::find_preset(target) {
        Some(preset) => Ok(preset_source(preset)),
        None if path.is_file() => Ok((stem(target), Source::file(path)?)),
        None => Err(presets::unknown_preset(target)),
    }
}

fn preset_source(preset: &Preset) -> (String, Source) {
    (preset.name.to_owned(), Source::document(format!("preset {}", preset.name), preset.text))
}

fn stem(path: &str) -> String {
    Path::new(path).file_stem().map_or_else(|| path.to_owned(), |stem| stem.to_string_lossy().into_owned())
}

fn resolve(name: String, source: &Source, overrides: &[String]) -> Result<Loaded, ConfigError> {
    let assignments: Vec<Source> =
        overrides.iter().enumerate().map(|(index, text)| Source::assignment(index + 1, text)).collect();
    let mut gathered = Gathered::default();
    gathered.document(source);
    for assignment in &assignments {
        gathered.assignment(assignment);
    }
    let config = gathered.config()?;
    let mut diagnostics = std::mem::take(&mut gathered.problems);
    diagnostics.extend(rules::errors(&config, &gathered));
    diagnostics.extend(reach::errors(&config, &gathered));
    if !diagnostics.is_empty() {
        return Err(ConfigError { diagnostics });
    }
    Ok(Loaded {
        name,
        origin: source.origin.clone(),
        overrides: overrides.to_vec(),
        set_at: gathered.positions(),
        warnings: idle::warnings(&config, &gathered).into_iter().chain(caution::warning(&config, &gathered)).collect(),
        config,
    })
}
