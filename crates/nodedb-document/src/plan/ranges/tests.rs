use super::*;
use proptest::prelude::*;

const BELOW: Side = Side::Below { itself: false };
const UP_TO: Side = Side::Below { itself: true };
const ABOVE: Side = Side::Above { itself: false };
const FROM: Side = Side::Above { itself: true };

fn number(number: i128) -> Scalar<'static> {
    Scalar::Integer(number)
}

fn text(text: &str) -> Scalar<'static> {
    Scalar::Text(text.to_owned().into())
}

fn union(mut one: Ranges, other: Ranges) -> Ranges {
    one.append(other);
    one.merged()
}

fn shown(ranges: &Ranges) -> String {
    ranges.describe("a")
}

#[test]
fn ranges_are_shown_as_conditions() {
    for (ranges, expected) in [
        (Ranges::of(Side::Equal, &number(5)), "a = 5"),
        (Ranges::of(Side::Equal, &text("it's")), "a = 'it''s'"),
        (Ranges::of(Side::Equal, &Scalar::Bool(true)), "a = TRUE"),
        (Ranges::of(Side::Equal, &Scalar::Float(0.5)), "a = 0.5"),
        (Ranges::of(BELOW, &number(5)), "a < 5"),
        (Ranges::of(UP_TO, &number(5)), "a <= 5"),
        (Ranges::of(ABOVE, &text("b")), "a > 'b'"),
        (Ranges::of(FROM, &text("b")), "a >= 'b'"),
        (Ranges::of(Side::Unequal, &number(5)), "a < 5 OR a > 5"),
        (Ranges::prefix("ab"), "a LIKE 'ab%'"),
        (Ranges::prefix(""), "a is a text"),
        (Ranges::of(Side::Equal, &Scalar::Null), ""),
        (
            Ranges::of(FROM, &number(2)).intersection(&Ranges::of(BELOW, &number(7))),
            "a >= 2 AND a < 7",
        ),
        (Ranges::of(FROM, &number(7)).intersection(&Ranges::of(BELOW, &number(2))), ""),
        (Ranges::of(FROM, &number(2)).intersection(&Ranges::of(BELOW, &text("x"))), ""),
        (union(Ranges::of(FROM, &number(7)), Ranges::of(BELOW, &number(2))), "a < 2 OR a >= 7"),
        (union(Ranges::of(FROM, &number(2)), Ranges::of(ABOVE, &number(7))), "a >= 2"),
    ] {
        assert_eq!(shown(&ranges), expected);
    }
    let many = (0..12).map(|n| Ranges::of(Side::Equal, &number(n)));
    let many = many.fold(Ranges::default(), union);
    assert!(shown(&many).ends_with("a = 7 OR 4 more"), "{}", shown(&many));
}

#[test]
fn a_literal_that_is_cut_widens_its_range() {
    let long = "a".repeat(2000);
    let (longer, kept) = (long.clone() + "b", encode(&text(&long)).expect("kept").0);
    for side in [BELOW, UP_TO, ABOVE, FROM, Side::Equal, Side::Unequal] {
        let ranges = Ranges::of(side, &text(&longer));
        assert!(ranges.iter().any(|range| has(range, &kept)), "{side:?}");
    }
    assert_eq!(Ranges::of(Side::Equal, &text(&long)).iter().filter_map(Range::point).count(), 1);
    assert!(Ranges::prefix(&longer).iter().any(|range| has(range, &kept)));
}

fn has(range: &Range, value: &[u8]) -> bool {
    *range.low.position() <= *value && *value < *range.high.position()
}

fn scalar() -> impl Strategy<Value = Scalar<'static>> {
    prop_oneof![
        any::<bool>().prop_map(Scalar::Bool),
        (-3..4_i128).prop_map(Scalar::Integer),
        (-8..8_i8).prop_map(|n| Scalar::Float(f64::from(n) / 4.0)),
        "[ab\u{0}]{0,2}".prop_map(|text| Scalar::Text(text.into())),
    ]
}

fn side() -> impl Strategy<Value = Side> {
    prop::sample::select(vec![BELOW, UP_TO, ABOVE, FROM, Side::Equal, Side::Unequal])
}

fn holds(side: Side, value: &Scalar<'_>, literal: &Scalar<'_>) -> bool {
    value.compare(literal).is_some_and(|order| match side {
        Side::Below { itself } => order.is_lt() || (itself && order.is_eq()),
        Side::Above { itself } => order.is_gt() || (itself && order.is_eq()),
        Side::Equal => order.is_eq(),
        Side::Unequal => order.is_ne(),
    })
}

proptest! {
    #[test]
    fn ranges_hold_exactly_what_they_say(
        one in (side(), scalar()),
        two in (side(), scalar()),
        value in scalar(),
    ) {
        let kept = encode(&value).expect("kept").0;
        let has = |ranges: &Ranges| ranges.iter().filter(|range| has(range, &kept)).count();
        let (first, second) = (Ranges::of(one.0, &one.1), Ranges::of(two.0, &two.1));
        let (in_one, in_two) = (holds(one.0, &value, &one.1), holds(two.0, &value, &two.1));
        prop_assert_eq!(has(&first), usize::from(in_one));
        prop_assert_eq!(has(&first.intersection(&second)), usize::from(in_one && in_two));
        prop_assert_eq!(has(&union(first.clone(), second)), usize::from(in_one || in_two));
        for range in first.iter() {
            prop_assert_eq!(range.point().is_some(), one.0 == Side::Equal);
        }
    }
}
