use super::*;
use nodedb_types::LogEpoch;
use std::ops::Bound;

fn lsn(value: u64) -> Lsn {
    Lsn::from_u64(value).expect("not zero")
}

fn version(at: u64, value: Option<&'static str>) -> Version {
    Version {
        stamp: Stamp { epoch: LogEpoch::new(1), lsn: lsn(at) },
        expires: None,
        value: value.map(|text| Bytes::from_static(text.as_bytes())),
    }
}

fn row() -> Bytes {
    Bytes::from_static(b"row")
}

fn seen(table: &Memtable, at: u64) -> Option<u64> {
    table.get(b"row", ReadAt::Snapshot(lsn(at))).map(|version| version.stamp.lsn.get())
}

#[test]
fn every_reader_at_or_above_the_horizon_sees_its_version() {
    let mut table = Memtable::default();
    for at in [2, 4, 6, 8] {
        table.write(row(), version(at, Some("x")), || Some(lsn(5)));
    }
    // 4 is the newest at or below the horizon, so 2 is gone and everything above is kept.
    assert_eq!(seen(&table, 3), None);
    assert_eq!(seen(&table, 5), Some(4));
    assert_eq!(seen(&table, 7), Some(6));
    assert_eq!(seen(&table, 9), Some(8));
    let latest = table.get(b"row", ReadAt::Latest).expect("written");
    assert_eq!(latest.stamp.lsn, lsn(8));
}

#[test]
fn nothing_is_pruned_while_nothing_is_durable() {
    let mut table = Memtable::default();
    for at in 1..=50 {
        table.write(row(), version(at, Some("x")), || None);
    }
    assert!((1..=50).all(|at| seen(&table, at) == Some(at)));
}

/// What an overwritten version had stays in its chunk, so it has to count, or a row that is written again and
/// again would fill the memory and never be flushed.
#[test]
fn overwritten_versions_count_by_their_bytes_alone() {
    let mut table = Memtable::default();
    table.write(row(), version(1, Some("four")), || None);
    let once = table.bytes();
    for at in 2..=11 {
        table.write(row(), version(at, Some("four")), || Some(lsn(at)));
    }
    assert_eq!(table.bytes(), once + 10 * ("row".len() + "four".len()));
    table.write(row(), version(12, None), || Some(lsn(12)));
    assert_eq!(table.bytes(), once + 11 * "row".len() + 10 * "four".len());
    // A reader holds a version: that one has a place of its own.
    table.write(row(), version(13, None), || Some(lsn(1)));
    assert_eq!(table.bytes(), once + VERSION_OVERHEAD + 12 * "row".len() + 10 * "four".len());
}

#[test]
#[should_panic(expected = "in the order of the log")]
fn a_record_out_of_order_is_refused() {
    let mut table = Memtable::default();
    table.write(row(), version(2, None), || None);
    table.write(row(), version(1, None), || None);
}

#[test]
fn a_range_shows_only_what_the_reader_sees() {
    let mut table = Memtable::default();
    for (key, at) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        table.write(Bytes::from_static(key.as_bytes()), version(at, None), || None);
    }
    let keys = |bounds: Bounds<'static>, direction: Direction, at: ReadAt| {
        let rows = table.range(bounds, direction, at).filter(|(_, version)| version.is_some());
        rows.map(|(key, _)| key[0] as char).collect::<String>()
    };
    let all = (Bound::Unbounded, Bound::Unbounded);
    assert_eq!(keys(all, Direction::Ascending, ReadAt::Latest), "abcd");
    assert_eq!(keys(all, Direction::Descending, ReadAt::Latest), "dcba");
    let inner: Bounds<'_> = (Bound::Excluded(b"a"), Bound::Excluded(b"d"));
    assert_eq!(keys(inner, Direction::Ascending, ReadAt::Latest), "bc");
    assert_eq!(keys(inner, Direction::Descending, ReadAt::Latest), "cb");
    assert_eq!(keys(all, Direction::Descending, ReadAt::Snapshot(lsn(2))), "ba");
}
