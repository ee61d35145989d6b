//! A mapped writer, only to be measured: the log writes by position. The one bench with `unsafe`.

#![expect(
    unsafe_code,
    reason = "a file mapping that is written to cannot be made without it; the argument stands at the one call"
)]

use crate::ways::{FILE_BYTES, Way, written_file};
use anyhow::{Context, Result};
use memmap2::{MmapMut, MmapOptions};
use nodedb_env::{Env, File};
use std::{path::Path, sync::Arc};

/// Which call makes the stores durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MapSync {
    /// `msync` of the pages that were stored to.
    Msync,
    /// `fdatasync` of the file.
    Fdatasync,
}

/// Stores into a shared map of blocks that were written before.
#[derive(Debug)]
pub(crate) struct Mapped {
    file: Arc<dyn File>,
    map: MmapMut,
    sync: MapSync,
}

impl Mapped {
    pub(crate) fn create(env: &Env, dir: &Path, sync: MapSync) -> Result<Self> {
        let name = if sync == MapSync::Msync { "map-msync" } else { "map-fdatasync" };
        let file = written_file(env, &dir.join(name))?;
        let fd = file.as_fd().context("a real file")?;
        // SAFETY: the file was just created in a temporary directory of this run, is as long as the map,
        // and nobody else opens, shortens or writes it while the map lives: `file` stays private to this
        // value and is only synced. So no byte changes behind the slice, and none of its pages vanishes.
        let map = unsafe { MmapOptions::new().len(FILE_BYTES).map_mut(&fd)? };
        Ok(Self { file, map, sync })
    }
}

impl Way for Mapped {
    fn name(&self) -> &'static str {
        match self.sync {
            MapSync::Msync => "map+msync",
            MapSync::Fdatasync => "map+fdatasync",
        }
    }

    fn write_synced(&mut self, bytes: &[u8], offset: usize) -> Result<()> {
        let place = self.map.get_mut(offset..offset + bytes.len()).context("within the file")?;
        place.copy_from_slice(bytes);
        match self.sync {
            MapSync::Msync => self.map.flush_range(offset, bytes.len())?,
            MapSync::Fdatasync => self.file.sync_data()?,
        }
        Ok(())
    }
}
