//! Tests of the program as a whole: a process is started, and what it prints, leaves and returns is looked at.
//!
//! The oracles are the promises of the command line (exit codes, streams), the layout of the run directory read by other
//! programs' readers (csv, safetensors, JSON), and the program itself on another way to the same bits: the undisturbed run for
//! a resumed one, the reference for the actors. Nothing here is compared with what the program once printed.
//!
//! Where to go next: `program.rs` starts processes, `artefacts.rs` reads what they leave; the other files are families of tests.

mod artefacts;
mod auditing;
mod comparing;
mod configurations;
mod damage;
mod data_sets;
mod delaying;
mod delaying_groups;
#[cfg(target_os = "linux")]
mod delaying_hosts;
mod delaying_wall;
mod deviations;
mod diverged;
mod gradient;
#[cfg(target_os = "linux")]
mod hostile;
#[cfg(target_os = "linux")]
mod hosts;
#[cfg(unix)]
mod interrupted;
mod late_groups;
#[cfg(target_os = "linux")]
mod namespaces;
#[cfg(target_os = "linux")]
mod processes;
mod program;
#[cfg(target_os = "linux")]
mod recovered;
mod refused;
#[cfg(target_os = "linux")]
mod rejoined;
mod replayed;
mod reproduce;
mod resumed;
#[cfg(target_os = "linux")]
mod scattered;
mod schedules;
#[cfg(target_os = "linux")]
mod silent_lines;
mod streams;
mod study;
mod sweep;
mod torch;
mod trained;
#[cfg(unix)]
mod virtual_processes;
