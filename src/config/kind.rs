//! What a key may hold: the types and limits of values, and the words and schemas that describe them.
//!
//! The limits stand here once and serve three readers: the check of a value (`accept.rs`), the JSON Schema
//! (`schema.rs`) and the sentence "must be …" of an error. The table of keys that uses them is `keys.rs`.

use serde_json::{Value as Json, json};

/// The widest layer that is accepted.
pub(super) const WIDEST: u64 = 1_000_000;

/// The laws of random times.
pub(super) const LAWS: &[&str] = &["constant", "uniform", "exponential", "log-normal", "gamma"];

/// What a key may hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// Any text.
    Text,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A whole number within limits, both included.
    Integer {
        /// The smallest that is accepted.
        least: u64,
        /// The largest that is accepted.
        most: u64,
    },
    /// A finite number within an interval.
    Number(Interval),
    /// The widths of the layers.
    Widths,
    /// One precision, one per layer, or one per unit.
    Precision,
    /// A list of texts.
    Texts,
    /// A list of finite numbers.
    Numbers,
    /// Groups of neurons per layer: a number or the word `neuron`.
    Groups,
    /// A time, or the law it is drawn from.
    Law {
        /// It may be zero.
        zero: bool,
    },
    /// A number format that is rounded to.
    Format,
    /// Layers per process: lists of layers and groups, or the word `auto`.
    Placement,
}

/// Where a number has to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// `x > 0`.
    Positive,
    /// `x ≥ 0`.
    ZeroOrMore,
    /// `0 ≤ x < 1`.
    Fraction,
    /// `0 < x ≤ 1`.
    Share,
    /// `0 < x ≤ 10⁹`: a time span that a clock can hold.
    Seconds,
}

impl Interval {
    /// Whether a number lies inside; infinity and NaN never do.
    pub(super) fn contains(self, x: f64) -> bool {
        x.is_finite()
            && match self {
                Self::Positive => x > 0.0,
                Self::ZeroOrMore => x >= 0.0,
                Self::Fraction => (0.0..1.0).contains(&x),
                Self::Share => x > 0.0 && x <= 1.0,
                Self::Seconds => x > 0.0 && x <= 1e9,
            }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Positive => "number > 0",
            Self::ZeroOrMore => "number ≥ 0",
            Self::Fraction => "number ≥ 0 and < 1",
            Self::Share => "number > 0 and ≤ 1",
            Self::Seconds => "number > 0 and ≤ 1e9",
        }
    }

    fn schema(self) -> Json {
        match self {
            Self::Positive => json!({"type": "number", "exclusiveMinimum": 0}),
            Self::ZeroOrMore => json!({"type": "number", "minimum": 0}),
            Self::Fraction => json!({"type": "number", "minimum": 0, "exclusiveMaximum": 1}),
            Self::Share => json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
            Self::Seconds => json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1e9}),
        }
    }
}

impl Kind {
    /// The type as the rest of a sentence that begins with "must be".
    pub(super) fn demand(self) -> String {
        let article = match self {
            Self::Flag | Self::Text | Self::Choice(_) | Self::Format | Self::Placement => "",
            Self::Integer { .. } | Self::Groups => "an ",
            Self::Number(_) | Self::Widths | Self::Precision | Self::Texts | Self::Numbers | Self::Law { .. } => "a ",
        };
        format!("{article}{}", self.words())
    }

    /// The type in words.
    pub fn words(self) -> String {
        match self {
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Choice(words) => format!("one of {}", comma_list(words)),
            Self::Integer { least, most } if most >= u64::from(u32::MAX) => {
                format!("integer ≥ {least}")
            }
            Self::Integer { least, most } => format!("integer from {least} to {most}"),
            Self::Number(interval) => interval.words().to_owned(),
            Self::Widths => format!("list of at least 2 integers from 1 to {WIDEST}"),
            Self::Precision => "number > 0, a list of them, or a list of such lists".to_owned(),
            Self::Texts => "list of texts".to_owned(),
            Self::Numbers => "list of numbers".to_owned(),
            Self::Groups => "integer ≥ 1 or `neuron`".to_owned(),
            Self::Law { zero } => {
                let number = if zero { Interval::ZeroOrMore } else { Interval::Positive };
                format!("{}, or a law such as `{{ law = \"exponential\", mean = 1.0 }}`", number.words())
            }
            Self::Format => {
                "one of `exact`, `bf16`, `fp16`, `fp8-e4m3`, `fp8-e5m2`, `fixed:N`, `fixed:N:F` (N ≤ 24 bits, F behind the point)"
                    .to_owned()
            }
            Self::Placement => "`auto`, or a list of lists of layers, or of groups such as `\"1.0\"`".to_owned(),
        }
    }

    /// The allowed words, for a key that has a fixed set of them.
    pub fn allowed(self) -> &'static [&'static str] {
        match self {
            Self::Choice(words) => words,
            _ => &[],
        }
    }

    /// The JSON Schema of the value, without description and default.
    pub(super) fn schema(self) -> Json {
        let positive = Interval::Positive.schema();
        match self {
            Self::Flag => json!({"type": "boolean"}),
            Self::Text => json!({"type": "string"}),
            Self::Choice(words) => json!({"type": "string", "enum": words}),
            Self::Integer { least, most } => {
                json!({"type": "integer", "minimum": least, "maximum": most})
            }
            Self::Number(interval) => interval.schema(),
            Self::Widths => json!({
                "type": "array", "minItems": 2,
                "items": {"type": "integer", "minimum": 1, "maximum": WIDEST},
            }),
            Self::Precision => {
                let list = json!({"type": "array", "minItems": 1, "items": positive});
                json!({"anyOf": [positive, list, {"type": "array", "minItems": 1, "items": list}]})
            }
            Self::Format => json!({
                "type": "string",
                "pattern": "^(exact|bf16|fp16|fp8-e4m3|fp8-e5m2|fixed:[0-9]+(:[0-9]+)?)$",
            }),
            Self::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Self::Numbers => json!({"type": "array", "items": {"type": "number"}}),
            Self::Groups => {
                json!({"anyOf": [{"type": "integer", "minimum": 1, "maximum": WIDEST}, {"const": "neuron"}]})
            }
            Self::Law { zero } => {
                let number = if zero { Interval::ZeroOrMore.schema() } else { positive };
                let parameters = ["value", "low", "high", "mean", "sd", "shape", "min"];
                let mut properties = json!({"law": {"enum": LAWS}});
                for parameter in parameters {
                    properties[parameter] = Interval::ZeroOrMore.schema();
                }
                let law = json!({
                    "type": "object", "required": ["law"], "additionalProperties": false, "properties": properties,
                });
                json!({"anyOf": [number, law]})
            }
            Self::Placement => {
                let group = json!({"type": "string", "pattern": "^[0-9]+\\.[0-9]+$"});
                let layer = json!({"anyOf": [{"type": "integer", "minimum": 0}, group]});
                let layers = json!({"type": "array", "minItems": 1, "items": layer});
                json!({"anyOf": [{"const": "auto"}, {"type": "array", "minItems": 1, "items": layers}]})
            }
        }
    }
}

/// Words in backticks, separated by commas.
pub(super) fn comma_list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
