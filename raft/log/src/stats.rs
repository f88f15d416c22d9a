//! Numbers for metrics and health. All counters begin at 0 when the journal is opened.

/// A consistent picture of the journal at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Flushes of files, of any kind.
    pub flushes: u64,
    pub batches: u64,
    pub seals: u64,
    /// Written to segments: frames, heads, footers, zeros of a cut.
    pub bytes_written: u64,
    /// Payload bytes among them.
    pub payload_bytes_written: u64,
    /// Entries written since opening.
    pub entries_written: u64,
    /// Segment files with frames.
    pub segments: u64,
    /// Length of all files of the journal, preallocated room and reserve included.
    pub bytes_on_disk: u64,
    /// Room for entries that is allocated and neither written nor promised.
    pub room_bytes: u64,
    /// What is left of the reserve.
    pub reserve_bytes: u64,
    /// No further room can be allocated: entries are refused as soon as `room_bytes` is used up.
    pub disk_full: bool,
    /// Changes accepted and not yet flushed.
    pub queue_len: usize,
    pub queued_bytes: u64,
    /// Payloads kept in memory.
    pub cached_bytes: usize,
    /// Damages found since opening and not mended, holes included.
    pub damages: usize,
    /// Bytes of sealed segments that were read again and checked in the background.
    pub scrubbed_bytes: u64,
    /// How often all of them were.
    pub scrub_passes: u64,
    /// Damages that were found in doing so.
    pub scrub_damages: u64,
    /// Frames that were missing and are no more: a sound one stands in, or their entries were cut.
    pub mended: u64,
}
