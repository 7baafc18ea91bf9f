//! Workers that somebody else starts: what `coordinator` and `delay` are told about them, and what does not go together.

use std::time::Duration;

use super::keys::{Chosen, Missing};
use super::{Failure, complain};
use crate::config::{Config, LinkTransport, ScheduleMode};
use crate::engine::transport::Transport;
use crate::experiment::workers::Hands;
use crate::process::endpoint::Endpoint;
use crate::rule::RuleName;

/// Seconds to wait for them, unless told otherwise.
pub(super) const WAIT: u32 = 300;

/// Whoever calls there and knows the secret runs the layers; `command` is what was typed before these options.
pub(super) fn hands(
    config: &Config,
    listen: Endpoint,
    (keys, wait): (&Chosen, u32),
    command: &str,
) -> Result<Hands, Failure> {
    fits(config, &listen).map_err(Failure::input)?;
    let (listen, secret) = keys.open(listen, Missing::Make)?;
    let workers = config.workers;
    complain(format_args!(
        "waiting up to {wait} s for {workers} workers: asynapse worker --join {listen} {}",
        keys.words()
    ));
    let command = format!("{command} --listen {listen} {} --wait {wait}", keys.words());
    Ok(Hands::Callers { listen, secret, patience: Duration::from_secs(wait.into()), command })
}

/// What a configuration says that this way of running can't honour.
fn fits(config: &Config, listen: &Endpoint) -> Result<(), String> {
    if config.learning.rule == RuleName::Backprop || config.schedule.mode == ScheduleMode::Reference {
        let what = "a coordinator runs layers; give a rule other than backprop, in the mode lock-step, free-running or virtual-time";
        return Err(what.into());
    }
    if listen.port() == Some(0) {
        return Err(format!("{listen}: workers have to be told a port; give one above 0"));
    }
    let wanted = match config.links.transport {
        LinkTransport::Auto => return Ok(()),
        LinkTransport::InProcess => Transport::InProcess,
        LinkTransport::Bytes => Transport::Bytes,
        LinkTransport::Unix => Transport::Unix,
        LinkTransport::Tcp => Transport::Tcp,
    };
    let given = listen.transport();
    if wanted == given {
        return Ok(());
    }
    Err(format!(
        "links.transport is `{wanted}`, but workers that call at {listen} are linked by `{given}`; leave it at `auto`"
    ))
}
