//! A system that refuses: no more file handles, no permission, a read-only file system, no memory, no
//! quota. Each is a typed error, nothing is lost, and what was not begun is not changed.

use crate::{
    sample::Sample,
    world::{Log, dir, killed, options},
};
use nodedb_env::{Env, Files};
use nodedb_testkit::{Call, Operation, Probe, ProbedFiles, SimFiles};
use nodedb_types::{ErrorKind, Lsn};
use nodedb_wal::{ReadError, ReadLimit, Wal, inspect};
use parking_lot::Mutex;
use std::{io, sync::Arc, thread};

/// As Linux numbers them.
const ERRORS: [(&str, i32); 8] = [
    ("EIO", 5),
    ("ENOMEM", 12),
    ("EACCES", 13),
    ("ENFILE", 23),
    ("EMFILE", 24),
    ("ENOSPC", 28),
    ("EROFS", 30),
    ("EDQUOT", 122),
];

/// Which calls are refused.
#[derive(Clone, Copy, Debug)]
enum Refused {
    Nothing,
    /// The n-th.
    Once(u64),
    /// All from the n-th on.
    From(u64),
    /// All that would change something.
    Changes,
    /// All that would open a file.
    Opens,
}

/// Refuses calls of the threads that are not the log's own.
#[derive(Debug)]
struct Refusing {
    errno: i32,
    state: Mutex<(Refused, Seen)>,
}

#[derive(Clone, Copy, Default, Debug)]
struct Seen {
    calls: u64,
    /// Calls that changed a file or a name.
    changes: u64,
}

impl Refusing {
    fn on(disk: &SimFiles, errno: i32, refused: Refused) -> (Arc<Self>, Env) {
        let refusing = Arc::new(Self { errno, state: Mutex::new((refused, Seen::default())) });
        let probe = Arc::<Self>::clone(&refusing);
        let files = ProbedFiles::new(Arc::new(disk.clone()), probe);
        (refusing, Env { files: Arc::new(files), ..disk.env() })
    }

    fn seen(&self) -> Seen {
        self.state.lock().1
    }

    fn refuse(&self, refused: Refused) {
        self.state.lock().0 = refused;
    }
}

impl Probe for Refusing {
    fn before(&self, call: &Call<'_>) -> io::Result<()> {
        if thread::current().name().is_some_and(|name| name.starts_with("wal-")) {
            return Ok(());
        }
        let mut state = self.state.lock();
        state.1.calls += 1;
        let opens = matches!(call.operation, Operation::Open | Operation::Create | Operation::Lock);
        let refused = match state.0 {
            Refused::Nothing => false,
            Refused::Once(nth) => state.1.calls == nth,
            Refused::From(nth) => state.1.calls >= nth,
            Refused::Changes => call.operation.changes(),
            Refused::Opens => opens,
        };
        if refused {
            return Err(io::Error::from_raw_os_error(self.errno));
        }
        let syncs = matches!(call.operation, Operation::Sync | Operation::SyncDir);
        state.1.changes += u64::from(call.operation.changes() && !syncs);
        Ok(())
    }

    fn after(&self, _: &Call<'_>, _: bool) {}
}

#[test]
fn an_open_that_fails_at_any_call_is_a_typed_error_and_loses_nothing() {
    let sample = Sample::new();
    let whole = inspect::verify(&sample.disk.env(), dir()).expect("sound");
    for (name, errno) in ERRORS {
        for kind in [Refused::Once, Refused::From] {
            let mut untouched = 0;
            let mut nth = 0;
            loop {
                nth += 1;
                let what = format!("{name} at {:?}", kind(nth));
                let image = killed(&sample.disk);
                let (probe, env) = Refusing::on(&image, errno, kind(nth));
                let opened = Wal::open(&env, dir(), options());
                // Before the log is closed, which calls, too.
                let seen = probe.seen();
                let Err(error) = opened else {
                    assert!(seen.calls < nth, "{what}: it opened all the same");
                    break;
                };
                assert!(
                    matches!(error.kind(), ErrorKind::Io | ErrorKind::NoSpace),
                    "{what}: {error}"
                );
                if seen.changes == 0 {
                    assert!(
                        image.has_exactly(sample.before.files()),
                        "{what}: it changed something"
                    );
                    untouched += 1;
                }
                let (_, report) = Log::open(killed(&image), options())
                    .unwrap_or_else(|error| panic!("{what}: the next open: {error}"));
                assert_eq!((report.last, report.records), (whole.last, whole.records), "{what}");
            }
            assert!(untouched > 20 && nth > untouched + 10, "{name}: {untouched} of {nth}");
        }
    }
}

#[test]
fn a_log_that_cannot_be_created_at_some_call_is_no_log_with_records() {
    for (name, errno) in ERRORS {
        for nth in 1.. {
            let what = format!("{name} at {nth}");
            let disk = SimFiles::new(nth);
            disk.create_dir(dir()).expect("empty disk");
            let (probe, env) = Refusing::on(&disk, errno, Refused::Once(nth));
            let created = Wal::create(&env, dir(), options());
            let seen = probe.seen();
            let Err(error) = created else {
                assert!(seen.calls < nth, "{what}: it was made all the same");
                break;
            };
            assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::NoSpace), "{what}: {error}");
            probe.refuse(Refused::Nothing);
            if let Ok((_, report)) = Wal::open(&env, dir(), options()) {
                assert_eq!(report.last, None, "{what}");
            }
        }
    }
}

#[test]
fn a_read_only_log_is_verified_and_not_opened_and_not_changed() {
    let sample = Sample::new();
    for (name, errno) in [("EROFS", 30), ("EACCES", 13)] {
        let image = killed(&sample.disk);
        let (probe, env) = Refusing::on(&image, errno, Refused::Changes);
        let error = Wal::open(&env, dir(), options()).expect_err("nothing can be written");
        assert_eq!(error.kind(), ErrorKind::Io, "{name}: {error}");
        let report = inspect::verify(&env, dir()).expect("it only reads");
        assert_eq!(report.proven, Some(sample.proven), "{name}");
        assert!(image.has_exactly(sample.before.files()), "{name}");
        probe.refuse(Refused::Nothing);
        Wal::open(&env, dir(), options()).expect("writable again");
    }
}

/// A process that has run out of file handles cannot read an older segment, and can a moment later.
#[test]
fn a_reader_without_a_file_handle_is_told_and_goes_on_later() {
    let sample = Sample::new();
    let (probe, env) = Refusing::on(&sample.disk, 24, Refused::Nothing);
    let (wal, report) = Wal::open(&env, dir(), options()).expect("sound");
    let mut reader = wal.reader(Lsn::FIRST, ReadLimit::Durable).expect("there");
    probe.refuse(Refused::Opens);
    let refused = reader.next_batch().expect_err("no file handle");
    assert!(matches!(refused, ReadError::Io { .. }), "{refused}");
    probe.refuse(Refused::Nothing);
    let mut last = None;
    while let Some(batch) = reader.next_batch().expect("intact") {
        last = Some(batch.last_lsn);
    }
    assert_eq!(last, report.last);
}
