//! A connection between processes before it is cut into halves: a Unix socket, TCP within this machine, or TLS.
//!
//! It can be carried from one runtime to another ([`Parked`]), because signs of life are given and heard on a thread of their own.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

use super::endpoint::{Endpoint, unprotected};
use super::supervisor::LEASE;
use crate::engine::transport::Stream;
use crate::wire::handshake::Secret;

/// Nothing that was said to another machine, or asked of it, has been answered for so long: the connection is dead, even if nobody
/// closed it. It is longer than a worker's lease, whose end says more, and leaves room for several packets lost in a row.
pub(super) const UNANSWERED: Duration = Duration::from_secs(2 * LEASE.as_secs());

/// Between two questions whether the other machine is there still, on a connection on which nothing is said.
const QUESTION: Duration = Duration::from_secs(1);

/// What a Unix socket may hold, in bytes, if the system allows it: a signal of a wide layer at once. With the usual 208 KiB a sender waits in
/// the middle of one until the other process, which may be computing, has begun to read.
const ROOM: usize = 1 << 20;

/// How long a link may be without an answer. The system also counts as unanswered what a process does not take because it computes and
/// its buffers are full; whoever allows layers to compute for long by `schedule.stall_seconds` allows that too.
pub(super) fn unanswered(stall: Duration) -> Duration {
    UNANSWERED.max(stall / 2)
}

/// A connection, not yet cut into halves.
pub(super) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Secured),
}

/// An encrypted connection, and what only its two ends know of it.
pub(super) struct Secured {
    pub(super) stream: Box<TlsStream<Movable>>,
    pub(super) binding: [u8; 32],
}

/// A connection between two runtimes.
pub(super) enum Parked {
    Unix(std::os::unix::net::UnixStream),
    Tcp(std::net::TcpStream),
    Tls(Secured),
}

impl Socket {
    pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Unix(path) => Self::Unix(UnixStream::connect(path).await?).checked(),
            Endpoint::Tcp(address) if !address.ip().is_loopback() => Err(unprotected(*address)),
            Endpoint::Tcp(address) => Self::Tcp(TcpStream::connect(address).await?).checked(),
            Endpoint::Tls(address, identity) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Self::Tls(identity.connect(stream).await?))
            }
        }
    }

    /// Refuses what belongs to another user; small messages are sent at once.
    pub(super) fn checked(self) -> io::Result<Self> {
        match &self {
            Self::Unix(stream) => {
                let own = UnixStream::pair()?.0.peer_cred()?.uid();
                let theirs = stream.peer_cred()?.uid();
                if own != theirs {
                    let what = format!("it belongs to the user with id {theirs}, this process to {own}");
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
                }
                rustix::net::sockopt::set_socket_send_buffer_size(stream, ROOM)?;
            }
            Self::Tcp(stream) => stream.set_nodelay(true)?,
            Self::Tls(_) => {}
        }
        Ok(self)
    }

    /// What has to be known to speak on this connection: on an encrypted one it is worth nothing on any other.
    pub(super) fn secret(&self, secret: &Secret) -> Secret {
        match self {
            Self::Tls(Secured { binding, .. }) => secret.on_channel(binding),
            Self::Unix(_) | Self::Tcp(_) => secret.clone(),
        }
    }

    /// True if the other side has closed, or has said something while it is not its turn. Known once the runtime has looked.
    pub(super) fn is_over(&self) -> bool {
        let mut byte = [0];
        let read = match self {
            Self::Unix(stream) => stream.try_read(&mut byte),
            Self::Tcp(stream) => stream.try_read(&mut byte),
            Self::Tls(Secured { stream, .. }) => match stream.get_ref().0 {
                Movable::Here(stream) => stream.try_read(&mut byte),
                Movable::Parked(_) | Movable::Gone => return true,
            },
        };
        !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The address by which this machine is reached from the other one.
    pub(super) fn local_ip(&self) -> Option<std::net::IpAddr> {
        Some(self.tcp()?.local_addr().ok()?.ip())
    }

    /// The TCP connection at the bottom, if there is one and it belongs to this runtime.
    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(stream) => Some(stream),
            Self::Tls(Secured { stream, .. }) => match stream.get_ref().0 {
                Movable::Here(stream) => Some(stream),
                Movable::Parked(_) | Movable::Gone => None,
            },
        }
    }

    /// Makes reading and writing fail when the other machine has answered nothing for so long. Within one machine nothing gets lost,
    /// and an end is always heard of; there it changes nothing.
    pub(super) fn expect_answers(&self, within: Duration) -> io::Result<()> {
        match self.tcp() {
            Some(stream) if !stream.peer_addr()?.ip().to_canonical().is_loopback() => give_up_after(stream, within),
            _ => Ok(()),
        }
    }

    pub(super) fn park(self) -> io::Result<Parked> {
        Ok(match self {
            Self::Unix(stream) => Parked::Unix(stream.into_std()?),
            Self::Tcp(stream) => Parked::Tcp(stream.into_std()?),
            Self::Tls(mut secured) => {
                let inner = secured.stream.get_mut().0;
                if let Movable::Here(stream) = std::mem::replace(inner, Movable::Gone) {
                    *inner = Movable::Parked(stream.into_std()?);
                }
                Parked::Tls(secured)
            }
        })
    }

    fn io(self: Pin<&mut Self>) -> Pin<&mut dyn Both> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream),
            Self::Tcp(stream) => Pin::new(stream),
            Self::Tls(Secured { stream, .. }) => Pin::new(stream),
        }
    }
}

/// What was sent has to be acknowledged within this time (`TCP_USER_TIMEOUT`, RFC 5482), and where nothing is sent the other machine is
/// asked. It is the system that answers, so a process that computes or is stopped does answer.
fn give_up_after(stream: impl AsFd, within: Duration) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, QUESTION)?;
    sockopt::set_tcp_keepintvl(&stream, QUESTION)?;
    let questions = within.as_secs() / QUESTION.as_secs();
    // As many as the system takes; where there is a time it is the time that counts.
    sockopt::set_tcp_keepcnt(&stream, questions.clamp(1, 127) as u32)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(&stream, u32::try_from(within.as_millis()).unwrap_or(u32::MAX / 2))?;
    Ok(())
}

impl Parked {
    pub(super) fn resume(self) -> io::Result<Socket> {
        Ok(match self {
            Self::Unix(stream) => Socket::Unix(UnixStream::from_std(stream)?),
            Self::Tcp(stream) => Socket::Tcp(TcpStream::from_std(stream)?),
            Self::Tls(mut secured) => {
                let inner = secured.stream.get_mut().0;
                if let Movable::Parked(stream) = std::mem::replace(inner, Movable::Gone) {
                    *inner = Movable::Here(TcpStream::from_std(stream)?);
                }
                Socket::Tls(secured)
            }
        })
    }
}

impl From<Socket> for Stream {
    fn from(socket: Socket) -> Self {
        match socket {
            Socket::Unix(stream) => stream.into(),
            Socket::Tcp(stream) => stream.into(),
            Socket::Tls(Secured { stream, .. }) => {
                let (reader, writer) = tokio::io::split(stream);
                Self { reader: Box::new(reader), writer: Box::new(writer) }
            }
        }
    }
}

/// The TCP connection under TLS, which belongs to one runtime at a time; between two it can neither read nor write.
pub(super) enum Movable {
    Here(TcpStream),
    Parked(std::net::TcpStream),
    Gone,
}

impl Movable {
    fn here(self: Pin<&mut Self>) -> io::Result<Pin<&mut TcpStream>> {
        match self.get_mut() {
            Self::Here(stream) => Ok(Pin::new(stream)),
            Self::Parked(_) | Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncRead for Movable {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_read(context, room)
    }
}

impl AsyncWrite for Movable {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.here()?.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.here()?.poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// What reads and writes.
trait Both: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Both for S {}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.io().poll_read(context, room)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.io().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(context)
    }
}
