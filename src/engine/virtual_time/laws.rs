//! Virtual time whose nodes live with members elsewhere: which of them live together, and what a member has to be told of clocks and
//! links.
//!
//! Every member is one shard, a run of neighbours in the order of nodes, and every link between two of them takes some time
//! (`partition`).

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::VirtualSettings;
use super::clocks::ClockLaws;
use super::kernel::Time;
use super::links::LinkLaws;
use super::partition::{Partition, across, cut};
use super::shard::Shard;
use super::wiring::{LINKS_MOST, links_in_all, loads, spans, wiring};
use crate::math::Real;
use crate::network::{NetworkSpec, Parameters};

/// A place in the network, as (layer, group).
type Place = (usize, usize);

/// The laws of a network, as they travel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Laws {
    seed: u64,
    clocks: Vec<ClockLaws>,
    links: Vec<[LinkLaws; 2]>,
    group_clocks: Vec<(Place, ClockLaws)>,
    group_links: Vec<([Place; 2], LinkLaws)>,
}

impl Laws {
    /// Those of these settings.
    pub(crate) fn of(settings: &VirtualSettings) -> Self {
        let VirtualSettings { seed, clocks, links, group_clocks, group_links, .. } = settings.clone();
        let (group_clocks, group_links) = (group_clocks.into_iter().collect(), group_links.into_iter().collect());
        Self { seed, clocks, links, group_clocks, group_links }
    }

    /// From JSON; laws of which nothing can be drawn, or of another network, are refused.
    pub(crate) fn read(text: &str, network: &NetworkSpec) -> Result<Self, String> {
        let laws: Self = serde_json::from_str(text).map_err(|error| format!("the laws can't be read: {error}"))?;
        let clocks = laws.clocks.iter().chain(laws.group_clocks.iter().map(|(_, clock)| clock));
        let of_clocks = clocks.flat_map(|clock| [clock.period, clock.offset]);
        let links = || laws.links.iter().flatten().chain(laws.group_links.iter().map(|(_, link)| link));
        let of_links = links().flat_map(|link| [link.delay, link.jitter]);
        if let Some(problem) = of_clocks.chain(of_links).find_map(|law| law.problem()) {
            return Err(format!("a law: {problem}"));
        }
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        let is_size = |size: f64| size.is_finite() && size >= 0.0;
        let sound = |link: &LinkLaws| {
            is_share(link.loss)
                && is_share(link.duplicate)
                && [link.bandwidth, link.threshold, link.resend].into_iter().all(is_size)
        };
        if !links().all(sound) {
            return Err("a link: a probability is from 0 to 1, a bandwidth, threshold or time-out 0 or more".into());
        }
        let depth = network.depth();
        let counts = (laws.clocks.len(), laws.links.len()) == (depth + 1, depth);
        // Laws of groups that do not exist are those of nobody.
        if counts && links_in_all(network) <= LINKS_MOST { Ok(laws) } else { Err("laws of another network".into()) }
    }

    /// These laws with everything else.
    pub(crate) fn settings(self, rest: VirtualSettings) -> VirtualSettings {
        let Self { seed, clocks, links, group_clocks, group_links } = self;
        let (group_clocks, group_links) = (group_clocks.into_iter().collect(), group_links.into_iter().collect());
        VirtualSettings { seed, clocks, links, group_clocks, group_links, ..rest }
    }
}

/// The nodes of these numbers as a shard of their own. Their weights are zero until others are installed.
pub(in crate::engine) fn shard<T: Real>(
    network: &Arc<NetworkSpec>,
    settings: &VirtualSettings,
    own: Range<usize>,
) -> Shard<T> {
    let layers = own.clone().filter_map(|node| network.place_of(node)).map(|(layer, _)| layer);
    let (widths, mut zeros) = (network.widths(), std::collections::BTreeMap::new());
    for layer in layers.filter(|&layer| layer < network.depth()) {
        zeros.entry(layer).or_insert_with(|| Parameters::<T>::zeros(widths[layer + 1], widths[layer]));
    }
    Shard::new(own.clone(), wiring(network, &|layer| zeros.get(&layer), settings, own))
}

/// How nodes are dealt out if nobody says: runs of like load, cut where every link takes some time. Fewer than asked for if there are
/// not so many such places.
pub(crate) fn dealt(network: &NetworkSpec, settings: &VirtualSettings, members: usize) -> Vec<Range<usize>> {
    cut(&loads(network), &spans(network, settings), members.max(1)).shards
}

/// The first node of a part that a link may reach at once from the one before it.
pub(crate) fn immediate(network: &NetworkSpec, settings: &VirtualSettings, parts: &[Range<usize>]) -> Option<usize> {
    let across = across(network.groups_in_all(), &spans(network, settings));
    parts.iter().skip(1).map(|part| part.start).find(|&start| across[start] == Time(0))
}

/// Runs of nodes, in order, as shards.
pub(in crate::engine) fn partition(
    network: &NetworkSpec,
    settings: &VirtualSettings,
    parts: Vec<Range<usize>>,
) -> Partition {
    let across = across(network.groups_in_all(), &spans(network, settings));
    let lookahead = parts.iter().skip(1).map(|part| across[part.start]).min();
    Partition { shards: parts, lookahead: lookahead.unwrap_or(Time(u64::MAX)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::{Activation, Loss};
    use crate::math::law::{Drawn, Law};
    use crate::math::optimizer::OptimizerSpec;
    use crate::signal::Message;

    fn network() -> NetworkSpec {
        NetworkSpec::new(&[3, 4, 5, 2], Activation::Tanh, Loss::SquaredError).expect("a network")
    }

    fn settings() -> VirtualSettings {
        let mut settings = VirtualSettings::in_step(4, Message::Error, 0.1, OptimizerSpec::sgd(0.1));
        // A number whose decimals no short text has.
        let jitter = Law::Drawn(Drawn::Exponential { mean: 1.0 / 3.0, min: None });
        let late = LinkLaws { delay: Law::Always(0.1 + 0.2), jitter, loss: 0.1, ..LinkLaws::default() };
        settings.links = vec![[late; 2], [late, LinkLaws::default()], [late; 2]];
        settings.group_clocks.insert((1, 0), ClockLaws { period: Law::Always(2.0 / 7.0), offset: Law::ZERO });
        settings.group_links.insert([(2, 0), (1, 0)], late);
        VirtualSettings { seed: u64::MAX, ..settings }
    }

    #[test]
    fn laws_are_read_as_they_were_written_to_the_last_bit() {
        let text = serde_json::to_string(&Laws::of(&settings())).expect("plain values");
        let read = Laws::read(&text, &network()).expect("laws");
        assert_eq!(read, Laws::of(&settings()));
        let whole = read.settings(VirtualSettings::in_step(4, Message::Error, 0.1, OptimizerSpec::sgd(0.1)));
        assert_eq!((whole.group_clocks, whole.group_links), (settings().group_clocks, settings().group_links));
    }

    #[test]
    fn laws_that_cannot_be_are_refused() {
        let of = |change: fn(&mut VirtualSettings)| {
            let mut settings = settings();
            change(&mut settings);
            Laws::read(&serde_json::to_string(&Laws::of(&settings)).expect("plain values"), &network())
        };
        assert!(of(|_| ()).is_ok());
        assert!(of(|s| s.links[0][1].loss = 1.5).is_err());
        assert!(of(|s| s.links[0][1].resend = -1.0).is_err());
        assert!(of(|s| s.links[2][0].delay = Law::Always(-1.0)).is_err());
        assert!(of(|s| s.clocks[3].period = Law::Drawn(Drawn::Exponential { mean: 0.0, min: None })).is_err());
        assert!(of(|s| s.links.truncate(2)).is_err());
        assert!(of(|s| s.clocks.truncate(3)).is_err());
        assert!(Laws::read("{}", &network()).is_err());
    }

    #[test]
    fn parts_are_cut_only_where_everything_takes_some_time() {
        let (network, settings) = (network(), settings());
        assert_eq!(dealt(&network, &settings, 4).len(), 3, "one gap has a link that delivers at once");
        assert_eq!(immediate(&network, &settings, &[0..2, 2..4]), Some(2));
        assert_eq!(immediate(&network, &settings, &[0..1, 1..3, 3..4]), None);
        assert_eq!(partition(&network, &settings, vec![0..1, 1..4]).lookahead, Time::of(0.1 + 0.2));
        assert_eq!(partition(&network, &settings, std::iter::once(0..4).collect()).lookahead, Time(u64::MAX));
    }
}
