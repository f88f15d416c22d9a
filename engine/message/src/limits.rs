//! Bounds of what is found in one message, each with its reason. None refuses a message: what lies beyond is shown
//! coarser. Together they keep encoded `Facts` below `FACTS_BYTES_MAX`, so that facts always fit one entry.

/// Encoded `Facts`: `BODY_CHUNK_BYTES` of message and these fit in `PAYLOAD_BYTES_MAX` (engine-events), with room.
pub const FACTS_BYTES_MAX: usize = 224 * 1024;
/// Parts with a structure of their own. The rest of a multipart in which the bound is met is one basic part (so there
/// may be one more for each level around).
pub const PARTS_MAX: usize = 1_000;
/// Nesting of multiparts and messages: bounds the boundaries that a line is compared with, and the recursion, here
/// and in protobuf decoding (100 levels). Deeper parts are shown as `application/octet-stream`.
pub const DEPTH_MAX: usize = 30;
/// All values copied out of headers (envelopes, parameters, ids …) of one message. Values behind are absent.
pub const VALUES_BYTES_MAX: usize = 96 * 1024;
/// One copied value; longer ones are cut there. Real subjects end far below.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;
/// Type, subtype, encoding, language: tokens. Longer ones are not taken as such.
pub const TOKEN_BYTES_MAX: usize = 127;
/// Octets of one address field that are read: room for some 1,000 recipients.
pub const ADDRESS_FIELD_BYTES_MAX: usize = 64 * 1024;
/// Addresses taken from one field, group marks included.
pub const ADDRESSES_MAX: usize = 1_000;
/// Octets of a structured MIME field (Content-Type …) that are read.
pub const MIME_FIELD_BYTES_MAX: usize = 16 * 1024;
/// Parameters of one field.
pub const PARAMS_MAX: usize = 64;
/// Languages of Content-Language.
pub const LANGUAGES_MAX: usize = 16;
/// Thread keys of one message: each is an index row. The oldest and the newest references are kept.
pub const THREAD_KEYS_MAX: usize = 64;
/// Ids taken from Message-ID and from In-Reply-To: one is right, a few are met.
pub const IDS_PER_FIELD_MAX: usize = 4;

/// What one part costs in encoded form besides copied values: tags, five numbers, default words.
pub const PART_BYTES: usize = 72;
const _: () = assert!(VALUES_BYTES_MAX + (PARTS_MAX + DEPTH_MAX) * PART_BYTES < FACTS_BYTES_MAX);
