//! A made mix with attachments: mean 75 KB, three quarters of the bytes base64 of random data (issue 2, "To show" 6).
//!
//! Text comes from the real corpus, so that it compresses like mail; attachments are noise, as packed files are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::draw::Draw;
use super::report::{Report, messages};

const MEAN_BYTES: f64 = 75_000.0;
const BASE64_SHARE: f64 = 0.75;

/// No message of the mix is larger than half of the default limit for messages (50 MiB).
const ATTACHMENT_BYTES_MAX: f64 = 25.0 * 1024.0 * 1024.0;

/// A line of base64 is 76 characters and CRLF, 57 bytes before (RFC 2045 §6.8).
const LINE_OF_BASE64: usize = 78;
const BYTES_OF_LINE: usize = 57;

/// What heads and borders of the parts add to the text of a message, about.
const FRAME_BYTES: usize = 550;

/// Writes `count` messages to `dir`, the same for the same seed and corpus.
pub fn run(corpus: &Path, dir: &Path, count: usize, seed: u64) -> Result<()> {
    let sources = messages(corpus)
        .context("the mix takes its text from the corpus: run `cargo xtask corpus` first")?;
    if sources.is_empty() {
        bail!(
            "{} holds no messages: run `cargo xtask corpus` first",
            corpus.display()
        );
    }
    fs::create_dir_all(dir).with_context(|| format!("{} could not be created", dir.display()))?;
    for stale in messages(dir)? {
        fs::remove_file(stale)?;
    }
    let mut draw = Draw::new(seed);
    let mut base64_bytes = 0;
    for number in 0..count {
        let message = make(&sources, number, &mut draw)?;
        base64_bytes += message.base64_bytes;
        fs::write(dir.join(format!("mix-{number:06}.eml")), message.content)?;
    }
    let report = Report::of(dir)?;
    println!("{}: {report}", dir.display());
    let (messages, bytes) = (report.messages.max(1) as f64, report.bytes.max(1) as f64);
    println!(
        "mean {:.0} bytes, {:.1} % of them base64, seed {seed}",
        bytes / messages,
        100.0 * base64_bytes as f64 / bytes
    );
    Ok(())
}

struct Message {
    content: Vec<u8>,
    base64_bytes: usize,
}

fn make(sources: &[PathBuf], number: usize, draw: &mut Draw) -> Result<Message> {
    let length = text_bytes(draw);
    let text = text(sources, draw, length)?;
    // Of exponential length: many small ones, few large ones, as attachments are.
    let encoded_bytes = (-draw.unit().ln() * MEAN_BYTES * BASE64_SHARE).min(ATTACHMENT_BYTES_MAX);
    let lines = (encoded_bytes / LINE_OF_BASE64 as f64).round() as usize;
    let body: String = lines_of_base64(&draw.bytes(lines * BYTES_OF_LINE));

    let (from, to) = (draw.below(500), draw.below(500));
    let border = format!("=_{:016x}", draw.next());
    let day = number % 28 + 1;
    let mut content = format!(
        "Message-ID: <mix.{number}.{:016x}@example.net>\r\n\
         Date: {day:02} Mar 2026 {:02}:{:02}:{:02} +0100\r\n\
         From: Sender {from} <sender{from}@example.net>\r\n\
         To: user{to}@example.org\r\n\
         Subject: Documents {number} for project {}\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"{border}\"\r\n\r\n\
         --{border}\r\n\
         Content-Type: text/plain; charset=iso-8859-1\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n",
        draw.next(),
        draw.below(24),
        draw.below(60),
        draw.below(60),
        draw.below(40),
    )
    .into_bytes();
    content.extend_from_slice(&text);
    let head = format!(
        "--{border}\r\n\
         Content-Type: application/octet-stream; name=\"file-{number}.bin\"\r\n\
         Content-Disposition: attachment; filename=\"file-{number}.bin\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n"
    );
    content.extend_from_slice(head.as_bytes());
    content.extend_from_slice(body.as_bytes());
    content.extend_from_slice(format!("--{border}--\r\n").as_bytes());
    Ok(Message {
        content,
        base64_bytes: body.len(),
    })
}

/// Even between none and twice the mean.
fn text_bytes(draw: &mut Draw) -> usize {
    let mean = (MEAN_BYTES * (1.0 - BASE64_SHARE)) as u64 - FRAME_BYTES as u64;
    draw.below(2 * mean) as usize
}

/// Bodies of the corpus in random order, cut at a line end.
fn text(sources: &[PathBuf], draw: &mut Draw, length: usize) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    while text.len() < length {
        let source = &sources[draw.below(sources.len() as u64) as usize];
        let message = fs::read(source).with_context(|| source.display().to_string())?;
        let body = message
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .map_or(0, |at| at + 4);
        // A message without a body must not keep us here: its header serves as well.
        let part = if body == message.len() {
            &message[..]
        } else {
            &message[body..]
        };
        let left = length - text.len();
        let end = part
            .iter()
            .take(left)
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        if part.len() > left {
            text.extend_from_slice(&part[..end]);
            break;
        }
        text.extend_from_slice(part);
    }
    Ok(text)
}

fn lines_of_base64(bytes: &[u8]) -> String {
    bytes
        .chunks(BYTES_OF_LINE)
        .flat_map(|line| [STANDARD.encode(line), "\r\n".to_owned()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_lines_of_mail() {
        let text = lines_of_base64(&[0; 114]);
        assert_eq!(text.lines().map(str::len).collect::<Vec<_>>(), [76, 76]);
        assert_eq!(text.len(), 2 * LINE_OF_BASE64);
    }
}
