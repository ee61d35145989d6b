use super::*;
use proptest::prelude::*;

fn scalar(text: &str) -> Option<Scalar<'_>> {
    let mut cursor = Cursor::new(text.as_bytes());
    let scalar = cursor.scalar().ok()?;
    cursor.end().ok().map(|()| scalar)
}

#[test]
fn scalars_are_read_as_they_are() {
    for (text, expected) in [
        ("null", Scalar::Null),
        ("true", Scalar::Bool(true)),
        ("false", Scalar::Bool(false)),
        ("0", Scalar::Integer(0)),
        ("-1", Scalar::Integer(-1)),
        ("9223372036854775807", Scalar::Integer(i64::MAX.into())),
        ("-9223372036854775808", Scalar::Integer(i64::MIN.into())),
        ("18446744073709551615", Scalar::Integer(u64::MAX.into())),
        ("18446744073709551616", Scalar::Float(18_446_744_073_709_551_616.0)),
        ("-9223372036854775809", Scalar::Float(-9_223_372_036_854_775_808.0)),
        (
            "123456789012345678901234567890",
            Scalar::Float(123_456_789_012_345_678_901_234_567_890.0),
        ),
        ("1.5", Scalar::Float(1.5)),
        ("-2e3", Scalar::Float(-2000.0)),
        ("1.50E+02", Scalar::Float(150.0)),
        ("\"\"", Scalar::Text("".into())),
        ("\"a\\\"b\\\\\"", Scalar::Text("a\"b\\".into())),
        ("\"\\u00e9\u{e9}\"", Scalar::Text("\u{e9}\u{e9}".into())),
    ] {
        assert_eq!(scalar(text), Some(expected), "{text}");
    }
}

#[test]
fn what_is_no_scalar_is_an_error() {
    for text in ["", "nul", "tru", "-", "1e999", "--1", "\"", "\"a", "\"a\\", "\"\\x\"", "x", "}"] {
        assert_eq!(scalar(text), None, "{text}");
    }
    assert!(Cursor::new(b"\"\xff\"").scalar().is_err());
}

#[test]
fn values_are_moved_over_whole() {
    let texts =
        ["1", "-1.5e3", "null", "\"a]}\\\"\"", "[]", "{}", "[1,{\"a\":[\"]\"]}]", "{\"}\":{}}"];
    for text in texts {
        let whole = format!("{text},");
        let mut cursor = Cursor::new(whole.as_bytes());
        cursor.skip().expect(text);
        assert_eq!(cursor.at, text.len(), "{text}");
    }
    for text in ["", ",", "[", "{\"a\":[1}", "\"a"] {
        assert!(Cursor::new(text.as_bytes()).skip().is_err(), "{text}");
    }
}

proptest! {
    /// A double that is printed is read as itself: the text with the fewest digits that means it.
    #[test]
    fn a_double_is_read_exactly(bits: u64) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        for text in [format!("{number:?}"), format!("{number:e}")] {
            let read = match scalar(&text) {
                Some(Scalar::Float(read)) => read,
                #[expect(clippy::cast_precision_loss, reason = "such integers are doubles")]
                Some(Scalar::Integer(read)) => read as f64,
                other => panic!("{text}: {other:?}"),
            };
            prop_assert_eq!(read.total_cmp(&(number + 0.0)), std::cmp::Ordering::Equal);
        }
    }
}
