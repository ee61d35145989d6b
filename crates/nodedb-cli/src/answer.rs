//! What a command answers: one JSON object, and the same for people.

use crate::failure::Failure;
use serde::Serialize;
use std::fmt::Display;

/// The answer of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    /// A JSON object in one line.
    json: String,
    text: Vec<u8>,
    /// 0, or 2 where the command did its work and found damage.
    pub(crate) exit: u8,
    /// Whether the rows went to standard output already.
    pub(crate) printed: bool,
}

impl Answer {
    /// An object, and lines for people.
    ///
    /// # Errors
    /// [`Failure::Internal`] if `fields` is no JSON object, a defect.
    pub(crate) fn new(fields: &impl Serialize, text: impl Display) -> Result<Self, Failure> {
        Self::raw(fields, format!("{text}\n").into_bytes())
    }

    /// An object, and bytes that are printed as they are.
    ///
    /// # Errors
    /// [`Failure::Internal`] if `fields` is no JSON object, a defect.
    pub(crate) fn raw(fields: &impl Serialize, text: Vec<u8>) -> Result<Self, Failure> {
        let json = serde_json::to_string(fields)
            .map_err(|error| Failure::Internal { message: error.to_string() })?;
        if !json.starts_with('{') {
            return Err(Failure::Internal { message: format!("{json} is no object") });
        }
        Ok(Self { json, text, exit: 0, printed: false })
    }

    /// The answer of a command whose rows are on standard output already.
    pub(crate) fn already_printed() -> Self {
        Self { json: "{}".to_owned(), text: Vec::new(), exit: 0, printed: true }
    }

    /// The same with another exit code.
    #[must_use]
    pub(crate) const fn with_exit(mut self, exit: u8) -> Self {
        self.exit = exit;
        self
    }

    /// The object, with a line end.
    pub(crate) fn json_document(&self) -> String {
        format!("{}\n", self.json)
    }

    /// For people.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The line of a shell: the fields after `"ok": true`.
    ///
    /// A `verify` has an `ok` of its own, which then stands alone: no object names a member twice.
    pub(crate) fn shell_line(&self) -> String {
        let members = self.json.trim_start_matches('{');
        match members {
            "}" => "{\"ok\":true}\n".to_owned(),
            own if own.starts_with("\"ok\":") => format!("{}\n", self.json),
            members => format!("{{\"ok\":true,{members}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_shell_line_has_the_fields_of_the_object() -> Result<(), Failure> {
        let answer = Answer::new(&json!({"lsn": 7}), "lsn 7")?;
        assert_eq!(answer.shell_line(), "{\"ok\":true,\"lsn\":7}\n");
        assert_eq!(answer.json_document(), "{\"lsn\":7}\n");
        assert_eq!(answer.text(), b"lsn 7\n");
        let nested = Answer::new(&json!({"a": {}}), "")?;
        assert_eq!(nested.shell_line(), "{\"ok\":true,\"a\":{}}\n");
        assert_eq!(Answer::new(&json!({}), "")?.shell_line(), "{\"ok\":true}\n");
        let own = Answer::new(&json!({"ok": false, "x": 1}), "")?;
        assert_eq!(own.shell_line(), "{\"ok\":false,\"x\":1}\n");
        Ok(())
    }

    #[test]
    fn only_objects_are_answers() {
        assert!(matches!(Answer::new(&1, ""), Err(Failure::Internal { .. })));
    }
}
