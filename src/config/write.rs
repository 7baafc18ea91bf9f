//! From a configuration back to text: the fully resolved `config.toml` of a run directory.
//!
//! Every key is written, so that a run can be repeated after the defaults have changed. Reading the text gives the
//! same configuration again (a test holds this). The same literals appear in messages about defaults.

use serde_json::Value as Json;

use super::diagnostic::Place;
use super::keys::{KEYS, Key, SECTIONS, Section, find, keys_of};
use super::values::Config;

/// The configuration as TOML, with every key, in the order of the table of keys.
pub fn to_toml(config: &Config) -> String {
    let tree = tree(config);
    let line = |key: &Key| format!("{} = {}\n", key.leaf(), literal(value_at(&tree, key.path)));
    let mut text: String = keys_of("").map(line).collect();
    for section in SECTIONS {
        text.push_str(&format!("\n[{}]\n", section.name));
        text.extend(keys_of(section.name).map(line));
        for (part, fields) in parts_at(&tree, section) {
            text.push_str(&format!("\n[{}.{}]\n", section.name, literal(&Json::from(part))));
            text.extend(fields.iter().map(|(leaf, value)| format!("{leaf} = {}\n", literal(value))));
        }
    }
    text
}

/// The configuration as a JSON tree with the structure of its TOML.
pub(super) fn tree(config: &Config) -> Json {
    // Writing plain structs cannot fail; an empty tree would be refused by every reader.
    serde_json::to_value(config).unwrap_or_default()
}

/// The tables inside a table that override its keys, with what they hold.
pub(super) fn parts_at<'t>(
    tree: &'t Json,
    section: &Section,
) -> impl Iterator<Item = (&'t str, &'t serde_json::Map<String, Json>)> {
    let fields = tree.get(section.name).and_then(Json::as_object).filter(|_| section.parts.is_some());
    let is_part = |name: &str| find(&format!("{}.{name}", section.name)).is_none();
    let parts = fields.into_iter().flatten().filter(move |(name, _)| is_part(name));
    parts.filter_map(|(name, value)| Some((name.as_str(), value.as_object()?)))
}

/// The value of a key in such a tree; null if there is none.
pub(super) fn value_at<'t>(tree: &'t Json, path: &str) -> &'t Json {
    const NONE: &Json = &Json::Null;
    path.split('.').try_fold(tree, |branch, name| branch.get(name)).unwrap_or(NONE)
}

/// The place of a key that nobody set.
pub(super) fn place_in_defaults(path: &str) -> Place {
    let value = literal(value_at(&tree(&Config::default()), path));
    Place {
        origin: "in the defaults".to_owned(),
        line: None,
        column: path.chars().count() + " = ".len() + 1,
        width: value.chars().count(),
        text: format!("{path} = {value}"),
    }
}

/// The keys in which two configurations differ.
pub(super) fn differing(one: &Config, other: &Config) -> Vec<&'static str> {
    let (one, other) = (tree(one), tree(other));
    let paths = KEYS.iter().map(|key| key.path);
    paths.filter(|path| value_at(&one, path) != value_at(&other, path)).collect()
}

/// A JSON value as TOML. Null stands for a number that is not finite.
pub(super) fn literal(value: &Json) -> String {
    match value {
        Json::String(text) => toml::Value::from(text.as_str()).to_string(),
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(literal).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Number(number) => match number.as_f64() {
            // Debug is the shortest text that reads back to the same number, with a point or an exponent.
            Some(x) if number.is_f64() => format!("{x:?}"),
            _ => number.to_string(),
        },
        Json::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name} = {}", literal(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Json::Null => "nan".to_owned(),
        other => other.to_string(),
    }
}
