//! nodedb-document (being written).
