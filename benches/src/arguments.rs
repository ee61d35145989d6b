//! What a run of a bench is asked to do.

use crate::Effort;
use anyhow::{Result, bail};
use lexopt::{Arg, Parser};
use std::path::PathBuf;

/// The command line of a bench with a harness of its own.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Arguments {
    /// Fewer and shorter rounds: to see that it runs.
    pub quick: bool,
    /// Rows on standard output, one JSON object a line, and nothing else.
    pub json: bool,
    /// The cases to run, by the beginnings of their names; all if empty.
    pub cases: Vec<String>,
    /// Only recover the log in this directory and tell the peak of memory: a bench asks this of itself.
    pub recover: Option<PathBuf>,
    /// Only fill or open the database in this directory and tell the memory: likewise.
    pub resident: Option<PathBuf>,
    /// Only write to a database in this directory until killed: likewise.
    pub killed: Option<PathBuf>,
}

impl Arguments {
    /// Reads the command line of this process.
    ///
    /// # Errors
    /// If something on it means nothing.
    pub fn from_env() -> Result<Self> {
        Self::parse(Parser::from_env())
    }

    fn parse(mut parser: Parser) -> Result<Self> {
        let mut arguments = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("quick") => arguments.quick = true,
                Arg::Long("json") => arguments.json = true,
                Arg::Long("recover") => arguments.recover = Some(parser.value()?.into()),
                Arg::Long("killed") => arguments.killed = Some(parser.value()?.into()),
                Arg::Long("resident") => arguments.resident = Some(parser.value()?.into()),
                // Cargo says so to every bench.
                Arg::Long("bench") => {}
                Arg::Value(case) => arguments.cases.push(case.to_string_lossy().into_owned()),
                Arg::Long(_) | Arg::Short(_) => return Err(argument.unexpected().into()),
            }
        }
        Ok(arguments)
    }

    /// How much is measured.
    pub const fn effort(&self) -> Effort {
        if self.quick { Effort::QUICK } else { Effort::FULL }
    }

    /// Whether a case of this name is to run.
    pub fn wants(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|wanted| case.starts_with(wanted.as_str()))
    }

    /// Takes a word off the cases; answers whether it was there.
    pub fn take(&mut self, word: &str) -> bool {
        let before = self.cases.len();
        self.cases.retain(|case| case != word);
        self.cases.len() < before
    }

    /// Refuses words that are the beginning of none of the cases there are.
    ///
    /// # Errors
    /// Naming the word and the cases.
    pub fn check_cases(&self, known: &[&str]) -> Result<()> {
        for wanted in &self.cases {
            if !known.iter().any(|case| case.starts_with(wanted.as_str())) {
                bail!("no case begins with {wanted:?}; there are {}", known.join(", "));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments> {
        Arguments::parse(Parser::from_args(words))
    }

    #[test]
    fn options_and_cases_are_told_apart() {
        let arguments = parse(&["--quick", "blocking", "--json", "--bench"]).expect("known");
        assert!(arguments.quick && arguments.json);
        assert!(arguments.wants("blocking-8") && !arguments.wants("buffered-1"));
        assert!(parse(&[]).expect("known").wants("anything"));
        let mut arguments = parse(&["io", "blocking"]).expect("known");
        assert!(arguments.take("io") && !arguments.take("io"));
        assert_eq!(arguments.cases, ["blocking"]);
        assert!(parse(&["--fast"]).is_err());
    }

    #[test]
    fn a_word_that_names_no_case_is_refused() {
        let known = ["blocking-1", "buffered-1"];
        assert!(parse(&["b"]).expect("known").check_cases(&known).is_ok());
        let error = parse(&["blocking-1", "faster"]).expect("known").check_cases(&known);
        let error = error.expect_err("unknown").to_string();
        assert!(error.contains("\"faster\"") && error.contains("buffered-1"), "{error}");
    }
}
