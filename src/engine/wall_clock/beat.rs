//! A layer's clock on the wall: the ticks of `virtual_time::clocks`, waited for.

use tokio::sync::oneshot;

use super::Scale;
use super::timekeeper::Keeper;
use crate::engine::virtual_time::clocks::{Clock, ClockLaws};
use crate::engine::virtual_time::kernel::Time;

/// When a layer acts.
#[derive(Debug)]
pub(in crate::engine) struct Beat {
    clock: Clock,
    keeper: Keeper,
    scale: Scale,
    /// The first tick of the phase, until it has been waited for.
    first: Option<Time>,
}

impl Beat {
    pub(super) fn new(laws: ClockLaws, (seed, layer): (u64, usize), keeper: Keeper, scale: Scale) -> Self {
        Self { clock: Clock::new(laws, seed, layer), keeper, scale, first: None }
    }

    /// A phase begins now.
    pub(in crate::engine) fn begin(&mut self) {
        self.first = Some(self.clock.start(self.scale.now()));
    }

    /// Waits for the first tick of a phase, or else for the first tick from now on: those that were missed are gone.
    pub(in crate::engine) async fn tick(&mut self) {
        let due = match self.first.take() {
            Some(first) => first,
            None => self.clock.after(self.scale.now()),
        };
        let (woken, wait) = oneshot::channel();
        // A layer that has ended is not waiting any more.
        self.keeper.at(self.scale.instant(due), move || {
            let _ = woken.send(());
        });
        if wait.await.is_err() {
            // The time is not kept any more: the network is being taken down.
            std::future::pending::<()>().await;
        }
    }
}
