//! What holds the log, and the one way to remove some of it.

use crate::{
    WalError,
    core::Core,
    segment::{Segment, SegmentInfo, Spare, name::spare_path},
    sync::atomic::Ordering,
};
use nodedb_types::Lsn;
use std::sync::Arc;

/// A named reason to keep the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    /// Who needs it, for people to read.
    pub name: String,
    /// The first record that must stay.
    pub lsn: Lsn,
}

/// What may be removed, and who holds the rest. Made by `Wal::plan_truncation` only.
#[derive(Clone, Debug)]
pub struct TruncationPlan {
    log_id: [u8; 16],
    horizon: Lsn,
    holds: Vec<Hold>,
    segments: Vec<SegmentInfo>,
}

impl TruncationPlan {
    /// The first record that must stay: the minimum of all holds.
    pub const fn horizon(&self) -> Lsn {
        self.horizon
    }

    /// Every hold, the lowest first.
    pub fn holds(&self) -> &[Hold] {
        &self.holds
    }

    /// The segments that will go, oldest first.
    pub fn segments(&self) -> &[SegmentInfo] {
        &self.segments
    }
}

/// What a truncation did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Truncated {
    /// Segments taken off the log.
    pub segments: usize,
    /// How many of their files were kept as prepared ones.
    pub recycled: usize,
    /// The oldest record there is now, or would be.
    pub oldest: Lsn,
}

/// The plan for these holds, the pins, and what recovery needs.
pub(crate) fn plan(core: &Core, holds: &[Hold]) -> TruncationPlan {
    if let Err(error) = core.pins.enforce_limits(core) {
        // The pins hold on, and carrying the plan out meets the same.
        tracing::debug!(%error, "limits of named pins not enforced");
    }
    let redo = core.control.lock().state().redo;
    let name = "redo".to_owned();
    let mut all = vec![Hold { name, lsn: redo }];
    all.extend(core.pins.holds());
    all.extend_from_slice(holds);
    all.sort_by_key(|hold| hold.lsn);
    let horizon = all.iter().map(|hold| hold.lsn).min().unwrap_or(redo);
    let mut segments = core.segments.infos(core.written());
    let kept = core.segments.oldest_kept(horizon);
    segments.retain(|segment| segment.number < kept);
    TruncationPlan { log_id: core.log_id, horizon, holds: all, segments }
}

/// Removes what the plan allows.
///
/// Order: both slots of CONTROL name the new oldest segment, then the files go, the oldest first, then
/// the directory is synced. A crash anywhere leaves a gap-free log and perhaps files below its oldest
/// segment, which the next open sweeps.
pub(crate) fn truncate(core: &Core, plan: &TruncationPlan) -> Result<Truncated, WalError> {
    assert_eq!(plan.log_id, core.log_id, "a plan is for its own log");
    // To the end: after a close the files belong to whoever opens next.
    let reclaim = core.reclaim.lock();
    core.pins.enforce_limits(core)?;
    let gone = {
        // Held throughout, so that no pin is taken on a record that is just going.
        let held = core.pins.freeze();
        let pinned = held.lowest();
        let horizon = pinned.map_or(plan.horizon, |pinned| pinned.min(plan.horizon));
        let oldest = core.segments.oldest_kept(horizon);
        let held = core.change_control_under(held, |control| {
            assert!(horizon <= control.state().redo, "recovery needs its records");
            if control.state().oldest_segment >= oldest {
                return Ok(());
            }
            control.write_both(|state| state.oldest_segment = oldest)
        })?;
        let gone = core.segments.split_off_before(oldest);
        drop(held);
        gone
    };
    let segments = gone.len();
    let mut retired = Vec::new();
    for segment in gone {
        // A failure only postpones: the file lies below the oldest segment and the next open sweeps it.
        match retire(core, &segment, retired.len()) {
            Ok(spare) => retired.extend(spare),
            Err(error) => tracing::warn!(%error, "a truncated segment file stays for now"),
        }
    }
    if segments > 0 {
        core.change_directory(|| {
            core.env.files.sync_dir(&core.dir).map_err(WalError::io("sync directory", &core.dir))
        })?;
    }
    drop(reclaim);
    let recycled = retired.len();
    core.stage.lock().ready.extend(retired);
    core.room.notify_all();
    core.shortage.notify_all();
    Ok(Truncated { segments, recycled, oldest: core.segments.oldest() })
}

/// Makes a spare of a segment that nobody reads, up to a few more than are prepared, with the `retired` ones
/// that are not ready yet; else removes its file.
///
/// More, because a rotation has one prepared at once, long before the next truncation: with as many as are
/// prepared, a truncation would always find them complete, every segment would be removed, and a log under
/// load would fill new files with zeros for ever, beside its own writes. Not on a full disk: who truncates
/// there wants the space.
fn retire(core: &Core, segment: &Arc<Segment>, retired: usize) -> Result<Option<Spare>, WalError> {
    let stage = core.stage.lock();
    let most = if stage.starved { core.options.spares } else { 2 * core.options.spares };
    let missing = stage.ready.len() + retired <= most;
    drop(stage);
    // A viewed file is left to its readers: they keep the inode, writing anew would change their bytes.
    if core.options.recycle && missing && segment.is_reusable() {
        let number = core.next_spare.fetch_add(1, Ordering::Relaxed);
        let path = spare_path(&core.dir, number);
        core.env
            .files
            .rename(&segment.path, &path)
            .map_err(WalError::io("rename", &segment.path))?;
        return Spare::adopt(&core.env, path).map(Some);
    }
    core.env.files.remove_file(&segment.path).map_err(WalError::io("remove", &segment.path))?;
    Ok(None)
}
