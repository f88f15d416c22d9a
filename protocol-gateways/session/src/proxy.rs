//! The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`): a balancer says whom it speaks for.
//! Only trusted networks are believed; the caller sees to that and bounds the time.

use crate::limits::{PROXY_V1_BYTES_MAX, PROXY_V2_BODY_BYTES_MAX};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The connection ends: guessing what a broken header meant would let a peer choose its address.
#[derive(Debug, Error)]
pub enum ProxyError {
    #[error("the PROXY header is missing or broken")]
    Broken,
    #[error("the PROXY header is too long")]
    TooLong,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads one header and not an octet more. `None`: the balancer speaks for itself (a health check) or names no
/// Internet address; the socket's own address stands.
pub async fn read_header<R: AsyncRead + Unpin>(
    reader: &mut R,
) -> Result<Option<IpAddr>, ProxyError> {
    // The shortest v1 line, `PROXY UNKNOWN` CRLF, has 15 octets, so that 12 never reach past a header.
    let mut start = [0u8; V2_SIGNATURE.len()];
    reader.read_exact(&mut start).await?;
    if &start == V2_SIGNATURE {
        return read_v2(reader).await;
    }
    if !start.starts_with(b"PROXY ") {
        return Err(ProxyError::Broken);
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\n") {
        if line.len() >= PROXY_V1_BYTES_MAX {
            return Err(ProxyError::TooLong);
        }
        line.push(reader.read_u8().await?);
    }
    parse_v1(&line)
}

/// §2.1: `PROXY TCP4 source destination port port` CRLF.
fn parse_v1(line: &[u8]) -> Result<Option<IpAddr>, ProxyError> {
    let line = line.strip_suffix(b"\r\n").ok_or(ProxyError::Broken)?;
    let text = std::str::from_utf8(line).map_err(|_| ProxyError::Broken)?;
    let words: Vec<&str> = text.split(' ').collect();
    let port_ok = |port: &str| port.parse::<u16>().is_ok();
    match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", family, source, destination, ports @ ..]
            if ports.len() == 2 && ports.iter().all(|p| port_ok(p)) =>
        {
            let source: IpAddr = source.parse().map_err(|_| ProxyError::Broken)?;
            let destination: IpAddr = destination.parse().map_err(|_| ProxyError::Broken)?;
            let fits = match *family {
                "TCP4" => source.is_ipv4() && destination.is_ipv4(),
                "TCP6" => source.is_ipv6() && destination.is_ipv6(),
                _ => false,
            };
            fits.then_some(Some(source.to_canonical()))
                .ok_or(ProxyError::Broken)
        }
        _ => Err(ProxyError::Broken),
    }
}

async fn read_v2<R: AsyncRead + Unpin>(reader: &mut R) -> Result<Option<IpAddr>, ProxyError> {
    let mut head = [0u8; 4];
    reader.read_exact(&mut head).await?;
    let [version_command, family, high, low] = head;
    let body_len = usize::from(u16::from_be_bytes([high, low]));
    if body_len > PROXY_V2_BODY_BYTES_MAX {
        return Err(ProxyError::TooLong);
    }
    let mut body = vec![0u8; body_len];
    reader.read_exact(&mut body).await?;
    parse_v2(version_command, family, &body)
}

/// §2.2: the address block, then TLVs, which we do not read.
fn parse_v2(version_command: u8, family: u8, body: &[u8]) -> Result<Option<IpAddr>, ProxyError> {
    match version_command {
        0x20 => return Ok(None), // LOCAL
        0x21 => {}               // PROXY
        _ => return Err(ProxyError::Broken),
    }
    match family {
        // UNSPEC, and UNIX stream: no Internet address.
        0x00 | 0x31 => Ok(None),
        // Source address, destination address, two ports.
        0x11 if body.len() >= 12 => {
            let source: [u8; 4] = body[..4].try_into().map_err(|_| ProxyError::Broken)?;
            Ok(Some(IpAddr::V4(Ipv4Addr::from(source))))
        }
        0x21 if body.len() >= 36 => {
            let source: [u8; 16] = body[..16].try_into().map_err(|_| ProxyError::Broken)?;
            Ok(Some(IpAddr::V6(Ipv6Addr::from(source)).to_canonical()))
        }
        _ => Err(ProxyError::Broken),
    }
}

#[cfg(test)]
mod tests;
