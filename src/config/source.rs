//! Text with a known origin, and the places inside it.
//!
//! A configuration is made of several texts: one file or preset, any number of overrides, and the defaults. Each
//! is a [`Source`]; a byte range of a source becomes a [`Place`], which is all that an error message needs.
//! `document.rs` reads values out of a source.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use super::diagnostic::{Diagnostic, Place, quoted};

/// No configuration is longer than this many bytes; a longer file is a mistake (a data file, a device).
const BYTES_MOST: u64 = 1 << 20;

/// How the lines of a source are named in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// By number, as in a file.
    Numbered,
    /// Not at all: the source is one line, such as an override.
    Single,
}

/// One text of a configuration.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) origin: String,
    pub(super) text: String,
    lines: Lines,
}

impl Source {
    /// A text with numbered lines: a file, a preset.
    pub(super) fn document(origin: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        Self { origin: origin.into(), text, lines: Lines::Numbered }
    }

    /// The override number `position` (from 1), as given on the command line.
    pub(super) fn assignment(position: usize, text: &str) -> Self {
        let origin = format!("command line, override {position}");
        Self { origin, text: text.to_owned(), lines: Lines::Single }
    }

    /// The text of a file.
    pub(super) fn file(path: &Path) -> Result<Self, Diagnostic> {
        let shown = path.display().to_string();
        let unreadable = |reason: String| Diagnostic::error(format!("cannot read {}: {reason}", quoted(&shown)));
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(BYTES_MOST + 1).read_to_end(&mut bytes));
        read.map_err(|error| unreadable(error.to_string()))?;
        if bytes.len() as u64 > BYTES_MOST {
            return Err(unreadable(format!("longer than {BYTES_MOST} bytes, so it is no configuration")));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::document(shown, text)),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let start = error.as_bytes().get(..valid).unwrap_or_default();
                let line = start.iter().filter(|byte| **byte == b'\n').count() + 1;
                Err(unreadable(format!("line {line} is not UTF-8 text")))
            }
        }
    }

    /// The place of a byte range. Ranges outside the text are moved to its end.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let start = self.boundary(span.start);
        let (before, after) = self.text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = after.find('\n').map_or(self.text.len(), |newline| start + newline);
        let end = self.boundary(span.end).clamp(start, line_end);
        let characters = |range: Range<usize>| self.text.get(range).map_or(0, |part| part.chars().count());
        let line = self.text.get(line_start..line_end).unwrap_or_default();
        Place {
            origin: self.origin.clone(),
            line: (self.lines == Lines::Numbered).then(|| before.matches('\n').count() + 1),
            column: characters(line_start..start) + 1,
            width: characters(start..end).max(1),
            text: line.trim_end_matches('\r').to_owned(),
        }
    }

    /// How the lines of this source are named.
    pub(super) fn lines(&self) -> Lines {
        self.lines
    }

    /// Where a byte range begins, in words: `file:line` or the origin alone.
    pub(super) fn position(&self, span: Range<usize>) -> String {
        match self.place(span).line {
            Some(line) => format!("{}:{line}", self.origin),
            None => self.origin.clone(),
        }
    }

    fn boundary(&self, wanted: usize) -> usize {
        let mut index = wanted.min(self.text.len());
        while !self.text.is_char_boundary(index) {
            index -= 1;
        }
        index
    }
}
