//! The thread that keeps prepared files ready.

use crate::{WalError, commit::Alarm, core::Core, segment::Spare, sync::atomic::Ordering};
use std::{sync::Arc, time::Duration};

/// Time between two attempts while they fail, as on a full disk. A truncation ends the wait early.
const RETRY: Duration = Duration::from_millis(100);

/// Prepares files until the log is closed or poisoned. A failure here is no reason to poison: nothing
/// was written into the log yet, and each attempt takes a new file.
pub(crate) fn run(core: &Arc<Core>) {
    let alarm = Alarm { core, during: "prepare files in" };
    while wait_for_shortage(core) {
        let prepared = prepare(core);
        let mut stage = core.stage.lock();
        match prepared {
            Ok(spare) => {
                stage.ready.push_back(spare);
                stage.starved = false;
                drop(stage);
                core.room.notify_all();
            }
            Err(error) => {
                stage.starved = true;
                tracing::warn!(%error, "no prepared segment");
                // Who waits for room learns that it is the disk.
                core.room.notify_all();
                if !stage.closing {
                    let _timeout = core.shortage.wait_for(&mut stage, RETRY);
                }
            }
        }
    }
    drop(alarm);
}

/// Makes a file, if there is room: filling a nearly full disk over and over, only to remove what was
/// written, would take from others the little that is left.
fn prepare(core: &Core) -> Result<Spare, WalError> {
    let number = core.next_spare.fetch_add(1, Ordering::Relaxed);
    let available = core.env.files.available_bytes(&core.dir);
    if available.map_err(WalError::io("look at", &core.dir))? < core.segment_bytes {
        return Err(WalError::NoSpace { operation: "prepare a file in", path: core.dir.clone() });
    }
    Spare::prepare(&core.env, &core.dir, number, core.segment_bytes)
}

/// Sleeps until a file is missing; false when the log has ended.
fn wait_for_shortage(core: &Core) -> bool {
    // One more than for users: the one that is held back.
    let target = core.options.spares + 1;
    let mut stage = core.stage.lock();
    while stage.ready.len() >= target && !stage.closing && stage.poison.is_none() {
        // A truncation may have made up for what could not be prepared.
        stage.starved = false;
        core.shortage.wait(&mut stage);
    }
    !stage.closing && stage.poison.is_none()
}
