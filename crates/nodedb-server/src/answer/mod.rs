//! What the server and the commands of the binary read and answer: one shape, one place.

mod batch;
mod checkpoint;
mod collection;
mod error;
mod expect;
mod index;
mod row;
mod status;
pub mod value_text;

pub use batch::parse_batch;
pub use checkpoint::CheckpointAnswer;
pub use collection::CollectionAnswer;
pub use error::AnswerError;
pub use expect::parse_expect;
pub use index::IndexAnswer;
pub use row::Row;
pub use status::StatusAnswer;
