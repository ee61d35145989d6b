//! nodedb-testkit (being written).
