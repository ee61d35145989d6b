//! Several things measured in turns, so that what they are to each other means something on a machine
//! that is not idle.

use crate::{Row, median, ratio};
use anyhow::Result;
use std::{fmt::Debug, time::Duration};

/// Who all others are held against, unless the case says otherwise.
pub const LIMIT: &str = "limit";

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Turns of everybody.
    pub rounds: usize,
    /// Length of one turn.
    pub time: Duration,
    /// Whether this is only to see that it runs.
    pub quick: bool,
}

impl Effort {
    /// Enough to quote the ratios.
    pub const FULL: Self = Self { rounds: 5, time: Duration::from_millis(1_500), quick: false };
    /// Enough to see that it runs.
    pub const QUICK: Self = Self { rounds: 3, time: Duration::from_millis(300), quick: true };

    /// As long, in so many times as many turns.
    #[must_use]
    pub fn finer(self, times: u32) -> Self {
        Self { rounds: self.rounds * times as usize, time: self.time / times, ..self }
    }
}

/// What one turn came to.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Sample {
    /// In the unit of the case.
    pub value: f64,
    /// More that was seen, for the table only.
    pub notes: Vec<(&'static str, f64)>,
}

/// Somebody who can be measured again and again.
pub trait Contender {
    /// `limit`, `nodedb`, or the name of a peer.
    fn who(&self) -> &'static str;

    /// Takes one turn of about that time.
    ///
    /// # Errors
    /// Whatever keeps it from doing the work: then there is no figure.
    fn turn(&mut self, time: Duration) -> Result<Sample>;

    /// Ends it, and proves that its turns did what they claim.
    ///
    /// # Errors
    /// If they did not: then its figures are void.
    fn verify(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// The turns of one contender.
#[derive(Clone, Debug)]
pub struct Series {
    /// Whose turns.
    pub who: &'static str,
    /// One for each round.
    pub samples: Vec<Sample>,
}

impl Series {
    /// The values of all rounds.
    pub fn values(&self) -> Vec<f64> {
        self.samples.iter().map(|sample| sample.value).collect()
    }

    /// The median of each note.
    pub fn notes(&self) -> Vec<(&'static str, f64)> {
        let names = self.samples.first().map(|sample| &sample.notes).into_iter().flatten();
        let of_name = |name| {
            let notes = self.samples.iter().flat_map(|sample| &sample.notes);
            median(&notes.filter(|note| note.0 == name).map(|note| note.1).collect::<Vec<_>>())
        };
        names.filter_map(|(name, _)| Some((*name, of_name(*name)?))).collect()
    }
}

/// Everybody's turns in one case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Cases that belong together.
    pub group: &'static str,
    /// Which workload.
    pub case: String,
    /// What the values count.
    pub unit: &'static str,
    /// Whom the others are held against, if it is among them.
    pub limit: &'static str,
    /// The contenders.
    pub series: Vec<Series>,
    /// What a reader of the figures should know.
    pub remarks: Vec<String>,
}

impl Outcome {
    /// One row for each contender.
    pub fn rows(&self) -> Vec<Row> {
        let limit = self.series.iter().find(|series| series.who == self.limit);
        let limits = limit.map(Series::values).unwrap_or_default();
        let row = |series: &Series| {
            Some(Row {
                group: self.group,
                case: self.case.clone(),
                who: series.who,
                value: median(&series.values())?,
                unit: self.unit,
                ratio_to_limit: ratio(&series.values(), &limits),
            })
        };
        self.series.iter().filter_map(row).collect()
    }
}

/// Gives everybody one turn in each round: a disk or a processor that is slow for a while is so for all.
/// At the end each proves what it did.
///
/// # Errors
/// The first of any turn or proof.
pub fn in_turns(mut contenders: Vec<Box<dyn Contender>>, effort: Effort) -> Result<Vec<Series>> {
    let all = contenders.iter().map(|one| Series { who: one.who(), samples: vec![] });
    let mut all: Vec<Series> = all.collect();
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    for _ in 0..effort.rounds {
        for index in &order {
            let sample = contenders[*index].turn(effort.time)?;
            all[*index].samples.push(sample);
        }
        // There and back: a device whose rate is limited owes everybody what the one before has used up.
        order.reverse();
    }
    contenders.into_iter().try_for_each(Contender::verify)?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::RefCell, rc::Rc};

    struct Steady {
        who: &'static str,
        values: Vec<f64>,
        calls: Rc<RefCell<String>>,
    }

    impl Contender for Steady {
        fn who(&self) -> &'static str {
            self.who
        }

        fn turn(&mut self, _: Duration) -> Result<Sample> {
            self.calls.borrow_mut().push_str(self.who);
            let value = self.values.remove(0);
            Ok(Sample { value, notes: vec![("twice", 2.0 * value)] })
        }

        fn verify(self: Box<Self>) -> Result<()> {
            anyhow::ensure!(self.values.is_empty(), "a turn was left out");
            self.calls.borrow_mut().push('.');
            Ok(())
        }
    }

    fn outcome() -> (Outcome, String) {
        let calls = Rc::default();
        let one = |who, values: [f64; 3]| {
            let calls = Rc::clone(&calls);
            Box::new(Steady { who, values: values.to_vec(), calls }) as Box<dyn Contender>
        };
        let contenders = vec![one(LIMIT, [10.0, 1.0, 20.0]), one("nodedb", [5.0, 0.6, 9.0])];
        let series = in_turns(contenders, Effort::QUICK).expect("measured");
        let calls = calls.borrow().clone();
        let (case, remarks) = ("case".to_owned(), vec![]);
        (Outcome { group: "wal", case, unit: "records/s", limit: LIMIT, series, remarks }, calls)
    }

    #[test]
    fn everybody_has_a_turn_in_each_round_there_and_back() {
        let (outcome, calls) = outcome();
        assert_eq!(calls, "limitnodedb nodedblimit limitnodedb..".replace(' ', ""));
        assert_eq!(outcome.series[1].notes(), [("twice", 10.0)]);
    }

    #[test]
    fn rows_hold_medians_and_the_median_of_the_ratios() {
        let rows = outcome().0.rows();
        assert_eq!((rows[0].value, rows[0].ratio_to_limit), (10.0, Some(1.0)));
        assert_eq!((rows[1].value, rows[1].ratio_to_limit), (5.0, Some(0.5)));
        assert_eq!((rows[1].group, rows[1].who), ("wal", "nodedb"));
    }

    #[test]
    fn a_case_without_a_limit_has_no_ratio() {
        let (mut outcome, _) = outcome();
        outcome.series.remove(0);
        assert_eq!(outcome.rows()[0].ratio_to_limit, None);
    }
}
