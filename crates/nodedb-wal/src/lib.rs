//! nodedb-wal (being written).
