//! Callers are let in one after the other, and only those who prove that they know the secret (`crate::wire::handshake`).
//!
//! Before that a caller costs a task and 188 bytes, with TLS also what a TLS handshake takes. Only so many may be that far at a time, each only for so long, and nobody of
//! them can hold up the others.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::ProcessError;
use super::endpoint::{Caller, Endpoint, Listener};
use super::socket::Socket;
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
    // What is encrypted may still wait here.
    socket.flush().await?;
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
    socket.flush().await?;
    let mut challenge = [0; CHALLENGE];
    socket.read_exact(&mut challenge).await?;
    socket.write_all(&handshake::respond(secret, &nonce, &challenge, hello)?).await?;
    socket.flush().await?;
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
        let secret = socket.secret(secret);
        introduce(&mut socket, &secret, hello).await?;
        Ok(socket)
    });
    let called = called.await.unwrap_or(Err(HandshakeError::Late));
    called.map_err(|source| ProcessError::Call { endpoint: endpoint.to_string(), source })
}

/// A listener and the callers who are not in yet.
pub(super) struct Reception {
    listener: Listener,
    secret: Secret,
    pending: JoinSet<Result<(Hello, Socket), HandshakeError>>,
    refused: u64,
}

impl Reception {
    pub(super) fn new(listener: Listener, secret: Secret) -> Self {
        Self { listener, secret, pending: JoinSet::new(), refused: 0 }
    }

    /// The next caller who knows the secret; [`answer`] it. Strangers are noted in the log. Nothing is lost if this is not awaited
    /// to the end.
    pub(super) async fn next(&mut self) -> Result<(Hello, Socket), std::io::Error> {
        loop {
            tokio::select! {
                biased;
                Some(done) = self.pending.join_next(), if !self.pending.is_empty() => match done {
                    Ok(Ok(known)) => return Ok(known),
                    Ok(Err(problem)) => self.refuse(&problem),
                    Err(problem) => self.refuse(&problem),
                },
                accepted = self.listener.accept(), if self.pending.len() < PENDING_MOST => match accepted {
                    Ok(caller) => {
                        let secret = self.secret.clone();
                        self.pending.spawn(verified(caller, secret));
                    }
                    Err(error) if is_the_callers(&error) => self.refuse(&error),
                    Err(error) => return Err(error),
                },
            }
        }
    }
}

impl Reception {
    /// Notes a stranger. Of many only the first, and then fewer and fewer: a log is not to be filled from outside.
    fn refuse(&mut self, problem: &dyn std::fmt::Display) {
        self.refused += 1;
        if self.refused <= 16 || self.refused.is_power_of_two() {
            tracing::warn!("a connection was refused, the {}. of them: {problem}", self.refused);
        }
    }
}

/// Problems of one caller, not of the listener.
fn is_the_callers(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, InvalidInput, NotConnected, PermissionDenied};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | InvalidInput | NotConnected | PermissionDenied)
}

async fn verified(caller: Caller, secret: Secret) -> Result<(Hello, Socket), HandshakeError> {
    let admitted = timeout(HANDSHAKE, async {
        let mut socket = caller.receive().await?;
        let secret = socket.secret(&secret);
        let hello = admit(&mut socket, &secret).await?;
        Ok((hello, socket))
    });
    admitted.await.unwrap_or(Err(HandshakeError::Late))
}

/// Lets a caller in, or says why not.
pub(super) async fn answer(socket: &mut Socket, verdict: Verdict) -> std::io::Result<()> {
    socket.write_all(&[verdict as u8]).await?;
    socket.flush().await
}
