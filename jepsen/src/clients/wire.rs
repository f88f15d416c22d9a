//! A connection by lines, everything with a time limit.

use crate::limits::{CONNECT_MAX, REPLY_BYTES_MAX, REPLY_MAX};
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};

pub struct Wire {
    stream: BufReader<TcpStream>,
}

impl Wire {
    pub fn open(address: SocketAddr) -> Result<Wire> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_MAX)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_MAX))?;
        stream.set_write_timeout(Some(REPLY_MAX))?;
        let stream = BufReader::new(stream);
        Ok(Wire { stream })
    }

    pub fn send(&mut self, octets: &[u8]) -> Result<()> {
        self.stream.get_mut().write_all(octets)
    }

    /// Without its line end.
    pub fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        let mut stream = (&mut self.stream).take(REPLY_BYTES_MAX as u64);
        stream.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the server hung up"));
        }
        let text = String::from_utf8_lossy(&line);
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    pub fn octets(&mut self, count: usize) -> Result<Vec<u8>> {
        if count > REPLY_BYTES_MAX {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "a literal without bounds",
            ));
        }
        let mut octets = vec![0; count];
        self.stream.read_exact(&mut octets)?;
        Ok(octets)
    }
}
