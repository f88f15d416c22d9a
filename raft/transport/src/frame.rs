//! Frames on the wire: a length, a head of 13 or 9 bytes, a body. All numbers are big-endian.
//!
//! Request: length u32 (of what follows), id u64, kind u8, shard u32, body.
//! Answer: length u32, id u64, status u8 (0: the answer, 1: the reason why there is none), body.

use crate::limits::{FRAMES_PER_WRITE, MAX_FRAME_BYTES, WRITE_BYTES};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use raft_api::ShardId;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

const REQUEST_HEAD: usize = 13;
const ANSWER_HEAD: usize = 9;

pub(crate) struct Request {
    pub id: u64,
    pub kind: u8,
    pub shard: ShardId,
    pub body: Bytes,
}

pub(crate) struct Answer {
    pub id: u64,
    pub result: Result<Bytes, String>,
}

impl Request {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(4 + REQUEST_HEAD + self.body.len());
        out.put_u32((REQUEST_HEAD + self.body.len()) as u32);
        out.put_u64(self.id);
        out.put_u8(self.kind);
        out.put_u32(self.shard.0);
        out.put_slice(&self.body);
        out.freeze()
    }

    pub fn decode(mut frame: Bytes) -> io::Result<Request> {
        check_head(&frame, REQUEST_HEAD)?;
        Ok(Request {
            id: frame.get_u64(),
            kind: frame.get_u8(),
            shard: ShardId(frame.get_u32()),
            body: frame,
        })
    }
}

impl Answer {
    pub fn encode(&self) -> Bytes {
        let (status, body) = match &self.result {
            Ok(body) => (0, &body[..]),
            Err(reason) => (1, reason.as_bytes()),
        };
        let mut out = BytesMut::with_capacity(4 + ANSWER_HEAD + body.len());
        out.put_u32((ANSWER_HEAD + body.len()) as u32);
        out.put_u64(self.id);
        out.put_u8(status);
        out.put_slice(body);
        out.freeze()
    }

    pub fn decode(mut frame: Bytes) -> io::Result<Answer> {
        check_head(&frame, ANSWER_HEAD)?;
        let id = frame.get_u64();
        let result = match frame.get_u8() {
            0 => Ok(frame),
            _ => Err(String::from_utf8_lossy(&frame).into_owned()),
        };
        Ok(Answer { id, result })
    }
}

fn check_head(frame: &Bytes, head: usize) -> io::Result<()> {
    match frame.len() >= head {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a frame is shorter than its head",
        )),
    }
}

/// Writes what comes, until the queue ends. What is queued goes out in one write: one TLS record, one system call.
pub(crate) async fn write_frames(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    let mut frames = Vec::with_capacity(FRAMES_PER_WRITE);
    let mut together = BytesMut::with_capacity(WRITE_BYTES);
    while queue.recv_many(&mut frames, FRAMES_PER_WRITE).await > 0 {
        for frame in frames.drain(..) {
            if together.len() + frame.len() > WRITE_BYTES {
                writer.write_all(&together).await?;
                together.clear();
            }
            match frame.len() > WRITE_BYTES {
                true => writer.write_all(&frame).await?,
                false => together.put_slice(&frame),
            }
        }
        writer.write_all(&together).await?;
        together.clear();
        writer.flush().await?;
    }
    Ok(())
}

/// Reads one frame, without its length. The length is checked before memory is taken for it.
pub(crate) async fn read_frame(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    read_bounded(from, MAX_FRAME_BYTES + REQUEST_HEAD).await
}

pub(crate) async fn read_bounded(
    from: &mut (impl AsyncRead + Unpin),
    bytes_max: usize,
) -> io::Result<Bytes> {
    let length = from.read_u32().await? as usize;
    if length > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a frame is longer than its bound",
        ));
    }
    let mut frame = vec![0; length];
    from.read_exact(&mut frame).await?;
    Ok(Bytes::from(frame))
}
