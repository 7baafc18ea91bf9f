//! The event timeline of a wave, in the trace-event format that Perfetto and chrome://tracing open.
//!
//! ```text
//! process   a wave                       track (tid)   a layer; the first one: the phase as a whole
//! slice     "step n", "says", "hears"    ph X, with ts and dur
//! arrow     a signal                     ph s where it is said, ph f where it arrives, the same id; each inside a slice
//! mark      the wave arrives             ph i
//! ```
//!
//! Timestamps are microseconds, and one unit of model time is drawn as one millisecond. In virtual time a step takes no time, so that
//! the lengths of slices mean nothing: they are as long as there is room. A signal that never arrived, or was no news when it did, has no
//! arrow. Source: Duan & Sinclair, "Trace Event Format" (the Chromium project), sections "Complete", "Flow", "Metadata", "Instant".

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::watch::{Happened, Passing, Seen};

/// Microseconds that one unit of model time is drawn as.
pub const MICROSECONDS: f64 = 1000.0;
/// Most records of a file: some 10 MB.
pub const RECORDS_MOST: usize = 100_000;
/// Tracks of a process begin at this number times its own: viewers take the number of a track for unique, and 0 for no thread at all.
const TRACKS: u64 = 1_000_000;
/// Length of a slice, if there is room until the next on its track.
const SLICE: f64 = 250.0;
/// Share of the room that a slice takes.
const ROOM: f64 = 0.8;

/// One wave to be drawn.
pub struct Source<'a> {
    /// Name of its process.
    pub name: String,
    /// What was done at t = 0, for the track of the phase.
    pub switch: String,
    /// How long the run was, in units.
    pub length: f64,
    /// What was seen of it.
    pub seen: &'a Seen,
    /// Layer and time of the wave's arrival.
    pub arrivals: Vec<(usize, f64)>,
    /// What layers and groups are called.
    pub names: Vec<String>,
    /// The process in which each layer lives; empty: all in one.
    pub homes: Vec<usize>,
}

/// What the numbers of a timeline mean, for whoever opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Of its times.
    pub unit: &'static str,
    /// Of the lengths of slices.
    pub slices: &'static str,
}

/// Virtual time.
pub const VIRTUAL: About = About {
    unit: "1 unit of model time is drawn as 1 ms",
    slices: "the length of a slice means nothing: in virtual time a step takes no time",
};

/// The wall clock.
pub const WALL: About = About {
    unit: "microseconds of the wall clock from the switch on, of one clock: offsets between processes have been subtracted",
    slices: "a slice begins where something was noted; its length means nothing",
};

/// What there is in a timeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Steps, and moments at which a layer only spoke or heard.
    pub slices: usize,
    /// Signals from where they were said to where they arrived.
    pub arrows: usize,
    /// Where each wave's timeline ends before the run does, in units of model time; `None`: it is whole.
    pub cut_at: Vec<Option<f64>>,
}

/// A moment of a layer: everything it did at one time.
#[derive(Clone, Debug, Default)]
struct Moment {
    step: Option<(u64, Option<f64>)>,
    says: bool,
    hears: bool,
}

/// The timeline of some waves, each with its share of [`RECORDS_MOST`].
pub fn timeline(sources: &[Source<'_>], meaning: &About) -> (Json, Summary) {
    let mut records = Vec::new();
    let mut summary = Summary::default();
    let share = RECORDS_MOST / sources.len().max(1);
    let mut first = 1;
    for source in sources {
        let (drawn, cut_at) = draw(first, source, share, &mut summary);
        first += source.processes();
        records.push(drawn);
        summary.cut_at.push(cut_at);
    }
    let mut records: Vec<Json> = records.into_iter().flatten().collect();
    // A stable sort: within one time the order is that of being drawn, slices before the arrows inside them.
    records.sort_by(|a, b| moment_of(a).total_cmp(&moment_of(b)));
    let about = json!({
        "unit": meaning.unit,
        "slices": meaning.slices,
        "cut_at": summary.cut_at,
    });
    (json!({ "traceEvents": records, "displayTimeUnit": "ms", "otherData": about }), summary)
}

impl Source<'_> {
    /// How many processes the layers live in.
    fn processes(&self) -> u64 {
        self.homes.iter().max().map_or(1, |most| *most as u64 + 1)
    }

    /// The process of a layer, in a timeline in which those of this wave begin at `first`.
    fn home(&self, first: u64, layer: usize) -> u64 {
        first + self.homes.get(layer).map_or(0, |&home| home as u64)
    }
}

fn moment_of(record: &Json) -> f64 {
    record["ts"].as_f64().unwrap_or(f64::NEG_INFINITY)
}

/// Moments per layer, and arrows with both ends.
struct Collected {
    moments: BTreeMap<(usize, u64), Moment>,
    arrows: Vec<(Passing, Passing)>,
}

/// Everything up to `until`.
fn collect(seen: &Seen, until: f64) -> Collected {
    let mut moments: BTreeMap<(usize, u64), Moment> = BTreeMap::new();
    let mut said: BTreeMap<(usize, usize, u64), Passing> = BTreeMap::new();
    let mut arrows = Vec::new();
    for happened in seen.events.iter().filter(|happened| time_of(happened) <= until) {
        match *happened {
            Happened::Step { time, layer, step, displacement } => {
                moments.entry((layer, time.to_bits())).or_default().step = Some((step, displacement));
            }
            Happened::Sent(passing) => {
                said.entry((passing.from, passing.to, passing.version)).or_insert(passing);
            }
            Happened::Arrived(passing) => {
                if let Some(sent) = said.remove(&(passing.from, passing.to, passing.version)) {
                    // Bits of positive numbers are in the order of the numbers.
                    moments.entry((sent.from, sent.time.to_bits())).or_default().says = true;
                    moments.entry((passing.to, passing.time.to_bits())).or_default().hears = true;
                    arrows.push((sent, passing));
                }
            }
        }
    }
    Collected { moments, arrows }
}

fn time_of(happened: &Happened) -> f64 {
    match *happened {
        Happened::Step { time, .. } => time,
        Happened::Sent(Passing { time, .. }) | Happened::Arrived(Passing { time, .. }) => time,
    }
}

fn draw(pid: u64, source: &Source<'_>, share: usize, summary: &mut Summary) -> (Vec<Json>, Option<f64>) {
    let (Collected { moments, arrows }, cut_at) = fitting(source, share);
    let until = cut_at.unwrap_or(f64::INFINITY);
    let home = |layer| source.home(pid, layer);
    let mut records = named(pid, source, source.seen.tracks.len());
    let length = until.min(source.length) * MICROSECONDS;
    records.push(
        json!({"ph": "X", "pid": pid, "tid": track(pid, 0), "ts": 0.0, "dur": length, "cat": "phase", "name": source.switch}),
    );
    let times: Vec<(usize, u64)> = moments.keys().copied().collect();
    for (index, (&(layer, bits), moment)) in moments.iter().enumerate() {
        let next = times.get(index + 1).filter(|next| next.0 == layer).map(|next| f64::from_bits(next.1));
        let ts = f64::from_bits(bits) * MICROSECONDS;
        let room = next.map_or(f64::INFINITY, |next| (next * MICROSECONDS - ts) * ROOM);
        let (name, arguments) = match moment {
            Moment { step: Some((step, displacement)), .. } => {
                (format!("step {step}"), json!({ "displacement": displacement }))
            }
            Moment { says: true, .. } => ("says".to_owned(), json!({})),
            _ => ("hears".to_owned(), json!({})),
        };
        let dur = room.min(SLICE);
        records.push(json!({
            "ph": "X", "pid": home(layer), "tid": track(pid, layer + 1), "ts": ts, "dur": dur, "cat": "layer", "name": name, "args": arguments,
        }));
    }
    summary.slices += moments.len();
    for (sent, arrived) in &arrows {
        let up = sent.to > sent.from;
        let name = if up { "prediction" } else { "error" };
        let id = format!("{pid}:{}>{}:{}", sent.from, sent.to, sent.version);
        let end = |ph: &str, layer: usize, time: f64| {
            let mut end = json!({
                "ph": ph, "pid": home(layer), "tid": track(pid, layer + 1), "ts": time * MICROSECONDS, "cat": "signal", "name": name, "id": id,
            });
            if ph == "f" {
                // Inside the slice in which it is heard, not at the beginning of the next one.
                end["bp"] = json!("e");
            }
            end
        };
        records.push(end("s", sent.from, sent.time));
        records.push(end("f", arrived.to, arrived.time));
    }
    summary.arrows += arrows.len();
    for &(layer, time) in source.arrivals.iter().filter(|(_, time)| *time <= until) {
        let ts = time * MICROSECONDS;
        records.push(json!({
            "ph": "i", "s": "t", "pid": home(layer), "tid": track(pid, layer + 1), "ts": ts, "cat": "wave", "name": "the wave arrives",
        }));
    }
    (records, cut_at)
}

fn track(pid: u64, index: usize) -> u64 {
    TRACKS * pid + index as u64
}

/// Names and order of the tracks.
fn named(pid: u64, source: &Source<'_>, layers: usize) -> Vec<Json> {
    let home = |index: usize| index.checked_sub(1).map_or(pid, |layer| source.home(pid, layer));
    let name = |index: usize, name: String| {
        let tid = track(pid, index);
        json!({"ph": "M", "pid": home(index), "tid": tid, "name": "thread_name", "args": {"name": name}})
    };
    let order = |index: usize| {
        let place = if index == 0 { 0 } else { layers + 1 - index };
        json!({"ph": "M", "pid": home(index), "tid": track(pid, index), "name": "thread_sort_index", "args": {"sort_index": place}})
    };
    let process = |pid: u64, name: String| json!({"ph": "M", "pid": pid, "tid": track(pid, 0), "name": "process_name", "args": {"name": name}});
    let several = source.processes() > 1;
    let mut records: Vec<Json> = (0..source.processes())
        .map(|home| {
            let worker = if several { format!(", worker {home}") } else { String::new() };
            process(pid + home, format!("{}{worker}", source.name))
        })
        .collect();
    records.extend([name(0, "phase".to_owned()), order(0)]);
    for layer in 0..layers {
        let called = source.names.get(layer).cloned().unwrap_or_else(|| layer.to_string());
        let what = match called.split('.').next() {
            Some("0") => format!("layer {called} (input)"),
            _ if layer + 1 == layers => format!("layer {called} (output)"),
            _ => format!("layer {called}"),
        };
        records.extend([name(layer + 1, what), order(layer + 1)]);
    }
    records
}

/// As much of the run as fits, and the time at which it was cut, if it was.
fn fitting(source: &Source<'_>, share: usize) -> (Collected, Option<f64>) {
    let seen = source.seen;
    let fixed = 4 + 2 * seen.tracks.len() + source.arrivals.len();
    let fits = |collected: &Collected| fixed + collected.moments.len() + 2 * collected.arrows.len() <= share;
    let whole = collect(seen, f64::INFINITY);
    if seen.dropped == 0 && fits(&whole) {
        return (whole, None);
    }
    let mut times: Vec<f64> = seen.events.iter().map(time_of).collect();
    times.dedup();
    if seen.dropped > 0 {
        // Something of the last time may be missing, and so all of it is left out.
        times.pop();
    }
    let count = times.partition_point(|&time| fits(&collect(seen, time)));
    let until = count.checked_sub(1).map_or(0.0, |last| times[last]);
    (collect(seen, until), Some(until))
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
