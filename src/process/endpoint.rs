//! Where processes meet: a Unix socket that only its owner can open, a TCP port on the loopback interface, or a TCP port that
//! other machines can reach, with TLS and certificates on both sides. The last without these is refused, by [`Endpoint::secured`]
//! with a sentence for whoever typed it, and again where a port is opened or called.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::str::FromStr;

use tokio::net::{TcpListener, UnixListener};

use super::socket::Socket;
use super::tls::Identity;
use crate::engine::transport::Transport;

/// An address, as typed: `unix:PATH` or `tcp:HOST:PORT`. Names of hosts are looked up once, when it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port, not encrypted: on the loopback interface alone.
    Tcp(SocketAddr),
    /// A TCP port with TLS.
    Tls(SocketAddr, Identity),
}

impl Endpoint {
    /// What links between processes that meet here are made of.
    pub fn transport(&self) -> Transport {
        match self {
            Self::Unix(_) => Transport::Unix,
            Self::Tcp(_) | Self::Tls(..) => Transport::Tcp,
        }
    }

    /// The same place, encrypted if there is an identity; an error if it has to be and is not, or can't be and should.
    pub fn secured(self, identity: Option<Identity>) -> Result<Self, String> {
        match (self, identity) {
            (Self::Tcp(address) | Self::Tls(address, _), Some(identity)) => Ok(Self::Tls(address, identity)),
            (Self::Tcp(address), None) if !address.ip().is_loopback() => Err(unprotected(address).to_string()),
            (Self::Unix(path), Some(_)) => Err(format!(
                "unix:{}: a Unix socket is not encrypted, nobody else can open it; leave TLS out",
                path.display()
            )),
            (same, _) => Ok(same),
        }
    }

    /// The port, if there are ports.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(address) | Self::Tls(address, _) => Some(address.port()),
        }
    }

    /// Another port of the same kind.
    pub(super) fn elsewhere(&self, address: SocketAddr) -> Self {
        match self {
            Self::Tls(_, identity) => Self::Tls(address, identity.clone()),
            Self::Unix(_) | Self::Tcp(_) => Self::Tcp(address),
        }
    }
}

/// Why nothing is opened or called there.
pub(super) fn unprotected(address: SocketAddr) -> io::Error {
    let what = format!(
        "{address} can be reached from other machines, and what workers say to each other is not encrypted without TLS; make keys \
         with `asynapse keys FOLDER` and give --keys FOLDER on every host, or use an address of the loopback interface, such as \
         127.0.0.1:7400"
    );
    io::Error::new(io::ErrorKind::PermissionDenied, what)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) | Self::Tls(address, _) => write!(f, "tcp:{address}"),
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
                if let Ok(address) = address.parse() {
                    return Ok(Self::Tcp(address));
                }
                if !address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
                {
                    return Err(format!("`{address}` is no address and port, such as 127.0.0.1:7400"));
                }
                let found =
                    address.to_socket_addrs().map_err(|error| format!("`{address}` can't be found: {error}"))?;
                let first = found.into_iter().next();
                first.map(Self::Tcp).ok_or_else(|| format!("`{address}` has no address"))
            }
            _ => Err(format!("`{text}` is neither unix:PATH nor tcp:HOST:PORT")),
        }
    }
}

/// Where others may call. A Unix socket disappears with it.
pub(super) enum Listener {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener, Option<Identity>),
}

/// Somebody who has called, before the first byte.
pub(super) enum Caller {
    Plain(Socket),
    Encrypted(tokio::net::TcpStream, Identity),
}

impl Caller {
    /// The connection, encrypted where it has to be; it takes as long as the caller likes.
    pub(super) async fn receive(self) -> io::Result<Socket> {
        match self {
            Self::Plain(socket) => Ok(socket),
            Self::Encrypted(stream, identity) => identity.accept(stream).await.map(Socket::Tls),
        }
    }
}

impl Listener {
    pub(super) async fn bind(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Unix(path) => {
                let listener = UnixListener::bind(path)?;
                fs::set_permissions(path, Permissions::from_mode(0o600))?;
                Ok(Self::Unix(listener, path.clone()))
            }
            Endpoint::Tcp(address) if !address.ip().is_loopback() => Err(unprotected(*address)),
            Endpoint::Tcp(address) => Ok(Self::Tcp(TcpListener::bind(address).await?, None)),
            Endpoint::Tls(address, identity) => {
                Ok(Self::Tcp(TcpListener::bind(address).await?, Some(identity.clone())))
            }
        }
    }

    /// The next caller; of a Unix socket only one of the same user.
    pub(super) async fn accept(&self) -> io::Result<Caller> {
        match self {
            Self::Unix(listener, _) => Socket::Unix(listener.accept().await?.0).checked().map(Caller::Plain),
            Self::Tcp(listener, identity) => {
                let stream = listener.accept().await?.0;
                stream.set_nodelay(true)?;
                Ok(match identity {
                    None => Caller::Plain(Socket::Tcp(stream)),
                    Some(identity) => Caller::Encrypted(stream, identity.clone()),
                })
            }
        }
    }

    /// Where it can be reached.
    pub(super) fn endpoint(&self) -> io::Result<Endpoint> {
        Ok(match self {
            Self::Unix(_, path) => Endpoint::Unix(path.clone()),
            Self::Tcp(listener, None) => Endpoint::Tcp(listener.local_addr()?),
            Self::Tcp(listener, Some(identity)) => Endpoint::Tls(listener.local_addr()?, identity.clone()),
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
            ("tcp:localhost", "no address and port"),
            ("tcp::7400", "no address and port"),
            ("tcp:localhost:70000", "no address and port"),
            ("tcp:nowhere.invalid:7400", "can't be found"),
            ("unix:", "needs a path"),
            ("udp:1", "neither"),
            ("", "neither"),
        ] {
            let problem = text.parse::<Endpoint>().expect_err(text);
            assert!(problem.contains(why), "{text}: {problem}");
        }
    }

    #[tokio::test]
    async fn nothing_is_opened_or_called_without_tls_that_other_machines_can_reach() {
        for text in ["tcp:0.0.0.0:0", "tcp:10.0.0.1:7400", "tcp:[::]:0", "tcp:192.0.2.1:7400"] {
            let endpoint: Endpoint = text.parse().expect(text);
            let opened = Listener::bind(&endpoint).await.err().expect("it is not opened");
            let called = Socket::connect(&endpoint).await.err().expect("nobody is called");
            let typed = endpoint.secured(None).expect_err("it is refused");
            for said in [opened.to_string(), called.to_string(), typed] {
                assert!(said.contains("not encrypted") && said.contains("--keys FOLDER"), "{said}");
            }
        }
        let folder = tempfile::tempdir().expect("a folder");
        let keys = crate::process::issue::issue(&folder.path().join("keys")).expect("keys");
        let identity = Identity::read(keys.files()).expect("an identity");
        let open =
            "tcp:0.0.0.0:0".parse::<Endpoint>().expect("an endpoint").secured(Some(identity.clone())).expect("TLS");
        assert!(Listener::bind(&open).await.is_ok(), "with TLS it is");
        let local = "unix:a.sock".parse::<Endpoint>().expect("an endpoint").secured(Some(identity));
        assert!(local.expect_err("not on a Unix socket").contains("leave TLS out"));
    }
}
