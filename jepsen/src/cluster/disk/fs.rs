//! The file system's operations, passed on to the folder behind.

use super::behind::{PowerFs, TTL, attributes};
use super::pages::locked;
use fuser::{
    AccessFlags, BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::statvfs;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

fn errno(error: Error) -> Errno {
    match error.raw_os_error() {
        Some(number) => Errno::from_i32(number),
        None if error.kind() == ErrorKind::NotFound => Errno::ENOENT,
        None => Errno::EIO,
    }
}

fn answer(reply: ReplyEmpty, done: Result<()>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(error)),
    }
}

fn enter(reply: ReplyEntry, found: Result<FileAttr>) {
    match found {
        Ok(attr) => reply.entry(&TTL, &attr, Generation(0)),
        Err(error) => reply.error(errno(error)),
    }
}

fn describe(reply: ReplyAttr, found: Result<FileAttr>) {
    match found {
        Ok(attr) => reply.attr(&TTL, &attr),
        Err(error) => reply.error(errno(error)),
    }
}

impl Filesystem for PowerFs {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        enter(
            reply,
            self.child(parent, name)
                .and_then(|path| self.attributes(path)),
        );
    }

    fn getattr(&self, _: &Request, inode: INodeNo, handle: Option<FileHandle>, reply: ReplyAttr) {
        let open = handle.and_then(|handle| self.file(handle).ok());
        describe(
            reply,
            match open {
                Some(file) => file.metadata().map(|meta| attributes(&meta, inode.0)),
                None => self.path(inode).and_then(|path| self.attributes(path)),
            },
        );
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        describe(
            reply,
            self.path(inode).and_then(|path| self.set(path, mode, size)),
        );
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        enter(
            reply,
            self.child(parent, name).and_then(|path| {
                fs::create_dir(&path)?;
                self.set(path, Some(mode & !umask), None)
            }),
        );
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.remove(parent, name));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.child(parent, name).and_then(fs::remove_dir));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let paths = self
            .child(parent, name)
            .and_then(|from| Ok((from, self.child(new_parent, new_name)?)));
        answer(
            reply,
            paths.and_then(|(from, to)| self.rename_path(from, to)),
        );
    }

    fn link(
        &self,
        _: &Request,
        inode: INodeNo,
        new_parent: INodeNo,
        new_name: &OsStr,
        reply: ReplyEntry,
    ) {
        enter(
            reply,
            self.child(new_parent, new_name).and_then(|to| {
                fs::hard_link(self.path(inode)?, &to)?;
                self.attributes(to)
            }),
        );
    }

    fn open(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.path(inode).and_then(|path| self.open_path(&path)) {
            Ok(file) => reply.opened(self.handle(file), FopenFlags::empty()),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let made = self.child(parent, name).and_then(|path| {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)?;
            Ok((file, self.set(path, Some(mode & !umask), None)?))
        });
        match made {
            Ok((file, attr)) => {
                let handle = self.handle(file);
                reply.created(&TTL, &attr, Generation(0), handle, FopenFlags::empty());
            }
            Err(error) => reply.error(errno(error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut buffer = vec![0; size as usize];
        match self
            .file(handle)
            .and_then(|file| file.read_at(&mut buffer, offset))
        {
            Ok(count) => reply.data(&buffer[..count]),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self
            .file(handle)
            .and_then(|file| self.store.write(&file, offset, data))
        {
            Ok(()) => reply.written(data.len() as u32),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        locked(&self.handles).remove(&handle.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(
            reply,
            self.file(handle).and_then(|file| self.store.flush(&file)),
        );
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn readdir(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        match self.list(inode) {
            Err(error) => reply.error(errno(error)),
            Ok(rows) => {
                for (at, (inode, kind, name)) in rows.into_iter().enumerate().skip(offset as usize)
                {
                    if reply.add(INodeNo(inode), at as u64 + 1, kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        match statvfs(&self.store.root) {
            Ok(of) => {
                let (size, names) = (of.f_bsize as u32, of.f_namemax as u32);
                let frame = of.f_frsize as u32;
                reply.statfs(
                    of.f_blocks,
                    of.f_bfree,
                    of.f_bavail,
                    of.f_files,
                    of.f_ffree,
                    size,
                    names,
                    frame,
                );
            }
            Err(error) => reply.error(errno(error.into())),
        }
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        answer(reply, self.allocate(handle, offset, length, mode));
    }
}
