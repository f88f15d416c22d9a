//! GET of a health page.

use crate::limits::{HEALTH_MAX, REPLY_BYTES_MAX};
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// The status and the JSON; health answers 503 with JSON too.
pub fn health(address: SocketAddr) -> Result<(u16, serde_json::Value)> {
    let mut stream = TcpStream::connect_timeout(&address, HEALTH_MAX)?;
    stream.set_read_timeout(Some(HEALTH_MAX))?;
    stream.write_all(
        b"GET /health/replication HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n",
    )?;
    let mut octets = Vec::new();
    stream
        .take(REPLY_BYTES_MAX as u64)
        .read_to_end(&mut octets)?;
    let text = String::from_utf8_lossy(&octets);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .context("an answer without a body")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    // A chunked body has its sizes on lines of their own; the JSON is one line.
    let json = body
        .lines()
        .find(|line| line.starts_with('{'))
        .context("no JSON")?;
    Ok((status, serde_json::from_str(json)?))
}
