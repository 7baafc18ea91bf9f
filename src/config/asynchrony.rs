//! `[clocks]` and `[links]`: the two tables whose keys can be overridden for a single layer (`[clocks."2"]`) or for one direction of
//! a single link (`[links."2->1"]`, from layer 2 down to layer 1); where layers are cut into groups of neurons, also for a group
//! (`[clocks."1.3"]`: group 3 of layer 1, both counted from 0) and for the links of a group (`[links."1.0->2.3"]`; `"1.0->2"`: to all
//! groups of layer 2). What says more about the ends holds, and if both say as much, what names the group that speaks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Law, LinkTransport, Message};

/// `[clocks]`: when layers act in virtual time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clocks {
    /// Between two ticks of a layer.
    pub period: Law,
    /// From the beginning of a phase to a layer's first tick.
    pub offset: Law,
    /// What is different for single layers, by the layer's number.
    #[serde(flatten)]
    pub of_layer: BTreeMap<String, ClockOverride>,
}

impl Default for Clocks {
    fn default() -> Self {
        Self { period: Law::Always(1.0), offset: Law::ZERO, of_layer: BTreeMap::new() }
    }
}

/// What is different for one layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockOverride {
    /// Instead of `clocks.period`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<Law>,
    /// Instead of `clocks.offset`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<Law>,
}

/// What happens to a signal that was not heard when the next one arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryName {
    /// The newer replaces it.
    #[default]
    NewestWins,
    /// Both wait; one is heard at a tick.
    Queue,
}

/// Declares `[links]` and its overrides with the same keys.
macro_rules! links {
    ($($(#[$doc:meta])* $field:ident: $kind:ty = $default:expr,)*) => {
        /// `[links]`: what neighbours tell each other, and what befalls it on the way.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct Links {
            /// What travels down a link.
            pub message: Message,
            /// By what neighbours are connected.
            pub transport: LinkTransport,
            $($(#[$doc])* pub $field: $kind,)*
            /// What is different for single links, by `from->to`.
            #[serde(flatten)]
            pub of_link: BTreeMap<String, LinkOverride>,
        }

        impl Default for Links {
            fn default() -> Self {
                Self {
                    message: Message::ErrorEcho,
                    transport: LinkTransport::Auto,
                    $($field: $default,)*
                    of_link: BTreeMap::new(),
                }
            }
        }

        /// What is different for one direction of one link.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct LinkOverride {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$kind>,)*
        }

        impl Links {
            /// The table as it holds from one layer to its neighbour, without overrides.
            #[must_use]
            pub fn of(&self, from: usize, to: usize) -> Self {
                self.with(&[format!("{from}->{to}")])
            }

            /// The same from one group to another, as (layer, group).
            #[must_use]
            pub fn between(&self, (from, by): (usize, usize), (to, at): (usize, usize)) -> Self {
                self.with(&[
                    format!("{from}->{to}"),
                    format!("{from}->{to}.{at}"),
                    format!("{from}.{by}->{to}"),
                    format!("{from}.{by}->{to}.{at}"),
                ])
            }

            /// The table with these overrides, each above those before it.
            fn with(&self, names: &[String]) -> Self {
                let (message, transport) = (self.message, self.transport);
                let mut table = Self { message, transport, $($field: self.$field,)* of_link: BTreeMap::new() };
                for special in names.iter().filter_map(|name| self.of_link.get(name)) {
                    $(table.$field = special.$field.unwrap_or(table.$field);)*
                }
                table
            }
        }
    };
}

links! {
    /// From leaving to arriving.
    delay: Law = Law::ZERO,
    /// Added to the delay of each signal.
    jitter: Law = Law::ZERO,
    /// Probability that a signal never arrives.
    loss: f64 = 0.0,
    /// Probability that a signal arrives twice.
    duplicate: f64 = 0.0,
    /// Signals may overtake each other.
    reorder: bool = false,
    /// Numbers per unit of time; 0 for no limit.
    bandwidth: f64 = 0.0,
    /// What happens to a signal that was not heard when the next one arrives.
    delivery: DeliveryName = DeliveryName::NewestWins,
    /// Difference from the last said above which a moving layer speaks.
    threshold: f64 = 0.0,
    /// Time-out after which the newest signal is sent again; 0 for never.
    resend: f64 = 0.0,
}

impl Clocks {
    /// The table as it holds for one layer, without overrides.
    #[must_use]
    pub fn of(&self, layer: usize) -> Self {
        let special = self.of_layer.get(&layer.to_string()).cloned().unwrap_or_default();
        Self {
            period: special.period.unwrap_or(self.period),
            offset: special.offset.unwrap_or(self.offset),
            of_layer: BTreeMap::new(),
        }
    }
}

/// One end of a link, or whose clock it is: a layer, and its group if one is named. The canonical spelling only: two names for one
/// layer would hide each other.
pub(super) fn end_of(text: &str) -> Option<(usize, Option<usize>)> {
    let number = |text: &str| text.parse::<usize>().ok().filter(|number| number.to_string() == text);
    match text.split_once('.') {
        Some((layer, group)) => Some((number(layer)?, Some(number(group)?))),
        None => Some((number(text)?, None)),
    }
}

impl Clocks {
    /// The table as it holds for one group, without overrides.
    #[must_use]
    pub fn of_group(&self, (layer, group): (usize, usize)) -> Self {
        let whole = self.of(layer);
        let special = self.of_layer.get(&format!("{layer}.{group}")).cloned().unwrap_or_default();
        Self {
            period: special.period.unwrap_or(whole.period),
            offset: special.offset.unwrap_or(whole.offset),
            of_layer: BTreeMap::new(),
        }
    }

    /// What holds for the groups that have a table of their own, as (layer, group).
    pub fn of_groups(&self) -> BTreeMap<(usize, usize), Self> {
        let places = self.of_layer.keys().filter_map(|name| end_of(name));
        let places = places.filter_map(|(layer, group)| Some((layer, group?)));
        places.map(|place| (place, self.of_group(place))).collect()
    }
}

impl Links {
    /// What holds between groups of which one at least has a table of its own, from and to (layer, group); `groups` says how many a
    /// layer has.
    pub fn between_groups(&self, groups: impl Fn(usize) -> usize) -> BTreeMap<[(usize, usize); 2], Self> {
        let all = |(layer, group): (usize, Option<usize>)| match group {
            Some(group) => group..group + 1,
            None => 0..groups(layer),
        };
        let mut links = BTreeMap::new();
        for name in self.of_link.keys() {
            let Some((from, to)) = name.split_once("->").and_then(|(from, to)| end_of(from).zip(end_of(to))) else {
                continue;
            };
            if from.1.is_none() && to.1.is_none() {
                continue;
            }
            for (by, at) in all(from).flat_map(|by| all(to).map(move |at| (by, at))) {
                let (from, to) = ((from.0, by), (to.0, at));
                links.insert([from, to], self.between(from, to));
            }
        }
        links
    }
}
