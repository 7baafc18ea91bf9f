//! What can be wrong with the content of one IDX file.
//!
//! Why it exists: reading is strict, so there are many ways to be refused, and each one deserves its
//! own sentence. The sentences continue the file's name, which [`super::error::DataError::Idx`] puts
//! in front of them.
//!
//! Where to go next: [`super::idx`] finds these problems.

use std::fmt;
use std::io;

/// What an IDX file holds, as far as this crate is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Three dimensions: count, rows, columns.
    Images,
    /// One dimension: count.
    Labels,
}

impl Kind {
    /// The number of dimensions such a file has.
    #[must_use]
    pub fn dimensions(self) -> u8 {
        match self {
            Kind::Images => 3,
            Kind::Labels => 1,
        }
    }

    /// The kind that has this many dimensions, if there is one.
    #[must_use]
    pub fn with_dimensions(dimensions: u8) -> Option<Kind> {
        match dimensions {
            3 => Some(Kind::Images),
            1 => Some(Kind::Labels),
            _ => None,
        }
    }

    /// The four bytes such a file begins with.
    #[must_use]
    pub fn magic(self) -> [u8; 4] {
        [0, 0, 0x08, self.dimensions()]
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Kind::Images => "images",
            Kind::Labels => "labels",
        })
    }
}

/// Why the content of one IDX file is refused; each sentence continues the file's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdxProblem {
    /// A folder or a device was given where a file is needed.
    #[error("is not a regular file; expected the path of one IDX file, raw or gzip")]
    NotAFile,
    /// The file ends before its header does.
    #[error(
        "ends inside its IDX header: expected at least {expected} bytes, found {found}; \
         the file is incomplete, delete it and get it again"
    )]
    HeaderCut {
        /// Bytes needed for the header.
        expected: usize,
        /// Bytes there were.
        found: usize,
    },
    /// The first bytes are not those of an IDX file.
    #[error(
        "is not an IDX file of {kind}: expected it to begin with {}, found {}; check that \
         this is the file you meant (IDX, raw or gzip; not .npz, .csv or an archive)",
        spaced(.kind.magic()), spaced(*.found)
    )]
    NotIdx {
        /// What the caller asked for.
        kind: Kind,
        /// The first four bytes.
        found: [u8; 4],
    },
    /// An IDX file, but of elements other than unsigned bytes.
    #[error(
        "holds {name} (IDX type 0x{code:02x}), expected unsigned bytes (0x08); \
         convert it to unsigned bytes, other element types are not read"
    )]
    ElementType {
        /// The type's code in the file.
        code: u8,
        /// The type's name in words.
        name: &'static str,
    },
    /// Labels where images are expected, or the other way round.
    #[error(
        "holds {found} where {expected} are expected; \
         it looks as if the image file and the label file were exchanged"
    )]
    WrongKind {
        /// What the caller asked for.
        expected: Kind,
        /// What the file holds.
        found: Kind,
    },
    /// An IDX file of unsigned bytes with an unexpected number of dimensions.
    #[error(
        "has {found} dimensions, expected {} for {kind}; only grey images (count, rows, columns) \
         and plain labels (count) are read", .kind.dimensions()
    )]
    Rank {
        /// What the caller asked for.
        kind: Kind,
        /// Dimensions declared.
        found: u8,
    },
    /// The header declares no data at all.
    #[error(
        "declares no data: expected every dimension to be at least 1, found {shape}; \
         the file was not written properly, get it again"
    )]
    Empty {
        /// The declared dimensions, as in `0 x 28 x 28`.
        shape: String,
    },
    /// The header declares more than this crate is willing to hold in memory.
    #[error(
        "declares too much data: expected at most {limit} bytes, found dimensions {shape}; \
         the header is damaged, or the data set must be split"
    )]
    TooLarge {
        /// The declared dimensions, as in `60000 x 28 x 28`.
        shape: String,
        /// The upper bound, [`super::idx::MOST_BYTES`].
        limit: u64,
    },
    /// Less data than the header declares.
    #[error(
        "is cut short: expected {expected} bytes from its header, found {found}; \
         delete it and get it again"
    )]
    Truncated {
        /// Header and data together, uncompressed.
        expected: u64,
        /// Bytes there were, uncompressed.
        found: u64,
    },
    /// More data than the header declares.
    #[error(
        "goes on after its data: expected {expected} bytes from its header, found at least {found}; \
         it is not what it claims to be, get it again"
    )]
    TrailingBytes {
        /// Header and data together, uncompressed.
        expected: u64,
        /// Bytes seen before reading stopped, uncompressed.
        found: u64,
    },
    /// The gzip stream cannot be inflated.
    #[error(
        "is a damaged gzip file: expected a complete stream with a matching check sum, \
         found: {source}; delete it and get it again"
    )]
    BadGzip {
        /// The reason given by the decompressor.
        source: io::Error,
    },
}

/// Four bytes the way hex dumps show them: `00 00 08 03`.
fn spaced(bytes: [u8; 4]) -> String {
    let [first, second, third, fourth] = bytes;
    format!("{first:02x} {second:02x} {third:02x} {fourth:02x}")
}
