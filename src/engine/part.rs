//! The layers of a network that live in this process, when it is a worker: their actors, their mailboxes, and the streams to
//! neighbours elsewhere. Who starts a worker and tells it which part is its own: `crate::process`.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::actor::{Actor, Common, Life, Links, News, Presence};
use super::halls::Homes;
use super::line::line;
use super::mailbox::Delivery;
use super::remote::{ControlError, Incoming, Limits, Outgoing, Parting, obey, tell};
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
    /// For every worker its nodes, ascending: the layers, or their groups where they are cut.
    pub(crate) parts: Vec<Vec<usize>>,
    /// Which of them is here.
    pub(crate) worker: usize,
    /// A stream for every link that leaves this process: its lower layer, and the worker at its other end.
    pub(crate) links: Vec<(usize, usize, Stream)>,
    pub(crate) whereabouts: Arc<Whereabouts>,
    /// Its clock, and what is imposed on clocks and links.
    pub(crate) wall: WallClock,
}

/// Runs the layers until the coordinator says farewell or its connection ends. Their weights are zero until it installs others.
pub(crate) async fn perform<T: Real>(
    part: Part,
    mut incoming: Incoming,
    outgoing: Outgoing,
) -> Result<Parting, ControlError> {
    let Part { limits, settings, parts, worker, links: streams, whereabouts, wall } = part;
    let network = &limits.network;
    let (news_out, news) = mpsc::channel(NEWS_MOST);
    let links = if network.is_cut() {
        let homes = Homes { network, parts: &parts, here: worker, batch_most: limits.batch_most };
        homes.wire::<T>(streams, &news_out)
    } else {
        whole((worker, &parts[worker]), streams, (&limits, settings.schedule.delivery()), &news_out)
    };
    let mut directives = Vec::new();
    let of_layer = Arc::new(settings.of_layer());
    let common = Arc::new(Common {
        news: news_out,
        outstanding: Arc::default(),
        schedule: settings.schedule,
        polls_before_parking: settings.polls_before_parking(),
    });
    for (node, mut links) in links {
        let Some((layer, group)) = network.place_of(node) else { continue };
        let (out, inbox) = line();
        directives.push((node, out));
        let own =
            (layer < network.depth()).then(|| Parameters::zeros(network.widths()[layer + 1], network.widths()[layer]));
        tokio::spawn(Life::begin(Actor {
            presence: Presence { whereabouts: Arc::clone(&whereabouts), node },
            beat: wall.impose((network, node), &mut links, &common.outstanding),
            recorder: wall.recorder(),
            layer: wall.patient(Group::new(network, layer, group, own.as_ref(), &of_layer)),
            links,
            directives: inbox,
            common: Arc::clone(&common),
        }));
    }
    // The last to speak is an actor: with them all ends the telling.
    drop(common);
    let telling = tokio::spawn(tell(outgoing, news));
    let obeyed = obey(&mut incoming, &directives, &limits).await;
    telling.abort();
    obeyed
}

/// The links of whole layers that live with this worker.
fn whole<T: Real>(
    (worker, layers): (usize, &[usize]),
    streams: Vec<(usize, usize, Stream)>,
    (limits, delivery): (&Limits, Delivery),
    news: &mpsc::Sender<News<T>>,
) -> BTreeMap<usize, Links<T>> {
    let mut links: BTreeMap<usize, Links<T>> = layers.iter().map(|&layer| (layer, Links::none())).collect();
    for pair in layers.windows(2).filter(|pair| pair[0] + 1 == pair[1]) {
        if let (Some(mut below), Some(mut above)) = (links.remove(&pair[0]), links.remove(&pair[1])) {
            share(&mut below, &mut above, delivery);
            links.extend([(pair[0], below), (pair[1], above)]);
        }
    }
    for (lower, peer, stream) in streams {
        let rows = limits.network.widths()[lower + 1];
        let link = Link { lower, group: 0, rows, columns_most: limits.batch_most };
        let outward = if layers.contains(&lower) { Direction::Up } else { Direction::Down };
        let here = if outward == Direction::Up { lower } else { lower + 1 };
        if let Some(layer) = links.get_mut(&here) {
            attach(layer, (stream, link, outward), (delivery, Some([worker, peer])), news);
        }
    }
    links
}
