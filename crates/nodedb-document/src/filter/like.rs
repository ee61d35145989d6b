//! Patterns of LIKE.

/// A pattern: `%` stands for any text, `_` for one character.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pattern(Vec<Part>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Any,
    One,
    Char(char),
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        let mut parts: Vec<Part> = text
            .chars()
            .map(|c| match c {
                '%' => Part::Any,
                '_' => Part::One,
                c => Part::Char(c),
            })
            .collect();
        parts.dedup_by(|a, b| *a == Part::Any && *b == Part::Any);
        Self(parts)
    }

    /// The text that everything begins with that matches, and whether that alone matches.
    pub(crate) fn literal_prefix(&self) -> (String, bool) {
        let mut prefix = String::new();
        for part in &self.0 {
            let Part::Char(c) = part else {
                return (prefix, false);
            };
            prefix.push(*c);
        }
        (prefix, true)
    }

    /// Goes back at most to the last `%`, so the time is bounded by the product of the lengths.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut part = 0;
        let mut rest = text.chars();
        let mut back = None;
        loop {
            let after = rest.as_str();
            match (self.0.get(part), rest.next()) {
                (Some(Part::Any), _) => {
                    part += 1;
                    rest = after.chars();
                    back = Some((part, rest.clone()));
                    continue;
                }
                (None, None) => return true,
                (Some(Part::One), Some(_)) => {
                    part += 1;
                    continue;
                }
                (Some(Part::Char(c)), Some(found)) if *c == found => {
                    part += 1;
                    continue;
                }
                _ => {}
            }
            // The last `%` takes one character more.
            let Some((after_any, from)) = &mut back else {
                return false;
            };
            if from.next().is_none() {
                return false;
            }
            part = *after_any;
            rest = from.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_sql() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("%", "", true),
            ("a%", "abc", true),
            ("%c", "abc", true),
            ("%b%", "abc", true),
            ("a_c", "abc", true),
            ("a_c", "ac", false),
            ("_", "\u{e9}", true),
            ("%a%b%c", "xaybzc", true),
            ("%a%b%c", "xaybz", false),
            ("%ab", "aab", true),
            ("a%%%b", "ab", true),
            ("_%_", "a", false),
            ("_%_", "ab", true),
            ("ABC", "abc", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{text} LIKE {pattern}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let pattern = Pattern::new(&"%a".repeat(200));
        assert!(!pattern.matches(&"a".repeat(199)));
        assert!(pattern.matches(&"a".repeat(5000)));
        assert!(!pattern.matches(&("a".repeat(5000) + "b")));
    }
}
