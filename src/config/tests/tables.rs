//! The table of keys, the structs, the words of the mathematics, the schema and the README say the same.

use serde_json::Value as Json;

use super::super::write::{tree, value_at};
use super::super::{Config, KEYS, SECTIONS, key_table, presets, schema};
use super::config;

const README: &str = include_str!("../../../configs/README.md");

/// The names of the keys as serde writes them, in the order of the structs.
fn serialised_keys() -> Vec<String> {
    let text = toml::to_string(&Config::default()).expect("the defaults as TOML");
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((name, _)) = line.split_once(" = ") {
            keys.push(format!("{section}{name}"));
        }
    }
    keys
}

#[test]
fn the_table_of_keys_and_the_structs_have_the_same_keys_in_the_same_order() {
    let table: Vec<&str> = KEYS.iter().map(|key| key.path).collect();
    assert_eq!(table, serialised_keys());
    let mut sections: Vec<&str> = KEYS.iter().map(|key| key.section()).collect();
    sections.dedup();
    let named: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
    assert_eq!(sections[1..], named);
}

#[test]
fn the_allowed_words_are_those_of_the_mathematics() {
    for key in KEYS.iter().filter(|key| !key.kind.allowed().is_empty()) {
        let mut tree = tree(&Config::default());
        let (section, leaf) = (key.section(), key.leaf());
        let branch = if section.is_empty() { &mut tree } else { &mut tree[section] };
        branch[leaf] = Json::from("?");
        let message = serde_json::from_value::<Config>(tree).expect_err("no such word").to_string();
        let (_, expected) = message.split_once("expected").expect("serde lists what it expects");
        let words: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        assert_eq!(words, key.kind.allowed(), "{}", key.path);
    }
}

#[test]
fn every_allowed_word_can_be_chosen() {
    // What the other keys have to be so that every word can be honoured.
    let company = [
        "schedule.mode=virtual-time",
        "model.loss=squared-error",
        "data.dir=x",
        "learning.optimizer=sgd",
        "learning.weight_decay=1e-3",
    ];
    for key in KEYS {
        for word in key.kind.allowed().iter().filter(|word| **word != "digits") {
            let chosen = format!("{}={word}", key.path);
            let alone = ["schedule.mode", "model.loss", "inference.variables", "links.transport"].contains(&key.path);
            let reference = ["schedule.mode=reference", chosen.as_str()];
            let overrides = if key.path == "schedule.order" {
                reference.to_vec()
            } else if alone {
                vec![chosen.as_str()]
            } else {
                [&company[..], &[chosen.as_str()]].concat()
            };
            let tree = tree(&config("", &overrides));
            assert_eq!(value_at(&tree, key.path), &Json::from(*word));
        }
    }
}

#[test]
fn the_schema_has_every_key_with_its_default_and_no_other() {
    let schema = schema();
    let defaults = tree(&Config::default());
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for key in KEYS {
        let properties = match key.section() {
            "" => &schema["properties"],
            section => &schema["properties"][section]["properties"],
        };
        let described = &properties[key.leaf()];
        assert!(described["description"].is_string(), "{}", key.path);
        assert_eq!(&described["default"], value_at(&defaults, key.path), "{}", key.path);
    }
    let count = |table: &Json| table["properties"].as_object().map_or(0, |keys| keys.len());
    let nested: usize = SECTIONS.iter().map(|section| count(&schema["properties"][section.name])).sum();
    assert_eq!(count(&schema) - SECTIONS.len() + nested, KEYS.len());
    let closed = SECTIONS.iter().all(|section| schema["properties"][section.name]["additionalProperties"] == false);
    assert!(closed && schema["additionalProperties"] == false);
    assert_eq!(schema["properties"]["model"]["properties"]["act_fn"]["enum"][1], "relu");
    assert_eq!(schema["properties"]["data"]["properties"]["batch_size"]["maximum"], 65_536);
}

#[test]
fn the_readme_has_the_table_of_keys() {
    let table = key_table();
    for row in table.lines() {
        assert!(README.contains(row), "configs/README.md lacks this row, or states it otherwise:\n{row}");
    }
    let (_, written) = README.split_once("| key |").expect("a table of keys");
    assert_eq!(format!("| key |{written}").trim_end(), table.trim_end(), "the table ends the page");
}

#[test]
fn the_readme_has_every_preset() {
    for preset in presets() {
        let row = format!("| [`{0}`]({0}.toml) | {1} |", preset.name, preset.summary);
        assert!(README.contains(&row), "configs/README.md lacks this row:\n{row}");
    }
}
