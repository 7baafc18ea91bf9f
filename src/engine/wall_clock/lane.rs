//! A link in one direction on the wall clock: it takes what a layer says, draws what befalls it by the laws of `virtual_time::links`, and
//! puts it into the neighbour's mailbox when it is due.
//!
//! What the mailbox gets only becomes newer: a copy, or a signal that was overtaken, is dropped here, as an inlet drops it in virtual
//! time. A layer is not told that a signal was lost, since it could not know; the newest is sent again until it is acknowledged.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Scale;
use super::timekeeper::Keeper;
use crate::engine::mailbox::{Broken, Detour, Outbox};
use crate::engine::virtual_time::kernel::Time;
use crate::engine::virtual_time::links::{Arrivals, LinkLaws, Outlet, Passage};
use crate::math::Real;
use crate::signal::Signal;

/// Links of acknowledgements have numbers of their own, so that their draws are not those of signals.
const ACKNOWLEDGING: u32 = 1 << 23;

/// What is known at the sender's end.
#[derive(Debug)]
struct State<T> {
    outlet: Outlet<T>,
    /// Draws what becomes of acknowledgements.
    back: Outlet<T>,
    target: Outbox<T>,
    /// The newest version that was delivered.
    arrived: u64,
}

/// A link in one direction.
#[derive(Debug)]
struct Lane<T> {
    state: Arc<Mutex<State<T>>>,
    keeper: Keeper,
    scale: Scale,
}

impl<T: Real> Lane<T> {
    fn again(&self) -> Self {
        Self { state: Arc::clone(&self.state), keeper: self.keeper.clone(), scale: self.scale }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the newest signal on its way.
    fn transmit(&self, state: &mut State<T>) {
        let now = self.scale.now();
        let Arrivals(arrivals) = state.outlet.transmit(now);
        let Some(newest) = state.outlet.newest.clone() else { return };
        for (time, _) in arrivals.into_iter().flatten() {
            let (lane, passage) = (self.again(), newest.clone());
            self.keeper.at(self.scale.instant(time), move || lane.deliver(passage));
        }
        let resend = state.outlet.laws.resend;
        if resend > 0.0 && !state.outlet.timer {
            state.outlet.timer = true;
            let lane = self.again();
            let due = now + Time::of(resend).max(Time::TICK);
            self.keeper.at(self.scale.instant(due), move || lane.ask_again());
        }
    }

    fn deliver(&self, Passage { signal, .. }: Passage<T>) {
        let mut state = self.lock();
        let version = signal.stamp.version;
        if state.outlet.laws.resend > 0.0
            && let Some((time, _)) = state.back.acknowledge(self.scale.now())
        {
            let lane = self.again();
            let acknowledged = move || {
                let mut state = lane.lock();
                state.outlet.acknowledged = state.outlet.acknowledged.max(version);
            };
            self.keeper.at(self.scale.instant(time), acknowledged);
        }
        if version <= state.arrived {
            return;
        }
        state.arrived = version;
        // A neighbour that is gone is noticed by the next that is said, or by the layer's other mailboxes.
        let _ = state.target.send(signal);
    }

    fn ask_again(&self) {
        let mut state = self.lock();
        state.outlet.timer = false;
        if state.outlet.acknowledged < state.outlet.version() && !state.target.is_closed() {
            self.transmit(&mut state);
        }
    }
}

/// The sender's end. When it is gone the neighbour's mailbox is closed, whatever is still held.
#[derive(Debug)]
pub(super) struct Entrance<T>(Lane<T>);

impl<T: Real> Entrance<T> {
    /// Of the link from layer `from` on, by `out`; acknowledgements come back by `back`.
    pub(super) fn new(
        (link, from): (u32, u32),
        (out, back): (LinkLaws, LinkLaws),
        seed: u64,
        target: Outbox<T>,
        (keeper, scale): (Keeper, Scale),
    ) -> Self {
        let outlet = Outlet::new(link, from, out, seed);
        let back = Outlet::new(link | ACKNOWLEDGING, from, back, seed);
        let state = Arc::new(Mutex::new(State { outlet, back, target, arrived: 0 }));
        Self(Lane { state, keeper, scale })
    }
}

impl<T: Real> Detour<T> for Entrance<T> {
    fn take(&self, signal: Signal<T>) -> Result<(), Broken> {
        let mut state = self.0.lock();
        if state.target.is_closed() {
            return Err(Broken);
        }
        state.outlet.newest = Some(Passage { said: self.0.scale.now(), signal });
        self.0.transmit(&mut state);
        Ok(())
    }
}

impl<T> Drop for Entrance<T> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).target.close();
    }
}
