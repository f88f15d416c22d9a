//! All file operations of the journal, as a trait, so that a test can fail, hold back, lose or rot any of them.

use std::io;
use std::path::Path;
use std::sync::Arc;

/// A file system. Paths are used as given; the journal has one flat folder.
pub trait Disk: Send + Sync + 'static {
    /// Makes the folder and those above it; no error if it exists.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Names of the files in `dir`, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// A new, empty file for reading and writing. Fails if it exists.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// For a file that must not be changed; works on a read-only file system.
    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// What others may still take of the file system that `dir` is on.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// Makes created, removed and renamed names durable.
    fn flush_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes an exclusive lock that ends with the value or the process. `WouldBlock`: another one has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;
}

/// Held while the journal is open; dropping it lets the next one in.
pub trait DiskLock: Send + Sync {}

/// An open file. Positions and lengths are in bytes.
pub trait DiskFile: Send + Sync {
    fn len(&self) -> io::Result<u64>;
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Sets `bytes` aside, so that later writes within them cannot run out of space. The length becomes at least
    /// `bytes`; what was not written reads as zero. `StorageFull` if there is no room.
    fn preallocate(&self, bytes: u64) -> io::Result<()>;
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Fills `into`, or fails.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
    /// Forgets what is cached of this stretch and was flushed, so that the next read asks the medium. Only a wish.
    fn forget_cached(&self, _offset: u64, _bytes: u64) {}
    fn truncate(&self, bytes: u64) -> io::Result<()>;
    /// On return, content and length are on stable storage.
    fn flush(&self) -> io::Result<()>;
}
