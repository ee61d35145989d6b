//! The archiver: cuts log objects, uploads base images, knows how far the archive is.

mod archiver;
mod backlog;
mod base;
mod cut;
mod position;
mod state;

pub(crate) use archiver::{Archiver, ArchiverParts};
pub(crate) use backlog::CutRule;
pub(crate) use base::{BaseUpload, vshard_dir};
pub(crate) use position::{ArchivePosition, ArchiveReceipt};
pub(crate) use state::ArchiveState;
