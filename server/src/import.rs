//! `gotthard import`: Maildir, mbox files and folders of `.eml`, one request a message, with a progress bar.
//! What it skipped and why is said at the end; Ctrl-C leaves what was imported, and says how to go on.

use crate::cli::Import;
use crate::client::{Client, encode};
use crate::print::say;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Where one message comes from.
struct Source {
    path: PathBuf,
    mailbox: String,
    /// IMAP flags separated by blanks.
    flags: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Message,
    Mbox,
}

pub fn run(args: &Import) -> Result<()> {
    let client = Client::new(&args.server)?;
    let mut sources = Vec::new();
    for path in &args.paths {
        collect(path, &args.mailbox, &mut sources)?;
    }
    if sources.is_empty() {
        bail!("no messages found: give a Maildir, an mbox file, or a folder of .eml files");
    }
    let bar = ProgressBar::new(sources.len() as u64);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {pos}/{len} files  {per_sec}  {eta} left  {msg}")
    {
        bar.set_style(style);
    }
    let mut imported = 0u64;
    let mut skipped: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for source in &sources {
        match import_source(&client, &args.account, source) {
            Ok(count) => imported += count,
            Err(error) => skipped
                .entry(format!("{error:#}"))
                .or_default()
                .push(source.path.clone()),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if args.server.json {
        let skipped: Vec<_> = skipped
            .iter()
            .map(|(why, paths)| json!({ "why": why, "paths": paths }))
            .collect();
        say!("{}", json!({ "imported": imported, "skipped": skipped }));
    } else {
        say!("{imported} messages imported");
        for (why, paths) in &skipped {
            say!("skipped {} because: {why}", paths.len());
            for path in paths.iter().take(5) {
                say!("  {}", path.display());
            }
        }
    }
    if skipped.is_empty() {
        Ok(())
    } else {
        bail!("some files were skipped")
    }
}

/// A folder with `cur` is a Maildir (Maildir++ subfolders begin with a dot); other folders hold `.eml` files.
fn collect(path: &Path, mailbox: &str, out: &mut Vec<Source>) -> Result<()> {
    let meta = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if meta.is_file() {
        let head = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let kind = if head.starts_with(b"From ") {
            Kind::Mbox
        } else {
            Kind::Message
        };
        out.push(Source {
            path: path.to_owned(),
            mailbox: mailbox.to_owned(),
            flags: String::new(),
            kind,
        });
        return Ok(());
    }
    if path.join("cur").is_dir() {
        for sub in ["new", "cur"] {
            for file in sorted(&path.join(sub))? {
                let flags = maildir_flags(&file);
                out.push(Source {
                    path: file,
                    mailbox: mailbox.to_owned(),
                    flags,
                    kind: Kind::Message,
                });
            }
        }
        for folder in sorted(path)? {
            let name = folder
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or("")
                .to_owned();
            if let Some(rest) = name.strip_prefix('.')
                && folder.join("cur").is_dir()
            {
                collect(&folder, &rest.replace('.', "/"), out)?;
            }
        }
        return Ok(());
    }
    for entry in sorted(path)? {
        if entry.is_dir() {
            let name = entry.file_name().and_then(|n| n.to_str()).unwrap_or("");
            collect(&entry, name, out)?;
        } else if entry.extension().is_some_and(|e| e == "eml") {
            out.push(Source {
                path: entry,
                mailbox: mailbox.to_owned(),
                flags: String::new(),
                kind: Kind::Message,
            });
        }
    }
    Ok(())
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    match fs::read_dir(folder) {
        Ok(entries) => {
            for entry in entries {
                paths.push(entry?.path());
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", folder.display()));
        }
    }
    paths.sort();
    Ok(paths)
}

/// The letters behind `:2,` of a Maildir name.
fn maildir_flags(path: &Path) -> String {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
    let letters = name.rsplit_once(":2,").map_or("", |(_, letters)| letters);
    let names = letters.chars().filter_map(|letter| match letter {
        'S' => Some("\\Seen"),
        'R' => Some("\\Answered"),
        'F' => Some("\\Flagged"),
        'T' => Some("\\Deleted"),
        'D' => Some("\\Draft"),
        'P' => Some("$Forwarded"),
        _ => None,
    });
    names.collect::<Vec<_>>().join(" ")
}

fn import_source(client: &Client, account: &str, source: &Source) -> Result<u64> {
    let bytes = fs::read(&source.path).context("it cannot be read")?;
    let date = fs::metadata(&source.path)
        .and_then(|meta| meta.modified())
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
        .map(|d| d.as_millis());
    let messages = if source.kind == Kind::Mbox {
        split_mbox(&bytes)
    } else {
        vec![bytes]
    };
    let mut path = format!(
        "/admin/messages/{}?mailbox={}&flags={}",
        encode(account),
        encode(&source.mailbox),
        encode(&source.flags)
    );
    if let Some(date) = date {
        path.push_str(&format!("&date={date}"));
    }
    for message in &messages {
        client
            .send("POST", &path, "message/rfc822", &with_crlf(message))?
            .into_json()?;
    }
    Ok(messages.len() as u64)
}

/// Splits at lines that begin with `From `, and takes one `>` off quoted ones (mboxrd).
fn split_mbox(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut messages: Vec<Vec<u8>> = Vec::new();
    let mut after_blank = true;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        if after_blank && line.starts_with(b"From ") {
            messages.push(Vec::new());
        } else if let Some(message) = messages.last_mut() {
            let quotes = line.iter().take_while(|b| **b == b'>').count();
            let quoted = quotes > 0 && line[quotes..].starts_with(b"From ");
            message.extend_from_slice(if quoted { &line[1..] } else { line });
        }
        after_blank = line == b"\n" || line == b"\r\n";
    }
    messages
}

/// Bare LF becomes CRLF: what IMAP clients expect (RFC 5322 §2.3). Files that hold CRLF stay as they are.
fn with_crlf(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 30);
    let mut before = 0u8;
    for &byte in message {
        if byte == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(byte);
        before = byte;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mbox_is_split_and_unquoted() {
        let mbox =
            b"From a Mon\nSubject: 1\n\n>From here\nFrom there\n\nFrom b Tue\nSubject: 2\n\n";
        let messages = split_mbox(mbox);
        assert_eq!(
            messages,
            vec![
                b"Subject: 1\n\nFrom here\nFrom there\n\n".to_vec(),
                b"Subject: 2\n\n".to_vec()
            ]
        );
    }

    #[test]
    fn line_ends_and_flags() {
        assert_eq!(with_crlf(b"a\nb\r\nc\rd"), b"a\r\nb\r\nc\rd");
        assert_eq!(maildir_flags(Path::new("x/1.a:2,FS")), "\\Flagged \\Seen");
        assert_eq!(maildir_flags(Path::new("x/1.a")), "");
    }
}
