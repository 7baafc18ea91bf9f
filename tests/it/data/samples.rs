//! Small IDX files and data sets for the tests.
//!
//! Why it exists: tests need valid files to spoil, and a catalogue entry whose digests are known.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use asynapse::data::catalogue::{DataFile, DataSet, Role};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// The four parts in the catalogue's order.
pub(crate) const ROLES: [Role; 4] = [Role::TrainImages, Role::TrainLabels, Role::TestImages, Role::TestLabels];

/// An IDX file of unsigned bytes with these dimensions.
pub(crate) fn idx(dimensions: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, u8::try_from(dimensions.len()).expect("few dimensions")];
    for size in dimensions {
        bytes.extend(size.to_be_bytes());
    }
    bytes.extend(data);
    bytes
}

/// Compresses bytes.
pub(super) fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).expect("compress in memory");
    encoder.finish().expect("compress in memory")
}

/// Lower-case hexadecimal SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file into a folder.
pub(super) fn put(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).expect("write a test file");
    path
}

/// An empty folder that disappears after the test.
pub(super) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Pixels that do not compress to nothing, different for every seed.
pub(super) fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut bytes = Vec::with_capacity(count);
    for _ in 0..count {
        state = next_random(state);
        bytes.push(state.to_le_bytes()[4]);
    }
    bytes
}

/// One step of a small generator; good enough for spoiling files.
pub(super) fn next_random(state: u64) -> u64 {
    let mut value = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The uncompressed files of a data set with 60 training and 20 test images of 6 x 5 pixels.
pub(crate) fn raw_files() -> [Vec<u8>; 4] {
    let labels = |count: u8| (0..count).map(|index| index % 4).collect::<Vec<u8>>();
    [
        idx(&[60, 6, 5], &noise(1800, 1)),
        idx(&[60], &labels(60)),
        idx(&[20, 6, 5], &noise(600, 2)),
        idx(&[20], &labels(20)),
    ]
}

/// A data set of its own: the catalogue entry and the bytes a mirror would serve.
pub(super) struct Sample {
    pub(super) dataset: DataSet,
    pub(super) served: [Vec<u8>; 4],
}

impl Sample {
    /// The standard sample, with the digests of its uncompressed content known.
    pub(super) fn new() -> Self {
        let raw = raw_files();
        let served = raw.each_ref().map(|bytes| gzip(bytes, 6));
        let mut index = 0;
        let files = ROLES.map(|role| {
            let file = DataFile {
                role,
                name: leak(role.spellings()[0].clone()),
                bytes: served[index].len() as u64,
                sha256: leak(sha256(&served[index])),
                content_sha256: Some(leak(sha256(&raw[index]))),
                items: if index < 2 { 60 } else { 20 },
            };
            index += 1;
            file
        });
        let dataset = DataSet { name: "sample", files, mirrors: &[] };
        Sample { dataset, served }
    }

    /// The same, without the digests of the uncompressed content.
    pub(super) fn without_content_digests() -> Self {
        let mut sample = Sample::new();
        for file in &mut sample.dataset.files {
            file.content_sha256 = None;
        }
        sample
    }

    /// Puts the served files from `first` on into a folder.
    pub(super) fn put_from(&self, first: usize, dir: &TempDir) {
        for (file, bytes) in self.dataset.files.iter().zip(&self.served).skip(first) {
            put(dir, file.name, bytes);
        }
    }

    /// Whether the folder holds exactly the served files and nothing else.
    pub(super) fn is_complete(&self, dir: &Path) -> bool {
        let right =
            |(file, bytes): (&DataFile, &Vec<u8>)| fs::read(dir.join(file.name)).is_ok_and(|found| found == *bytes);
        let entries = fs::read_dir(dir).expect("read the folder").count();
        entries == 4 && self.dataset.files.iter().zip(&self.served).all(right)
    }
}

/// Catalogue entries are constants, so the tests' texts live as long as the program.
fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}
