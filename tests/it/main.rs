//! One integration binary. Each file is a family of oracles; see ARCHITECTURE.md for which oracle guards what.

mod audit;
mod checkpoints;
mod cli;
mod common;
mod continual;
mod data;
mod delay;
mod deviation;
mod echo;
mod family;
mod feedback;
mod free_groups;
mod free_running;
#[cfg(unix)]
mod fuzzing;
mod gradients;
mod groups;
mod kernel;
mod lock_step;
#[cfg(unix)]
mod members;
mod numerics;
mod orders;
mod outstanding;
mod outstanding_ways;
mod precision;
#[cfg(unix)]
mod scattered;
mod settling;
mod shards;
mod silence;
mod stalls;
mod tidy;
mod transaction;
#[cfg(unix)]
mod transports;
mod virtual_delays;
mod virtual_groups;
mod virtual_noise;
mod virtual_time;
mod wall_clock;
mod wall_groups;
mod wire;
