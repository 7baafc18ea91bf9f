//! What groups of neurons in two processes say to each other, in lock-step: one connection for two neighbouring layers and two processes,
//! on which every group's signal goes once, however many hear it there.
//!
//! ```text
//! up     share of group g of layer l:   the rows of a_{l+1} that groups of the other process have, one block below the other
//! down   error of group g of layer l+1: its rows of d_{l+1}
//! ```
//!
//! Both sides know the placement, so who may speak and how many rows that has is known before a frame comes. No window is needed: nobody
//! speaks in a round before everybody has answered the last one, so no more than a round is ever on its way.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::sync::mpsc;

use super::pump::{AbortOnDrop, READ_AHEAD, Recycled, ended, ending};
use super::{LinkError, Stream};
use crate::engine::hall::{Pair, Said};
use crate::math::{Field, Real, values, values_mut};
use crate::signal::Signal;
use crate::wire::frame::{Direction, HEADER, Header, Heading, Link, claim, decode, encode};
use crate::wire::numbers;

/// What one group says over a connection in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Voice {
    /// Its link, whose rows are those that travel.
    pub(in crate::engine) link: Link,
    /// The rows of its signal that travel.
    pub(in crate::engine) ranges: Vec<Range<usize>>,
    /// The rows of its signal in all.
    pub(in crate::engine) rows: usize,
}

/// Who speaks, by direction (up first) and group.
pub(in crate::engine) type Voices = [BTreeMap<usize, Voice>; 2];

fn of(direction: Direction) -> usize {
    usize::from(direction == Direction::Down)
}

/// Carries what is said here (`ours`) to the other process and what is said there (`theirs`) into the halls here, until either ends.
pub(in crate::engine) async fn carry<T: Real>(
    stream: Stream,
    (ours, theirs): (Voices, Voices),
    said: mpsc::Receiver<Said<T>>,
    halls: Pair<T>,
) -> Result<(), LinkError> {
    let Stream { reader, writer } = stream;
    let speaking = tokio::spawn(speak(BufWriter::with_capacity(READ_AHEAD, writer), ours, said));
    let _ends_with_this = AbortOnDrop(speaking.abort_handle());
    let heard = hear(BufReader::with_capacity(READ_AHEAD, reader), theirs, &halls).await;
    halls.close();
    ended(heard, speaking).await
}

async fn speak<T: Real>(
    mut writer: impl AsyncWriteExt + Unpin,
    voices: Voices,
    mut said: mpsc::Receiver<Said<T>>,
) -> Result<(), LinkError> {
    let mut last = [BTreeMap::new(), BTreeMap::new()];
    while let Some(first) = said.recv().await {
        let mut next = Some(first);
        // What is there already goes out together.
        while let Some(Said { direction, group, signal }) = next {
            let Voice { link, ranges, .. } = voices[of(direction)].get(&group).ok_or(LinkError::Nobody(group))?;
            let Signal { stamp, content, numbers: page } = signal;
            let batch = page.ncols();
            // A version never repeats, so the same one has the same numbers.
            let again = last[of(direction)].insert(group, (stamp.version, batch)) == Some((stamp.version, batch));
            let heading = Heading { stamp, content, shape: (link.rows, batch), again };
            writer.write_all(&encode::<T>(*link, direction, &Header { credit: 0, signal: Some(heading) })).await?;
            for range in ranges.iter().filter(|_| !again) {
                let rows = &values(&page)[range.start * batch..range.end * batch];
                writer.write_all(&numbers::bytes(rows)).await?;
            }
            next = said.try_recv().ok();
        }
        writer.flush().await?;
    }
    Ok(writer.shutdown().await?)
}

/// A group elsewhere, as it is heard here.
struct Heard<T> {
    voice: Voice,
    pages: Recycled<T>,
    last: Option<(u64, Arc<Field<T>>)>,
}

async fn hear<T: Real>(
    mut reader: impl AsyncReadExt + Unpin,
    voices: Voices,
    halls: &Pair<T>,
) -> Result<(), LinkError> {
    let hears = |voice| Heard { voice, pages: Recycled { pages: Vec::new() }, last: None };
    let mut speakers = voices.map(|voices| -> BTreeMap<usize, Heard<T>> {
        voices.into_iter().map(|(group, voice)| (group, hears(voice))).collect()
    });
    loop {
        let mut header = [0; HEADER];
        if let Err(error) = reader.read_exact(&mut header).await {
            return ending(error);
        }
        let (direction, group) = claim(&header);
        let Heard { voice, pages, last } = speakers[of(direction)].get_mut(&group).ok_or(LinkError::Nobody(group))?;
        let Header { signal, .. } = decode::<T>(&header, voice.link, direction)?;
        // Nothing here is paid with credit.
        let Some(Heading { stamp, content, shape: (_, batch), again }) = signal else { continue };
        let numbers = match last.take() {
            Some((version, page)) if again && (version, page.ncols()) == (stamp.version, batch) => page,
            _ if again => return Err(LinkError::Again),
            before => {
                drop(before);
                let mut page = pages.free((voice.rows, batch));
                let all = values_mut(Arc::get_mut(&mut page).expect("a free page has no reader"));
                for range in &voice.ranges {
                    let rows = &mut all[range.start * batch..range.end * batch];
                    match reader.read_exact(numbers::room(rows)).await {
                        Ok(_) => numbers::settle(rows),
                        Err(error) => return ending(error),
                    }
                }
                pages.keep(&page);
                page
            }
        };
        *last = Some((stamp.version, Arc::clone(&numbers)));
        if halls.pass_on(direction, group, Signal { stamp, content, numbers }).is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{Content, Stamp};

    const ROWS: usize = 3;

    fn link(group: usize) -> Link {
        Link { lower: 1, group, rows: ROWS, columns_most: 4 }
    }

    /// Group 1 below speaks upward: rows 1 and 4 to 5 of six.
    fn voices() -> Voices {
        let voice = Voice { link: link(1), ranges: vec![1..2, 4..6], rows: 6 };
        [BTreeMap::from([(1, voice)]), BTreeMap::new()]
    }

    /// A frame as bytes, with the numbers of a heading that has them.
    fn frame(link: Link, batch: usize, (version, again): (u64, bool)) -> Vec<u8> {
        let stamp = Stamp { phase: 1, step: version, version, answers: 0 };
        let signal = Some(Heading { stamp, content: Content::Prediction, shape: (link.rows, batch), again });
        let header = encode::<f32>(link, Direction::Up, &Header { credit: 0, signal });
        let numbers = if again { Vec::new() } else { vec![version as f32; link.rows * batch] };
        [&header[..], &numbers::bytes(&numbers)].concat()
    }

    /// What the listener of a hall into which these bytes come has heard last, and how it ends.
    async fn heard(bytes: Vec<u8>) -> (Option<(u64, Vec<f32>)>, Result<(), LinkError>) {
        let halls = Pair::new(2, 1, [Vec::new(), Vec::new()]);
        let seat = halls.seat(Direction::Down, 0);
        let ended = hear(&bytes[..], voices(), &halls).await;
        (seat.hear(1, |signal: &Signal<f32>| (signal.stamp.step, signal.numbers.iter().copied().collect())), ended)
    }

    #[tokio::test]
    async fn rows_are_put_where_they_belong_and_need_not_be_said_twice() {
        let first = frame(link(1), 1, (7, false));
        let (said, ended) = heard([first.clone(), frame(link(1), 1, (7, true))].concat()).await;
        assert_eq!(said, Some((7, vec![0.0, 7.0, 0.0, 0.0, 7.0, 7.0])));
        assert!(ended.is_ok(), "a neighbour that is gone is no wrong frame: {ended:?}");
        let cut = first.len() - 1;
        assert!(matches!(heard(first[..cut].to_vec()).await, (None, Ok(()))), "half a signal is none");
    }

    #[tokio::test]
    async fn frames_nobody_may_send_are_refused_before_there_is_room_for_them() {
        let first = frame(link(1), 1, (7, false));
        for again in [frame(link(1), 1, (8, true)), frame(link(1), 2, (7, true))] {
            let (_, ended) = heard([first.clone(), again].concat()).await;
            assert!(matches!(ended, Err(LinkError::Again)), "{ended:?}");
        }
        let (_, ended) = heard(frame(link(1), 1, (7, true))).await;
        assert!(matches!(ended, Err(LinkError::Again)), "{ended:?}");
        let (_, ended) = heard(frame(link(0), 1, (7, false))).await;
        assert!(matches!(ended, Err(LinkError::Nobody(0))), "{ended:?}");
        let wide = Link { rows: ROWS + 1, ..link(1) };
        for wrong in [frame(wide, 1, (7, false)), frame(link(1), 5, (7, false))] {
            let (said, ended) = heard(wrong).await;
            assert!(matches!(ended, Err(LinkError::Wire(_))) && said.is_none(), "{ended:?}");
        }
        for at in [0, 4, 6, 7, 8, 12, 20] {
            let mut damaged = first.clone();
            damaged[at] ^= 0x40;
            assert!(heard(damaged).await.1.is_err(), "byte {at}");
        }
    }

    #[tokio::test]
    async fn what_is_said_here_goes_out_once_and_again_as_a_reference() {
        let (here, there) = tokio::io::duplex(1 << 16);
        let (tell, told) = mpsc::channel(4);
        let numbers = Arc::new(ndarray::Array2::from_shape_fn((6, 1), |(row, _)| row as f32));
        for step in [1, 2] {
            let stamp = Stamp { phase: 1, step, version: 5, answers: 0 };
            let signal = Signal { stamp, content: Content::Prediction, numbers: Arc::clone(&numbers) };
            tell.try_send(Said { direction: Direction::Up, group: 1, signal }).expect("room");
        }
        drop(tell);
        speak(here, voices(), told).await.expect("it is taken");
        let mut bytes = Vec::new();
        let mut reader = there;
        reader.read_to_end(&mut bytes).await.expect("to the end");
        assert_eq!(bytes.len(), 2 * HEADER + 4 * ROWS, "two headers, and the rows that are heard there, once");
        let (said, _) = heard(bytes).await;
        assert_eq!(said, Some((2, vec![0.0, 1.0, 0.0, 0.0, 4.0, 5.0])));
    }
}
