//! From callers to a network of workers: who comes is given a part, told where its neighbours are, and is ready when every link
//! stands.

use std::time::Duration;

use tokio::time::{Instant, interval, timeout, timeout_at};

use super::ProcessError;
use super::reception::{Reception, answer};
use super::socket::{Socket, UNANSWERED};
use super::start::{Answer, Instruction};
use super::supervisor::{Children, ending};
use crate::engine::remote::{ControlError, Incoming, Outgoing, control};
use crate::wire::handshake::{Hello, Purpose, Verdict};

/// Time for every step of the start once all have come.
const START: Duration = Duration::from_secs(60);

/// A worker that has called on both of its connections.
pub(super) struct Recruit {
    caller: [u8; 16],
    pub(super) pid: u32,
    control: Option<Socket>,
    pulse: Option<Socket>,
}

impl Recruit {
    fn is_complete(&self) -> bool {
        self.control.is_some() && self.pulse.is_some()
    }

    /// Whether it waits for its layers still: it says nothing before it is given some.
    fn is_waiting(&self) -> bool {
        let mut sockets = self.control.iter().chain(&self.pulse).peekable();
        sockets.peek().is_some() && !sockets.any(Socket::is_over)
    }

    /// Its two connections.
    pub(super) fn into_parts(self) -> Option<(Socket, Socket)> {
        self.control.zip(self.pulse)
    }
}

/// Waits for all workers. Of children it is known who may come, and an end of one of them ends the wait.
pub(super) async fn gather(
    reception: &mut Reception,
    workers: usize,
    children: &mut Children,
    patience: Duration,
) -> Result<Vec<Recruit>, ProcessError> {
    let deadline = Instant::now() + patience;
    let pids = children.pids();
    let mut recruits: Vec<Recruit> = Vec::new();
    let mut looks = interval(Duration::from_millis(20));
    loop {
        let complete = recruits.iter().filter(|recruit| recruit.is_complete()).count();
        if complete == workers {
            // Children in the order in which they were started, so that a run is placed the same way every time.
            recruits.sort_by_key(|recruit| pids.iter().position(|&pid| pid == recruit.pid));
            return Ok(recruits);
        }
        tokio::select! {
            biased;
            caller = reception.next() => {
                let (hello, mut socket) = caller.map_err(ProcessError::listening)?;
                let expected = expected(&mut recruits, workers, &pids, &hello);
                let verdict = if expected.is_some() { Verdict::Welcome } else { Verdict::NotExpected };
                // One whose machine vanishes while it waits gives its place back.
                let watched = socket.expect_answers(UNANSWERED);
                let answered = answer(&mut socket, verdict).await;
                if let (Some(place), Ok(())) = (expected, watched.and(answered)) {
                    *place = Some(socket);
                }
            }
            _ = looks.tick() => {
                // The place of one that died while it waited is free again.
                recruits.retain(Recruit::is_waiting);
                if let Some((pid, status)) = children.ended() {
                    return Err(ProcessError::Ended { pid, how: ending(status) });
                }
                if Instant::now() >= deadline {
                    return Err(ProcessError::Absent { came: complete, workers, seconds: patience.as_secs() });
                }
            }
        }
    }
}

/// Where a caller's connection goes, if it is one of those that are missing.
fn expected<'r>(
    recruits: &'r mut Vec<Recruit>,
    workers: usize,
    pids: &[u32],
    hello: &Hello,
) -> Option<&'r mut Option<Socket>> {
    let Hello { purpose, caller, pid, .. } = *hello;
    if !(pids.is_empty() || pids.contains(&pid)) {
        return None;
    }
    let known = recruits.iter().position(|recruit| recruit.caller == caller);
    if known.is_none() && recruits.len() == workers {
        return None;
    }
    let index = known.unwrap_or_else(|| {
        recruits.push(Recruit { caller, pid, control: None, pulse: None });
        recruits.len() - 1
    });
    let recruit = &mut recruits[index];
    let place = match purpose {
        Purpose::Control => &mut recruit.control,
        Purpose::Pulse => &mut recruit.pulse,
        Purpose::Link { .. } => return None,
    };
    place.is_none().then_some(place)
}

/// A control connection during the start.
pub(super) struct Line {
    pub(super) pid: u32,
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
}

impl Line {
    pub(super) fn new(pid: u32, socket: Socket) -> Self {
        let (incoming, outgoing) = control(socket.into());
        Self { pid, incoming, outgoing }
    }

    pub(super) async fn tell(&mut self, instruction: &Instruction) -> Result<(), ProcessError> {
        let told = timeout(START, self.outgoing.say(instruction)).await;
        told.map_err(|_| self.late())?.map_err(|error| self.failed(&error))
    }

    pub(super) async fn ask(&mut self) -> Result<Answer, ProcessError> {
        let heard = timeout_at(Instant::now() + START, self.incoming.head::<Answer>("an answer")).await;
        match heard.map_err(|_| self.late())?.map_err(|error| self.failed(&error))? {
            Some(Answer::Failed(how)) => Err(ProcessError::Worker { pid: self.pid, how }),
            Some(answer) => Ok(answer),
            None => Err(ProcessError::Worker { pid: self.pid, how: "it closed its connection".to_owned() }),
        }
    }

    fn late(&self) -> ProcessError {
        ProcessError::Worker { pid: self.pid, how: format!("no answer within {} s", START.as_secs()) }
    }

    fn failed(&self, error: &ControlError) -> ProcessError {
        ProcessError::Worker { pid: self.pid, how: error.to_string() }
    }
}
