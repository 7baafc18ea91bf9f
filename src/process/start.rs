//! What coordinator and worker say to each other before the first directive.
//!
//! ```text
//! worker → coordinator    two connections: control and pulse
//! coordinator → worker    Task          the network, the settings, who has which layers
//! worker → coordinator    Listening     where neighbours can call it
//! coordinator → worker    Connect       where all the others can be called
//! worker → coordinator    Ready         every link stands, nobody is listened for any more
//! ```

use serde::{Deserialize, Serialize};

use crate::engine::Schedule;
use crate::engine::transport::Transport;
use crate::math::optimizer::OptimizerSpec;
use crate::math::{Dtype, Numerics};
use crate::network::NetworkSpec;
use crate::signal::Message;

/// A worker's part of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) run: [u8; 16],
    pub(super) generation: u64,
    pub(super) worker: usize,
    pub(super) placement: Vec<Vec<usize>>,
    pub(super) network: NetworkSpec,
    pub(super) dtype: Dtype,
    pub(super) schedule: Schedule,
    pub(super) message: Message,
    pub(super) rate: f64,
    pub(super) optimizer: OptimizerSpec,
    pub(super) numerics: Numerics,
    pub(super) stall_s: f64,
    pub(super) batch_most: usize,
    pub(super) transport: Transport,
    /// What is imposed on clocks and links, as JSON: laws are told apart by their shape, which bincode can't do.
    pub(super) laws: Option<String>,
}

/// From the coordinator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Instruction {
    Task(Box<Task>),
    /// TCP ports of all workers, where they have one.
    Connect(Vec<Option<u16>>),
}

/// From a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// On this TCP port, or on the Unix socket whose name everybody knows.
    Listening(Option<u16>),
    Ready,
    /// It can't, and why.
    Failed(String),
}
