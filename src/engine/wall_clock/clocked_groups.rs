//! A free-running phase of groups of neurons by the clock: as `free_groups`, but a group acts at its ticks only (`clocked` for layers).
//!
//! ```text
//! at a tick     hears the newest of every group next door, takes a step (not at the first tick of a phase), says what is new
//! in between    nothing; a group at rest has no ticks until something arrives, and then keeps to its clock
//! ```
//!
//! What has not arrived from some of the groups above counts as zero, and without a share of every group below there is no current, as
//! in virtual time. A group that was woken is not counted as outstanding before its tick, but the mark that woke it is.

use super::super::actor::{Actor, After};
use super::super::free_groups::{directives, has_news, is_over, look, rests, sleep, speak};
use crate::engine::actor::News;
use crate::math::Real;
use crate::settling::{Settler, Standing, Turn};
use crate::signal::Repose;

/// One phase, up to the directive that ends it.
pub(in crate::engine) async fn relax<T: Real>(actor: &mut Actor<T>, mut settler: Settler) -> After<T> {
    let (can_move, phase) = (actor.layer.can_move(), actor.phase());
    // Whether this group is one of those that are outstanding.
    let mut counted = true;
    let mut first = true;
    loop {
        if let Some(beat) = &mut actor.beat {
            beat.tick().await;
        }
        if let Err(after) = directives(actor, &mut settler, counted).await {
            return after;
        }
        if is_over(actor) {
            return After::Broken;
        }
        if first || has_news(actor, phase) {
            if !std::mem::replace(&mut counted, true) {
                actor.common.outstanding.add();
            }
            // What was said before this phase may be the newest still.
            look(actor, first);
            settler.stir();
        }
        let residual = actor.layer.residual();
        if actor.layer.is_bad() && settler.repose() != Repose::Halted {
            settler.halt();
            if !actor.say(News::Bad(phase)).await {
                return After::Dismissed;
            }
        }
        // What it has to say it will say at this tick: what groups say waits for no answer.
        let turn = settler.turn(residual, actor.layer.step(), Standing { spoken: true, can_move });
        if turn == Turn::Move {
            if !first {
                actor.step();
            }
            actor.presence.goes_on();
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
        if let Turn::Rest { .. } = settler.turn(residual, actor.layer.step(), standing) {
            if standing.spoken && std::mem::replace(&mut counted, false) && !rests(actor).await {
                return After::Dismissed;
            }
            if let Err(after) = sleep(actor, &mut settler, counted).await {
                return after;
            }
        }
    }
}
