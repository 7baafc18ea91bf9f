//! What coordinator and worker say to each other before the first directive.
//!
//! ```text
//! worker → coordinator    two connections: control and pulse
//! coordinator → worker    Task          the network, the settings, who has which layers
//! worker → coordinator    Listening     where neighbours can call it
//! coordinator → worker    Connect       where all the others can be called
//! worker → coordinator    Ready         every link stands, nobody is listened for any more
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ProcessError;
use crate::engine::Schedule;
use crate::engine::transport::Transport;
use crate::math::optimizer::OptimizerSpec;
use crate::math::{Dtype, Numerics};
use crate::network::NetworkSpec;
use crate::signal::Message;

/// A worker's part of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) run: [u8; 16],
    pub(crate) generation: u64,
    pub(crate) worker: usize,
    /// For every worker its nodes: layers, or their groups where they are cut.
    pub(crate) placement: Vec<Vec<usize>>,
    pub(crate) network: NetworkSpec,
    pub(crate) dtype: Dtype,
    pub(crate) schedule: Schedule,
    pub(crate) message: Message,
    pub(crate) rate: f64,
    pub(crate) optimizer: OptimizerSpec,
    pub(crate) numerics: Numerics,
    pub(crate) stall_s: f64,
    pub(crate) batch_most: usize,
    pub(crate) transport: Transport,
    /// What is imposed on clocks and links, as JSON: laws are told apart by their shape, which bincode can't do.
    pub(crate) laws: Option<String>,
    /// In virtual time: clocks and links, likewise. Then `schedule` says nothing, and workers are not linked with each other.
    pub(crate) virtual_time: Option<String>,
}

impl Task {
    /// How long nothing may move, if it is a time.
    pub(crate) fn stall(&self) -> Result<Duration, ProcessError> {
        Duration::try_from_secs_f64(self.stall_s)
            .map_err(|error| ProcessError::talk(format!("the task's patience of {} s: {error}", self.stall_s)))
    }
}

/// From the coordinator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Instruction {
    Task(Box<Task>),
    /// TCP addresses of all workers, where they have one.
    Connect(Vec<Option<SocketAddr>>),
}

/// From a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// At this TCP address, or on the Unix socket whose name everybody knows.
    Listening(Option<SocketAddr>),
    Ready,
    /// It can't, and why.
    Failed(String),
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::placement::Placement;
    use super::*;
    use crate::energy::{Activation, Loss};
    use crate::wire::WireError;
    use crate::wire::control::{decode, encode};

    fn task() -> Task {
        Task {
            run: [1; 16],
            generation: 1,
            worker: 1,
            placement: vec![vec![0, 1], vec![2]],
            network: NetworkSpec::new(&[3, 4, 2], Activation::Tanh, Loss::SquaredError).expect("a network"),
            dtype: Dtype::F32,
            schedule: Schedule::LockStep,
            message: Message::ErrorEcho,
            rate: 0.1,
            optimizer: OptimizerSpec::sgd(0.1),
            numerics: Numerics::default(),
            stall_s: 30.0,
            batch_most: 64,
            transport: Transport::Tcp,
            laws: Some("{}".to_owned()),
            virtual_time: Some("{}".to_owned()),
        }
    }

    /// Every kind of message there is before the first directive.
    fn messages() -> [Vec<u8>; 6] {
        let address = Some(([10, 0, 0, 1], 7400).into());
        [
            encode(&Instruction::Task(Box::new(task()))),
            encode(&Instruction::Connect(vec![address, None])),
            encode(&Answer::Listening(address)),
            encode(&Answer::Listening(None)),
            encode(&Answer::Ready),
            encode(&Answer::Failed("no".to_owned())),
        ]
    }

    /// What a receiver does with bytes before it believes them.
    fn receive(bytes: &[u8]) -> Result<(), WireError> {
        if let Instruction::Task(task) = decode::<Instruction>("an instruction", bytes)? {
            // These answer with an error or a value, whatever came.
            let _ = (task.stall(), Placement::of_nodes(&task.placement, &task.network.group_counts()));
        }
        Ok(())
    }

    #[test]
    fn what_is_said_at_the_start_is_read_as_it_was_written() {
        let said = Instruction::Task(Box::new(task()));
        assert_eq!(decode("an instruction", &encode(&said)), Ok(said));
        for answer in [Answer::Listening(None), Answer::Ready, Answer::Failed("no".to_owned())] {
            assert_eq!(decode("an answer", &encode(&answer)), Ok(answer));
        }
        for stall_s in [f64::NAN, -1.0, f64::INFINITY, 1e300] {
            assert!(Task { stall_s, ..task() }.stall().is_err(), "{stall_s} s");
        }
    }

    proptest! {
        #[test]
        fn damaged_beginnings_are_errors_or_other_beginnings(
            which in 0_usize..6, hits in vec((any::<usize>(), any::<u8>()), 1..8), cut in any::<usize>(),
            noise in vec(any::<u8>(), 0..120),
        ) {
            let mut bytes = messages()[which].clone();
            for (at, byte) in hits {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            let cut = cut % (bytes.len() + 1);
            for bytes in [&bytes[..], &bytes[..cut], &noise] {
                let _ = (receive(bytes), decode::<Answer>("an answer", bytes));
            }
        }

        #[test]
        fn keys_in_files_are_digits_or_refused(text in "[0-9a-fxé\\n]{0,70}") {
            let read = super::super::key::receive(&mut text.as_bytes());
            let digits = text.trim_end_matches('\n');
            let right = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            prop_assert_eq!(read.is_ok(), right);
        }
    }
}
