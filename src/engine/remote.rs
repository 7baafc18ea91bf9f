//! Layers in another process, as the coordinator's side sees them: directives go out over one connection per worker, news come
//! in over it. Neither passes a signal: neighbours are connected directly.
//!
//! On the connection, both ways: a length-delimited head in bincode, then its numbers in length-delimited chunks
//! (`crate::wire::control`). How long both may be is known before they come.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use futures::{SinkExt, StreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::bytes::{Bytes, BytesMut};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use super::actor::News;
use super::error::Severed;
use super::line::{Hearer, Teller, Untold};
use super::transport::Stream;
use crate::layer::LayerError;
use crate::math::Real;
use crate::network::NetworkSpec;
use crate::signal::{Directive, Report};
use crate::wire::WireError;
use crate::wire::control::{self, Bounds, CHUNK, HEAD_MOST, Order, Tiding};
use crate::wire::numbers;

/// Why a control connection can't go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the connection failed: {0}")]
    Stream(#[from] io::Error),
}

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().little_endian().max_frame_length(HEAD_MOST).new_codec()
}

/// The reading half of a control connection.
pub(crate) struct Incoming(FramedRead<Box<dyn AsyncRead + Send + Unpin>, LengthDelimitedCodec>);

/// The writing half.
pub(crate) struct Outgoing(FramedWrite<Box<dyn AsyncWrite + Send + Unpin>, LengthDelimitedCodec>);

/// Both halves of a control connection.
pub(crate) fn control(stream: Stream) -> (Incoming, Outgoing) {
    (Incoming(FramedRead::new(stream.reader, codec())), Outgoing(FramedWrite::new(stream.writer, codec())))
}

impl Incoming {
    /// The next head; `None` when the other side has closed.
    pub(crate) async fn head<H: DeserializeOwned>(&mut self, what: &'static str) -> Result<Option<H>, ControlError> {
        match self.0.next().await.transpose() {
            Ok(Some(bytes)) => Ok(Some(control::decode(what, &bytes)?)),
            Ok(None) => Ok(None),
            // A process that ends with something unread resets its connections instead of closing them; one that is killed
            // ends an encrypted one without a farewell.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The next piece of something of which so many bytes are missing.
    pub(super) async fn chunk(&mut self, missing: usize) -> Result<BytesMut, ControlError> {
        let chunk = self.0.next().await.transpose()?.ok_or(io::ErrorKind::UnexpectedEof).map_err(io::Error::from)?;
        if (1..=missing).contains(&chunk.len()) {
            return Ok(chunk);
        }
        let expected = format!("1 to {missing}");
        Err(WireError::Field { field: "the length of a chunk", found: chunk.len() as u64, expected }.into())
    }

    /// Reads until the other side has closed.
    pub(super) async fn end(&mut self) {
        while let Some(Ok(_)) = self.0.next().await {}
    }

    /// Exactly so many numbers, a number the caller has bounded.
    pub(super) async fn numbers<T: Real>(&mut self, count: usize) -> Result<Vec<T>, ControlError> {
        let mut numbers = vec![T::zero(); count];
        let mut room = numbers::room(&mut numbers);
        while !room.is_empty() {
            let chunk = self.chunk(room.len()).await?;
            let (filled, rest) = room.split_at_mut(chunk.len());
            filled.copy_from_slice(&chunk);
            room = rest;
        }
        numbers::settle(&mut numbers);
        Ok(numbers)
    }
}

impl Outgoing {
    /// Says one thing, at once.
    pub(crate) async fn say<H: Serialize>(&mut self, head: &H) -> Result<(), ControlError> {
        self.put(head, &[]).await?;
        self.flush().await
    }

    pub(super) async fn put<H: Serialize>(&mut self, head: &H, numbers: &[u8]) -> Result<(), ControlError> {
        self.0.feed(Bytes::from(control::encode(head))).await?;
        self.put_numbers(numbers).await
    }

    /// Numbers that follow a head.
    pub(super) async fn put_numbers(&mut self, numbers: &[u8]) -> Result<(), ControlError> {
        for chunk in numbers.chunks(CHUNK) {
            self.0.feed(Bytes::copy_from_slice(chunk)).await?;
        }
        Ok(())
    }

    pub(super) async fn flush(&mut self) -> Result<(), ControlError> {
        Ok(SinkExt::<Bytes>::flush(&mut self.0).await?)
    }
}

/// What limits numbers, owned.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) network: Arc<NetworkSpec>,
    pub(crate) batch_most: usize,
}

impl Limits {
    pub(super) fn bounds(&self) -> Bounds<'_> {
        Bounds { network: &self.network, batch_most: self.batch_most }
    }
}

/// What a worker is told while it has layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Told {
    /// A directive, and the layer it is for.
    Order(usize, Order),
    /// The run is over, or nobody is needed any more. A connection that ends without it was cut.
    Farewell,
}

/// How a worker and its coordinator parted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// The coordinator said that this was all.
    Farewell,
    /// The connection ended in the middle.
    Cut,
}

/// Coordinator: carries directives to the layers of one worker, as long as there are any to come, and then a farewell. Whoever ends
/// the runtime first has said none.
pub(crate) async fn order<T: Real>(mut out: Outgoing, layers: Vec<(usize, Hearer<T>)>) -> Result<(), ControlError> {
    while let Some((layer, directive)) = next_directive(&layers, true).await {
        let mut next = Some((layer, directive));
        // What is there already goes out in one system call.
        while let Some((layer, directive)) = next {
            let (head, numbers) = Order::of(&directive);
            out.put(&Told::Order(layer, head), &numbers).await?;
            next = next_directive(&layers, false).await;
        }
        out.flush().await?;
    }
    out.say(&Told::Farewell).await
}

/// The next directive for any of the layers; `None` if there will be none, or if none is there and nobody wants to wait.
async fn next_directive<T>(layers: &[(usize, Hearer<T>)], wait: bool) -> Option<(usize, Directive<T>)> {
    poll_fn(|context| {
        let mut open = false;
        for (layer, directives) in layers {
            match directives.poll_next(context) {
                Poll::Ready(Some(directive)) => return Poll::Ready(Some((*layer, directive))),
                Poll::Ready(None) => {}
                Poll::Pending => open = true,
            }
        }
        if open && wait { Poll::Pending } else { Poll::Ready(None) }
    })
    .await
}

/// Coordinator: hands on what one worker, by its number, tells of its nodes, ascending, until it closes its connection.
pub(crate) async fn listen<T: Real>(
    mut incoming: Incoming,
    (worker, nodes): (usize, Vec<usize>),
    limits: Limits,
    news: mpsc::Sender<News<T>>,
) -> Result<(), ControlError> {
    while let Some(tiding) = incoming.head::<Tiding>("a tiding").await? {
        let numbers = incoming.numbers(tiding.numbers(limits.bounds())?).await?;
        let (tiding, extract) = tiding.with::<T>(numbers, limits.bounds())?;
        let network = &*limits.network;
        let of_layer = |layer: usize| network.nodes_of(layer).any(|node| nodes.binary_search(&node).is_ok());
        let (is_ours, layer) = match &tiding {
            Tiding::Report(Report { layer, group, .. }) => {
                let node = network.nodes_of(*layer).nth(*group);
                (node.is_some_and(|node| nodes.binary_search(&node).is_ok()), *layer)
            }
            Tiding::Extract(node, _) => (nodes.binary_search(node).is_ok(), *node),
            Tiding::Fault(layer, _) | Tiding::LinkBroken(layer) => (of_layer(*layer), *layer),
            Tiding::Severed(lower, ..) => (of_layer(*lower) || of_layer(lower + 1), *lower),
        };
        if !is_ours {
            let names: Vec<String> =
                nodes.iter().filter_map(|&node| network.address(node)).map(|name| name.to_string()).collect();
            let expected = format!("one of {}", names.join(", "));
            return Err(WireError::Field { field: "the layer of a tiding", found: layer as u64, expected }.into());
        }
        let told = match tiding {
            Tiding::Report(report) => News::Report(Box::new(report)),
            Tiding::Extract(node, _) => News::Extract(node, Box::new(extract)),
            Tiding::Fault(layer, what) => News::Fault(LayerError { layer, what }),
            Tiding::LinkBroken(layer) => News::LinkBroken(layer),
            Tiding::Severed(lower, peer, how) => {
                News::Severed(Box::new(Severed { workers: [worker, peer], lower, how }))
            }
        };
        if news.send(told).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Worker: hands on directives until the coordinator says farewell or its connection ends.
pub(crate) async fn obey<T: Real>(
    incoming: &mut Incoming,
    layers: &[(usize, Teller<T>)],
    limits: &Limits,
) -> Result<Parting, ControlError> {
    while let Some(told) = incoming.head::<Told>("a directive").await? {
        let Told::Order(layer, order) = told else { return Ok(Parting::Farewell) };
        let count = order.numbers(layer, limits.bounds())?;
        let directive = order.with(incoming.numbers::<T>(count).await?, layer, limits.bounds())?;
        let Some((_, directives)) = layers.iter().find(|(index, _)| *index == layer) else {
            let expected = "a layer of this worker".to_owned();
            return Err(WireError::Field { field: "the layer of a directive", found: layer as u64, expected }.into());
        };
        // A layer that has ended says so by itself; one that is busy is waited for, which holds up those behind it on the connection.
        let mut untold = directives.tell(directive);
        while let Err(Untold::Full(directive)) = untold {
            tokio::task::yield_now().await;
            untold = directives.tell(directive);
        }
    }
    Ok(Parting::Cut)
}

/// Worker: tells the coordinator what its layers have to say, until they have all ended.
pub(crate) async fn tell<T: Real>(mut out: Outgoing, mut news: mpsc::Receiver<News<T>>) -> Result<(), ControlError> {
    while let Some(first) = news.recv().await {
        let mut next = Some(first);
        while let Some(told) = next {
            let (head, numbers) = match told {
                News::Report(report) => (Tiding::Report(*report), Vec::new()),
                News::Extract(layer, extract) => {
                    let (parcel, bytes) = control::Parcel::of(&extract);
                    (Tiding::Extract(layer, parcel), bytes)
                }
                News::Fault(LayerError { layer, what }) => (Tiding::Fault(layer, what), Vec::new()),
                News::LinkBroken(layer) => (Tiding::LinkBroken(layer), Vec::new()),
                News::Severed(severed) => {
                    let Severed { workers: [_, peer], lower, how } = *severed;
                    (Tiding::Severed(lower, peer, how), Vec::new())
                }
                // Only the coordinator's own people say that, or groups, which are not sent apart.
                News::Lost(_) | News::Quiet(_) | News::Bad(_) => return Ok(()),
            };
            out.put(&head, &numbers).await?;
            next = news.try_recv().ok();
        }
        out.flush().await?;
    }
    Ok(())
}
