//! What a message says of itself, found once by the gateway that took it in and carried in the log,
//! so that no replica ever parses: two versions of a parser would make two views.
//!
//! All offsets count octets of the message as it came in (without trace). Header values are raw octets as they
//! stand in the message, unfolded (CRLF before white space removed), not decoded.

use bytes::Bytes;

#[derive(Clone, PartialEq, prost::Message)]
pub struct Facts {
    #[prost(message, optional, tag = "1")]
    pub envelope: Option<Envelope>,
    /// The root part: the message itself.
    #[prost(message, optional, tag = "2")]
    pub body: Option<BodyPart>,
}

/// RFC 9051 §7.5.2 ENVELOPE. A field that is absent is `None`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Envelope {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub date: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub subject: Option<Bytes>,
    #[prost(message, repeated, tag = "3")]
    pub from: Vec<Addr>,
    /// Empty: as From.
    #[prost(message, repeated, tag = "4")]
    pub sender: Vec<Addr>,
    /// Empty: as From.
    #[prost(message, repeated, tag = "5")]
    pub reply_to: Vec<Addr>,
    #[prost(message, repeated, tag = "6")]
    pub to: Vec<Addr>,
    #[prost(message, repeated, tag = "7")]
    pub cc: Vec<Addr>,
    #[prost(message, repeated, tag = "8")]
    pub bcc: Vec<Addr>,
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub in_reply_to: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "10")]
    pub message_id: Option<Bytes>,
}

/// RFC 9051 `address`. A group begins with `host` absent and `mailbox` its name, and ends with both absent.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Addr {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub name: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub adl: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub mailbox: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub host: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum PartKind {
    /// Neither of the following.
    Basic = 0,
    Text = 1,
    /// `message/rfc822` or `message/global`: has `envelope` and one child.
    Message = 2,
    /// One child or more.
    Multipart = 3,
}

/// RFC 9051 §7.5.2 BODYSTRUCTURE, with the places of its octets.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BodyPart {
    #[prost(enumeration = "PartKind", tag = "1")]
    pub kind: i32,
    /// `TEXT`, `PLAIN` … as given; RFC 2045 §5.2 defaults where absent.
    #[prost(string, tag = "2")]
    pub media_type: String,
    #[prost(string, tag = "3")]
    pub subtype: String,
    /// Content-Type's parameters, verbatim, in order.
    #[prost(message, repeated, tag = "4")]
    pub params: Vec<Param>,
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub id: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub description: Option<Bytes>,
    /// Content-Transfer-Encoding as given; `7BIT` where absent.
    #[prost(string, tag = "7")]
    pub encoding: String,
    #[prost(bytes = "bytes", optional, tag = "8")]
    pub md5: Option<Bytes>,
    #[prost(message, optional, tag = "9")]
    pub disposition: Option<Disposition>,
    #[prost(string, repeated, tag = "10")]
    pub language: Vec<String>,
    #[prost(bytes = "bytes", optional, tag = "11")]
    pub location: Option<Bytes>,
    /// Where its header begins (a part's MIME header; for the root, 0).
    #[prost(uint64, tag = "12")]
    pub header_start: u64,
    /// Where its body begins: behind the blank line that ends the header.
    #[prost(uint64, tag = "13")]
    pub body_start: u64,
    /// One past the body's last octet; the CRLF before a boundary belongs to the boundary.
    #[prost(uint64, tag = "14")]
    pub body_end: u64,
    /// Lines of the body (for text and messages).
    #[prost(uint64, tag = "15")]
    pub lines: u64,
    /// Only for `PartKind::Message`: the envelope of the message inside.
    #[prost(message, optional, tag = "16")]
    pub envelope: Option<Envelope>,
    #[prost(message, repeated, tag = "17")]
    pub children: Vec<BodyPart>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Param {
    #[prost(bytes = "bytes", tag = "1")]
    pub name: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Disposition {
    #[prost(string, tag = "1")]
    pub kind: String,
    #[prost(message, repeated, tag = "2")]
    pub params: Vec<Param>,
}
