//! `search`.

use crate::{answer::Answer, args::SearchArgs, context::Context, failure::Failure};
use nodedb::{Effort, Near, SearchExplain, SearchOptions, SearchPlan};
use nodedb_server::answer::{Row, value_text};
use serde::Serialize;

#[derive(Serialize)]
struct Found {
    hits: Vec<FoundHit>,
}

#[derive(Serialize)]
struct Explained {
    plans: Vec<Plan>,
}

#[derive(Serialize)]
struct Plan {
    vshard: u16,
    access: &'static str,
    vectors: u64,
    segments: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ef: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matches: Option<usize>,
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
    let options = SearchOptions {
        field: args.field.clone(),
        near,
        k: args.k,
        filter: args.filter.clone(),
        effort: effort(args),
    };
    if args.explain {
        return explain(&collection.explain_search(options)?);
    }
    let hits = collection.search(options)?;
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

fn explain(partitions: &[SearchExplain]) -> Result<Answer, Failure> {
    let plans: Vec<_> = partitions.iter().map(Plan::of).collect();
    let lines: Vec<_> = plans.iter().map(Plan::text).collect();
    Answer::new(&Explained { plans }, lines.join("\n"))
}

impl Plan {
    fn of(explain: &SearchExplain) -> Self {
        let SearchExplain { vshard, plan, vectors, segments } = *explain;
        let shown = Self {
            vshard: vshard.get(),
            access: plan.name(),
            vectors,
            segments,
            ef: None,
            matches: None,
        };
        match plan {
            SearchPlan::Graph { ef, .. } => Self { ef: Some(ef), ..shown },
            SearchPlan::Among { matches } => Self { matches: Some(matches), ..shown },
            SearchPlan::Exact | _ => shown,
        }
    }

    fn text(&self) -> String {
        let Self { vshard, access, vectors, segments, ef, matches } = self;
        let how = match (ef, matches) {
            (Some(ef), _) => format!(" with {ef} candidates"),
            (None, Some(matches)) => format!(" {matches} vectors of matching documents"),
            (None, None) => String::new(),
        };
        format!(
            "vshard {vshard}: {access}{how}, of {vectors} vectors in {segments} segments and the head"
        )
    }
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
