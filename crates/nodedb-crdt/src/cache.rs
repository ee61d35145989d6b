//! Live documents that were used lately.

use crate::LiveDocument;
use bytes::Bytes;
use nodedb_types::{CollectionId, Lsn, TenantId};
use std::collections::BTreeMap;

/// Which document.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CrdtKey {
    /// Whose it is.
    pub tenant: TenantId,
    /// In which collection.
    pub collection: CollectionId,
    /// Its key.
    pub key: Bytes,
}

/// The live documents of a vshard, least recently used out first.
///
/// A live document may be ahead of what is durable, never of what was logged: an owner whose append
/// fails evicts what it touched, and on poison everything touched since `durable`.
#[derive(Debug)]
pub struct CrdtCache {
    documents: BTreeMap<CrdtKey, Entry>,
    /// Order of use: tick to key.
    uses: BTreeMap<u64, CrdtKey>,
    tick: u64,
    bytes: usize,
    documents_max: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Entry {
    document: LiveDocument,
    used: u64,
    bytes: usize,
    /// Last record that changed it.
    changed: Option<Lsn>,
}

impl CrdtCache {
    /// An empty cache for at most so many documents and about so many bytes. A single document above
    /// the limit of bytes is kept, alone.
    pub const fn new(documents_max: usize, bytes_max: usize) -> Self {
        Self {
            documents: BTreeMap::new(),
            uses: BTreeMap::new(),
            tick: 0,
            bytes: 0,
            documents_max,
            bytes_max,
        }
    }

    /// A document, which counts as used now.
    pub fn get(&mut self, key: &CrdtKey) -> Option<&mut LiveDocument> {
        let entry = self.documents.get_mut(key)?;
        self.uses.remove(&entry.used);
        self.tick += 1;
        entry.used = self.tick;
        self.uses.insert(self.tick, key.clone());
        Some(&mut entry.document)
    }

    /// Puts a document in, in the place of one of that key, and lets the least recently used go.
    pub fn insert(&mut self, key: CrdtKey, document: LiveDocument) {
        self.evict(&key);
        self.tick += 1;
        let entry =
            Entry { bytes: document.estimated_bytes(), document, used: self.tick, changed: None };
        self.bytes += entry.bytes;
        self.uses.insert(self.tick, key.clone());
        self.documents.insert(key, entry);
        self.shrink();
    }

    /// Notes that a record changed a document, and how large it is now.
    pub fn changed(&mut self, key: &CrdtKey, lsn: Lsn) {
        self.weigh(key);
        if let Some(entry) = self.documents.get_mut(key) {
            entry.changed = entry.changed.max(Some(lsn));
        }
        self.shrink();
    }

    fn weigh(&mut self, key: &CrdtKey) {
        if let Some(entry) = self.documents.get_mut(key) {
            let bytes = entry.document.estimated_bytes();
            self.bytes = self.bytes - entry.bytes + bytes;
            entry.bytes = bytes;
        }
    }

    /// Notes how large a document is after a use that changed nothing: reading unfolds some, and one
    /// that was refused may have come to life for it.
    pub fn used(&mut self, key: &CrdtKey) {
        self.weigh(key);
        self.shrink();
    }

    /// Lets a document go.
    pub fn evict(&mut self, key: &CrdtKey) {
        if let Some(entry) = self.documents.remove(key) {
            self.uses.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }

    /// Lets the least recently used document go.
    pub fn evict_oldest(&mut self) {
        if let Some(oldest) = self.uses.values().next().cloned() {
            self.evict(&oldest);
        }
    }

    /// Lets every document go that a record above `durable` changed: after poison it never was.
    pub fn evict_since(&mut self, durable: Option<Lsn>) {
        let ahead = self.documents.iter();
        let ahead: Vec<_> = ahead
            .filter(|(_, entry)| entry.changed > durable)
            .map(|(key, _)| key.clone())
            .collect();
        for key in ahead {
            self.evict(&key);
        }
    }

    /// Lets the documents of a collection go.
    pub fn evict_collection(&mut self, collection: CollectionId) {
        let of_it = self.documents.keys();
        let of_it: Vec<_> = of_it.filter(|key| key.collection == collection).cloned().collect();
        for key in of_it {
            self.evict(&key);
        }
    }

    /// Lets everything go.
    pub fn clear(&mut self) {
        self.documents.clear();
        self.uses.clear();
        self.bytes = 0;
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// About how much memory they take.
    pub const fn estimated_bytes(&self) -> usize {
        self.bytes
    }

    fn shrink(&mut self) {
        let over = |cache: &Self| {
            cache.len() > cache.documents_max.max(1)
                || (cache.len() > 1 && cache.bytes > cache.bytes_max)
        };
        while over(self) {
            self.evict_oldest();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CrdtLimits;

    fn key(name: &'static str) -> CrdtKey {
        CrdtKey {
            tenant: TenantId::DEFAULT,
            collection: CollectionId::new(u32::from(name.as_bytes()[0])),
            key: Bytes::from_static(name.as_bytes()),
        }
    }

    fn held(cache: &CrdtCache) -> Vec<&str> {
        let keys = cache.documents.keys();
        keys.map(|key| str::from_utf8(&key.key).expect("text")).collect()
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = CrdtCache::new(2, usize::MAX);
        cache.insert(key("a"), LiveDocument::new());
        cache.insert(key("b"), LiveDocument::new());
        assert!(cache.get(&key("a")).is_some());
        cache.insert(key("c"), LiveDocument::new());
        assert_eq!(held(&cache), ["a", "c"]);
        cache.insert(key("c"), LiveDocument::new());
        assert_eq!((cache.len(), cache.uses.len()), (2, 2));
        cache.evict_collection(CollectionId::new(u32::from(b'a')));
        assert_eq!(held(&cache), ["c"]);
        cache.clear();
        assert!(cache.is_empty() && cache.estimated_bytes() == 0);
    }

    #[test]
    fn the_oldest_is_let_go_on_demand() {
        let mut cache = CrdtCache::new(2, usize::MAX);
        cache.insert(key("a"), LiveDocument::new());
        cache.insert(key("b"), LiveDocument::new());
        cache.evict_oldest();
        assert_eq!(held(&cache), ["b"]);
        cache.evict_oldest();
        cache.evict_oldest();
        assert!(cache.is_empty() && cache.estimated_bytes() == 0);
    }

    #[test]
    fn growth_counts_and_a_single_large_document_stays() {
        let one = LiveDocument::new().estimated_bytes();
        let mut cache = CrdtCache::new(10, 2 * one + 20_000);
        cache.insert(key("a"), LiveDocument::new());
        cache.insert(key("b"), LiveDocument::new());
        assert_eq!(cache.len(), 2);
        let document = cache.get(&key("b")).expect("held");
        let text = "x".repeat(50_000);
        let update = document.document().edit(1, |doc| doc.get_text("t").insert(0, &text));
        let update = update.expect("an edit").into();
        document.import(&update, &CrdtLimits::default()).expect("an import");
        cache.changed(&key("b"), Lsn::FIRST);
        assert_eq!(held(&cache), ["b"]);
        assert!(cache.estimated_bytes() > one);
    }

    #[test]
    fn poison_evicts_what_lies_above_durable() {
        let mut cache = CrdtCache::new(10, usize::MAX);
        for (name, lsn) in [("a", 5), ("b", 6), ("c", 7)] {
            cache.insert(key(name), LiveDocument::new());
            cache.changed(&key(name), Lsn::from_u64(lsn).expect("not 0"));
        }
        cache.insert(key("d"), LiveDocument::new());
        cache.evict_since(Lsn::from_u64(6));
        assert_eq!(held(&cache), ["a", "b", "d"]);
        cache.evict_since(None);
        assert_eq!(held(&cache), ["d"]);
    }
}
