//! A free-running phase by the clock: as `free_running`, but a layer acts at its ticks only, as in virtual time.
//!
//! ```text
//! at a tick     hears the newest, takes a step (not at the first tick of a phase), says what is new
//! in between    nothing; a layer at rest has no ticks until something arrives, and then keeps to its clock
//! ```
//!
//! Two layers never tick at exactly the same moment here, so there is no order of what happens at one time; a signal that is due
//! exactly at a tick is heard then or one tick later.

use super::super::actor::{Actor, After};
use super::super::free_running::{hear, obey, rest, speak};
use crate::math::Real;
use crate::settling::{Settler, Standing, Turn};
use crate::signal::{Report, Repose};

/// One phase, up to the directive that ends it.
pub(in crate::engine) async fn relax<T: Real>(actor: &mut Actor<T>, mut settler: Settler) -> After<T> {
    let can_move = actor.layer.can_move();
    let mut first = true;
    loop {
        if let Some(beat) = &mut actor.beat {
            beat.tick().await;
        }
        if let Some(after) = obey(actor, &mut settler).await {
            return after;
        }
        if hear(actor, &mut settler).is_err() {
            return After::Broken;
        }
        let residual = actor.layer.residual();
        if actor.layer.is_bad() && settler.repose() != Repose::Halted {
            settler.halt();
        }
        // What it has to say it will say at this tick, if there is room for it.
        let room = actor.layer.has_spoken() || actor.layer.has_new_prediction() || actor.layer.has_new_error();
        let turn = settler.turn(residual, actor.layer.step(), Standing { spoken: room, can_move });
        if turn == Turn::Move {
            if !first {
                actor.step();
            }
            actor.presence.goes_on();
        } else if turn == (Turn::Rest { report: true }) {
            // It has not reported yet, and what it is about to say belongs into the report.
            settler.stir();
        }
        first = false;
        if speak(actor, &mut settler).is_err() {
            return After::Broken;
        }
        if turn == Turn::Move {
            continue;
        }
        let standing = Standing { spoken: actor.layer.has_spoken(), can_move };
        let residual = actor.layer.residual();
        if let Turn::Rest { report } = settler.turn(residual, actor.layer.step(), standing) {
            if report {
                let report = Report { repose: settler.repose(), ..actor.layer.report() };
                if !actor.report(report).await {
                    return After::Dismissed;
                }
            }
            if let Some(after) = rest(actor, &mut settler).await {
                return after;
            }
        }
    }
}
