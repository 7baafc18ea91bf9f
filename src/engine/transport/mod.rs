//! Links whose ends are not in one mailbox: the layer speaks into a mailbox here, a pump carries what it finds there over a
//! stream, and a pump at the other end puts it into the mailbox the neighbour hears from. Layers and schedules cannot tell.
//!
//! ```text
//! layer l ─► mailbox ─► speaking pump ═══ stream ═══ hearing pump ─► mailbox ─► layer l+1      and the same downward
//! ```
//!
//! - **In order** (lock-step): everything arrives, in order. Newest wins: what the pump has not taken yet is replaced in the
//!   mailbox and the layer is told, as without a pump; what is on its way may still be replaced at the other end.
//! - **Flow control**: a sender is at most [`WINDOW`] frames ahead of the count that came back in the other direction's headers.
//!   So no more than that is ever stale on its way, however slow the other process is.
//! - **No deadlock**: a layer never waits to send, a hearing pump never waits to deliver, a bare credit needs no credit.
//! - **The end**: a stream that closes, or a frame that is wrong, closes the mailboxes; the neighbour is gone, as within one process.
//!   One on which nothing is answered any more fails (`crate::process`), and is told apart from a neighbour that is gone.
//!
//! Read on: `pump`, then `crate::engine::remote` for what is not said between neighbours.

pub(super) mod groups;
mod pump;

use std::fmt;
use std::future::Future;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

pub use pump::WINDOW;

use super::mailbox::{Inbox, Outbox};
use crate::math::Real;
use crate::wire::WireError;
use crate::wire::frame::{Direction, Link};

/// By what neighbours are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// A mailbox they share: within one process only.
    #[default]
    InProcess,
    /// Bytes in memory: the codec without sockets, within one process only.
    Bytes,
    /// Unix sockets.
    Unix,
    /// TCP: as it is on the loopback interface, with TLS between machines.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InProcess => "in-process",
            Self::Bytes => "bytes",
            Self::Unix => "unix",
            Self::Tcp => "tcp",
        })
    }
}

/// What carries bytes in both directions.
pub struct Stream {
    /// What the other side writes.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// What the other side reads.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: Box::new(reader), writer: Box::new(writer) }
    }
}

#[cfg(unix)]
impl From<tokio::net::UnixStream> for Stream {
    fn from(stream: tokio::net::UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: Box::new(reader), writer: Box::new(writer) }
    }
}

impl Stream {
    /// The two ends of a new stream within this process; needs a runtime with I/O.
    pub async fn pair(transport: Transport) -> std::io::Result<[Self; 2]> {
        match transport {
            Transport::InProcess | Transport::Bytes => {
                let pair: [_; 2] = tokio::io::duplex(1 << 16).into();
                Ok(pair.map(|end| {
                    let (reader, writer) = tokio::io::split(end);
                    Self { reader: Box::new(reader), writer: Box::new(writer) }
                }))
            }
            #[cfg(unix)]
            Transport::Unix => {
                let pair: [_; 2] = tokio::net::UnixStream::pair()?.into();
                Ok(pair.map(Self::from))
            }
            #[cfg(not(unix))]
            Transport::Unix => Err(std::io::ErrorKind::Unsupported.into()),
            Transport::Tcp => {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
                let (here, there) = tokio::join!(TcpStream::connect(listener.local_addr()?), listener.accept());
                let pair = [here?, there?.0];
                pair.iter().try_for_each(|end| end.set_nodelay(true))?;
                Ok(pair.map(Self::from))
            }
        }
    }
}

/// Why a link can't go on.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The other side said something wrong.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The stream failed.
    #[error("the connection failed: {0}")]
    Stream(#[from] std::io::Error),
    /// The other side refers to numbers that were not the last.
    #[error("a signal came without its numbers, which are not those of the last one")]
    Again,
    /// Nobody here hears what the other side said.
    #[error("group {0} is none that speaks on this connection in that direction")]
    Nobody(usize),
    /// The other side is further ahead than the protocol allows.
    #[error("more than {WINDOW} signals arrived without an answer")]
    Runaway,
}

impl LinkError {
    /// Nothing was wrong but that no answer came: whoever listened for the line gave it up.
    pub(super) fn dead_line(&self) -> Option<&std::io::Error> {
        use std::io::ErrorKind::{HostUnreachable, NetworkUnreachable, TimedOut};
        match self {
            Self::Stream(error) if matches!(error.kind(), TimedOut | HostUnreachable | NetworkUnreachable) => {
                Some(error)
            }
            _ => None,
        }
    }
}

/// The mailboxes of one end of a link, seen from the stream.
pub struct Ends<T> {
    /// What the layer here says.
    pub said: Inbox<T>,
    /// What it will hear.
    pub heard: Outbox<T>,
}

/// Carries the signals of one end of a link until either side is gone. `outward` is the direction in which the layer here speaks.
pub fn carry<T: Real>(
    stream: Stream,
    link: Link,
    outward: Direction,
    ends: Ends<T>,
) -> impl Future<Output = Result<(), LinkError>> + Send {
    pump::both(stream, link, outward, ends)
}
