//! What joins the layers of a chain: mailboxes between whole layers, or streams; halls between layers that are cut into groups.

use std::io;

use tokio::sync::mpsc;

use super::Schedule;
use super::actor::{Links, News, Side};
use super::error::Severed;
use super::hall::{Counter, seats};
use super::mailbox::{Delivery, Gate, mailbox};
use super::transport::{Ends, LinkError, Stream, Transport, carry};
use crate::layer::LayerError;
use crate::math::Real;
use crate::network::NetworkSpec;
use crate::wire::frame::{Direction, Link};

/// What a chain is joined by.
pub(super) struct Chain<T> {
    /// The links of every node.
    pub(super) links: Vec<Links<T>>,
    /// Between whole layers l and l + 1, `[up, down]` at index l; none where layers are cut.
    pub(super) gates: Vec<[Gate<T>; 2]>,
    /// Of the halls, where layers are cut.
    pub(super) counters: Vec<Counter<T>>,
}

/// A link whose batches are bounded by memory alone: both of its ends are in this process.
fn within(network: &NetworkSpec, lower: usize) -> Link {
    Link { lower, group: 0, rows: network.widths()[lower + 1], columns_most: u32::MAX as usize }
}

/// A whole chain within this process. `apart`: what a group says takes its time, and a different one to everybody.
pub(super) async fn chain<T: Real>(
    network: &NetworkSpec,
    schedule: Schedule,
    transport: Transport,
    news: &mpsc::Sender<News<T>>,
    apart: bool,
) -> io::Result<Chain<T>> {
    if network.is_cut() {
        return Ok(groups(network, apart));
    }
    let delivery = schedule.delivery();
    let mut links: Vec<Links<T>> = (0..=network.depth()).map(|_| Links::none()).collect();
    let mut gates = Vec::with_capacity(network.depth());
    for lower in 0..network.depth() {
        let (belows, uppers) = links.split_at_mut(lower + 1);
        let (below, upper) = (&mut belows[lower], &mut uppers[0]);
        gates.push(match transport {
            Transport::InProcess => share(below, upper, delivery),
            _ => {
                let link = within(network, lower);
                let [here, there] = Stream::pair(transport).await?;
                let down = attach(below, (here, link, Direction::Up), (delivery, None), news);
                let up = attach(upper, (there, link, Direction::Down), (delivery, None), news);
                [up, down]
            }
        });
    }
    Ok(Chain { links, gates, counters: Vec::new() })
}

/// Every group with every group next door.
fn groups<T>(network: &NetworkSpec, apart: bool) -> Chain<T> {
    let mut links: Vec<Links<T>> = (0..network.groups_in_all()).map(|_| Links::none()).collect();
    let (mut first, mut counters) = (0, Vec::with_capacity(network.depth()));
    for lower in 0..network.depth() {
        let upper = first + network.groups(lower);
        let ([below, above], counting) = seats(network.groups(lower), network.groups(lower + 1), apart);
        links[first..].iter_mut().zip(below).for_each(|(links, seat)| links.above = Side::Hall(seat));
        links[upper..].iter_mut().zip(above).for_each(|(links, seat)| links.below = Side::Hall(seat));
        counters.push(counting);
        first = upper;
    }
    Chain { links, gates: Vec::new(), counters }
}

/// Connects two neighbours by mailboxes they share; the gates of up and down.
pub(super) fn share<T>(below: &mut Links<T>, above: &mut Links<T>, delivery: Delivery) -> [Gate<T>; 2] {
    let (up, from_below) = mailbox(delivery);
    let (down, from_above) = mailbox(delivery);
    let gates = [up.gate(), down.gate()];
    below.above = Side::Mail(up, from_above);
    above.below = Side::Mail(down, from_below);
    gates
}

/// Connects one layer to a stream, on the side on which it speaks in this direction; the gate of what it will hear. If the other end is
/// with another worker, `workers` are this one and that one.
pub(super) fn attach<T: Real>(
    layer: &mut Links<T>,
    (stream, link, outward): (Stream, Link, Direction),
    (delivery, workers): (Delivery, Option<[usize; 2]>),
    news: &mpsc::Sender<News<T>>,
) -> Gate<T> {
    let (out, said) = mailbox(delivery);
    let (heard, inbox) = mailbox(delivery);
    let gate = heard.gate();
    let (here, there) = match outward {
        Direction::Up => {
            layer.above = Side::Mail(out, inbox);
            (link.lower, link.lower + 1)
        }
        Direction::Down => {
            layer.below = Side::Mail(out, inbox);
            (link.lower + 1, link.lower)
        }
    };
    let pumps = carry(stream, link, outward, Ends { said, heard });
    let news = news.clone();
    tokio::spawn(async move {
        if let Err(error) = pumps.await {
            let what = format!("the link with layer {there} can't go on: {error}");
            let _ = news.send(trouble(&error, (link.lower, workers), LayerError { layer: here, what })).await;
        }
    });
    gate
}

/// What is told of a link that can't go on: that the line between two workers is dead, which another generation may survive, or that
/// something was wrong.
pub(super) fn trouble<T>(
    error: &LinkError,
    (lower, workers): (usize, Option<[usize; 2]>),
    fault: LayerError,
) -> News<T> {
    match (error.dead_line(), workers) {
        (Some(how), Some(workers)) => News::Severed(Box::new(Severed { workers, lower, how: how.to_string() })),
        _ => News::Fault(fault),
    }
}
