//! Reads one IDX file of unsigned bytes: a stack of grey images, or a list of labels.
//!
//! Why it exists: the format is so simple (two zero bytes, element type, number of dimensions, the
//! dimensions as big-endian 32-bit numbers, the data) that the whole difficulty is in refusing bad
//! files. Nothing the header says is believed before it has been checked: the product of the
//! dimensions is bounded by [`MOST_BYTES`], a raw file must have exactly the declared length, and a
//! compressed one is inflated through a reader that stops one byte after the declared end.
//!
//! Where to go next: [`super::idx_problem`] for the reasons to refuse a file, [`super::folder`] for
//! the four files of a data set together.

use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::digest::{self, HashingReader};
use super::error::DataError;
use super::idx_problem::{IdxProblem, Kind};

/// The most data one file may declare: 2 GiB, about 45 times the MNIST training images.
///
/// The bound keeps a damaged header, or a small file that inflates without end, from filling the
/// machine's memory.
pub const MOST_BYTES: u64 = 1 << 31;

/// How a gzip file begins, whatever its name is.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A stack of grey images of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// How many images there are.
    pub count: usize,
    /// Height of each image in pixels.
    pub rows: usize,
    /// Width of each image in pixels.
    pub cols: usize,
    /// `count * rows * cols` grey values, image after image, row after row.
    pub pixels: Vec<u8>,
}

/// Reads a file of images, raw or gzip.
///
/// # Errors
/// When the file cannot be read or is not exactly one stack of images; see [`IdxProblem`].
pub fn read_images(path: &Path) -> Result<Images, DataError> {
    read_images_hashed(path).map(|(images, _)| images)
}

/// Reads a file of labels, raw or gzip.
///
/// # Errors
/// When the file cannot be read or is not exactly one list of labels; see [`IdxProblem`].
pub fn read_labels(path: &Path) -> Result<Vec<u8>, DataError> {
    read_labels_hashed(path).map(|(labels, _)| labels)
}

/// Reads images together with the digest of the stored file.
pub(crate) fn read_images_hashed(path: &Path) -> Result<(Images, String), DataError> {
    let stack = read_stack(path, Kind::Images)?;
    let [count, rows, cols] = stack.dimensions;
    let images = Images { count, rows, cols, pixels: stack.data };
    Ok((images, stack.digest))
}

/// Reads labels together with the digest of the stored file.
pub(crate) fn read_labels_hashed(path: &Path) -> Result<(Vec<u8>, String), DataError> {
    let stack = read_stack(path, Kind::Labels)?;
    Ok((stack.data, stack.digest))
}

/// Reads a file only to check it: how many images or labels it holds, and the digest of its
/// uncompressed content, which is the same for every way of compressing it.
pub(crate) fn examine(path: &Path, kind: Kind) -> Result<(usize, String), DataError> {
    let stack = read_stack(path, kind)?;
    let [count, ..] = stack.dimensions;
    Ok((count, digest::of_pieces(&[&stack.header, &stack.data])))
}

/// A complete, checked IDX file; labels count as images of 1 x 1.
struct Stack {
    dimensions: [usize; 3],
    header: Vec<u8>,
    data: Vec<u8>,
    digest: String,
}

/// Opens the file and reads it to its end.
fn read_stack(path: &Path, kind: Kind) -> Result<Stack, DataError> {
    let failed = |source| DataError::io("read", path, source);
    let refused = |source| DataError::Idx { path: path.to_path_buf(), source };
    // Asked before opening, because opening a pipe would wait for its other end.
    let about = fs::metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err(refused(IdxProblem::NotAFile));
    }
    let mut stored = HashingReader::new(File::open(path).map_err(failed)?);
    let (dimensions, header, data) = unpack(&mut stored, kind, about.len()).map_err(|stop| match stop {
        Stop::Refused(problem) => refused(problem),
        Stop::Unreadable(source) => failed(source),
    })?;
    let digest = stored.finish();
    Ok(Stack { dimensions, header, data, digest })
}

/// Finds out whether a stream of this length is compressed, and reads it to its end.
pub(crate) fn unpack(stored: &mut impl Read, kind: Kind, length: u64) -> Result<Parsed, Stop> {
    let mut start = Vec::new();
    stored.take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
    let compressed = start == GZIP_MAGIC;
    let mut whole = Cursor::new(start).chain(BufReader::with_capacity(1 << 16, stored));
    if !compressed {
        return parse(&mut whole, kind, Some(length));
    }
    parse(&mut MultiGzDecoder::new(whole), kind, None).map_err(|stop| match stop {
        Stop::Unreadable(source) if is_about_gzip(&source) => IdxProblem::BadGzip { source }.into(),
        other => other,
    })
}

/// Whether an error tells of the compressed stream rather than of the disk.
fn is_about_gzip(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// Why parsing stopped, before the file's name is added.
#[derive(Debug)]
pub(crate) enum Stop {
    Refused(IdxProblem),
    Unreadable(io::Error),
}

impl From<IdxProblem> for Stop {
    fn from(problem: IdxProblem) -> Self {
        Stop::Refused(problem)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Unreadable(error)
    }
}

/// Dimensions, header bytes and data of an uncompressed stream whose length may be known.
pub(crate) type Parsed = ([usize; 3], Vec<u8>, Vec<u8>);

/// Reads header and data, and makes sure that nothing is missing and nothing follows.
fn parse(stream: &mut impl Read, kind: Kind, length: Option<u64>) -> Result<Parsed, Stop> {
    let mut header = Vec::new();
    read_header_part(stream, &mut header, 4)?;
    check_magic(&header, kind)?;
    let header_length = 4 + 4 * usize::from(kind.dimensions());
    read_header_part(stream, &mut header, header_length)?;
    let (dimensions, declared) = read_dimensions(&header)?;

    let expected = header_length as u64 + declared;
    let mut data = Vec::new();
    if let Some(found) = length {
        check_length(expected, found)?;
        // The file really is that long, so one allocation of the right size is safe.
        let room = usize::try_from(declared).unwrap_or(usize::MAX);
        data.try_reserve_exact(room.saturating_add(1)).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    }
    // One byte more than declared: it shows whether anything follows, and reaching the end of a
    // gzip stream is what makes the decompressor compare the check sum. The buffer grows with what
    // arrives, never with what was promised.
    stream.take(declared + 1).read_to_end(&mut data)?;
    check_length(expected, header_length as u64 + data.len() as u64)?;
    data.shrink_to_fit();
    Ok((dimensions, header, data))
}

/// Extends `header` to `wanted` bytes, or says how many there were.
fn read_header_part(stream: &mut impl Read, header: &mut Vec<u8>, wanted: usize) -> Result<(), Stop> {
    let missing = wanted.saturating_sub(header.len()) as u64;
    stream.take(missing).read_to_end(header)?;
    if header.len() < wanted {
        let found = header.len();
        return Err(IdxProblem::HeaderCut { expected: wanted, found }.into());
    }
    Ok(())
}

/// Checks the first four bytes, and says as precisely as possible what the file is instead.
fn check_magic(header: &[u8], kind: Kind) -> Result<(), IdxProblem> {
    let found = header.first_chunk::<4>().copied().unwrap_or_default();
    let [first, second, code, rank] = found;
    if (first, second) != (0, 0) {
        return Err(IdxProblem::NotIdx { kind, found });
    }
    match (code, Kind::with_dimensions(rank)) {
        (0x08, Some(actual)) if actual == kind => Ok(()),
        (0x08, Some(actual)) => Err(IdxProblem::WrongKind { expected: kind, found: actual }),
        (0x08, None) => Err(IdxProblem::Rank { kind, found: rank }),
        _ => Err(match element_type(code) {
            Some(name) => IdxProblem::ElementType { code, name },
            None => IdxProblem::NotIdx { kind, found },
        }),
    }
}

/// The other element types the format knows.
fn element_type(code: u8) -> Option<&'static str> {
    match code {
        0x09 => Some("signed bytes"),
        0x0b => Some("16-bit integers"),
        0x0c => Some("32-bit integers"),
        0x0d => Some("32-bit floating-point numbers"),
        0x0e => Some("64-bit floating-point numbers"),
        _ => None,
    }
}

/// The dimensions after the magic number, filled up with 1, and their bounded product.
fn read_dimensions(header: &[u8]) -> Result<([usize; 3], u64), IdxProblem> {
    let (words, _) = header.as_chunks::<4>();
    let sizes: Vec<u32> = words.iter().skip(1).map(|bytes| u32::from_be_bytes(*bytes)).collect();
    let shape = || {
        let sizes: Vec<String> = sizes.iter().map(u32::to_string).collect();
        sizes.join(" x ")
    };
    if sizes.contains(&0) {
        return Err(IdxProblem::Empty { shape: shape() });
    }
    let product = sizes
        .iter()
        .try_fold(1_u64, |product, &size| product.checked_mul(size.into()))
        .filter(|&product| product <= MOST_BYTES);
    let Some(declared) = product else {
        let limit = MOST_BYTES;
        return Err(IdxProblem::TooLarge { shape: shape(), limit });
    };
    let mut dimensions = [1; 3];
    for (dimension, size) in dimensions.iter_mut().zip(sizes) {
        *dimension = size as usize;
    }
    Ok((dimensions, declared))
}

/// Compares the bytes there are with the bytes there should be.
fn check_length(expected: u64, found: u64) -> Result<(), IdxProblem> {
    match found.cmp(&expected) {
        std::cmp::Ordering::Less => Err(IdxProblem::Truncated { expected, found }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(IdxProblem::TrailingBytes { expected, found }),
    }
}
