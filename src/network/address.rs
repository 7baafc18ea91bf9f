//! What a layer, or one of its groups of neurons, is called where it is placed: `1`, or `"1.0"` for the first group of layer 1.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A layer, or one group of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Spelling", into = "Spelling")]
pub struct Address {
    /// The layer, 0 for the input.
    pub layer: usize,
    /// The group; none where the whole layer is meant.
    pub group: Option<usize>,
}

impl From<usize> for Address {
    /// A whole layer.
    fn from(layer: usize) -> Self {
        Self { layer, group: None }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.layer)?;
        self.group.map_or(Ok(()), |group| write!(f, ".{group}"))
    }
}

/// A text that names no group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no group of neurons: it takes layer and group, such as `1.0`")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    /// Reads a layer and a group; a layer alone is a number, not a text.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let number = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            if plain { digits.parse().ok() } else { None }
        };
        let read = text.split_once('.').and_then(|(layer, group)| Some((number(layer)?, number(group)?)));
        let (layer, group) = read.ok_or_else(|| AddressError(text.to_owned()))?;
        Ok(Self { layer, group: Some(group) })
    }
}

/// A number is a layer, a text is a group.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Spelling {
    Layer(usize),
    Group(String),
}

impl From<Address> for Spelling {
    fn from(address: Address) -> Self {
        if address.group.is_none() { Self::Layer(address.layer) } else { Self::Group(address.to_string()) }
    }
}

impl TryFrom<Spelling> for Address {
    type Error = AddressError;

    fn try_from(spelling: Spelling) -> Result<Self, AddressError> {
        match spelling {
            Spelling::Layer(layer) => Ok(layer.into()),
            Spelling::Group(text) => text.parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_numbers_and_groups_are_texts() {
        let read: Vec<Address> = serde_json::from_str(r#"[2, "1.0", "0.12"]"#).expect("addresses");
        let group = |layer, group| Address { layer, group: Some(group) };
        assert_eq!(read, [2.into(), group(1, 0), group(0, 12)]);
        assert_eq!(serde_json::to_string(&read).expect("a text"), r#"[2,"1.0","0.12"]"#);
        for wrong in ["1", "", ".", "1.", ".0", "1.0.0", "+1.0", "1.-1", "a.b", "1. 0", "99999999999999999999.0"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<Address>("1.0").is_err(), "a number with a point is no layer");
    }
}
