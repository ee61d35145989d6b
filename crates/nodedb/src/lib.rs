//! nodedb (being written).
