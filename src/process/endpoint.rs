//! Where processes meet: a Unix socket that only its owner can open, or a TCP port on the loopback interface.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::str::FromStr;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::engine::transport::{Stream, Transport};

/// An address, as typed: `unix:PATH`, or `tcp:ADDRESS:PORT` with an address of this machine alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp(SocketAddr),
}

impl Endpoint {
    /// What links between processes that meet here are made of.
    pub fn transport(&self) -> Transport {
        match self {
            Self::Unix(_) => Transport::Unix,
            Self::Tcp(_) => Transport::Tcp,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("unix", "")) => Err("unix: needs a path, such as unix:/run/user/1000/asynapse.sock".to_owned()),
            Some(("unix", path)) => Ok(Self::Unix(PathBuf::from(path))),
            Some(("tcp", address)) => {
                let address: SocketAddr = address
                    .parse()
                    .map_err(|_| format!("`{address}` is no address and port, such as 127.0.0.1:7400"))?;
                if !address.ip().is_loopback() {
                    return Err(format!(
                        "{address} can be reached from other machines, and what workers say to each other is not \
                         encrypted; use an address of the loopback interface, such as 127.0.0.1:7400"
                    ));
                }
                Ok(Self::Tcp(address))
            }
            _ => Err(format!("`{text}` is neither unix:PATH nor tcp:ADDRESS:PORT")),
        }
    }
}

/// A connection, not yet cut into halves.
pub(super) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// A connection between two runtimes.
pub(super) enum Parked {
    Unix(std::os::unix::net::UnixStream),
    Tcp(std::net::TcpStream),
}

impl Socket {
    pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Unix(path) => Self::Unix(UnixStream::connect(path).await?).checked(),
            Endpoint::Tcp(address) => Self::Tcp(TcpStream::connect(address).await?).checked(),
        }
    }

    /// Refuses what belongs to another user; small messages are sent at once.
    fn checked(self) -> io::Result<Self> {
        match &self {
            Self::Unix(stream) => {
                let own = UnixStream::pair()?.0.peer_cred()?.uid();
                let theirs = stream.peer_cred()?.uid();
                if own != theirs {
                    let what = format!("it belongs to the user with id {theirs}, this process to {own}");
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
                }
            }
            Self::Tcp(stream) => stream.set_nodelay(true)?,
        }
        Ok(self)
    }

    pub(super) fn park(self) -> io::Result<Parked> {
        Ok(match self {
            Self::Unix(stream) => Parked::Unix(stream.into_std()?),
            Self::Tcp(stream) => Parked::Tcp(stream.into_std()?),
        })
    }
}

impl Parked {
    pub(super) fn resume(self) -> io::Result<Socket> {
        Ok(match self {
            Self::Unix(stream) => Socket::Unix(UnixStream::from_std(stream)?),
            Self::Tcp(stream) => Socket::Tcp(TcpStream::from_std(stream)?),
        })
    }
}

impl From<Socket> for Stream {
    fn from(socket: Socket) -> Self {
        match socket {
            Socket::Unix(stream) => stream.into(),
            Socket::Tcp(stream) => stream.into(),
        }
    }
}

/// Where others may call. A Unix socket disappears with it.
pub(super) enum Listener {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener),
}

impl Listener {
    pub(super) async fn bind(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Unix(path) => {
                let listener = UnixListener::bind(path)?;
                fs::set_permissions(path, Permissions::from_mode(0o600))?;
                Ok(Self::Unix(listener, path.clone()))
            }
            Endpoint::Tcp(address) => Ok(Self::Tcp(TcpListener::bind(address).await?)),
        }
    }

    /// The next caller; of a Unix socket only one of the same user.
    pub(super) async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Unix(listener, _) => Socket::Unix(listener.accept().await?.0).checked(),
            Self::Tcp(listener) => Socket::Tcp(listener.accept().await?.0).checked(),
        }
    }

    /// Where it can be reached.
    pub(super) fn endpoint(&self) -> io::Result<Endpoint> {
        Ok(match self {
            Self::Unix(_, path) => Endpoint::Unix(path.clone()),
            Self::Tcp(listener) => Endpoint::Tcp(listener.local_addr()?),
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // Somebody may have removed it, or its folder, before.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_reads_as_it_is_written_and_others_say_why_not() {
        for text in ["unix:/run/a.sock", "tcp:127.0.0.1:7400", "tcp:[::1]:1"] {
            assert_eq!(text.parse::<Endpoint>().map(|endpoint| endpoint.to_string()), Ok(text.to_owned()));
        }
        for (text, why) in [
            ("tcp:0.0.0.0:7400", "not encrypted"),
            ("tcp:10.0.0.1:7400", "other machines"),
            ("tcp:[::]:7400", "not encrypted"),
            ("tcp:localhost", "no address and port"),
            ("unix:", "needs a path"),
            ("udp:1", "neither"),
            ("", "neither"),
        ] {
            let problem = text.parse::<Endpoint>().expect_err(text);
            assert!(problem.contains(why), "{text}: {problem}");
        }
    }
}
