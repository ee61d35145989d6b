//! Base images: hard links of the engines' immutable files, uploaded part by part.

use super::{ArchivePosition, Archiver};
use crate::{Error, directory::exists};
use bytes::Bytes;
use nodedb_bridge::Priority;
use nodedb_cold::{Archive, BaseFile, BaseFloor, BaseManifest, BasePath, PART_BYTES_MAX};
use nodedb_data::{DataHandle, Image, Op, Outcome};
use nodedb_env::{Env, Files, Open};
use nodedb_types::{Incarnation, Lsn, Name, TenantId, VshardId};
use nodedb_wal::Wal;
use std::{path::PathBuf, sync::Arc, time::Duration};

/// One base image on its way into the archive.
#[derive(Debug)]
pub(crate) struct BaseUpload<'a> {
    pub(crate) env: &'a Env,
    pub(crate) wal: &'a Wal,
    pub(crate) data: &'a DataHandle,
    pub(crate) archiver: &'a Archiver,
    pub(crate) position: &'a Arc<ArchivePosition>,
    pub(crate) incarnation: Incarnation,
    pub(crate) vshards: u16,
    /// Where the links are made; removed afterwards.
    pub(crate) scratch: PathBuf,
    /// Clock time by which every vshard has linked its files.
    pub(crate) deadline: Duration,
}

impl BaseUpload<'_> {
    /// Links, uploads, waits for the log up to the ceiling, completes. Answers the ceiling.
    ///
    /// The log from the image's redo position is pinned until the base is complete: until then no
    /// restore could do without it.
    pub(crate) async fn run(self) -> Result<Lsn, Error> {
        let archive = self.archiver.reach().await?;
        let files = &*self.env.files;
        self.clear(files)?;
        files.create_dir(&self.scratch).map_err(Error::io("creating", &self.scratch))?;
        let _pin = self.wal.pin("base image", self.wal.control().redo);
        let result = self.upload(&archive).await;
        self.clear(files)?;
        result
    }

    fn clear(&self, files: &dyn Files) -> Result<(), Error> {
        if exists(files, &self.scratch)? {
            files.remove_dir_all(&self.scratch).map_err(Error::io("removing", &self.scratch))?;
        }
        Ok(())
    }

    async fn upload(&self, archive: &Archive) -> Result<Lsn, Error> {
        let images = self.link().await?;
        let mut base_files = Vec::new();
        for (vshard, image) in &images {
            for relative in &image.files {
                base_files.push(self.upload_file(archive, *vshard, relative).await?);
            }
        }
        let manifest = self.manifest(archive, &images, base_files)?;
        let ceiling = manifest.ceiling_lsn;
        self.position.want(ceiling);
        self.position.reached(ceiling).await;
        archive.complete_base(&manifest, self.position.persisted()).await?;
        Ok(ceiling)
    }

    async fn link(&self) -> Result<Vec<(VshardId, Image)>, Error> {
        let mut asked = Vec::new();
        for vshard in (0..self.vshards).map(VshardId::new) {
            let into = self.scratch.join(vshard_dir(vshard));
            let op = Op::Image { into };
            let ticket = self.data.send(
                TenantId::SYSTEM,
                vshard,
                op,
                self.deadline,
                Priority::Background,
            )?;
            asked.push((vshard, ticket));
        }
        let mut images = Vec::new();
        for (vshard, ticket) in asked {
            let Outcome::Image(image) = ticket.await.or(Err(Error::Timeout))?? else {
                return Err(Error::mismatched("base image"));
            };
            images.push((vshard, image));
        }
        Ok(images)
    }

    async fn upload_file(
        &self,
        archive: &Archive,
        vshard: VshardId,
        relative: &std::path::Path,
    ) -> Result<BaseFile, Error> {
        let path = self.scratch.join(vshard_dir(vshard)).join(relative);
        let file = self.env.files.open(&path, Open::Read).map_err(Error::io("opening", &path))?;
        let len = file.len().map_err(Error::io("measuring", &path))?;
        let mut parts = Vec::new();
        let mut at = 0;
        while at < len {
            let count = (len - at).min(u64::from(PART_BYTES_MAX));
            let mut part = vec![0; usize::try_from(count).unwrap_or(0)];
            file.read_exact_at(&mut part, at).map_err(Error::io("reading", &path))?;
            parts.push(archive.upload_part(Bytes::from(part)).await?);
            at += count;
        }
        let name = format!("vshards/{}/{}", vshard_dir(vshard), relative.display());
        let path = BasePath::new(&name).map_err(|error| Error::internal(error.to_string()))?;
        Ok(BaseFile { path, parts })
    }

    fn manifest(
        &self,
        archive: &Archive,
        images: &[(VshardId, Image)],
        files: Vec<BaseFile>,
    ) -> Result<BaseManifest, Error> {
        let mut floors = Vec::new();
        let mut ceiling = None;
        for (vshard, image) in images {
            ceiling = ceiling.max(image.ceiling);
            for (engine, floor) in image.floors {
                ceiling = ceiling.max(floor.effective());
                floors.push(BaseFloor {
                    vshard: *vshard,
                    engine: Name::new(engine.name())?,
                    proven: floor.own(),
                    effective: floor.effective(),
                });
            }
        }
        let lowest = floors.iter().map(|floor| floor.effective).min().flatten();
        // The files may hold one vshard's part of an atomic group and not yet another's. The durable
        // position lies at a group's end and at or above every record in the files, so a target that
        // the base serves never cuts a group that the base has a part of.
        let durable = self.wal.durable();
        let ceiling_lsn = durable.ok_or_else(|| Error::internal("an empty log has no base"))?;
        assert!(ceiling <= durable, "WAL before data: files hold only durable records");
        Ok(BaseManifest {
            database_id: archive.writer().database_id,
            incarnation: self.incarnation,
            writer_epoch: archive.writer().writer_epoch,
            redo_lsn: Lsn::after(lowest),
            ceiling_lsn,
            log_epoch: self.wal.epoch(),
            commit_ms: self.wal.commit_time_ms(),
            vshards: self.vshards,
            segment_bytes: self.wal.control().segment_bytes,
            counters: Bytes::new(),
            floors,
            files,
        })
    }
}

/// Name of a vshard's directory.
pub(crate) fn vshard_dir(vshard: VshardId) -> String {
    format!("{:04}", vshard.get())
}
