//! `search`.

use crate::{
    answer::Answer, args::SearchArgs, context::Context, failure::Failure, rows::Row, value_text,
};
use nodedb::{Effort, Near, SearchOptions};
use serde::Serialize;

#[derive(Serialize)]
struct Found {
    hits: Vec<FoundHit>,
}

#[derive(Serialize)]
struct FoundHit {
    key: Box<serde_json::value::RawValue>,
    distance: f32,
    version: String,
    value: Box<serde_json::value::RawValue>,
}

pub(super) fn run(args: &SearchArgs, context: &mut Context) -> Result<Answer, Failure> {
    let near = match (&args.vector, &args.like) {
        (Some(vector), _) => Near::Vector(parse_vector(&context.value(vector)?)?),
        (None, Some(key)) => Near::Key(key.clone().into_bytes()),
        (None, None) => {
            let message = "give --vector or --like".to_owned();
            return Err(Failure::Usage { message });
        }
    };
    let collection = context.collection(&args.collection)?;
    let hits = collection.search(SearchOptions {
        field: args.field.clone(),
        near,
        k: args.k,
        filter: args.filter.clone(),
        effort: effort(args),
    })?;
    let mut lines = Vec::with_capacity(hits.len());
    let mut found = Vec::with_capacity(hits.len());
    for hit in hits {
        let Row { key, version, value } = Row::of(collection.kind(), &hit.document)?;
        let shown = value_text::key_text(&hit.document.key);
        lines.push(format!(
            "{}\t{shown}\t{}",
            hit.distance,
            without_vector(value.get(), &args.field)
        ));
        found.push(FoundHit { key, distance: hit.distance, version, value });
    }
    Answer::new(&Found { hits: found }, lines.join("\n"))
}

fn effort(args: &SearchArgs) -> Effort {
    if args.exact {
        return Effort::Exact;
    }
    args.ef.map_or(Effort::Usual, Effort::Candidates)
}

/// A JSON array of numbers that a 32-bit float can hold.
fn parse_vector(text: &[u8]) -> Result<Vec<f32>, Failure> {
    let wrong =
        |why: String| Failure::input("the vector", format!("{why}; give a JSON array of numbers"));
    let vector: Vec<f32> =
        serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
    match vector.iter().position(|number| !number.is_finite()) {
        Some(at) => Err(wrong(format!("number {} is out of range", at + 1))),
        None => Ok(vector),
    }
}

/// The value for people: hundreds of numbers would hide the rest of it.
fn without_vector(value: &str, field: &str) -> String {
    let Ok(mut object) = serde_json::from_str::<serde_json::Map<_, _>>(value) else {
        return value.to_owned();
    };
    object.shift_remove(field);
    serde_json::Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_finite_numbers() -> Result<(), Failure> {
        assert_eq!(parse_vector(b"[1, -0.5, 1e-3]")?, [1.0, -0.5, 0.001]);
        for bad in ["[1e999]", "[1e39]", "[NaN]", "1", "[\"1\"]", "[null]", "[1", "[[1]]"] {
            assert!(parse_vector(bad.as_bytes()).is_err(), "{bad}");
        }
        Ok(())
    }

    #[test]
    fn people_are_spared_the_vector() {
        let value = r#"{"b": 1, "v": [1, 2], "a": 2}"#;
        assert_eq!(without_vector(value, "v"), r#"{"b":1,"a":2}"#);
        assert_eq!(without_vector("[1]", "v"), "[1]");
    }
}
