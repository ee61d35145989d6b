//! nodedb-cold (being written).
