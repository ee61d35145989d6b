//! The limits of what callers may send. Each is checked before anything is logged.

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// Largest value, in bytes; smaller where the log's segments are small.
pub const VALUE_BYTES_MAX: usize = 16 << 20;
/// Largest atomic batch, in bytes of redo; smaller where the log's segments are small.
pub const BATCH_BYTES_MAX: usize = 24 << 20;
/// Most operations in one atomic batch.
pub const BATCH_OPERATIONS_MAX: usize = 10_000;
/// Longest name of a collection, tenant or restore point, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Most dimensions of a vector.
pub const VECTOR_DIMENSIONS_MAX: usize = 16_384;
/// Most neighbours that one search returns.
pub const SEARCH_RESULTS_MAX: usize = 10_000;
/// Most rows of one page of a scan.
pub const SCAN_PAGE_ROWS_MAX: usize = 10_000;
/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_BYTES_MAX: usize = 64;
/// Longest path of a field index, in bytes.
pub const INDEX_PATH_BYTES_MAX: usize = 256;
/// Longest value of a field index that is kept whole, in bytes; of longer ones the index keeps the
/// beginning, and a unique index refuses them.
pub const INDEX_VALUE_BYTES_MAX: usize = 1024;
/// Deepest nesting of a JSON document or a filter.
pub const NESTING_MAX: usize = 128;
/// Longest filter expression, in bytes.
pub const FILTER_BYTES_MAX: usize = 16 << 10;
/// Most vshards of a database.
pub const VSHARDS_MAX: u16 = 1024;
/// Vshards of a database whose creator names no number.
pub const VSHARDS_DEFAULT: u16 = 8;
/// Smallest log segment, in bytes.
pub const SEGMENT_BYTES_MIN: u64 = 64 << 10;
/// Largest log segment, in bytes.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// Log segment of a database whose creator names no size, in bytes.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;
/// Most collections of a database.
pub const COLLECTIONS_MAX: usize = 10_000;
/// Most indexes of a collection.
pub const INDEXES_MAX: usize = 16;

const _: () = assert!(VALUE_BYTES_MAX < BATCH_BYTES_MAX);
const _: () = assert!(SEGMENT_BYTES_MIN <= SEGMENT_BYTES_DEFAULT);
const _: () = assert!(SEGMENT_BYTES_DEFAULT <= SEGMENT_BYTES_MAX);
