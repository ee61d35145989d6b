use super::*;

fn old_and_new(sectors: usize) -> Contents {
    let mut contents = Contents::durable(vec![b'o'; sectors * SECTOR]);
    contents.write_at(&vec![b'n'; sectors * SECTOR], 0);
    contents
}

#[test]
fn reads_end_at_the_end() {
    let mut contents = Contents::default();
    contents.write_at(b"abc", 2);
    let mut buffer = [9; 8];
    assert_eq!(contents.read_at(&mut buffer, 1), 4);
    assert_eq!(&buffer[..4], b"\0abc");
    assert_eq!(contents.read_at(&mut buffer, 5), 0);
    assert_eq!(contents.read_at(&mut buffer, u64::MAX), 0);
}

#[test]
fn a_sync_writes_contents_and_length() {
    let mut contents = Contents::default();
    contents.write_at(b"abc", 600);
    assert!(contents.on_disk().is_empty());
    contents.sync();
    assert_eq!(contents.on_disk(), contents.live());
    contents.grow(2_000);
    assert_eq!(contents.on_disk().len(), 603);
    contents.sync();
    assert_eq!(contents.on_disk().len(), 2_000);
}

#[test]
fn a_failed_sync_loses_its_sectors_and_only_those() {
    let mut contents = Contents::durable(vec![b'o'; 3 * SECTOR]);
    contents.write_at(&[b'n'; SECTOR], 0);
    contents.forget_dirty();
    contents.sync();
    assert_eq!(contents.on_disk()[0], b'o');
    assert_eq!(contents.live()[0], b'n');
    contents.write_at(b"m", SECTOR);
    contents.sync();
    assert_eq!(contents.on_disk()[0], b'o');
    assert_eq!(contents.on_disk()[SECTOR], b'm');
    // A write into the lost sector makes it dirty again, whole.
    contents.write_at(b"m", 5);
    contents.sync();
    assert_eq!(contents.on_disk()[..7], *b"nnnnnmn");
}

#[test]
fn a_failed_sync_loses_the_growth() {
    let mut contents = Contents::default();
    contents.write_at(&[b'n'; 3 * SECTOR], 0);
    contents.forget_dirty();
    contents.sync();
    assert_eq!(contents.on_disk().len(), 0);
    contents.write_at(b"m", SECTOR);
    contents.sync();
    assert_eq!(contents.on_disk().len(), 2 * SECTOR);
    assert_eq!(contents.on_disk()[0], 0);
    assert_eq!(contents.on_disk()[SECTOR..][..2], *b"mn");
}

#[test]
fn power_cuts_keep_lose_and_tear() {
    let contents = old_and_new(4);
    let mut random = Sequence::new(1);
    let (mut kept, mut lost, mut torn, mut holes) = (0, 0, 0, 0);
    for _ in 0..500 {
        let bytes = contents.after_power_cut(&mut random);
        assert_eq!(bytes.len(), 4 * SECTOR);
        let (words, rest) = bytes.as_chunks::<WORD>();
        assert!(rest.is_empty());
        assert!(words.iter().all(|word| *word == [word[0]; WORD]));
        let whole =
            |sector: usize, byte: u8| bytes[sector * SECTOR..][..SECTOR].iter().all(|b| *b == byte);
        // Only the last sector is ever torn, and its front is then the new part.
        assert!((0..3).all(|sector| whole(sector, b'n') || whole(sector, b'o')));
        kept += usize::from(whole(0, b'n') && whole(3, b'n'));
        lost += usize::from(whole(0, b'o') && whole(3, b'o'));
        holes += usize::from(whole(0, b'o') && whole(1, b'n'));
        let front = bytes[3 * SECTOR];
        let back = bytes[4 * SECTOR - 1];
        torn += usize::from((front, back) == (b'n', b'o'));
        assert_ne!((front, back), (b'o', b'n'));
    }
    assert!(kept > 20 && lost > 20 && torn > 20 && holes > 20);
}

#[test]
fn growth_survives_wholly_partly_or_not() {
    let mut contents = Contents::durable(vec![b'o'; 100]);
    contents.write_at(&[b'n'; 4_000], 100);
    let mut random = Sequence::new(2);
    let mut lengths = BTreeSet::new();
    for _ in 0..200 {
        let bytes = contents.after_power_cut(&mut random);
        assert_eq!(bytes[..100], [b'o'; 100]);
        assert!(bytes[100..].iter().all(|byte| [0, b'n'].contains(byte)));
        lengths.insert(bytes.len());
    }
    assert!(lengths.contains(&100) && lengths.contains(&4_100));
    assert!(lengths.len() > 4, "{lengths:?}");
}

#[test]
fn what_is_synced_survives_every_cut() {
    let mut contents = old_and_new(2);
    contents.sync();
    contents.write_at(b"x", SECTOR);
    let mut random = Sequence::new(3);
    for _ in 0..100 {
        let bytes = contents.after_power_cut(&mut random);
        assert_eq!(bytes[..SECTOR], [b'n'; SECTOR]);
        assert_eq!(bytes[SECTOR + WORD..], [b'n'; SECTOR - WORD]);
    }
}

#[test]
fn an_earlier_version_may_be_the_one_that_survives() {
    let mut contents = Contents::durable(vec![b'o'; 2 * SECTOR]);
    contents.write_at(&[b'1'; SECTOR], 0);
    contents.write_at(&[b'2'; SECTOR], 0);
    contents.write_at(&[b'3'; SECTOR], SECTOR);
    let mut random = Sequence::new(4);
    let fronts: BTreeSet<u8> = (0..200).map(|_| contents.after_power_cut(&mut random)[0]).collect();
    assert_eq!(fronts, BTreeSet::from(*b"o12"));
    contents.sync();
    assert_eq!(contents.after_power_cut(&mut random)[0], b'2');
}
