//! The data sets that are shared with the tests, where they are.

use anyhow::{Context, Result};
use nodedb_env::Env;
use std::{
    io::{self, Write},
    path::Path,
};

/// Beside the checkout, as the tests look for it.
const FOLDER: &str = "../../shared/data";

/// The text of a packed data set, or `None` where it is not, which is said on standard error.
///
/// # Errors
/// If it is there and cannot be read and unpacked.
pub fn shared_data(name: &str) -> Result<Option<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join(name);
    if !matches!(Env::real().files.entry(&path), Ok(Some(_))) {
        writeln!(io::stderr(), "SKIPPED: {} is not there", path.display())?;
        return Ok(None);
    }
    let packed = Env::real().files.read(&path)?;
    let bytes = zstd::decode_all(&packed[..]).with_context(|| format!("unpacking {name}"))?;
    Ok(Some(String::from_utf8(bytes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_skipped() {
        assert!(shared_data("no-such-data.zst").expect("no fault").is_none());
    }
}
