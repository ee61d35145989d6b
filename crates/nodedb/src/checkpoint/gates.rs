//! What may hold the log, each by its proof.

use crate::archive::{ArchivePosition, ArchiveReceipt};
use nodedb_types::Lsn;
use nodedb_wal::{Hold, TruncationPlan, Wal};
use std::sync::Arc;

/// Whether the archive gates the log. There is no default: whoever reclaims says which it is.
#[derive(Clone, Debug)]
pub(crate) enum ArchiveGate {
    /// No archive, or one that the log does not wait for.
    Open,
    /// Nothing above the receipt is ever deleted.
    Required(Arc<ArchivePosition>),
}

impl ArchiveGate {
    /// What the archive has, as far as the local file says so durably.
    pub(crate) fn archived(&self) -> Option<Lsn> {
        match self {
            Self::Open => None,
            Self::Required(position) => position.receipt().archived(),
        }
    }

    fn proof(&self) -> ArchiveProof {
        match self {
            Self::Open => ArchiveProof::NotRequired,
            Self::Required(position) => ArchiveProof::Receipt(position.receipt()),
        }
    }
}

/// The archive's part of a plan.
#[derive(Clone, Copy, Debug)]
enum ArchiveProof {
    NotRequired,
    Receipt(ArchiveReceipt),
}

/// All proofs that a plan is made of. The engines' are the redo position that both slots of CONTROL
/// hold, which only a [`ProvenRedo`](super::floor_board::ProvenRedo) of all engines of all vshards gets
/// into; the pins' are with the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gates {
    archive: ArchiveProof,
}

impl Gates {
    /// The receipts as they are now. They only grow, so that a plan that is carried out later deletes
    /// less than it might.
    pub(crate) fn read(archive: &ArchiveGate) -> Self {
        Self { archive: archive.proof() }
    }

    /// The only way to a plan in this crate.
    pub(crate) fn plan(self, wal: &Wal) -> TruncationPlan {
        match self.archive {
            ArchiveProof::NotRequired => wal.plan_truncation(&[]),
            ArchiveProof::Receipt(receipt) => {
                let lsn = Lsn::after(receipt.archived());
                wal.plan_truncation(&[Hold { name: "archive".to_owned(), lsn }])
            }
        }
    }
}
