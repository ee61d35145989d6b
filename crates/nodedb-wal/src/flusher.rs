//! The thread that leads for everybody who does not block, and writes what evidence is missing.

use crate::{commit::Alarm, committer::Committer, core::Core, stage::Stage, sync::MutexGuard};
use std::{sync::Arc, time::Duration};

/// What to do next. The pass has begun.
enum Step {
    /// Write everything staged, and sync it if that is asked for.
    Pass(Box<Committer>),
    /// Write and sync evidence for what is durable, at this offset.
    SyncPoint(Box<Committer>, u64),
    /// The log is closed and drained, or poisoned.
    Stop,
}

/// Why a sleep ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Woken {
    /// Something was asked for.
    Asked,
    /// What was appended as `Periodic` is due.
    Due,
    /// There was no pass for as long as `sync_point_idle`.
    Quiet,
}

/// Runs until the log is closed or poisoned.
pub(crate) fn run(core: &Arc<Core>) {
    let alarm = Alarm { core, during: "flush" };
    loop {
        match next_step(core) {
            Step::Pass(committer) => core.run_pass(committer, |core, it| it.pass(core)),
            Step::SyncPoint(committer, offset) => {
                core.run_pass(committer, |core, it| it.sync_point(core, offset));
            }
            Step::Stop => break,
        }
    }
    drop(alarm);
}

fn next_step(core: &Core) -> Step {
    let mut stage = core.stage.lock();
    let mut quiet = false;
    loop {
        if stage.poison.is_some() {
            return Step::Stop;
        }
        // Without it somebody leads, and notifies at the end if there is anything to do.
        if let Some(lead) = stage.lead.take() {
            match step(core, &mut stage, lead, quiet) {
                Ok(step) => return step,
                Err(lead) => stage.lead = Some(lead),
            }
        }
        let passes = stage.turns.ended();
        let woken = sleep(core, &mut stage);
        if woken == Woken::Due {
            // Time has passed even where the clock is a simulated one that stands still.
            let appended = stage.appended();
            stage.demand.come_due(appended);
        }
        quiet = woken == Woken::Quiet && stage.turns.ended() == passes;
    }
}

/// What there is to do, or the lead back.
fn step(
    core: &Core,
    stage: &mut Stage,
    mut lead: Box<Committer>,
    quiet: bool,
) -> Result<Step, Box<Committer>> {
    // What is only staged is nobody's wish, but it stands in the way of the evidence and of the end.
    let staged = !stage.is_empty() && (quiet || stage.closing);
    if staged || core.has_work(stage) {
        stage.begin_pass(&mut lead.batches);
        return Ok(Step::Pass(lead));
    }
    let lacks_evidence = core.durable() > stage.evidence;
    if lacks_evidence && (quiet || stage.closing) {
        let offset = stage.begin_sync_point();
        return Ok(Step::SyncPoint(lead, offset));
    }
    if stage.closing {
        // With the right to write: nobody leads in a closed log.
        drop(lead);
        return Ok(Step::Stop);
    }
    Err(lead)
}

/// When the flusher has to look without being asked; the maximum for never.
pub(crate) fn next_look(core: &Core, stage: &Stage) -> Duration {
    let due = stage.demand.due.unwrap_or(Duration::MAX);
    if core.durable() > stage.evidence {
        due.min(core.env.clock.now().saturating_add(core.options.sync_point_idle))
    } else {
        due
    }
}

/// Sleeps until there may be something to do.
fn sleep(core: &Core, stage: &mut MutexGuard<'_, Stage>) -> Woken {
    let until = next_look(core, stage);
    let due = stage.demand.due.filter(|due| *due == until);
    stage.flusher_until = until;
    let in_time = if until == Duration::MAX {
        core.work.wait(stage);
        true
    } else {
        let patience = until.saturating_sub(core.env.clock.now());
        !core.work.wait_for(stage, patience).timed_out()
    };
    stage.flusher_until = Duration::ZERO;
    match due {
        _ if in_time => Woken::Asked,
        None => Woken::Quiet,
        // It may have been synced meanwhile, and what is due now was appended later.
        due if stage.demand.due == due => Woken::Due,
        Some(_) => Woken::Asked,
    }
}
