//! An atomic batch as JSON.

use super::{AnswerError, parse_expect, value_text};
use nodedb::{BatchOp, CollectionKind, Expect, Tenant};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Operation {
    Put(Put),
    Delete(Delete),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    collection: String,
    key: String,
    value: Box<RawValue>,
    expect: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    collection: String,
    key: String,
    expect: Option<String>,
}

fn parse(text: &[u8]) -> Result<Vec<Operation>, AnswerError> {
    serde_json::from_slice(text).map_err(|error| {
        let wanted = "give [{\"put\": {\"collection\", \"key\", \"value\", \"expect\"?}}, \
                      {\"delete\": {\"collection\", \"key\", \"expect\"?}}]";
        AnswerError::input("the batch", format!("{error}; {wanted}"))
    })
}

/// Reads a batch, an array of `{"put": ..}` and `{"delete": ..}`, of a tenant's collections.
///
/// # Errors
/// [`AnswerError::Input`] if it is not such an array; [`AnswerError::Database`] if a collection is missing.
pub fn parse_batch(text: &[u8], tenant: &Tenant) -> Result<Vec<BatchOp>, AnswerError> {
    let mut kinds = Kinds { tenant, known: HashMap::new() };
    parse(text)?.into_iter().map(|one| kinds.bind(one)).collect()
}

/// What the named collections hold: in a bytes collection a JSON string stands for its bytes.
struct Kinds<'a> {
    tenant: &'a Tenant,
    known: HashMap<String, CollectionKind>,
}

impl Kinds<'_> {
    fn bind(&mut self, operation: Operation) -> Result<BatchOp, AnswerError> {
        Ok(match operation {
            Operation::Put(put) => {
                let kind = self.of(&put.collection)?;
                let value = value_text::value_bytes(kind, &put.value)?;
                let expect = expect(put.expect.as_deref())?;
                BatchOp::Put { collection: put.collection, key: put.key.into(), value, expect }
            }
            Operation::Delete(delete) => BatchOp::Delete {
                expect: expect(delete.expect.as_deref())?,
                collection: delete.collection,
                key: delete.key.into(),
            },
        })
    }

    fn of(&mut self, name: &str) -> Result<CollectionKind, AnswerError> {
        if let Some(kind) = self.known.get(name) {
            return Ok(*kind);
        }
        let kind = self.tenant.collection(name)?.kind();
        self.known.insert(name.to_owned(), kind);
        Ok(kind)
    }
}

fn expect(text: Option<&str>) -> Result<Option<Expect>, AnswerError> {
    text.map(parse_expect).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_keep_their_values_as_written() -> Result<(), AnswerError> {
        let text = br#"[{"put": {"collection": "c", "key": "k", "value": {"b": 1.10, "a": 2}}},
                        {"delete": {"collection": "c", "key": "x", "expect": "absent"}}]"#;
        let operations = parse(text)?;
        let Some(Operation::Put(put)) = operations.first() else { panic!("a put first") };
        assert_eq!(put.value.get(), r#"{"b": 1.10, "a": 2}"#);
        let Some(Operation::Delete(delete)) = operations.last() else { panic!("then a delete") };
        assert_eq!(expect(delete.expect.as_deref())?, Some(Expect::Absent));
        Ok(())
    }

    #[test]
    fn misspelt_members_and_operations_are_refused() {
        for bad in [
            "",
            "{}",
            "[1]",
            r#"[{"put": {"collection": "c", "key": "k"}}]"#,
            r#"[{"put": {"collection": "c", "key": 1, "value": 1}}]"#,
            r#"[{"putt": {"collection": "c", "key": "k", "value": 1}}]"#,
            r#"[{"delete": {"collection": "c", "key": "k", "expct": "absent"}}]"#,
            r#"[{"put": {"collection": "c", "key": "k", "value": 1}}] x"#,
        ] {
            assert!(matches!(parse(bad.as_bytes()), Err(AnswerError::Input { .. })), "{bad}");
        }
        assert!(expect(Some("yesterday")).is_err());
    }
}
