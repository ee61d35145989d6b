use super::*;
use proptest::prelude::*;
use std::cmp::Ordering;

/// Numbers around the edges of doubles and integers, and any others.
fn number() -> impl Strategy<Value = Scalar<'static>> {
    let edges: Vec<i128> = [0, 1 << 53, 1 << 54, 1 << 62, 1 << 63, 1 << 64]
        .into_iter()
        .flat_map(|edge: i128| (-3..=3).flat_map(move |near| [edge + near, -edge + near]))
        .filter(|integer| INTEGERS.contains(integer))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "any double near it will do")]
    let doubles: Vec<f64> = edges
        .iter()
        .flat_map(|edge| {
            let near = *edge as f64;
            [near, near.next_up(), near.next_down(), near + 0.5, -near]
        })
        .chain([0.0, -0.0, f64::MIN, f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.1, 1e300])
        .collect();
    prop_oneof![
        prop::sample::select(edges).prop_map(Scalar::Integer),
        prop::sample::select(doubles).prop_map(Scalar::Float),
        any::<i64>().prop_map(|integer| Scalar::Integer(integer.into())),
        any::<u64>().prop_map(|integer| Scalar::Integer(integer.into())),
        any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("JSON has no others", |float| float.is_finite())
            .prop_map(Scalar::Float),
    ]
}

fn scalar() -> impl Strategy<Value = Scalar<'static>> {
    prop_oneof![
        1 => any::<bool>().prop_map(Scalar::Bool),
        4 => number(),
        4 => "[\u{0}\u{1}ab\u{e9}\u{ff}\u{10ffff}]{0,4}".prop_map(|text| Scalar::Text(text.into())),
    ]
}

fn bytes(value: &Scalar<'_>) -> Vec<u8> {
    encode(value).expect("a kept value").0
}

fn text(text: impl Into<String>) -> Scalar<'static> {
    Scalar::Text(text.into().into())
}

#[test]
fn an_integer_beside_a_double_is_told_apart() {
    let two_to_53 = 1_i128 << 53;
    #[expect(clippy::cast_precision_loss, reason = "2^53 is a double")]
    let double = bytes(&Scalar::Float(two_to_53 as f64));
    assert_eq!(bytes(&Scalar::Integer(two_to_53)), double);
    assert!(bytes(&Scalar::Integer(two_to_53 + 1)) > double);
    assert!(bytes(&Scalar::Integer(two_to_53 + 1)) < bytes(&Scalar::Integer(two_to_53 + 2)));
    assert_eq!(bytes(&Scalar::Float(-0.0)), bytes(&Scalar::Integer(0)));
}

#[test]
fn what_is_no_value_is_not_kept() {
    assert_eq!(encode(&Scalar::Null), None);
    assert_eq!(encode(&Scalar::Composite), None);
}

#[test]
fn a_text_above_the_limit_keeps_its_beginning_and_its_place() {
    let fits = "a".repeat(INDEX_VALUE_BYTES_MAX);
    let longer = fits.clone() + "b";
    assert_eq!(encode(&text(fits.as_str())).map(|(_, fit)| fit), Some(Fit::Whole));
    assert_eq!(encode(&text(longer.as_str())).map(|(_, fit)| fit), Some(Fit::Cut));
    assert_eq!(bytes(&text(longer.clone() + "c")), bytes(&text(longer.as_str())));
    let above = "a".repeat(INDEX_VALUE_BYTES_MAX - 1) + "b";
    assert!(bytes(&text(fits.as_str())) < bytes(&text(longer.as_str())));
    assert!(bytes(&text(longer.as_str())) < bytes(&text(above)));
    let (value, fit, rest) =
        decode(&bytes(&text(longer))).map(|(v, f, r)| (v, f, r.len())).expect("kept");
    assert_eq!((value, fit, rest), (text(fits), Fit::Cut, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn bytes_sort_as_a_filter_compares(a in scalar(), b in scalar(), keys in any::<(u8, u8)>()) {
        let (left, right) = (bytes(&a), bytes(&b));
        if let Some(order) = a.compare(&b) {
            prop_assert_eq!(left.cmp(&right), order);
        } else {
            prop_assert_ne!(left[0], right[0]);
        }
        // With a key behind it, the value still decides.
        let (with_key, other) = ([&left[..], &[keys.0]].concat(), [&right[..], &[keys.1]].concat());
        let order = a.compare(&b).unwrap_or_else(|| left.cmp(&right));
        prop_assert_eq!(with_key.cmp(&other), order.then(keys.0.cmp(&keys.1)));
    }

    #[test]
    fn a_value_is_read_back_with_what_follows(value in scalar(), key in any::<[u8; 3]>()) {
        let kept = bytes(&value);
        let row = [&kept[..], &key].concat();
        prop_assert_eq!(split(&row), Some((&kept[..], &key[..])));
        let (read, fit, rest) = decode(&row).expect("kept");
        prop_assert_eq!(read.compare(&value), Some(Ordering::Equal));
        prop_assert_eq!((fit, rest), (Fit::Whole, &key[..]));
    }

    #[test]
    fn long_texts_keep_their_order(a in "[ab\u{0}]{0,3}", b in "[ab\u{0}]{0,3}", length in 1020..1026_usize) {
        let long = |tail: &str| text("x".repeat(length) + tail);
        let (a, b) = (long(&a), long(&b));
        let order = a.compare(&b).expect("texts");
        let kept = bytes(&a).cmp(&bytes(&b));
        prop_assert!(kept == order || kept.is_eq());
    }

    #[test]
    fn other_bytes_are_no_value_or_are_read(bytes in prop::collection::vec(0..5_u8, 0..16)) {
        let whole = decode(&bytes).map(|(.., rest)| rest.len());
        let split = split(&bytes).map(|(_, rest)| rest.len());
        prop_assert!(whole.is_none() || split == whole);
    }
}
