//! Ctrl-C and SIGTERM: the first asks the run to finish its step and write a checkpoint, the second ends the process at once.

use std::thread;

use tokio_util::sync::CancellationToken;

/// Starts listening; the token is cancelled at the first signal.
pub(super) fn listen() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let cancel = token.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Heard from here on, not from whenever the thread comes to run.
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let listener = move || {
        runtime.block_on(async move {
            if signals.next().await.is_err() {
                super::complain("warning: signals can't be heard; Ctrl-C ends without a checkpoint");
                return;
            }
            super::complain("finishing this step; once more to stop at once without a checkpoint");
            cancel.cancel();
            if signals.next().await.is_ok() {
                std::process::exit(130);
            }
        });
    };
    thread::Builder::new().name("signals".into()).spawn(listener)?;
    Ok(token)
}

/// The two signals that end a run.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> std::io::Result<()> {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Ok(()),
            _ = self.terminate.recv() => Ok(()),
        }
    }
}

/// Ctrl-C alone, where there are no signals.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> std::io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}
