//! No text brings the reader down: random documents and overrides give a configuration or problems, never a panic.

use super::super::{Config, Diagnostic, KEYS, load_text, to_toml};

/// xorshift64*: small, seeded, enough to stir text.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn pick<'t>(&mut self, items: &[&'t str]) -> &'t str {
        items.get(self.below(items.len())).copied().unwrap_or_default()
    }
}

#[rustfmt::skip] // One line per piece would hide the rest.
const PIECES: &[&str] = &[
    "[", "]", "[[", "]]", "{", "}", "=", ".", ",", "\"", "'", "\"\"\"", "'''", "#", "\n", "\r\n", "\t", " ", "\\",
    "\\u12", "0x", "1e", "-", "+inf", "nan", "1979-05-27", "07:32", "true", "_", "é", "𝓛", "\u{feff}", "\u{0}",
    "\u{1b}", "\u{202e}", "9999999999999999999999999999999999999999", "1e999", "seed", "model", "learning",
    "widths", "data", "dir", "nudge", "links", "[784, 10]", "[1.0, -1]", "digits", "idx", "state", "f64", "0", "1",
];

fn scrambled(dice: &mut Dice) -> String {
    let length = dice.below(30);
    (0..length).map(|_| dice.pick(PIECES)).collect()
}

/// A full configuration with a few characters removed, replaced or put in.
fn damaged(dice: &mut Dice, whole: &str) -> String {
    let mut text: Vec<char> = whole.chars().collect();
    for _ in 0..dice.below(3) {
        let position = dice.below(text.len());
        let piece: Vec<char> = dice.pick(PIECES).chars().collect();
        let removed = dice.below(4).min(text.len() - position);
        text.splice(position..position + removed, piece);
    }
    text.into_iter().collect()
}

fn random_override(dice: &mut Dice) -> String {
    let key = KEYS.get(dice.below(KEYS.len() * 2)).map_or("seed", |key| key.path);
    match dice.below(4) {
        0 => scrambled(dice),
        1 => format!("{}={}", scrambled(dice), scrambled(dice)),
        _ => format!("{key}={}", if dice.below(2) == 0 { dice.pick(PIECES).to_owned() } else { scrambled(dice) }),
    }
}

fn assert_sound(problem: &Diagnostic, text: &str) {
    assert!(!problem.title.is_empty());
    for mark in &problem.marks {
        let place = &mark.place;
        assert!(place.column >= 1 && place.width >= 1, "{problem:?}");
        assert!(place.column <= place.text.chars().count() + 2, "{problem:?}");
        if place.origin == "mine.toml" {
            let lines = text.matches('\n').count() + 1;
            assert!(place.line.is_some_and(|line| line <= lines), "{problem:?}");
        }
    }
    assert!(!problem.to_string().contains(['\u{1b}', '\u{202e}', '\u{0}']), "{problem}");
}

#[test]
fn random_text_never_panics() {
    let whole = to_toml(&Config::default());
    let mut dice = Dice(0x5eed_0001);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..3_000 {
        let text = if round % 2 == 0 { scrambled(&mut dice) } else { damaged(&mut dice, &whole) };
        let overrides: Vec<String> = (0..dice.below(3)).map(|_| random_override(&mut dice)).collect();
        match load_text("mine.toml", &text, &overrides) {
            Ok(loaded) => {
                accepted += 1;
                let again = load_text("again", &to_toml(&loaded.config), &[]).map(|again| again.config);
                assert_eq!(again.as_ref(), Ok(&loaded.config), "{text:?} {overrides:?}");
                loaded.warnings.iter().for_each(|warning| assert_sound(warning, &text));
            }
            Err(error) => {
                refused += 1;
                assert!(!error.diagnostics.is_empty());
                error.diagnostics.iter().for_each(|problem| assert_sound(problem, &text));
            }
        }
    }
    assert!(accepted > 100 && refused > 1000, "the dice reach both ends: {accepted}, {refused}");
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{a=", "}"), ("[{a=", "}]")] {
        let value = format!("{}1{}", open.repeat(20_000), close.repeat(20_000));
        let text = format!("x = {value}");
        assert!(load_text("mine.toml", &text, &[]).is_err());
        assert!(load_text("mine.toml", "", &[format!("model.widths={value}")]).is_err());
    }
    assert!(load_text("mine.toml", &format!("{} = 1", "a.".repeat(20_000) + "a"), &[]).is_err());
    assert!(load_text("mine.toml", "", &[format!("{}a=1", "a.".repeat(20_000))]).is_err());
}
