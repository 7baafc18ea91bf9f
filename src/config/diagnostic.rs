//! What a problem in a configuration looks like: plain data, printed the way rustc prints its errors.
//!
//! A problem is only useful with the place it sits in, so a [`Diagnostic`] carries the source line itself and
//! needs no file to be shown later. Places are made in `source.rs`; problems in `document.rs` (syntax),
//! `accept.rs` (one value), `gather.rs` (names) and `rules.rs` (several keys together).

use std::fmt;

use serde::Serialize;

/// Lines longer than this many characters are shown as a window around the caret.
const SHOWN_CHARACTERS: usize = 120;

/// How serious a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The configuration cannot be run.
    Error,
    /// The configuration can be run, but a setting in it has no effect.
    Warning,
}

/// A stretch of one source line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Where the line is from: a file, a preset, an override or the defaults.
    pub origin: String,
    /// Line number from 1; `None` where lines have no number (overrides, defaults).
    pub line: Option<usize>,
    /// First marked character of the line, from 1.
    pub column: usize,
    /// Number of marked characters, at least 1.
    pub width: usize,
    /// The whole line, without its line ending.
    pub text: String,
}

/// A place and what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// Where.
    pub place: Place,
    /// A few words beside the caret; may be empty.
    pub label: String,
}

/// One problem, with its places and what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub level: Level,
    /// The problem in one line, naming the key.
    pub title: String,
    /// Where it is, then other places that play a part. Empty when it is in no text (a file that cannot be read).
    pub marks: Vec<Mark>,
    /// What to do about it.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// Where the problem is.
    pub fn place(&self) -> Option<&Place> {
        self.marks.first().map(|mark| &mark.place)
    }

    /// An error without a place.
    pub(super) fn error(title: impl Into<String>) -> Self {
        Self { level: Level::Error, title: title.into(), marks: Vec::new(), help: Vec::new() }
    }

    /// The same problem, at a place; the first one is where it is.
    pub(super) fn at(mut self, place: Place) -> Self {
        self.marks.push(Mark { place, label: String::new() });
        self
    }

    /// The same problem, with words beside the last caret.
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        if let Some(mark) = self.marks.last_mut() {
            mark.label = label.into();
        }
        self
    }

    /// The same problem, with one more line of help.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        write!(out, "{word}: {}", printable(&self.title))?;
        let digits = |mark: &Mark| mark.place.line.map_or(1, |line| line.to_string().len());
        let gutter = self.marks.iter().map(digits).max().unwrap_or(1);
        for (index, mark) in self.marks.iter().enumerate() {
            let signs = if index == 0 { ["-->", "^"] } else { [":::", "-"] };
            write_mark(out, mark, gutter, signs)?;
        }
        for help in &self.help {
            write!(out, "\n{:gutter$} = help: {}", "", printable(help))?;
        }
        Ok(())
    }
}

/// Every problem of a configuration that cannot be run: those of each source in its order, then those between keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}", listed(.diagnostics))]
pub struct ConfigError {
    /// The problems; at least one of them is an error.
    pub diagnostics: Vec<Diagnostic>,
}

impl From<Diagnostic> for ConfigError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { diagnostics: vec![diagnostic] }
    }
}

fn listed(diagnostics: &[Diagnostic]) -> String {
    let mut parts: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    let errors = diagnostics.iter().filter(|problem| problem.level == Level::Error).count();
    if errors > 1 {
        parts.push(format!("error: the configuration has {errors} problems"));
    }
    parts.join("\n\n")
}

/// A piece of outside text in backticks, cut to a length that fits a line.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST {
        return format!("`{text}`");
    }
    let start: String = text.chars().take(MOST).collect();
    format!("`{start}…`")
}

/// Writes ` --> origin`, the source line and the carets under it; `signs` are the arrow and the caret.
fn write_mark(out: &mut fmt::Formatter<'_>, mark: &Mark, gutter: usize, signs: [&str; 2]) -> fmt::Result {
    let [arrow, caret] = signs;
    let place = &mark.place;
    write!(out, "\n{:gutter$}{arrow} {}", "", printable(&place.origin))?;
    let mut number = String::new();
    if let Some(line) = place.line {
        write!(out, ":{line}:{}", place.column)?;
        number = line.to_string();
    }
    let (text, carets) = window(place, caret);
    write!(out, "\n{:gutter$} |\n{number:gutter$} | {text}\n{:gutter$} | {carets}", "", "")?;
    if !mark.label.is_empty() {
        write!(out, " {}", printable(&mark.label))?;
    }
    Ok(())
}

/// The shown part of the line and the carets under it. Tabs become four spaces, so that both lines agree.
fn window(place: &Place, caret: &str) -> (String, String) {
    let first = place.column.saturating_sub(1);
    let length = place.text.chars().count();
    let skipped = if length > SHOWN_CHARACTERS { first.saturating_sub(SHOWN_CHARACTERS / 4) } else { 0 };
    let (mut text, mut carets) = (String::new(), String::new());
    if skipped > 0 {
        text.push('…');
        carets.push(' ');
    }
    for (position, character) in place.text.chars().enumerate().skip(skipped).take(SHOWN_CHARACTERS) {
        let cells = if character == '\t' { 4 } else { 1 };
        if position >= first && position < first.saturating_add(place.width) {
            carets.push_str(&caret.repeat(cells));
        } else if position < first {
            carets.push_str(&" ".repeat(cells));
        }
        match character {
            '\t' => text.push_str("    "),
            _ => text.push(plain(character)),
        }
    }
    if length > skipped + SHOWN_CHARACTERS {
        text.push('…');
    }
    if first >= length {
        carets.push_str(caret);
    }
    (text, carets)
}

/// Outside text without characters that steer a terminal.
fn printable(text: &str) -> String {
    text.chars().map(plain).collect()
}

fn plain(character: char) -> char {
    match character {
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => '\u{fffd}',
        _ if character.is_control() => '\u{fffd}',
        _ => character,
    }
}
