//! nodedb-bridge (being written).
