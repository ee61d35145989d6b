//! Updates that made loro fail.

use crate::CrdtKey;
use bytes::Bytes;
use std::{collections::VecDeque, time::Duration};
use xxhash_rust::xxh3::xxh3_128;

/// Most updates that are kept aside; beyond it the oldest is forgotten.
const UPDATES_MAX: usize = 64;
/// Most bytes of them that are kept; beyond it the oldest are kept by their digest only.
const BYTES_MAX: usize = 32 << 20;

/// An update that made loro fail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quarantined {
    /// The document it was sent to.
    pub key: CrdtKey,
    /// XXH3-128 of the update.
    pub digest: u128,
    /// Its size.
    pub bytes: usize,
    /// What the library said.
    pub reason: String,
    /// When it came, in milliseconds since 1970.
    pub unix_ms: u64,
    /// The update itself, for whoever looks into it; `None` once newer ones took its room.
    pub update: Option<Bytes>,
}

/// Updates that made loro fail, kept aside in memory: none of them was logged.
///
/// A restart forgets them. That loses nothing: whoever sent one was told and still has it, a restart may
/// bring a loro that takes it, and one that is sent again is kept aside again. At most 64 updates are
/// known, and 32 MiB of them are kept in full; beyond it the oldest go first.
#[derive(Debug, Default)]
pub struct Quarantine {
    /// The oldest first.
    updates: VecDeque<Quarantined>,
    bytes: usize,
    /// Documents whose updates are not imported together any more, the oldest first.
    alone: VecDeque<CrdtKey>,
}

impl Quarantine {
    /// The digest under which an update is kept aside for a document, if it is.
    pub fn holds(&self, key: &CrdtKey, update: &[u8]) -> Option<u128> {
        if self.updates.iter().all(|held| held.bytes != update.len() || held.key != *key) {
            return None;
        }
        let digest = xxh3_128(update);
        let held = |held: &&Quarantined| held.digest == digest && held.key == *key;
        self.updates.iter().find(held).map(|held| held.digest)
    }

    /// Keeps an update aside. `now` is the time since 1970.
    pub fn add(&mut self, key: CrdtKey, update: Bytes, reason: String, now: Duration) {
        let digest = xxh3_128(&update);
        let bytes = update.len();
        let unix_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let update = Some(update);
        self.updates.push_back(Quarantined { key, digest, bytes, reason, unix_ms, update });
        self.bytes += bytes;
        while self.updates.len() > UPDATES_MAX {
            let oldest = self.updates.pop_front();
            self.bytes -= oldest.and_then(|held| held.update).map_or(0, |update| update.len());
        }
        for held in &mut self.updates {
            if self.bytes <= BYTES_MAX {
                break;
            }
            self.bytes -= held.update.take().map_or(0, |update| update.len());
        }
    }

    /// Notes that updates which came together made loro fail. It does not tell which of them, and maybe none
    /// does alone: a document that failed is never freed, so from now on each is imported alone there. At most
    /// 64 documents are remembered.
    pub fn keep_alone(&mut self, key: CrdtKey) {
        if self.is_kept_alone(&key) {
            return;
        }
        if self.alone.len() == UPDATES_MAX {
            self.alone.pop_front();
        }
        self.alone.push_back(key);
    }

    /// Whether updates of a document are imported one by one.
    pub fn is_kept_alone(&self, key: &CrdtKey) -> bool {
        self.alone.contains(key)
    }

    /// All of them, the oldest first.
    pub fn list(&self) -> Vec<Quarantined> {
        self.updates.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodedb_types::{CollectionId, TenantId};

    fn key(name: &'static str) -> CrdtKey {
        let (tenant, collection) = (TenantId::DEFAULT, CollectionId::new(1));
        CrdtKey { tenant, collection, key: Bytes::from_static(name.as_bytes()) }
    }

    fn add(quarantine: &mut Quarantine, update: Bytes) {
        let now = Duration::from_secs(7);
        quarantine.add(key("a"), update, "it failed".to_owned(), now);
    }

    #[test]
    fn an_update_is_known_again_for_its_document_only() {
        let mut quarantine = Quarantine::default();
        add(&mut quarantine, Bytes::from_static(b"bad"));
        let digest = quarantine.holds(&key("a"), b"bad");
        let [held] = &quarantine.list()[..] else { panic!("one") };
        assert_eq!((Some(held.digest), held.bytes, held.unix_ms), (digest, 3, 7000));
        assert_eq!(quarantine.holds(&key("b"), b"bad"), None);
        assert_eq!(quarantine.holds(&key("a"), b"bat"), None);
    }

    #[test]
    fn documents_whose_updates_failed_together_are_remembered_up_to_the_limit() {
        let mut quarantine = Quarantine::default();
        let numbered = |number: usize| CrdtKey { key: number.to_string().into(), ..key("a") };
        for number in 0..=UPDATES_MAX {
            quarantine.keep_alone(numbered(number));
            quarantine.keep_alone(numbered(number));
        }
        assert_eq!(quarantine.alone.len(), UPDATES_MAX);
        assert!(!quarantine.is_kept_alone(&numbered(0)), "the oldest was forgotten");
        assert!(quarantine.is_kept_alone(&numbered(1)));
    }

    #[test]
    fn the_oldest_go_beyond_the_limits() {
        let mut quarantine = Quarantine::default();
        for number in 0..=UPDATES_MAX {
            add(&mut quarantine, number.to_string().into());
        }
        assert_eq!(quarantine.list().len(), UPDATES_MAX);
        assert_eq!(quarantine.holds(&key("a"), b"0"), None);
        assert!(quarantine.holds(&key("a"), b"1").is_some());
        for byte in [1, 2, 3] {
            add(&mut quarantine, vec![byte; BYTES_MAX / 2].into());
        }
        let held = quarantine.list();
        assert!(held[..UPDATES_MAX - 2].iter().all(|held| held.update.is_none()));
        assert!(held[UPDATES_MAX - 2..].iter().all(|held| held.update.is_some()));
        assert_eq!(quarantine.bytes, BYTES_MAX);
        assert!(quarantine.holds(&key("a"), &vec![1; BYTES_MAX / 2]).is_some(), "by its digest");
    }
}
