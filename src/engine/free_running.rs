//! Free-running: every layer steps at its own pace with the newest signals it has, and nobody waits for anybody. A layer rests
//! when the settling protocol says so (`crate::settling`) and wakes when a neighbour speaks.
//!
//! With `tolerance = 0` each layer takes exactly its budget of steps. Steps are not spent while not a single bit would move, so
//! the count begins when the first error arrives.

use std::future::poll_fn;
use std::task::Poll;

use super::actor::{Actor, After, take};
use super::line::Heard;
use super::mailbox::{Broken, Inbox, Sent};
use super::wall_clock::clocked;
use super::whereabouts::Awaits;
use crate::math::Real;
use crate::settling::{Settler, Standing, Turn};
use crate::signal::sighting::Side;
use crate::signal::{Directive, Motion, Report, Repose};

/// One phase, up to the directive that ends it.
pub(super) async fn phase<T: Real>(actor: &mut Actor<T>) -> After<T> {
    let Some(phase) = actor.layer.phase().copied() else { return After::Broken };
    if let Some(beat) = &mut actor.beat {
        beat.begin();
    }
    match phase.motion {
        Motion::Forward => match wave(actor).await {
            Ok(true) => match actor.next_directive().await {
                Some(directive) => After::Directive(Box::new(directive)),
                None => After::Dismissed,
            },
            Ok(false) => After::Dismissed,
            Err(Broken) => After::Broken,
        },
        Motion::Relax { .. } | Motion::Deviate { .. } if actor.beat.is_some() => {
            clocked::relax(actor, Settler::new(phase.tolerance, phase.steps)).await
        }
        Motion::Relax { .. } | Motion::Deviate { .. } => relax(actor, Settler::new(phase.tolerance, phase.steps)).await,
    }
}

/// The free phase as one wave; false if the coordinator is gone.
async fn wave<T: Real>(actor: &mut Actor<T>) -> Result<bool, Broken> {
    if let Some(inbox) = actor.links.below.inbox() {
        actor.waits(Awaits::Prediction);
        let prediction = take(inbox, actor.phase(), actor.common.polls_before_parking).await?;
        actor.layer.hear_prediction(prediction);
    }
    if let Some(beat) = &mut actor.beat {
        beat.tick().await;
    }
    actor.layer.forward();
    if let (Some(outbox), Some(prediction)) = (actor.links.above.outbox(), actor.layer.speak_prediction()) {
        outbox.send(prediction)?;
    }
    actor.presence.goes_on();
    let report = Report { repose: Repose::Settled, ..actor.layer.report() };
    Ok(actor.report(report).await)
}

async fn relax<T: Real>(actor: &mut Actor<T>, mut settler: Settler) -> After<T> {
    let can_move = actor.layer.can_move();
    loop {
        if let Some(after) = obey(actor, &mut settler).await {
            return after;
        }
        if hear(actor, &mut settler).is_err() {
            return After::Broken;
        }
        if speak(actor, &mut settler).is_err() {
            return After::Broken;
        }
        let residual = actor.layer.residual();
        if actor.layer.is_bad() && settler.repose() != Repose::Halted {
            settler.halt();
        }
        let standing = Standing { spoken: actor.layer.has_spoken(), can_move };
        match settler.turn(residual, actor.layer.step(), standing) {
            Turn::Move => {
                actor.step();
                actor.presence.goes_on();
                if speak(actor, &mut settler).is_err() {
                    return After::Broken;
                }
                tokio::task::yield_now().await;
            }
            Turn::Rest { report } => {
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
}

/// Reads what the coordinator has said meanwhile; `Some` if the phase is over.
pub(super) async fn obey<T: Real>(actor: &mut Actor<T>, settler: &mut Settler) -> Option<After<T>> {
    loop {
        match actor.directives.try_next() {
            Heard::Directive(Directive::Halt) => {
                actor.note(Directive::Halt);
                settler.halt();
            }
            Heard::Directive(Directive::Recount) => {
                actor.note(Directive::Recount);
                let report = Report { repose: settler.repose(), ..actor.layer.report() };
                if !actor.report(report).await {
                    return Some(After::Dismissed);
                }
            }
            Heard::Directive(directive) => return Some(After::Directive(Box::new(directive))),
            Heard::Nothing => return None,
            Heard::Over => return Some(After::Dismissed),
        }
    }
}

/// Takes in the newest signals.
pub(super) fn hear<T: Real>(actor: &mut Actor<T>, settler: &mut Settler) -> Result<(), Broken> {
    let inboxes = [actor.links.below.inbox(), actor.links.above.inbox()];
    if inboxes.into_iter().flatten().any(Inbox::is_over) {
        return Err(Broken);
    }
    let phase = actor.phase();
    if let Some(prediction) = actor.links.below.inbox().and_then(|inbox| inbox.try_take(phase)) {
        actor.recorder.passes(Side::Below, false, prediction.stamp.version);
        actor.layer.hear_prediction(prediction);
        settler.stir();
    }
    if let Some(error) = actor.links.above.inbox().and_then(|inbox| inbox.try_take(phase)) {
        actor.recorder.passes(Side::Above, false, error.stamp.version);
        actor.layer.hear_error(error);
        settler.stir();
    }
    Ok(())
}

/// Says what is new; never waits.
pub(super) fn speak<T: Real>(actor: &mut Actor<T>, settler: &mut Settler) -> Result<(), Broken> {
    if actor.layer.has_new_prediction()
        && let (Some(outbox), Some(prediction)) = (actor.links.above.outbox(), actor.layer.speak_prediction())
    {
        actor.recorder.passes(Side::Above, true, prediction.stamp.version);
        if let Sent::Replaced(version) = outbox.send(prediction)? {
            actor.layer.prediction_was_lost(version);
        }
        settler.stir();
    }
    if actor.layer.has_new_error()
        && let (Some(outbox), Some(error)) = (actor.links.below.outbox(), actor.layer.speak_error())
    {
        actor.recorder.passes(Side::Below, true, error.stamp.version);
        outbox.send(error)?;
        settler.stir();
    }
    Ok(())
}

/// Sleeps until a directive or a signal comes; directives are looked at first. `Some` if the phase is over.
pub(super) async fn rest<T: Real>(actor: &mut Actor<T>, settler: &mut Settler) -> Option<After<T>> {
    actor.waits(Awaits::AnySignal);
    let phase = actor.phase();
    let (directives, links) = (&actor.directives, &actor.links);
    let directive = poll_fn(|context| {
        if let Poll::Ready(directive) = directives.poll_next(context) {
            return Poll::Ready(Some(directive));
        }
        let inboxes = [links.below.inbox(), links.above.inbox()];
        let waiting = inboxes.map(|inbox| inbox.is_some_and(|inbox| inbox.poll_waiting(phase, context).is_ready()));
        if waiting.contains(&true) { Poll::Ready(None) } else { Poll::Pending }
    })
    .await;
    // A recount is answered without moving: the watchdog must not take it for progress.
    if !matches!(directive, Some(Some(Directive::Recount))) {
        actor.presence.goes_on();
    }
    match directive {
        None => None,
        Some(None) => Some(After::Dismissed),
        Some(Some(Directive::Halt)) => {
            actor.note(Directive::Halt);
            settler.halt();
            None
        }
        Some(Some(Directive::Recount)) => {
            actor.note(Directive::Recount);
            let report = Report { repose: settler.repose(), ..actor.layer.report() };
            if actor.report(report).await { None } else { Some(After::Dismissed) }
        }
        Some(Some(directive)) => Some(After::Directive(Box::new(directive))),
    }
}
