//! What an update costs, counted from journals: phases, signals, directives, and numbers kept from one phase for another.

use std::collections::BTreeMap;

use serde::Serialize;

use super::reads::begins_remembered;
use crate::math::Real;
use crate::signal::Directive;
use crate::signal::journal::{Call, Entry, Said};

/// Signals in one direction of one link, per update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Traffic {
    /// The layer that speaks.
    pub from: usize,
    /// The layer it speaks to.
    pub to: usize,
    /// Signals said.
    pub messages: f64,
    /// Bytes of the numbers in them; stamps are not counted.
    pub bytes: f64,
    /// Signals heard: fewer where a newer one replaced one that was not heard.
    pub heard: f64,
}

/// What the updates of a run took, per update.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counts {
    /// Updates counted.
    pub updates: usize,
    /// Phases.
    pub phases: f64,
    /// Steps of the layer that took most.
    pub steps: f64,
    /// Every link and direction.
    pub links: Vec<Traffic>,
    /// Directives received by the layer that received most, by name. Questions of the audit itself are not counted.
    pub directives: BTreeMap<&'static str, f64>,
    /// Numbers that all layers together keep from one phase for another: states, and the currents that deviations are measured from.
    pub kept_states: usize,
    /// The same: Hebbian products, collected in one phase and completed in another.
    pub kept_products: usize,
    /// Numbers that all layers together keep from one step for the next: Hebbian products, where weights move during a phase.
    pub kept_between_steps: usize,
}

impl Counts {
    /// Signals and bytes of all links in one direction: up if `up`, else down.
    pub fn traffic(&self, up: bool) -> (f64, f64) {
        let links = self.links.iter().filter(|link| (link.from < link.to) == up);
        links.fold((0.0, 0.0), |(messages, bytes), link| (messages + link.messages, bytes + link.bytes))
    }

    /// Directives of all kinds received by the layer that received most.
    pub fn directives_in_all(&self) -> f64 {
        self.directives.values().sum()
    }
}

/// Counts the journals of all layers.
pub fn counts<T: Real>(journals: &[Vec<Entry<T>>]) -> Counts {
    let most_told = journals.iter().map(|journal| told(journal)).max_by_key(|told| told.values().sum::<usize>());
    let told = most_told.unwrap_or_default();
    let updates = told.get("learn").copied().unwrap_or(0);
    let per_update = |count: usize| count as f64 / updates.max(1) as f64;
    let steps = |journal: &Vec<Entry<T>>| journal.iter().filter(|entry| matches!(entry.call, Call::Relax)).count();
    Counts {
        updates,
        phases: per_update(told.get("begin").copied().unwrap_or(0)),
        steps: per_update(journals.iter().map(steps).max().unwrap_or(0)),
        links: links(journals, per_update),
        directives: told.iter().map(|(&name, &count)| (name, per_update(count))).collect(),
        kept_states: sum_of_most(journals, |entry| {
            let remembered = if begins_remembered(entry) { entry.stored.remembered } else { 0 };
            remembered + entry.stored.ground
        }),
        kept_products: sum_of_most(journals, |entry| if begins(entry) { entry.stored.collected } else { 0 }),
        kept_between_steps: sum_of_most(journals, |entry| entry.stored.previous),
    }
}

fn begins<T>(entry: &Entry<T>) -> bool {
    matches!(entry.call, Call::Directive(Directive::Begin(_)))
}

/// Over all layers, the most that each kept at a time.
fn sum_of_most<T>(journals: &[Vec<Entry<T>>], kept: impl Fn(&Entry<T>) -> usize) -> usize {
    journals.iter().map(|journal| journal.iter().map(&kept).max().unwrap_or(0)).sum()
}

/// Directives by name.
fn told<T>(journal: &[Entry<T>]) -> BTreeMap<&'static str, usize> {
    let mut told = BTreeMap::new();
    for entry in journal {
        let Call::Directive(directive) = &entry.call else { continue };
        let name = match directive {
            Directive::Present { .. } => "present",
            Directive::Show(_) => "show",
            Directive::Begin(_) => "begin",
            Directive::Continue(_) => "continue",
            Directive::Recount => "recount",
            Directive::Halt => "halt",
            Directive::Remember => "remember",
            Directive::Collect { .. } => "collect",
            Directive::Learn | Directive::Transact(_) => "learn",
            Directive::Install(_) => "install",
            // The audit's own questions, and the number that simulated noise is a function of.
            Directive::Extract(_) | Directive::Number(_) => continue,
        };
        *told.entry(name).or_default() += 1;
    }
    told
}

fn links<T: Real>(journals: &[Vec<Entry<T>>], per_update: impl Fn(usize) -> f64) -> Vec<Traffic> {
    let direction = |from: usize, to: usize| {
        let (mut messages, mut numbers) = (0, 0);
        for entry in &journals[from] {
            let is_up = match entry.call {
                Call::SpeakPrediction => true,
                Call::SpeakError => false,
                _ => continue,
            };
            if let (true, Said::Signal(signal)) = (is_up == (from < to), &entry.said) {
                messages += 1;
                numbers += signal.numbers.len();
            }
        }
        let hears = |entry: &&Entry<T>| match entry.call {
            Call::Prediction(_) => from < to,
            Call::Error(_) => from > to,
            _ => false,
        };
        let heard = per_update(journals[to].iter().filter(hears).count());
        let bytes = per_update(numbers * size_of::<T>());
        Traffic { from, to, messages: per_update(messages), bytes, heard }
    };
    (1..journals.len()).flat_map(|upper| [direction(upper - 1, upper), direction(upper, upper - 1)]).collect()
}
