//! Callers are let in one after the other, and only those who prove that they know the secret (`crate::wire::handshake`).
//!
//! Before that a caller costs a task and 188 bytes. Only so many may be that far at a time, each only for so long, and nobody of
//! them can hold up the others.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::ProcessError;
use super::endpoint::{Endpoint, Listener, Socket};
use crate::wire::WireError;
use crate::wire::handshake::{self, CALL, CHALLENGE, Hello, RESPONSE, Secret, Verdict};

/// A handshake takes no longer, and so doesn't a call.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);

/// Callers that may be in the middle of it.
const PENDING_MOST: usize = 16;

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The other side said something wrong.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The connection failed or was closed.
    #[error("the connection ended: {0}")]
    Stream(#[from] std::io::Error),
    /// It took too long.
    #[error("no answer within {} s", HANDSHAKE.as_secs())]
    Late,
    /// Somebody else is wanted.
    #[error("refused: it belongs to another run, or to an earlier life of this one")]
    OtherRun,
    /// Nobody more is wanted.
    #[error("refused: nobody is expected there, or somebody was faster")]
    NotExpected,
}

/// 32 bytes that nobody can foresee.
pub(super) fn random<const SIZE: usize>() -> Result<[u8; SIZE], std::io::Error> {
    let mut bytes = [0; SIZE];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}

/// The host's side, up to the proof that the caller knows the secret.
async fn admit(socket: &mut (impl AsyncRead + AsyncWrite + Unpin), secret: &Secret) -> Result<Hello, HandshakeError> {
    let mut call = [0; CALL];
    socket.read_exact(&mut call).await?;
    let nonce = random()?;
    let (called, challenge) = handshake::challenge(secret, &call, &nonce);
    socket.write_all(&challenge).await?;
    called?;
    let mut response = [0; RESPONSE];
    socket.read_exact(&mut response).await?;
    Ok(handshake::verify(secret, &call, &nonce, &response)?)
}

/// The caller's side.
async fn introduce(
    socket: &mut (impl AsyncRead + AsyncWrite + Unpin),
    secret: &Secret,
    hello: &Hello,
) -> Result<(), HandshakeError> {
    let nonce = random()?;
    socket.write_all(&handshake::call(&nonce)).await?;
    let mut challenge = [0; CHALLENGE];
    socket.read_exact(&mut challenge).await?;
    socket.write_all(&handshake::respond(secret, &nonce, &challenge, hello)?).await?;
    let mut verdict = [0; 1];
    socket.read_exact(&mut verdict).await?;
    match handshake::verdict(verdict[0])? {
        Verdict::Welcome => Ok(()),
        Verdict::OtherRun => Err(HandshakeError::OtherRun),
        Verdict::NotExpected => Err(HandshakeError::NotExpected),
    }
}

/// Calls somebody and proves who is calling.
pub(super) async fn call(endpoint: &Endpoint, secret: &Secret, hello: &Hello) -> Result<Socket, ProcessError> {
    let called = timeout(HANDSHAKE, async {
        let mut socket = Socket::connect(endpoint).await?;
        match &mut socket {
            Socket::Unix(stream) => introduce(stream, secret, hello).await?,
            Socket::Tcp(stream) => introduce(stream, secret, hello).await?,
        }
        Ok(socket)
    });
    let called = called.await.unwrap_or(Err(HandshakeError::Late));
    called.map_err(|source| ProcessError::Call { endpoint: endpoint.clone(), source })
}

/// A listener and the callers who are not in yet.
pub(super) struct Reception {
    listener: Listener,
    secret: Secret,
    pending: JoinSet<Result<(Hello, Socket), HandshakeError>>,
}

impl Reception {
    pub(super) fn new(listener: Listener, secret: Secret) -> Self {
        Self { listener, secret, pending: JoinSet::new() }
    }

    /// The next caller who knows the secret; [`answer`] it. Strangers are noted in the log. Nothing is lost if this is not awaited
    /// to the end.
    pub(super) async fn next(&mut self) -> Result<(Hello, Socket), std::io::Error> {
        loop {
            tokio::select! {
                biased;
                Some(done) = self.pending.join_next(), if !self.pending.is_empty() => match done {
                    Ok(Ok(known)) => return Ok(known),
                    Ok(Err(problem)) => tracing::warn!("a connection was refused: {problem}"),
                    Err(problem) => tracing::warn!("a connection was refused: {problem}"),
                },
                accepted = self.listener.accept(), if self.pending.len() < PENDING_MOST => match accepted {
                    Ok(socket) => {
                        let secret = self.secret.clone();
                        self.pending.spawn(verified(socket, secret));
                    }
                    Err(error) if is_the_callers(&error) => tracing::warn!("a connection was refused: {error}"),
                    Err(error) => return Err(error),
                },
            }
        }
    }
}

/// Problems of one caller, not of the listener.
fn is_the_callers(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, InvalidInput, NotConnected, PermissionDenied};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | InvalidInput | NotConnected | PermissionDenied)
}

async fn verified(mut socket: Socket, secret: Secret) -> Result<(Hello, Socket), HandshakeError> {
    let admitted = timeout(HANDSHAKE, async {
        match &mut socket {
            Socket::Unix(stream) => admit(stream, &secret).await,
            Socket::Tcp(stream) => admit(stream, &secret).await,
        }
    });
    let hello = admitted.await.unwrap_or(Err(HandshakeError::Late))?;
    Ok((hello, socket))
}

/// Lets a caller in, or says why not.
pub(super) async fn answer(socket: &mut Socket, verdict: Verdict) -> std::io::Result<()> {
    let byte = [verdict as u8];
    match socket {
        Socket::Unix(stream) => stream.write_all(&byte).await,
        Socket::Tcp(stream) => stream.write_all(&byte).await,
    }
}
