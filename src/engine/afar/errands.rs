//! Errands on the wire: how the coordinator says them and how a worker hears them.

use std::sync::Arc;

use ndarray::Array2;

use super::heads::{Bid, Envelope, Load};
use super::lists::PACK;
use super::site::{LETTERS_MOST, Site, Way, count, most, wrong};
use crate::engine::remote::{ControlError, Incoming, Outgoing, Told};
use crate::engine::virtual_time::errand::{Carried, Errand, Letter, Opening, Window};
use crate::engine::virtual_time::links::Passage;
use crate::math::{Field, Real, values};
use crate::signal::{Directive, Signal};
use crate::wire::control::Order;
use crate::wire::numbers;

/// Says one, at once.
pub(crate) async fn put_errand<T: Real>(
    out: &mut Outgoing,
    errand: &Errand<T>,
    site: &Site,
) -> Result<(), ControlError> {
    match errand {
        Errand::Present { batch, size, data, target } => {
            out.put(&Bid::Present { batch: *batch, size: *size }, &[]).await?;
            for (field, there) in [(data, site.has_input()), (target, site.has_output())] {
                if there {
                    out.put_numbers(&numbers::bytes(values(field))).await?;
                }
            }
        }
        Errand::Begin(Opening { phase, gait, now, logged, heard }) => {
            out.put(&Bid::Begin { phase: *phase, gait: *gait, now: *now, logged: *logged }, &[]).await?;
            let versions: Vec<u64> = heard.iter().map(|(_, version)| *version).collect();
            out.put_list(&versions).await?;
        }
        Errand::Window(Window { until, letters }) => {
            out.put(&Bid::Window { until: *until, letters: letters.len() }, &[]).await?;
            put_letters(out, letters).await?;
        }
        Errand::Direct(directives) => {
            out.put(&Bid::Direct(directives.len()), &[]).await?;
            for (node, directive) in directives {
                let (order, bytes) = Order::of(directive);
                out.put(&Told::Order(*node, order), &bytes).await?;
            }
        }
        Errand::Count { now, drain } => out.put(&Bid::Count { now: *now, drain: *drain }, &[]).await?,
        Errand::GoOn(step) => out.put(&Bid::GoOn(*step), &[]).await?,
        Errand::Halt => out.put(&Bid::Halt, &[]).await?,
        Errand::Finish { remember } => out.put(&Bid::Finish { remember: *remember }, &[]).await?,
        Errand::Ends => out.put(&Bid::Ends, &[]).await?,
    }
    out.flush().await
}

/// That there will be no more.
pub(crate) async fn farewell(out: &mut Outgoing) -> Result<(), ControlError> {
    out.say(&Bid::Farewell).await
}

/// What a worker hears.
#[derive(Debug)]
pub(crate) enum Heard<T> {
    Errand(Errand<T>),
    Farewell,
}

/// The next errand for these nodes; `None` when the other side has closed.
pub(crate) async fn next_errand<T: Real>(
    incoming: &mut Incoming,
    site: &Site,
) -> Result<Option<Heard<T>>, ControlError> {
    let Some(bid) = incoming.head::<Bid>("an errand").await? else { return Ok(None) };
    let network = &*site.limits.network;
    let errand = match bid {
        Bid::Farewell => return Ok(Some(Heard::Farewell)),
        Bid::Present { batch, size } => {
            most("the batch", size, site.limits.batch_most)?;
            let widths = network.widths();
            let none = || Arc::new(Array2::zeros((0, size)));
            let data = if site.has_input() { field(incoming, (widths[0], size)).await? } else { none() };
            let last = widths[network.depth()];
            let target = if site.has_output() { field(incoming, (last, size)).await? } else { none() };
            Errand::Present { batch, size, data, target }
        }
        Bid::Begin { phase, gait, now, logged } => {
            count("the beginning of a phase", now.0)?;
            let versions: Vec<u64> = incoming.list("a list of versions", site.borders.len()).await?;
            let mut heard = Vec::with_capacity(versions.len());
            for (side, version) in site.borders.iter().zip(versions) {
                heard.push((side.link, count("a version", version)?));
            }
            Errand::Begin(Opening { phase, gait, now, logged, heard })
        }
        Bid::Window { until, letters } => {
            if until.0 != 0 {
                site.time("the end of a window", until)?;
            }
            Errand::Window(Window { until, letters: next_letters(incoming, letters, (site, Way::In)).await? })
        }
        Bid::Direct(directives) => {
            most("the number of directives", directives, site.own.len())?;
            Errand::Direct(next_directives(incoming, directives, site).await?)
        }
        Bid::Count { now, drain } => {
            count("a time", now.0)?;
            Errand::Count { now, drain }
        }
        Bid::GoOn(step) => Errand::GoOn(step),
        Bid::Halt => Errand::Halt,
        Bid::Finish { remember } => Errand::Finish { remember },
        Bid::Ends => Errand::Ends,
    };
    Ok(Some(Heard::Errand(errand)))
}

async fn field<T: Real>(incoming: &mut Incoming, shape: (usize, usize)) -> Result<Arc<Field<T>>, ControlError> {
    let numbers = incoming.numbers(shape.0 * shape.1).await?;
    Ok(Arc::new(Array2::from_shape_vec(shape, numbers).expect("as many numbers as the shape has")))
}

/// Directives for nodes of this worker, each node at most once, so that no more numbers come than they have.
async fn next_directives<T: Real>(
    incoming: &mut Incoming,
    directives: usize,
    site: &Site,
) -> Result<Vec<(usize, Directive<T>)>, ControlError> {
    let mut told = Vec::new();
    let mut next = site.own.start;
    for _ in 0..directives {
        let field = "the node of a directive";
        let Told::Order(node, order) = incoming.must("a directive").await? else {
            return Err(wrong(field, 0, "one of this worker").into());
        };
        if !(next..site.own.end).contains(&node) {
            return Err(wrong(field, node as u32, "one of this worker, ascending").into());
        }
        let is_between_phases = matches!(
            order,
            Order::Show(_)
                | Order::Number(_)
                | Order::Remember
                | Order::Collect(_)
                | Order::Learn
                | Order::Extract(_)
                | Order::Install(_)
        );
        if !is_between_phases {
            return Err(wrong("the kind of a directive", 0, "one that is told between phases").into());
        }
        let bounds = site.limits.bounds();
        let numbers = incoming.numbers::<T>(order.numbers(node, bounds)?).await?;
        told.push((node, order.with(numbers, node, bounds)?));
        next = node + 1;
    }
    Ok(told)
}

/// Letters in packs, each with its pages behind it.
pub(super) async fn put_letters<T: Real>(out: &mut Outgoing, letters: &[Letter<T>]) -> Result<(), ControlError> {
    let envelope = |letter: &Letter<T>| {
        let carried = match &letter.carried {
            Carried::Signal(Passage { said, signal }) => {
                Load::Signal { said: *said, stamp: signal.stamp, content: signal.content }
            }
            Carried::Version(version) => Load::Version(*version),
            Carried::Nothing => unreachable!("a clock or a time-out is of the node itself"),
        };
        Envelope { key: letter.key, carried }
    };
    for pack in letters.chunks(PACK) {
        let envelopes: Vec<Envelope> = pack.iter().map(envelope).collect();
        out.put(&envelopes, &[]).await?;
        for letter in pack {
            if let Carried::Signal(passage) = &letter.carried {
                out.put_numbers(&numbers::bytes(values(&passage.signal.numbers))).await?;
            }
        }
    }
    Ok(())
}

/// So many letters.
pub(super) async fn next_letters<T: Real>(
    incoming: &mut Incoming,
    letters: usize,
    (site, way): (&Site, Way),
) -> Result<Vec<Letter<T>>, ControlError> {
    most("the number of letters", letters, LETTERS_MOST)?;
    let mut heard = Vec::new();
    while heard.len() < letters {
        for letter in incoming.pack::<Envelope>("letters", letters - heard.len()).await? {
            let page = site.page(&letter, way)?;
            let carried = match (letter.carried, page) {
                (Load::Signal { said, stamp, content }, Some(shape)) => {
                    let numbers = field(incoming, shape).await?;
                    Carried::Signal(Passage { said, signal: Signal { stamp, content, numbers } })
                }
                (Load::Version(version), _) => Carried::Version(version),
                (Load::Signal { .. }, None) => Carried::Nothing,
            };
            heard.push(Letter { key: letter.key, carried });
        }
    }
    Ok(heard)
}
