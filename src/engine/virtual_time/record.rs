//! What can be seen of a run in virtual time: a log of events with a digest, and observers.
//!
//! A record of the log is 48 bytes, little-endian: time, rank and destination (as `rank << 32 | node`), link, number on the link,
//! the step of the layer or of the signal's sender, and a fold of the numbers that the event carried or changed (FNV-1a over their
//! bits as f64). Two runs with the same digest did the same things at the same times with the same numbers. Everything in it is
//! counted from the beginning of a batch, so that a run that was resumed has the log of one that was not interrupted.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::kernel::{Key, Time};
use super::stage::rank;
use crate::math::{Field, Real, values};

/// One event of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, what and where.
    pub key: Key,
    /// The layer's step before it, or the step of the sender at which the signal that arrives was said.
    pub count: u64,
    /// A fold of the numbers that it carried or changed; zero if none.
    pub fold: u64,
}

impl Record {
    /// Bytes of a record.
    pub const BYTES: usize = 48;
    /// The rank of a record that is no event: a batch begins, and `number` says which.
    pub const BATCH: u8 = u8::MAX;

    /// The beginning of a batch.
    #[must_use]
    pub fn batch(number: u64) -> Self {
        let key = Key { time: Time(0), rank: Self::BATCH, node: 0, link: 0, number };
        Self { key, count: 0, fold: 0 }
    }

    /// What the event is.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.key.rank {
            rank::TICK => "tick",
            rank::PREDICTION => "prediction",
            rank::ANSWER => "answer",
            rank::ERROR => "error",
            rank::ACKNOWLEDGED => "acknowledged",
            rank::RESEND => "resend",
            Self::BATCH => "batch",
            _ => "unknown",
        }
    }

    /// As it was stored.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let field = |index: usize| {
            let mut field = [0; 8];
            field.copy_from_slice(&bytes[8 * index..8 * index + 8]);
            u64::from_le_bytes(field)
        };
        let (place, link) = (field(1), field(2));
        // Fields that are too large for their place are those of another format, and keep their lower bits.
        let key = Key {
            time: Time(field(0)),
            rank: (place >> 32) as u8,
            node: place as u32,
            link: link as u32,
            number: field(3),
        };
        Self { key, count: field(4), fold: field(5) }
    }

    /// As it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let Self { key, count, fold } = *self;
        let place = u64::from(key.rank) << 32 | u64::from(key.node);
        let mut bytes = [0_u8; Self::BYTES];
        let fields = [key.time.0, place, u64::from(key.link), key.number, count, fold];
        for (slot, field) in bytes.chunks_exact_mut(8).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, count, fold } = self;
        if key.rank == Self::BATCH {
            return write!(f, "the beginning of batch {}", key.number);
        }
        let (kind, node, link) = (self.kind(), key.node, key.link);
        write!(
            f,
            "{} at {}, node {node}, link {link}, number {}, step {count}, fold {fold:016x}",
            kind, key.time, key.number
        )
    }
}

/// A log of events.
pub struct EventLog {
    hash: Sha256,
    events: u64,
    batches: u64,
    sink: Option<Box<dyn Write + Send>>,
    failed: Option<io::Error>,
}

impl EventLog {
    /// Keeps a digest only.
    pub fn digest_only() -> Self {
        Self { hash: Sha256::new(), events: 0, batches: 0, sink: None, failed: None }
    }

    /// Writes every record to `sink`, too.
    pub fn to(sink: Box<dyn Write + Send>) -> Self {
        Self { sink: Some(sink), ..Self::digest_only() }
    }

    /// Goes on with this log and writes what is added from now on to `sink`.
    #[must_use]
    pub fn into_sink(self, sink: Box<dyn Write + Send>) -> Self {
        Self { sink: Some(sink), ..self }
    }

    /// Adds an event.
    pub fn add(&mut self, record: &Record) {
        let bytes = self.count(record);
        if let (Some(sink), None) = (&mut self.sink, &self.failed) {
            self.failed = sink.write_all(&bytes).err();
        }
    }

    /// Adds what was logged before, which is where it was written already.
    pub fn goes_on_from(&mut self, record: &Record) {
        self.count(record);
    }

    fn count(&mut self, record: &Record) -> [u8; Record::BYTES] {
        let bytes = record.to_bytes();
        self.hash.update(bytes);
        let marks = u64::from(record.key.rank == Record::BATCH);
        self.batches += marks;
        self.events += 1 - marks;
        bytes
    }

    /// Events logged.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Batches whose beginning was logged.
    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// SHA-256 of all records so far.
    pub fn digest(&self) -> String {
        self.hash.clone().finalize().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Brings everything to its sink.
    ///
    /// # Errors
    /// The first error of writing.
    pub fn finish(&mut self) -> io::Result<()> {
        match (self.failed.take(), &mut self.sink) {
            (Some(error), _) => Err(error),
            (None, Some(sink)) => sink.flush(),
            (None, None) => Ok(()),
        }
    }
}

/// FNV-1a over the bits of the numbers as f64.
pub(super) fn fold<T: Real>(numbers: &Field<T>) -> u64 {
    values(numbers).iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, number| {
        (hash ^ number.wide().to_bits()).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A layer took a step.
#[derive(Debug)]
pub struct Stepped<'a, T> {
    /// When.
    pub time: Time,
    /// In which phase, counted from 1.
    pub phase: u64,
    /// Which node: groups are counted layer by layer (`NetworkSpec::places`), so that it is the layer where layers are whole.
    pub node: usize,
    /// Which layer.
    pub layer: usize,
    /// Steps it has taken in this phase, this one included.
    pub step: u64,
    /// `max |∂E/∂x_l|` before the step, given everything it had heard.
    pub residual: f64,
    /// ‖ε_l‖ after it (`Layer::error_norm`); `None` where there is no such error.
    pub error: Option<f64>,
    /// `x_l` after it; `None` at an output without a state.
    pub state: Option<&'a Field<T>>,
}

/// A signal was put on its way, or arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// When.
    pub time: Time,
    /// In which phase.
    pub phase: u64,
    /// The node that said it, as in [`Stepped`].
    pub from: usize,
    /// The node it is for.
    pub to: usize,
    /// Its version.
    pub version: u64,
}

/// Somebody who watches layers and links, in the order of events. Nothing depends on what it does. Every method may do nothing.
pub trait Observer<T>: Send {
    /// A layer took a step.
    fn stepped(&mut self, _stepped: &Stepped<'_, T>) {}
    /// A signal was sent; it may be lost.
    fn sent(&mut self, _passed: Passed) {}
    /// A signal arrived and was news.
    fn arrived(&mut self, _passed: Passed) {}
}

/// Largest difference of any number of a state from a remembered one: how far a layer has been displaced.
pub fn displacement<T: Real>(state: &Field<T>, remembered: &Field<T>) -> f64 {
    let apart = values(state).iter().zip(values(remembered)).map(|(&a, &b)| (a.wide() - b.wide()).abs());
    apart.fold(0.0, f64::max)
}
