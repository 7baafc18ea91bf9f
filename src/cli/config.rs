//! `asynapse config show|check|schema|keys|list`.

use super::{Failure, Typed, say, say_json};
use crate::config;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Print the fully resolved configuration, which can be run again
    Show(Typed),
    /// Check a configuration without running it
    Check(Typed),
    /// Print the JSON Schema of a configuration
    Schema,
    /// Print every key with its type, default and meaning (Markdown)
    Keys,
    /// List the presets
    List,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments {
        Arguments::Show(typed) => {
            say(config::to_toml(&typed.load()?.config).trim_end());
            Ok(())
        }
        Arguments::Check(typed) => {
            let loaded = typed.load()?;
            crate::experiment::assemble::network(&loaded.config).map_err(Failure::input)?;
            say(format_args!("{}: ok", loaded.origin));
            Ok(())
        }
        Arguments::Schema => say_json(&config::schema()),
        Arguments::Keys => {
            say(config::key_table().trim_end());
            Ok(())
        }
        Arguments::List => {
            for preset in config::presets() {
                say(format_args!("{:<14}{}", preset.name, preset.summary));
            }
            Ok(())
        }
    }
}
