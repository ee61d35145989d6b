//! The vector in a document's field.

use super::{field, not_json};
use crate::DocumentError;
use serde::de::IgnoredAny;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The vector in a top-level member of a document; `None` if the member is absent or null.
///
/// # Errors
/// [`DocumentError::NotVector`] naming field, expected and found, if it is not an array of exactly
/// `dimensions` numbers that a 32-bit float can hold; [`DocumentError::NotJson`].
pub fn vector_field(
    value: &[u8],
    name: &str,
    dimensions: usize,
) -> Result<Option<Vec<f32>>, DocumentError> {
    let Some(text) = field(value, name)? else {
        return Ok(None);
    };
    let wrong = |found: String| {
        Err(DocumentError::NotVector {
            field: name.to_owned(),
            expected: format!("an array of {dimensions} numbers"),
            found,
        })
    };
    match serde_json::from_str(text).map_err(|error| not_json(&error))? {
        Found::Null => Ok(None),
        Found::Other(kind) => wrong(kind.to_owned()),
        Found::NotNumber { at, kind } => wrong(format!("{kind} as number {at}")),
        Found::OutOfRange { at, number } => {
            wrong(format!("{number:e} as number {at}, beyond the 32-bit range,"))
        }
        Found::Numbers(numbers) if numbers.len() == dimensions => Ok(Some(numbers)),
        Found::Numbers(numbers) => wrong(format!("an array of {} numbers", numbers.len())),
    }
}

/// What a field holds.
enum Found {
    Null,
    Numbers(Vec<f32>),
    Other(&'static str),
    NotNumber { at: usize, kind: &'static str },
    OutOfRange { at: usize, number: f64 },
}

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FoundVisitor)
    }
}

/// What an item of the array is.
enum Item {
    Number(f64),
    Other(&'static str),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct FoundVisitor;

impl<'de> Visitor<'de> for FoundVisitor {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found::Other("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(Found::Other("a string"))
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Found, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Found::Other("an object"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Found, A::Error> {
        let mut numbers = Vec::new();
        let mut wrong = None;
        let mut at = 0_usize;
        while let Some(item) = items.next_element()? {
            at += 1;
            let problem = match item {
                Item::Other(kind) => Some(Found::NotNumber { at, kind }),
                Item::Number(number) => {
                    let narrow = narrow(number);
                    numbers.push(narrow);
                    (!narrow.is_finite()).then_some(Found::OutOfRange { at, number })
                }
            };
            wrong = wrong.or(problem);
        }
        Ok(wrong.unwrap_or(Found::Numbers(numbers)))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounds to the nearest float; what is out of range becomes infinite and is refused"
)]
const fn narrow(number: f64) -> f32 {
    number as f32
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Item, E> {
        Ok(Item::Other("a boolean"))
    }

    #[expect(clippy::cast_precision_loss, reason = "a 32-bit float keeps less anyway")]
    fn visit_i64<E>(self, number: i64) -> Result<Item, E> {
        Ok(Item::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "a 32-bit float keeps less anyway")]
    fn visit_u64<E>(self, number: u64) -> Result<Item, E> {
        Ok(Item::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Item, E> {
        Ok(Item::Number(number))
    }

    fn visit_str<E>(self, _: &str) -> Result<Item, E> {
        Ok(Item::Other("a string"))
    }

    fn visit_unit<E>(self) -> Result<Item, E> {
        Ok(Item::Other("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Item, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Item::Other("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Item, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Item::Other("an object"))
    }
}
