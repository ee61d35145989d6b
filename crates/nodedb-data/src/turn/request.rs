//! Requests to one vshard.

use crate::{
    DataError, Op, Outcome,
    core::Core,
    image::ImageJob,
    release::Until,
    task::Caller,
    turn::CountWork,
    vshard::{Count, IndexCount, SearchRun, Vshard},
};
use nodedb_crdt::CrdtKey;
use nodedb_document::Tally;
use std::{path::PathBuf, time::Duration};

/// Longest time of a page or of a slice of a count, whatever they look at and however slow the disk is. What
/// is begun by then is ended: one block of a table, or one document.
const SLICE_TIME: Duration = Duration::from_millis(4);

impl Core {
    /// Serves a request whose vshard is not paused.
    pub(crate) fn serve_op(&mut self, caller: Caller, op: Op) {
        let tenant = caller.tenant;
        if matches!(op, Op::Scan(_) | Op::Search(_) | Op::ExplainSearch(_) | Op::CrdtExport { .. })
        {
            // It takes long, and the disk need not wait for it.
            self.asks.ask();
        }
        let key = |collection, key| CrdtKey { tenant, collection, key };
        match op {
            Op::Write(write) => self.write(caller, write),
            Op::CrdtMerge { collection, key: document, update, durability } => {
                self.gather_merge(caller, key(collection, document), update, durability);
            }
            Op::Get { collection, key: document, consistency } => {
                let turn = (self.shared.wal.durable(), self.now());
                let key = key(collection, document);
                self.read(caller, |vshard| vshard.get(&key, consistency, turn));
            }
            Op::Scan(scan) => {
                let until = self.slice_end();
                self.read(caller, |vshard| vshard.scan(tenant, &scan, until));
            }
            Op::Search(search) => self.begin_search(caller, SearchRun::hits(tenant, search)),
            Op::ExplainSearch(search) => {
                self.begin_search(caller, SearchRun::explained(tenant, search));
            }
            Op::CrdtExport { collection, key: document, since } => {
                let key = key(collection, document);
                self.read(caller, |vshard| vshard.export(&key, since.as_deref()));
            }
            Op::Statistics { collection, snapshot, now_ms } => {
                let tally = Tally::new(tenant, collection, snapshot, now_ms);
                self.begin_count(caller, CountWork::Statistics(tally));
            }
            Op::Tally(tally) if tally.of().0 != tenant => {
                let reason = "a tally goes on for the tenant that began it";
                caller.reply.send(Err(DataError::InvalidRequest { reason }));
            }
            Op::Tally(tally) => self.begin_count(caller, CountWork::Tally(*tally)),
            Op::IndexStatistics { collection, snapshot } => {
                let count = IndexCount::new(tenant, collection, snapshot);
                self.begin_count(caller, CountWork::Indexes(count));
            }
            Op::Explain { collection, filter } => {
                self.read(caller, |vshard| vshard.explain(tenant, collection, &filter));
            }
            Op::Count { collection, filter, snapshot, now_ms } => {
                let count =
                    Count { tenant, collection, snapshot, filter, now_ms, after: None, rows: 0 };
                self.begin_count(caller, CountWork::Rows(count));
            }
            Op::BuildIndex(slice) => self.build(caller, &slice),
            Op::Flush { barrier, hurries } => self.flush(caller, barrier, hurries),
            Op::Image { into } => self.image(caller, into),
            Op::Status => {
                let floors = self.shared.board.of(caller.vshard);
                self.read(caller, |vshard| {
                    Ok((Outcome::Status(vshard.status(floors)), Until::Now))
                });
            }
        }
    }

    /// When a page or a slice that begins now ends at the latest: whoever comes meanwhile waits as long.
    pub(super) fn slice_end(&self) -> Duration {
        self.now().saturating_add(SLICE_TIME)
    }

    /// Reads from one vshard and answers when what was read may be shown.
    fn read(
        &mut self,
        caller: Caller,
        read: impl FnOnce(&mut Vshard) -> Result<(Outcome, Until), DataError>,
    ) {
        let Some(vshard) = self.vshards.get_mut(&caller.vshard) else {
            return self.fail_unknown(caller);
        };
        let before = vshard.crdt.estimated_bytes();
        let outcome = read(vshard);
        if vshard.crdt.estimated_bytes() != before {
            // A document came to life for it.
            self.touched.insert(caller.vshard);
        }
        match outcome {
            Ok((outcome, until)) => self.answer(caller.reply, Ok(outcome), until),
            Err(error) => self.fail(caller.vshard, caller.reply, error),
        }
    }

    fn image(&mut self, caller: Caller, into: PathBuf) {
        let Some(vshard) = self.vshards.get(&caller.vshard) else {
            return self.fail_unknown(caller);
        };
        let job = ImageJob {
            vshard: caller.vshard,
            from: vshard.dir.clone(),
            into,
            floors: self.shared.board.of(caller.vshard).floors,
            reply: caller.reply,
        };
        if let Err(reply) = self.maintenance.image(job) {
            reply.send(Err(DataError::InboxFull { core: self.id }));
        }
    }

    /// Handles know how many vshards there are and which core has which.
    pub(crate) fn fail_unknown(&self, caller: Caller) {
        let (vshard, vshards) = (caller.vshard, self.shared.vshards);
        caller.reply.send(Err(DataError::NoSuchVshard { vshard, vshards }));
    }
}
