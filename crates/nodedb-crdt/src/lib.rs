//! nodedb-crdt (being written).
