//! nodedb-vector (being written).
