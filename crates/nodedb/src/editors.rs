//! As which Loro peer an open database edits which document.

use bytes::Bytes;
use nodedb_types::CollectionId;
use parking_lot::Mutex;
use std::collections::HashMap;

/// Documents whose editor is remembered; beyond it all are forgotten, which costs each a new peer.
const EDITORS_MAX: usize = 1024;

/// Which document: keys of different tenants lie in different collections.
type Place = (CollectionId, Bytes);

/// The peers as which an open database edits.
///
/// Two histories that go on from one peer's operation with different ones never converge. So a peer is
/// drawn at random and lives in memory only: an open, a restore and a copied directory all begin with
/// new ones. It is used again, since every peer makes the version of a document longer for ever, but
/// only by one edit at a time, and only while the document ends for it where its last edit did: not
/// after the document was deleted, nor after an edit whose outcome is unknown.
#[derive(Debug, Default)]
pub(crate) struct Editors(Mutex<HashMap<Place, Editor>>);

/// A peer, and where its operations end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Editor {
    pub(crate) peer: u64,
    pub(crate) end: u32,
}

impl Editors {
    /// Takes the editor of a document out, so that nobody else edits as it meanwhile.
    pub(crate) fn take(&self, place: &Place) -> Option<Editor> {
        self.0.lock().remove(place)
    }

    /// Puts an editor back whose edit is in the document.
    pub(crate) fn put_back(&self, place: Place, editor: Editor) {
        let mut editors = self.0.lock();
        if editors.len() >= EDITORS_MAX {
            editors.clear();
        }
        editors.insert(place, editor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_is_of_one_edit_at_a_time_and_no_more_than_the_limit_are_kept() {
        let editors = Editors::default();
        let place = |key: usize| (CollectionId::new(1), Bytes::from(key.to_string()));
        assert_eq!(editors.take(&place(0)), None);
        let editor = Editor { peer: 7, end: 3 };
        editors.put_back(place(0), editor);
        assert_eq!(editors.take(&place(0)), Some(editor));
        assert_eq!(editors.take(&place(0)), None, "it is out");
        for key in 0..EDITORS_MAX {
            editors.put_back(place(key), editor);
        }
        assert_eq!(editors.0.lock().len(), EDITORS_MAX);
        editors.put_back(place(EDITORS_MAX), editor);
        assert_eq!(editors.0.lock().len(), 1);
    }
}
