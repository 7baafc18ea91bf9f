//! A signal between neighbours as bytes: a header of fixed size, then the numbers as they lie in memory.
//!
//! ```text
//!  0  "ASYN"        8  lower layer of the link, u32     24  frames received the other way, u64   40  step, u64      56  answers, u64
//!  4  kind          12 rows, u32                        32  phase, u64                           48  version, u64
//!  5  content       16 columns, u32
//!  6  number type   20 group, u32
//!  7  direction
//! ```
//!
//! Both directions of the link between layers l and l+1 carry `n_{l+1} × batch` numbers: the current up, the error down. So the
//! receiver knows the rows exactly and bounds the columns by the largest batch, before it makes any room. The count of frames
//! received is the credit of the flow control (`crate::engine::transport`); a frame of kind `credit` carries nothing else.
//!
//! Where layers are cut into groups of neurons, a frame is what one group says: up, its share of the rows that the receiver's groups
//! hear of; down, its own rows. Who has which rows is known before (`crate::engine::halls`). A frame of kind `again` has no numbers:
//! they are those of the last frame of that group in that direction, such as the shares of data that do not change during a phase.

use super::WireError;
use crate::math::{Dtype, Real};
use crate::signal::{Content, Stamp};

/// Bytes of a header.
pub const HEADER: usize = 64;

const MAGIC: [u8; 4] = *b"ASYN";

/// Which way signals go on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Predictions, to the layer above.
    Up,
    /// Errors, to the layer below.
    Down,
}

/// A link as both of its ends know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its lower layer l; the other is l + 1.
    pub lower: usize,
    /// The group that speaks, 0 where its layer is whole.
    pub group: usize,
    /// n_{l+1}, or what a group says of it.
    pub rows: usize,
    /// The largest batch.
    pub columns_most: usize,
}

/// What a frame says of the signal whose numbers follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heading {
    /// When the signal was made.
    pub stamp: Stamp,
    /// What its numbers are.
    pub content: Content,
    /// `n_{l+1}`, or what a group says of it, and the batch.
    pub shape: (usize, usize),
    /// The numbers do not follow: they are the last ones again.
    pub again: bool,
}

/// A decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Frames the sender has received the other way.
    pub credit: u64,
    /// The signal that follows; none for a bare credit.
    pub signal: Option<Heading>,
}

fn code(content: Content) -> u8 {
    match content {
        Content::Prediction => 0,
        Content::Adjoint => 1,
        Content::Error => 2,
        Content::State => 3,
    }
}

fn dtype<T: Real>() -> u8 {
    match T::DTYPE {
        Dtype::F32 => 4,
        Dtype::F64 => 8,
    }
}

/// Writes a header.
pub fn encode<T: Real>(link: Link, direction: Direction, header: &Header) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    let word = |number: usize| u32::try_from(number).expect("layers and batches are counted in 32 bits").to_le_bytes();
    put(0, &MAGIC);
    put(7, &[u8::from(direction == Direction::Down)]);
    put(6, &[dtype::<T>()]);
    put(8, &word(link.lower));
    put(24, &header.credit.to_le_bytes());
    put(20, &word(link.group));
    if let Some(Heading { stamp, content, shape: (rows, columns), again }) = header.signal {
        put(4, &[if again { 2 } else { 1 }, code(content)]);
        put(12, &word(rows));
        put(16, &word(columns));
        for (at, number) in [(32, stamp.phase), (40, stamp.step), (48, stamp.version), (56, stamp.answers)] {
            put(at, &number.to_le_bytes());
        }
    }
    out
}

/// Direction and group a header claims to be of, for who has to find out which link it came in on; [`decode`] believes nothing of it.
pub fn claim(bytes: &[u8; HEADER]) -> (Direction, usize) {
    let direction = if bytes[7] == 1 { Direction::Down } else { Direction::Up };
    (direction, u32::from_le_bytes([bytes[20], bytes[21], bytes[22], bytes[23]]) as usize)
}

/// Reads a header that came in on one direction of a link.
pub fn decode<T: Real>(bytes: &[u8; HEADER], link: Link, direction: Direction) -> Result<Header, WireError> {
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    if bytes[..4] != MAGIC {
        return Err(WireError::Stranger { what: "a signal", found: bytes[..4].to_vec() });
    }
    let expect = |field, found: u64, expected: u64| {
        if found == expected { Ok(()) } else { Err(WireError::field(field, found, expected)) }
    };
    expect("the size of a number", bytes[6].into(), dtype::<T>().into())?;
    expect("the direction", bytes[7].into(), u64::from(direction == Direction::Down))?;
    expect("the lower layer of the link", word(8).into(), link.lower as u64)?;
    expect("the group", word(20).into(), link.group as u64)?;
    let credit = long(24);
    let signal = match bytes[4] {
        0 => {
            let rest = [5..6, 12..20, 32..HEADER].into_iter().flatten().map(|at| u64::from(bytes[at])).sum();
            expect("the sum of what a credit leaves empty", rest, 0)?;
            None
        }
        kind @ (1 | 2) => {
            let content = match (direction, bytes[5]) {
                (Direction::Up, 0) => Content::Prediction,
                (Direction::Down, 1) => Content::Adjoint,
                (Direction::Down, 2) => Content::Error,
                (Direction::Down, 3) => Content::State,
                (_, found) => return Err(WireError::field("the content", found, "what goes this way")),
            };
            expect("rows", word(12).into(), link.rows as u64)?;
            let columns = word(16) as usize;
            if columns == 0 || columns > link.columns_most {
                return Err(WireError::field("columns", columns, format!("1 to {}", link.columns_most)));
            }
            let stamp = Stamp { phase: long(32), step: long(40), version: long(48), answers: long(56) };
            Some(Heading { stamp, content, shape: (link.rows, columns), again: kind == 2 })
        }
        found => return Err(WireError::field("the kind of frame", found, "0 to 2")),
    };
    Ok(Header { credit, signal })
}
