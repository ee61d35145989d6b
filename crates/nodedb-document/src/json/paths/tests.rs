use super::*;
use proptest::prelude::*;
use serde_json::Value;

/// What the paths lead to, as text: `-` for nothing.
fn found(paths: &[&str], text: &str) -> Result<Vec<String>, DocumentError> {
    let mut tree = Paths::default();
    let numbers: Vec<usize> = paths.iter().map(|path| tree.add(path.split('.'))).collect();
    let mut values = vec![Scalar::Null; tree.len()];
    tree.extract(text.as_bytes(), &mut values)?;
    Ok(numbers.into_iter().map(|number| format!("{:?}", values[number])).collect())
}

#[test]
fn paths_share_what_they_have_in_common() {
    let mut paths = Paths::default();
    let add = |paths: &mut Paths, path: &str| paths.add(path.split('.'));
    assert_eq!(add(&mut paths, "a.b"), 0);
    assert_eq!(add(&mut paths, "a"), 1);
    assert_eq!(add(&mut paths, "a.b"), 0);
    assert_eq!(add(&mut paths, "a.c"), 2);
    assert_eq!(paths.len(), 3);
    assert_eq!(paths.members.len(), 1);
}

#[test]
fn values_are_found_wherever_they_stand() {
    let text =
        r#"{"x":[{"a":0}],"a":{"z":{},"b":{"c":1,"d":"e"},"q":[1]},"t":true,"last":"\u0041"}"#;
    let found = |path: &str| found(&[path], text).expect("a document").remove(0);
    assert_eq!(found("a"), "Composite");
    assert_eq!(found("a.b.c"), "Integer(1)");
    assert_eq!(found("a.b.d"), "Text(\"e\")");
    assert_eq!(found("a.b"), "Composite");
    assert_eq!(found("a.q"), "Composite");
    assert_eq!(found("x.a"), "Null");
    assert_eq!(found("t.a"), "Null");
    assert_eq!(found("last"), "Text(\"A\")");
    assert_eq!(found("missing"), "Null");
}

#[test]
fn a_name_is_what_its_escapes_mean() {
    assert_eq!(found(&["a\"b"], r#"{"\u0061\"b":7}"#).expect("a document"), ["Integer(7)"]);
}

#[test]
fn reading_stops_where_everything_was_found() {
    let early = r#"{"a":{"b":1,"c":#"#;
    assert_eq!(found(&["a.b"], early).expect("enough of it"), ["Integer(1)"]);
    assert!(found(&["a.b", "a.d"], early).is_err());
    assert!(found(&["a.b", "z"], early).is_err());
}

/// Leaving an object whose members were all met left only the innermost of those that were entered, so
/// what stood behind the outer ones was an error, or was found at the wrong depth.
#[test]
fn leaving_an_object_early_leaves_all_that_were_entered_in_it() {
    for text in [
        r#"{"a":{"b":{"c":1,"x":2},"y":3},"d":4}"#,
        r#"{"a":{"b":{"c":1,"x":2}},"d":4}"#,
        r#"{"a":{"x":[{}],"b":{"c":1,"x":{"d":5}},"d":6},"z":{"d":7},"d":4}"#,
        r#"{"d":4,"a":{"b":{"c":1,"d":2},"d":3}}"#,
    ] {
        let values = found(&["a.b.c", "d"], text).expect(text);
        assert_eq!(values, ["Integer(1)", "Integer(4)"], "{text}");
    }
    let deep = r#"{"a":{"b":{"c":{"d":1,"e":0},"e":0},"e":0},"e":2,"f":3}"#;
    let values = found(&["a.b.c.d", "e", "f"], deep).expect(deep);
    assert_eq!(values, ["Integer(1)", "Integer(2)", "Integer(3)"]);
}

#[test]
fn white_space_is_moved_over() {
    let text = " {\n \"a\" : { \"b\" :\t1 } ,\r\n \"c\" : [ ] } ";
    assert_eq!(found(&["a.b", "c"], text).expect("a document"), ["Integer(1)", "Composite"]);
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ a{}\"\\\\,:\n\u{e9}]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ab\"]{1,2}", inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

fn expected(value: &Value, path: &str) -> String {
    let mut value = value;
    for name in path.split('.') {
        let Some(within) = value.as_object().and_then(|object| object.get(name)) else {
            return "Null".to_owned();
        };
        value = within;
    }
    match value {
        Value::Null => "Null".to_owned(),
        Value::Bool(truth) => format!("Bool({truth})"),
        Value::Number(number) => format!("Integer({number})"),
        Value::String(text) => format!("Text({text:?})"),
        Value::Array(_) | Value::Object(_) => "Composite".to_owned(),
    }
}

proptest! {
    #[test]
    fn paths_agree_with_a_parsed_document(
        value in json(),
        paths in prop::collection::vec("[ab]{1,2}(\\.[ab]{1,2}){0,2}", 1..5),
    ) {
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let wanted: Vec<String> = paths.iter().map(|path| expected(&value, path)).collect();
        for text in [serde_json::to_string(&value), serde_json::to_string_pretty(&value)] {
            prop_assert_eq!(&found(&paths, &text.expect("printable")).expect("a document"), &wanted);
        }
    }

    #[test]
    fn any_bytes_are_an_answer(text in "[\\[\\]{}\",: a0.e\\\\-]{0,24}") {
        let known = found(&["a", "a.a"], &text);
        prop_assert!(known.is_ok() || known.is_err_and(|error| !error.to_string().is_empty()));
    }
}
