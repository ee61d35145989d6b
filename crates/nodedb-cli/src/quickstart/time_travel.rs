//! Steps on the archive: checkpoint, a mistake, and back to before it.

use super::workbench::{Workbench, check};
use crate::failure::Failure;
use nodedb::{
    CheckpointRequest, Database, Lsn, Name, OpenOptions, RestoreRequest, RestoreTarget, Urgency,
};

const POINT: &str = "before-the-mistake";
const WAIT: CheckpointRequest =
    CheckpointRequest { wait_archive: true, base: false, urgency: Urgency::Immediate };

pub(super) fn checkpoint(bench: &mut Workbench) -> Result<String, Failure> {
    let database = bench.database()?;
    let report = database.checkpoint(WAIT)?;
    let archived = report.archived_lsn;
    let durable = database.status()?.durable_lsn;
    let outcome = report.outcome.name();
    check("checkpoint", outcome != "blocked", || format!("blocked: {:?}", report.held_by))?;
    check("checkpoint", archived >= report.checkpoint_lsn, || {
        format!("archived up to {archived:?} of {durable:?}")
    })?;
    let shown = |lsn: Option<Lsn>| lsn.map_or_else(|| "none".to_owned(), |lsn| lsn.to_string());
    Ok(format!(
        "{outcome}: recovery begins at {}, archived up to {} of {}",
        report.redo_lsn,
        shown(archived),
        shown(durable)
    ))
}

pub(super) fn mistake(bench: &mut Workbench) -> Result<String, Failure> {
    let words = bench.collection("words")?;
    let mut exported = Vec::new();
    let before = words.export(&mut exported)?;
    let point = bench.database()?.restore_point(POINT)?;
    let deleted = words.delete_where("pos = 'noun'")?.count;
    let left = words.export(&mut Vec::new())?;
    check("mistake", left + deleted == before && deleted > 0, || {
        format!("{before} words, {deleted} deleted, {left} left")
    })?;
    bench.exported = exported;
    Ok(format!("point `{POINT}` at record {}; then {deleted} of {before} words gone", point.lsn))
}

pub(super) fn restore(bench: &mut Workbench) -> Result<String, Failure> {
    bench.database()?.checkpoint(WAIT)?;
    let request = RestoreRequest {
        archive: bench.archive(),
        into: bench.restored(),
        target: RestoreTarget::Point(Name::new(POINT).map_err(nodedb::Error::from)?),
    };
    let report = nodedb::restore(&request, &mut |_| ())?;
    let restored = Database::open_with(bench.restored(), OpenOptions::existing())?;
    let mut exported = Vec::new();
    let words = restored.collection("words")?.export(&mut exported)?;
    let another = restored.id() != bench.database()?.id();
    restored.close()?;
    check("restore", exported == bench.exported, || {
        format!("{} bytes exported, {} before the mistake", exported.len(), bench.exported.len())
    })?;
    check("restore", another, || "the restored database has the old id".to_owned())?;
    let (objects, bytes) = (report.objects, exported.len());
    Ok(format!(
        "{words} words from {objects} objects, the same {bytes} bytes as before the mistake"
    ))
}
