use super::*;
use nodedb_types::ErrorKind;
use proptest::prelude::*;
use serde_json::Value;

fn stored(text: &str) -> String {
    let bytes = canonical(text.as_bytes()).expect(text);
    String::from_utf8(bytes.to_vec()).expect("still text")
}

#[test]
fn white_space_goes_and_everything_else_stays() {
    for (text, expected) in [
        (" {} ", "{}"),
        ("\t[ 1 ,\r\n 2 ]", "[1,2]"),
        (r#"{ "b" : 1, "a" : 2 }"#, r#"{"b":1,"a":2}"#),
        (r#"{"x": 1.50e+02}"#, r#"{"x":1.50e+02}"#),
        (r#"{"x": 12345678901234567890123}"#, r#"{"x":12345678901234567890123}"#),
        (r#"[" a ", "\" b", "\\ " , "c"]"#, r#"[" a ","\" b","\\ ","c"]"#),
        ("\"\u{e9} \\u0000\"", "\"\u{e9} \\u0000\""),
        ("null", "null"),
        ("-0.0", "-0.0"),
    ] {
        assert_eq!(stored(text), expected);
    }
}

#[test]
fn what_no_reader_could_read_is_refused() {
    let cases: [&[u8]; 12] = [
        b"",
        b" ",
        b"{",
        b"{}{}",
        b"[1,]",
        b"{\"a\":1e400}",
        b"\"\xff\"",
        b"'a'",
        b"NaN",
        b"01",
        b"\"\\ud800\"",
        b"\"a\nb\"",
    ];
    for text in cases {
        let error = canonical(text).expect_err("invalid");
        assert!(matches!(error, DocumentError::NotJson { .. }), "{text:?}: {error}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn a_member_named_twice_is_ambiguous() {
    for text in [r#"{"a":1,"a":2}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#] {
        let error = canonical(text.as_bytes()).expect_err("ambiguous");
        assert!(matches!(error, DocumentError::DuplicateMember { .. }), "{error}");
        assert!(error.to_string().contains("`a`"), "{error}");
    }
}

#[test]
fn nesting_ends_at_the_limit() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(canonical(nested(DEPTH_MAX).as_bytes()).is_ok());
    assert!(canonical(nested(DEPTH_MAX + 1).as_bytes()).is_err());
    // Deep beyond every stack: refused at the limit, not by a crash.
    assert!(canonical("[".repeat(1 << 20).as_bytes()).is_err());
}

#[test]
fn a_field_is_the_text_of_the_member() {
    let text = br#"{"a":{"b":[1,2]},"$serde_json::private::RawValue":"{}","c":null}"#;
    assert_eq!(field(text, "a").expect("json"), Some(r#"{"b":[1,2]}"#));
    assert_eq!(field(text, "c").expect("json"), Some("null"));
    assert_eq!(field(text, "b").expect("json"), None);
    let magic = field(text, "$serde_json::private::RawValue").expect("json");
    assert_eq!(magic, Some("\"{}\""));
    for other in ["[1]", "1", "\"a\"", "null", "true", "-1", "0.5"] {
        assert_eq!(field(other.as_bytes(), "a").expect("json"), None, "{other}");
    }
    assert!(field(b"{\"a\":", "a").is_err());
}

#[test]
fn a_vector_is_read_or_its_absence_known() {
    let vector = |text: &str| vector_field(text.as_bytes(), "v", 3).expect(text);
    assert_eq!(vector(r#"{"v":[1,-2.5,3e2]}"#), Some(vec![1.0, -2.5, 300.0]));
    assert_eq!(
        vector(r#"{"v":[0,18446744073709551615,-1]}"#),
        Some(vec![0.0, 1.844_674_4e19, -1.0])
    );
    assert_eq!(vector(r#"{"v":null}"#), None);
    assert_eq!(vector(r#"{"w":[1]}"#), None);
    assert_eq!(vector("[1,2,3]"), None);
}

#[test]
fn a_wrong_vector_names_field_expected_and_found() {
    for (text, found) in [
        (r#"{"v":[1,2]}"#, "an array of 2 numbers"),
        (r#"{"v":[]}"#, "an array of 0 numbers"),
        (r#"{"v":[1,"2",3]}"#, "a string as number 2"),
        (r#"{"v":[1,null,[]]}"#, "null as number 2"),
        (r#"{"v":[1,2,[]]}"#, "an array as number 3"),
        (r#"{"v":[{},2,3]}"#, "an object as number 1"),
        (r#"{"v":[1,2,false]}"#, "a boolean as number 3"),
        (r#"{"v":[1,2,1e39]}"#, "1e39 as number 3"),
        (r#"{"v":"abc"}"#, "a string"),
        (r#"{"v":7}"#, "a number"),
        (r#"{"v":true}"#, "a boolean"),
        (r#"{"v":{"x":1}}"#, "an object"),
    ] {
        let error = vector_field(text.as_bytes(), "v", 3).expect_err(text).to_string();
        for part in ["`v`", "an array of 3 numbers", found] {
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ a\"\\\\\n\u{e9}]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a b]{0,3}", inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn a_pretty_text_becomes_the_compact_one(value in json()) {
        let pretty = serde_json::to_vec_pretty(&value).expect("printable");
        let compact = serde_json::to_vec(&value).expect("printable");
        prop_assert_eq!(canonical(&pretty).expect("valid"), compact);
    }

    #[test]
    fn any_bytes_are_an_answer_and_canonical_text_is_stable(text in "[\\[\\]{}\",: a0.e\\\\-]{0,24}") {
        if let Ok(bytes) = canonical(text.as_bytes()) {
            prop_assert_eq!(canonical(&bytes).expect("still valid"), bytes);
        }
        let known = vector_field(text.as_bytes(), "a", 1).is_ok();
        prop_assert!(known || field(text.as_bytes(), "a").is_err() || text.contains('a'));
    }
}

/// Every number that is accepted is read again by filters and indexes, at the very edge of a double, too.
#[test]
fn a_number_that_is_accepted_can_be_read_by_every_reader() {
    let mut paths = Paths::default();
    let number = paths.add(["a"].iter());
    let mut texts = Vec::new();
    for tail in 0..40_u32 {
        texts.push(format!("1.7976931348623157{tail:02}e308"));
        texts.push(format!("1.7976931348623158{tail:02}e308"));
        texts.push(format!("17976931348623158{tail:02}{}", "0".repeat(290)));
        texts.push(format!("17976931348623157{tail:02}9{}", "9".repeat(289)));
        texts.push(format!("-1.79769313486231{tail:02}e+308"));
        texts.push(format!("0.00017976931348623158{tail:02}e312"));
        texts.push(format!("1797693134862315{tail:02}0e290"));
    }
    for text in texts {
        let document = format!("{{\"a\":{text}}}");
        if canonical(document.as_bytes()).is_ok() {
            let mut values = [crate::scalar::Scalar::Null];
            paths.extract(document.as_bytes(), &mut values).expect(&text);
            assert!(matches!(values[number], crate::scalar::Scalar::Float(_)), "{text}");
        }
    }
}
