//! Who is there: a challenge and a response in both directions, before anything else is believed.
//!
//! ```text
//! caller → host    "AS" version nonce_c                                                        36 bytes
//! host → caller    "AS" version nonce_h  HMAC(key, "host" version nonce_c nonce_h)             68 bytes
//! caller → host    hello  HMAC(key, "caller" version nonce_h nonce_c hello)              56 + 32 bytes
//! host → caller    1: welcome, or why not                                                       1 byte
//! ```
//!
//! HMAC-SHA256 over a domain label; both nonces are 32 random bytes; comparisons take the same time wherever they fail. The
//! secret itself never travels. On a plain socket this authenticates the beginning of a connection and its hello, not every
//! byte after it: that is enough where only this machine can reach the socket. Between machines it is spoken inside TLS, with a
//! key that holds for that connection alone ([`Secret::on_channel`]), so that nobody in between can pass it on.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{VERSION, WireError};

const MARK: [u8; 2] = *b"AS";
const LABEL: &[u8] = b"asynapse-handshake";

/// Bytes of the caller's first message.
pub const CALL: usize = 36;
/// Bytes of the host's answer.
pub const CHALLENGE: usize = 68;
/// Bytes of the caller's hello with its proof.
pub const RESPONSE: usize = HELLO + 32;
/// Bytes of the hello alone.
pub(crate) const HELLO: usize = 56;

/// What every process of a run knows and nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A secret of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the one pipe or file they are handed on by.
    pub fn reveal(&self) -> &[u8; 32] {
        &self.0
    }

    /// The secret as it holds on one encrypted connection: HMAC(secret, what only the two ends of that connection know).
    #[must_use]
    pub fn on_channel(&self, binding: &[u8; 32]) -> Self {
        Self(self.mac(&[b"channel", binding]).finalize().into_bytes().into())
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length will do");
        mac.update(LABEL);
        parts.iter().for_each(|part| mac.update(part));
        mac
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Directives and reports.
    Control,
    /// Signs of life.
    Pulse,
    /// Signals between two neighbouring layers.
    Link {
        /// The lower of the two.
        lower: u32,
        /// The worker that calls: groups of these layers may live with several.
        from: u32,
    },
}

/// What a caller says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What the connection is for.
    pub purpose: Purpose,
    /// The run it belongs to; zero from a worker that has not been told yet.
    pub run: [u8; 16],
    /// Which life of that run; connections of an earlier one are refused.
    pub generation: u64,
    /// The same on all connections of one process.
    pub caller: [u8; 16],
    /// Process id, for messages to people only.
    pub pid: u32,
}

/// How a handshake ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Welcome = 1,
    /// Another run or generation.
    OtherRun = 2,
    /// Nobody waits for that, or somebody was faster.
    NotExpected = 3,
}

/// The caller's first message.
pub fn call(nonce: &[u8; 32]) -> [u8; CALL] {
    let mut out = [0; CALL];
    out[..2].copy_from_slice(&MARK);
    out[2..4].copy_from_slice(&VERSION.to_le_bytes());
    out[4..].copy_from_slice(nonce);
    out
}

fn opening(what: &'static str, bytes: &[u8]) -> Result<[u8; 32], WireError> {
    if bytes.len() < CALL || bytes[..2] != MARK {
        return Err(WireError::Stranger { what, found: bytes[..bytes.len().min(2)].to_vec() });
    }
    let theirs = u16::from_le_bytes([bytes[2], bytes[3]]);
    if theirs != VERSION {
        return Err(WireError::Version { theirs });
    }
    let mut nonce = [0; 32];
    nonce.copy_from_slice(&bytes[4..CALL]);
    Ok(nonce)
}

/// The host's answer to a call. With another version it says only which one it speaks.
pub fn challenge(secret: &Secret, call: &[u8; CALL], nonce: &[u8; 32]) -> (Result<(), WireError>, [u8; CHALLENGE]) {
    let mut out = [0; CHALLENGE];
    out[..CALL].copy_from_slice(&self::call(&[0; 32]));
    match opening("a call", call) {
        Ok(theirs) => {
            out[4..CALL].copy_from_slice(nonce);
            let mac = secret.mac(&[b"host", &VERSION.to_le_bytes(), &theirs, nonce]);
            out[CALL..].copy_from_slice(&mac.finalize().into_bytes());
            (Ok(()), out)
        }
        Err(error) => (Err(error), out),
    }
}

/// The caller's response to a challenge, if the host has proven itself.
pub fn respond(
    secret: &Secret,
    nonce: &[u8; 32],
    challenge: &[u8; CHALLENGE],
    hello: &Hello,
) -> Result<[u8; RESPONSE], WireError> {
    let theirs = opening("an answer to a call", challenge)?;
    let mac = secret.mac(&[b"host", &VERSION.to_le_bytes(), nonce, &theirs]);
    mac.verify_slice(&challenge[CALL..]).map_err(|_| WireError::WrongSecret)?;
    let hello = encode(hello);
    let proof = secret.mac(&[b"caller", &VERSION.to_le_bytes(), &theirs, nonce, &hello]).finalize().into_bytes();
    let mut out = [0; RESPONSE];
    out[..HELLO].copy_from_slice(&hello);
    out[HELLO..].copy_from_slice(&proof);
    Ok(out)
}

/// Who the caller is, if it has proven itself.
pub fn verify(
    secret: &Secret,
    call: &[u8; CALL],
    nonce: &[u8; 32],
    response: &[u8; RESPONSE],
) -> Result<Hello, WireError> {
    let theirs = opening("a call", call)?;
    let (hello, proof) = response.split_first_chunk().expect("a response is longer than its hello");
    let mac = secret.mac(&[b"caller", &VERSION.to_le_bytes(), nonce, &theirs, hello]);
    mac.verify_slice(proof).map_err(|_| WireError::WrongSecret)?;
    decode(hello)
}

/// A hello as bytes, without its proof.
pub(crate) fn encode(hello: &Hello) -> [u8; HELLO] {
    let (kind, lower, from) = match hello.purpose {
        Purpose::Control => (1_u32, 0, 0),
        Purpose::Pulse => (2, 0, 0),
        Purpose::Link { lower, from } => (3, lower, from),
    };
    let mut out = [0; HELLO];
    out[..16].copy_from_slice(&hello.run);
    out[16..24].copy_from_slice(&hello.generation.to_le_bytes());
    out[24..40].copy_from_slice(&hello.caller);
    out[40..44].copy_from_slice(&hello.pid.to_le_bytes());
    out[44..48].copy_from_slice(&kind.to_le_bytes());
    out[48..52].copy_from_slice(&lower.to_le_bytes());
    out[52..56].copy_from_slice(&from.to_le_bytes());
    out
}

/// A hello that has been proven.
pub(crate) fn decode(bytes: &[u8; HELLO]) -> Result<Hello, WireError> {
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let id = |at: usize| {
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[at..at + 16]);
        id
    };
    let purpose = match word(44) {
        1 => Purpose::Control,
        2 => Purpose::Pulse,
        3 => Purpose::Link { lower: word(48), from: word(52) },
        found => return Err(WireError::field("the purpose of a connection", found, "1 to 3")),
    };
    let generation = u64::from(word(16)) | u64::from(word(20)) << 32;
    Ok(Hello { purpose, run: id(0), generation, caller: id(24), pid: word(40) })
}

/// What the host's last byte says.
pub fn verdict(byte: u8) -> Result<Verdict, WireError> {
    match byte {
        1 => Ok(Verdict::Welcome),
        2 => Ok(Verdict::OtherRun),
        3 => Ok(Verdict::NotExpected),
        found => Err(WireError::field("the verdict of a handshake", found, "1 to 3")),
    }
}
