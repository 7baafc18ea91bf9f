//! For fuzzing only, and no part of the interface: every decoder of bytes that come from outside, as a function from any bytes to
//! whether they were something. What is decoded is also held against what its receiver relies on; a function here that panics has
//! found a mistake, in the decoder or in what it promises.
//!
//! ```text
//! sockets    frame · signals · handshake · control_heads · control_stream · start · sightings · errands · replies
//! files      secret · checkpoint_state · checkpoint_model · checkpoint_optimizer · run_meta · event_log · idx
//! people     configuration · assignment
//! ```
//!
//! The targets in `fuzz/fuzz_targets` call these functions under libFuzzer, which needs nightly Rust; `tests/it/fuzzing.rs` calls them with
//! whole, cut and damaged messages in every ordinary test run. What is valid for each is in [`seeds`].

pub mod seeds;
mod virtual_seeds;

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::config;
use crate::data::idx;
use crate::data::idx_problem::Kind;
use crate::energy::{Activation, Loss};
use crate::engine::actor::News;
use crate::engine::afar::errands::{Heard, next_errand};
use crate::engine::afar::replies::{Asked, next_reply};
use crate::engine::afar::site::Site;
use crate::engine::line::line;
use crate::engine::mailbox::{Delivery, mailbox};
use crate::engine::remote::{Incoming, Limits, Told, control, listen, obey};
use crate::engine::transport::{Ends, Stream, carry};
use crate::engine::virtual_time::errand::{Errand, Reply};
use crate::engine::virtual_time::laws::Laws;
use crate::engine::virtual_time::record::Record;
use crate::engine::wall_clock::WallLaws;
use crate::engine::whereabouts::{Sighting, Whereabouts};
use crate::math::Real;
use crate::network::{Feedback, FeedbackKind, Init, NetworkSpec};
use crate::process::key;
use crate::process::placement::Placement;
use crate::process::start::{Answer, Instruction};
use crate::run::checkpoint;
use crate::run::events::Records;
use crate::run::meta::Meta;
use crate::wire::control::{self as heads, Bounds, Tiding};
use crate::wire::frame::{self, Direction, Header, Heading, Link};
use crate::wire::handshake::{self as greeting, Hello, Purpose, Secret};

/// A decoder, and messages that it must accept.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// Its name, which is that of its fuzz target.
    pub name: &'static str,
    /// True if the bytes were something.
    pub read: fn(&[u8]) -> bool,
    /// Valid messages, made by our own encoders.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! decoders {
    ($($name:ident),+ $(,)?) => {
        /// All of them.
        pub const DECODERS: &[Decoder] =
            &[$(Decoder { name: stringify!($name), read: $name, seeds: seeds::$name }),+];
    };
}

decoders! {
    frame, signals, handshake, control_heads, control_stream, start, sightings, errands, replies,
    secret, checkpoint_state, checkpoint_model, checkpoint_optimizer, run_meta, event_log, idx_file,
    configuration, assignment,
}

const LINK: Link = Link { lower: 1, group: 0, rows: 2, columns_most: BATCH_MOST };
const BATCH_MOST: usize = 6;
/// Weights of the larger connection with both of their moments; no message of this network is followed by more.
const NUMBERS_MOST: usize = 3 * (4 * 3 + 4);
const CALLERS_NONCE: [u8; 32] = [2; 32];
const HOSTS_NONCE: [u8; 32] = [3; 32];

fn network() -> NetworkSpec {
    NetworkSpec::new(&[3, 4, 2], Activation::Tanh, Loss::SquaredError).expect("a network")
}

/// One whose checkpoints hold everything a checkpoint can hold.
fn learning_network() -> NetworkSpec {
    let feedback = Feedback { kind: FeedbackKind::KolenPollack, init: Init::He, seed: 1 };
    network().with_learned_precision(0.1).expect("precisions").with_feedback(feedback)
}

fn hello() -> Hello {
    Hello { purpose: Purpose::Link { lower: 2, from: 1 }, run: [4; 16], generation: 1, caller: [5; 16], pid: 6 }
}

fn run_secret() -> Secret {
    Secret::new([1; 32])
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime without I/O")
}

/// A peer that says this and then hangs up.
fn peer(bytes: &[u8]) -> Stream {
    Stream { reader: Box::new(Cursor::new(bytes.to_vec())), writer: Box::new(tokio::io::sink()) }
}

/// The header of a signal.
pub fn frame(bytes: &[u8]) -> bool {
    let both = [Direction::Up, Direction::Down];
    both.map(|direction| header_of::<f32>(bytes, direction) | header_of::<f64>(bytes, direction)).contains(&true)
}

fn header_of<T: Real>(bytes: &[u8], direction: Direction) -> bool {
    let Some(bytes) = bytes.first_chunk() else { return false };
    let Ok(header) = frame::decode::<T>(bytes, LINK, direction) else { return false };
    if let Header { signal: Some(Heading { shape: (rows, columns), .. }), .. } = header {
        assert!(rows == LINK.rows && (1..=LINK.columns_most).contains(&columns), "room for {rows} × {columns} numbers");
    }
    assert_eq!(frame::encode::<T>(LINK, direction, &header), *bytes, "a header can be written in one way only");
    true
}

/// Headers and numbers of a link, through the pump of its receiver.
pub fn signals(bytes: &[u8]) -> bool {
    let from_below = hears::<f32>(bytes, Direction::Down, Delivery::InOrder);
    let from_above = hears::<f64>(bytes, Direction::Up, Delivery::NewestWins);
    from_below || from_above
}

fn hears<T: Real>(bytes: &[u8], outward: Direction, delivery: Delivery) -> bool {
    let (_says, said) = mailbox::<T>(delivery);
    let (heard, inbox) = mailbox::<T>(delivery);
    let carried = runtime().block_on(carry(peer(bytes), LINK, outward, Ends { said, heard }));
    for signal in std::iter::from_fn(|| inbox.try_take(u64::MAX)) {
        let (rows, columns) = signal.numbers.dim();
        assert!(rows == LINK.rows && (1..=LINK.columns_most).contains(&columns), "{rows} × {columns} numbers arrived");
    }
    carried.is_ok()
}

/// The four messages of a handshake, and a hello that has been proven.
pub fn handshake(bytes: &[u8]) -> bool {
    let secret = run_secret();
    let call = greeting::call(&CALLERS_NONCE);
    let (_, challenge) = greeting::challenge(&secret, &call, &HOSTS_NONCE);
    let called = bytes.first_chunk().is_some_and(|call| greeting::challenge(&secret, call, &HOSTS_NONCE).0.is_ok());
    let answered = bytes.first_chunk().is_some_and(|answer| {
        let believed = greeting::respond(&secret, &CALLERS_NONCE, answer, &hello()).is_ok();
        assert!(!believed || *answer == challenge, "another host was believed");
        believed
    });
    let proven = bytes.first_chunk().is_some_and(|response| {
        let verified = greeting::verify(&secret, &call, &HOSTS_NONCE, response);
        assert!(verified.is_err() || verified == Ok(hello()), "another caller was believed");
        verified.is_ok()
    });
    let greeted = bytes.first_chunk().and_then(|hello| greeting::decode(hello).ok());
    if let Some(hello) = greeted {
        assert_eq!(greeting::decode(&greeting::encode(&hello)), Ok(hello));
    }
    let told = bytes.first().is_some_and(|&byte| greeting::verdict(byte).is_ok());
    called || answered || proven || greeted.is_some() || told
}

/// A head of a directive or of a tiding, with as many numbers as it says.
pub fn control_heads(bytes: &[u8]) -> bool {
    let network = network();
    let bounds = Bounds { network: &network, batch_most: BATCH_MOST };
    let promised = "what says how many numbers follow can be made of so many";
    let mut found = false;
    if let Ok(Told::Order(layer, order)) = heads::decode::<Told>("a directive", bytes)
        && let Ok(count) = order.numbers(layer, bounds)
    {
        assert!(count <= NUMBERS_MOST, "{order:?} asks for {count} numbers");
        order.with(vec![0.0_f32; count], layer, bounds).expect(promised);
        found = true;
    }
    if let Ok(tiding) = heads::decode::<Tiding>("a tiding", bytes)
        && let Ok(count) = tiding.numbers(bounds)
    {
        assert!(count <= NUMBERS_MOST, "{tiding:?} asks for {count} numbers");
        tiding.with(vec![0.0_f64; count], bounds).expect(promised);
        found = true;
    }
    found
}

/// A control connection from its first byte to its last: a worker that is told this, and a coordinator that is.
pub fn control_stream(bytes: &[u8]) -> bool {
    let limits = Limits { network: Arc::new(network()), batch_most: BATCH_MOST };
    let incoming = || -> Incoming { control(peer(bytes)).0 };
    let obeyed = runtime().block_on(async {
        // Nobody hears at the other ends, so nothing waits for a layer.
        let tellers: Vec<_> = (0..3).map(|layer| (layer, line::<f32>().0)).collect();
        obey(&mut incoming(), &tellers, &limits).await
    });
    let listened = runtime().block_on(async {
        let (news, mut told) = mpsc::channel::<News<f64>>(4);
        let heard = async { while told.recv().await.is_some() {} };
        tokio::join!(listen(incoming(), (0, vec![0, 1, 2]), limits.clone(), news), heard).0
    });
    obeyed.is_ok() || listened.is_ok()
}

/// What coordinator and worker say before the first directive, with what a worker works out from its task.
pub fn start(bytes: &[u8]) -> bool {
    let answered = heads::decode::<Answer>("an answer", bytes).is_ok();
    let Ok(instruction) = heads::decode::<Instruction>("an instruction", bytes) else { return answered };
    if let Instruction::Task(task) = &instruction {
        // Each is a value or an error, whatever came.
        let _ = task.stall();
        let _ = task.laws.as_deref().map(|laws| WallLaws::read(laws, task.network.depth()));
        let _ = task.virtual_time.as_deref().map(|laws| Laws::read(laws, &task.network));
        if let Ok(placement) = Placement::of_nodes(&task.placement, &task.network.group_counts())
            && task.worker < placement.workers()
        {
            placement.borders(task.worker);
        }
    }
    let again = heads::encode(&instruction);
    let read = heads::decode::<Instruction>("an instruction", &again).expect("what was read can be read again");
    assert_eq!(heads::encode(&read), again, "reading changes nothing");
    true
}

/// The worker with the middle layer, in virtual time.
fn site() -> Site {
    let limits = Limits { network: Arc::new(network()), batch_most: BATCH_MOST };
    Site::new(limits, 1..2)
}

/// What a worker is asked in virtual time, from the first errand to the last.
pub fn errands(bytes: &[u8]) -> bool {
    let (mut incoming, mut site) = (control(peer(bytes)).0, site());
    runtime().block_on(async {
        let mut heard = 0;
        loop {
            match next_errand::<f32>(&mut incoming, &site).await {
                Ok(Some(Heard::Errand(errand))) => {
                    if let Errand::Window(window) = &errand {
                        window
                            .letters
                            .iter()
                            .for_each(|letter| assert_eq!(letter.key.node, 1, "it is for the own node"));
                    }
                    site.note(&errand);
                    heard += 1;
                }
                Ok(Some(Heard::Farewell)) => return true,
                Ok(None) => return heard > 0,
                Err(_) => return false,
            }
        }
    })
}

/// What a worker answers in virtual time, to whatever it was asked.
pub fn replies(bytes: &[u8]) -> bool {
    let asked = [Asked::Window, Asked::Count, Asked::Ends, Asked::Finish, Asked::Direct(vec![1]), Asked::Other];
    let answers = |asked: &Asked, logged: bool| {
        let mut site = site();
        virtual_seeds::opening::<f64>(logged).iter().for_each(|errand| site.note(errand));
        let said = runtime().block_on(next_reply::<f64>(&mut control(peer(bytes)).0, asked, &site));
        if let Ok(Ok((Reply::Outcome(outcome), _))) = &said {
            let is_elsewhere = |node: u32| node == 0 || node == 2;
            assert!(outcome.letters.iter().all(|letter| is_elsewhere(letter.key.node)), "it is for somebody else");
        }
        said.is_ok()
    };
    asked.iter().any(|asked| answers(asked, true) | answers(asked, false))
}

/// A worker's signs of life, and what the watchdog would print of them.
pub fn sightings(bytes: &[u8]) -> bool {
    let Ok(sightings) = heads::decode::<Vec<Sighting>>("a sign of life", bytes) else { return false };
    let whereabouts = Whereabouts::of(&network());
    whereabouts.hear(&sightings);
    assert!(whereabouts.to_string().contains("layer 2"), "every layer has its line");
    true
}

/// The file or the pipe that holds the secret of a run.
pub fn secret(bytes: &[u8]) -> bool {
    key::receive(&mut &*bytes).is_ok()
}

/// `state.json` of a checkpoint.
pub fn checkpoint_state(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| checkpoint::parse_state(text).is_ok())
}

/// `model.safetensors` of a checkpoint.
pub fn checkpoint_model(bytes: &[u8]) -> bool {
    model_of::<f32>(bytes) | model_of::<f64>(bytes)
}

fn model_of<T: Real>(bytes: &[u8]) -> bool {
    let network = network();
    let Ok(weights) = checkpoint::parse_model::<T>(bytes, &network) else { return false };
    for (parameters, pair) in weights.iter().zip(network.widths().windows(2)) {
        assert_eq!((parameters.weights.dim(), parameters.bias.len()), ((pair[1], pair[0]), pair[1]));
    }
    assert_eq!(weights.len(), network.depth());
    true
}

/// `optimizer.safetensors` of a checkpoint, of a network that learns everything and of one that learns weights alone.
pub fn checkpoint_optimizer(bytes: &[u8]) -> bool {
    let whole = rest_of(bytes, &learning_network(), &[3]);
    let plain = rest_of(bytes, &network(), &[]);
    whole || plain
}

fn rest_of(bytes: &[u8], network: &NetworkSpec, feedback_updates: &[u64]) -> bool {
    let weights = network.initial_weights::<f32>(Init::He, 1);
    let parsed = checkpoint::parse_rest(weights, bytes, (&[[3, 3]; 2], feedback_updates), network);
    let Ok(snapshot) = parsed else { return false };
    for (state, width) in snapshot.states.iter().zip(network.widths()) {
        assert_eq!(state.nrows(), *width);
    }
    assert_eq!(snapshot.optimizers.len(), network.depth());
    true
}

/// `meta.json` of a run.
pub fn run_meta(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Meta>(bytes).is_ok()
}

/// `events.log` of a run.
pub fn event_log(bytes: &[u8]) -> bool {
    let mut records = Records::of(Path::new("events.log"), bytes);
    let mut seen = 0;
    while let Ok(Some(record)) = records.read() {
        assert!(!record.to_string().is_empty() && !record.kind().is_empty());
        assert_eq!(Record::from_bytes(&record.to_bytes()), record);
        seen += 1;
    }
    assert_eq!(seen, bytes.len() / Record::BYTES, "every whole record is read");
    seen > 0
}

/// A file of images or of labels, raw or gzip.
pub fn idx_file(bytes: &[u8]) -> bool {
    let read = |kind| match idx::unpack(&mut &*bytes, kind, bytes.len() as u64) {
        Ok((dimensions, _, data)) => {
            assert_eq!(dimensions.iter().product::<usize>(), data.len());
            true
        }
        Err(_) => false,
    };
    [Kind::Images, Kind::Labels].map(read).contains(&true)
}

/// A configuration file.
pub fn configuration(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| resolves(text, &[]))
}

/// A `key=value` of the command line, on top of the preset that runs by default.
pub fn assignment(bytes: &[u8]) -> bool {
    let preset = config::presets()[0].text;
    std::str::from_utf8(bytes).is_ok_and(|text| resolves(preset, &[text.to_owned()]))
}

fn resolves(text: &str, overrides: &[String]) -> bool {
    match config::load_text("fuzzed.toml", text, overrides) {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| assert!(!warning.to_string().is_empty()));
            let written = config::to_toml(&loaded.config);
            let again = config::load_text("written.toml", &written, &[]).expect("what is written can be read");
            assert_eq!(config::to_toml(&again.config), written, "writing changes nothing");
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty(), "every refusal has its words");
            false
        }
    }
}
