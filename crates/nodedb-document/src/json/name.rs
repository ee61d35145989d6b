//! Names of members, borrowed from the text wherever it says them as they are.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::{borrow::Cow, collections::HashSet, fmt};

/// The name of a member. Only one with escapes is a string of its own.
pub(super) struct Name<'de>(pub(super) Cow<'de, str>);

/// The different names of an object.
#[derive(Default)]
pub(super) struct Names<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

/// Names that are compared one by one, which takes less than a hash of each. All beyond are hashed, so that
/// the time never grows with the square of their number.
const FEW: usize = 16;

impl<'de> Names<'de> {
    /// Adds a name, or gives it back if it is known.
    pub(super) fn add(&mut self, name: Cow<'de, str>) -> Result<(), Cow<'de, str>> {
        if self.few.contains(&name) || self.many.contains(&name) {
            return Err(name);
        }
        if self.few.len() < FEW {
            self.few.push(name);
        } else {
            self.many.insert(name);
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(name.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DocumentError, json::canonical};

    #[test]
    fn a_name_is_new_once_however_many_there_are() {
        let mut names = Names::default();
        for number in 0..4 * FEW {
            assert!(names.add(format!("n{number}").into()).is_ok());
        }
        for number in 0..4 * FEW {
            assert!(names.add(format!("n{number}").into()).is_err(), "{number}");
        }
    }

    #[test]
    fn a_duplicate_is_found_wherever_it_stands_and_however_it_is_written() {
        for last in ["m0", "m15", "m16", "m39", r"\u006d3", r"\u006d33"] {
            let members: Vec<String> = (0..40).map(|n| format!(r#""m{n}":{n}"#)).collect();
            let text = format!(r#"{{{},"{last}":0}}"#, members.join(","));
            let refused = canonical(text.as_bytes());
            assert!(matches!(refused, Err(DocumentError::DuplicateMember { .. })), "{last}");
        }
    }
}
