//! What a key must hold, as a word.

use super::AnswerError;
use nodedb::{Expect, Version};

/// `absent`, or the `version` of an earlier answer.
///
/// # Errors
/// [`AnswerError::Input`] for anything else.
pub fn parse_expect(text: &str) -> Result<Expect, AnswerError> {
    if text == "absent" {
        return Ok(Expect::Absent);
    }
    let version = Version::parse(text).map_err(|error| AnswerError::input("`expect`", error))?;
    Ok(Expect::Version(version))
}
