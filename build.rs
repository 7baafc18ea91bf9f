//! Tells the program which commit it was built from, for `meta.json`. Without git or outside a checkout it says nothing.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=.git/HEAD");
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
    };
    // Only the package's own checkout counts, not one it happens to lie in.
    let own = git(&["rev-parse", "--show-prefix"]).is_some_and(|prefix| prefix.is_empty());
    let hash = git(&["rev-parse", "HEAD"]).filter(|_| own).unwrap_or_default();
    let changed = git(&["status", "--porcelain"]).is_some_and(|files| !files.is_empty());
    let dirty = if changed && !hash.is_empty() { "-dirty" } else { "" };
    println!("cargo::rustc-env=ASYNAPSE_GIT={hash}{dirty}");
}
