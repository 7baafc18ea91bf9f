//! The folder of a command that measures and draws: new, like that of a run (`crate::run`), and never one that exists.

use std::path::Path;
use std::time::SystemTime;

use super::Failure;
use crate::config::{self, Loaded};
use crate::run::RunDirectory;

/// Makes it: `--out`, or one with the date and the name of the command. `overrides` are what was typed.
pub(super) fn create(
    out: Option<&Path>,
    loaded: &Loaded,
    overrides: &[String],
    command: &str,
) -> Result<RunDirectory, Failure> {
    let path = match out {
        Some(path) => path.to_path_buf(),
        None => {
            let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
            let name = format!("{}-{command}", now.trim_end_matches('Z').replace(':', "-"));
            let folder = Path::new(&loaded.config.output.dir);
            let later = (2..1000).map(|number| folder.join(format!("{name}-{number}")));
            std::iter::once(folder.join(&name)).chain(later).find(|path| !path.exists()).unwrap_or(folder.join(&name))
        }
    };
    if path.exists() {
        let what = "exists already and nothing is overwritten; choose another --out";
        return Err(Failure::input(format!("{} {what}", path.display())));
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Failure::input(format!("--out {}: not the name of a folder", path.display())))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    RunDirectory::create(parent, name, &config::to_toml(&loaded.config), overrides).map_err(Failure::input)
}
