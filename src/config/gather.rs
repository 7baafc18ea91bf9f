//! From sources to one configuration: names are looked up, values accepted, later sources win, defaults fill the rest.
//!
//! [`Gathered`] keeps for every key where it was set, so that `rules.rs` can point at it, and which keys hold a value
//! that was refused, so that no rule complains about a default that stands in for it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Value as Json;

use super::accept::accept;
use super::diagnostic::{Diagnostic, Place, quoted};
use super::document::{Content, Field, Value, read_assignment, read_document};
use super::keys::{KEYS, Key, find, is_section, parts_of};
use super::kind::{Kind, comma_list};
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

/// A key that was set for one layer or link.
#[derive(Clone, Debug)]
struct Part<'s> {
    /// Table, name of the part, key.
    names: [String; 3],
    setting: Setting<'s>,
}

/// Everything that was set, and everything that was wrong.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered<'s> {
    settings: BTreeMap<&'static str, Setting<'s>>,
    /// The overrides for single layers and links: whole name, such as `links.2->1.delay`.
    parts: BTreeMap<String, Part<'s>>,
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
        for Part { names: [section, part, leaf], setting } in self.parts.values() {
            if let Some(Json::Object(fields)) = tree.get_mut(section) {
                let part = fields.entry(part.as_str()).or_insert_with(|| Json::Object(serde_json::Map::new()));
                part[leaf] = setting.value.clone();
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
        match self.settings.get(path).or_else(|| self.parts.get(path).map(|part| &part.setting)) {
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
        match (find(&path), &field.value.data) {
            (Some(key), _) => return self.set(source, key, &field.value),
            (None, Content::Table(fields)) if parts_of(section).is_some() => {
                return fields.iter().for_each(|inner| self.part(source, (section, &field.name), inner));
            }
            _ => {}
        }
        let problem = unknown_key(section, &field.name, source.lines());
        self.problem(problem.at(source.place(field.name_span.clone())));
    }

    /// A key of a table inside a table: the same key for one layer or link.
    fn part(&mut self, source: &'s Source, (section, part): (&str, &str), field: &Field) {
        let Some(parts) = parts_of(section) else { return };
        let leaf = field.name.as_str();
        let key = find(&format!("{section}.{leaf}")).filter(|_| parts.keys.contains(&leaf));
        let path = format!("{section}.{part}.{leaf}");
        let Some(key) = key else {
            let problem = Diagnostic::error(format!("unknown key {}", quoted(&path)));
            let problem = problem.at(source.place(field.name_span.clone()));
            let known = format!("keys of [{section}.\"{part}\"]: {}", comma_list(parts.keys));
            return self.problem(problem.help(known).help(format!("`{part}` stands for {}", parts.meaning)));
        };
        match accept(key, &field.value, source) {
            Ok(value) => {
                let setting = Setting { source, span: field.value.span.clone(), value };
                let names = [section.to_owned(), part.to_owned(), leaf.to_owned()];
                self.parts.insert(path, Part { names, setting });
            }
            Err(mut problem) => {
                // The message is made for the key of the whole table; it is this part of it that is wrong.
                problem.title = problem.title.replace(&format!("`{}`", key.path), &format!("`{path}`"));
                self.problem(problem);
            }
        }
    }

    fn assigned(&mut self, source: &'s Source, mut field: Field) {
        if let Some(key) = find(&field.name) {
            as_text_where_text_is_wanted(key, &mut field.value, source);
            return self.set(source, key, &field.value);
        }
        let name = field.name.clone();
        match name.split_once('.') {
            Some((section, rest)) if parts_of(section).is_some() && rest.contains('.') => {
                let (part, leaf) = rest.rsplit_once('.').unwrap_or((rest, ""));
                field.name = leaf.to_owned();
                if let Some(key) = find(&format!("{section}.{leaf}")) {
                    as_text_where_text_is_wanted(key, &mut field.value, source);
                }
                self.part(source, (section, part.trim_matches(['"', '\''])), &field);
            }
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
    let wants_text = matches!(key.kind, Kind::Text | Kind::Choice(_) | Kind::Format);
    if wants_text && !matches!(value.data, Content::Text(_)) {
        let end = source.text.trim_end().len();
        value.span.end = end.max(value.span.start);
        value.data = Content::Text(source.text.get(value.span.clone()).unwrap_or_default().to_owned());
    }
}
