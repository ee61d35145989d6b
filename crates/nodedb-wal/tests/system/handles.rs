//! A process that has no file handles left.

use crate::{
    sandbox::Sandbox,
    world::{Log, options},
};
use nodedb_env::Env;
use nodedb_types::ErrorKind;
use nodedb_wal::{AppendClass, Wal};
use std::fs::File;

#[test]
fn a_log_is_not_opened_without_file_handles_and_is_with_them() {
    let test = "handles::a_log_is_not_opened_without_file_handles_and_is_with_them";
    Sandbox::FewHandles.run(test, |scratch| {
        let dir = scratch.join("log");
        let log = Log::create(&dir);
        let last = log.append(AppendClass::User).expect("there is room");
        drop(log);
        // From no handle left to as many as are needed, one more each time.
        let mut taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        assert!(taken.len() < 40, "{} files are open", taken.len());
        let mut refused = 0;
        loop {
            match Wal::open(&Env::real(), &dir, options()) {
                Ok((_, report)) => {
                    assert_eq!(report.last, Some(last));
                    break;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Io, "{error}"),
            }
            refused += 1;
            assert!(taken.pop().is_some(), "it never opens");
        }
        assert!(refused > 1, "refused {refused} times");
    });
}
