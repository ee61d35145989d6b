use super::*;
use nodedb_types::ErrorKind;
use proptest::prelude::*;

const DOCUMENT: &str = r#"{"n":5,"f":1.5,"s":"abc","t":true,"u":false,"z":null,"big":9007199254740993,
    "top":18446744073709551615,"a":{"b":{"c":"deep"},"x.y":1},"l":[1,2],"odd name":7,"neg":-3}"#;

fn matches(text: &str) -> bool {
    let filter = Filter::parse(text).expect(text);
    filter.matches(DOCUMENT.as_bytes()).expect("a document")
}

/// True, false, or unknown: unknown is what neither the condition nor its negation matches.
fn truth(text: &str) -> Option<bool> {
    match (matches(text), matches(&format!("NOT ({text})"))) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
        (true, true) => panic!("{text} is true and false"),
    }
}

#[test]
fn conditions_that_are_true() {
    for text in [
        "n = 5",
        "n = 5.0",
        "5 = n",
        "n <> 4",
        "n != 4",
        "n < 6",
        "n <= 5",
        "n > -1",
        "n >= 5",
        "f = 1.5",
        "f < 2",
        "f > 1",
        "neg = -3",
        "neg < -2.5",
        "s = 'abc'",
        "s < 'abd'",
        "s > 'abb'",
        "s > 'Z'",
        "t",
        "t = true",
        "NOT u",
        "u = FALSE",
        "u < t",
        "a.b.c = 'deep'",
        "a.\"x.y\" = 1",
        "\"odd name\" = 7",
        "z IS NULL",
        "missing IS NULL",
        "a.b.c.d IS NULL",
        "a IS NOT NULL",
        "l IS NOT NULL",
        "n IS NOT NULL",
        "n IN (1, 5, 9)",
        "s IN ('abc')",
        "n NOT IN (1, 2)",
        "n BETWEEN 5 AND 5",
        "s BETWEEN 'a' AND 'b'",
        "n NOT BETWEEN 6 AND 9",
        "s LIKE 'a%'",
        "s LIKE '_b_'",
        "s NOT LIKE '%z%'",
        "t IS TRUE",
        "u IS FALSE",
        "z IS NOT TRUE",
        "(z = 1) IS UNKNOWN",
        "(n = 5) IS TRUE",
        "n = 5 AND s = 'abc' AND t",
        "n = 4 OR s = 'abc'",
        "n = 4 OR n = 3 OR n = 5",
        "NOT n = 4",
        "(n = (5))",
        "big = 9007199254740993",
        "big > 9007199254740992.0",
        "top = 18446744073709551615",
        "top < 18446744073709551616",
        "n < 1e300 AND n > -1e300",
        "z = 1 OR n = 5",
        "TRUE",
        "NOT FALSE",
    ] {
        assert_eq!(truth(text), Some(true), "{text}");
    }
}

#[test]
fn conditions_that_are_false() {
    for text in [
        "n = 4",
        "big = 9007199254740992",
        "big = 9007199254740992.0",
        "n IN (1, 2)",
        "s LIKE 'b%'",
        "n BETWEEN 6 AND 4",
        "z = 1 AND n = 4",
        "n IS NULL",
        "z IS NOT NULL",
        "(z = 1) IS TRUE",
        "n BETWEEN 6 AND z",
    ] {
        assert_eq!(truth(text), Some(false), "{text}");
    }
}

#[test]
fn conditions_that_are_unknown() {
    for text in [
        "z = 1",
        "z = NULL",
        "missing < 5",
        "n = '5'",
        "s > 1",
        "t = 1",
        "a = 1",
        "l = 1",
        "n LIKE '5'",
        "z IN (1)",
        "n IN (1, NULL)",
        "n IN (1, 'x')",
        "n NOT IN (1, NULL)",
        "n BETWEEN 1 AND z",
        "z AND t",
        "n",
        "NULL",
        "z = 1 OR n = 4",
    ] {
        assert_eq!(truth(text), None, "{text}");
    }
}

#[test]
fn what_is_not_supported_is_named_with_what_is() {
    for (text, named) in [
        ("lower(s) = 'x'", "function call"),
        ("n + 1 = 2", "`+`"),
        ("s || 'x' = 'y'", "`||`"),
        ("s ILIKE 'a'", "ILIKE"),
        ("n IN (SELECT 1)", "subquery"),
        ("CAST(n AS TEXT) = '5'", "CAST"),
        ("CASE WHEN t THEN u END", "CASE"),
        ("l[0] = 1", "subscript"),
        ("n = ?", "placeholder"),
        ("s LIKE s", "LIKE with a pattern"),
        ("s LIKE 'a' ESCAPE 'b'", "ESCAPE"),
        ("5", "number or string as a condition"),
        ("-s = 1", "negative"),
        ("n = 1e999", "1e999"),
        ("s = X'00'", "literal"),
        ("(n = 5) = (t = true)", "inside of an operand"),
    ] {
        let error = Filter::parse(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let message = error.to_string();
        assert!(message.contains(named), "{text}: {message}");
        assert!(message.contains("[NOT] BETWEEN"), "{text}: {message}");
    }
}

#[test]
fn what_is_no_expression_is_refused() {
    for text in
        ["", " ", "n =", "n = 5 n", "n = 5; DROP TABLE x", "(n = 5", "n = 'a", "SELECT 1 FROM t"]
    {
        let error = Filter::parse(text).expect_err(text);
        assert!(matches!(error, DocumentError::FilterSyntax { .. }), "{text}: {error}");
    }
}

#[test]
fn size_and_depth_are_bounded_whatever_hangs_where() {
    let long = format!("s = '{}'", "x".repeat(FILTER_BYTES_MAX));
    assert!(matches!(Filter::parse(&long), Err(DocumentError::FilterTooLong { .. })));
    let nested = |depth: usize| "(".repeat(depth) + "t" + &")".repeat(depth);
    assert!(Filter::parse(&nested(20)).is_ok());
    assert!(matches!(Filter::parse(&nested(4000)), Err(DocumentError::FilterTooDeep { .. })));
    let nots = "NOT ".repeat(4000) + "t";
    // The parser goes back and takes the last NOT for a name; what follows it is then too much.
    assert!(Filter::parse(&nots).is_err());
    let is_true = "t".to_owned() + &" IS TRUE".repeat(2000);
    assert!(matches!(Filter::parse(&is_true), Err(DocumentError::FilterTooDeep { .. })));
    let equal = "n".to_owned() + &"=n".repeat(8000);
    assert!(matches!(Filter::parse(&equal), Err(DocumentError::FilterUnsupported { .. })));
    let minus = "n = ".to_owned() + &"- ".repeat(8000) + "1";
    assert!(Filter::parse(&minus).is_err());
}

#[test]
fn a_long_chain_is_flat() {
    let chain = "t".to_owned() + &" AND t".repeat(2700);
    assert!(matches(&chain));
    let list = (0..3000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    assert!(matches(&format!("n IN ({list})")));
}

#[test]
fn bytes_that_are_no_json_are_an_error() {
    let filter = Filter::parse("n = 5").expect("valid");
    for bytes in [&b""[..], b"\xff\xfe", b"{\"n\":5", b"{\"n\":5}{}", b"plain text"] {
        let error = filter.matches(bytes).expect_err("no document");
        assert!(matches!(error, DocumentError::NotJson { .. }));
    }
    for other in ["[1]", "5", "\"n\"", "null"] {
        assert!(!filter.matches(other.as_bytes()).expect("a document"), "{other}");
    }
}

#[test]
fn a_field_and_one_within_it_are_both_read() {
    let filter = Filter::parse("a IS NOT NULL AND a.b = 1").expect("valid");
    assert!(filter.matches(br#"{"a":{"b":1}}"#).expect("a document"));
    assert!(!filter.matches(br#"{"a":1}"#).expect("a document"));
}

proptest! {
    #[test]
    fn integers_compare_exactly(a: i64, b in prop_oneof![any::<u64>(), (1_u64 << 53)..(1 << 54)]) {
        let document = format!("{{\"a\":{a}}}");
        let holds = |text: &str| Filter::parse(text).expect("valid").matches(document.as_bytes());
        let below = holds(&format!("a < {b}")).expect("a document");
        prop_assert_eq!(below, i128::from(a) < i128::from(b));
        let float = Scalar::Float(2_f64.powi(53));
        let order = Scalar::Integer(i128::from(b)).compare(&float);
        prop_assert_eq!(order, Some(b.cmp(&(1 << 53))));
        prop_assert_eq!(float.compare(&Scalar::Integer(i128::from(b))), order.map(std::cmp::Ordering::reverse));
    }

    #[test]
    fn any_text_is_a_filter_or_an_error(text in "[a-c '\"=<>().,%_0-9NOTADRISLKE-]{0,40}") {
        if let Ok(filter) = Filter::parse(&text) {
            prop_assert!(filter.matches(DOCUMENT.as_bytes()).is_ok());
        }
    }
}

proptest! {
    /// The parser of documents once read some numbers one double off what the same digits mean in a
    /// filter, so that a document was not found by the very number that it holds.
    #[test]
    fn a_number_equals_its_own_digits(bits: u64) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let document = format!("{{\"a\":{number:e}}}");
        let filter = Filter::parse(&format!("a = {number:e}")).expect("valid");
        prop_assert!(filter.matches(document.as_bytes()).expect("a document"), "{}", document);
    }
}
