//! Brings the workers of a network together, gives each its layers, and hands back an engine that runs phases as ever.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};

use super::endpoint::{Endpoint, Listener};
use super::muster::{Line, gather};
use super::placement::{Placement, PlacementError};
use super::reception::{Reception, random};
use super::socket::Parked;
use super::start::{Answer, Instruction, Task};
use super::supervisor::{Children, Supervisor};
use super::{ProcessError, key};
use crate::engine::actor::News;
use crate::engine::afar::{Common, Connected, Distant, spread};
use crate::engine::coordinator::Coordinator;
use crate::engine::line::{Hearer, line};
use crate::engine::remote::{ControlError, Limits, Outgoing, listen, order};
use crate::engine::transport::Transport;
use crate::engine::virtual_time::laws::{Laws, immediate};
use crate::engine::virtual_time::{VirtualNetwork, VirtualSettings};
use crate::engine::wall_clock::WallLaws;
use crate::engine::whereabouts::Whereabouts;
use crate::engine::{Engine, EngineError, EngineSettings, Loss, Member, NEWS_MOST, Schedule, can_be_cut, crash};
use crate::layer::LayerError;
use crate::math::Real;
use crate::network::{Address, NetworkSpec, Weights};
use crate::signal::Extract;
use crate::wire::handshake::Secret;

/// Time for children to call.
const CHILDREN: Duration = Duration::from_secs(60);

/// Who runs the layers.
#[derive(Clone, Debug)]
pub struct Crew {
    /// Which layers live where.
    pub placement: Placement,
    /// The largest batch that will be presented.
    pub batch_most: usize,
    /// Where the workers are from.
    pub source: Source,
    /// What is imposed on clocks and links, free-running.
    pub laws: Option<WallLaws>,
    /// Which life of the run it is: connections of another are refused.
    pub generation: u64,
}

/// Where workers are from.
#[derive(Clone, Debug)]
pub enum Source {
    /// They are started here.
    Children {
        /// The program, `asynapse` itself.
        program: PathBuf,
        /// What connects them.
        transport: Transport,
    },
    /// Somebody starts them and they call.
    Callers {
        /// Where.
        listen: Endpoint,
        /// What they know.
        secret: Secret,
        /// How long to wait for them.
        patience: Duration,
    },
}

/// Brings the crew together and gives it the network; what comes back runs phases as an engine in one process does.
pub fn launch<T: Real>(
    network: &NetworkSpec,
    weights: Weights<T>,
    settings: EngineSettings,
    crew: &Crew,
) -> Result<Engine<T>, ProcessError> {
    assert!(network.fits(&weights), "weights have the shapes of the network");
    if network.is_cut() && settings.schedule == Schedule::FreeRunning {
        return Err(EngineError::Apart.into());
    }
    can_be_cut::<T>(network, &settings)?;
    let system = |what| move |source| ProcessError::System { what, source };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(system("the runtime"))?;
    let mut children = Children::default();
    let recruited = runtime.block_on(recruit(network, (settings, None), crew, T::DTYPE, &mut children))?;
    let mut engine = assemble::<T>(runtime, (network, settings), crew, recruited, children)?;
    let install = weights.into_iter().map(|parameters| Extract::Weights(parameters, None));
    engine.install(install.collect())?;
    Ok(engine)
}

/// The same in virtual time: every worker is a member of the driver of windows, which runs here.
pub fn launch_virtual<T: Real>(
    network: &NetworkSpec,
    weights: Weights<T>,
    (settings, laws): (EngineSettings, &VirtualSettings),
    crew: &Crew,
) -> Result<VirtualNetwork<T, Distant<T>>, ProcessError> {
    assert!(network.fits(&weights), "weights have the shapes of the network");
    let system = |what| move |source| ProcessError::System { what, source };
    let runs = crew.placement.runs()?;
    let mut in_order = runs.clone();
    in_order.sort_by_key(|run| run.start);
    if let Some(node) = immediate(network, laws, &in_order) {
        let address = network.address(node).unwrap_or(node.into());
        return Err(PlacementError::Immediate { address }.into());
    }
    let told = serde_json::to_string(&Laws::of(laws)).map_err(ProcessError::talk)?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(system("the runtime"))?;
    let mut children = Children::default();
    let ready = runtime.block_on(recruit(network, (settings, Some(told)), crew, T::DTYPE, &mut children))?;
    let (mut members, mut workers) = (Vec::new(), Vec::new());
    for (worker, (Ready { line, pulse }, own)) in ready.into_iter().zip(runs).enumerate() {
        let layers = own.clone().filter_map(|node| network.address(node)).collect();
        members.push((Member { worker, pid: line.pid, layers }, pulse));
        workers.push(Connected { worker, own, incoming: line.incoming, outgoing: line.outgoing });
    }
    let (word, lost) = watch::channel(None);
    let tell = move |loss| {
        // The first is the one that says why; others may follow from it.
        word.send_if_modified(|known: &mut Option<Loss>| known.is_none() && known.replace(loss).is_none());
    };
    let whereabouts = Arc::new(Whereabouts::of(network));
    let supervisor = Supervisor::start(members, children, whereabouts, tell).map_err(system("a thread"))?;
    let limits = Limits { network: Arc::new(network.clone()), batch_most: crew.batch_most };
    let (stall, runtime, guard) = (settings.stall, Arc::new(runtime), Box::new(supervisor));
    let mut spread = spread::<T>(network, laws, workers, Common { limits, lost, stall, runtime, guard });
    let install = weights.into_iter().map(|parameters| Extract::Weights(parameters, None));
    spread.install(install.collect())?;
    Ok(spread)
}

/// The connections of one worker that is ready.
struct Ready {
    line: Line,
    pulse: Parked,
}

async fn recruit(
    network: &NetworkSpec,
    (settings, virtual_time): (EngineSettings, Option<String>),
    crew: &Crew,
    dtype: crate::math::Dtype,
    children: &mut Children,
) -> Result<Vec<Ready>, ProcessError> {
    let system = |what| move |source| ProcessError::System { what, source };
    let workers = crew.placement.workers();
    // The folder of the sockets, removed with this value: when all are connected nobody needs it any more.
    let mut _folder = None;
    let (listen, secret, patience) = match &crew.source {
        Source::Callers { listen, secret, patience } => (listen.clone(), secret.clone(), *patience),
        Source::Children { transport, .. } => {
            let endpoint = match transport {
                Transport::Tcp => Endpoint::Tcp(([127, 0, 0, 1], 0).into()),
                _ => {
                    let mode = Permissions::from_mode(0o700);
                    let made = tempfile::Builder::new().prefix("asynapse-").permissions(mode).tempdir();
                    let made = made.map_err(system("a folder for sockets"))?;
                    let path = made.path().join("coordinator.sock");
                    _folder = Some(made);
                    Endpoint::Unix(path)
                }
            };
            (endpoint, key::fresh()?, CHILDREN)
        }
    };
    let unheard = |source| ProcessError::Listen { what: listen.to_string(), source };
    let listener = Listener::bind(&listen).await.map_err(unheard)?;
    let reached = listener.endpoint().map_err(unheard)?;
    if let Source::Children { program, .. } = &crew.source {
        for _ in 0..workers {
            let child = spawn(program, &reached, &secret, settings.threads).map_err(system("a worker process"))?;
            children.0.push(child);
        }
    }
    crash::point("coordinator.spawned");
    let mut reception = Reception::new(listener, secret);
    let recruits = gather(&mut reception, workers, children, patience).await?;
    drop(reception);
    crash::point("coordinator.gathered");
    let mut ready = Vec::with_capacity(workers);
    for recruit in recruits {
        let pid = recruit.pid;
        let sockets = recruit.into_parts().ok_or_else(|| ProcessError::talk("a recruit is not complete"))?;
        let pulse = sockets.1.park().map_err(system("a connection"))?;
        ready.push(Ready { line: Line::new(pid, sockets.0), pulse });
    }
    let run = random().map_err(system("random numbers"))?;
    let laws = crew.laws.as_ref().map(serde_json::to_string).transpose().map_err(ProcessError::talk)?;
    let task = |worker| Task {
        run,
        generation: crew.generation,
        worker,
        placement: crew.placement.parts().to_vec(),
        network: network.clone(),
        dtype,
        schedule: settings.schedule,
        message: settings.message,
        rate: settings.rate,
        optimizer: settings.optimizer,
        numerics: settings.numerics,
        stall_s: settings.stall.as_secs_f64(),
        batch_most: crew.batch_most,
        transport: reached.transport(),
        laws: laws.clone(),
        virtual_time: virtual_time.clone(),
    };
    for (worker, Ready { line, .. }) in ready.iter_mut().enumerate() {
        line.tell(&Instruction::Task(Box::new(task(worker)))).await?;
        crash::point("coordinator.task");
    }
    let mut addresses = Vec::new();
    for Ready { line, .. } in &mut ready {
        match line.ask().await? {
            Answer::Listening(address) => addresses.push(address),
            answer => return Err(ProcessError::talk(format!("{answer:?} instead of an address"))),
        }
    }
    for Ready { line, .. } in &mut ready {
        line.tell(&Instruction::Connect(addresses.clone())).await?;
        crash::point("coordinator.connect");
    }
    for Ready { line, .. } in &mut ready {
        match line.ask().await? {
            Answer::Ready => {}
            answer => return Err(ProcessError::talk(format!("{answer:?} instead of readiness"))),
        }
    }
    crash::point("coordinator.ready");
    Ok(ready)
}

/// Starts a worker. In a process group of its own, so that Ctrl-C reaches the coordinator alone, which ends its workers after the
/// checkpoint.
fn spawn(
    program: &PathBuf,
    coordinator: &Endpoint,
    secret: &Secret,
    threads: usize,
) -> std::io::Result<std::process::Child> {
    let mut child = Command::new(program)
        .args(["worker", "--child", "--connect", &coordinator.to_string(), "--secret-file", "-"])
        .args(["--threads", &threads.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        // A child that did not take it will not come, and that is noticed.
        let _ = key::hand_on(secret, &mut pipe);
    }
    Ok(child)
}

/// The lines between a coordinator and workers that are ready.
fn assemble<T: Real>(
    runtime: Runtime,
    (network, settings): (&NetworkSpec, EngineSettings),
    crew: &Crew,
    ready: Vec<Ready>,
    children: Children,
) -> Result<Engine<T>, ProcessError> {
    let whereabouts = Arc::new(Whereabouts::of(network));
    let (news_out, news) = mpsc::channel(NEWS_MOST);
    let limits = Limits { network: Arc::new(network.clone()), batch_most: crew.batch_most };
    let (mut directives, mut inboxes) = (Vec::new(), Vec::new());
    for _ in 0..network.groups_in_all() {
        let (out, inbox) = line::<T>();
        directives.push(out);
        inboxes.push(Some(inbox));
    }
    let (mut members, mut conversations) = (Vec::new(), Vec::new());
    for (worker, (Ready { line, pulse }, part)) in ready.into_iter().zip(crew.placement.parts()).enumerate() {
        let own: Vec<_> = part.iter().filter_map(|&node| Some((node, inboxes[node].take()?))).collect();
        let Line { pid, incoming, outgoing } = line;
        let layers: Vec<Address> = part.iter().filter_map(|&node| network.address(node)).collect();
        let layer = layers.first().map_or(0, |first| first.layer);
        members.push((Member { worker, pid, layers }, pulse));
        conversations.push(runtime.spawn(ordering(outgoing, own, layer, news_out.clone())));
        let (part, limits, news) = ((worker, part.clone()), limits.clone(), news_out.clone());
        conversations.push(runtime.spawn(async move {
            let heard = listen(incoming, part, limits, news.clone()).await;
            // If the process is gone the supervisor knows more, and says so.
            let last = match heard {
                Err(ControlError::Wire(error)) => {
                    News::Fault(LayerError { layer, what: format!("its process can't be understood: {error}") })
                }
                Ok(()) | Err(ControlError::Stream(_)) => News::LinkBroken(layer),
            };
            let _ = news.send(last).await;
        }));
    }
    let lost = move |loss| {
        // A full queue of news means that nobody listens; then nobody wants to know.
        let _ = news_out.try_send(News::Lost(Box::new(loss)));
    };
    let known = members.iter().map(|(member, _)| member.clone()).collect();
    let supervisor = Supervisor::start(members, children, Arc::clone(&whereabouts), lost);
    let supervisor = supervisor.map_err(|source| ProcessError::System { what: "a thread", source })?;
    let coordinator = Coordinator::new(&Arc::new(network.clone()), &settings, directives, news, whereabouts)
        .of_processes(crew.generation, known);
    Ok(Engine::spread(runtime, coordinator, crew.batch_most, (conversations, Box::new(supervisor))))
}

/// Carries directives; if that fails, keeps taking them, so that it is the loss of the process that is reported.
async fn ordering<T: Real>(
    outgoing: Outgoing,
    nodes: Vec<(usize, Hearer<T>)>,
    first: usize,
    news: mpsc::Sender<News<T>>,
) {
    if order(outgoing, nodes).await.is_err() {
        let _ = news.send(News::LinkBroken(first)).await;
    }
}
