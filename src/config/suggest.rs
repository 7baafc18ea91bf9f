//! What somebody meant who wrote a name that does not exist.
//!
//! In this order: a key of the same name in another table, a word of the field for something we call differently,
//! the most similar name in the same table, the most similar name anywhere. Used by `gather.rs` (keys),
//! `accept.rs` (words) and `presets.rs`.

use super::diagnostic::{Diagnostic, quoted};
use super::keys::{KEYS, Key, SECTIONS, keys_of};
use super::kind::comma_list;
use super::source::Lines;

/// Similarity (Jaro–Winkler, 0 to 1) from which a name is offered.
const SIMILAR: f64 = 0.8;

/// What papers and other programs call some of our keys.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("lr", "learning.param_lr"),
    ("learning_rate", "learning.param_lr"),
    ("weight_lr", "learning.param_lr"),
    ("inference_lr", "inference.activity_lr"),
    ("inference_rate", "inference.activity_lr"),
    ("step_size", "inference.activity_lr"),
    ("n_infer_iters", "inference.max_infer_iters"),
    ("steps", "inference.max_infer_iters"),
    ("iterations", "inference.max_infer_iters"),
    ("tol", "inference.tolerance"),
    ("lambda", "learning.nudge"),
    ("beta", "learning.nudge"),
    ("beta", "learning.beta1"),
    ("algorithm", "learning.rule"),
    ("optim", "learning.optimizer"),
    ("layers", "model.widths"),
    ("layer_sizes", "model.widths"),
    ("hidden", "model.widths"),
    ("activation", "model.act_fn"),
    ("output_activation", "model.output_act_fn"),
    ("loss_fn", "model.loss"),
    ("dataset", "data.name"),
    ("batch", "data.batch_size"),
    ("processes", "workers"),
    ("out_dir", "output.dir"),
];

/// The candidate most like `word`, if any is like it at all. Case and the kind of dash do not count.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = folded(word);
    let scored = candidates.into_iter().map(|name| (strsim::jaro_winkler(&word, &folded(name)), name));
    let best = scored.fold(None, |best: Option<(f64, &str)>, next| match best {
        Some(best) if best.0 >= next.0 => Some(best),
        _ => Some(next),
    });
    best.filter(|(score, _)| *score >= SIMILAR).map(|(_, name)| name)
}

/// The keys that may have been meant by `leaf` in the table `section` (empty: top level), as whole names.
fn meant_keys(section: &str, leaf: &str) -> Vec<&'static str> {
    let leaf = leaf.trim();
    let paths = |keys: Vec<&Key>| keys.iter().map(|key| key.path).collect::<Vec<_>>();
    let named = |name: &str| KEYS.iter().filter(|key| key.leaf() == name).collect();
    let same_name = paths(named(&folded(leaf)));
    if !same_name.is_empty() {
        return same_name;
    }
    let other_words = OTHER_WORDS.iter().filter(|(word, _)| *word == folded(leaf));
    let meant: Vec<&str> = other_words.map(|(_, path)| *path).collect();
    if !meant.is_empty() {
        return meant;
    }
    let in_table = nearest(leaf, keys_of(section).map(Key::leaf));
    if let Some(found) = in_table {
        return paths(keys_of(section).filter(|key| key.leaf() == found).collect());
    }
    match nearest(leaf, KEYS.iter().map(Key::leaf)) {
        Some(found) => paths(named(found)),
        // Outside tables somebody may have joined table and key, as in `learning_nudge`.
        None if section.is_empty() => nearest(leaf, KEYS.iter().map(|key| key.path)).into_iter().collect(),
        None => Vec::new(),
    }
}

/// The problem of a table that does not exist.
pub(super) fn unknown_table(name: &str) -> Diagnostic {
    let problem = Diagnostic::error(format!("unknown table {}", quoted(&format!("[{name}]"))));
    let problem = match nearest(name, SECTIONS.iter().map(|section| section.name)) {
        Some(section) => problem.help(format!("did you mean `[{section}]`?")),
        None => problem,
    };
    problem.help(format!("known tables: {}", tables()))
}

/// The problem of a table that was given a single value.
pub(super) fn not_a_table(name: &str) -> Diagnostic {
    let keys: Vec<&str> = keys_of(name).map(Key::leaf).collect();
    Diagnostic::error(format!("`{name}` is a table of keys, not a value"))
        .help(format!("keys of [{name}]: {}", comma_list(&keys)))
}

/// The problem of a key that does not exist: `leaf` in the table `section` (empty: outside tables).
pub(super) fn unknown_key(section: &str, leaf: &str, lines: Lines) -> Diagnostic {
    let path = if section.is_empty() { leaf.to_owned() } else { format!("{section}.{leaf}") };
    let problem = Diagnostic::error(format!("unknown key {}", quoted(&path)));
    // In a file the table is given by its header; an override always needs the whole name.
    let offered = |path: &&str| match path.split_once('.') {
        Some((table, leaf)) if table == section && lines == Lines::Numbered => format!("`{leaf}`"),
        _ => format!("`{path}`"),
    };
    let offers: Vec<String> = meant_keys(section, leaf).iter().map(offered).collect();
    let problem =
        if offers.is_empty() { problem } else { problem.help(format!("did you mean {}?", offers.join(" or "))) };
    let known: Vec<&str> = keys_of(section).map(Key::leaf).collect();
    if section.is_empty() {
        problem.help(format!("known keys outside tables: {}; tables: {}", comma_list(&known), tables()))
    } else if known.is_empty() {
        problem.help(format!("known tables: {}", tables()))
    } else {
        problem.help(format!("known keys of [{section}]: {}", comma_list(&known)))
    }
}

fn tables() -> String {
    SECTIONS.iter().map(|section| format!("[{}]", section.name)).collect::<Vec<_>>().join(", ")
}

fn folded(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}
