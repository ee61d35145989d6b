//! The only repair that loses data.

use super::{
    copies::copy_aside,
    loss::{Loss, Plan, spares_from},
    rebuilt,
};
use crate::{
    WalError,
    control::{Control, ControlFile},
    handle::lock,
    pins,
    recovery::{Intent, Listing, read_control},
    segment::name::segment_path,
};
use nodedb_env::Env;
use nodedb_types::Lsn;
use std::path::{Path, PathBuf};

/// What [`truncate`] is asked for.
#[derive(Clone, Copy, Debug)]
pub struct LossyTruncation<'a> {
    /// The last record to keep.
    pub at: Lsn,
    /// Where copies of the originals go, in a fresh directory below. It is made if it is missing; its
    /// parent must be there. It needs room for the segments from the cut on.
    pub copies: &'a Path,
}

/// What [`truncate`] did.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LossReport {
    /// What was kept, and what is gone.
    pub loss: Loss,
    /// The directory that holds the originals of [`Loss::files`]; `None` if nothing had to be done.
    pub copies: Option<PathBuf>,
    /// Whether an earlier run had begun it.
    pub resumed: bool,
}

/// Ends a log at a record: every valid record up to and including it stays, all behind it goes. It is
/// for a log that does not open, or whose end is not wanted; it loses what it drops, except for the
/// copies.
///
/// It mends damaged, short and missing segments behind the record, and one damaged slot of CONTROL. It
/// mends no log whose both slots of CONTROL are damaged (nothing else tells what recovery needs), whose
/// named pins are damaged (what they held stays held until PINS is removed by hand), whose
/// damage lies at or below [`VerifyReport::redo`](crate::inspect::VerifyReport::redo) - 1, or whose
/// files cannot be read: copy such a medium to a sound one first.
///
/// An atomic group is never split: if the record lies within one, the log ends before the group. The
/// records that are appended later get the same numbers in a later epoch than anything that was dropped.
/// Named pins that stand behind the new end are given up, so that no follower takes those for its own.
///
/// When this returns, the log is durable and opens with what the report says. The originals are copied,
/// synced and read back before anything is changed. From the first change to the last the log is marked
/// and does not open ([`WalError::TruncationUnfinished`]); after a crash in between run it again with
/// the same record. On a log that is sound and ends at the record nothing is done.
///
/// # Errors
/// With no byte changed: [`WalError::NotALog`], [`WalError::Locked`]; [`WalError::CannotTruncate`] for a
/// record outside of what may be kept, with that range; [`WalError::TruncationUnfinished`] if another
/// truncation was begun; what cannot be mended by its own name ([`WalError::ControlCorrupt`],
/// [`WalError::PinsCorrupt`], [`WalError::MissingSegment`], [`WalError::Corruption`], [`WalError::Damaged`], [`WalError::WrongLog`],
/// [`WalError::UnsupportedFormat`]). [`WalError::NoSpace`] or [`WalError::Io`]: run it again with the
/// same record, it goes on where it was.
pub fn truncate(env: &Env, dir: &Path, plan: LossyTruncation<'_>) -> Result<LossReport, WalError> {
    let LossyTruncation { at, copies } = plan;
    // Before the lock, whose file would be made in a directory that is none of ours.
    read_control(env, dir, &Listing::read(env, dir)?)?;
    let _lock = lock(env, dir)?;
    let plan = Plan::make(env, dir, at)?;
    let (done, resumed) = (plan.is_done(), plan.begun);
    let mut intent = plan.intent;
    let report = |intent: &Intent| LossReport {
        loss: Loss::of(dir, intent),
        copies: (!done).then(|| intent.copies.clone()),
        resumed,
    };
    if done {
        return Ok(report(&intent));
    }
    if !resumed {
        intent.copies = copy_aside(env, dir, &intent.files, (copies, at))?;
    }
    let control = read_control(env, dir, &Listing::read(env, dir)?)?.newest;
    let mut rebuilt = rebuilt::build(env, dir, &control, &intent)?;
    // Also when it was found: it may stand only in the page cache of a killed run, and what follows
    // without it could pass for a log that is silently shorter.
    intent.write(env, dir)?;
    rebuilt.name(env, dir)?;
    remove_behind(env, dir, &control, &intent)?;
    pins::give_up_behind(env, dir, control.log_id, intent.kept)?;
    settle_control(env, dir, &control, &intent)?;
    Intent::clear(env, dir)?;
    Ok(report(&intent))
}

/// Removes the later segments, and the prepared files whose links would prove more than is kept.
fn remove_behind(
    env: &Env,
    dir: &Path,
    control: &Control,
    intent: &Intent,
) -> Result<(), WalError> {
    let listing = Listing::read(env, dir)?;
    let mut paths = spares_from(env, &listing, control, intent.segment)?;
    let later = listing.segments.iter().filter(|number| **number > intent.segment);
    paths.extend(later.map(|number| segment_path(dir, *number)));
    for path in paths {
        env.files.remove_file(&path).map_err(WalError::io("remove", &path))?;
    }
    env.files.sync_dir(dir).map_err(WalError::io("sync directory", dir))
}

/// Lowers what CONTROL claims to what is there, in both slots, and raises the epoch above all that was.
fn settle_control(
    env: &Env,
    dir: &Path,
    control: &Control,
    intent: &Intent,
) -> Result<(), WalError> {
    let kept = intent.kept;
    ControlFile::open(env, dir, *control)?.write_both(|state| {
        assert!(state.redo <= Lsn::after(kept), "what recovery needs is kept");
        state.epoch = state.epoch.max(intent.epoch);
        state.durable = kept;
        state.newest_segment = intent.segment;
        state.archived = state.archived.min(kept);
        state.checkpoint_record = state.checkpoint_record.filter(|record| Some(*record) <= kept);
        state.clean_shutdown = false;
    })
}
