//! Lock-step: step `t` of a layer uses its neighbours' signals of step `t` (Jacobi order), driven by the data alone. There is no
//! global barrier: a layer waits for its two neighbours and for nobody else, and looks of the coordinator are far apart.
//!
//! ```text
//! at step t:  say a_{l+1}(t)   hear a_l(t)   say d_l(t)   hear d_{l+1}(t)   x_l(t+1) = x_l(t) + η·drive(t)
//! ```
//!
//! Bit-identical to the synchronous reference on any number of threads, because every layer does the same arithmetic on the
//! same numbers whatever the order in which tasks run.

use std::future::poll_fn;

use super::actor::{Actor, After, Side, take};
use super::hall::Seat;
use super::mailbox::Broken;
use super::whereabouts::Awaits;
use crate::layer::group::Gathered;
use crate::math::Real;
use crate::signal::{Directive, Motion, Repose, Signal};

/// One phase, up to the directive that ends it.
pub(super) async fn phase<T: Real>(actor: &mut Actor<T>) -> After<T> {
    let Some((wave, mut until)) = actor.layer.phase().map(|phase| (phase.motion == Motion::Forward, phase.steps))
    else {
        return After::Broken;
    };
    let exchanged = if wave { forward(actor).await } else { exchange(actor).await };
    if exchanged.is_err() {
        return After::Broken;
    }
    loop {
        if actor.layer.step() >= until || wave {
            let report = crate::signal::Report { repose: Repose::Exhausted, ..actor.layer.report() };
            if !actor.report(report).await {
                return After::Dismissed;
            }
            match actor.next_directive().await {
                Some(Directive::Continue(step)) => {
                    actor.note(Directive::Continue(step));
                    until = step;
                }
                Some(directive) => return After::Directive(Box::new(directive)),
                None => return After::Dismissed,
            }
        }
        actor.layer.relax();
        if exchange(actor).await.is_err() {
            return After::Broken;
        }
    }
}

/// The free phase as one wave: the prediction of below sets the state, the state predicts above.
async fn forward<T: Real>(actor: &mut Actor<T>) -> Result<(), Broken> {
    hear_prediction(actor).await?;
    actor.layer.forward();
    actor.presence.goes_on();
    say_prediction(actor)
}

/// Everything neighbours owe each other at one step.
async fn exchange<T: Real>(actor: &mut Actor<T>) -> Result<(), Broken> {
    say_prediction(actor)?;
    hear_prediction(actor).await?;
    if !matches!(actor.links.below, Side::Nobody)
        && let Some(error) = actor.layer.speak_error()
    {
        actor.links.below.say(error)?;
    }
    hear_error(actor).await?;
    actor.presence.goes_on();
    Ok(())
}

fn say_prediction<T: Real>(actor: &mut Actor<T>) -> Result<(), Broken> {
    match actor.layer.speak_prediction() {
        Some(prediction) => actor.links.above.say(prediction),
        None => Ok(()),
    }
}

async fn hear_prediction<T: Real>(actor: &mut Actor<T>) -> Result<(), Broken> {
    actor.waits(Awaits::Prediction);
    let due = due(actor);
    match &mut actor.links.below {
        Side::Nobody => {}
        Side::Mail(_, inbox) => {
            let prediction = take(inbox, due.0, actor.common.polls_before_parking).await?;
            in_turn(due, &prediction)?;
            actor.layer.hear_prediction(prediction);
        }
        Side::Hall(seat) => {
            poll_fn(|context| seat.poll_round(context)).await?;
            let gathered = gather(seat, actor.layer.gather_current(), due)?;
            actor.layer.hear_gathered_current(gathered);
        }
    }
    Ok(())
}

async fn hear_error<T: Real>(actor: &mut Actor<T>) -> Result<(), Broken> {
    actor.waits(Awaits::Error);
    let due = due(actor);
    match &mut actor.links.above {
        Side::Nobody => {}
        Side::Mail(_, inbox) => {
            let error = take(inbox, due.0, actor.common.polls_before_parking).await?;
            in_turn(due, &error)?;
            actor.layer.hear_error(error);
        }
        Side::Hall(seat) => {
            poll_fn(|context| seat.poll_round(context)).await?;
            let gathered = gather(seat, actor.layer.gather_error(), due)?;
            actor.layer.hear_gathered_error(gathered);
        }
    }
    Ok(())
}

/// Everybody's signal of this round, in the order of the groups.
fn gather<T: Real>(seat: &Seat<T>, mut gathered: Gathered<T>, due: (u64, u64)) -> Result<Gathered<T>, Broken> {
    for speaker in 0..seat.speakers() {
        let heard = seat.hear(speaker, |signal| {
            in_turn(due, signal)?;
            gathered.hear(signal);
            Ok(())
        });
        heard.unwrap_or(Err(Broken))?;
    }
    Ok(gathered)
}

/// Phase and step of every signal that is heard now.
fn due<T: Real>(actor: &Actor<T>) -> (u64, u64) {
    (actor.phase(), actor.layer.step())
}

/// A signal of another phase or step breaks the promise of this schedule.
fn in_turn<T: Real>(due: (u64, u64), signal: &Signal<T>) -> Result<(), Broken> {
    if (signal.stamp.phase, signal.stamp.step) == due { Ok(()) } else { Err(Broken) }
}
