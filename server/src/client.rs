//! A small HTTP/1.1 client for the admin listener: one request, one connection, no redirects.

use crate::cli::Server;
use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer above this is not ours.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
const TIMEOUT: Duration = Duration::from_secs(60);

pub struct Client {
    host: String,
    token: String,
}

pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Client {
    pub fn new(server: &Server) -> Result<Client> {
        let host = server
            .server
            .strip_prefix("http://")
            .unwrap_or(&server.server)
            .trim_end_matches('/')
            .to_owned();
        let token = match &server.token {
            Some(token) => token.clone(),
            None => token_from(&server.data).unwrap_or_default(),
        };
        Ok(Client { host, token })
    }

    pub fn send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Answer> {
        let mut stream = TcpStream::connect(&self.host).with_context(|| {
            format!(
                "no node answers at {}; is it running? (--server names another)",
                self.host
            )
        })?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.host,
            self.token,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut raw = Vec::new();
        stream
            .take(ANSWER_BYTES_MAX)
            .read_to_end(&mut raw)
            .context("the node stopped answering")?;
        parse(&raw)
    }

    /// Sends JSON, wants success, gives the JSON of the answer (`null` if it is empty).
    pub fn json(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let bytes = body.map(|v| v.to_string().into_bytes()).unwrap_or_default();
        let answer = self.send(method, path, "application/json", &bytes)?;
        answer.into_json()
    }
}

impl Answer {
    pub fn into_json(self) -> Result<Value> {
        let value = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        if (200..300).contains(&self.status) {
            return Ok(value);
        }
        let text = value["error"]
            .as_str()
            .map(str::to_owned)
            .unwrap_or_else(|| String::from_utf8_lossy(&self.body).trim().to_owned());
        if self.status == 504 {
            bail!("{text}: it may or may not have been done; look before you repeat it");
        }
        Err(anyhow!("{text} (HTTP {})", self.status))
    }
}

fn parse(raw: &[u8]) -> Result<Answer> {
    let split = raw
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .ok_or_else(|| anyhow!("the answer is not HTTP"))?;
    let head = std::str::from_utf8(&raw[..split]).context("the answer is not HTTP")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .ok_or_else(|| anyhow!("the answer is not HTTP"))?;
    let body = &raw[split + 4..];
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    Ok(Answer {
        status,
        body: if chunked {
            unchunk(body)?
        } else {
            body.to_vec()
        },
    })
}

/// RFC 9112 §7.1.
fn unchunk(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let line_end = rest
            .windows(2)
            .position(|w| w == b"\r\n")
            .ok_or_else(|| anyhow!("a chunk is cut off"))?;
        let size = std::str::from_utf8(&rest[..line_end])
            .ok()
            .and_then(|s| usize::from_str_radix(s.trim(), 16).ok());
        let size = size.ok_or_else(|| anyhow!("a chunk has no size"))?;
        rest = &rest[line_end + 2..];
        if size == 0 {
            return Ok(out);
        }
        if rest.len() < size + 2 {
            bail!("a chunk is cut off");
        }
        out.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

/// From the data directory of a node, or of a demo's first node.
fn token_from(data: &std::path::Path) -> Option<String> {
    [
        data.join("admin-token"),
        data.join("node-1").join("admin-token"),
    ]
    .iter()
    .find_map(|path| std::fs::read_to_string(path).ok())
    .map(|token| token.trim().to_owned())
}

/// Percent-encodes a path segment or query value (RFC 3986 §2.1).
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_answers() {
        let plain = parse(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").unwrap();
        assert_eq!(
            (plain.status, plain.body.as_slice()),
            (200, b"hi".as_slice())
        );
        let chunked = parse(
            b"HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n",
        )
        .unwrap();
        assert_eq!(
            (chunked.status, chunked.body.as_slice()),
            (503, b"hi!".as_slice())
        );
        assert!(parse(b"SSH-2.0").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhi").is_err());
    }

    #[test]
    fn encodes() {
        assert_eq!(encode("a+b@x/ü"), "a%2Bb%40x%2F%C3%BC");
    }
}
