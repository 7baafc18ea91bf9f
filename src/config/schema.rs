//! The keys for other readers: a JSON Schema for editors, a Markdown table for people.
//!
//! Both are made from the table of keys (`keys.rs`) and the defaults (`values.rs`). The Markdown table is part of
//! `configs/README.md`, and a test compares the two, so neither can fall behind.

use serde_json::{Map, Value as Json, json};

use super::keys::{KEYS, Key, SECTIONS, keys_of};
use super::values::Config;
use super::write::{literal, tree, value_at};

/// The JSON Schema (draft 2020-12) of a configuration file. Rules between keys are not in it.
pub fn schema() -> Json {
    let defaults = tree(&Config::default());
    let mut properties = key_schemas("", &defaults);
    for section in SECTIONS {
        let mut table = json!({
            "type": "object",
            "description": section.meaning,
            "additionalProperties": false,
            "properties": key_schemas(section.name, &defaults),
        });
        if let Some(parts) = section.parts {
            let of_part: Map<String, Json> = parts
                .keys
                .iter()
                .map(|leaf| ((*leaf).to_owned(), table["properties"][leaf].clone()))
                .map(|(leaf, mut schema)| {
                    // Left out, it is what the table around it says.
                    schema.as_object_mut().map(|schema| schema.remove("default"));
                    (leaf, schema)
                })
                .collect();
            let part = json!({"type": "object", "additionalProperties": false, "properties": of_part});
            table["patternProperties"] = json!({ parts.pattern: part });
        }
        properties.insert(section.name.to_owned(), table);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Asynapse configuration",
        "description": "One run of Asynapse. Every key has a default.",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

/// The table of all keys in Markdown: name, type, default, meaning, equation.
pub fn key_table() -> String {
    let defaults = tree(&Config::default());
    let mut table = String::from("| key | type | default | meaning | paper |\n|---|---|---|---|---|\n");
    for key in KEYS {
        let cells = [
            format!("`{}`", key.path),
            key.kind.words(),
            format!("`{}`", literal(value_at(&defaults, key.path))),
            key.meaning.to_owned(),
            key.equation.to_owned(),
        ];
        table.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    table
}

fn key_schemas(section: &str, defaults: &Json) -> Map<String, Json> {
    let described = |key: &Key| {
        let mut schema = key.kind.schema();
        schema["description"] = Json::from(description(key));
        schema["default"] = value_at(defaults, key.path).clone();
        (key.leaf().to_owned(), schema)
    };
    keys_of(section).map(described).collect()
}

fn description(key: &Key) -> String {
    match key.equation {
        "" => key.meaning.to_owned(),
        equation => format!("{} ({equation})", key.meaning),
    }
}
