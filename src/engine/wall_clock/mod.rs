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
//!
//! Read on: [`timekeeper`], `lane` (a link), `beat` (a clock), `clocked` (a phase by the clock), `recorder` (what is seen).

mod beat;
pub(super) mod clocked;
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
use crate::layer::group::Group;
use crate::math::Real;
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
}

impl WallLaws {
    /// From the text in which they were sent to a process, for a network of this depth.
    ///
    /// # Errors
    /// What is wrong with the text, or with the laws.
    pub fn read(text: &str, depth: usize) -> Result<Self, String> {
        let laws: Self = serde_json::from_str(text).map_err(|error| format!("the laws can't be read: {error}"))?;
        let of_clocks = laws.clocks.iter().flat_map(|clock| [clock.period, clock.offset]);
        let of_links = laws.links.iter().flatten().flat_map(|link| [link.delay, link.jitter]);
        let problem = of_clocks.chain(of_links).find_map(|law| law.problem());
        let fits = laws.clocks.len() == depth + 1 && laws.links.len() == depth;
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

    /// Puts lanes before everything that a layer says; its clock.
    pub(super) fn impose<T: Real>(&self, layer: usize, links: &mut Links<T>) -> Option<Box<Beat>> {
        let (laws, keeper, scale) = self.imposed.as_ref()?;
        for (side, upward) in [(&mut links.above, true), (&mut links.below, false)] {
            let Some(gap) = (if upward { Some(layer) } else { layer.checked_sub(1) }) else { continue };
            let Some(&[up, down]) = laws.links.get(gap) else { continue };
            let (out, back) = if upward { (up, down) } else { (down, up) };
            *side = match std::mem::replace(side, Side::Nobody) {
                Side::Mail(target, inbox) => {
                    // Numbered as in virtual time.
                    let link = 2 * gap + usize::from(!upward);
                    let (time, ends) = ((keeper.clone(), *scale), (link as u32, layer as u32));
                    Side::Mail(Outbox::by(Arc::new(Entrance::new(ends, (out, back), laws.seed, target, time))), inbox)
                }
                // The configuration imposes nothing on layers that are cut.
                other @ (Side::Nobody | Side::Hall(_)) => other,
            };
        }
        Some(Box::new(Beat::new(laws.clocks[layer], (laws.seed, layer), keeper.clone(), *scale)))
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
