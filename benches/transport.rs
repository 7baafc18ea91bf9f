//! Round trip of a signal between two processes, against a bare ping-pong with the same framing on the same runtime.
//!
//! `cargo bench --bench transport` starts itself a second time as the other process, opens both kinds of connection to it, and
//! measures them in turns: medians and their ratio, for Unix sockets, TCP, and TLS as between hosts. *Bare*: one task that writes a
//! header and numbers in one call and reads both into a buffer it keeps. *Signal*: a layer's mailbox, pump, stream, pump, mailbox,
//! and back. What encryption costs is the difference between the lines of TCP and TLS.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use asynapse::engine::mailbox::{Delivery, Inbox, Outbox, mailbox};
use asynapse::engine::transport::{Ends, Stream, carry};
use asynapse::math::Field;
use asynapse::process::issue::{Keys, issue};
use asynapse::process::tls::Identity;
use asynapse::signal::{Content, Signal, Stamp};
use asynapse::wire::frame::{Direction, HEADER, Link};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::bytes::Buf;

const BATCH: usize = 64;
const BYTES: [usize; 4] = [512, 4 << 10, 64 << 10, 256 << 10];
/// Turns of each kind, and round trips in one turn.
const TURNS: usize = 300;
const TRIPS: usize = 20;

fn link(bytes: usize) -> Link {
    Link { lower: 0, group: 0, rows: bytes / 4 / BATCH, columns_most: BATCH }
}

/// One end of a link, as a layer has it.
struct End {
    out: Outbox<f32>,
    inbox: Inbox<f32>,
}

impl End {
    fn new(stream: Stream, bytes: usize, outward: Direction) -> Self {
        let (out, said) = mailbox(Delivery::InOrder);
        let (heard, inbox) = mailbox(Delivery::InOrder);
        tokio::spawn(carry(stream, link(bytes), outward, Ends { said, heard }));
        Self { out, inbox }
    }

    async fn hear(&self) -> Option<Signal<f32>> {
        poll_fn(|context| self.inbox.poll_take(u64::MAX, context)).await.ok()
    }
}

async fn bare(stream: &mut Stream, header: &mut [u8; HEADER], numbers: &mut [u8]) -> std::io::Result<()> {
    stream.reader.read_exact(header).await?;
    stream.reader.read_exact(numbers).await.map(drop)
}

async fn say(stream: &mut Stream, header: &[u8; HEADER], numbers: &[u8]) -> std::io::Result<()> {
    stream.writer.write_all_buf(&mut Buf::chain(&header[..], numbers)).await?;
    stream.writer.flush().await
}

/// Where the first process listens.
enum Meeting {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener),
    Tls(TcpListener, PathBuf, Identity),
}

/// The identity whose files are in a folder.
fn identity(folder: &Path) -> Identity {
    Identity::read(Keys::within(folder).files()).expect("an identity")
}

impl Meeting {
    async fn accept(&self) -> Stream {
        match self {
            Self::Unix(listener, _) => listener.accept().await.expect("the other process").0.into(),
            Self::Tcp(listener) => {
                let stream = listener.accept().await.expect("the other process").0;
                stream.set_nodelay(true).expect("no delay");
                stream.into()
            }
            Self::Tls(listener, _, identity) => {
                let stream = listener.accept().await.expect("the other process").0;
                stream.set_nodelay(true).expect("no delay");
                identity.host(stream).await.expect("TLS")
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Unix(_, path) => path.display().to_string(),
            Self::Tcp(listener) => listener.local_addr().expect("an address").to_string(),
            Self::Tls(listener, folder, _) => {
                format!("{} {}", listener.local_addr().expect("an address"), folder.display())
            }
        }
    }
}

async fn connect(name: &str) -> Stream {
    if name.starts_with('/') {
        return UnixStream::connect(name).await.expect("the first process").into();
    }
    let (address, folder) = name.split_once(' ').unzip();
    let stream = TcpStream::connect(address.unwrap_or(name)).await.expect("the first process");
    stream.set_nodelay(true).expect("no delay");
    match folder {
        None => stream.into(),
        Some(folder) => identity(Path::new(folder)).call(stream).await.expect("TLS"),
    }
}

/// The other process: echoes on both connections until they close.
async fn echo(name: &str, bytes: usize) {
    let mut first = connect(name).await;
    let end = End::new(connect(name).await, bytes, Direction::Down);
    let echoing = tokio::spawn(async move {
        while let Some(signal) = end.hear().await {
            let back = Signal { content: Content::Adjoint, ..signal };
            if end.out.send(back).is_err() {
                break;
            }
        }
    });
    let (mut header, mut numbers) = ([0; HEADER], vec![0; bytes]);
    while bare(&mut first, &mut header, &mut numbers).await.is_ok() {
        if say(&mut first, &header, &numbers).await.is_err() {
            break;
        }
    }
    echoing.await.expect("no panic");
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Microseconds of a round trip, bare and as a signal.
async fn measure(meeting: &Meeting, bytes: usize) -> (f64, f64) {
    let mut first = meeting.accept().await;
    let end = End::new(meeting.accept().await, bytes, Direction::Up);
    let (mut header, mut buffer) = ([7; HEADER], vec![1; bytes]);
    let page = Arc::new(Field::from_elem((bytes / 4 / BATCH, BATCH), 0.5_f32));
    let (mut bares, mut signals) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let started = Instant::now();
        for _ in 0..TRIPS {
            say(&mut first, &header, &buffer).await.expect("write");
            bare(&mut first, &mut header, &mut buffer).await.expect("read");
        }
        bares.push(started.elapsed().as_secs_f64() * 1e6 / TRIPS as f64);
        let started = Instant::now();
        for trip in 0..TRIPS {
            let stamp = Stamp { phase: 1, version: (turn * TRIPS + trip) as u64 + 1, ..Stamp::default() };
            let signal = Signal { stamp, content: Content::Prediction, numbers: Arc::clone(&page) };
            end.out.send(signal).expect("a neighbour");
            let back = end.hear().await.expect("an echo");
            assert_eq!((back.stamp, back.numbers[[0, 0]]), (stamp, 0.5));
        }
        signals.push(started.elapsed().as_secs_f64() * 1e6 / TRIPS as f64);
    }
    (median(&mut bares), median(&mut signals))
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--echo") {
        let bytes = arguments[at + 2].parse().expect("a size");
        runtime.block_on(echo(&arguments[at + 1], bytes));
        return;
    }
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    println!("round trip between two processes, f32, batch {BATCH}: median of {TURNS} turns of {TRIPS} each");
    for name in ["unix", "tcp", "tls"] {
        for bytes in BYTES {
            let folder = tempfile::tempdir().expect("a folder");
            let (bare, signal) = runtime.block_on(async {
                let meeting = if name == "unix" {
                    let path = folder.path().join("bench.sock");
                    Meeting::Unix(UnixListener::bind(&path).expect("a socket"), path)
                } else {
                    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                    let keys = folder.path().join("keys");
                    if name == "tcp" {
                        Meeting::Tcp(listener)
                    } else {
                        issue(&keys).expect("keys");
                        let identity = identity(&keys);
                        Meeting::Tls(listener, keys, identity)
                    }
                };
                let program = std::env::current_exe().expect("this program");
                let words = ["--echo".to_owned(), meeting.name(), bytes.to_string()];
                let mut other = Command::new(program).args(words).spawn().expect("a process");
                let measured = measure(&meeting, bytes).await;
                // It has nothing left to do; its connections are still open here.
                other.kill().and_then(|()| other.wait()).map(|_| measured).expect("its end")
            });
            println!(
                "  {name:<5} {bytes:>7} B   bare {bare:>7.1} µs   signal {signal:>7.1} µs   {:>5.2} ×",
                signal / bare
            );
        }
    }
}
