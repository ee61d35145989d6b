//! Who writes an archive, and the calls of a writer.

mod archive;
mod identity;
mod tail;
mod upload;

pub use archive::{Archive, CompletedBase, NewArchive};
pub use identity::{Nonce, Session, WriterEpoch, WriterIdentity};
pub use tail::ArchivedTail;
pub use upload::VerifiedUpload;
pub(crate) use upload::{Placed, place};
