//! Virtual time in several processes: a member of the driver of windows that lives in a worker.
//!
//! ```text
//! coordinator   VirtualNetwork ── Distant ──errand──►  host ── Shard   worker
//!                                         ◄─reply────
//! ```
//!
//! What is said is that of `virtual_time::errand`, over the control connection of the worker: a length-delimited head in bincode, then
//! lists in packs and numbers in raw little-endian chunks. All workers are given their window before any answer is awaited, so they
//! compute at the same time. Letters between two workers pass through the coordinator, which has to see their times anyway.
//!
//! No number on the wire is believed: of which node, link and kind a letter is, how many numbers follow it, and when it is due are held
//! against the network, the batch and the window (`site`), and lists grow only as they come.
//!
//! Read on: `heads` (what is said), `site` (what may be said), `errands` and `replies` (saying and hearing it), `host` (the worker's
//! side); [`Distant`] is the coordinator's.

pub(crate) mod errands;
mod heads;
mod host;
mod lists;
pub(crate) mod replies;
pub(crate) mod site;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::timeout;

use errands::put_errand;
pub(crate) use host::{Stead, host};
use replies::{Asked, next_reply};
use site::Site;

use super::remote::{ControlError, Incoming, Limits, Outgoing};
use super::virtual_time::errand::{Counts, Errand, Reply};
use super::virtual_time::laws::partition;
use super::virtual_time::shard::Member;
use super::virtual_time::{VirtualNetwork, VirtualSettings};
use super::{EngineError, FAREWELL, Loss};
use crate::layer::LayerError;
use crate::math::Real;
use crate::network::{Address, NetworkSpec};
use crate::signal::{Directive, Wanted};

/// How long a connection that has ended waits for word of what became of its process.
const WORD_OF_A_LOSS: Duration = Duration::from_secs(2);

/// Nodes that live with a worker, as the coordinator sees them.
pub struct Distant<T> {
    site: Site,
    incoming: Incoming,
    outgoing: Outgoing,
    /// What it was asked last.
    asked: Option<Asked>,
    counts: Vec<Counts>,
    /// What is known of the processes, this one or others: once one is lost nobody is waited for.
    lost: watch::Receiver<Option<Loss>>,
    /// Nothing came for so long: it has stalled.
    stall: Duration,
    phase: u64,
    name: String,
    runtime: Arc<Runtime>,
    numbers: std::marker::PhantomData<T>,
}

/// Connections of one worker, and the nodes it has.
pub(crate) struct Connected {
    pub(crate) worker: usize,
    pub(crate) own: Range<usize>,
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
}

/// What all members elsewhere have in common.
pub(crate) struct Common {
    pub(crate) limits: Limits,
    pub(crate) lost: watch::Receiver<Option<Loss>>,
    pub(crate) stall: Duration,
    pub(crate) runtime: Arc<Runtime>,
    /// Whoever looks after the workers.
    pub(crate) guard: Box<dyn std::any::Any + Send>,
}

/// A network whose nodes live with these workers.
pub(crate) fn spread<T: Real>(
    network: &NetworkSpec,
    settings: &VirtualSettings,
    mut workers: Vec<Connected>,
    common: Common,
) -> VirtualNetwork<T, Distant<T>> {
    // In the order of the nodes, whoever has them.
    workers.sort_by_key(|worker| worker.own.start);
    let parts = workers.iter().map(|worker| worker.own.clone()).collect();
    let Common { limits, lost, stall, runtime, guard } = common;
    let batch_most = limits.batch_most;
    let member = |Connected { worker, own, incoming, outgoing }| {
        let nodes: Vec<String> =
            own.clone().filter_map(|node| network.address(node)).map(|node: Address| node.to_string()).collect();
        Distant {
            name: format!("worker {worker} (layers {})", nodes.join(", ")),
            site: Site::new(limits.clone(), own),
            incoming,
            outgoing,
            asked: None,
            counts: Vec::new(),
            lost: lost.clone(),
            stall,
            phase: 0,
            runtime: Arc::clone(&runtime),
            numbers: std::marker::PhantomData,
        }
    };
    let members = workers.into_iter().map(member).collect();
    VirtualNetwork::of_members(network, settings, partition(network, settings, parts), members)
        .guarded(batch_most, guard)
}

impl<T: Real> Distant<T> {
    /// Waits for a conversation, but not for ever, and not for anybody once a worker is lost.
    fn wait<R>(
        (runtime, lost, stall): (&Runtime, &watch::Receiver<Option<Loss>>, Duration),
        (name, phase, first): (&str, u64, usize),
        conversation: impl Future<Output = Result<R, ControlError>>,
    ) -> Result<R, EngineError> {
        let mut word = lost.clone();
        let gone = |loss: Option<Loss>, otherwise: EngineError| match loss {
            Some(loss) => EngineError::Lost { loss: Box::new(loss), phase, whereabouts: format!("{name} was asked") },
            None => otherwise,
        };
        let ended = || EngineError::LinkBroken { layer: first, phase, whereabouts: format!("{name} was asked") };
        runtime.block_on(async {
            let waited = tokio::select! {
                biased;
                waited = timeout(stall, conversation) => waited,
                loss = word.wait_for(Option::is_some) => {
                    let loss = loss.ok().and_then(|loss| loss.clone());
                    return Err(gone(loss, ended()));
                }
            };
            match waited {
                Ok(Ok(said)) => Ok(said),
                Ok(Err(ControlError::Wire(error))) => {
                    let what = format!("its process can't be understood: {error}");
                    Err(LayerError { layer: first, what }.into())
                }
                Ok(Err(ControlError::Stream(_))) => {
                    let loss = timeout(WORD_OF_A_LOSS, word.wait_for(Option::is_some)).await;
                    let loss = loss.ok().and_then(Result::ok).and_then(|loss| loss.clone());
                    Err(gone(loss, ended()))
                }
                Err(_) => {
                    let (seconds, whereabouts) = (stall.as_secs_f64(), format!("{name} has not answered"));
                    Err(EngineError::Stalled { phase, seconds, whereabouts })
                }
            }
        })
    }

    /// The layer of its first node, which it is known by.
    fn first(&self) -> usize {
        self.site.layer(self.site.own.start)
    }
}

impl<T: Real> Member<T> for Distant<T> {
    fn own(&self) -> Range<usize> {
        self.site.own.clone()
    }

    fn send(&mut self, errand: Errand<T>) -> Result<(), EngineError> {
        if let Errand::Direct(directives) = &errand
            && directives.iter().any(|(_, told)| matches!(told, Directive::Extract(Wanted::Journal)))
        {
            // Nobody was asked for anything yet that would have to be heard.
            return Err(EngineError::Journals);
        }
        if let Errand::Begin(opening) = &errand {
            self.phase = opening.phase.number;
        }
        let first = self.first();
        self.asked = Some(Asked::by(&errand));
        let Self { site, outgoing, lost, stall, runtime, name, phase, .. } = self;
        Self::wait((runtime, lost, *stall), (name, *phase, first), put_errand(outgoing, &errand, site))?;
        site.note(&errand);
        Ok(())
    }

    fn answer(&mut self) -> Result<Reply<T>, EngineError> {
        let asked = self.asked.take().ok_or(EngineError::Unasked)?;
        let first = self.first();
        let Self { site, incoming, lost, stall, runtime, name, phase, .. } = self;
        let heard = next_reply(incoming, &asked, site);
        let (reply, counts) = Self::wait((runtime, lost, *stall), (name, *phase, first), heard)??;
        self.counts = counts.unwrap_or_else(|| std::mem::take(&mut self.counts));
        Ok(reply)
    }

    fn counts(&self) -> Vec<Counts> {
        self.counts.clone()
    }
}

impl<T: Real> VirtualNetwork<T, Distant<T>> {
    /// Says farewell to the workers, and waits a moment for them to go. If it is merely dropped they are cut off, which to them is the
    /// death of their coordinator.
    pub fn dismiss(mut self) {
        let Some(runtime) = self.members.first().map(|member| Arc::clone(&member.runtime)) else { return };
        runtime.block_on(async {
            let farewells = self.members.iter_mut().map(|member| async {
                // Whoever is gone already needs none.
                let _ = errands::farewell(&mut member.outgoing).await;
                member.incoming.end().await;
            });
            // Whoever is not gone by then is cut off after all.
            let _ = timeout(FAREWELL, futures::future::join_all(farewells)).await;
        });
    }
}
