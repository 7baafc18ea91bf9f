//! From text to values that know where they stand: TOML documents and `key=value` overrides.
//!
//! Everything that depends on the TOML library is in this file. Its spans are kept on every name and value, because
//! each later check points back into the text. `gather.rs` goes on from here.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::diagnostic::{Diagnostic, quoted};
use super::source::Source;

/// Most syntax errors shown of one document: later ones are mostly echoes of the first.
const SYNTAX_ERRORS_SHOWN: usize = 5;

/// A value and the bytes it was read from.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) span: Range<usize>,
    pub(super) data: Content,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Integer(i128),
    Float(f64),
    Flag(bool),
    Text(String),
    Date,
    List(Vec<Value>),
    Table(Vec<Field>),
}

/// A name with its value.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) name_span: Range<usize>,
    pub(super) value: Value,
}

/// The fields of a TOML document in the order of the text, or its syntax errors.
pub(super) fn read_document(source: &Source) -> Result<Vec<Field>, Vec<Diagnostic>> {
    let (table, mut errors) = DeTable::parse_recoverable(&source.text);
    if errors.is_empty() {
        return Ok(fields(table.into_inner(), 0));
    }
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    let shown = errors.iter().take(SYNTAX_ERRORS_SHOWN);
    Err(shown.map(|error| syntax_error(source, error)).collect())
}

/// An override: the name before the first `=`, with dots, and the value after it.
///
/// The value is TOML where it can be read as TOML, and otherwise the bare text, so that words need no quotes.
pub(super) fn read_assignment(source: &Source) -> Result<Field, Diagnostic> {
    let text = source.text.as_str();
    let Some((name, value)) = text.split_once('=') else {
        let problem = Diagnostic::error(format!("override {} is not of the form key=value", quoted(text)));
        return Err(problem.at(source.place(0..text.len())).label("no `=` in it"));
    };
    let name_span = trimmed(name, 0);
    let path: Vec<&str> = name.split('.').map(str::trim).collect();
    if path.iter().any(|part| part.is_empty()) {
        let problem = Diagnostic::error(format!("override {} does not name a key", quoted(text)));
        return Err(problem.at(source.place(name_span)).label("a part of the name is missing"));
    }
    let span = trimmed(value, name.len() + 1);
    let raw = text.get(span.clone()).unwrap_or_default();
    let value = match DeValue::parse(raw) {
        Ok(parsed) => located(parsed, span.start),
        Err(_) => Value { span, data: Content::Text(raw.to_owned()) },
    };
    Ok(Field { name: path.join("."), name_span, value })
}

/// The range of `part` without the white space around it, where `part` begins at byte `start` of its text.
fn trimmed(part: &str, start: usize) -> Range<usize> {
    let leading = part.len() - part.trim_start().len();
    let length = part.trim().len();
    start + leading..start + leading + length
}

fn syntax_error(source: &Source, error: &toml::de::Error) -> Diagnostic {
    let span = error.span().unwrap_or(0..0);
    let rest = source.text.get(span.start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let before = source.text.get(..span.start).unwrap_or_default();
    let value_is_missing = before.trim_end_matches([' ', '\t']).ends_with('=') && rest.trim().is_empty();
    let label = if value_is_missing { "a value is missing" } else { error.message() };
    Diagnostic::error("this is not TOML").at(source.place(span)).label(label.replace('\n', "; "))
}

fn fields(table: DeTable<'_>, start: usize) -> Vec<Field> {
    let mut fields: Vec<Field> = table
        .into_iter()
        .map(|(name, value)| Field {
            name_span: shifted(name.span(), start),
            name: name.into_inner().into_owned(),
            value: located(value, start),
        })
        .collect();
    fields.sort_by_key(|field| field.name_span.start);
    fields
}

fn located(value: Spanned<DeValue<'_>>, start: usize) -> Value {
    let span = shifted(value.span(), start);
    let data = match value.into_inner() {
        DeValue::String(text) => Content::Text(text.into_owned()),
        DeValue::Integer(number) => Content::Integer(integer(&number)),
        DeValue::Float(number) => Content::Float(float(&number)),
        DeValue::Boolean(flag) => Content::Flag(flag),
        DeValue::Datetime(_) => Content::Date,
        DeValue::Array(items) => Content::List(items.into_iter().map(|item| located(item, start)).collect()),
        DeValue::Table(table) => Content::Table(fields(table, start)),
    };
    Value { span, data }
}

/// Integers beyond 128 bits become the largest one, which no key accepts.
fn integer(number: &DeInteger<'_>) -> i128 {
    i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX)
}

/// Floats that cannot be read become NaN, which no key accepts.
fn float(number: &DeFloat<'_>) -> f64 {
    number.as_str().parse().unwrap_or(f64::NAN)
}

fn shifted(span: Range<usize>, start: usize) -> Range<usize> {
    span.start + start..span.end + start
}
