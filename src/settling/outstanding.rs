//! Settling of many groups within one process: a count of everything that is still outstanding, instead of a report from each.
//!
//! ```text
//! outstanding = groups that are not at rest + listeners who have not looked since something new was said to them
//! quiet         outstanding = 0
//! ```
//!
//! The rules that make it safe, each about one atomic operation:
//!
//! 1. a group is counted from the beginning of a phase until it comes to rest ([`Outstanding::rests`]);
//! 2. a listener is counted *before* the mark that something is new can be seen, and withdrawn if the mark was there already;
//! 3. a group at rest that is to look counts itself *before* it takes the mark away ([`Outstanding::add`]), and only then reads.
//!
//! Why the count is zero only when all is quiet: what adds to the count is a group that is counted itself (rule 2) or a listener whose
//! mark is (rule 3), so whenever anybody is awake or anything unheard, at least one is counted. Once zero it stays zero until a directive
//! comes. The group that brings it to zero says so, once; nothing else is ever reported, and a million groups cost one message.
//! `tests/it/outstanding.rs` walks every interleaving of these operations, and of orders of them that are wrong.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// How much is outstanding in one process.
#[derive(Debug, Default)]
pub struct Outstanding(AtomicUsize);

impl Outstanding {
    /// With this much outstanding.
    pub fn of(count: usize) -> Self {
        Self(AtomicUsize::new(count))
    }

    /// How much is outstanding now.
    pub fn count(&self) -> usize {
        self.0.load(SeqCst)
    }

    /// A phase begins, and every group is awake. To be called before any of them can hear of it.
    pub fn begin(&self, groups: usize) {
        self.0.fetch_add(groups, SeqCst);
    }

    /// One thing more. Whoever calls this is counted, or is about to take away a mark that is.
    pub fn add(&self) {
        self.0.fetch_add(1, SeqCst);
    }

    /// One thing less, by somebody who stays counted.
    pub fn withdraw(&self) {
        self.0.fetch_sub(1, SeqCst);
    }

    /// A group comes to rest; true if with it everything has.
    #[must_use]
    pub fn rests(&self) -> bool {
        self.0.fetch_sub(1, SeqCst) == 1
    }
}
