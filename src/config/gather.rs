//! From sources to one configuration: names are looked up, values accepted, later sources win, defaults fill the rest.
//!
//! [`Gathered`] keeps for every key where it was set, so that `rules.rs` can point at it, and which keys hold a value
//! that was refused, so that no rule complains about a default that stands in for it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Value as Json;

use super::accept::accept;
use super::diagnostic::{Diagnostic, Place};
use super::document::{Content, Field, Value, read_assignment, read_document};
use super::keys::{KEYS, Key, find, is_section};
use super::kind::Kind;
use super::source::Source;
use super::suggest::{not_a_table, unknown_key, unknown_table};
use super::values::{Config, DataName};
use super::write::{place_in_defaults, tree};

/// After this many problems the search ends: whoever has so many has given the wrong file.
const PROBLEMS_MOST: usize = 50;

/// A key that was set, and where.
#[derive(Clone, Debug)]
pub(super) struct Setting<'s> {
    source: &'s Source,
    span: Range<usize>,
    value: Json,
}

/// Everything that was set, and everything that was wrong.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered<'s> {
    settings: BTreeMap<&'static str, Setting<'s>>,
    refused: BTreeSet<&'static str>,
    pub(super) problems: Vec<Diagnostic>,
}

impl<'s> Gathered<'s> {
    /// Takes in a document: a file or a preset.
    pub(super) fn document(&mut self, source: &'s Source) {
        match read_document(source) {
            Ok(fields) => fields.iter().for_each(|field| self.top_level(source, field)),
            Err(problems) => {
                problems.into_iter().for_each(|problem| self.problem(problem));
                // Nothing is known about any key of this text, so no rule can judge one.
                self.refused.extend(KEYS.iter().map(|key| key.path));
            }
        }
    }

    /// Takes in an override; it wins over everything taken in before.
    pub(super) fn assignment(&mut self, source: &'s Source) {
        match read_assignment(source) {
            Ok(field) => self.assigned(source, field),
            Err(problem) => self.problem(problem),
        }
    }

    /// The configuration: what was set, on top of the defaults.
    pub(super) fn config(&self) -> Result<Config, Diagnostic> {
        let mut tree = tree(&Config::default());
        for (path, setting) in &self.settings {
            let branch = path.split('.').try_fold(&mut tree, |branch, name| branch.get_mut(name));
            if let Some(branch) = branch {
                *branch = setting.value.clone();
            }
        }
        let mut config: Config = serde_json::from_value(tree)
            .map_err(|error| Diagnostic::error(format!("the table of keys does not fit `Config`: {error}")))?;
        self.resolve_data(&mut config.data);
        Ok(config)
    }

    /// Whether the key was given at all, even with a value that was refused.
    pub(super) fn is_set(&self, path: &str) -> bool {
        self.settings.contains_key(path) || self.refused.contains(path)
    }

    /// Whether the key was given a value that it cannot hold.
    pub(super) fn is_refused(&self, path: &str) -> bool {
        self.refused.contains(path)
    }

    /// Where the value of a key stands; keys that were not set stand in the defaults.
    pub(super) fn place(&self, path: &str) -> Place {
        match self.settings.get(path) {
            Some(setting) => setting.source.place(setting.span.clone()),
            None => place_in_defaults(path),
        }
    }

    /// For every key that was set, where: `file:line`, or which override.
    pub(super) fn positions(&self) -> BTreeMap<&'static str, String> {
        let position = |setting: &Setting<'_>| setting.source.position(setting.span.clone());
        self.settings.iter().map(|(path, setting)| (*path, position(setting))).collect()
    }

    /// A folder of IDX files says by itself which data are meant, and that all of them are.
    fn resolve_data(&self, data: &mut super::Data) {
        if !data.dir.is_empty() && !self.is_set("data.name") {
            data.name = DataName::Idx;
        }
        if data.name == DataName::Idx {
            for (path, samples) in [("data.train", &mut data.train), ("data.test", &mut data.test)] {
                if !self.is_set(path) {
                    *samples = 0;
                }
            }
        }
    }

    fn problem(&mut self, problem: Diagnostic) {
        match self.problems.len() {
            count if count < PROBLEMS_MOST => self.problems.push(problem),
            PROBLEMS_MOST => {
                self.problems
                    .push(Diagnostic::error(format!("more than {PROBLEMS_MOST} problems; the rest is not shown")));
            }
            _ => {}
        }
    }

    fn top_level(&mut self, source: &'s Source, field: &Field) {
        match &field.value.data {
            Content::Table(fields) if is_section(&field.name) => {
                fields.iter().for_each(|inner| self.leaf(source, &field.name, inner));
            }
            Content::Table(_) if find(&field.name).is_none() => {
                self.problem(unknown_table(&field.name).at(source.place(field.name_span.clone())));
            }
            _ if is_section(&field.name) => {
                self.problem(not_a_table(&field.name).at(source.place(field.value.span.clone())))
            }
            _ => self.leaf(source, "", field),
        }
    }

    fn leaf(&mut self, source: &'s Source, section: &str, field: &Field) {
        let path = if section.is_empty() { field.name.clone() } else { format!("{section}.{}", field.name) };
        match find(&path) {
            Some(key) => self.set(source, key, &field.value),
            None => {
                let problem = unknown_key(section, &field.name, source.lines());
                self.problem(problem.at(source.place(field.name_span.clone())));
            }
        }
    }

    fn assigned(&mut self, source: &'s Source, mut field: Field) {
        if let Some(key) = find(&field.name) {
            as_text_where_text_is_wanted(key, &mut field.value, source);
            return self.set(source, key, &field.value);
        }
        match field.name.split_once('.') {
            Some((section, leaf)) => {
                let problem = unknown_key(section, leaf, source.lines());
                self.problem(problem.at(source.place(field.name_span.clone())));
            }
            None => self.top_level(source, &field),
        }
    }

    fn set(&mut self, source: &'s Source, key: &'static Key, value: &Value) {
        match accept(key, value, source) {
            Ok(json) => {
                let setting = Setting { source, span: value.span.clone(), value: json };
                self.settings.insert(key.path, setting);
            }
            Err(problem) => {
                self.refused.insert(key.path);
                self.problem(problem);
            }
        }
    }
}

/// On the command line a text needs no quotes, even if it looks like a number or a date (`output.name=2024-05-01`).
fn as_text_where_text_is_wanted(key: &Key, value: &mut Value, source: &Source) {
    let wants_text = matches!(key.kind, Kind::Text | Kind::Choice(_));
    if wants_text && !matches!(value.data, Content::Text(_)) {
        let end = source.text.trim_end().len();
        value.span.end = end.max(value.span.start);
        value.data = Content::Text(source.text.get(value.span.clone()).unwrap_or_default().to_owned());
    }
}
