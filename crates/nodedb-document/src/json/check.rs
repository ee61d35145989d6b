//! Validation of a whole text, without building it in memory.

use super::{
    name::{Name, Names},
    not_json,
};
use crate::DocumentError;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

const DUPLICATE: &str = "duplicate member ";

/// Checks that the text is one JSON value without ambiguities.
pub(super) fn check(text: &[u8]) -> Result<(), DocumentError> {
    match serde_json::from_slice::<Any>(text) {
        Ok(Any) => Ok(()),
        Err(error) => {
            let message = error.to_string();
            Err(match message.strip_prefix(DUPLICATE) {
                Some(rest) => DocumentError::DuplicateMember { message: rest.to_owned() },
                None => not_json(&error),
            })
        }
    }
}

/// Any JSON value. Visiting it converts numbers, which refuses what no double can hold.
struct Any;

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Any, E> {
        Ok(Any)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Any, E> {
        Ok(Any)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Any, E> {
        Ok(Any)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Any, E> {
        Ok(Any)
    }

    fn visit_str<E>(self, _: &str) -> Result<Any, E> {
        Ok(Any)
    }

    fn visit_unit<E>(self) -> Result<Any, E> {
        Ok(Any)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Any, A::Error> {
        while items.next_element::<Any>()?.is_some() {}
        Ok(Any)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Any, A::Error> {
        let mut names = Names::default();
        while let Some(Name(name)) = members.next_key()? {
            if let Err(name) = names.add(name) {
                return Err(A::Error::custom(format_args!("{DUPLICATE}`{name}`")));
            }
            members.next_value::<Any>()?;
        }
        Ok(Any)
    }
}
