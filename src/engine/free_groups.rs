//! Free-running groups of neurons: every group steps at its own pace with the newest that was said in the halls it listens in.
//!
//! The layers' protocol (`free_running`) reports each rest to the coordinator, with versions; among groups there are as many links as
//! pairs, and reports by the thousand. Here a count of what is outstanding in the process says when all is quiet
//! ([`crate::settling::Outstanding`]), the group that brings it to zero sends one message, and only then everybody is asked for a report.
//!
//! What goes down is `d`, the error as the layer below needs it: an echo would be worked out from the whole current, and a group knows
//! its own share. So the largest stable step shrinks with the staleness of signals; at the equilibrium there is no difference.

use std::future::poll_fn;
use std::task::Poll;

use super::actor::{Actor, After, News};
use super::hall::Seat;
use super::line::Heard;
use super::mailbox::Broken;
use super::wall_clock::clocked_groups;
use super::whereabouts::Awaits;
use crate::layer::group::Gathered;
use crate::math::Real;
use crate::settling::{Outstanding, Settler, Standing, Turn};
use crate::signal::{Directive, Motion, Report, Repose, Signal};

/// One phase, up to the directive that ends it.
pub(super) async fn phase<T: Real>(actor: &mut Actor<T>) -> After<T> {
    let Some(phase) = actor.layer.phase().copied() else { return After::Broken };
    if let Some(beat) = &mut actor.beat {
        beat.begin();
    }
    match phase.motion {
        Motion::Forward => match wave(actor).await {
            Ok(()) => {
                let report = Report { repose: Repose::Settled, ..actor.layer.report() };
                if !(rests(actor).await && actor.report(report).await) {
                    return After::Dismissed;
                }
                match actor.next_directive().await {
                    Some(directive) => After::Directive(Box::new(directive)),
                    None => After::Dismissed,
                }
            }
            Err(Broken) => After::Broken,
        },
        Motion::Relax { .. } | Motion::Deviate { .. } => {
            let settler = Settler::new(phase.tolerance, phase.steps);
            if actor.beat.is_some() { clocked_groups::relax(actor, settler).await } else { relax(actor, settler).await }
        }
    }
}

/// The free phase as one wave.
async fn wave<T: Real>(actor: &mut Actor<T>) -> Result<(), Broken> {
    let phase = actor.phase();
    actor.waits(Awaits::Prediction);
    if let Some(seat) = actor.links.below.seat() {
        // Every share is one of this phase.
        let due = |signal: &Signal<T>| signal.stamp.phase == phase;
        loop {
            seat.look(&actor.common.outstanding);
            if (0..seat.speakers()).all(|speaker| seat.hear(speaker, due).unwrap_or(false)) {
                break;
            }
            poll_fn(|context| seat.poll_news(phase, context)).await;
            if seat.is_over() {
                return Err(Broken);
            }
        }
        let gathered = gather(seat, actor.layer.gather_current());
        actor.layer.hear_gathered_current(gathered);
    }
    if let Some(beat) = &mut actor.beat {
        beat.tick().await;
    }
    actor.layer.forward();
    if let (Some(seat), Some(prediction)) = (actor.links.above.seat(), actor.layer.speak_prediction()) {
        seat.publish(prediction, &actor.common.outstanding)?;
    }
    actor.presence.goes_on();
    Ok(())
}

async fn relax<T: Real>(actor: &mut Actor<T>, mut settler: Settler) -> After<T> {
    let (can_move, phase) = (actor.layer.can_move(), actor.phase());
    // Whether this group is one of those that are outstanding.
    let mut counted = true;
    // What was said before this phase may be the newest still.
    look(actor, true);
    loop {
        if let Err(after) = directives(actor, &mut settler, counted).await {
            return after;
        }
        if is_over(actor) {
            return After::Broken;
        }
        if has_news(actor, phase) {
            if !std::mem::replace(&mut counted, true) {
                actor.common.outstanding.add();
            }
            look(actor, false);
            settler.stir();
        }
        if speak(actor, &mut settler).is_err() {
            return After::Broken;
        }
        let residual = actor.layer.residual();
        if actor.layer.is_bad() && settler.repose() != Repose::Halted {
            settler.halt();
            if !actor.say(News::Bad(phase)).await {
                return After::Dismissed;
            }
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
            Turn::Rest { .. } => {
                // A group with something unsaid stays outstanding; what it says down does not wait for answers, so there is none.
                if standing.spoken && std::mem::replace(&mut counted, false) && !rests(actor).await {
                    return After::Dismissed;
                }
                if let Err(after) = sleep(actor, &mut settler, counted).await {
                    return after;
                }
            }
        }
    }
}

/// Reads what the coordinator has said meanwhile; the end of the phase if that is what it was.
pub(super) async fn directives<T: Real>(
    actor: &mut Actor<T>,
    settler: &mut Settler,
    counted: bool,
) -> Result<(), After<T>> {
    loop {
        match actor.directives.try_next() {
            Heard::Directive(directive) => obey(actor, settler, (directive, counted)).await?,
            Heard::Nothing => return Ok(()),
            Heard::Over => return Err(After::Dismissed),
        }
    }
}

/// True if somebody next door is gone.
pub(super) fn is_over<T: Real>(actor: &Actor<T>) -> bool {
    [actor.links.below.seat(), actor.links.above.seat()].into_iter().flatten().any(Seat::is_over)
}

/// Is not outstanding any more; who is the last one says so. False if the coordinator is gone.
pub(super) async fn rests<T: Real>(actor: &Actor<T>) -> bool {
    !actor.common.outstanding.rests() || actor.say(News::Quiet(actor.phase())).await
}

/// A directive in the middle of a phase; the end of the phase if it is another one. `counted`: the group is not at rest.
async fn obey<T: Real>(
    actor: &mut Actor<T>,
    settler: &mut Settler,
    (directive, counted): (Directive<T>, bool),
) -> Result<(), After<T>> {
    match directive {
        Directive::Halt => {
            actor.note(Directive::Halt);
            settler.halt();
            if !counted {
                // It has nothing to say and nothing to hear, so it is at rest still, and a question that follows is to find it so.
                let standing = Standing { spoken: true, can_move: actor.layer.can_move() };
                let residual = actor.layer.residual();
                settler.turn(residual, actor.layer.step(), standing);
            }
            Ok(())
        }
        Directive::Recount => {
            actor.note(Directive::Recount);
            let report = Report { repose: settler.repose(), ..actor.layer.report() };
            if actor.report(report).await { Ok(()) } else { Err(After::Dismissed) }
        }
        directive => Err(After::Directive(Box::new(directive))),
    }
}

pub(super) fn has_news<T: Real>(actor: &Actor<T>, phase: u64) -> bool {
    [&actor.links.below, &actor.links.above]
        .into_iter()
        .any(|side| side.seat().is_some_and(|seat| seat.has_news(phase)))
}

/// Hears the newest of everybody on the sides where something is new (`all`: on both sides), where everybody has spoken in this batch.
/// By the clock errors are heard as soon as anybody has said one, as in virtual time: those that have not come are zero.
pub(super) fn look<T: Real>(actor: &mut Actor<T>, all: bool) {
    let (phase, layer) = (actor.phase(), &actor.layer);
    let partly = actor.beat.is_some();
    let due = |signal: &Signal<T>| layer.may_hear(signal.stamp);
    let ready = |seat: &&Seat<T>, outstanding: &Outstanding, partly: bool| {
        if !(all || seat.has_news(phase)) {
            return false;
        }
        // First the mark, then the signals: what comes in between is marked again.
        seat.look(outstanding);
        let mut heard = (0..seat.speakers()).map(|speaker| seat.hear(speaker, due).unwrap_or(false));
        if partly { heard.any(|heard| heard) } else { heard.all(|heard| heard) }
    };
    let below = actor.links.below.seat().filter(|seat| ready(seat, &actor.common.outstanding, false));
    let above = actor.links.above.seat().filter(|seat| ready(seat, &actor.common.outstanding, partly));
    if let Some(seat) = below {
        let gathered = gather(seat, actor.layer.gather_current());
        actor.layer.hear_gathered_current(gathered);
    }
    if let Some(seat) = above {
        let mut gathered = actor.layer.gather_error();
        for speaker in 0..seat.speakers() {
            let group = &actor.layer;
            let heard =
                seat.hear(speaker, |signal| group.may_hear(signal.stamp).then(|| gathered.hear(signal)).is_some());
            if heard != Some(true) {
                gathered.hear_nothing(group.units_above(speaker));
            }
        }
        actor.layer.hear_gathered_error(gathered);
    }
}

fn gather<T: Real>(seat: &Seat<T>, mut gathered: Gathered<T>) -> Gathered<T> {
    for speaker in 0..seat.speakers() {
        seat.hear(speaker, |signal| gathered.hear(signal));
    }
    gathered
}

/// Says what is new; never waits.
pub(super) fn speak<T: Real>(actor: &mut Actor<T>, settler: &mut Settler) -> Result<(), Broken> {
    if actor.layer.has_new_prediction()
        && let (Some(seat), Some(prediction)) = (actor.links.above.seat(), actor.layer.speak_prediction())
    {
        seat.publish(prediction, &actor.common.outstanding)?;
        settler.stir();
    }
    if actor.layer.has_new_error()
        && let (Some(seat), Some(error)) = (actor.links.below.seat(), actor.layer.speak_error())
    {
        seat.publish(error, &actor.common.outstanding)?;
        settler.stir();
    }
    Ok(())
}

/// Sleeps until a directive or a signal comes; the end of the phase if that is what came.
pub(super) async fn sleep<T: Real>(actor: &mut Actor<T>, settler: &mut Settler, counted: bool) -> Result<(), After<T>> {
    actor.waits(Awaits::AnySignal);
    let phase = actor.phase();
    let (directives, links) = (&actor.directives, &actor.links);
    let heard = poll_fn(|context| {
        if let Poll::Ready(directive) = directives.poll_next(context) {
            return Poll::Ready(Some(directive));
        }
        let seats = [links.below.seat(), links.above.seat()];
        let news = seats.map(|seat| seat.is_some_and(|seat| seat.poll_news(phase, context).is_ready()));
        if news.contains(&true) { Poll::Ready(None) } else { Poll::Pending }
    })
    .await;
    // A recount is answered without moving: the watchdog must not take it for progress.
    if !matches!(heard, Some(Some(Directive::Recount))) {
        actor.presence.goes_on();
    }
    match heard {
        None => Ok(()),
        Some(None) => Err(After::Dismissed),
        Some(Some(directive)) => obey(actor, settler, (directive, counted)).await,
    }
}
