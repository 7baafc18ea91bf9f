//! `[clocks]` and `[links]`: the two tables whose keys can be overridden for a single layer (`[clocks."2"]`) or for one direction of
//! a single link (`[links."2->1"]`, from layer 2 down to layer 1).

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
                let special = self.of_link.get(&format!("{from}->{to}")).cloned().unwrap_or_default();
                Self {
                    message: self.message,
                    transport: self.transport,
                    $($field: special.$field.unwrap_or(self.$field),)*
                    of_link: BTreeMap::new(),
                }
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
