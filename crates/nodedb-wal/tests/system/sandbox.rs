//! A test in a process of its own, with mounts that nobody else sees and that end with it.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// Tells a test that it runs inside, and where it may mount.
const INSIDE: &str = "NODEDB_TEST_SANDBOX";

/// A kind of process to run a test in.
#[derive(Clone, Copy)]
pub(crate) enum Sandbox {
    /// Its mounts are its own: whatever ends it, the kernel undoes them and detaches their loop devices.
    Mounts,
    /// It may have so few files open.
    FewHandles,
}

impl Sandbox {
    const fn command(self) -> &'static [&'static str] {
        match self {
            Self::Mounts => &["unshare", "--mount", "--propagation", "private"],
            Self::FewHandles => &["prlimit", "--nofile=40:40"],
        }
    }

    /// Runs the body of the test of this name inside, with an empty directory. Where the system does not
    /// allow it, says so and runs nothing.
    pub(crate) fn run(self, test: &str, body: impl FnOnce(&Path)) {
        if let Some(scratch) = std::env::var_os(INSIDE) {
            body(&PathBuf::from(scratch));
            return;
        }
        if let Err(reason) = self.probe() {
            // Past the capture of the test runner: a test that did not run must be seen.
            writeln!(std::io::stderr(), "SKIPPED: {test}: {reason}").expect("stderr is open");
            return;
        }
        let scratch = tempfile::tempdir().expect("a directory");
        let output = self
            .around(&std::env::current_exe().expect("it runs"))
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, scratch.path())
            .output()
            .expect("it was probed");
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (lossy(&output.stdout), lossy(&output.stderr));
        assert!(
            out.contains("1 passed") && output.status.success(),
            "{}\n{out}{err}",
            output.status
        );
    }

    fn around(self, program: &Path) -> Command {
        let (first, rest) = self.command().split_first().expect("a command has a name");
        let mut command = Command::new(first);
        command.args(rest).arg(program);
        command
    }

    fn probe(self) -> Result<(), String> {
        let output = self.around(Path::new("true")).output();
        let output = output.map_err(|error| format!("{:?}: {error}", self.command()))?;
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// A file system that a test may fill.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Volume {
    Tmpfs,
    Ext4,
}

impl Volume {
    /// Mounts one of a few MiB; answers where. False hopes are named: without loop devices there is none.
    pub(crate) fn mount(self, scratch: &Path) -> Result<PathBuf, String> {
        let at = scratch.join("volume");
        std::fs::create_dir(&at).expect("an empty directory");
        let image = scratch.join("image");
        match self {
            Self::Tmpfs => system(&["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs"], &[&at])?,
            Self::Ext4 => {
                system(&["truncate", "-s", "8M"], &[&image])?;
                system(&["mkfs.ext4", "-q", "-F", "-m", "0"], &[&image])?;
                system(&["mount", "-o", "loop"], &[&image, &at])?;
            }
        }
        Ok(at)
    }
}

pub(crate) fn system(command: &[&str], paths: &[&Path]) -> Result<(), String> {
    let (program, arguments) = command.split_first().expect("a command has a name");
    let output = Command::new(program).args(arguments).args(paths).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
