//! Named places at which a process can be made to die as if it had been killed. For tests, and in builds with debug assertions only:
//! in a release build no environment variable can end a run.
//!
//! `ASYNAPSE_CRASH=FOLDER:NAME@N,…` ends whatever process passes the place of this name as the Nth, counted over all processes that
//! share the folder: every passing leaves a file `NAME.1`, `NAME.2`, … there, up to the last that is asked for, so that a test can
//! see that the place was reached, and so that a run that goes on is not ended there again.

use crate::signal::{Directive, Wanted};
use crate::transaction::Order;

/// The places before and behind what a layer does with a directive.
pub(crate) fn places<T>(directive: &Directive<T>) -> [&'static str; 2] {
    match directive {
        Directive::Present { .. } => ["worker.present", "worker.presented"],
        Directive::Begin(_) => ["worker.begin", "worker.begun"],
        Directive::Collect { .. } => ["worker.collect", "worker.collected"],
        Directive::Install(_) => ["worker.install", "worker.installed"],
        Directive::Transact(Order::Prepare(_)) => ["worker.prepare", "worker.prepared"],
        Directive::Transact(Order::Commit(_)) => ["worker.commit", "worker.committed"],
        Directive::Transact(Order::Store(_)) => ["worker.store", "worker.stored"],
        Directive::Extract(Wanted::Weights) => ["worker.extract", "worker.extracted"],
        _ => ["", ""],
    }
}

#[cfg(debug_assertions)]
mod armed {
    use std::fs::OpenOptions;
    use std::path::PathBuf;
    use std::sync::OnceLock;

    struct Armed {
        folder: PathBuf,
        points: Vec<(String, u32)>,
    }

    fn armed() -> Option<&'static Armed> {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        let read = || {
            let text = std::env::var("ASYNAPSE_CRASH").ok()?;
            let (folder, points) = text.split_once(':')?;
            let point = |point: &str| {
                let (name, count) = point.split_once('@')?;
                Some((name.to_owned(), count.parse().ok()?))
            };
            Some(Armed { folder: folder.into(), points: points.split(',').filter_map(point).collect() })
        };
        ARMED.get_or_init(read).as_ref()
    }

    pub(crate) fn is_armed() -> bool {
        armed().is_some()
    }

    pub(crate) fn point(name: &str) {
        let Some(armed) = armed() else { return };
        let counts = || armed.points.iter().filter(|(armed, _)| armed == name).map(|(_, count)| *count);
        let claims = |count: &u32| {
            let file = armed.folder.join(format!("{name}.{count}"));
            OpenOptions::new().write(true).create_new(true).open(file).is_ok()
        };
        let passed = (1..=counts().max().unwrap_or(0)).find(claims);
        if passed.is_some_and(|passed| counts().any(|count| count == passed)) {
            eprintln!("process {} ends itself at {name}", std::process::id());
            std::process::abort();
        }
    }
}

#[cfg(not(debug_assertions))]
mod armed {
    pub(crate) fn is_armed() -> bool {
        false
    }

    pub(crate) fn point(_name: &str) {}
}

pub(crate) use armed::{is_armed, point};
