//! Between persisted forms and values of `engine-types`. Bad persisted input becomes the nearest valid value.

use crate::catalogue::{FlagSet, UidRanges};
use engine_types::{Flags, Keyword, Uid, UidSet};

pub fn flags_into(flags: &Flags) -> FlagSet {
    FlagSet {
        system: u32::from(flags.system_bits()),
        keywords: flags.keywords().map(|k| k.as_str().to_owned()).collect(),
    }
}

/// Keywords that are not atoms are dropped: the same on every replica.
pub fn flags_from(set: &FlagSet) -> Flags {
    Flags::from_parts(
        (set.system & 0xff) as u8,
        set.keywords.iter().filter_map(|k| Keyword::new(k).ok()),
    )
}

pub fn ranges_into(uids: &UidSet) -> UidRanges {
    UidRanges {
        bounds: uids
            .ranges()
            .flat_map(|(first, last)| [first.0, last.0])
            .collect(),
    }
}

/// A last bound without a partner is dropped.
pub fn ranges_from(ranges: &UidRanges) -> UidSet {
    UidSet::from_ranges(
        ranges
            .bounds
            .chunks_exact(2)
            .map(|pair| (Uid(pair[0]), Uid(pair[1]))),
    )
}
