//! nodedb-data (being written).
