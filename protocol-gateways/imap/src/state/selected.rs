//! An open mailbox as one session sees it (RFC 3501 §2.3.1.2).
//! SEL-1: `uids` ascend. SEL-2: a number changes only when EXPUNGE was sent. SEL-3: `synced` only rises.

use crate::limits::KEYWORDS_NAMED_MAX;
use engine_service::{Changes, MessageRow, Opened};
use engine_types::{LostModSeqs, MailboxId, ModSeq, Uid, UidSet};
use std::collections::HashMap;
use std::fmt::Write as _;

pub struct Selected {
    pub mailbox: MailboxId,
    pub read_only: bool,
    pub uids: Vec<Uid>,
    /// All changes up to here were announced, or wait in `gone`.
    pub synced: ModSeq,
    /// What clients may hold from a site that was lost.
    pub lost: LostModSeqs,
    /// Expunged, and still numbered since no EXPUNGE could be sent yet.
    pub gone: UidSet,
    /// Messages whose flags this session has seen or set at a MODSEQ above `synced`.
    pub told: HashMap<Uid, ModSeq>,
    /// Keywords that FLAGS has named.
    pub keywords: Vec<String>,
}

/// System flags, then keywords.
pub fn flag_list(keywords: &[String]) -> String {
    let mut list = "\\Answered \\Flagged \\Deleted \\Seen \\Draft".to_owned();
    for keyword in keywords {
        list.push(' ');
        list.push_str(keyword);
    }
    list
}

/// What the announcements look like.
#[derive(Clone, Copy, Debug)]
pub struct Announce {
    pub expunge: bool,
    pub mod_seq: bool,
    pub uid: bool,
}

/// A session's UIDs while it idles: as runs where that is smaller, since thousands of sessions idle side by side.
#[derive(Debug)]
pub enum Packed {
    Runs(UidSet),
    List(Vec<Uid>),
}

impl Selected {
    /// Takes the numbering away until `unpack`; nothing may be announced meanwhile.
    pub fn pack(&mut self) -> Packed {
        self.told.shrink_to_fit();
        let mut list = std::mem::take(&mut self.uids);
        let runs: UidSet = list.iter().copied().collect();
        // A run takes as much as two UIDs.
        if runs.ranges().len() * 2 < list.len() {
            return Packed::Runs(runs);
        }
        list.shrink_to_fit();
        Packed::List(list)
    }

    pub fn unpack(&mut self, packed: Packed) {
        self.uids = match packed {
            Packed::Runs(runs) => runs.iter().collect(),
            Packed::List(list) => list,
        };
    }

    pub fn new(opened: Opened, read_only: bool) -> Selected {
        Selected {
            mailbox: opened.status.id,
            read_only,
            uids: opened.uids,
            synced: opened.status.highest_mod_seq,
            lost: opened.status.lost,
            gone: UidSet::new(),
            told: HashMap::new(),
            keywords: opened.keywords,
        }
    }

    /// The number of a message, from 1.
    pub fn number(&self, uid: Uid) -> Option<u32> {
        let at = self.uids.binary_search(&uid).ok()?;
        u32::try_from(at + 1).ok()
    }

    /// The client knows these flags, as of the row's MODSEQ.
    pub fn told(&mut self, uid: Uid, mod_seq: ModSeq) {
        if mod_seq > self.synced {
            self.told.insert(uid, mod_seq);
        }
    }

    /// Puts what changed into the answer: FETCH, EXPUNGE, EXISTS.
    pub fn announce(&mut self, changes: &Changes, how: Announce, out: &mut Vec<u8>) {
        let mut text = String::new();
        let highest = self.uids.last().copied().unwrap_or_default();
        let mut fresh: Vec<Uid> = Vec::new();
        self.announce_keywords(&changes.changed, out);
        for row in &changes.changed {
            match self.number(row.uid) {
                Some(number) => self.announce_row(number, row, how, &mut text),
                None if row.uid > highest => fresh.push(row.uid),
                None => {}
            }
        }
        for (first, last) in changes.vanished.ranges() {
            let from = self.uids.partition_point(|&u| u < first);
            let to = self.uids.partition_point(|&u| u <= last);
            for at in from..to {
                self.gone.insert(self.uids[at]);
            }
        }
        if how.expunge {
            self.announce_gone(&mut text);
        }
        if !fresh.is_empty() {
            self.uids.extend(fresh);
            let _ = write!(text, "* {} EXISTS\r\n* 0 RECENT\r\n", self.uids.len());
        }
        self.synced = self.synced.max(changes.highest_mod_seq);
        let synced = self.synced;
        self.told.retain(|_, mod_seq| *mod_seq > synced);
        out.extend_from_slice(text.as_bytes());
    }

    /// Keywords that are new to this session are named before a FETCH shows them (RFC 3501 §7.2.6).
    pub fn announce_keywords(&mut self, rows: &[MessageRow], out: &mut Vec<u8>) {
        if self.learn_keywords(rows) {
            let flags = flag_list(&self.keywords);
            let mut text = format!("* FLAGS ({flags})\r\n");
            if !self.read_only {
                let _ = write!(text, "* OK [PERMANENTFLAGS ({flags} \\*)] kept\r\n");
            }
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// True: there are new ones.
    fn learn_keywords(&mut self, rows: &[MessageRow]) -> bool {
        let before = self.keywords.len();
        for keyword in rows.iter().flat_map(|row| row.flags.keywords()) {
            let keyword = keyword.as_str();
            let known = self
                .keywords
                .iter()
                .any(|k| k.eq_ignore_ascii_case(keyword));
            if !known && self.keywords.len() < KEYWORDS_NAMED_MAX {
                self.keywords.push(keyword.to_owned());
            }
        }
        self.keywords.len() > before
    }

    fn announce_row(&self, number: u32, row: &MessageRow, how: Announce, text: &mut String) {
        if self.told.get(&row.uid).is_some_and(|&m| row.mod_seq <= m) {
            return;
        }
        let _ = write!(text, "* {number} FETCH (");
        if how.uid {
            let _ = write!(text, "UID {} ", row.uid);
        }
        if how.mod_seq {
            let _ = write!(text, "MODSEQ ({}) ", row.mod_seq);
        }
        let _ = write!(text, "FLAGS ({}))\r\n", row.flags);
    }

    /// Highest number first, so that the others keep theirs until they are told.
    fn announce_gone(&mut self, text: &mut String) {
        if self.gone.is_empty() {
            return;
        }
        for at in (0..self.uids.len()).rev() {
            if self.gone.contains(self.uids[at]) {
                let _ = write!(text, "* {} EXPUNGE\r\n", at + 1);
            }
        }
        let gone = std::mem::take(&mut self.gone);
        self.uids.retain(|&uid| !gone.contains(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_service::BodyHandle;
    use engine_types::{EmailId, Flags, UnixMillis};

    fn row(uid: u32, mod_seq: u64) -> MessageRow {
        MessageRow {
            uid: Uid(uid),
            email: EmailId(1),
            mod_seq: ModSeq(mod_seq),
            flags: Flags::new(),
            internal_date: UnixMillis(0),
            internal_date_zone: 0,
            size: 1,
            saved_at: UnixMillis(0),
            body: BodyHandle {
                shard: 1,
                log_index: 1,
                ordinal: 0,
                trace: bytes::Bytes::new(),
                size: 1,
            },
        }
    }

    fn selected(uids: &[u32], told: &[(u32, u64)]) -> Selected {
        Selected {
            mailbox: MailboxId(1),
            read_only: false,
            uids: uids.iter().map(|&u| Uid(u)).collect(),
            lost: LostModSeqs::default(),
            synced: ModSeq(10),
            gone: UidSet::new(),
            told: told.iter().map(|&(u, m)| (Uid(u), ModSeq(m))).collect(),
            keywords: Vec::new(),
        }
    }

    #[track_caller]
    fn check(
        selected: &mut Selected,
        changed: &[(u32, u64)],
        vanished: &[u32],
        may: bool,
    ) -> String {
        let changes = Changes {
            highest_mod_seq: ModSeq(20),
            uid_next: Uid(100),
            changed: changed.iter().map(|&(u, m)| row(u, m)).collect(),
            vanished: vanished.iter().map(|&u| Uid(u)).collect(),
            gone: false,
        };
        let mut out = Vec::new();
        let how = Announce {
            expunge: may,
            mod_seq: true,
            uid: false,
        };
        selected.announce(&changes, how, &mut out);
        String::from_utf8(out).unwrap().replace("\r\n", "|")
    }

    /// RFC 3501 §7.4.1: no EXPUNGE in a command that names messages by number.
    #[test]
    fn numbers_stay_until_expunge_may_be_sent() {
        let mut s = selected(&[2, 4, 9, 11], &[]);
        assert_eq!(check(&mut s, &[], &[4, 9, 77], false), "");
        assert_eq!(s.number(Uid(11)), Some(4));
        assert_eq!(
            check(&mut s, &[(12, 12)], &[], false),
            "* 5 EXISTS|* 0 RECENT|"
        );
        assert_eq!(
            check(&mut s, &[], &[2], true),
            "* 3 EXPUNGE|* 2 EXPUNGE|* 1 EXPUNGE|"
        );
        assert_eq!(s.uids, [Uid(11), Uid(12)]);
    }

    #[test]
    fn what_was_told_is_not_repeated() {
        let mut s = selected(&[2, 4], &[(2, 12), (4, 12)]);
        assert_eq!(
            check(&mut s, &[(2, 12), (4, 13)], &[], true),
            "* 2 FETCH (MODSEQ (13) FLAGS ())|"
        );
    }

    #[test]
    fn packing_keeps_the_numbering() {
        let check = |uids: &[u32], as_runs: bool| {
            let uids: Vec<Uid> = uids.iter().copied().map(Uid).collect();
            let mut selected = selected(&[], &[]);
            selected.uids = uids.clone();
            let packed = selected.pack();
            assert_eq!(matches!(packed, Packed::Runs(_)), as_runs, "{packed:?}");
            assert!(selected.uids.is_empty());
            selected.unpack(packed);
            assert_eq!(selected.uids, uids);
        };
        check(&[], false);
        check(&[1, 2, 3, 4], true);
        check(&[1, 2, 3, 7, 8, 4_294_967_295], false);
        check(&[1, 2, 3, 7, 8, 9, 4_294_967_295], true);
        check(&[2, 4, 6], false);
    }
}
