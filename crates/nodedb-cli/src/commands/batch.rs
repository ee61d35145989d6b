//! `batch`.

use crate::{
    answer::Answer,
    args::{BatchArgs, Expected},
    context::Context,
    failure::Failure,
    value_text,
};
use nodedb::{BatchOp, BatchOptions, CollectionKind, Expect, Tenant, Version};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{collections::HashMap, path::Path};

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

#[derive(Serialize)]
struct Written {
    lsn: u64,
    versions: Vec<String>,
}

pub(super) fn run(args: &BatchArgs, context: &mut Context) -> Result<Answer, Failure> {
    let word = &args.operations;
    // No file that a batch stands in has such a name: this is JSON, and what it lacks will be told.
    let text = if word.trim_start().starts_with(['[', '{']) {
        word.as_bytes().to_vec()
    } else {
        context.read(Path::new(word.strip_prefix('@').unwrap_or(word)))?
    };
    let operations = parse(&text)?;
    let tenant = context.tenant()?;
    let mut kinds = Kinds { tenant: &tenant, known: HashMap::new() };
    let operations: Vec<_> =
        operations.into_iter().map(|one| kinds.bind(one)).collect::<Result<_, _>>()?;
    let count = operations.len();
    let options = BatchOptions { idempotency: args.idempotency };
    let written = tenant.batch_with(&operations, options)?;
    let versions = written.versions.iter().map(Version::to_string).collect();
    let answer = Written { lsn: written.lsn.get(), versions };
    let text = format!("{count} written together, lsn {}", answer.lsn);
    Answer::new(&answer, text)
}

fn parse(text: &[u8]) -> Result<Vec<Operation>, Failure> {
    serde_json::from_slice(text).map_err(|error| {
        let wanted = "give [{\"put\": {\"collection\", \"key\", \"value\", \"expect\"?}}, \
                      {\"delete\": {\"collection\", \"key\", \"expect\"?}}]";
        Failure::input("the batch", format!("{error}; {wanted}"))
    })
}

/// What the named collections hold: in a bytes collection a JSON string stands for its bytes.
struct Kinds<'a> {
    tenant: &'a Tenant,
    known: HashMap<String, CollectionKind>,
}

impl Kinds<'_> {
    fn bind(&mut self, operation: Operation) -> Result<BatchOp, Failure> {
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

    fn of(&mut self, name: &str) -> Result<CollectionKind, Failure> {
        if let Some(kind) = self.known.get(name) {
            return Ok(*kind);
        }
        let kind = self.tenant.collection(name)?.kind();
        self.known.insert(name.to_owned(), kind);
        Ok(kind)
    }
}

fn expect(text: Option<&str>) -> Result<Option<Expect>, Failure> {
    let parse = |text: &str| text.parse::<Expected>().map(|expected| expected.0);
    text.map(parse).transpose().map_err(|error| Failure::input("`expect` of the batch", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_keep_their_values_as_written() -> Result<(), Failure> {
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
            assert!(matches!(parse(bad.as_bytes()), Err(Failure::Input { .. })), "{bad}");
        }
        assert!(expect(Some("yesterday")).is_err());
    }
}
