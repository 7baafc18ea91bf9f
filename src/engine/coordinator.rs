//! The coordinator: announces phases, reads reports, and decides when a phase is over. It never sees a state or a weight.
//!
//! Lock-step: layers run to a common step and report; [`Stopper`] looks and either sends everyone on or ends the phase.
//! Free-running: layers report when they come to rest; [`Detector`] says when all are at rest and nothing is unheard; a recount
//! confirms it. States that chatter on a kink never rest, so the coordinator also takes a count every few milliseconds and
//! halts the phase when the energy has stopped falling. Such a count is no consistent cut: it may end a phase as a plateau or as
//! diverged, never as settled, and the halt then drains until everything spoken is heard.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::actor::News;
use super::census::Census;
use super::error::{Member, Severed};
use super::line::{Teller, Untold};
use super::parts::{join_extracts, join_reports};
use super::whereabouts::{Watchdog, Whereabouts};
use super::{EngineError, EngineSettings, Loss, Schedule};
use crate::math::Real;
use crate::network::NetworkSpec;
use crate::rule::PlannedPhase;
use crate::settling::{Detector, Limits, Look, Outstanding, PhaseRecord, StopReason, Stopper, Verdict};
use crate::signal::{Directive, Extract, Motion, Phase, Reading, Report, Wanted};
use crate::transaction;

/// One end of every line to the layers.
pub(crate) struct Coordinator<T> {
    pub(super) schedule: Schedule,
    pub(super) network: Arc<NetworkSpec>,
    /// The first node of every layer; its groups follow in order.
    pub(super) first_nodes: Vec<usize>,
    pub(super) watchdog: Watchdog,
    pub(super) directives: Vec<Teller<T>>,
    pub(super) news: mpsc::Receiver<News<T>>,
    pub(super) whereabouts: Arc<Whereabouts>,
    pub(super) phase: u64,
    /// Who lost a neighbour; from then on every call fails, and none waits for answers that will not come.
    pub(super) broken: Option<usize>,
    /// Which process is gone; likewise.
    pub(super) lost: Option<Loss>,
    /// The other processes in which layers live, if they do.
    pub(super) crew: Vec<Member>,
    /// Where they are in training, if they do.
    pub(super) transaction: Option<transaction::Coordinator>,
    /// Shared with all groups that run free.
    pub(super) outstanding: Arc<Outstanding>,
}

/// How long a layer that lost a neighbour waits for word that a process is gone or a line dead, which says more.
const WORD_OF_A_LOSS: Duration = Duration::from_secs(2);

impl<T: Real> Coordinator<T> {
    pub(crate) fn new(
        network: &Arc<NetworkSpec>,
        settings: &EngineSettings,
        directives: Vec<Teller<T>>,
        news: mpsc::Receiver<News<T>>,
        whereabouts: Arc<Whereabouts>,
    ) -> Self {
        let (schedule, watchdog) = (settings.schedule, Watchdog::new(settings.stall));
        let (phase, broken, lost, crew, transaction) = (0, None, None, Vec::new(), None);
        let nodes_before = |first: &mut usize, layer| {
            let here = *first;
            *first += network.groups(layer);
            Some(here)
        };
        let first_nodes = (0..=network.depth()).scan(0, nodes_before).collect();
        let network = Arc::clone(network);
        let outstanding = Arc::default();
        Self {
            schedule,
            network,
            first_nodes,
            watchdog,
            directives,
            news,
            whereabouts,
            phase,
            broken,
            lost,
            crew,
            transaction,
            outstanding,
        }
    }

    /// The same with this count of what is outstanding among its groups.
    pub(super) fn of_groups(self, outstanding: Arc<Outstanding>) -> Self {
        Self { outstanding, ..self }
    }

    /// True if layers are cut and nobody waits for anybody.
    pub(super) fn groups_run_free(&self) -> bool {
        self.schedule == Schedule::FreeRunning && self.network.is_cut()
    }

    /// The same for layers in these other processes, in this life of the run.
    pub(crate) fn of_processes(self, generation: u64, crew: Vec<Member>) -> Self {
        let at = transaction::Ticket { generation, step: 0 };
        let transaction = Some(transaction::Coordinator::new(self.nodes(), at));
        Self { crew, transaction, ..self }
    }

    pub(super) fn layers(&self) -> usize {
        self.network.depth() + 1
    }

    /// Groups of all layers: as many as there are lines.
    pub(super) fn nodes(&self) -> usize {
        self.directives.len()
    }

    /// The nodes of a layer, one per group.
    pub(super) fn nodes_of(&self, layer: usize) -> std::ops::Range<usize> {
        let first = self.first_nodes[layer];
        first..first + self.network.groups(layer)
    }

    /// Sends without waiting: a layer that leaves dozens of directives unread is not there any more.
    pub(super) fn tell(&self, node: usize, directive: Directive<T>) -> Result<(), EngineError> {
        if let Some(loss) = &self.lost {
            return Err(self.lost(loss.clone()));
        }
        if let Some(layer) = self.broken {
            return Err(self.link_broken(layer));
        }
        match self.directives[node].tell(directive) {
            // Whoever carried it to another process has failed and sent word, which the next wait finds and which says more.
            Err(Untold::Gone) if !self.crew.is_empty() => Ok(()),
            Err(Untold::Gone) => Err(self.ended()),
            Err(Untold::Full(_)) => Err(self.stalled()),
            Ok(()) => Ok(()),
        }
    }

    pub(super) fn tell_all(&self, directive: impl Fn() -> Directive<T>) -> Result<(), EngineError> {
        (0..self.nodes()).try_for_each(|node| self.tell(node, directive()))
    }

    /// Runs one phase to its end.
    pub(super) async fn phase(&mut self, planned: &PlannedPhase, limits: Limits) -> Result<PhaseRecord, EngineError> {
        self.phase += 1;
        self.watchdog.wake();
        let lock_step = self.schedule == Schedule::LockStep;
        let limits = match planned.reading {
            Reading::AtEnd | Reading::Continual(_) => limits,
            // The error walks down one layer a step; everywhere else each layer moves exactly once, when it arrives.
            Reading::FirstArrival(_) => Limits::steps(if lock_step { self.layers() as u64 - 2 } else { 1 }),
        };
        let at_once = lock_step && !matches!(planned.reading, Reading::FirstArrival(_));
        let steps = if at_once { 0 } else { limits.steps_max };
        let PlannedPhase { motion, reading, .. } = *planned;
        let phase = Phase { number: self.phase, motion, steps, tolerance: limits.tolerance, reading };
        if self.groups_run_free() {
            self.outstanding.begin(self.nodes());
        }
        self.tell_all(|| Directive::Begin(phase))?;
        let record = match motion {
            Motion::Forward => {
                let reports = self.gather().await?;
                let bad = reports.iter().any(|report| report.bad.is_some());
                PhaseRecord { reason: if bad { StopReason::Diverged } else { StopReason::Wave }, reports }
            }
            _ if at_once => self.lock_step(limits).await?,
            _ if lock_step => {
                let reports = self.gather().await?;
                let bad = reports.iter().any(|report| report.bad.is_some());
                PhaseRecord { reason: if bad { StopReason::Diverged } else { StopReason::StepBudget }, reports }
            }
            _ if self.groups_run_free() => self.free_groups(limits).await?,
            _ => self.free_running(limits).await?,
        };
        if planned.remember {
            self.tell_all(|| Directive::Remember)?;
        }
        Ok(record)
    }

    /// One report of this phase from every layer, in the order of the layers.
    async fn gather(&mut self) -> Result<Vec<Report>, EngineError> {
        let mut reports: Vec<Option<Report>> = vec![None; self.nodes()];
        let mut missing = self.nodes();
        while missing > 0 {
            let report = self.next_report().await?;
            if report.phase == self.phase {
                let before = reports[self.first_nodes[report.layer] + report.group].replace(report);
                missing -= usize::from(before.is_none());
            }
        }
        Ok(join_reports(&self.network, reports.into_iter().flatten().collect()))
    }

    async fn lock_step(&mut self, limits: Limits) -> Result<PhaseRecord, EngineError> {
        let mut stopper = Stopper::new(limits);
        loop {
            let reports = self.gather().await?;
            let step = reports.first().map_or(0, |report| report.step);
            let record = PhaseRecord { reason: StopReason::StepBudget, reports };
            if let Some(reason) = stopper.look(look(&record)) {
                return Ok(PhaseRecord { reason, ..record });
            }
            let next = stopper.next_look(step).expect("a used budget ends the phase");
            self.tell_all(|| Directive::Continue(next))?;
        }
    }

    async fn free_running(&mut self, limits: Limits) -> Result<PhaseRecord, EngineError> {
        let mut detector = Detector::new(self.phase, self.layers());
        let mut census = Census::new(self.layers(), limits);
        let mut confirming: Option<Vec<Report>> = None;
        let mut halted: Option<StopReason> = None;
        loop {
            let counting = confirming.is_none() && halted.is_none();
            let Some(report) = self.next_report_until(census.due(counting)).await.map_err(|e| e.with(&detector))?
            else {
                census.begin();
                self.tell_all(|| Directive::Recount)?;
                continue;
            };
            if report.phase != self.phase {
                continue;
            }
            let verdict = census.hear(report.layer, report);
            if let (None, Some(reason)) = (halted, verdict) {
                halted = Some(reason);
                self.tell_all(|| Directive::Halt)?;
            }
            if detector.hear(report) == Verdict::Open {
                continue;
            }
            let reports = detector.reports().expect("a quiet network has reported");
            match confirming.take() {
                // Quiet: every layer is asked once more, and must say the same.
                None => {
                    confirming = Some(reports);
                    detector.recount();
                    self.tell_all(|| Directive::Recount)?;
                }
                Some(before) if agree(&before, &reports) => {
                    let reason = halted.unwrap_or_else(|| reason_at_rest(&reports, limits));
                    return Ok(PhaseRecord { reason, reports });
                }
                Some(_) => return Err(EngineError::Recount { phase: self.phase }),
            }
        }
    }

    pub(super) async fn extract(&mut self, wanted: Wanted) -> Result<Vec<Extract<T>>, EngineError> {
        let extracts = self.extract_of_nodes(wanted).await?;
        join_extracts(&self.network, extracts).ok_or_else(|| self.ended())
    }

    /// The same from every node, in their order.
    pub(super) async fn extract_of_nodes(&mut self, wanted: Wanted) -> Result<Vec<Extract<T>>, EngineError> {
        self.watchdog.wake();
        self.tell_all(|| Directive::Extract(wanted))?;
        let mut extracts: Vec<Option<Extract<T>>> = (0..self.nodes()).map(|_| None).collect();
        let mut missing = self.nodes();
        while missing > 0 {
            if let News::Extract(node, extract) = self.next_news(None).await?.ok_or_else(|| self.ended())? {
                missing -= usize::from(extracts[node].replace(*extract).is_none());
            }
        }
        Ok(extracts.into_iter().flatten().collect())
    }

    async fn next_report(&mut self) -> Result<Report, EngineError> {
        self.next_report_until(None).await?.ok_or_else(|| self.ended())
    }

    /// The next report; `None` if `until` comes first.
    async fn next_report_until(&mut self, until: Option<Instant>) -> Result<Option<Report>, EngineError> {
        loop {
            match self.next_news(until).await? {
                Some(News::Report(report)) => return Ok(Some(*report)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next news; `None` if `until` comes first. An error if a layer failed, or if nothing moves for too long.
    pub(super) async fn next_news(&mut self, until: Option<Instant>) -> Result<Option<News<T>>, EngineError> {
        loop {
            let patience = self.watchdog.patience();
            let deadline = until.map_or(patience, |until| until.min(patience));
            match timeout_at(deadline, self.news.recv()).await {
                Ok(Some(News::Fault(fault))) => return Err(fault.into()),
                Ok(Some(News::LinkBroken(layer))) => {
                    self.broken = Some(layer);
                    return Err(self.broken_or_lost(layer).await);
                }
                Ok(Some(News::Lost(loss))) => {
                    self.lost = Some((*loss).clone());
                    return Err(self.lost(*loss));
                }
                Ok(Some(News::Severed(severed))) => return Err(self.severed(severed)),
                Ok(Some(news)) => return Ok(Some(news)),
                Ok(None) => return Err(self.ended()),
                Err(_) if Instant::now() >= patience => {
                    if !self.watchdog.has_moved(self.whereabouts.progress()) {
                        return Err(self.stalled());
                    }
                }
                Err(_) if until.is_some_and(|until| Instant::now() >= until) => return Ok(None),
                Err(_) => {}
            }
        }
    }

    /// What a layer noticed of its neighbour's end; or what is known of the neighbour's process, if it is one.
    async fn broken_or_lost(&mut self, layer: usize) -> EngineError {
        let deadline = Instant::now() + WORD_OF_A_LOSS;
        while !self.crew.is_empty()
            && let Ok(Some(news)) = timeout_at(deadline, self.news.recv()).await
        {
            match news {
                News::Lost(loss) => {
                    self.lost = Some((*loss).clone());
                    return self.lost(*loss);
                }
                News::Severed(severed) => return self.severed(severed),
                _ => {}
            }
        }
        self.link_broken(layer)
    }

    fn lost(&self, loss: Loss) -> EngineError {
        EngineError::Lost { loss: Box::new(loss), phase: self.phase, whereabouts: self.whereabouts.to_string() }
    }

    /// The workers at both ends of a line, unless somebody names one that there is not; then only the link is broken.
    fn severed(&mut self, severed: Box<Severed>) -> EngineError {
        self.broken = Some(severed.lower);
        let [here, there] = severed.workers.map(|worker| self.crew.get(worker).cloned());
        let Some(workers) = here.zip(there).map(|(here, there)| Box::new([here, there])) else {
            return self.link_broken(severed.lower);
        };
        EngineError::Severed { severed, workers, phase: self.phase, whereabouts: self.whereabouts.to_string() }
    }

    fn link_broken(&self, layer: usize) -> EngineError {
        EngineError::LinkBroken { layer, phase: self.phase, whereabouts: self.whereabouts.to_string() }
    }

    pub(super) fn ended(&self) -> EngineError {
        EngineError::Ended { whereabouts: self.whereabouts.to_string() }
    }

    fn stalled(&self) -> EngineError {
        let whereabouts = self.whereabouts.to_string();
        EngineError::Stalled { phase: self.phase, seconds: self.watchdog.stall.as_secs_f64(), whereabouts }
    }
}

pub(super) fn look(record: &PhaseRecord) -> Look {
    let finite = record.reports.iter().all(|report| report.bad.is_none());
    Look { step: record.steps(), residual: record.residual(), energy: record.energy(), finite }
}

/// Layers at rest repeat themselves.
fn agree(before: &[Report], now: &[Report]) -> bool {
    before.iter().zip(now).all(|(before, now)| {
        (before.step, before.spoken, before.heard) == (now.step, now.spoken, now.heard)
            && before.residual.to_bits() == now.residual.to_bits()
    })
}

/// Why a free-running phase that was not halted came to rest.
pub(super) fn reason_at_rest(reports: &[Report], limits: Limits) -> StopReason {
    let residual = reports.iter().map(|report| report.residual).fold(0.0, f64::max);
    if residual <= limits.tolerance { StopReason::Settled } else { StopReason::StepBudget }
}
