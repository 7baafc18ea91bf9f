//! Valid messages for every decoder, made by our own encoders, so that they change with the formats.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;

use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::Array2;

use super::virtual_seeds::virtual_laws;
pub use super::virtual_seeds::{errands, replies};
use super::{BATCH_MOST, CALLERS_NONCE, HOSTS_NONCE, LINK, hello, learning_network, network, run_secret};
use crate::config;
use crate::data::idx_problem::Kind;
use crate::engine::Schedule;
use crate::engine::remote::Told;
use crate::engine::transport::Transport;
use crate::engine::virtual_time::clocks::ClockLaws;
use crate::engine::virtual_time::kernel::{Key, Time};
use crate::engine::virtual_time::links::{LinkLaws, Tally};
use crate::engine::virtual_time::record::Record;
use crate::engine::wall_clock::WallLaws;
use crate::engine::whereabouts::Whereabouts;
use crate::math::optimizer::{OptimizerSpec, OptimizerState};
use crate::math::{Dtype, Field, Numerics, Real, values};
use crate::network::{FeedbackState, Init, NetworkSpec, Parameters};
use crate::process::start::{Answer, Instruction, Task};
use crate::run::RunDirectory;
use crate::run::checkpoint::{self, Position, Snapshot};
use crate::run::meta::{LoggedEvents, Meta, SCHEMA, Status};
use crate::signal::sighting::Sightings;
use crate::signal::{
    Content, Directive, Extract, Message, Motion, Origin, Phase, Reading, Report, Repose, Stamp, Teaching, Versions,
    Wanted,
};
use crate::transaction::{self, Ticket};
use crate::wire::control::{self, Order, Parcel, Tiding};
use crate::wire::frame::{self, Direction, Header, Heading};
use crate::wire::{handshake as greeting, numbers};

fn header<T: Real>(direction: Direction, content: Content, columns: usize) -> Vec<u8> {
    let stamp = Stamp { phase: 1, step: 2, version: 3, answers: 4 };
    let signal = Some(Heading { stamp, content, shape: (LINK.rows, columns), again: false });
    frame::encode::<T>(LINK, direction, &Header { credit: 5, signal }).to_vec()
}

/// Both number types, both directions, every content, and a bare credit.
pub fn frame() -> Vec<Vec<u8>> {
    let credit = Header { credit: u64::MAX, signal: None };
    vec![
        header::<f32>(Direction::Up, Content::Prediction, 1),
        header::<f64>(Direction::Up, Content::Prediction, BATCH_MOST),
        header::<f32>(Direction::Down, Content::Error, 2),
        header::<f64>(Direction::Down, Content::Adjoint, 3),
        header::<f64>(Direction::Down, Content::State, 4),
        frame::encode::<f32>(LINK, Direction::Up, &credit).to_vec(),
    ]
}

fn signal<T: Real>(direction: Direction, content: Content, columns: usize) -> Vec<u8> {
    let page: Field<T> = Array2::from_shape_fn((LINK.rows, columns), |(r, c)| T::of((r + 10 * c) as f64 - 0.5));
    [header::<T>(direction, content, columns), numbers::bytes(values(&page)).into_owned()].concat()
}

/// One signal, and one behind another, upward in f32 and downward in f64.
pub fn signals() -> Vec<Vec<u8>> {
    let up = |columns| signal::<f32>(Direction::Up, Content::Prediction, columns);
    let down = |content, columns| signal::<f64>(Direction::Down, content, columns);
    let credit = frame::encode::<f32>(LINK, Direction::Up, &Header { credit: 1, signal: None }).to_vec();
    vec![
        up(1),
        [up(2), credit].concat(),
        down(Content::Error, 3),
        [down(Content::Adjoint, 1), down(Content::State, BATCH_MOST)].concat(),
    ]
}

/// A whole handshake, message by message.
pub fn handshake() -> Vec<Vec<u8>> {
    let secret = run_secret();
    let call = greeting::call(&CALLERS_NONCE);
    let (_, challenge) = greeting::challenge(&secret, &call, &HOSTS_NONCE);
    let response = greeting::respond(&secret, &CALLERS_NONCE, &challenge, &hello()).expect("a response");
    vec![call.to_vec(), challenge.to_vec(), response.to_vec(), greeting::encode(&hello()).to_vec(), vec![1]]
}

fn directives() -> Vec<(usize, Directive<f32>)> {
    let field = |rows, columns| std::sync::Arc::new(Field::from_elem((rows, columns), 0.25));
    let phase = Phase {
        number: 3,
        motion: Motion::Relax { teaching: Teaching::Nudged(-0.5), from: Origin::Remembered },
        steps: 20,
        tolerance: 1e-3,
        reading: Reading::FirstArrival(2.0),
    };
    let state = |size| OptimizerState { updates: 9, first: vec![1.0; size], second: vec![2.0; size] };
    let parameters = Parameters { weights: Array2::from_elem((4, 3), 0.5), bias: vec![-1.0; 4] };
    let feedback = FeedbackState { matrix: Array2::from_elem((4, 3), 0.5), optimizer: Some(state(12)) };
    vec![
        (0, Directive::Present { batch: 5, data: Some(field(3, 5)), target: None }),
        (2, Directive::Present { batch: 1, data: None, target: Some(field(2, 1)) }),
        (0, Directive::Show(field(3, 2))),
        (1, Directive::Begin(phase)),
        (1, Directive::Continue(7)),
        (1, Directive::Collect { coefficient: -2.0 }),
        (1, Directive::Learn),
        (1, Directive::Transact(transaction::Order::Commit(Ticket { generation: 3, step: 8 }))),
        (1, Directive::Extract(Wanted::Estimate)),
        (0, Directive::Install(Box::new(Extract::Weights(parameters, Some([state(12), state(4)]))))),
        (0, Directive::Install(Box::new(Extract::Feedback(feedback)))),
        (1, Directive::Install(Box::new(Extract::Precision(vec![0.5; 4])))),
    ]
}

pub(super) fn report() -> Report {
    Report {
        layer: 2,
        group: 0,
        phase: 3,
        step: 4,
        residual: 0.5,
        unsettled: 1,
        energy: 2.0,
        score: None,
        bad: None,
        spoken: Versions { above: 1, below: 2 },
        heard: Versions::default(),
        repose: Repose::Moving,
        staleness: 1,
    }
}

fn tidings() -> Vec<(Tiding, Vec<u8>)> {
    let (state, numbers) = Parcel::of::<f64>(&Extract::State(Array2::from_elem((4, 2), 0.5)));
    let vote = transaction::Answer::Vote(Ticket { generation: 1, step: 7 }, false);
    vec![
        (Tiding::Report(report()), Vec::new()),
        (Tiding::Extract(1, state), numbers),
        (Tiding::Extract(1, Parcel::Seen(Box::new(Sightings { clock: 3, ..Sightings::default() }))), Vec::new()),
        (Tiding::Extract(0, Parcel::Answer(vote)), Vec::new()),
        (Tiding::Fault(1, "layer 1 is gone".to_owned()), Vec::new()),
        (Tiding::LinkBroken(0), Vec::new()),
        (Tiding::Severed(0, 1, "timed out".to_owned()), Vec::new()),
    ]
}

/// Every directive and every tiding, without the numbers behind it.
pub fn control_heads() -> Vec<Vec<u8>> {
    let orders = directives()
        .into_iter()
        .map(|(layer, directive)| control::encode(&Told::Order(layer, Order::of(&directive).0)));
    orders.chain(tidings().iter().map(|(tiding, _)| control::encode(tiding))).collect()
}

/// As a control connection frames them: a length, and so many bytes.
fn framed(head: Vec<u8>, numbers: &[u8]) -> Vec<u8> {
    let chunks = std::iter::once(&head[..]).chain(Some(numbers).filter(|numbers| !numbers.is_empty()));
    chunks.flat_map(|chunk| [&(chunk.len() as u32).to_le_bytes(), chunk].concat()).collect()
}

/// Every message alone, and all that go one way, one behind another.
pub fn control_stream() -> Vec<Vec<u8>> {
    let orders: Vec<Vec<u8>> = directives()
        .into_iter()
        .map(|(layer, directive)| {
            let (order, numbers) = Order::of(&directive);
            framed(control::encode(&Told::Order(layer, order)), &numbers)
        })
        .chain([framed(control::encode(&Told::Farewell), &[])])
        .collect();
    let told: Vec<Vec<u8>> =
        tidings().into_iter().map(|(tiding, numbers)| framed(control::encode(&tiding), &numbers)).collect();
    [vec![orders.concat(), told.concat()], orders, told].concat()
}

/// Every message there is before the first directive.
pub fn start() -> Vec<Vec<u8>> {
    let laws = WallLaws {
        unit_ms: 1.0,
        seed: 1,
        clocks: vec![ClockLaws::default(); 3],
        links: vec![[LinkLaws::default(); 2]; 2],
        group_clocks: vec![((1, 0), ClockLaws::default())],
        group_links: vec![([(0, 0), (1, 1)], LinkLaws::default())],
    };
    let task = Task {
        run: [1; 16],
        generation: 1,
        worker: 1,
        placement: vec![vec![0, 1], vec![2]],
        network: learning_network(),
        dtype: Dtype::F32,
        schedule: Schedule::FreeRunning,
        message: Message::ErrorEcho,
        rate: 0.1,
        optimizer: OptimizerSpec::sgd(0.1),
        numerics: Numerics::default(),
        stall_s: 30.0,
        batch_most: 64,
        transport: Transport::Tcp,
        laws: Some(serde_json::to_string(&laws).expect("laws as text")),
        virtual_time: Some(virtual_laws()),
    };
    let address = Some(SocketAddr::from(([10, 0, 0, 1], 7400)));
    vec![
        control::encode(&Instruction::Task(Box::new(task))),
        control::encode(&Instruction::Connect(vec![address, None])),
        control::encode(&Answer::Listening(address)),
        control::encode(&Answer::Ready),
        control::encode(&Answer::Failed("no".to_owned())),
    ]
}

/// Of all layers, of one, of none.
pub fn sightings() -> Vec<Vec<u8>> {
    let whereabouts = Whereabouts::of(&network());
    let lists: [&[usize]; 3] = [&[0, 1, 2], &[1], &[]];
    lists.map(|layers| control::encode(&whereabouts.sightings(layers))).into()
}

/// With and without the end of its line.
pub fn secret() -> Vec<Vec<u8>> {
    let digits = "00ff".repeat(16);
    vec![digits.clone().into_bytes(), format!("{digits}\r\n").into_bytes()]
}

fn snapshot(network: &NetworkSpec) -> Snapshot<f32> {
    let state = |size| OptimizerState { updates: 3, first: vec![0.5; size], second: vec![0.25; size] };
    let learns = network.precision_rate() > 0.0;
    let feedback = FeedbackState { matrix: Array2::from_elem((2, 4), 0.5), optimizer: Some(state(8)) };
    Snapshot {
        weights: network.initial_weights(Init::He, 1),
        optimizers: vec![[state(12), state(4)], [state(8), state(2)]],
        feedback: if learns { vec![feedback] } else { Vec::new() },
        precisions: if learns { vec![vec![0.5; 4]] } else { Vec::new() },
        states: if learns { [3, 4, 2].map(|units| Array2::from_elem((units, 2), 0.5)).into() } else { Vec::new() },
    }
}

/// This file of two checkpoints: of a network that learns everything, and of one that learns weights alone.
fn of_checkpoints(file: &str) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = RunDirectory::create(folder.path(), "run", "", &[]).expect("a run directory");
    let links = vec![((0, 1), Tally { sent: 4, lost: 1, ..Tally::default() })];
    let written = [(1, learning_network(), links), (2, network(), Vec::new())].map(|(step, network, links)| {
        let position = Position { step, epoch: 0, batch: step, wall_s: 0.5, links };
        let path = checkpoint::write(&run, &snapshot(&network), &position, 2).expect("a checkpoint");
        fs::read(path.join(file)).expect("a file of the checkpoint")
    });
    written.into()
}

/// With and without counts of links and of feedback updates.
pub fn checkpoint_state() -> Vec<Vec<u8>> {
    of_checkpoints("state.json")
}

/// In single precision.
pub fn checkpoint_model() -> Vec<Vec<u8>> {
    of_checkpoints("model.safetensors")
}

/// With everything a checkpoint can hold, and with moments alone.
pub fn checkpoint_optimizer() -> Vec<Vec<u8>> {
    of_checkpoints("optimizer.safetensors")
}

/// Of a run with a log of events.
pub fn run_meta() -> Vec<Vec<u8>> {
    let meta = Meta {
        schema: SCHEMA,
        program: "0.1.0".to_owned(),
        git: None,
        status: Status::Interrupted,
        seed: 1,
        schedule: "virtual-time".to_owned(),
        deterministic: true,
        threads: 1,
        host: "host".to_owned(),
        platform: "linux".to_owned(),
        started_unix: 1,
        data: vec![("digits".to_owned(), "00".to_owned())],
        samples: [3, 2, 1],
        events: Some(LoggedEvents { batches: 1, events: 2, sha256: "00".to_owned() }),
        summary: None,
    };
    vec![serde_json::to_vec_pretty(&meta).expect("meta as text")]
}

/// The beginning of a batch, and events of every rank.
pub fn event_log() -> Vec<Vec<u8>> {
    let event = |rank: u8| {
        let key = Key { time: Time(1 << 20), rank, node: 1, link: 2, number: 3 };
        Record { key, count: 4, fold: u64::MAX }.to_bytes().to_vec()
    };
    let events: Vec<Vec<u8>> = (0..7).map(event).collect();
    vec![Record::batch(0).to_bytes().to_vec(), [Record::batch(1).to_bytes().to_vec(), events.concat()].concat()]
}

/// Images and labels, raw and gzip.
pub fn idx_file() -> Vec<Vec<u8>> {
    let raw = |kind: Kind, dimensions: &[u32], data: &[u8]| {
        let sizes: Vec<u8> = dimensions.iter().flat_map(|size| size.to_be_bytes()).collect();
        [&kind.magic()[..], &sizes, data].concat()
    };
    let raw = [raw(Kind::Images, &[2, 3, 2], &[7; 12]), raw(Kind::Labels, &[4], &[0, 9, 5, 1])];
    let gzip = raw.clone().map(|bytes| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&bytes).expect("memory takes everything");
        encoder.finish().expect("memory takes everything")
    });
    [raw, gzip].concat()
}

/// The presets that need no files beside them.
pub fn configuration() -> Vec<Vec<u8>> {
    let alone = |name: &&str| ["digits", "tiny", "prospective", "delay"].contains(name);
    let presets = config::presets().iter().filter(|preset| alone(&preset.name));
    presets.map(|preset| preset.text.as_bytes().to_vec()).collect()
}

/// Of every kind of value.
pub fn assignment() -> Vec<Vec<u8>> {
    let texts = ["data.seed=7", "model.widths=[784, 12, 10]", "learning.rule=pc-nudge", "inference.tolerance=1e-3"];
    texts.map(|text| text.as_bytes().to_vec()).into()
}
