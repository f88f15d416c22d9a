//! The frames of one segment, sorted into batches.

use crate::format::{BatchHead, FrameKind, HEAD_AREA_BYTES};
use crate::walk::{Found, Piece, Walked, batch_head};

/// A stretch between frames that no sound head covers.
pub(crate) type Gap = (u64, u64);

/// What is left of one batch.
#[derive(Debug)]
pub(crate) struct Group {
    pub number: u64,
    /// The frame that opens the batch, and what it says; `None` if it is damaged.
    pub opening: Option<Found>,
    pub head: Option<BatchHead>,
    /// The others, in order.
    pub frames: Vec<Found>,
    pub gaps: Vec<Gap>,
    /// Before the opening frame, so of a batch that is gone.
    pub lead: Option<Gap>,
    pub trailer_is_sound: bool,
}

/// Collects pieces into batches. A gap goes to the batch that claims its bytes. Returns the gap behind all frames.
pub(crate) fn group(bytes: &[u8], walked: &Walked) -> (Vec<Group>, Option<Gap>) {
    let mut groups: Vec<Group> = Vec::new();
    let mut pending: Option<Gap> = None;
    for piece in &walked.pieces {
        let found = match piece {
            Piece::Bad { from, to } => {
                pending = Some((*from, *to));
                continue;
            }
            Piece::Frame(found) => found,
        };
        let number = found.head.batch;
        let is_new = groups.last().is_none_or(|group| group.number != number);
        if let Some((from, to)) = pending.take() {
            let claimed = groups.last().map_or(from, |group| {
                group
                    .claims_until()
                    .unwrap_or(if is_new { from } else { to })
            });
            if claimed > from
                && let Some(group) = groups.last_mut()
            {
                group.gaps.push((from, claimed.min(to)));
            }
            if is_new {
                let mut group = Group::new(number);
                let rest = (claimed < to).then_some((claimed.max(from), to));
                if found.head.kind.opens_batch() {
                    group.lead = rest;
                } else {
                    group.gaps.extend(rest);
                }
                groups.push(group);
            }
        } else if is_new {
            groups.push(Group::new(number));
        }
        let Some(group) = groups.last_mut() else {
            continue;
        };
        if found.head.kind.opens_batch() {
            group.opening = Some(*found);
            group.head = batch_head(bytes, found);
            group.trailer_is_sound = walked.trailer_is_sound;
        } else {
            group.frames.push(*found);
        }
    }
    (groups, pending)
}

impl Group {
    pub fn new(number: u64) -> Group {
        Group {
            number,
            opening: None,
            head: None,
            frames: Vec::new(),
            gaps: Vec::new(),
            lead: None,
            trailer_is_sound: false,
        }
    }

    pub fn kind(&self) -> Option<FrameKind> {
        self.opening.map(|opening| opening.head.kind)
    }

    pub fn start(&self) -> u64 {
        let first_frame = self
            .opening
            .iter()
            .chain(self.frames.first())
            .map(|found| found.offset)
            .min();
        let first_gap = self.gaps.first().map(|gap| gap.0);
        first_frame
            .into_iter()
            .chain(first_gap)
            .min()
            .unwrap_or(HEAD_AREA_BYTES)
    }

    pub fn end(&self) -> u64 {
        let frames = self
            .frames
            .last()
            .or(self.opening.as_ref())
            .map_or(0, Found::end);
        let trailer = if self.trailer_is_sound && self.kind() == Some(FrameKind::Footer) {
            crate::format::TRAILER_BYTES
        } else {
            0
        };
        (frames + trailer)
            .max(self.gaps.last().map_or(0, |gap| gap.1))
            .max(self.claims_until().unwrap_or(0))
    }

    /// Where the batch ends by its own head.
    pub fn claims_until(&self) -> Option<u64> {
        let start = self.opening?.offset;
        match (&self.head, self.kind()) {
            (Some(head), _) => Some(start + u64::from(head.bytes)),
            (None, Some(FrameKind::Seal | FrameKind::Footer)) => {
                self.opening.map(|opening| opening.end())
            }
            _ => None,
        }
    }

    /// Every frame that the batch had is there and sound.
    pub fn is_whole(&self) -> bool {
        let opening_is_sound = match self.kind() {
            Some(FrameKind::Footer) => {
                self.opening.is_some_and(|opening| opening.sound) && self.trailer_is_sound
            }
            _ => self.head.is_some(),
        };
        let frames = self.head.as_ref().map_or(0, |head| head.frames as usize);
        opening_is_sound
            && self.gaps.is_empty()
            && self.frames.len() == frames
            && self.frames.iter().all(|found| found.sound)
    }
}
