//! How the secret of a run gets from one process to another: through a pipe to a child, or in a file that only its owner can read.
//! Never on a command line and never in the environment, where others can see it.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::ProcessError;
use super::reception::random;
use crate::wire::handshake::Secret;

/// A new secret.
pub(super) fn fresh() -> Result<Secret, ProcessError> {
    Ok(Secret::new(random().map_err(|source| ProcessError::System { what: "random numbers", source })?))
}

fn hex(secret: &Secret) -> String {
    secret.reveal().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The secret that 64 hexadecimal digits name.
fn parse(text: &str) -> Option<Secret> {
    let text = text.trim_end_matches(['\n', '\r']);
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(Secret::new(bytes))
}

/// Writes a new secret into a new file; reads it if the file is there already.
pub fn make_or_read(path: &Path) -> Result<Secret, ProcessError> {
    let secret = fresh()?;
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match opened.and_then(|mut file| writeln!(file, "{}", hex(&secret)).and(file.sync_all())) {
        Ok(()) => Ok(secret),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => read(path),
        Err(source) => Err(ProcessError::Secret { path: path.to_owned(), problem: source.to_string() }),
    }
}

/// Reads the secret from a file that nobody else can read.
pub fn read(path: &Path) -> Result<Secret, ProcessError> {
    let problem = |problem: String| ProcessError::Secret { path: path.to_owned(), problem };
    let mut file = fs::File::open(path).map_err(|error| problem(error.to_string()))?;
    only_ours(&file).map_err(problem)?;
    from(&mut file).map_err(problem)
}

/// Refuses a file that others may read or write.
pub(super) fn only_ours(file: &fs::File) -> Result<(), String> {
    let about = file.metadata().map_err(|error| error.to_string())?;
    if about.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    let mode = about.mode() & 0o777;
    Err(format!("others may use it too (mode {mode:03o}); make it yours with chmod 600"))
}

/// Reads the secret from a pipe.
pub fn receive(pipe: &mut impl Read) -> Result<Secret, ProcessError> {
    from(pipe).map_err(|problem| ProcessError::Secret { path: "standard input".into(), problem })
}

fn from(reader: &mut impl Read) -> Result<Secret, String> {
    let mut text = String::new();
    reader.take(128).read_to_string(&mut text).map_err(|error| error.to_string())?;
    parse(&text).ok_or_else(|| "it does not hold a secret: 64 hexadecimal digits".to_owned())
}

/// Hands the secret to a child and closes the pipe.
pub(super) fn hand_on(secret: &Secret, pipe: &mut impl Write) -> std::io::Result<()> {
    writeln!(pipe, "{}", hex(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_file_is_private_and_read_back_and_others_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        let secret = make_or_read(&path).expect("a new secret");
        assert_eq!(fs::metadata(&path).expect("a file").mode() & 0o777, 0o600);
        assert!(make_or_read(&path).expect("the same") == secret);
        assert!(fresh().expect("another") != secret);
        let text = fs::read_to_string(&path).expect("digits");
        assert!(!format!("{secret:?}").contains(&text[..8]), "it is not printed by accident");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        let refused = read(&path).expect_err("others may read it").to_string();
        assert!(refused.contains("mode 640") && refused.contains("chmod 600"), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        for wrong in ["", "00", &"0g".repeat(32), &"00".repeat(33), &"é".repeat(32)] {
            fs::write(&path, wrong).expect("write");
            let refused = read(&path).expect_err(wrong).to_string();
            assert!(refused.contains("64 hexadecimal digits"), "{refused}");
        }
        assert!(receive(&mut text.as_bytes()).expect("from a pipe") == secret);
    }
}
