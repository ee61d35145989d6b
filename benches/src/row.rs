//! One figure, as programs read it.

use serde::Serialize;

/// What somebody reached in a case, beside the limit of the same run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// Cases that belong together.
    pub group: &'static str,
    /// Which workload.
    pub case: String,
    /// `limit`, `nodedb`, or the name of a peer.
    pub who: &'static str,
    /// Median over the rounds, in `unit`.
    pub value: f64,
    /// What `value` counts.
    pub unit: &'static str,
    /// Median over the rounds of this value by the limit's. Above 1 is better where `unit` is a rate, and
    /// worse where it is a time. `None` if the case has no limit.
    pub ratio_to_limit: Option<f64>,
}

impl Row {
    /// The row as one line of JSON, numbers rounded to what a bench can tell apart.
    ///
    /// # Errors
    /// If a number is not finite: such a row says nothing.
    pub fn json(&self) -> anyhow::Result<String> {
        let finite = self.value.is_finite() && self.ratio_to_limit.is_none_or(f64::is_finite);
        anyhow::ensure!(finite, "{} of {} measured nothing", self.case, self.who);
        let rounded = Self {
            value: round(self.value, 1e3),
            ratio_to_limit: self.ratio_to_limit.map(|ratio| round(ratio, 1e4)),
            ..self.clone()
        };
        Ok(serde_json::to_string(&rounded)?)
    }
}

fn round(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: f64, ratio_to_limit: Option<f64>) -> Row {
        let (case, who) = ("blocking-1".to_owned(), "nodedb");
        Row { group: "wal", case, who, value, unit: "records/s", ratio_to_limit }
    }

    #[test]
    fn a_row_is_one_line_with_all_fields() {
        let line = row(9_700.123_456, Some(0.912_345)).json().expect("finite");
        let expected = r#"{"group":"wal","case":"blocking-1","who":"nodedb","value":9700.123,"unit":"records/s","ratio_to_limit":0.9123}"#;
        assert_eq!(line, expected);
        let line = row(1.0, None).json().expect("finite");
        assert!(line.ends_with(r#""ratio_to_limit":null}"#), "{line}");
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        assert!(row(f64::NAN, None).json().is_err());
        assert!(row(1.0, Some(f64::INFINITY)).json().is_err());
    }
}
