//! nodedb-control (being written).
