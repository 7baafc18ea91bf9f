//! Lock-step: step `t` of a layer uses its neighbours' signals of step `t` (Jacobi order), driven by the data alone. There is no
//! global barrier: a layer waits for its two neighbours and for nobody else, and looks of the coordinator are far apart.
//!
//! ```text
//! at step t:  say a_{l+1}(t)   hear a_l(t)   say d_l(t)   hear d_{l+1}(t)   x_l(t+1) = x_l(t) + η·drive(t)
//! ```
//!
//! Bit-identical to the synchronous reference on any number of threads, because every layer does the same arithmetic on the
//! same numbers whatever the order in which tasks run.

use super::actor::{Actor, After, take};
use super::mailbox::{Broken, Outbox};
use super::whereabouts::Awaits;
use crate::math::Real;
use crate::signal::{Directive, Motion, Repose, Signal};

/// One phase, up to the directive that ends it.
pub(super) async fn phase<T: Real>(actor: &mut Actor<T>) -> After<T> {
    let Some(phase) = actor.layer.phase().copied() else { return After::Broken };
    let exchanged = match phase.motion {
        Motion::Forward => forward(actor).await,
        Motion::Relax { .. } | Motion::Deviate { .. } => exchange(actor).await,
    };
    if exchanged.is_err() {
        return After::Broken;
    }
    let mut until = phase.steps;
    loop {
        if actor.layer.step() >= until || phase.motion == Motion::Forward {
            let report = crate::signal::Report { repose: Repose::Exhausted, ..actor.layer.report() };
            if !actor.report(report).await {
                return After::Dismissed;
            }
            match actor.next_directive().await {
                Some(Directive::Continue(step)) => {
                    actor.note(Directive::Continue(step));
                    until = step;
                }
                Some(directive) => return After::Directive(directive),
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
    actor.whereabouts.goes_on(actor.node);
    say_prediction(actor)
}

/// Everything neighbours owe each other at one step.
async fn exchange<T: Real>(actor: &mut Actor<T>) -> Result<(), Broken> {
    say_prediction(actor)?;
    hear_prediction(actor).await?;
    if !actor.links.to_below.is_empty()
        && let Some(error) = actor.layer.speak_error()
    {
        send_to_all(&actor.links.to_below, error)?;
    }
    for from in 0..actor.links.from_above.len() {
        actor.waits(Awaits::Error);
        let error = take(&actor.links.from_above[from], actor.phase(), actor.polls_before_parking).await?;
        in_turn(actor, &error)?;
        actor.layer.hear_error(from, error);
    }
    actor.layer.take_in();
    actor.whereabouts.goes_on(actor.node);
    Ok(())
}

fn say_prediction<T: Real>(actor: &mut Actor<T>) -> Result<(), Broken> {
    match actor.layer.speak_prediction() {
        Some(prediction) => send_to_all(&actor.links.to_above, prediction),
        None => Ok(()),
    }
}

/// The same signal to every group next door; the numbers are shared.
fn send_to_all<T: Real>(outboxes: &[Outbox<T>], signal: Signal<T>) -> Result<(), Broken> {
    let Some((last, others)) = outboxes.split_last() else { return Ok(()) };
    for outbox in others {
        outbox.send(signal.clone())?;
    }
    last.send(signal).map(drop)
}

async fn hear_prediction<T: Real>(actor: &mut Actor<T>) -> Result<(), Broken> {
    for from in 0..actor.links.from_below.len() {
        actor.waits(Awaits::Prediction);
        let prediction = take(&actor.links.from_below[from], actor.phase(), actor.polls_before_parking).await?;
        in_turn(actor, &prediction)?;
        actor.layer.hear_prediction(from, prediction);
    }
    actor.layer.take_in();
    Ok(())
}

/// A signal of another phase or step breaks the promise of this schedule.
fn in_turn<T: Real>(actor: &Actor<T>, signal: &Signal<T>) -> Result<(), Broken> {
    let due = (actor.phase(), actor.layer.step());
    if (signal.stamp.phase, signal.stamp.step) == due { Ok(()) } else { Err(Broken) }
}
