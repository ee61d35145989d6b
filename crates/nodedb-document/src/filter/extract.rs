//! Takes the fields of a filter out of a document in one pass, building nothing else.

use super::scalar::Scalar;
use crate::DocumentError;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A field that is looked for: its number, and what is left of its path.
type Wanted<'a> = (usize, &'a [String]);

/// Fills in the value of each path; the ones that are not there are left alone.
pub(super) fn extract(
    document: &[u8],
    paths: &[Vec<String>],
    values: &mut [Scalar],
) -> Result<(), DocumentError> {
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    let wanted = paths.iter().map(Vec::as_slice).enumerate().collect();
    let level = Level { wanted, values };
    level
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|error| DocumentError::NotJson { message: error.to_string() })
}

/// One value of the document and the fields that are it or lie within.
struct Level<'a, 'v> {
    wanted: Vec<Wanted<'a>>,
    values: &'v mut [Scalar],
}

impl Level<'_, '_> {
    fn set(&mut self, value: &Scalar) {
        for (number, rest) in &self.wanted {
            if rest.is_empty()
                && let Some(slot) = self.values.get_mut(*number)
            {
                slot.clone_from(value);
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<(), E> {
        self.set(&Scalar::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(mut self, value: i64) -> Result<(), E> {
        self.set(&Scalar::Integer(value.into()));
        Ok(())
    }

    fn visit_u64<E>(mut self, value: u64) -> Result<(), E> {
        self.set(&Scalar::Integer(value.into()));
        Ok(())
    }

    fn visit_f64<E>(mut self, value: f64) -> Result<(), E> {
        self.set(&Scalar::Float(value));
        Ok(())
    }

    fn visit_str<E>(mut self, value: &str) -> Result<(), E> {
        self.set(&Scalar::Text(value.to_owned()));
        Ok(())
    }

    fn visit_unit<E>(mut self) -> Result<(), E> {
        self.set(&Scalar::Null);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.set(&Scalar::Composite);
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.set(&Scalar::Composite);
        while let Some(wanted) = members.next_key_seed(Within(&self.wanted))? {
            if wanted.is_empty() {
                members.next_value::<IgnoredAny>()?;
            } else {
                let values = &mut *self.values;
                members.next_value_seed(Level { wanted, values })?;
            }
        }
        Ok(())
    }
}

/// Turns a member's name into the fields that lie within it.
struct Within<'a, 'w>(&'w [Wanted<'a>]);

impl<'de, 'a> DeserializeSeed<'de> for Within<'a, '_> {
    type Value = Vec<Wanted<'a>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Within<'a, '_> {
    type Value = Vec<Wanted<'a>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let within = |(number, path): &Wanted<'a>| {
            let (first, rest) = path.split_first()?;
            (first == name).then_some((*number, rest))
        };
        Ok(self.0.iter().filter_map(within).collect())
    }
}
