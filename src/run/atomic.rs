//! The only way a whole file is written: temporary file, fsync, rename, fsync of the folder. A reader sees the old file or the
//! new one, never a part; a crash at any point leaves the old one.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::RunError;

/// Writes `bytes` to `path`.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let temporary = beside(path);
    let written = write_synced(&temporary, bytes);
    if written.is_err() {
        // The old file stands; whatever was begun is of no use.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    fs::rename(&temporary, path).map_err(RunError::io("renamed", path))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Writes a new file and waits until it is on the disk.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let mut file = File::create(path).map_err(RunError::io("created", path))?;
    file.write_all(bytes).map_err(RunError::io("written", path))?;
    file.sync_all().map_err(RunError::io("synced", path))
}

/// Waits until the names in a folder are on the disk.
pub(super) fn sync_folder(path: &Path) -> Result<(), RunError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let folder = File::open(path).map_err(RunError::io("opened", path))?;
    folder.sync_all().map_err(RunError::io("synced", path))
}

/// A temporary name in the same folder.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp.{}", std::process::id()))
}
