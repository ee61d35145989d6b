use super::*;

const ROOT: Inode = 1;
const OTHER: Inode = 2;

fn slot(directory: Inode, name: &str) -> Slot {
    Slot::new(directory, OsStr::new(name))
}

fn link(directory: Inode, name: &str, inode: Inode) -> Change {
    Change::new(vec![(slot(directory, name), Some(inode))])
}

fn unlink(directory: Inode, name: &str) -> Change {
    Change::new(vec![(slot(directory, name), None)])
}

fn rename(from: Slot, to: Slot, inode: Inode) -> Change {
    Change::new(vec![(from, None), (to, Some(inode))])
}

fn two_directories() -> Names {
    let mut names = Names::default();
    names.add_directory(ROOT);
    names.add_directory(OTHER);
    names.apply_durably(&link(ROOT, "other", OTHER));
    names
}

fn on_disk(names: &Names, directory: Inode) -> Vec<String> {
    names.durable[&directory].keys().map(|name| name.to_string_lossy().into_owned()).collect()
}

/// Every outcome of 400 power cuts, as the names of both directories.
fn outcomes(names: &Names) -> BTreeSet<(Vec<String>, Vec<String>)> {
    let mut random = Sequence::new(11);
    (0..400)
        .map(|_| {
            let mut after = names.clone();
            after.cut_power(&mut random);
            assert!(after.pending.is_empty() && after.live == after.durable);
            (on_disk(&after, ROOT), on_disk(&after, OTHER))
        })
        .collect()
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn a_sync_is_of_one_directory() {
    let mut names = two_directories();
    names.apply(link(ROOT, "a", 3));
    names.apply(link(OTHER, "b", 4));
    names.sync(OTHER);
    assert_eq!(on_disk(&names, ROOT), ["other"]);
    assert_eq!(on_disk(&names, OTHER), ["b"]);
    names.sync(ROOT);
    assert_eq!(on_disk(&names, ROOT), ["a", "other"]);
    assert!(names.pending.is_empty());
}

#[test]
fn unsynced_changes_survive_as_any_subset() {
    let mut names = two_directories();
    names.apply(link(ROOT, "a", 3));
    names.apply(link(ROOT, "b", 4));
    let roots: BTreeSet<_> = outcomes(&names).into_iter().map(|(root, _)| root).collect();
    let expected = [
        strings(&["other"]),
        strings(&["a", "other"]),
        strings(&["b", "other"]),
        strings(&["a", "b", "other"]),
    ];
    assert_eq!(roots, BTreeSet::from(expected));
}

#[test]
fn a_rename_is_atomic_even_between_directories() {
    let mut names = two_directories();
    names.apply_durably(&link(ROOT, "a", 3));
    names.apply(rename(slot(ROOT, "a"), slot(OTHER, "z"), 3));
    let expected =
        [(strings(&["a", "other"]), strings(&[])), (strings(&["other"]), strings(&["z"]))];
    assert_eq!(outcomes(&names), BTreeSet::from(expected));
    names.sync(ROOT);
    assert_eq!(on_disk(&names, OTHER), ["z"]);
}

#[test]
fn the_history_of_one_name_survives_as_a_prefix() {
    let mut names = two_directories();
    names.apply(link(ROOT, "a", 3));
    names.apply(rename(slot(ROOT, "a"), slot(ROOT, "b"), 3));
    names.apply(unlink(ROOT, "b"));
    let roots: BTreeSet<_> = outcomes(&names).into_iter().map(|(root, _)| root).collect();
    let expected = [strings(&["other"]), strings(&["a", "other"]), strings(&["b", "other"])];
    assert_eq!(roots, BTreeSet::from(expected));
}

#[test]
fn a_file_moved_out_outlives_its_directory() {
    let mut names = two_directories();
    names.apply_durably(&link(OTHER, "a", 3));
    names.apply(rename(slot(OTHER, "a"), slot(ROOT, "a"), 3));
    names.apply(unlink(ROOT, "other").removing(Some(OTHER)));
    for (root, other) in outcomes(&names) {
        let reachable = root.contains(&"a".to_owned())
            || (root.contains(&"other".to_owned()) && other.contains(&"a".to_owned()));
        assert!(reachable, "{root:?} {other:?}");
    }
}

#[test]
fn a_move_needs_the_directory_it_moves_into() {
    let mut names = two_directories();
    names.apply_durably(&link(ROOT, "a", 3));
    names.add_directory(4);
    names.apply(link(ROOT, "new", 4));
    names.apply(rename(slot(ROOT, "a"), slot(4, "a"), 3));
    for (root, _) in outcomes(&names) {
        assert!(root.contains(&"a".to_owned()) || root.contains(&"new".to_owned()));
    }
    // A plain creation does not make its directory's name durable.
    names.apply(link(OTHER, "x", 5));
    names.sync(OTHER);
    assert_eq!(on_disk(&names, ROOT), ["a", "other"]);
}

#[test]
fn a_failed_sync_leaves_doubt_for_ever() {
    let mut names = two_directories();
    names.apply(link(ROOT, "a", 3));
    names.doubt(ROOT);
    names.apply(rename(slot(ROOT, "a"), slot(ROOT, "b"), 3));
    names.apply(link(ROOT, "c", 4));
    names.sync(ROOT);
    assert_eq!(on_disk(&names, ROOT), ["c", "other"]);
    let roots: BTreeSet<_> = outcomes(&names).into_iter().map(|(root, _)| root).collect();
    assert_eq!(roots.len(), 3, "{roots:?}");
}
