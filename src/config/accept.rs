//! One value against the kind of its key: accepted as JSON, or refused with the reason and a way out.
//!
//! JSON is the common form in which the parts of a configuration are put together before serde makes a `Config`
//! of them (`gather.rs`). What is accepted here always deserialises; the limits come from `kind.rs`.

use serde_json::Value as Json;

use super::Format;
use super::diagnostic::{Diagnostic, quoted};
use super::document::{Content, Field, Value};
use super::keys::Key;
use super::kind::{Interval, Kind, LAWS, WIDEST, comma_list};
use super::source::Source;
use super::suggest::nearest;
use super::{Drawn, Law, Time};
use crate::network::Address;

/// The value as JSON if the key can hold it.
pub(super) fn accept(key: &Key, value: &Value, source: &Source) -> Result<Json, Diagnostic> {
    match (key.kind, &value.data) {
        (Kind::Flag, Content::Flag(flag)) => Ok(Json::from(*flag)),
        (Kind::Text, Content::Text(text)) => Ok(Json::from(text.as_str())),
        (Kind::Choice(words), Content::Text(text)) => choice(key, words, text, (value, source)),
        (Kind::Format, Content::Text(text)) => match text.parse::<Format>() {
            Ok(format) => Ok(Json::from(format.to_string())),
            Err(problem) => Err(refused(key, value, source).help(problem.to_string())),
        },
        (Kind::Integer { least, most }, Content::Integer(number)) => {
            within(*number, least, most).ok_or_else(|| refused(key, value, source))
        }
        (Kind::Number(interval), _) => number(interval, value).ok_or_else(|| refused(key, value, source)),
        (Kind::Widths, Content::List(items)) => widths(key, items, (value, source)),
        (Kind::Precision, Content::List(items)) if matches!(items.first().map(|i| &i.data), Some(Content::List(_))) => {
            each(items, of_units).map_err(|item| refused(key, item, source))
        }
        (Kind::Precision, Content::List(items)) if !items.is_empty() => {
            each(items, |item| number(Interval::Positive, item)).map_err(|item| refused(key, item, source))
        }
        (Kind::Precision, _) => number(Interval::Positive, value).ok_or_else(|| refused(key, value, source)),
        (Kind::Texts, Content::List(items)) => each(items, text).map_err(|item| refused(key, item, source)),
        (Kind::Numbers, Content::List(items)) => each(items, finite).map_err(|item| refused(key, item, source)),
        (Kind::Groups, Content::Text(text)) if text == "neuron" => Ok(Json::from(text.as_str())),
        (Kind::Placement, Content::Text(text)) if text == "auto" => Ok(Json::from(text.as_str())),
        (Kind::Placement, Content::List(items)) if !items.is_empty() => {
            each(items, layers).map_err(|item| refused(key, item, source))
        }
        (Kind::Groups, Content::Integer(number)) => {
            within(*number, 1, WIDEST).ok_or_else(|| refused(key, value, source))
        }
        (Kind::Law { zero }, Content::Table(fields)) => law(key, zero, fields, (value, source)),
        (Kind::Law { zero }, _) => {
            let interval = if zero { Interval::ZeroOrMore } else { Interval::Positive };
            let accepted = number(interval, value).filter(|number| number.as_f64().is_some_and(is_representable));
            accepted.ok_or_else(|| refused(key, value, source).help(TICK_HELP))
        }
        _ => Err(refused(key, value, source)),
    }
}

/// What is said where a time cannot be counted in ticks.
const TICK_HELP: &str = "times are counted in ticks of 2^-20 of a unit and go up to 2^20 units";

/// Zero, or at least one tick of virtual time and no longer than the longest span.
fn is_representable(time: f64) -> bool {
    time == 0.0 || (Time::TICK.units()..=Time::LONGEST).contains(&time)
}

/// A law of random times, as a table.
fn law(key: &Key, zero: bool, fields: &[Field], place: (&Value, &Source)) -> Result<Json, Diagnostic> {
    let (value, source) = place;
    let wrong = |what: String, at: &Value| {
        let problem = Diagnostic::error(format!("`{}` is not a law of times: {what}", key.path));
        Err(problem.at(source.place(at.span.clone())).help(format!("it must be {}", key.kind.demand())))
    };
    let mut table = serde_json::Map::new();
    for field in fields {
        let json = match &field.value.data {
            Content::Text(text) => Json::from(text.as_str()),
            Content::Integer(number) => Json::from(*number as f64),
            Content::Float(number) if number.is_finite() => Json::from(*number),
            _ => return wrong(format!("{} is no finite number", quoted(&field.name)), &field.value),
        };
        table.insert(field.name.clone(), json);
    }
    let Some(Json::String(name)) = table.get("law") else {
        return wrong(format!("it needs law = one of {}", comma_list(LAWS)), value);
    };
    if !LAWS.contains(&name.as_str()) {
        return wrong(format!("{} is none of {}", quoted(name), comma_list(LAWS)), value);
    }
    let table = Json::Object(table);
    let drawn: Drawn = match serde_json::from_value(table.clone()) {
        Ok(drawn) => drawn,
        Err(error) => return wrong(error.to_string(), value),
    };
    let law = Law::Drawn(drawn);
    if let Some(problem) = law.problem() {
        return wrong(problem, value);
    }
    if !zero && law.mean() == 0.0 {
        return wrong("no time passes by it".to_owned(), value);
    }
    if !is_representable(law.mean()) || !is_representable(law.least()) {
        return wrong(TICK_HELP.to_owned(), value);
    }
    Ok(table)
}

fn choice(key: &Key, words: &[&str], text: &str, place: (&Value, &Source)) -> Result<Json, Diagnostic> {
    if words.contains(&text) {
        return Ok(Json::from(text));
    }
    let (value, source) = place;
    let title = format!("unknown value {} for `{}`", quoted(text), key.path);
    let mut problem = Diagnostic::error(title).at(source.place(value.span.clone()));
    if let Some(near) = nearest(text, words.iter().copied()) {
        problem = problem.help(format!("did you mean `{near}`?"));
    }
    Err(problem.help(format!("allowed: {}", comma_list(words))))
}

fn widths(key: &Key, items: &[Value], place: (&Value, &Source)) -> Result<Json, Diagnostic> {
    let (value, source) = place;
    let width = |item: &Value| match item.data {
        Content::Integer(number) => within(number, 1, WIDEST),
        _ => None,
    };
    let list = each(items, width).map_err(|item| refused(key, item, source))?;
    if items.len() < 2 {
        let problem = refused(key, value, source);
        return Err(problem.help("a network has an input layer and an output layer at least"));
    }
    Ok(list)
}

/// The precisions of the units of one layer.
fn of_units(value: &Value) -> Option<Json> {
    match &value.data {
        Content::List(items) if !items.is_empty() => each(items, |item| number(Interval::Positive, item)).ok(),
        _ => None,
    }
}

/// All items as JSON, or the first that cannot be accepted.
fn each(items: &[Value], accepted: impl Fn(&Value) -> Option<Json>) -> Result<Json, &Value> {
    items.iter().map(|item| accepted(item).ok_or(item)).collect()
}

/// The layers of one process, or groups of them.
fn layers(item: &Value) -> Option<Json> {
    let layer = |item: &Value| match &item.data {
        Content::Integer(number) => within(*number, 0, WIDEST),
        Content::Text(text) => text.parse::<Address>().ok().map(|group| Json::from(group.to_string())),
        _ => None,
    };
    match &item.data {
        Content::List(items) => each(items, layer).ok(),
        _ => None,
    }
}

fn within(number: i128, least: u64, most: u64) -> Option<Json> {
    let number = u64::try_from(number).ok()?;
    (least..=most).contains(&number).then(|| Json::from(number))
}

fn number(interval: Interval, value: &Value) -> Option<Json> {
    let x = match value.data {
        Content::Integer(number) => number as f64,
        Content::Float(number) => number,
        _ => return None,
    };
    interval.contains(x).then(|| Json::from(x))
}

fn text(value: &Value) -> Option<Json> {
    if let Content::Text(text) = &value.data { Some(Json::from(text.as_str())) } else { None }
}

fn finite(value: &Value) -> Option<Json> {
    let x = match value.data {
        Content::Integer(number) => number as f64,
        Content::Float(number) => number,
        _ => return None,
    };
    x.is_finite().then(|| Json::from(x))
}

/// "must be …", with what was found instead under the caret.
fn refused(key: &Key, value: &Value, source: &Source) -> Diagnostic {
    let written = source.text.get(value.span.clone()).unwrap_or_default().trim();
    let found = match &value.data {
        Content::Text(text) if text.is_empty() => "found nothing".to_owned(),
        Content::Text(text) => format!("found the text {}", quoted(text)),
        Content::Integer(_) | Content::Float(_) | Content::Flag(_) => {
            format!("found {}", quoted(written))
        }
        Content::Date => format!("found the date {}", quoted(written)),
        Content::List(items) if items.is_empty() => "found an empty list".to_owned(),
        Content::List(items) => format!("found a list of {}", items.len()),
        Content::Table(_) => "found a table".to_owned(),
    };
    let problem = Diagnostic::error(format!("`{}` must be {}", key.path, key.kind.demand()))
        .at(source.place(value.span.clone()))
        .label(found);
    match hint(key.kind, &value.data) {
        Some(hint) => problem.help(hint),
        None => problem,
    }
}

/// A way out for the usual mistakes.
fn hint(kind: Kind, data: &Content) -> Option<String> {
    let is_numeric =
        matches!(kind, Kind::Integer { .. } | Kind::Number(_) | Kind::Precision | Kind::Groups | Kind::Law { .. });
    match data {
        Content::Text(text) if is_numeric && text.parse::<f64>().is_ok() => {
            Some(format!("write it without quotes: {}", text.trim()))
        }
        Content::Text(text) if text == "true" || text == "false" => Some(format!("write it without quotes: {text}")),
        Content::Text(text) if text.starts_with(['[', '{', '"', '\'']) => {
            Some("it cannot be read as TOML (is it complete?), so it was taken as text".to_owned())
        }
        Content::Float(x) if matches!(kind, Kind::Integer { .. }) && x.fract() == 0.0 => {
            Some(format!("write it without a decimal point: {x}"))
        }
        Content::Integer(number) => match kind {
            Kind::Integer { most, .. } if *number > i128::from(most) => Some(format!("the limit is {most}")),
            _ => None,
        },
        _ => None,
    }
}
