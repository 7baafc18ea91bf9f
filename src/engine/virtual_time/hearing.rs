//! How a node hears: what has arrived since it last did, from everybody on one side.
//!
//! A group has a link to every group next door. It hears the next that each of them said and puts it together with what it knows of the
//! others, in their order (`crate::layer::group`):
//!
//! ```text
//! current    Σ shares of all groups below, in their order         once everybody has said one in this batch; until then none
//! error      the blocks of all groups above, one below the other  zeros where nothing was said yet, as a layer that has heard nothing
//! ```
//!
//! Where nothing is cut, signals are heard as they are.

use super::kernel::Time;
use super::node::Node;
use super::stage::Stage;
use crate::math::Real;

impl<T: Real> Node<T> {
    /// Hears the next prediction of everybody below who was not heard at this tick; true if there was one.
    pub(super) fn hear_prediction(&mut self, now: Time) -> bool {
        let mut news = false;
        for side in self.below.iter_mut().filter(|side| !side.has_heard) {
            if let Some(signal) = side.inlet.take(now) {
                (side.latest, side.has_heard, news) = (Some(signal), true, true);
            }
        }
        if !news {
            return false;
        }
        if !self.gathers[0] {
            if let Some(signal) = self.below.first_mut().and_then(|side| side.latest.take()) {
                self.layer.hear_prediction(signal);
                self.has_current = true;
            }
        } else if self.below.iter().all(|side| side.latest.is_some()) {
            let mut gathered = self.layer.gather_current();
            self.below.iter().filter_map(|side| side.latest.as_ref()).for_each(|share| gathered.hear(share));
            self.layer.hear_gathered_current(gathered);
            self.has_current = true;
        }
        self.stir();
        true
    }

    /// The same of everybody above, and of each only one.
    pub(super) fn hear_error(&mut self, stage: &mut Stage<T>) -> bool {
        let mut news = false;
        for side in &mut self.above {
            if let Some(signal) = side.inlet.take(stage.now) {
                (side.latest, news) = (Some(signal), true);
            }
        }
        if !news {
            return false;
        }
        let before = self.layer.has_arrived();
        if self.gathers[1] {
            let mut gathered = self.layer.gather_error();
            for side in &self.above {
                match &side.latest {
                    Some(error) => gathered.hear(error),
                    None => gathered.hear_nothing(side.units),
                }
            }
            self.layer.hear_gathered_error(gathered);
        } else if let Some(signal) = self.above.first_mut().and_then(|side| side.latest.take()) {
            self.layer.hear_error(signal);
        }
        stage.arrived += usize::from(!before && self.layer.has_arrived());
        self.stir();
        true
    }
}
