//! Objects are exactly what was written, or an error.

use super::support::{DATABASE, batch, lsn, new_archive};
use crate::{
    ArchivedBatch, ArchivedPoint, ColdError, EpochRecord, ExpectedIdentity, FenceRecord,
    FormatError, FormatRecord, LogObject, LogObjectBuilder, NonceRecord, ObjectHash, WriterEpoch,
    record::{Envelope, open, seal},
};
use bytes::Bytes;
use nodedb_types::{DatabaseId, ErrorKind, LogEpoch, Name};
use proptest::prelude::*;

fn expected(start: u64) -> ExpectedIdentity {
    ExpectedIdentity {
        database_id: DATABASE,
        writer_epoch: WriterEpoch::FIRST,
        start_lsn: lsn(start),
    }
}

fn build(start: u64, batches: &[ArchivedBatch]) -> LogObject {
    let writer = new_archive(1).writer();
    let mut builder =
        LogObjectBuilder::new(writer, lsn(start), ObjectHash::of(b"before")).expect("a builder");
    for batch in batches {
        builder.push(batch).expect("pushed");
    }
    builder.add_point(ArchivedPoint {
        name: Name::new("p").expect("a name"),
        lsn: lsn(start),
        commit_ms: 3,
    });
    builder.finish().expect("an object")
}

/// All batches of an object, or the first error on the way.
fn unpack(bytes: Bytes, expected: &ExpectedIdentity) -> Result<Vec<ArchivedBatch>, ColdError> {
    LogObject::decode(bytes, expected)?.batches().collect()
}

#[test]
fn an_object_reads_back() {
    let batches = [batch(5, 6), batch(7, 7), batch(8, 20)];
    let object = build(5, &batches);
    let decoded = LogObject::decode(object.bytes().clone(), &expected(5)).expect("sound");
    assert_eq!(decoded.key(), object.key());
    assert_eq!((decoded.range(), decoded.hash()), (object.range(), object.hash()));
    assert_eq!(decoded.previous(), ObjectHash::of(b"before"));
    assert_eq!(decoded.max_commit_ms(), 200);
    assert_eq!(decoded.points().len(), 1);
    let read: Result<Vec<_>, _> = decoded.batches().collect();
    assert_eq!(read.expect("sound"), batches);
}

#[test]
fn every_flipped_bit_of_an_object_is_found() {
    let object = build(5, &[batch(5, 6), batch(7, 7)]);
    for at in 0..object.bytes().len() * 8 {
        let mut bytes = object.bytes().to_vec();
        bytes[at / 8] ^= 1 << (at % 8);
        let error = unpack(bytes.into(), &expected(5)).expect_err("a bit is flipped");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "bit {at}: {error}");
    }
}

#[test]
fn every_truncation_and_every_longer_object_is_found() {
    let object = build(5, &[batch(5, 6), batch(7, 7)]);
    for len in 0..object.bytes().len() {
        let result = unpack(object.bytes().slice(..len), &expected(5));
        assert!(result.is_err(), "{len} bytes");
    }
    let mut longer = object.bytes().to_vec();
    longer.push(0);
    assert!(unpack(longer.into(), &expected(5)).is_err());
}

#[test]
fn an_object_of_another_place_is_refused() {
    let bytes = build(5, &[batch(5, 6)]).bytes().clone();
    let others = [
        expected(6),
        ExpectedIdentity { database_id: DatabaseId::from_bytes([1; 16]), ..expected(5) },
        ExpectedIdentity {
            writer_epoch: WriterEpoch::FIRST.next().expect("a second"),
            ..expected(5)
        },
    ];
    for other in others {
        let error = unpack(bytes.clone(), &other).expect_err("another's");
        let foreign =
            matches!(error, ColdError::Corrupt { problem: FormatError::Foreign { .. }, .. });
        assert!(foreign, "{error}");
    }
}

#[test]
fn a_decompression_bomb_is_refused() {
    // An object that is sound in every checksum and whose only block unpacks to 64 MiB of zeros
    // behind a promise of 100 bytes.
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 3).expect("compressed");
    for promised in [100_u32, 1 << 20, (1 << 20) + 1, 64 << 20] {
        let object = forge(&bomb, promised);
        let error = unpack(object, &expected(5)).expect_err("a bomb");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{promised}: {error}");
    }
}

/// A log object of one block, all of whose checksums are right.
fn forge(compressed: &[u8], raw_len: u32) -> Bytes {
    use crate::log_object::Header;
    let header = Header {
        writer: new_archive(1).writer(),
        range: nodedb_types::LsnRange::starting_at(lsn(5), 1),
        batch_count: 1,
        raw_len,
        min_commit_ms: 0,
        max_commit_ms: 9,
        previous: ObjectHash::ZERO,
    };
    let mut object = header.encode();
    let length = u32::try_from(compressed.len()).expect("small");
    object.extend_from_slice(&raw_len.to_le_bytes());
    object.extend_from_slice(&length.to_le_bytes());
    object.extend_from_slice(&0_u32.to_le_bytes());
    object.extend_from_slice(compressed);
    let index = object.len() as u64;
    object.extend_from_slice(&128_u64.to_le_bytes());
    object.extend_from_slice(&(length + 12).to_le_bytes());
    object.extend_from_slice(&raw_len.to_le_bytes());
    object.extend_from_slice(&5_u64.to_le_bytes());
    object.extend_from_slice(&9_u64.to_le_bytes());
    let points = object.len() as u64;
    object.extend_from_slice(&index.to_le_bytes());
    object.extend_from_slice(&points.to_le_bytes());
    object.extend_from_slice(&1_u32.to_le_bytes());
    object.extend_from_slice(&0_u32.to_le_bytes());
    object.extend_from_slice(&(points + 72).to_le_bytes());
    let hash = ObjectHash::of(&object);
    object.extend_from_slice(hash.as_bytes());
    object.extend_from_slice(b"NDBLOGED");
    object.into()
}

#[test]
fn a_batch_may_span_blocks_and_need_not_compress() {
    let mut noise = Vec::new();
    for seed in 0..(3_u64 << 20) / 32 {
        noise.extend_from_slice(ObjectHash::of(&seed.to_le_bytes()).as_bytes());
    }
    let mut large = batch(6, 6);
    large.body = noise.into();
    let mut exact = batch(7, 7);
    exact.body = vec![0; (1 << 20) - 28].into();
    let batches = [batch(5, 5), large, exact, batch(8, 9)];
    let object = build(5, &batches);
    let read = unpack(object.bytes().clone(), &expected(5)).expect("sound");
    assert!(read == batches, "four batches over several blocks");
}

#[test]
#[should_panic(expected = "does not continue")]
fn a_hole_between_batches_is_never_built() {
    build(5, &[batch(5, 6), batch(8, 9)]);
}

#[test]
#[should_panic(expected = "clock went back")]
fn a_commit_clock_that_goes_back_is_never_built() {
    let mut late = batch(7, 8);
    late.commit_ms = 1;
    build(5, &[batch(5, 6), late]);
}

#[test]
fn small_records_are_found_damaged_bit_by_bit() {
    let writer = new_archive(1).writer();
    let records = [
        FormatRecord {
            database_id: DATABASE,
            incarnation: super::support::INCARNATION,
            vshards: 8,
            segment_bytes: 1 << 20,
            created_ms: 1,
            required_features: 0,
        }
        .encode(),
        EpochRecord {
            writer,
            parent: None,
            start_lsn: lsn(1),
            chain: ObjectHash::ZERO,
            taken_ms: 1,
        }
        .encode(),
        NonceRecord { writer_nonce: writer.nonce, session: super::support::session(3) }.encode(),
        FenceRecord { by: WriterEpoch::FIRST }.encode(),
    ];
    let decode = |bytes: &[u8]| {
        [
            FormatRecord::decode(bytes).is_ok(),
            EpochRecord::decode(bytes).is_ok(),
            NonceRecord::decode(bytes).is_ok(),
            FenceRecord::decode(bytes).is_ok(),
        ]
    };
    for (kind, record) in records.iter().enumerate() {
        let mut only = [false; 4];
        only[kind] = true;
        assert_eq!(decode(record), only, "no record is taken for another");
        for at in 0..record.len() * 8 {
            let mut bytes = record.to_vec();
            bytes[at / 8] ^= 1 << (at % 8);
            assert_eq!(decode(&bytes), [false; 4], "record {kind}, bit {at}");
        }
        for len in 0..record.len() {
            assert_eq!(decode(&record[..len]), [false; 4], "record {kind}, {len} bytes");
        }
    }
}

#[test]
fn unknown_features_and_versions_are_named() {
    let record = FormatRecord {
        database_id: DATABASE,
        incarnation: super::support::INCARNATION,
        vshards: 8,
        segment_bytes: 1 << 20,
        created_ms: 1,
        required_features: 4,
    };
    let found = FormatRecord::decode(&record.encode());
    assert_eq!(found, Err(FormatError::Feature { bits: 4 }));
    let [first, second] = [1, 2].map(|version| Envelope { magic: *b"NDBTESTS", version });
    let sealed = seal(second, b"body");
    assert_eq!(open(first, &sealed), Err(FormatError::Version { version: 2 }));
    assert_eq!(open(second, &sealed), Ok(b"body".as_slice()));
}

proptest! {
    #[test]
    fn any_batches_read_back(
        bodies in prop::collection::vec((1..5_u32, prop::collection::vec(any::<u8>(), 0..300)), 1..40),
    ) {
        let mut next = lsn(1);
        let mut batches = Vec::new();
        for (record_count, body) in bodies {
            batches.push(ArchivedBatch {
                log_epoch: LogEpoch::new(2),
                first_lsn: next,
                record_count,
                commit_ms: next.get(),
                body: body.into(),
            });
            next = next.advance(u64::from(record_count));
        }
        let object = build(1, &batches);
        prop_assert_eq!(unpack(object.bytes().clone(), &expected(1)).expect("sound"), batches);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(unpack(bytes.into(), &expected(1)).is_err());
    }
}
