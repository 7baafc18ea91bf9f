//! The two pumps of one end of a link, and the window they share.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::Poll;

use futures::task::AtomicWaker;
use ndarray::Array2;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::task::JoinHandle;
use tokio_util::bytes::Buf;

use super::{Ends, LinkError, Stream};
use crate::engine::mailbox::{Broken, Inbox, Outbox, Sent};
use crate::math::{Field, Real, values, values_mut};
use crate::signal::Signal;
use crate::wire::frame::{Direction, HEADER, Header, Heading, Link, decode, encode};
use crate::wire::numbers;

/// Frames that may be on their way in one direction of a link. Lock-step never has more than the two of a round trip; in the other
/// schedules a slow receiver gets nothing older than this.
pub const WINDOW: u64 = 8;

/// Bytes read at once, so that a small frame is one system call; a larger one goes past the buffer into its page.
pub(super) const READ_AHEAD: usize = 1 << 13;

/// What the speaking pump has to know of the hearing one.
#[derive(Default)]
struct Window {
    /// Our frames that the other side has received, as its headers say.
    credited: AtomicU64,
    /// Frames received from the other side.
    received: AtomicU64,
    /// The speaking pump waits for credit.
    starved: AtomicBool,
    waker: AtomicWaker,
}

pub(super) async fn both<T: Real>(
    stream: Stream,
    link: Link,
    outward: Direction,
    ends: Ends<T>,
) -> Result<(), LinkError> {
    let window = Arc::new(Window::default());
    let inward = if outward == Direction::Up { Direction::Down } else { Direction::Up };
    let speaking = tokio::spawn(speak(stream.writer, link, outward, ends.said, Arc::clone(&window)));
    // Aborted when hearing ends: whoever is not heard any more has nobody to speak to.
    let _ends_with_this = AbortOnDrop(speaking.abort_handle());
    let heard = hear(stream.reader, link, inward, ends.heard, window).await;
    ended(heard, speaking).await
}

/// How a connection ended. That its line is dead is told only to the pump that asks first; the other one finds it closed.
pub(super) async fn ended(
    heard: Result<(), LinkError>,
    speaking: JoinHandle<Result<(), LinkError>>,
) -> Result<(), LinkError> {
    speaking.abort();
    match (heard, speaking.await) {
        (Ok(()), Ok(Err(error))) if error.dead_line().is_some() => Err(error),
        (heard, _) => heard,
    }
}

pub(super) struct AbortOnDrop(pub(super) tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the speaking pump does next.
enum Next<T> {
    Signal(Signal<T>),
    Credit,
    Over,
}

async fn speak<T: Real>(
    mut writer: impl AsyncWrite + Unpin,
    link: Link,
    direction: Direction,
    said: Inbox<T>,
    window: Arc<Window>,
) -> Result<(), LinkError> {
    let (mut sent, mut granted) = (0, 0);
    loop {
        let next = poll_fn(|context| {
            window.waker.register(context.waker());
            // Said before it is looked at: a credit that comes in between is seen here or wakes.
            window.starved.store(true, SeqCst);
            let room = sent < window.credited.load(SeqCst) + WINDOW;
            window.starved.store(!room, SeqCst);
            // Signals of all phases: the mailbox at the other end makes them wait for theirs.
            match if room { said.poll_take(u64::MAX, context) } else { Poll::Pending } {
                Poll::Ready(Ok(signal)) => Poll::Ready(Next::Signal(signal)),
                Poll::Ready(Err(Broken)) => Poll::Ready(Next::Over),
                Poll::Pending if window.received.load(SeqCst) - granted >= WINDOW / 2 => Poll::Ready(Next::Credit),
                Poll::Pending => Poll::Pending,
            }
        });
        let next = next.await;
        granted = window.received.load(SeqCst);
        match next {
            Next::Signal(Signal { stamp, content, numbers: page }) => {
                sent += 1;
                let heading = Heading { stamp, content, shape: page.dim(), again: false };
                let header = encode::<T>(link, direction, &Header { credit: granted, signal: Some(heading) });
                let bytes = numbers::bytes(values(&page));
                // One system call for both where the stream takes vectors, and no copy in between.
                writer.write_all_buf(&mut Buf::chain(&header[..], &bytes[..])).await?;
                // A plain socket has nothing left to do; what encrypts may still hold the end.
                writer.flush().await?;
            }
            Next::Credit => {
                let header = encode::<T>(link, direction, &Header { credit: granted, signal: None });
                writer.write_all(&header).await?;
                writer.flush().await?;
            }
            Next::Over => {
                writer.shutdown().await?;
                return Ok(());
            }
        }
    }
}

async fn hear<T: Real>(
    reader: impl AsyncRead + Unpin,
    link: Link,
    direction: Direction,
    heard: Outbox<T>,
    window: Arc<Window>,
) -> Result<(), LinkError> {
    let mut reader = BufReader::with_capacity(READ_AHEAD, reader);
    let mut pages = Recycled { pages: Vec::new() };
    let mut granted_last = 0;
    loop {
        let mut header = [0; HEADER];
        match reader.read_exact(&mut header).await {
            Ok(_) => {}
            // The neighbour is gone; that it ended between two frames or within one makes no difference to the layer here.
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        let Header { credit, signal } = decode::<T>(&header, link, direction)?;
        window.credited.fetch_max(credit, SeqCst);
        if let Some(Heading { stamp, content, shape, again }) = signal {
            if again {
                return Err(LinkError::Again);
            }
            let mut page = pages.free(shape);
            let numbers = values_mut(Arc::get_mut(&mut page).expect("a free page has no reader"));
            match reader.read_exact(numbers::room(numbers)).await {
                Ok(_) => numbers::settle(numbers),
                Err(error) => return ending(error),
            }
            pages.keep(&page);
            let received = window.received.fetch_add(1, SeqCst) + 1;
            match heard.send(Signal { stamp, content, numbers: page }) {
                Ok(Sent::Delivered | Sent::Replaced(_)) => {}
                Err(Broken) if heard.is_closed() => return Ok(()),
                Err(Broken) => return Err(LinkError::Runaway),
            }
            if received - granted_last >= WINDOW / 2 {
                granted_last = received;
                window.waker.wake();
                continue;
            }
        }
        if window.starved.swap(false, SeqCst) {
            window.waker.wake();
        }
    }
}

/// The neighbour is gone, whether between two frames or within one, or the stream has failed.
pub(super) fn ending(error: std::io::Error) -> Result<(), LinkError> {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => Ok(()),
        _ => Err(error.into()),
    }
}

/// Pages for what is read, used again once nobody reads them.
pub(super) struct Recycled<T> {
    pub(super) pages: Vec<Arc<Field<T>>>,
}

impl<T: Real> Recycled<T> {
    pub(super) fn free(&mut self, shape: (usize, usize)) -> Arc<Field<T>> {
        self.pages.retain(|page| page.dim() == shape);
        let free = self.pages.iter_mut().position(|page| Arc::get_mut(page).is_some());
        free.map_or_else(|| Arc::new(Array2::zeros(shape)), |index| self.pages.swap_remove(index))
    }

    pub(super) fn keep(&mut self, page: &Arc<Field<T>>) {
        self.pages.push(Arc::clone(page));
    }
}
