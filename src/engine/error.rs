//! Why an engine can't go on, in sentences that name the layer, the link or the process.

use std::fmt;

use super::transport::Transport;
use crate::network::Address;

/// Why the engine can't go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The runtime could not be started.
    #[error("the runtime with {threads} threads could not be started")]
    Runtime {
        /// Threads asked for.
        threads: usize,
        /// Why.
        source: std::io::Error,
    },
    /// An echo and a state are answered with the response to a whole current, of which a group knows its own share.
    #[error(
        "groups of neurons that are not in step need links.message = \"error\": what an echo or a state means can be worked out only from the \
         whole current, of which a group knows its own share"
    )]
    Echoes,
    /// What arrives first is a part of an error.
    #[error(
        "groups of neurons that are not in step are read at the end of a phase: what arrives first, and what changes between two arrivals, is the \
         error of some of the groups above"
    )]
    Partial,
    /// Feedback weights and precisions of single units are not cut.
    #[error(
        "layers cut into groups of neurons have tied feedback and one precision per layer: other matrices and lists are not cut"
    )]
    Whole,
    /// Noise and rounding are put on the signals of whole layers.
    #[error("limited precision is that of whole layers, not of groups of neurons")]
    ImpreciseGroups,
    /// In virtual time signals of an earlier phase may still come, and they are not deviations.
    #[error(
        "deviation variables are not simulated in virtual time: signals of an earlier phase may still be under way"
    )]
    NoDeviations,
    /// Within one process, groups have no links that carry bytes.
    #[error("groups of neurons that live in one process share memory; links that carry bytes join whole layers there")]
    Together,
    /// Rest is seen by counting in shared memory.
    #[error(
        "groups of neurons that run free live in one process: what is outstanding among them is counted in memory they share; use the \
         lock-step schedule"
    )]
    Apart,
    /// A layer could not do what it was told.
    #[error(transparent)]
    Layer(#[from] crate::layer::LayerError),
    /// Nothing moves.
    #[error("nothing moved for {seconds} s in phase {phase}: {whereabouts}")]
    Stalled {
        /// The phase.
        phase: u64,
        /// The watchdog's patience.
        seconds: f64,
        /// Who waits for whom.
        whereabouts: String,
    },
    /// A task is gone or spoke out of turn.
    #[error("layer {layer} lost a neighbour in phase {phase}: {whereabouts}")]
    LinkBroken {
        /// Who noticed.
        layer: usize,
        /// The phase.
        phase: u64,
        /// Who waits for whom.
        whereabouts: String,
    },
    /// A recount contradicted the reports it repeats; the protocol's proof says that this can't be.
    #[error("phase {phase}: a recount differs from the reports of layers at rest")]
    Recount {
        /// The phase.
        phase: u64,
    },
    /// A worker process is gone.
    #[error("{loss}; phase {phase}: {whereabouts}")]
    Lost {
        /// Which, why, and what was done.
        loss: Box<Loss>,
        /// The phase.
        phase: u64,
        /// Who waits for whom.
        whereabouts: String,
    },
    /// The line between two workers is dead.
    #[error(
        "the line between {} and {} is dead: what layers {} and {} say to each other is not answered any more ({}), though both \
         workers answer the coordinator; all workers were cut off; phase {phase}: {whereabouts}",
        .workers[0], .workers[1], .severed.lower, .severed.lower + 1, .severed.how
    )]
    Severed {
        /// Which line, and how it is known.
        severed: Box<Severed>,
        /// The workers at its ends.
        workers: Box<[Member; 2]>,
        /// The phase.
        phase: u64,
        /// Who waits for whom.
        whereabouts: String,
    },
    /// An update that can't be made.
    #[error(
        "layer {layer}: the update of training step {step} has numbers that are not finite; it was made on no layer; \
         choose a smaller learning.param_lr"
    )]
    Refused {
        /// The first layer that voted against it.
        layer: usize,
        /// Which update.
        step: u64,
    },
    /// An answer that does not belong to the present step.
    #[error("a layer is out of step: {0}")]
    OutOfTurn(#[from] crate::transaction::OutOfTurn),
    /// A worker answered something else than what it was asked.
    #[error("what was asked in virtual time was answered with something else")]
    Unasked,
    /// The links between layers could not be made.
    #[error("links.transport = \"{transport}\": the links could not be made")]
    Links {
        /// By what they should be made.
        transport: Transport,
        /// Why.
        source: std::io::Error,
    },
    /// A batch for which other processes have made no room.
    #[error("a batch of {batch} samples is more than the {most} that were announced to the workers")]
    Batch {
        /// Its samples.
        batch: usize,
        /// The most there may be.
        most: usize,
    },
    /// Journals are read in the process they are written in.
    #[error("layers keep journals in one process only; use workers = 1")]
    Journals,
    /// A task is gone, and nobody is left to notice it.
    #[error("a layer has ended: {whereabouts}")]
    Ended {
        /// Who waits for whom.
        whereabouts: String,
    },
}

impl EngineError {
    /// Adds to a stall which signal nobody has heard.
    pub(super) fn with(self, detector: &crate::settling::Detector) -> Self {
        match (self, detector.unheard()) {
            (Self::Stalled { phase, seconds, whereabouts }, Some((from, to))) => {
                let whereabouts = format!("{whereabouts}; layer {to} has not heard what layer {from} last said");
                Self::Stalled { phase, seconds, whereabouts }
            }
            (other, _) => other,
        }
    }
}

/// A worker process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number, counted from 0.
    pub worker: usize,
    /// Its process id.
    pub pid: u32,
    /// The layers, or groups of layers, that live there.
    pub layers: Vec<Address>,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worker, pid, layers } = self;
        let layers: Vec<String> = layers.iter().map(Address::to_string).collect();
        let noun = if layers.len() == 1 { "layer" } else { "layers" };
        write!(f, "worker {worker} (process {pid}, {noun} {})", layers.join(", "))
    }
}

/// A worker process that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Which.
    pub member: Member,
    /// How it was lost.
    pub how: String,
    /// What was done about it.
    pub done: String,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { member, how, done } = self;
        write!(f, "{member} {how}; {done}")
    }
}

/// A link whose connection nobody closed and on which nothing is answered any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Severed {
    /// The worker that noticed, and the one at the other end.
    pub workers: [usize; 2],
    /// The lower of the two layers.
    pub lower: usize,
    /// What the system says.
    pub how: String,
}
