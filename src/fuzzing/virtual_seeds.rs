//! Valid messages between the driver of virtual time and a worker, made by our own encoders.

use std::sync::Arc;

use ndarray::Array2;
use tokio::io::AsyncReadExt;

use super::seeds::report;
use crate::engine::EngineError;
use crate::engine::afar::errands::{farewell, put_errand};
use crate::engine::afar::replies::{Asked, put_reply};
use crate::engine::remote::{self, ControlError, Outgoing};
use crate::engine::transport::Stream;
use crate::engine::virtual_time::VirtualSettings;
use crate::engine::virtual_time::errand::{
    Carried, Counted, Counts, Ends, Errand, Gait, Letter, Opening, Outcome, Reply, Window,
};
use crate::engine::virtual_time::kernel::{Key, Time};
use crate::engine::virtual_time::laws::Laws;
use crate::engine::virtual_time::links::{Passage, Tally};
use crate::engine::virtual_time::record::Record;
use crate::layer::LayerError;
use crate::math::optimizer::OptimizerSpec;
use crate::math::{Field, Real};
use crate::network::Parameters;
use crate::signal::{
    Content, Directive, Extract, Message, Motion, Origin, Phase, Reading, Report, Signal, Stamp, Teaching, Wanted,
};

pub(super) fn virtual_laws() -> String {
    let settings = VirtualSettings::in_step(3, Message::ErrorEcho, 0.1, OptimizerSpec::sgd(0.1));
    serde_json::to_string(&Laws::of(&settings)).expect("laws as text")
}

/// What stands before a window: a batch of two samples, and a phase.
pub(super) fn opening<T: Real>(logged: bool) -> Vec<Errand<T>> {
    let page = |rows| Arc::new(Field::from_elem((rows, 2), T::of(0.25)));
    let phase = Phase {
        number: 3,
        motion: Motion::Relax { teaching: Teaching::Nudged(-0.5), from: Origin::Here },
        steps: 20,
        tolerance: 1e-3,
        reading: Reading::AtEnd,
    };
    let heard = vec![(1, 4), (2, 5)];
    vec![
        Errand::Present { batch: 7, size: 2, data: page(3), target: page(2) },
        Errand::Begin(Opening { phase, gait: Gait::Resting, now: Time(9), logged, heard }),
    ]
}

/// A signal up the link `link` to a node, or down it, of the network that is fuzzed.
fn letter<T: Real>((link, node, rank): (u32, u32, u8), content: Content, rows: usize) -> Letter<T> {
    let key = Key { time: Time(1 << 20), rank, node, link, number: 3 };
    let stamp = Stamp { phase: 1, step: 2, version: 3, answers: 4 };
    let numbers = Arc::new(Field::from_elem((rows, 2), T::of(-0.5)));
    Letter { key, carried: Carried::Signal(Passage { said: Time(5), signal: Signal { stamp, content, numbers } }) }
}

fn acknowledgement<T>(link: u32, node: u32) -> Letter<T> {
    let key = Key { time: Time(1 << 21), rank: 4, node, link, number: 9 };
    Letter { key, carried: Carried::Version(8) }
}

/// Every errand alone, and all of them one behind another.
pub fn errands() -> Vec<Vec<u8>> {
    let letters = vec![
        letter((0, 1, 1), Content::Prediction, 4),
        letter((3, 1, 3), Content::Error, 2),
        acknowledgement(1, 1),
        acknowledgement(2, 1),
    ];
    let between = vec![(1, Directive::Collect { coefficient: -2.0 })];
    let weights = Extract::Weights(Parameters { weights: Array2::from_elem((2, 4), 0.5), bias: vec![0.5; 2] }, None);
    let [present, begin]: [Errand<f32>; 2] = opening(true).try_into().expect("both");
    let all = vec![
        present,
        Errand::Ends,
        begin,
        Errand::Window(Window { until: Time(0), letters: Vec::new() }),
        Errand::Window(Window { until: Time(1 << 20), letters }),
        Errand::Count { now: Time(1 << 20), drain: true },
        Errand::GoOn(3),
        Errand::Halt,
        Errand::Finish { remember: true },
        Errand::Direct(between),
        Errand::Direct(vec![(1, Directive::Install(Box::new(weights)))]),
        Errand::Direct(vec![(1, Directive::Extract(Wanted::State))]),
    ];
    let mut site = super::site();
    let mut written: Vec<Vec<u8>> = Vec::new();
    for errand in &all {
        written.push(writing(async |out| put_errand(out, errand, &site).await));
        site.note(errand);
    }
    written.push(writing(async |out| farewell(out).await));
    let conversation = written.concat();
    // A window with letters is one only of a batch that was presented.
    written.remove(4);
    written.push(conversation);
    written
}

/// Every reply.
pub fn replies() -> Vec<Vec<u8>> {
    let letters = vec![
        letter((1, 0, 3), Content::State, 4),
        letter((2, 2, 1), Content::Prediction, 2),
        acknowledgement(0, 0),
        acknowledgement(3, 2),
    ];
    let record = Record { key: letters[0].key, count: 4, fold: u64::MAX };
    let outcome = Outcome { next: Some(Time(1 << 21)), now: Time(12), events: 2, letters, records: vec![record; 2] };
    let quiet = Outcome { next: None, now: Time(12), events: 0, letters: Vec::new(), records: Vec::new() };
    let (spoken, heard) = (vec![(1, 4), (2, 5)], vec![(0, 4), (3, 5)]);
    let counts = Counts { link: 1, from: 1, to: 0, sent: Tally::default(), heard: Tally::default() };
    let fault = LayerError { layer: 1, what: "it cannot".to_owned() };
    let report = Report { layer: 1, ..report() };
    let all: Vec<(Result<Reply<f64>, EngineError>, Asked)> = vec![
        (Ok(Reply::Done), Asked::Other),
        (Ok(Reply::Done), Asked::Finish),
        (Ok(Reply::Outcome(outcome)), Asked::Window),
        (Ok(Reply::Outcome(quiet)), Asked::Window),
        (Ok(Reply::Counted(Counted { reports: vec![report], waved: false, arrived: 1 })), Asked::Count),
        (Ok(Reply::Ends(Ends { spoken, heard, unheard: true })), Asked::Ends),
        (Ok(Reply::Extracts(vec![Extract::State(Array2::from_elem((4, 2), 0.5))])), Asked::Direct(vec![1])),
        (Err(fault.into()), Asked::Other),
    ];
    let reply = |(reply, asked)| writing(async |out| put_reply(out, reply, &asked, || vec![counts; 2]).await);
    all.into_iter().map(reply).collect()
}

/// What is written to a control connection.
fn writing(say: impl AsyncFnOnce(&mut Outgoing) -> Result<(), ControlError>) -> Vec<u8> {
    super::runtime().block_on(async {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let stream = Stream { reader: Box::new(tokio::io::empty()), writer: Box::new(near) };
        let (_, mut out) = remote::control(stream);
        say(&mut out).await.expect("there is room");
        drop(out);
        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes).await.expect("what was written");
        bytes
    })
}
