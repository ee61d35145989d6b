//! Keys and values as JSON text. Stored JSON is spliced, never parsed and printed again, so that a
//! number comes back digit for digit and members keep their order.

use super::AnswerError;
use nodedb::CollectionKind;
use nodedb_types::{from_hex, to_hex};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A key: a string, or `{"hex": ".."}` where it is not UTF-8.
///
/// # Errors
/// [`AnswerError::Internal`], which a string never is.
pub fn key_json(key: &[u8]) -> Result<Box<RawValue>, AnswerError> {
    bytes_json(key)
}

/// A key for people.
pub fn key_text(key: &[u8]) -> String {
    str::from_utf8(key).map_or_else(|_| format!("hex:{}", to_hex(key)), str::to_owned)
}

/// A value: stored JSON as it is, the bytes of a bytes collection as a string (or as
/// `{"hex": ".."}` where they are not UTF-8).
///
/// # Errors
/// [`AnswerError::Input`] for a stored document that is not JSON.
pub fn value_json(kind: CollectionKind, value: &[u8]) -> Result<Box<RawValue>, AnswerError> {
    match kind {
        CollectionKind::Bytes => bytes_json(value),
        CollectionKind::Document | CollectionKind::Crdt => {
            let text = str::from_utf8(value)
                .map_err(|error| AnswerError::input("the stored value", error))?;
            RawValue::from_string(one_line(text))
                .map_err(|error| AnswerError::input("the stored value", error))
        }
    }
}

/// The bytes that a JSON value stands for when it is written: its own text, or for a bytes collection
/// what [`value_json`] shows.
///
/// # Errors
/// [`AnswerError::Input`] for a bytes collection and another value than a string or `{"hex": ".."}`.
pub fn value_bytes(kind: CollectionKind, json: &RawValue) -> Result<Vec<u8>, AnswerError> {
    if kind != CollectionKind::Bytes {
        return Ok(json.get().as_bytes().to_vec());
    }
    let bytes = match serde_json::from_str(json.get()) {
        Ok(RawBytes::Text(text)) => Some(text.into_bytes()),
        Ok(RawBytes::Hex { hex }) => from_hex(&hex),
        Err(_) => None,
    };
    bytes.ok_or_else(|| {
        AnswerError::input("the value", "a bytes collection takes a string or {\"hex\": \"..\"}")
    })
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawBytes {
    Text(String),
    Hex { hex: String },
}

fn bytes_json(bytes: &[u8]) -> Result<Box<RawValue>, AnswerError> {
    let json = match str::from_utf8(bytes) {
        Ok(text) => serde_json::value::to_raw_value(text),
        Err(_) => serde_json::value::to_raw_value(&serde_json::json!({ "hex": to_hex(bytes) })),
    };
    json.map_err(|error| AnswerError::Internal { message: error.to_string() })
}

/// JSON text without the space between its parts: answers are lines.
fn one_line(text: &str) -> String {
    if !text.contains(['\n', '\r']) {
        return text.trim_ascii().to_owned();
    }
    let (mut inside, mut escaped) = (false, false);
    let kept = |c: &char| {
        if !inside {
            inside = *c == '"';
            return !matches!(c, ' ' | '\t' | '\n' | '\r');
        }
        inside = escaped || *c != '"';
        escaped = !escaped && *c == '\\';
        true
    };
    text.chars().filter(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_json_comes_back_digit_for_digit_in_one_line() -> Result<(), AnswerError> {
        let text = r#"{"z": 1.10, "a": 1e400, "n": -0.0, "big": 12345678901234567890123}"#;
        let value = value_json(CollectionKind::Document, text.as_bytes())?;
        assert_eq!(value.get(), text);
        let pretty = "{\r\n\t\"a b\": \"c \\\" \\\\\",\n \"d\" : [ 1.0 , \"e f\" ]\n}\n";
        let value = value_json(CollectionKind::Document, pretty.as_bytes())?;
        assert_eq!(value.get(), r#"{"a b":"c \" \\","d":[1.0,"e f"]}"#);
        Ok(())
    }

    #[test]
    fn raw_bytes_are_a_string_or_hexadecimal() -> Result<(), AnswerError> {
        assert_eq!(value_json(CollectionKind::Bytes, b"12")?.get(), "\"12\"");
        assert_eq!(value_json(CollectionKind::Bytes, &[0xff, 0])?.get(), r#"{"hex":"ff00"}"#);
        for bytes in [&b"12"[..], &[0xff, 0], b""] {
            let json = value_json(CollectionKind::Bytes, bytes)?;
            assert_eq!(value_bytes(CollectionKind::Bytes, &json)?, bytes);
        }
        assert_eq!(key_json("k\u{e9}\n".as_bytes())?.get(), "\"k\u{e9}\\n\"");
        assert_eq!(key_text(&[0xff]), "hex:ff");
        Ok(())
    }

    #[test]
    fn damage_is_an_error() {
        assert!(value_json(CollectionKind::Document, b"{\"a\":").is_err());
        assert!(value_json(CollectionKind::Document, &[0xff]).is_err());
    }
}
