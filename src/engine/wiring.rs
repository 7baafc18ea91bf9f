//! The mailboxes of a chain of layers, of each group with every group next door, and what connects those that two layers do not share.

use std::io;

use tokio::sync::mpsc;

use super::Schedule;
use super::actor::{Links, News};
use super::mailbox::{Delivery, Gate, mailbox};
use super::transport::{Ends, Stream, Transport, carry};
use crate::layer::LayerError;
use crate::math::Real;
use crate::network::NetworkSpec;
use crate::wire::frame::{Direction, Link};

/// The links of every group, and between the first groups of neighbours `[up, down]` between layers l and l + 1, at index l.
pub(super) type Chain<T> = (Vec<Links<T>>, Vec<[Gate<T>; 2]>);

/// A link whose batches are bounded by memory alone: both of its ends are in this process.
fn within(network: &NetworkSpec, lower: usize) -> Link {
    Link { lower, rows: network.widths()[lower + 1], columns_most: u32::MAX as usize }
}

/// A whole chain within this process.
pub(super) async fn chain<T: Real>(
    network: &NetworkSpec,
    schedule: Schedule,
    transport: Transport,
    news: &mpsc::Sender<News<T>>,
) -> io::Result<Chain<T>> {
    let delivery = schedule.delivery();
    let mut links: Vec<Links<T>> = (0..network.groups_in_all()).map(|_| Links::none()).collect();
    let mut gates = Vec::with_capacity(network.depth());
    let mut first = 0;
    for lower in 0..network.depth() {
        let above = first + network.groups(lower);
        let (belows, uppers) = links.split_at_mut(above);
        for (group, below) in belows[first..].iter_mut().enumerate() {
            for (upper_group, upper) in uppers[..network.groups(lower + 1)].iter_mut().enumerate() {
                let gate = match transport {
                    Transport::InProcess => share(below, upper, delivery),
                    // Whole layers: whoever makes an engine has refused others.
                    _ => {
                        let link = within(network, lower);
                        let [here, there] = Stream::pair(transport).await?;
                        let down = attach(below, (here, link, Direction::Up), delivery, news);
                        let up = attach(upper, (there, link, Direction::Down), delivery, news);
                        [up, down]
                    }
                };
                if (group, upper_group) == (0, 0) {
                    gates.push(gate);
                }
            }
        }
        first = above;
    }
    Ok((links, gates))
}

/// Connects two neighbours by mailboxes they share; the gates of up and down.
pub(super) fn share<T>(below: &mut Links<T>, above: &mut Links<T>, delivery: Delivery) -> [Gate<T>; 2] {
    let (up, from_below) = mailbox(delivery);
    let (down, from_above) = mailbox(delivery);
    let gates = [up.gate(), down.gate()];
    below.to_above.push(up);
    below.from_above.push(from_above);
    above.from_below.push(from_below);
    above.to_below.push(down);
    gates
}

/// Connects one layer to a stream, on the side on which it speaks in this direction; the gate of what it will hear.
pub(super) fn attach<T: Real>(
    layer: &mut Links<T>,
    (stream, link, outward): (Stream, Link, Direction),
    delivery: Delivery,
    news: &mpsc::Sender<News<T>>,
) -> Gate<T> {
    let (out, said) = mailbox(delivery);
    let (heard, inbox) = mailbox(delivery);
    let gate = heard.gate();
    let (here, there) = match outward {
        Direction::Up => {
            layer.to_above.push(out);
            layer.from_above.push(inbox);
            (link.lower, link.lower + 1)
        }
        Direction::Down => {
            layer.to_below.push(out);
            layer.from_below.push(inbox);
            (link.lower + 1, link.lower)
        }
    };
    let pumps = carry(stream, link, outward, Ends { said, heard });
    let news = news.clone();
    tokio::spawn(async move {
        if let Err(error) = pumps.await {
            let what = format!("the link with layer {there} can't go on: {error}");
            let _ = news.send(News::Fault(LayerError { layer: here, what })).await;
        }
    });
    gate
}
