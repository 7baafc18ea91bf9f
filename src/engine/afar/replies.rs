//! Replies on the wire: how a worker says them and how the coordinator hears them.

use super::errands::{next_letters, put_letters};
use super::heads::Said;
use super::site::{COUNT_MOST, RECORDS_MOST, Site, Way, count, most, wrong};
use crate::engine::EngineError;
use crate::engine::remote::{ControlError, Incoming, Outgoing};
use crate::engine::virtual_time::errand::{Counted, Counts, Ends, Errand, Outcome, Reply};
use crate::engine::virtual_time::links::Tally;
use crate::engine::virtual_time::record::Record;
use crate::engine::virtual_time::wiring::SideName;
use crate::layer::LayerError;
use crate::math::Real;
use crate::signal::{Directive, Extract, Report};
use crate::wire::WireError;
use crate::wire::control::{Parcel, Tiding};

/// What was asked, as far as the answer depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Window,
    Count,
    Ends,
    Finish,
    /// The nodes that hand something out.
    Direct(Vec<usize>),
    Other,
}

impl Asked {
    pub(super) fn by<T>(errand: &Errand<T>) -> Self {
        match errand {
            Errand::Window(_) => Self::Window,
            Errand::Count { .. } => Self::Count,
            Errand::Ends => Self::Ends,
            Errand::Finish { .. } => Self::Finish,
            Errand::Direct(directives) => {
                let asked = directives.iter().filter(|(_, told)| matches!(told, Directive::Extract(_)));
                Self::Direct(asked.map(|(node, _)| *node).collect())
            }
            Errand::Present { .. } | Errand::Begin(_) | Errand::GoOn(_) | Errand::Halt => Self::Other,
        }
    }
}

/// Says one, at once; after the end of a phase with what was counted.
pub(crate) async fn put_reply<T: Real>(
    out: &mut Outgoing,
    reply: Result<Reply<T>, EngineError>,
    asked: &Asked,
    counts: impl FnOnce() -> Vec<Counts>,
) -> Result<(), ControlError> {
    match reply {
        Err(EngineError::Layer(LayerError { layer, what })) => out.put(&Said::Fault(layer, what), &[]).await?,
        Err(other) => out.put(&Said::Fault(0, other.to_string()), &[]).await?,
        Ok(Reply::Outcome(Outcome { events, records, .. })) if records.len() as u64 > RECORDS_MOST => {
            let what =
                format!("{events} events within one period are more than {RECORDS_MOST}, the most that are logged");
            out.put(&Said::Fault(0, what), &[]).await?;
        }
        Ok(Reply::Extracts(extracts)) if matches!(asked, Asked::Direct(nodes) if nodes.len() != extracts.len()) => {
            out.put(&Said::Fault(0, "a layer does not hand out what it was asked for".to_owned()), &[]).await?;
        }
        Ok(Reply::Outcome(Outcome { next, now, events, letters, records })) => {
            out.put(&Said::Outcome { next, now, events, letters: letters.len() }, &[]).await?;
            put_letters(out, &letters).await?;
            let bytes: Vec<u8> = records.iter().flat_map(Record::to_bytes).collect();
            out.put_numbers(&bytes).await?;
        }
        Ok(Reply::Counted(Counted { reports, waved, arrived })) => {
            out.put(&Said::Counted { waved, arrived }, &[]).await?;
            out.put_list(&reports).await?;
        }
        Ok(Reply::Ends(Ends { spoken, heard, unheard })) => {
            out.put(&Said::Ends { unheard }, &[]).await?;
            for versions in [spoken, heard] {
                let versions: Vec<u64> = versions.into_iter().map(|(_, version)| version).collect();
                out.put_list(&versions).await?;
            }
        }
        Ok(Reply::Extracts(extracts)) => {
            out.put(&Said::Extracts, &[]).await?;
            if let Asked::Direct(nodes) = asked {
                for (node, extract) in nodes.iter().zip(&extracts) {
                    let (parcel, bytes) = Parcel::of(extract);
                    out.put(&Tiding::Extract(*node, parcel), &bytes).await?;
                }
            }
        }
        Ok(Reply::Done) => {
            out.put(&Said::Done, &[]).await?;
            if *asked == Asked::Finish {
                let counts: Vec<[Tally; 2]> = counts().iter().map(|side| [side.sent, side.heard]).collect();
                out.put_list(&counts).await?;
            }
        }
    }
    out.flush().await
}

/// What a worker answers: its reply or its fault; after the end of a phase with what was counted.
type Answered<T> = Result<(Reply<T>, Option<Vec<Counts>>), EngineError>;

/// The next reply, to what was asked.
pub(crate) async fn next_reply<T: Real>(
    incoming: &mut Incoming,
    asked: &Asked,
    site: &Site,
) -> Result<Answered<T>, ControlError> {
    let reply = match (asked, incoming.must::<Said>("a reply").await?) {
        (_, Said::Fault(layer, what)) => return Ok(Err(LayerError { layer, what }.into())),
        (Asked::Finish, Said::Done) => {
            let tallies: Vec<[Tally; 2]> = incoming.list("counts of links", site.sides.len()).await?;
            let of = |(side, [sent, heard]): (&SideName, [Tally; 2])| Counts {
                link: side.link,
                from: side.from,
                to: side.to,
                sent,
                heard,
            };
            return Ok(Ok((Reply::Done, Some(site.sides.iter().zip(tallies).map(of).collect()))));
        }
        (Asked::Other, Said::Done) => Reply::Done,
        (Asked::Window, Said::Outcome { next, now, events, letters }) => {
            next.map(|next| site.time("the next event", next)).transpose()?;
            count("a time", now.0)?;
            count("the number of events", events)?;
            let letters = next_letters(incoming, letters, (site, Way::Out)).await?;
            let records = if site.logged { records(incoming, events).await? } else { Vec::new() };
            Reply::Outcome(Outcome { next, now, events, letters, records })
        }
        (Asked::Count, Said::Counted { waved, arrived }) => {
            most("the number of arrivals", arrived, site.own.len())?;
            let reports: Vec<Report> = incoming.list("reports", site.own.len()).await?;
            for (node, report) in site.own.clone().zip(&reports) {
                if site.limits.network.place_of(node) != Some((report.layer, report.group)) {
                    let expected = "that of every node, in order";
                    return Err(wrong("the layer of a report", report.layer as u32, expected).into());
                }
                let Report { spoken, heard, .. } = report;
                let counts = [spoken.above, spoken.below, heard.above, heard.below, report.step, report.staleness];
                counts.into_iter().try_for_each(|number| count("a count of a report", number).map(drop))?;
                most("the unsettled units of a report", report.unsettled, COUNT_MOST as usize)?;
            }
            Reply::Counted(Counted { reports, waved, arrived })
        }
        (Asked::Ends, Said::Ends { unheard }) => {
            let spoken: Vec<u64> = incoming.list("a list of versions", site.borders.len()).await?;
            let heard: Vec<u64> = incoming.list("a list of versions", site.borders.len()).await?;
            spoken.iter().chain(&heard).try_for_each(|version| count("a version", *version).map(drop))?;
            let links = || site.borders.iter().map(|side| side.link);
            let (spoken, heard) = (links().zip(spoken).collect(), links().map(|link| link ^ 1).zip(heard).collect());
            Reply::Ends(Ends { spoken, heard, unheard })
        }
        (Asked::Direct(nodes), Said::Extracts) => {
            let mut extracts: Vec<Extract<T>> = Vec::new();
            for node in nodes {
                let tiding: Tiding = incoming.must("an extract").await?;
                if !matches!(&tiding, Tiding::Extract(from, _) if from == node) {
                    return Err(wrong("the node of an extract", *node as u32, "one that was asked").into());
                }
                let bounds = site.limits.bounds();
                let numbers = incoming.numbers(tiding.numbers(bounds)?).await?;
                extracts.push(tiding.with(numbers, bounds)?.1);
            }
            Reply::Extracts(extracts)
        }
        (_, said) => {
            let problem = format!("{said:?} answers something else than was asked");
            return Err(WireError::Unreadable { what: "a reply", problem }.into());
        }
    };
    Ok(Ok((reply, None)))
}

/// As many records as there were events, piece by piece as they come.
async fn records(incoming: &mut Incoming, events: u64) -> Result<Vec<Record>, ControlError> {
    most("the number of logged events", events as usize, RECORDS_MOST as usize)?;
    let mut records = Vec::new();
    let mut missing = events as usize * Record::BYTES;
    let mut rest: Vec<u8> = Vec::new();
    while missing > 0 {
        let chunk = incoming.chunk(missing).await?;
        missing -= chunk.len();
        rest.extend_from_slice(&chunk);
        let (whole, part) = rest.as_chunks::<{ Record::BYTES }>();
        records.extend(whole.iter().map(Record::from_bytes));
        rest = part.to_vec();
    }
    Ok(records)
}
