//! What a command works on: the database, whose collections, and where rows go.

use crate::{
    args::Globals,
    failure::Failure,
    interrupt::Interrupt,
    settings::{Settings, required_dir},
    user_file,
};
use nodedb::{Collection, Database, Tenant};
use nodedb_env::Env;
use std::path::Path;

/// Who reads the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    /// People.
    Text,
    /// A program: one JSON document, rows as JSON lines.
    Json,
    /// The program behind a shell: one JSON line, rows inside it.
    Shell,
}

/// Surroundings of a command.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) globals: Globals,
    pub(crate) output: Output,
    pub(crate) interrupt: Interrupt,
    pub(crate) env: Env,
    database: Option<Database>,
}

impl Context {
    pub(crate) fn new(globals: Globals, settings: Settings) -> Self {
        let output = if globals.json { Output::Json } else { Output::Text };
        Self {
            settings,
            globals,
            output,
            interrupt: Interrupt::default(),
            env: Env::real(),
            database: None,
        }
    }

    /// The directory of the database.
    ///
    /// # Errors
    /// [`Failure::Usage`] if none is given.
    pub(crate) fn dir(&self) -> Result<&Path, Failure> {
        required_dir(self.globals.dir.as_ref())
    }

    /// The database, opened at its first use. It is never created here: a misspelt directory must
    /// not become an empty database that answers "nothing there".
    ///
    /// # Errors
    /// [`Failure::Usage`] without a directory, [`Failure::Database`] if it does not open.
    pub(crate) fn database(&mut self) -> Result<&Database, Failure> {
        if self.database.is_none() {
            let options = self.settings.open_options();
            let opened = Database::open_with(self.dir()?, options)?;
            self.database = Some(opened);
        }
        self.database.as_ref().ok_or_else(|| Failure::Internal {
            message: "the database is opened and not there".to_owned(),
        })
    }

    /// Takes over a database that is open already.
    pub(crate) fn adopt(&mut self, database: Database) {
        self.database = Some(database);
    }

    /// The collections of whom `--tenant` names.
    ///
    /// # Errors
    /// Those of [`Context::database`], and an unknown tenant.
    pub(crate) fn tenant(&mut self) -> Result<Tenant, Failure> {
        let name = self.globals.tenant.clone();
        Ok(self.database()?.tenant(name.as_deref())?)
    }

    /// A collection.
    ///
    /// # Errors
    /// Those of [`Context::tenant`], and an unknown collection.
    pub(crate) fn collection(&mut self, name: &str) -> Result<Collection, Failure> {
        Ok(self.tenant()?.collection(name)?)
    }

    /// All bytes of a file, or of standard input for `-`.
    ///
    /// # Errors
    /// Those of [`user_file::read`]; in a shell `-` is refused, since the commands stand there.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, Failure> {
        self.check_standard(path)?;
        user_file::read(path)
    }

    /// Refuses `-` in a shell, whose standard input and output are taken.
    ///
    /// # Errors
    /// [`Failure::Input`].
    pub(crate) fn check_standard(&self, path: &Path) -> Result<(), Failure> {
        if self.output == Output::Shell && user_file::is_standard(path) {
            return Err(Failure::input(
                "`-`",
                "a shell reads commands there: give the value or a file",
            ));
        }
        Ok(())
    }

    /// The value that a word stands for: itself, `@FILE`, or `-` for standard input.
    ///
    /// # Errors
    /// Those of [`Context::read`].
    pub(crate) fn value(&self, word: &str) -> Result<Vec<u8>, Failure> {
        match word.strip_prefix('@') {
            Some(path) => self.read(Path::new(path)),
            None if word == "-" => self.read(Path::new(word)),
            None => Ok(word.as_bytes().to_vec()),
        }
    }

    /// Closes the database in order, if it was opened.
    ///
    /// # Errors
    /// What closing met; every acknowledged write is safe all the same.
    pub(crate) fn close(&mut self) -> Result<(), Failure> {
        self.database.take().map_or(Ok(()), |database| Ok(database.close()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_itself_or_a_file() -> Result<(), Box<dyn std::error::Error>> {
        let file = tempfile::NamedTempFile::new()?;
        let mut context = Context::new(Globals::default(), Settings::default());
        assert_eq!(context.value("-1")?, b"-1");
        assert_eq!(context.value(&format!("@{}", file.path().display()))?, b"");
        assert!(matches!(context.value("@/nowhere/at/all"), Err(Failure::File { .. })));
        context.output = Output::Shell;
        assert!(matches!(context.value("-"), Err(Failure::Input { .. })));
        Ok(())
    }

    #[test]
    fn without_a_directory_the_usage_is_wrong() {
        let mut context = Context::new(Globals::default(), Settings::default());
        let failure = context.database().expect_err("no directory");
        assert_eq!(failure.exit_code(), 64);
    }
}
