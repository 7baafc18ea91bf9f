//! Ctrl-C and SIGTERM: the first asks the run to finish its step and write a checkpoint, the second ends the process at once.

use std::thread;

use tokio_util::sync::CancellationToken;

/// Starts listening; the token is cancelled at the first signal.
pub(super) fn listen() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let cancel = token.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = move || {
        runtime.block_on(async move {
            if wait().await.is_err() {
                super::complain("warning: signals can't be heard; Ctrl-C ends without a checkpoint");
                return;
            }
            super::complain("finishing this step; once more to stop at once without a checkpoint");
            cancel.cancel();
            if wait().await.is_ok() {
                std::process::exit(130);
            }
        });
    };
    thread::Builder::new().name("signals".into()).spawn(listener)?;
    Ok(token)
}

#[cfg(unix)]
async fn wait() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        biased;
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn wait() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
