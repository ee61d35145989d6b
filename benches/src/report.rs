//! What a run tells: rows for programs, or a table for people.

use crate::{Arguments, Effort, Machine, Outcome, Row, Series};
use anyhow::Result;
use std::io::{self, Write};

/// Where outcomes go.
#[derive(Debug)]
pub struct Report {
    json: bool,
}

impl Report {
    /// Begins a report; a table names the machine first.
    ///
    /// # Errors
    /// If standard output is closed.
    pub fn begin(arguments: &Arguments, effort: Effort, machine: &Machine) -> Result<Self> {
        let json = arguments.json;
        if !json {
            let worth = if effort.quick { " (quick: nothing to quote)" } else { "" };
            let (rounds, time) = (effort.rounds, effort.time);
            say(&format!("{machine}\n{rounds} rounds of about {time:?}, medians{worth}\n"))?;
        }
        Ok(Self { json })
    }

    /// Tells one outcome at once.
    ///
    /// # Errors
    /// If standard output is closed, or a figure is no number.
    pub fn tell(&self, outcome: &Outcome) -> Result<()> {
        if !self.json {
            return say(&table(outcome));
        }
        let lines: Result<Vec<String>> = outcome.rows().iter().map(Row::json).collect();
        say(&(lines?.join("\n") + "\n"))
    }
}

fn say(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn table(outcome: &Outcome) -> String {
    let head = format!("\n{}/{}, {}\n", outcome.group, outcome.case, outcome.unit);
    let rows = outcome.rows();
    let limit = outcome.series.iter().find(|series| series.who == outcome.limit);
    let lines = outcome.series.iter().filter_map(|series| {
        let row = rows.iter().find(|row| row.who == series.who)?;
        Some(line(series, row, limit))
    });
    let remarks = outcome.remarks.iter().map(|remark| format!("  {remark}\n"));
    head + &lines.chain(remarks).collect::<String>()
}

fn line(series: &Series, row: &Row, limit: Option<&Series>) -> String {
    let (least, most) = range(series);
    let range = format!("{} to {}", number(least), number(most));
    let ratio = row.ratio_to_limit.map_or_else(String::new, |ratio| format!("{ratio:.2} of limit"));
    let notes = series.notes().into_iter().chain(at_best(series, row, limit));
    let notes: Vec<String> =
        notes.map(|(name, value)| format!("{name} {}", number(value))).collect();
    let (who, value) = (row.who, number(row.value));
    let line = format!("  {who:<12} {value:>12}  {range:<26} {ratio:<15} {}", notes.join(", "));
    line.trim_end().to_owned() + "\n"
}

fn range(series: &Series) -> (f64, f64) {
    let values = series.values();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    (least, values.into_iter().fold(f64::NEG_INFINITY, f64::max))
}

/// The best turn by the limit's best: on a machine with other users the one ratio that they spoil least.
fn at_best(series: &Series, row: &Row, limit: Option<&Series>) -> Option<(&'static str, f64)> {
    let limit = limit.filter(|limit| limit.who != series.who)?;
    let ((least, most), (limit_least, limit_most)) = (range(series), range(limit));
    let ratio = if is_less_better(row.unit) { least / limit_least } else { most / limit_most };
    Some(("of limit at best", ratio))
}

/// Whether less of it is better: of time and of memory.
fn is_less_better(unit: &str) -> bool {
    ["ns", "us", "MiB"].contains(&unit)
}

/// Three digits at least, thousands apart.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sample;

    #[test]
    fn the_table_shows_medians_ranges_ratios_and_notes() {
        let series = |who, values: [f64; 3]| Series {
            who,
            samples: values.map(|value| Sample { value, notes: vec![("per sync", 8.0)] }).to_vec(),
        };
        let outcome = Outcome {
            group: "wal",
            case: "blocking-8".to_owned(),
            unit: "records/s",
            limit: "limit",
            series: vec![
                series("limit", [70_000.0, 75_000.0, 1_234_567.0]),
                series("nodedb", [35_000.0, 30_000.0, 617_283.5]),
            ],
            remarks: vec!["on a quiet machine".to_owned()],
        };
        let expected = "
wal/blocking-8, records/s
  limit              75 000  70 000 to 1 234 567        1.00 of limit   per sync 8.00
  nodedb             35 000  30 000 to 617 284          0.50 of limit   per sync 8.00, of limit at best 0.50
  on a quiet machine
";
        assert_eq!(table(&outcome), expected);
    }

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(number(4.567), "4.57");
        assert_eq!(number(456.7), "457");
        assert_eq!(number(4_567.8), "4 568");
    }
}
