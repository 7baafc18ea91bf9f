//! The clocks and links of virtual time, imposed on free-running layers in wall-clock time, so that model and reality can be laid side
//! by side.
//!
//! ```text
//! one unit of model time τ = schedule.time_unit_ms milliseconds
//!
//! layer ─said─► lane ─(held until due)─► mailbox ─► neighbour          the laws and draws of `virtual_time::links`
//! layer ◄─tick─ timekeeper                                             the laws and draws of `virtual_time::clocks`
//! ```
//!
//! - **Never early.** A signal is delivered at or after the moment its laws say, a tick comes at or after its own; how much later is up to
//!   the machine. tokio's timers count whole milliseconds, so that one thread keeps the time instead ([`timekeeper`]).
//! - **Where.** A lane is at the sender's end, before any socket. The time a real link takes comes on top of what is imposed.
//! - **What is drawn** is a function of (seed, link, number of the signal) as in virtual time. There the numbers begin anew with each
//!   batch; here they go on, since a lane does not know of batches. How many signals there are depends on the machine.
//! - **Settling** needs nothing new: a signal that is held has been spoken and was not heard. A signal that is lost has to be sent
//!   again (`links.resend`), or the phase would never be over; the configuration is refused without.
//! - **Acknowledgements** do not travel: whether and when one would come back is drawn where the signal is held, from the laws of the
//!   link in the other direction.
//! - **Clocks** begin with the phase, each layer's own when it hears of it; a layer that is late for a tick skips it.
//! - **Groups of neurons** have a clock each, and a lane to every group next door, numbered as in virtual time (`engine::hall::way`). What is
//!   held is counted as outstanding among them, so that here, too, settling says nothing too early.
//!
//! Read on: [`timekeeper`], `lane` (a link), `beat` (a clock), `clocked` and `clocked_groups` (a phase by the clock), `recorder` (what is
//! seen).

mod beat;
pub(super) mod clocked;
pub(super) mod clocked_groups;
mod lane;
mod recorder;
#[cfg(test)]
mod tests;
pub mod timekeeper;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub(super) use beat::Beat;
pub(super) use recorder::Recorder;

use super::actor::{Links, Side};
use super::mailbox::Outbox;
use super::virtual_time::clocks::ClockLaws;
use super::virtual_time::kernel::Time;
use super::virtual_time::links::LinkLaws;
use super::virtual_time::wiring::{first_link, link_number};
use crate::layer::group::Group;
use crate::math::Real;
use crate::network::NetworkSpec;
use crate::settling::Outstanding;
use lane::Entrance;
use timekeeper::{Keeper, Timekeeper};

/// Predictions that may be unanswered before a layer waits with new ones, as in virtual time.
const UNANSWERED_MOST: usize = 4096;
/// Nothing is held for longer than a year.
const HELD_MOST: f64 = 3.2e16;

/// What is imposed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WallLaws {
    /// Milliseconds of wall clock per unit of model time.
    pub unit_ms: f64,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// One per layer.
    pub clocks: Vec<ClockLaws>,
    /// `[up, down]` between layers l and l + 1, at index l.
    pub links: Vec<[LinkLaws; 2]>,
    /// What is different for single groups, as (layer, group), ascending.
    #[serde(default)]
    pub group_clocks: Vec<((usize, usize), ClockLaws)>,
    /// What is different from one group to another, ascending.
    #[serde(default)]
    pub group_links: Vec<([(usize, usize); 2], LinkLaws)>,
}

impl WallLaws {
    /// By what a group ticks, as (layer, group); a whole layer is group 0.
    fn clock(&self, place: (usize, usize)) -> ClockLaws {
        let special = self.group_clocks.binary_search_by_key(&place, |&(place, _)| place);
        special.map_or(self.clocks[place.0], |at| self.group_clocks[at].1)
    }

    /// What befalls signals from one group to another next door.
    pub fn link(&self, from: (usize, usize), to: (usize, usize)) -> LinkLaws {
        let [up, down] = self.links[from.0.min(to.0)];
        let special = self.group_links.binary_search_by_key(&[from, to], |&(ends, _)| ends);
        special.map_or(if from.0 < to.0 { up } else { down }, |at| self.group_links[at].1)
    }

    /// From the text in which they were sent to a process, for a network of this depth.
    ///
    /// # Errors
    /// What is wrong with the text, or with the laws.
    pub fn read(text: &str, depth: usize) -> Result<Self, String> {
        let laws: Self = serde_json::from_str(text).map_err(|error| format!("the laws can't be read: {error}"))?;
        let clocks = laws.clocks.iter().chain(laws.group_clocks.iter().map(|(_, clock)| clock));
        let links = laws.links.iter().flatten().chain(laws.group_links.iter().map(|(_, link)| link));
        let of_clocks = clocks.flat_map(|clock| [clock.period, clock.offset]);
        let of_links = links.flat_map(|link| [link.delay, link.jitter]);
        let problem = of_clocks.chain(of_links).find_map(|law| law.problem());
        let in_order = laws.group_clocks.is_sorted_by_key(|&(place, _)| place)
            && laws.group_links.is_sorted_by_key(|&(ends, _)| ends);
        let fits = laws.clocks.len() == depth + 1 && laws.links.len() == depth && in_order;
        match problem {
            Some(problem) => Err(format!("a law: {problem}")),
            None if fits && laws.unit_ms > 0.0 && laws.unit_ms.is_finite() => Ok(laws),
            None => Err("laws of another network".into()),
        }
    }
}

/// What the monotonic clock of the system says, in nanoseconds: the same to all processes of one machine, and without a meaning elsewhere.
#[cfg(unix)]
#[must_use]
pub fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // It counts from the start of the machine, or near it; neither part is ever negative.
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// What the clock of this process says, in nanoseconds since it was first asked.
#[cfg(not(unix))]
#[must_use]
pub fn now() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Model time on the wall clock.
#[derive(Clone, Copy, Debug)]
struct Scale {
    epoch: Instant,
    /// Nanoseconds per tick of model time.
    tick: f64,
}

impl Scale {
    fn new(epoch: Instant, unit_ms: f64) -> Self {
        Self { epoch, tick: unit_ms * 1e6 / Time::of(1.0).0 as f64 }
    }

    /// The present; the next whole tick, so that nothing that is counted from it can be early.
    fn now(&self) -> Time {
        Time((self.epoch.elapsed().as_nanos() as f64 / self.tick).ceil() as u64)
    }

    /// When this is on the wall clock; not earlier.
    fn instant(&self, time: Time) -> Instant {
        let nanoseconds = (time.0 as f64 * self.tick).ceil().min(HELD_MOST);
        self.epoch + Duration::from_nanos(nanoseconds as u64)
    }
}

/// The clock of a process, and what is imposed there.
pub(crate) struct WallClock {
    imposed: Option<(Arc<WallLaws>, Keeper, Scale)>,
    /// Ends with this value.
    _timekeeper: Option<Timekeeper>,
}

impl WallClock {
    /// Begins; without laws there is nothing to keep.
    pub(crate) fn start(laws: Option<WallLaws>) -> std::io::Result<Self> {
        let Some(laws) = laws else { return Ok(Self { imposed: None, _timekeeper: None }) };
        let timekeeper = Timekeeper::start()?;
        let scale = Scale::new(Instant::now(), laws.unit_ms);
        let imposed = Some((Arc::new(laws), timekeeper.keeper(), scale));
        Ok(Self { imposed, _timekeeper: Some(timekeeper) })
    }

    /// True if signals and ticks take their time here.
    pub(super) fn imposes(&self) -> bool {
        self.imposed.is_some()
    }

    /// Puts lanes before everything that a node says; its clock.
    pub(super) fn impose<T: Real>(
        &self,
        (network, node): (&NetworkSpec, usize),
        links: &mut Links<T>,
        outstanding: &Arc<Outstanding>,
    ) -> Option<Box<Beat>> {
        let (laws, keeper, scale) = self.imposed.as_ref()?;
        let place = network.place_of(node)?;
        let lane = |first: usize, to: (usize, usize), target: Outbox<T>| {
            let (out, back) = (laws.link(place, to), laws.link(to, place));
            let ends = (link_number(network, first, place, to) as u32, node as u32);
            Outbox::by(Arc::new(Entrance::new(ends, (out, back), laws.seed, target, (keeper.clone(), *scale))))
        };
        for (side, next) in [(&mut links.above, place.0 + 1), (&mut links.below, place.0.wrapping_sub(1))] {
            let first = first_link(network, place.0.min(next));
            *side = match std::mem::replace(side, Side::Nobody) {
                Side::Nobody => Side::Nobody,
                Side::Mail(target, inbox) => Side::Mail(lane(first, (next, 0), target), inbox),
                Side::Hall(mut seat) => {
                    seat.impose(outstanding, |listener, target| lane(first, (next, listener), target));
                    Side::Hall(seat)
                }
            };
        }
        Some(Box::new(Beat::new(laws.clock(place), (laws.seed, node), keeper.clone(), *scale)))
    }

    /// A layer whose errors may take long to come back.
    pub(super) fn patient<T: Real>(&self, mut group: Group<T>) -> Group<T> {
        if self.imposed.is_some() {
            group.set_unanswered_most(UNANSWERED_MOST);
        }
        group
    }

    /// Who will write down what is seen of a layer.
    pub(super) fn recorder<T: Real>(&self) -> Recorder<T> {
        Recorder::new()
    }
}
