//! A store that fails on command.

use crate::store::{
    Created, Folder, Listing, ObjectKey, ObjectStore, StoreError, StoreFuture, StoreStatus,
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What goes wrong with one create.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CreateFault {
    /// It fails and nothing is stored.
    Refused,
    /// It is stored and the answer is lost.
    AnswerLost,
    /// It is reported as stored and is not.
    Vanished,
    /// It is reported as stored and only its first half is.
    Short,
    /// It is reported as stored with one bit flipped.
    Flipped,
    /// It replaces the object that is there.
    Overwritten,
}

/// A store that passes everything to another one, except what a test makes go wrong.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    faults: VecDeque<CreateFault>,
    down: bool,
    overwrites: bool,
    // What is read instead of what is stored; `None` where an object seems to be gone.
    views: BTreeMap<ObjectKey, Option<Bytes>>,
    unlisted: BTreeSet<ObjectKey>,
    creates: u64,
}

impl FaultyStore {
    /// A store over `inner` in which nothing goes wrong yet.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self { inner, state: Mutex::default() })
    }

    /// Makes the next create go wrong; several faults are used up in turn.
    pub fn fail_next_create(&self, fault: CreateFault) {
        self.state().faults.push_back(fault);
    }

    /// Makes every call fail, or none any more.
    pub fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// Makes every create replace what is there, as a service does that ignores conditions.
    pub fn ignore_conditions(&self) {
        self.state().overwrites = true;
    }

    /// Shows other bytes under a key, or nothing.
    pub fn show(&self, key: &ObjectKey, bytes: Option<Bytes>) {
        self.state().views.insert(key.clone(), bytes);
    }

    /// Shows again what is stored.
    pub fn show_all(&self) {
        let mut state = self.state();
        state.views.clear();
        state.unlisted.clear();
    }

    /// Leaves a key out of listings.
    pub fn unlist(&self, key: &ObjectKey) {
        self.state().unlisted.insert(key.clone());
    }

    /// Creates so far.
    pub fn creates(&self) -> u64 {
        self.state().creates
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_up(&self, operation: &'static str, target: &str) -> Result<(), StoreError> {
        if self.state().down { Err(failure(operation, target)) } else { Ok(()) }
    }

    async fn read(&self, key: &ObjectKey, bytes_max: u64) -> Result<Option<Bytes>, StoreError> {
        self.check_up("get", key.as_str())?;
        let view = self.state().views.get(key).cloned();
        match view {
            Some(view) => Ok(view),
            None => self.inner.get(key, bytes_max).await,
        }
    }
}

fn failure(operation: &'static str, target: &str) -> StoreError {
    StoreError::new(operation, target, StoreStatus::Temporary, "injected fault")
}

fn damaged(fault: CreateFault, bytes: &Bytes) -> Option<Bytes> {
    match fault {
        CreateFault::Short => Some(bytes.slice(..bytes.len() / 2)),
        CreateFault::Flipped => {
            let mut bytes = bytes.to_vec();
            if let Some(byte) = bytes.last_mut() {
                *byte ^= 1;
            }
            Some(bytes.into())
        }
        CreateFault::Refused
        | CreateFault::AnswerLost
        | CreateFault::Vanished
        | CreateFault::Overwritten => None,
    }
}

impl ObjectStore for FaultyStore {
    fn create<'a>(&'a self, key: &'a ObjectKey, bytes: Bytes) -> StoreFuture<'a, Created> {
        Box::pin(async move {
            self.check_up("create", key.as_str())?;
            let fault = {
                let mut state = self.state();
                state.creates += 1;
                let overwrites = state.overwrites.then_some(CreateFault::Overwritten);
                state.faults.pop_front().or(overwrites)
            };
            match fault {
                None => self.inner.create(key, bytes).await,
                Some(CreateFault::Refused) => Err(failure("create", key.as_str())),
                Some(CreateFault::AnswerLost) => {
                    self.inner.create(key, bytes).await?;
                    Err(failure("create", key.as_str()))
                }
                Some(CreateFault::Vanished) => Ok(Created::New),
                Some(fault @ (CreateFault::Short | CreateFault::Flipped)) => {
                    let bytes = damaged(fault, &bytes).unwrap_or(bytes);
                    self.inner.create(key, bytes).await
                }
                Some(CreateFault::Overwritten) => {
                    self.inner.create(key, bytes.clone()).await?;
                    self.show(key, Some(bytes));
                    Ok(Created::New)
                }
            }
        })
    }

    fn get<'a>(&'a self, key: &'a ObjectKey, bytes_max: u64) -> StoreFuture<'a, Option<Bytes>> {
        Box::pin(self.read(key, bytes_max))
    }

    fn get_range<'a>(
        &'a self,
        key: &'a ObjectKey,
        offset: u64,
        len: u64,
    ) -> StoreFuture<'a, Option<Bytes>> {
        Box::pin(async move {
            let Some(bytes) = self.read(key, u64::MAX - 1).await? else {
                return Ok(None);
            };
            let position = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            Ok(Some(bytes.slice(position(offset)..position(offset.saturating_add(len)))))
        })
    }

    fn stat<'a>(&'a self, key: &'a ObjectKey) -> StoreFuture<'a, Option<u64>> {
        Box::pin(async move {
            self.check_up("stat", key.as_str())?;
            let view = self.state().views.get(key).cloned();
            match view {
                Some(view) => Ok(view.map(|bytes| bytes.len() as u64)),
                None => self.inner.stat(key).await,
            }
        })
    }

    fn list<'a>(&'a self, folder: &'a Folder) -> StoreFuture<'a, Listing> {
        Box::pin(async move {
            self.check_up("list", folder.as_str())?;
            let mut listing = self.inner.list(folder).await?;
            let state = self.state();
            listing.objects.retain(|name| {
                let key = folder.object(name);
                !state.unlisted.contains(&key) && !matches!(state.views.get(&key), Some(None))
            });
            Ok(listing)
        })
    }
}
