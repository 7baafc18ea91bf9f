//! Who looks after the worker processes: a thread of its own, so that neither a long computation here nor one there is taken for
//! a death.
//!
//! A worker is lost when its process has ended, when both of its connections are closed, or when it has given no sign of life for
//! [`LEASE`]. The lease is counted in looks of this thread, not by the clock: if the whole machine, or this process with its
//! terminal, was stopped for a while, nobody is blamed for it. A silent worker is ended before it is declared lost.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

use super::socket::Parked;
use crate::engine::transport::Stream;
use crate::engine::whereabouts::{Sighting, Whereabouts};
use crate::engine::{Loss, Member};
use crate::wire::control::{self, HEAD_MOST};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// A worker that is silent for so long is lost; it speaks every `super::worker::BEAT`.
pub(super) const LEASE: Duration = Duration::from_secs(3);
/// Time for a worker to end after its connections are closed, and for a process to be seen ended after its pulse has stopped.
const GRACE: Duration = Duration::from_secs(5);

/// Processes that were started here. They do not outlive this value.
#[derive(Default)]
pub(super) struct Children(pub(super) Vec<Child>);

impl Children {
    /// One that has ended already.
    pub(super) fn ended(&mut self) -> Option<(u32, ExitStatus)> {
        self.0.iter_mut().find_map(|child| Some((child.id(), child.try_wait().ok()??)))
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.0.iter().map(Child::id).collect()
    }

    /// Waits for the end of all, and makes it where it does not come.
    fn reap(&mut self, grace: Duration) {
        let until = Instant::now() + grace;
        for child in &mut self.0 {
            while Instant::now() < until && matches!(child.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(5));
            }
            end(child);
        }
        self.0.clear();
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.reap(Duration::ZERO);
    }
}

/// Ends a process, if it has not ended yet, and collects its status.
fn end(child: &mut Child) -> Option<ExitStatus> {
    // One that has ended can't be killed any more; that is as well.
    let _ = child.kill();
    child.wait().ok()
}

/// How a process ended, as the rest of a sentence.
pub(super) fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(9)) => "was killed (SIGKILL)".to_owned(),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => format!("ended: {status}"),
    }
}

/// The thread; dropping it ends the workers that are left.
pub(super) struct Supervisor {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Begins; `lost` is called at most once for every worker.
    pub(super) fn start(
        members: Vec<(Member, Parked)>,
        children: Children,
        whereabouts: Arc<Whereabouts>,
        lost: impl Fn(Loss) + Send + 'static,
    ) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let look_after = move || watch(&runtime, members, children, &whereabouts, &told, lost);
        let thread = thread::Builder::new().name("supervisor".into()).spawn(look_after)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already.
            let _ = thread.join();
        }
    }
}

/// What the listening tasks tell the looking one.
#[derive(Default)]
struct Pulse {
    beat: AtomicBool,
    closed: AtomicBool,
}

/// A worker as the thread knows it.
struct Watched {
    member: Member,
    pulse: Arc<Pulse>,
    silent: Duration,
    lost: bool,
}

fn watch(
    runtime: &Runtime,
    members: Vec<(Member, Parked)>,
    mut children: Children,
    whereabouts: &Arc<Whereabouts>,
    stop: &AtomicBool,
    lost: impl Fn(Loss),
) {
    runtime.block_on(async {
        let mut watched = Vec::new();
        for (member, connection) in members {
            let pulse = Arc::new(Pulse::default());
            tokio::spawn(listen(connection, Arc::clone(whereabouts), Arc::clone(&pulse)));
            watched.push(Watched { member, pulse, silent: Duration::ZERO, lost: false });
        }
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.load(SeqCst) {
            looks.tick().await;
            for one in watched.iter_mut().filter(|one| !one.lost) {
                let child = children.0.iter_mut().find(|child| child.id() == one.member.pid);
                if let Some((how, done)) = one.look(child) {
                    one.lost = true;
                    lost(Loss { member: one.member.clone(), how, done });
                }
            }
        }
    });
    children.reap(GRACE);
}

impl Watched {
    /// How it was lost and what was done, if it was.
    fn look(&mut self, child: Option<&mut Child>) -> Option<(String, String)> {
        const OTHERS: &str = "the other workers were told to end";
        if self.pulse.beat.swap(false, SeqCst) {
            self.silent = Duration::ZERO;
        } else {
            self.silent += LOOK;
        }
        let closed = self.pulse.closed.load(SeqCst);
        let Some(child) = child else {
            let how = if closed {
                "closed its connections".to_owned()
            } else if self.silent > LEASE {
                format!("has given no sign of life for {} s", LEASE.as_secs())
            } else {
                return None;
            };
            return Some((how, "it was not started from here and is left alone; the others were cut off".to_owned()));
        };
        if let Ok(Some(status)) = child.try_wait() {
            return Some((ending(status), OTHERS.to_owned()));
        }
        let how = match (closed, self.silent > LEASE) {
            (_, true) => format!("has given no sign of life for {} s", LEASE.as_secs()),
            // Its process is about to end and to say how.
            (true, false) if self.silent < LEASE / 2 => return None,
            (true, false) => "closed its connections".to_owned(),
            (false, false) => return None,
        };
        end(child);
        Some((how, format!("its process was killed; {OTHERS}")))
    }
}

async fn listen(connection: Parked, whereabouts: Arc<Whereabouts>, pulse: Arc<Pulse>) {
    if let Ok(socket) = connection.resume() {
        let codec = LengthDelimitedCodec::builder().little_endian().max_frame_length(HEAD_MOST).new_codec();
        let mut beats = FramedRead::new(Stream::from(socket).reader, codec);
        while let Some(Ok(bytes)) = beats.next().await {
            let Ok(sightings) = control::decode::<Vec<Sighting>>("a sign of life", &bytes) else { break };
            whereabouts.hear(&sightings);
            pulse.beat.store(true, SeqCst);
        }
    }
    pulse.closed.store(true, SeqCst);
}
