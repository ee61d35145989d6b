//! One workload of a group, and how a group is run.

use crate::{Arguments, Contender, Effort, LIMIT, Machine, Outcome, Report, Series, in_turns};
use anyhow::{Context, Result, ensure};
use nodedb_env::Env;
use std::{fmt, path::PathBuf};

type Measure<'a> = Box<dyn Fn(&Site) -> Result<Vec<Outcome>> + 'a>;

/// A workload that can be measured.
pub struct Case<'a> {
    id: &'static str,
    measure: Measure<'a>,
}

impl<'a> Case<'a> {
    /// A case of that name, on the command line and in rows. It may have several outcomes, and none where
    /// what it needs is not there, which it says.
    pub fn new(id: &'static str, measure: impl Fn(&Site) -> Result<Vec<Outcome>> + 'a) -> Self {
        Self { id, measure: Box::new(measure) }
    }

    /// Its name.
    pub const fn id(&self) -> &'static str {
        self.id
    }
}

impl fmt::Debug for Case<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Case").field(&self.id).finish()
    }
}

/// Where a case is measured, and how much.
#[derive(Debug)]
pub struct Site {
    group: &'static str,
    case: &'static str,
    dir: PathBuf,
    /// How much is measured.
    pub effort: Effort,
}

impl Site {
    /// A new directory, gone after the case.
    ///
    /// # Errors
    /// What the system reports.
    pub fn fresh(&self, name: &str) -> Result<PathBuf> {
        let files = Env::real().files;
        if files.entry(&self.dir)?.is_none() {
            files.create_dir(&self.dir)?;
        }
        let dir = self.dir.join(name);
        files.create_dir(&dir)?;
        Ok(dir)
    }

    /// Gives the contenders their turns, the limit first, and names the outcome after the case.
    ///
    /// # Errors
    /// Whatever keeps one of them from its work, or from the proof of it.
    pub fn race(&self, unit: &'static str, contenders: Vec<Box<dyn Contender>>) -> Result<Outcome> {
        let series = in_turns(contenders, self.effort)?;
        let (group, case) = (self.group, self.case.to_owned());
        Ok(Outcome { group, case, unit, limit: LIMIT, series, remarks: vec![] })
    }

    /// Names one of several outcomes after the case and what it is about.
    pub fn outcome(&self, about: &str, unit: &'static str, series: Vec<Series>) -> Outcome {
        let (group, case) = (self.group, format!("{}-{about}", self.case));
        Outcome { group, case, unit, limit: LIMIT, series, remarks: vec![] }
    }
}

/// Runs the cases that are asked for and tells each as soon as it is measured. Temporary files go to
/// `TMPDIR`.
///
/// # Errors
/// If a case is unknown, or somebody could not do its work: then the run ends without the rest.
pub fn run_cases(group: &'static str, cases: &[Case<'_>], arguments: &Arguments) -> Result<()> {
    ensure!(!cases.is_empty(), "{group} has no case");
    let known: Vec<&str> = cases.iter().map(Case::id).collect();
    arguments.check_cases(&known)?;
    let temp = tempfile::tempdir()?;
    let effort = arguments.effort();
    let report = Report::begin(arguments, effort, &Machine::of(temp.path()))?;
    for case in cases.iter().filter(|case| arguments.wants(case.id)) {
        let dir = temp.path().join(case.id);
        let site = Site { group, case: case.id, dir, effort };
        let outcomes = (case.measure)(&site).with_context(|| format!("case {}", case.id))?;
        for outcome in outcomes {
            report.tell(&outcome)?;
        }
        // Only now, so that freeing the blocks of one store does not slow down another.
        let files = Env::real().files;
        if files.entry(&site.dir)?.is_some() {
            files.remove_dir_all(&site.dir)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sample;
    use std::{cell::RefCell, time::Duration};

    struct Steady;

    impl Contender for Steady {
        fn who(&self) -> &'static str {
            LIMIT
        }

        fn turn(&mut self, _: Duration) -> Result<Sample> {
            Ok(Sample { value: 1.0, notes: vec![] })
        }
    }

    #[test]
    fn the_cases_that_are_asked_for_run_each_in_a_directory_of_its_own() {
        let seen = RefCell::new(Vec::new());
        let measure = |site: &Site| {
            let dir = site.fresh("one")?;
            assert!(Env::real().files.list(&dir)?.is_empty());
            let outcome = site.race("puts/s", vec![Box::new(Steady)])?;
            assert_eq!(outcome.rows()[0].case, site.case);
            seen.borrow_mut().push((dir, outcome.case));
            Ok(vec![])
        };
        let cases = ["put-1", "put-8", "get-1"].map(|id| Case::new(id, measure));
        let asked = |words: &[&str]| Arguments {
            json: true,
            quick: true,
            cases: words.iter().map(|word| (*word).to_owned()).collect(),
            ..Arguments::default()
        };
        run_cases("facade", &cases, &asked(&["put"])).expect("measured");
        let names: Vec<String> = seen.borrow().iter().map(|(_, case)| case.clone()).collect();
        assert_eq!(names, ["put-1", "put-8"]);
        assert!(seen.borrow().iter().all(|(dir, _)| !dir.starts_with("put")));
        assert!(run_cases("facade", &cases, &asked(&["scan"])).is_err());
        let error = run_cases("facade", &[], &asked(&[])).expect_err("nothing").to_string();
        assert_eq!(error, "facade has no case");
    }
}
