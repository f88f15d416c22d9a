//! Inodes, open files and attributes: those of the folder behind.

use super::pages::{Store, locked};
use fuser::{FileAttr, FileHandle, FileType, INodeNo};
use rustix::fs::{FallocateFlags, fallocate};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{ErrorKind, Result};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

/// Only the node changes its files: the kernel may believe what it knows.
pub const TTL: Duration = Duration::from_secs(1);

const ROOT: u64 = 1;

pub struct PowerFs {
    pub(super) store: Arc<Store>,
    pub(super) handles: Mutex<HashMap<u64, Arc<File>>>,
    next_handle: AtomicU64,
}

impl PowerFs {
    pub fn new(store: Arc<Store>) -> PowerFs {
        PowerFs {
            store,
            handles: Mutex::default(),
            next_handle: AtomicU64::new(1),
        }
    }

    pub(super) fn path(&self, inode: INodeNo) -> Result<PathBuf> {
        match inode.0 {
            ROOT => Ok(self.store.root.clone()),
            inode => locked(&self.store.paths)
                .get(&inode)
                .cloned()
                .ok_or(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn child(&self, parent: INodeNo, name: &OsStr) -> Result<PathBuf> {
        Ok(self.path(parent)?.join(name))
    }

    pub(super) fn attributes(&self, path: PathBuf) -> Result<FileAttr> {
        let meta = fs::symlink_metadata(&path)?;
        if path == self.store.root {
            return Ok(attributes(&meta, ROOT));
        }
        locked(&self.store.paths).insert(meta.ino(), path);
        Ok(attributes(&meta, meta.ino()))
    }

    pub(super) fn handle(&self, file: File) -> FileHandle {
        let handle = self.next_handle.fetch_add(1, Ordering::SeqCst);
        locked(&self.handles).insert(handle, Arc::new(file));
        FileHandle(handle)
    }

    pub(super) fn file(&self, handle: FileHandle) -> Result<Arc<File>> {
        let file = locked(&self.handles).get(&handle.0).cloned();
        file.ok_or(ErrorKind::NotFound.into())
    }

    pub(super) fn open_path(&self, path: &PathBuf) -> Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }

    /// A file that loses its last name has nothing to lose.
    pub(super) fn remove(&self, parent: INodeNo, name: &OsStr) -> Result<()> {
        let path = self.child(parent, name)?;
        let inode = fs::symlink_metadata(&path)?.ino();
        fs::remove_file(&path)?;
        self.store.forget(inode);
        Ok(())
    }

    pub(super) fn rename_path(&self, from: PathBuf, to: PathBuf) -> Result<()> {
        let replaced = fs::symlink_metadata(&to).ok().map(|meta| meta.ino());
        fs::rename(&from, &to)?;
        if let Some(inode) = replaced {
            self.store.forget(inode);
        }
        for path in locked(&self.store.paths).values_mut() {
            if let Ok(rest) = path.strip_prefix(&from) {
                *path = match rest.as_os_str().is_empty() {
                    true => to.clone(),
                    false => to.join(rest),
                };
            }
        }
        Ok(())
    }

    pub(super) fn set(
        &self,
        path: PathBuf,
        mode: Option<u32>,
        size: Option<u64>,
    ) -> Result<FileAttr> {
        if let Some(mode) = mode {
            fs::set_permissions(&path, Permissions::from_mode(mode & 0o7777))?;
        }
        if let Some(size) = size {
            self.store.set_length(&self.open_path(&path)?, size)?;
        }
        self.attributes(path)
    }

    pub(super) fn list(&self, inode: INodeNo) -> Result<Vec<(u64, FileType, std::ffi::OsString)>> {
        let mut rows = vec![
            (inode.0, FileType::Directory, ".".into()),
            (ROOT, FileType::Directory, "..".into()),
        ];
        for entry in fs::read_dir(self.path(inode)?)? {
            let entry = entry?;
            let kind = if entry.file_type()?.is_dir() {
                FileType::Directory
            } else {
                FileType::RegularFile
            };
            rows.push((
                fs::symlink_metadata(entry.path())?.ino(),
                kind,
                entry.file_name(),
            ));
        }
        Ok(rows)
    }

    pub(super) fn allocate(
        &self,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
    ) -> Result<()> {
        let file = self.file(handle)?;
        let flags = FallocateFlags::from_bits_retain(mode as u32);
        let change = || Ok(fallocate(&*file, flags, offset, length)?);
        self.store.allocate(&file, offset, offset + length, change)
    }
}

pub fn attributes(meta: &Metadata, inode: u64) -> FileAttr {
    let time = |seconds: i64| UNIX_EPOCH + Duration::from_secs(seconds.max(0) as u64);
    FileAttr {
        ino: INodeNo(inode),
        size: meta.len(),
        blocks: meta.blocks(),
        atime: time(meta.atime()),
        mtime: time(meta.mtime()),
        ctime: time(meta.ctime()),
        crtime: UNIX_EPOCH,
        kind: if meta.is_dir() {
            FileType::Directory
        } else {
            FileType::RegularFile
        },
        perm: (meta.mode() & 0o7777) as u16,
        nlink: meta.nlink() as u32,
        uid: meta.uid(),
        gid: meta.gid(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}
