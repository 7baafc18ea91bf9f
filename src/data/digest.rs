//! SHA-256 of files, also while they are being read for another purpose.
//!
//! Why it exists: results are only comparable when the bytes were the same, so every file that is
//! read is also hashed, in the same pass: what was hashed is then exactly what was used.
//!
//! Where to go next: [`super::idx`] reads through [`HashingReader`], [`super::catalogue`] holds the
//! digests to compare with.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::DataError;

/// Passes bytes on and hashes them on the way.
pub(crate) struct HashingReader<R> {
    inner: R,
    hasher: Sha256,
}

impl<R: Read> HashingReader<R> {
    /// Hashes everything that will be read from `inner` through this reader.
    pub(crate) fn new(inner: R) -> Self {
        let hasher = Sha256::new();
        HashingReader { inner, hasher }
    }

    /// The digest of everything read so far, in lower-case hexadecimal.
    pub(crate) fn finish(self) -> String {
        hexadecimal(&self.hasher.finalize())
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(received) = buffer.get(..count) {
            self.hasher.update(received);
        }
        Ok(count)
    }
}

/// The digest of everything a reader still has to give.
pub(crate) fn of_reader(reader: impl Read) -> io::Result<String> {
    let mut reader = HashingReader::new(reader);
    io::copy(&mut reader, &mut io::sink())?;
    Ok(reader.finish())
}

/// The digest of a whole file as it lies on the disk.
pub(crate) fn of_file(path: &Path) -> Result<String, DataError> {
    let digest = File::open(path).and_then(of_reader);
    digest.map_err(|source| DataError::io("read", path, source))
}

/// The digest of several pieces of memory, one after the other.
pub(crate) fn of_pieces(pieces: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for piece in pieces {
        hasher.update(piece);
    }
    hexadecimal(&hasher.finalize())
}

/// Bytes in lower-case hexadecimal.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
