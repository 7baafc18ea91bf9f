//! A worker process: it calls the coordinator, is given layers, connects to its neighbours, and runs its layers until the
//! coordinator says farewell. If the connection ends without one, whoever runs it may call again and be given other layers, in
//! the next generation; nothing of the old one is kept.
//!
//! Its signs of life come from a thread of their own with a connection of its own, so that a long computation is not taken for a
//! death; the same thread ends the process if the coordinator is gone and the layers do not notice.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout_at};

use super::ProcessError;
use super::endpoint::{Endpoint, Listener};
use super::placement::Placement;
use super::reception::{HANDSHAKE, Reception, answer, call, random};
use super::socket::{Parked, Socket, UNANSWERED, unanswered};
use super::start::{Answer, Instruction, Task};
use crate::engine::afar::{Stead, host};
use crate::engine::part::{Part, perform};
pub use crate::engine::remote::Parting;
use crate::engine::remote::{Incoming, Limits, Outgoing, control};
use crate::engine::transport::Stream;
use crate::engine::virtual_time::VirtualSettings;
use crate::engine::virtual_time::laws::Laws;
use crate::engine::wall_clock::{WallClock, WallLaws};
use crate::engine::whereabouts::Whereabouts;
use crate::engine::{EngineSettings, crash};
use crate::math::Dtype;
use crate::wire::control::encode;
use crate::wire::handshake::{Hello, Purpose, Secret, Verdict};

/// Between two signs of life, at most.
pub(super) const BEAT: Duration = Duration::from_millis(250);

/// Time for the layers to notice that the coordinator is gone, before the process is ended.
const GRACE: Duration = Duration::from_secs(3);

/// How a worker runs.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Where the coordinator is.
    pub connect: Endpoint,
    /// Threads for its layers.
    pub threads: usize,
    /// True if the process is nothing but this worker and may be ended from within.
    pub owns_process: bool,
}

/// How far a worker came with its coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// Nobody let it in.
    Nobody,
    /// It was let in.
    Coordinator,
    /// It had layers, and all links stood.
    Work,
}

/// One call at a coordinator and what came of it.
#[derive(Debug)]
pub struct Stint {
    /// How far it came.
    pub reached: Reached,
    /// How it ended.
    pub outcome: Result<Parting, ProcessError>,
}

/// Calls the coordinator and runs what it gives, to the end of its connection.
pub fn run(options: &WorkerOptions, secret: &Secret) -> Stint {
    let mut reached = Reached::Nobody;
    let runtime = match runtime(options.threads) {
        Ok(runtime) => runtime,
        Err(source) => return Stint { reached, outcome: Err(ProcessError::System { what: "the runtime", source }) },
    };
    let finished = Arc::new(AtomicBool::new(false));
    let outcome = runtime.block_on(live(options, secret, &finished, &mut reached));
    finished.store(true, SeqCst);
    Stint { reached, outcome }
}

fn runtime(threads: usize) -> std::io::Result<Runtime> {
    let mut builder = if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    // Layers that never wait must not keep the sockets waiting for long: they are looked at every few polls.
    builder.event_interval(8).enable_all().build()
}

async fn live(
    options: &WorkerOptions,
    secret: &Secret,
    finished: &Arc<AtomicBool>,
    reached: &mut Reached,
) -> Result<Parting, ProcessError> {
    let caller = random().map_err(|source| ProcessError::System { what: "random numbers", source })?;
    let hello = Hello { purpose: Purpose::Control, run: [0; 16], generation: 0, caller, pid: std::process::id() };
    let socket = call(&options.connect, secret, &hello).await?;
    // Signs of life need none: they may wait for a coordinator whose process was stopped, which still answers here.
    socket.expect_answers(UNANSWERED).map_err(unwatched)?;
    let pulse = call(&options.connect, secret, &Hello { purpose: Purpose::Pulse, ..hello }).await?;
    *reached = Reached::Coordinator;
    crash::point("worker.called");
    // Neighbours call where the coordinator is reached from: on its own machine, or on the network it is on.
    let here = socket.local_ip();
    let (mut incoming, mut outgoing) = control(Stream::from(socket));
    let task = match instruction(&mut incoming).await? {
        Instruction::Task(task) => *task,
        Instruction::Connect(_) => return Err(ProcessError::talk("a list of addresses came before a task")),
    };
    let laws = task.laws.as_deref().map(|text| WallLaws::read(text, task.network.depth()));
    let laws = laws.transpose().map_err(ProcessError::talk)?;
    let virtual_time = task.virtual_time.as_deref().map(|text| Laws::read(text, &task.network));
    let virtual_time = virtual_time.transpose().map_err(ProcessError::talk)?;
    crash::point("worker.task");
    let hello = Hello { run: task.run, generation: task.generation, ..hello };
    let linked = link(&task, (options, here), secret, hello, (&mut incoming, &mut outgoing)).await;
    let (placement, links) = match linked {
        Ok(linked) => linked,
        Err(error) => {
            // Said to the coordinator if it is still there, and to whoever reads this process's stderr.
            let _ = outgoing.say(&Answer::Failed(error.to_string())).await;
            return Err(error);
        }
    };
    crash::point("worker.linked");
    outgoing.say(&Answer::Ready).await.map_err(ProcessError::talk)?;
    *reached = Reached::Work;
    crash::point("worker.ready");
    let (parts, worker) = (placement.parts().to_vec(), task.worker);
    let whereabouts = Arc::new(Whereabouts::of(&task.network));
    let pulse = pulse.park().map_err(|source| ProcessError::System { what: "the pulse", source })?;
    // The watchdog hears of progress by these, so its patience has to hold several of them.
    let stall = task.stall()?;
    let every = BEAT.min(stall / 4).max(Duration::from_millis(1));
    let seen = (Arc::clone(&whereabouts), parts[worker].clone());
    beat((pulse, every), seen, Arc::clone(finished), options.owns_process)?;
    let settings = EngineSettings {
        schedule: task.schedule,
        threads: options.threads,
        message: task.message,
        rate: task.rate,
        optimizer: task.optimizer,
        numerics: task.numerics,
        stall,
    };
    let wall = WallClock::start(laws).map_err(|source| ProcessError::System { what: "the timekeeper", source })?;
    let limits = Limits { network: Arc::new(task.network), batch_most: task.batch_most };
    if let Some(laws) = virtual_time {
        let optimizer = settings.optimizer;
        let rest = VirtualSettings::in_step(limits.network.depth() + 1, settings.message, settings.rate, optimizer);
        let settings = laws.settings(VirtualSettings { numerics: settings.numerics, ..rest });
        let own = placement.runs()?.swap_remove(worker);
        let stead = Stead { limits, settings, own };
        let performed = match task.dtype {
            Dtype::F32 => host::<f32>(stead, incoming, outgoing).await,
            Dtype::F64 => host::<f64>(stead, incoming, outgoing).await,
        };
        return performed.map_err(ProcessError::talk);
    }
    let part = Part { limits, settings, parts, worker, links, whereabouts, wall };
    let performed = match task.dtype {
        Dtype::F32 => perform::<f32>(part, incoming, outgoing).await,
        Dtype::F64 => perform::<f64>(part, incoming, outgoing).await,
    };
    performed.map_err(ProcessError::talk)
}

fn unwatched(source: std::io::Error) -> ProcessError {
    ProcessError::System { what: "how long a connection waits for answers", source }
}

async fn instruction(incoming: &mut Incoming) -> Result<Instruction, ProcessError> {
    match incoming.head::<Instruction>("an instruction").await.map_err(ProcessError::talk)? {
        Some(instruction) => Ok(instruction),
        None => Err(ProcessError::talk("the coordinator closed the connection before the start")),
    }
}

/// A link that leaves this process: its lower layer, and the worker at its other end.
type LinkName = (usize, usize);

/// Connects all links that leave this process. Of two workers the one with the higher number calls.
async fn link(
    task: &Task,
    (options, here): (&WorkerOptions, Option<IpAddr>),
    secret: &Secret,
    hello: Hello,
    (incoming, outgoing): (&mut Incoming, &mut Outgoing),
) -> Result<(Placement, Vec<(usize, usize, Stream)>), ProcessError> {
    let placement = Placement::of_nodes(&task.placement, &task.network.group_counts())?;
    if task.worker >= placement.workers() {
        return Err(ProcessError::talk("the task is none"));
    }
    let patience = unanswered(task.stall()?);
    // In virtual time letters pass through the coordinator.
    let borders = if task.virtual_time.is_some() { Vec::new() } else { placement.borders(task.worker) };
    let (called, calls): (Vec<LinkName>, Vec<LinkName>) =
        borders.into_iter().partition(|(_, peer)| *peer > task.worker);
    let own = address(&options.connect, &task.run, task.worker, here.map(|ip| SocketAddr::new(ip, 0)));
    let listener = match &own {
        Some(endpoint) if !called.is_empty() => Some(Listener::bind(endpoint).await.map_err(ProcessError::listening)?),
        _ => None,
    };
    let reached = match listener.as_ref().map(Listener::endpoint).transpose().map_err(ProcessError::listening)? {
        Some(Endpoint::Tcp(address) | Endpoint::Tls(address, _)) => Some(address),
        Some(Endpoint::Unix(_)) | None => None,
    };
    outgoing.say(&Answer::Listening(reached)).await.map_err(ProcessError::talk)?;
    crash::point("worker.listening");
    let Instruction::Connect(addresses) = instruction(incoming).await? else {
        return Err(ProcessError::talk("a second task came"));
    };
    let word = |number: usize| u32::try_from(number).map_err(ProcessError::talk);
    let calls = async {
        let mut links = Vec::new();
        for (lower, peer) in calls {
            let told = addresses.get(peer).copied().flatten();
            let endpoint = address(&options.connect, &task.run, peer, told);
            let endpoint = endpoint.ok_or_else(|| ProcessError::talk("a neighbour has no address"))?;
            let purpose = Purpose::Link { lower: word(lower)?, from: word(task.worker)? };
            let socket = call(&endpoint, secret, &Hello { purpose, ..hello }).await?;
            socket.expect_answers(patience).map_err(unwatched)?;
            links.push((lower, peer, socket.into()));
        }
        Ok::<_, ProcessError>(links)
    };
    let receipts = async {
        match listener {
            Some(listener) => receive(Reception::new(listener, secret.clone()), hello, (&called, patience)).await,
            None => Ok(Vec::new()),
        }
    };
    let (mut links, received) = tokio::try_join!(calls, receipts)?;
    links.extend(received);
    Ok((placement, links))
}

/// Waits for the neighbours that call; their links wait so long for answers.
async fn receive(
    mut reception: Reception,
    own: Hello,
    (names, patience): (&[LinkName], Duration),
) -> Result<Vec<(usize, usize, Stream)>, ProcessError> {
    let deadline = Instant::now() + 2 * HANDSHAKE;
    let mut found: BTreeMap<LinkName, Socket> = BTreeMap::new();
    while found.len() < names.len() {
        let late = |_| {
            let missing = names.iter().find(|name| !found.contains_key(name));
            let (lower, peer) = missing.copied().unwrap_or_default();
            let seconds = 2 * HANDSHAKE.as_secs();
            ProcessError::talk(format!("worker {peer} did not call for layer {} within {seconds} s", lower + 1))
        };
        let called = timeout_at(deadline, reception.next()).await.map_err(late)?;
        let (hello, mut socket) = called.map_err(ProcessError::listening)?;
        let name = match hello.purpose {
            Purpose::Link { lower, from } => Some((lower as usize, from as usize)).filter(|name| names.contains(name)),
            Purpose::Control | Purpose::Pulse => None,
        };
        let ours = (hello.run, hello.generation) == (own.run, own.generation);
        let verdict = match name {
            _ if !ours => Verdict::OtherRun,
            Some(name) if !found.contains_key(&name) => Verdict::Welcome,
            _ => Verdict::NotExpected,
        };
        if let (Ok(()), Verdict::Welcome, Some(name)) = (answer(&mut socket, verdict).await, verdict, name) {
            socket.expect_answers(patience).map_err(unwatched)?;
            found.insert(name, socket);
        }
    }
    Ok(found.into_iter().map(|((lower, peer), socket)| (lower, peer, socket.into())).collect())
}

/// Where a worker can be called: beside the coordinator's Unix socket under a name nobody has to be told, or at the address it has
/// told, encrypted if the coordinator's is. No path ever comes from the wire.
fn address(coordinator: &Endpoint, run: &[u8; 16], worker: usize, told: Option<SocketAddr>) -> Option<Endpoint> {
    match coordinator {
        Endpoint::Unix(path) => {
            let name: String = run[..4].iter().map(|byte| format!("{byte:02x}")).collect();
            let folder: &Path = path.parent().unwrap_or(Path::new("."));
            let path: PathBuf = folder.join(format!("worker-{name}-{worker}.sock"));
            Some(Endpoint::Unix(path))
        }
        Endpoint::Tcp(_) | Endpoint::Tls(..) => Some(coordinator.elsewhere(told?)),
    }
}

/// The thread of the signs of life.
fn beat(
    (connection, every): (Parked, Duration),
    (whereabouts, layers): (Arc<Whereabouts>, Vec<usize>),
    finished: Arc<AtomicBool>,
    owns_process: bool,
) -> Result<(), ProcessError> {
    let system = |source| ProcessError::System { what: "the pulse", source };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(system)?;
    let beating = move || {
        runtime.block_on(async {
            let Ok(socket) = connection.resume() else { return };
            let mut writer = Stream::from(socket).writer;
            while !finished.load(SeqCst) {
                let bytes = encode(&whereabouts.sightings(&layers));
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
                let said = writer.write_all(&[&length[..], &bytes].concat()).await;
                if said.is_err() || writer.flush().await.is_err() {
                    break;
                }
                tokio::time::sleep(every).await;
            }
        });
        thread::sleep(GRACE);
        if owns_process && !finished.load(SeqCst) {
            std::process::exit(75);
        }
    };
    thread::Builder::new().name("pulse".into()).spawn(beating).map(drop).map_err(system)
}
