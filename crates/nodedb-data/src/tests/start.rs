//! Starting and ending.

use super::world::{World, data_dir, log_options, options, vshard, wal_dir};
use crate::{DataError, DataOptions, DataPlane, Recovery};
use nodedb_engine::EngineError;
use nodedb_env::Env;
use nodedb_types::Lsn;
use nodedb_wal::Wal;

#[test]
fn a_missing_engine_is_refused_after_every_core_has_ended() {
    let root = tempfile::tempdir().expect("a directory");
    let env = Env::real();
    env.files.create_dir(&wal_dir(root.path())).expect("a directory");
    let wal = Wal::create(&env, &wal_dir(root.path()), log_options()).expect("a new log");
    let dir = data_dir(root.path());
    DataPlane::create(&env, &dir, 3).expect("new vshards");
    let lost = crate::vshard_dir(&dir, vshard(1)).join("catalog").join("MANIFEST");
    env.files.remove_file(&lost).expect("removes");
    let recovery = Recovery { vshards: 3, redo: Lsn::FIRST, proven: Vec::new() };
    let started = DataPlane::start(&env, &dir, wal, recovery, options(3));
    let error = started.expect_err("a manifest is missing");
    let DataError::Engine { vshard: id, source } = error else {
        panic!("{error}");
    };
    assert_eq!(id, vshard(1));
    assert!(matches!(*source, EngineError::Corrupt { .. }), "{source}");
}

#[test]
fn bad_options_are_refused_before_anything_starts() {
    let world = World::new(1, options(1));
    let recovery = Recovery { vshards: 1, redo: Lsn::FIRST, proven: Vec::new() };
    let bad = DataOptions { cores: 0, ..DataOptions::default() };
    let dir = data_dir(world.root.path());
    let started = DataPlane::start(&world.env, &dir, world.wal.clone(), recovery, bad);
    assert!(matches!(started, Err(DataError::InvalidOptions { .. })));
}

#[test]
fn a_core_that_does_not_end_is_reported_at_the_deadline() {
    let world = World::new(1, options(1));
    let held = world.hold(0);
    let deadline = world.env.clock.now();
    let closed = world.plane.close(deadline);
    assert!(matches!(closed, Err(DataError::CloseTimedOut { threads: 1 })));
    held.release();
}
