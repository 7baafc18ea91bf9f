//! What is typed for a key: one value, a list `a,b,c`, or a range `lo..hi:n` or `lo..hi:nlog`.
//!
//! ```text
//! linear   v_i = lo + (hi − lo) i/(n−1)          log   v_i = lo (hi/lo)^{i/(n−1)}          i = 0 … n−1
//! ```
//!
//! Commas inside of brackets or quotes belong to a value (`model.widths=[784,10],[784,32,10]`). Values stay text, exactly as an
//! override takes them; those of a range are rounded to twelve significant digits, so that 0.001 is called 0.001.

use serde::{Deserialize, Serialize};

use super::SweepError;
use crate::config::{KEYS, Kind};

/// Values of one range or list, more are a typing error.
const VALUES_MOST: usize = 100_000;

/// A key and the values it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    /// The whole name, such as `learning.nudge`.
    pub key: String,
    /// As they stand in an override; no two are the same.
    pub values: Vec<String>,
}

impl Axis {
    /// The axis a `key=values` word describes; `None` if it is one value, so a setting like any other.
    pub(super) fn read(word: &str) -> Result<Option<Self>, SweepError> {
        let Some((key, raw)) = word.split_once('=') else { return Ok(None) };
        let (key, raw) = (key.trim(), raw.trim());
        let problem = |problem: String| SweepError::Axis { word: word.to_owned(), problem };
        let values = match parts(raw) {
            Some(parts) if parts.len() > 1 => parts,
            _ => match range(key, raw).map_err(problem)? {
                Some(values) => values,
                None => return Ok(None),
            },
        };
        if values.len() > VALUES_MOST {
            return Err(problem(format!("has {} values; {VALUES_MOST} are the most", values.len())));
        }
        if values.iter().any(String::is_empty) {
            return Err(problem("has nothing between two commas".to_owned()));
        }
        let mut seen = std::collections::BTreeSet::new();
        if let Some(twice) = values.iter().find(|value| !seen.insert(value.as_str())) {
            return Err(problem(format!("has the value {twice} twice")));
        }
        Ok(Some(Self { key: key.to_owned(), values }))
    }
}

/// The parts between commas that are in no bracket and no quotes; `None` if a bracket or a quote is open at the end.
fn parts(text: &str) -> Option<Vec<String>> {
    let (mut depth, mut quote, mut start) = (0_usize, None, 0);
    let mut parts = Vec::new();
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), _) => quote = (open != character).then_some(open),
            (None, '"' | '\'') => quote = Some(character),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.checked_sub(1)?,
            (None, ',') if depth == 0 => {
                parts.push(text[start..at].trim().to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim().to_owned());
    (depth == 0 && quote.is_none()).then_some(parts)
}

/// What a key's numbers are; `None` for a key whose values are no numbers, so that `..` in them is part of a text.
fn is_whole(key: &str) -> Option<bool> {
    match KEYS.iter().find(|known| known.path == key).map(|known| known.kind) {
        Some(Kind::Integer { .. } | Kind::Groups) => Some(true),
        // A key that does not exist is refused with its nearest name when the grid is checked.
        Some(Kind::Number(_) | Kind::Precision) | None => Some(false),
        Some(_) => None,
    }
}

fn range(key: &str, raw: &str) -> Result<Option<Vec<String>>, String> {
    let (Some(whole), Some((lo, rest))) = (is_whole(key), raw.split_once("..")) else { return Ok(None) };
    const FORM: &str = "a range is lo..hi:n or lo..hi:nlog, such as 1e-4..1:5log";
    let (hi, count) = rest.split_once(':').ok_or_else(|| format!("has no number of values; {FORM}"))?;
    let (count, is_log) = match count.trim().strip_suffix("log") {
        Some(count) => (count.trim(), true),
        None => (count.trim(), false),
    };
    let number = |text: &str| {
        let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| format!("`{}` is no number; {FORM}", text.trim()))
    };
    let (lo, hi) = (number(lo)?, number(hi)?);
    let count: usize = count.parse().map_err(|_| format!("`{count}` is no number of values; {FORM}"))?;
    if !(2..=VALUES_MOST).contains(&count) {
        return Err(format!("has {count} values; a range has from 2 to {VALUES_MOST}"));
    }
    if lo >= hi {
        return Err(format!("begins at {lo}, which is not below its end {hi}"));
    }
    if is_log && lo <= 0.0 {
        return Err(format!("begins at {lo}; a range of equal ratios (log) begins above 0"));
    }
    let value = |index: usize| {
        let share = index as f64 / (count - 1) as f64;
        let exact = match (index, is_log) {
            (0, _) => lo,
            (index, _) if index == count - 1 => hi,
            (_, true) => 10_f64.powf(lo.log10() + (hi.log10() - lo.log10()) * share),
            (_, false) => lo + (hi - lo) * share,
        };
        // Eleven digits behind the point of the mantissa; what `format!` writes is always a number.
        let rounded: f64 = format!("{exact:.11e}").parse().unwrap_or(exact);
        match whole {
            false => Ok(format!("{rounded:?}")),
            true if is_log || rounded.fract() == 0.0 => Ok(format!("{:.0}", rounded.round())),
            true => Err(format!("contains {rounded}, and `{key}` holds whole numbers; give a list, or another n")),
        }
    };
    (0..count).map(value).collect::<Result<Vec<_>, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(word: &str) -> Vec<String> {
        Axis::read(word).expect("an axis").expect("more than one value").values
    }

    #[test]
    fn lists_are_cut_at_commas_outside_of_brackets_and_quotes() {
        assert_eq!(values("learning.rule=pc-nudge, ep"), ["pc-nudge", "ep"]);
        assert_eq!(values("model.widths=[784,10],[784, 32,10]"), ["[784,10]", "[784, 32,10]"]);
        assert_eq!(values("model.precision=1,[1,2],[[3]]"), ["1", "[1,2]", "[[3]]"]);
        assert_eq!(values("data.dir='a,b',\"c,'d\",e"), ["'a,b'", "\"c,'d\"", "e"]);
        for one in ["learning.nudge=0.1", "model.widths=[784,10]", "data.dir=\"a,b\"", "data.dir=../data", "tiny"] {
            assert_eq!(Axis::read(one).expect("no error"), None, "{one} is one value");
        }
        // Left to the configuration, which says that it is not complete.
        assert_eq!(Axis::read("model.widths=[784,").expect("no error"), None);
    }

    #[test]
    fn ranges_have_their_ends_and_equal_steps_or_ratios() {
        assert_eq!(values("learning.nudge=1e-4..1:5log"), ["0.0001", "0.001", "0.01", "0.1", "1.0"]);
        assert_eq!(values("inference.activity_lr=0.1..0.5:5"), ["0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(values("inference.max_infer_iters=10..50:3"), ["10", "30", "50"]);
        assert_eq!(values("inference.max_infer_iters=1..1000:4log"), ["1", "10", "100", "1000"]);
        assert_eq!(values("learning.nudge = 1 .. 2 : 2"), ["1.0", "2.0"]);
        let many = values("learning.nudge=3e-7..0.9:41log");
        let numbers: Vec<f64> = many.iter().map(|value| value.parse().expect("a number")).collect();
        assert!((numbers[0], numbers[40]) == (3e-7, 0.9));
        let ratio = (0.9_f64 / 3e-7).powf(1.0 / 40.0);
        assert!(numbers.windows(2).all(|pair| (pair[1] / pair[0] / ratio - 1.0).abs() < 1e-10));
    }

    #[test]
    fn what_is_no_axis_is_refused_with_what_was_typed() {
        for (word, part) in [
            ("learning.nudge=0.1,,0.2", "nothing between two commas"),
            ("learning.nudge=0.1,0.2,", "nothing between two commas"),
            ("learning.nudge=0.1,0.2,0.1", "0.1 twice"),
            ("learning.nudge=0.1..1", "no number of values"),
            ("learning.nudge=a..1:3", "`a` is no number"),
            ("learning.nudge=0..inf:3", "`inf` is no number"),
            ("learning.nudge=0.1..1:x", "`x` is no number of values"),
            ("learning.nudge=0.1..1:1", "from 2 to"),
            ("learning.nudge=0.1..1:99999999999", "from 2 to"),
            ("learning.nudge=0.1..1:-3", "no number of values"),
            ("learning.nudge=1..0.1:3", "not below its end"),
            ("learning.nudge=0..1:3log", "above 0"),
            ("data.batch_size=1..2:3", "holds whole numbers"),
            ("data.batch_size=1..2:5log", "twice"),
        ] {
            let error = Axis::read(word).expect_err(word).to_string();
            assert!(error.contains(part) && error.contains(word), "{error}");
        }
    }
}
