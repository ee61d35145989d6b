//! The steps of the quickstart, in order.

use super::{crash, documents, replicas, time_travel, workbench::Workbench};
use crate::failure::Failure;

/// One step.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) why: &'static str,
    /// Does it, checks it, and says what came out.
    pub(super) run: fn(&mut Workbench) -> Result<String, Failure>,
    /// How to do it by hand; `{db}` and its like stand for paths.
    pub(super) by_hand: &'static [&'static str],
}

pub(super) const STEPS: [Step; 12] = [
    Step {
        name: "create",
        why: "one directory is the whole database; its log goes to an archive as it grows",
        run: documents::create,
        by_hand: &["mkdir -p {store}", "nodedb --dir {db} init --archive {archive}"],
    },
    Step {
        name: "collection",
        why: "documents need no schema; a vector index over one of their fields finds meaning",
        run: documents::collection,
        by_hand: &["nodedb --dir {db} collection create words --vector embedding:384:cosine"],
    },
    Step {
        name: "import",
        why: "every row is acknowledged only when it is on stable storage; rows share syncs",
        run: documents::import,
        by_hand: &["nodedb --dir {db} import words {sample} --key id"],
    },
    Step {
        name: "search",
        why: "nearest by meaning; compared with brute force, at least 95 of 100 must be right",
        run: documents::search,
        by_hand: &["nodedb --dir {db} search words --field embedding --like wn-00000 -k 10"],
    },
    Step {
        name: "filtered search",
        why: "the filter holds for every hit and costs no right answers",
        run: documents::filtered_search,
        by_hand: &["nodedb --dir {db} search words --field embedding --like wn-00000 -k 10 \
                    --filter \"pos = 'verb' AND length >= 40\""],
    },
    Step {
        name: "scan",
        why: "SQL conditions over any field, in key order, at one snapshot",
        run: documents::scan,
        by_hand: &["nodedb --dir {db} scan words --filter \"pos = 'adv' AND length < 30\""],
    },
    Step {
        name: "get",
        why: "a value comes back as it was written, every number digit for digit",
        run: documents::get,
        by_hand: &["nodedb --dir {db} get words wn-00000"],
    },
    Step {
        name: "merge",
        why: "two replicas edit one text apart; merged in either order they agree, nothing is lost",
        run: replicas::merge,
        by_hand: &[
            "nodedb --dir {db} crdt export notes shopping {root}/update.loro",
            "nodedb --dir {replica} crdt merge notes shopping {root}/update.loro",
        ],
    },
    Step {
        name: "checkpoint",
        why: "recovery becomes short, and everything up to now is in the archive, verified",
        run: time_travel::checkpoint,
        by_hand: &["nodedb --dir {db} checkpoint --wait-archive"],
    },
    Step {
        name: "kill",
        why: "a writing process is killed by SIGKILL: every acknowledged write survives",
        run: crash::kill_and_reopen,
        by_hand: &["nodedb --dir {db} scan journal"],
    },
    Step {
        name: "mistake",
        why: "a restore point names the moment before it; then most of the words go by accident",
        run: time_travel::mistake,
        by_hand: &[
            "nodedb --dir {db} restore-point before-the-mistake",
            "nodedb --dir {db} delete words --filter \"pos = 'noun'\"",
        ],
    },
    Step {
        name: "restore",
        why: "the archive gives back the moment before, byte for byte, into a new directory",
        run: time_travel::restore,
        by_hand: &[
            "nodedb --dir {db} checkpoint --wait-archive",
            "nodedb restore --archive {archive} --into {restored} --to point:before-the-mistake",
            "nodedb --dir {restored} export words",
        ],
    },
];
