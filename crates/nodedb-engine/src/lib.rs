//! nodedb-engine (being written).
