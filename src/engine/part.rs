//! The layers of a network that live in this process, when it is a worker: their actors, their mailboxes, and the streams to
//! neighbours elsewhere. Who starts a worker and tells it which part is its own: `crate::process`.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::actor::{self, Actor, Links};
use super::line::line;
use super::remote::{ControlError, Incoming, Limits, Outgoing, obey, tell};
use super::transport::Stream;
use super::wall_clock::WallClock;
use super::whereabouts::Whereabouts;
use super::wiring::{attach, share};
use super::{EngineSettings, NEWS_MOST};
use crate::layer::group::Group;
use crate::math::Real;
use crate::network::Parameters;
use crate::wire::frame::{Direction, Link};

/// What a worker runs.
pub(crate) struct Part {
    pub(crate) limits: Limits,
    pub(crate) settings: EngineSettings,
    /// The layers, ascending.
    pub(crate) layers: Vec<usize>,
    /// A stream for every link that leaves this process: its lower layer, and the direction in which our layer speaks on it.
    pub(crate) links: Vec<(usize, Direction, Stream)>,
    pub(crate) whereabouts: Arc<Whereabouts>,
    /// Its clock, and what is imposed on clocks and links.
    pub(crate) wall: WallClock,
}

/// Runs the layers until the coordinator closes the connection. Their weights are zero until it installs others.
pub(crate) async fn perform<T: Real>(
    part: Part,
    mut incoming: Incoming,
    outgoing: Outgoing,
) -> Result<(), ControlError> {
    let Part { limits, settings, layers, links: streams, whereabouts, wall } = part;
    let network = &limits.network;
    let delivery = settings.schedule.delivery();
    let (news_out, news) = mpsc::channel(NEWS_MOST);
    let mut links: BTreeMap<usize, Links<T>> = layers.iter().map(|&layer| (layer, Links::none())).collect();
    for pair in layers.windows(2).filter(|pair| pair[0] + 1 == pair[1]) {
        if let (Some(mut below), Some(mut above)) = (links.remove(&pair[0]), links.remove(&pair[1])) {
            share(&mut below, &mut above, delivery);
            links.extend([(pair[0], below), (pair[1], above)]);
        }
    }
    for (lower, outward, stream) in streams {
        let link = Link { lower, rows: network.widths()[lower + 1], columns_most: limits.batch_most };
        let here = if outward == Direction::Up { lower } else { lower + 1 };
        if let Some(layer) = links.get_mut(&here) {
            attach(layer, (stream, link, outward), delivery, &news_out);
        }
    }
    let mut directives = Vec::new();
    for (index, mut links) in links {
        let (out, inbox) = line();
        directives.push((index, out));
        let own =
            (index < network.depth()).then(|| Parameters::zeros(network.widths()[index + 1], network.widths()[index]));
        tokio::spawn(actor::run(Box::new(Actor {
            beat: wall.impose(index, &mut links),
            recorder: wall.recorder(),
            layer: wall.patient(Group::new(network, index, 0, own.as_ref(), &Arc::new(settings.of_layer()))),
            node: index,
            links,
            directives: inbox,
            news: news_out.clone(),
            whereabouts: Arc::clone(&whereabouts),
            outstanding: Arc::default(),
            schedule: settings.schedule,
            polls_before_parking: settings.polls_before_parking(),
        })));
    }
    drop(news_out);
    let telling = tokio::spawn(tell(outgoing, news));
    let obeyed = obey(&mut incoming, &directives, &limits).await;
    telling.abort();
    obeyed
}
