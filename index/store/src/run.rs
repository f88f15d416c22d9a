//! A run's file: sections of many accounts one after the other, a directory of them, a footer. Written once, never changed.

use crate::error::IndexError;
use crate::limits::READ_BYTES_MAX;
use crate::section::{Built, SectionHead};
use crate::wire::{seal, unseal};
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"GoSrch\r\n";
const FORMAT: u32 = 1;
const HEAD_BYTES: u64 = 16;
const ENTRY_BYTES: u64 = 40;
/// Directory's place, accounts, directory's CRC, messages, text bytes, magic, CRC.
const FOOTER_BYTES: u64 = 8 + 8 + 4 + 8 + 8 + 8 + 4;

/// A run's number, which is its file's name; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Magic, format, zeros.
fn head_octets() -> [u8; HEAD_BYTES as usize] {
    let mut head = [0; HEAD_BYTES as usize];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    head
}

pub fn path(folder: &Path, run: RunId) -> PathBuf {
    folder.join(format!("{run}.run"))
}

/// Where a section lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub account: u64,
    pub at: u64,
    /// Without its head, which follows.
    pub bytes: u64,
    pub head_bytes: u64,
    pub messages: u64,
}

impl Entry {
    fn encode(&self, out: &mut Vec<u8>) {
        for number in [
            self.account,
            self.at,
            self.bytes,
            self.head_bytes,
            self.messages,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn decode(octets: &[u8]) -> Self {
        let number = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&octets[at * 8..at * 8 + 8]);
            u64::from_le_bytes(eight)
        };
        Self {
            account: number(0),
            at: number(1),
            bytes: number(2),
            head_bytes: number(3),
            messages: number(4),
        }
    }
}

#[derive(Debug)]
pub struct Run {
    pub id: RunId,
    pub messages: u64,
    pub text_bytes: u64,
    pub file_bytes: u64,
    file: File,
    directory_at: u64,
    accounts: u64,
}

impl Run {
    /// Checks footer and directory. A file that is not what was written is damaged, as one that is not there.
    pub fn open(folder: &Path, id: RunId) -> Result<Self, IndexError> {
        let damaged = |what| IndexError::Damaged { run: id, what };
        let file = match File::open(path(folder, id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(damaged("no file"));
            }
            file => file?,
        };
        let file_bytes = file.metadata()?.len();
        let footer_at = file_bytes.checked_sub(FOOTER_BYTES);
        let footer_at = footer_at
            .filter(|at| *at >= HEAD_BYTES)
            .ok_or(damaged("too short"))?;
        let mut head = [0; HEAD_BYTES as usize];
        file.read_exact_at(&mut head, 0)?;
        if head != head_octets() {
            return Err(damaged("the head, or another format"));
        }
        let mut footer = [0; FOOTER_BYTES as usize];
        file.read_exact_at(&mut footer, footer_at)?;
        let footer = unseal(&footer).ok_or(damaged("the footer"))?;
        let number = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&footer[at..at + 8]);
            u64::from_le_bytes(eight)
        };
        let run = Self {
            id,
            directory_at: number(0),
            accounts: number(8),
            messages: number(20),
            text_bytes: number(28),
            file_bytes,
            file,
        };
        let directory = run.accounts.checked_mul(ENTRY_BYTES);
        if directory.and_then(|bytes| bytes.checked_add(run.directory_at)) != Some(footer_at) {
            return Err(damaged("the footer"));
        }
        if &footer[36..44] != MAGIC || run.directory_crc()?.to_le_bytes() != footer[16..20] {
            return Err(damaged("the directory"));
        }
        Ok(run)
    }

    fn directory_crc(&self) -> Result<u32, IndexError> {
        let mut hasher = crc32fast::Hasher::new();
        let mut left = self.accounts * ENTRY_BYTES;
        let mut at = self.directory_at;
        while left > 0 {
            let bytes = left.min(READ_BYTES_MAX);
            hasher.update(&self.read(at, bytes)?);
            at += bytes;
            left -= bytes;
        }
        Ok(hasher.finalize())
    }

    pub fn damaged(&self, what: &'static str) -> IndexError {
        IndexError::Damaged { run: self.id, what }
    }

    /// A place beyond the file is damage: lengths come from the file.
    pub fn read(&self, at: u64, bytes: u64) -> Result<Vec<u8>, IndexError> {
        let mut octets = Vec::new();
        self.read_into(at, bytes, &mut octets)?;
        Ok(octets)
    }

    pub fn read_into(&self, at: u64, bytes: u64, into: &mut Vec<u8>) -> Result<(), IndexError> {
        let end = at.checked_add(bytes).filter(|end| *end <= self.file_bytes);
        if end.is_none() {
            return Err(self.damaged("a place beyond its end"));
        }
        into.resize(bytes as usize, 0);
        self.file.read_exact_at(into, at)?;
        Ok(())
    }

    fn entry(&self, number: u64) -> Result<Entry, IndexError> {
        let octets = self.read(self.directory_at + number * ENTRY_BYTES, ENTRY_BYTES)?;
        Ok(Entry::decode(&octets))
    }

    /// The account's section, if it has one. By bisection on disk: nothing of an account is kept in memory.
    pub fn find(&self, account: u64) -> Result<Option<Entry>, IndexError> {
        let (mut low, mut high) = (0, self.accounts);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.entry(middle)?;
            match entry.account.cmp(&account) {
                std::cmp::Ordering::Equal => return Ok(Some(entry)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    /// All sections in order of their accounts, read piecewise.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry, IndexError>> {
        (0..self.accounts).map(|number| self.entry(number))
    }

    pub fn section_head(&self, entry: &Entry) -> Result<SectionHead, IndexError> {
        let at = entry
            .at
            .checked_add(entry.bytes)
            .ok_or(self.damaged("the directory"))?;
        let octets = self.read(at, entry.head_bytes)?;
        let head = SectionHead::decode(&octets).ok_or(self.damaged("a section's head"))?;
        let fits = head.account == entry.account && head.content_bytes() == entry.bytes;
        fits.then_some(head).ok_or(self.damaged("a section's head"))
    }
}

/// Writes a run; it is there once `finish` has flushed file and folder.
pub struct RunWriter {
    folder: PathBuf,
    out: BufWriter<File>,
    at: u64,
    directory: Vec<u8>,
    accounts: u64,
    messages: u64,
    text_bytes: u64,
}

impl RunWriter {
    pub fn create(folder: &Path, id: RunId) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path(folder, id))?);
        out.write_all(&head_octets())?;
        Ok(Self {
            folder: folder.to_owned(),
            out,
            at: HEAD_BYTES,
            directory: Vec::new(),
            accounts: 0,
            messages: 0,
            text_bytes: 0,
        })
    }

    /// Accounts ascend.
    pub fn section(&mut self, built: &Built) -> io::Result<()> {
        self.raw_section(&built.head, &built.content, &built.head.encode())
    }

    fn raw_section(
        &mut self,
        head: &SectionHead,
        content: &[u8],
        head_blob: &[u8],
    ) -> io::Result<()> {
        let entry = Entry {
            account: head.account,
            at: self.at,
            bytes: content.len() as u64,
            head_bytes: head_blob.len() as u64,
            messages: u64::from(head.messages),
        };
        entry.encode(&mut self.directory);
        self.out.write_all(content)?;
        self.out.write_all(head_blob)?;
        self.at += entry.bytes + entry.head_bytes;
        self.accounts += 1;
        self.messages += entry.messages;
        self.text_bytes += head.text_bytes;
        Ok(())
    }

    /// A section of another run as it is.
    pub fn copy(
        &mut self,
        from: &Run,
        entry: &Entry,
        head: &SectionHead,
    ) -> Result<(), IndexError> {
        let all = from.read(entry.at, entry.bytes + entry.head_bytes)?;
        let (content, head_blob) = all.split_at(entry.bytes as usize);
        Ok(self.raw_section(head, content, head_blob)?)
    }

    pub fn accounts(&self) -> u64 {
        self.accounts
    }

    pub fn finish(mut self) -> io::Result<()> {
        self.out.write_all(&self.directory)?;
        let mut footer = Vec::new();
        footer.extend_from_slice(&self.at.to_le_bytes());
        footer.extend_from_slice(&self.accounts.to_le_bytes());
        footer.extend_from_slice(&crc32fast::hash(&self.directory).to_le_bytes());
        footer.extend_from_slice(&self.messages.to_le_bytes());
        footer.extend_from_slice(&self.text_bytes.to_le_bytes());
        footer.extend_from_slice(MAGIC);
        seal(&mut footer, 0);
        self.out.write_all(&footer)?;
        self.out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()?;
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }
}
