//! Names of the files in a log directory.

use std::path::{Path, PathBuf};

pub(crate) const LOCK: &str = "LOCK";
pub(crate) const CONTROL: &str = "CONTROL";
pub(crate) const PINS: &str = "PINS";
/// Stands while a lossy truncation is under way.
pub(crate) const TRUNCATING: &str = "TRUNCATING";

/// Path of a segment.
pub(crate) fn segment_path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("wal-{segment:020}.seg"))
}

/// Number of a segment by its name; `None` for any name that [`segment_path`] does not make.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("wal-")?.strip_suffix(".seg")?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

/// Path of a prepared file.
pub(crate) fn spare_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("spare-{number}.seg"))
}

/// Path of a file being prepared.
pub(crate) fn unfinished_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("spare-{number}.tmp"))
}

/// Number of a prepared file by its name.
pub(crate) fn spare_number(name: &str) -> Option<u64> {
    plain_number(name.strip_prefix("spare-")?.strip_suffix(".seg")?)
}

/// Number of an unfinished file by its name.
pub(crate) fn unfinished_number(name: &str) -> Option<u64> {
    plain_number(name.strip_prefix("spare-")?.strip_suffix(".tmp")?)
}

/// Digits alone, and a number after which more can follow: any other name is none of ours.
fn plain_number(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = plain.then(|| digits.parse::<u64>().ok())??;
    (number < u64::MAX / 2).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_segments() {
        let path = segment_path(Path::new("d"), 12);
        let name = path.file_name().and_then(|name| name.to_str()).expect("ascii");
        assert_eq!(segment_number(name), Some(12));
        for foreign in ["wal-12.seg", "segment.bak", "wal-+0000000000000000012.seg"] {
            assert_eq!(segment_number(foreign), None, "{foreign}");
        }
        let huge = "wal-99999999999999999999.seg";
        assert_eq!(segment_number(huge), None);
    }

    /// They are adopted, written over or removed at open; the number after the highest is counted on.
    #[test]
    fn only_our_own_names_are_spares() {
        assert_eq!(spare_number("spare-7.seg"), Some(7));
        assert_eq!(unfinished_number("spare-7.tmp"), Some(7));
        let last = format!("spare-{}.seg", u64::MAX);
        for foreign in ["spare-+7.seg", "spare-.seg", "spare-7.bak", &last] {
            assert_eq!(spare_number(foreign), None, "{foreign}");
        }
        assert_eq!(unfinished_number("spare-+7.tmp"), None);
    }
}
