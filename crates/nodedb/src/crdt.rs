//! CRDT documents: merge, export, edit.

use crate::{Collection, Error, Merged, Pending, Written, editors::Editor};
use bytes::Bytes;
use nodedb_crdt::{CrdtDocument, loro, version_from_hex};
use nodedb_data::{Op, Outcome};
use nodedb_engine::CollectionKind;
use nodedb_types::Version;

impl Collection {
    /// Merges a Loro update or snapshot into a document, which begins empty.
    ///
    /// # Errors
    /// [`Error::Data`] with kind `InvalidInput` if the bytes are damaged or need versions that the
    /// document lacks, which it names: nothing was changed; [`Error::WrongCollectionKind`].
    pub fn merge(&self, key: impl AsRef<[u8]>, update: &[u8]) -> Result<Merged, Error> {
        let key = key.as_ref();
        self.inner().patiently(|| self.merge_async(key, update)?.wait())
    }

    /// Begins to merge.
    ///
    /// # Errors
    /// As [`Collection::merge`].
    pub fn merge_async(
        &self,
        key: impl AsRef<[u8]>,
        update: &[u8],
    ) -> Result<Pending<Merged>, Error> {
        self.check_crdt()?;
        let inner = self.inner();
        let key = Bytes::copy_from_slice(key.as_ref());
        inner.admission.write(&key, update.len())?;
        let room = inner.room(self.definition.tenant, key.len() + update.len())?;
        let vshard = self.vshard(&key);
        let op = Op::CrdtMerge {
            collection: self.definition.id,
            key,
            update: Bytes::copy_from_slice(update),
            durability: inner.identity.durability,
        };
        let incarnation = inner.identity.incarnation;
        self.send(vshard, op, move |outcome| {
            drop(room);
            let Outcome::Merged(merged) = outcome else {
                return Err(Error::mismatched("merge"));
            };
            Ok(Merged {
                written: merged.stamp.map(|stamp| Written {
                    lsn: stamp.lsn,
                    version: Version::new(incarnation, stamp),
                }),
                changed: merged.changed,
            })
        })
    }

    /// The updates of a document that a replica at version vector `since` lacks, for
    /// [`Collection::merge`] elsewhere; all of them without one. `since` is hexadecimal.
    ///
    /// # Errors
    /// [`Error::NoDocument`], [`Error::Crdt`] for a text that is no version vector,
    /// [`Error::WrongCollectionKind`].
    pub fn export_crdt(
        &self,
        key: impl AsRef<[u8]>,
        since: Option<&str>,
    ) -> Result<Vec<u8>, Error> {
        let key = Bytes::copy_from_slice(key.as_ref());
        let since = since.map(version_from_hex).transpose()?;
        let exported = self.exported(&key, since.as_ref())?;
        exported.map(Vec::from).ok_or_else(|| Error::no_document(self.name(), &key))
    }

    fn exported(&self, key: &Bytes, since: Option<&Vec<u8>>) -> Result<Option<Bytes>, Error> {
        self.check_crdt()?;
        self.inner().admission.key(key)?;
        self.inner().patiently(|| self.exported_once(key, since.cloned()))
    }

    fn exported_once(&self, key: &Bytes, since: Option<Vec<u8>>) -> Result<Option<Bytes>, Error> {
        let vshard = self.vshard(key);
        let op = Op::CrdtExport { collection: self.definition.id, key: key.clone(), since };
        let pending = self.send(vshard, op, |outcome| {
            let Outcome::Exported(exported) = outcome else {
                return Err(Error::mismatched("export"));
            };
            Ok(exported.map(|exported| exported.update))
        })?;
        pending.wait()
    }

    /// Edits a document, which begins empty, through Loro and merges the edit. Editors elsewhere are
    /// not waited for and lose nothing: that is what a CRDT is for.
    ///
    /// The edit is made as a random Loro peer that this open database has for the document; every open,
    /// every restore and every copy of the directory draws new ones, and so does each of several edits
    /// at the same time. A replica that edits elsewhere and sends its updates to
    /// [`Collection::merge`] chooses its own, and must choose a new one when it goes back to an older
    /// state.
    ///
    /// # Errors
    /// [`Error::Crdt`] if the edit fails: nothing was changed; otherwise as [`Collection::merge`].
    pub fn edit_crdt(
        &self,
        key: impl AsRef<[u8]>,
        edit: impl FnOnce(&loro::LoroDoc) -> loro::LoroResult<()>,
    ) -> Result<Merged, Error> {
        let key = Bytes::copy_from_slice(key.as_ref());
        let place = (self.definition.id, key.clone());
        // Taken before the document is read: what it did before is in there then.
        let known_editor = self.inner().editors.take(&place);
        let known = self.exported(&key, None)?;
        let mut document = CrdtDocument::load(known.iter())?;
        let peer = match known_editor {
            Some(editor) if document.end_of(editor.peer)? == editor.end => editor.peer,
            _ => self.new_peer()?,
        };
        let update = document.edit(peer, edit)?;
        let merged = self.merge(&key, &update)?;
        document.import(&update)?;
        let end = document.end_of(peer)?;
        self.inner().editors.put_back(place, Editor { peer, end });
        Ok(merged)
    }

    fn new_peer(&self) -> Result<u64, Error> {
        let mut peer = [0; 8];
        let random = &self.inner().env.random;
        random.fill(&mut peer).map_err(Error::io("drawing", "random bytes"))?;
        // Loro keeps the highest number for itself.
        Ok(u64::from_le_bytes(peer) >> 1)
    }

    fn check_crdt(&self) -> Result<(), Error> {
        if self.definition.kind == CollectionKind::Crdt {
            return Ok(());
        }
        Err(Error::WrongCollectionKind {
            collection: self.name().to_owned(),
            kind: self.definition.kind.name(),
            message: "merge, export and edit need a collection of CRDT documents",
        })
    }
}
