//! Settings that are honoured to the letter and can surprise all the same: warnings, like those of `idle.rs`.

use super::diagnostic::{Diagnostic, Level};
use super::gather::Gathered;
use super::rules::placed;
use super::values::Config;
use super::{RuleName, ScheduleMode};

/// The surprise in store.
pub(super) fn warning(config: &Config, gathered: &Gathered<'_>) -> Option<Diagnostic> {
    let (from, to) = loses_for_good(config)?;
    let problem = Diagnostic::error(format!("`links.resend` is 0: what the link {from}->{to} loses is never said again"))
        .help("the forward wave of a phase is said once: a layer that misses it has nothing to answer and nothing to learn; set links.resend, \
               the time-out in units of model time, unless that is what you study");
    Some(placed(Diagnostic { level: Level::Warning, ..problem }, &["links.resend", "links.loss"], gathered))
}

/// The first link in virtual time that loses signals and never sends them again; on the wall clock this is refused.
fn loses_for_good(config: &Config) -> Option<(usize, usize)> {
    let depth = config.model.widths.len().saturating_sub(1);
    let links = (0..depth).flat_map(|lower| [(lower, lower + 1), (lower + 1, lower)]);
    let mut lossy = links.filter(|&(from, to)| {
        let laws = config.links.of(from, to);
        laws.loss > 0.0 && laws.resend == 0.0
    });
    let imposed = config.schedule.mode == ScheduleMode::VirtualTime && config.learning.rule != RuleName::Backprop;
    lossy.next().filter(|_| imposed)
}
