//! Whose segments a journal is made of. Mostly one identity's; after a recovery from a lost site (design §3) the journal
//! goes on under another one, and the segments before it stay as they are.
//!
//! ERA-1: all eras are of one cluster, and each has a higher incarnation than the one before it: whoever reuses a file of
//! another node, or an incarnation, is refused.
//! ERA-2: the newest segment is the owner's. A journal is handed over by `succeed` alone, which begins that segment.

use crate::format::{HeadCopies, Seed, segment_name};
use crate::heads::HeadRead;
use crate::recover;
use crate::space::Allocator;
use crate::{Disk, Identity, OpenError, Options};
use std::path::Path;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Eras {
    /// The first segment of each, ascending; the first era begins with the first segment, whatever its number.
    begun: Vec<(u64, Identity)>,
}

impl Eras {
    pub fn of(identity: Identity) -> Eras {
        Eras {
            begun: vec![(0, identity)],
        }
    }

    /// From all heads, in order. A head that is damaged says nothing: its segment belongs to the era before it.
    pub fn agree(
        dir: &Path,
        heads: &[HeadRead],
        expected: Option<Identity>,
    ) -> Result<Eras, OpenError> {
        let mut begun: Vec<(u64, Identity)> = Vec::new();
        for head in heads {
            let HeadCopies::Sound(found, _) = head.copies else {
                continue;
            };
            match begun.last() {
                None => begun.push((0, found.identity)),
                Some((_, last)) if *last == found.identity => {}
                Some((_, last)) if follows(last, &found.identity) => {
                    begun.push((head.sequence, found.identity));
                }
                Some((_, last)) => return Err(other(found.identity, *last)),
            }
        }
        let owner = begun.last().map(|(_, identity)| *identity);
        match (owner, expected) {
            (Some(owner), Some(expected)) if owner != expected => Err(other(owner, expected)),
            (Some(_), _) => Ok(Eras { begun }),
            (None, Some(expected)) => Ok(Eras::of(expected)),
            (None, None) => Err(OpenError::NoIdentity {
                dir: dir.display().to_string(),
            }),
        }
    }

    pub fn owner(&self) -> Identity {
        self.begun[self.begun.len() - 1].1
    }

    pub fn at(&self, sequence: u64) -> Identity {
        let after = self.begun.partition_point(|(first, _)| *first <= sequence);
        self.begun[after.max(1) - 1].1
    }

    pub fn seed(&self, sequence: u64) -> Seed {
        Seed::new(&self.at(sequence), sequence)
    }
}

fn follows(last: &Identity, next: &Identity) -> bool {
    last.cluster == next.cluster && last.incarnation < next.incarnation
}

fn other(found: Identity, expected: Identity) -> OpenError {
    OpenError::OtherIdentity {
        found: Box::new(found),
        expected: Box::new(expected),
    }
}

/// Makes the journal in `dir`, which is `old`'s and which nobody has open, into `new`'s. What it holds stays readable, and
/// what comes is `new`'s. After a crash in the middle it is still `old`'s, or `new`'s already.
pub fn succeed(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    old: Identity,
    new: Identity,
    options: &Options,
) -> Result<(), OpenError> {
    if !follows(&old, &new) {
        return Err(other(new, old));
    }
    let (shared, mut writer, _) = recover::open(Arc::clone(disk), dir, old, options.clone())?;
    writer.log.seal_segment(&shared)?;
    let (spares, sequence) = {
        let state = shared.state.lock();
        let spares: Vec<u64> = state.space.spares.iter().map(|s| s.sequence).collect();
        (spares, state.space.next_sequence)
    };
    // An empty segment of the old owner behind the new one's first would not be its journal any more.
    for spare in spares {
        let path = dir.join(segment_name(spare));
        disk.remove(&path)
            .map_err(|e| OpenError::io("remove", &path, &e))?;
    }
    let allocator = Allocator::new(Arc::clone(disk), dir, new, options);
    let spare = allocator.make_spare(sequence)?;
    spare.map(|_| ()).ok_or(OpenError::DiskFull)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::SegmentHead;
    use raft_api::NodeId;

    fn identity(cluster: u8, incarnation: u32, node: u64) -> Identity {
        Identity {
            cluster: [cluster; 16],
            incarnation,
            node: NodeId(node),
        }
    }

    fn head(sequence: u64, identity: Option<Identity>) -> HeadRead {
        let disk = crate::faulty_disk::FaultyDisk::new(4096);
        let path = Path::new("/x");
        let copies = identity.map_or(HeadCopies::Damaged, |identity| {
            let head = SegmentHead {
                identity,
                sequence,
                capacity: 1,
            };
            HeadCopies::Sound(head, [false; 2])
        });
        HeadRead {
            sequence,
            path: path.to_owned(),
            file: disk.create(path).expect("a file"),
            bytes: 0,
            copies,
        }
    }

    #[test]
    fn eras_follow_each_other() {
        let check = |heads: &[Option<Identity>], expected, expect: Result<&[u64], ()>| {
            let heads = heads.iter().zip(1..);
            let heads: Vec<HeadRead> = heads.map(|(identity, at)| head(at, *identity)).collect();
            let eras = Eras::agree(Path::new("/x"), &heads, expected);
            let nodes = eras.map(|eras| {
                let at = |head: &HeadRead| eras.at(head.sequence).node.0;
                heads.iter().map(at).collect::<Vec<u64>>()
            });
            assert_eq!(nodes.as_deref().map_err(|_| ()), expect);
        };
        let (one, two) = (identity(1, 1, 3), identity(1, 2, 4));
        check(&[], Some(one), Ok(&[]));
        check(&[], None, Err(()));
        check(&[Some(one), Some(one)], Some(one), Ok(&[3, 3]));
        check(&[Some(one), Some(two)], Some(two), Ok(&[3, 4]));
        check(&[Some(one), None, Some(two)], None, Ok(&[3, 3, 4]));
        check(&[None, Some(one)], Some(one), Ok(&[3, 3]));
        // The newest is not the owner's; an incarnation that falls, or is used twice; another cluster.
        check(&[Some(one), Some(two)], Some(one), Err(()));
        check(&[Some(one)], Some(two), Err(()));
        check(&[Some(two), Some(one)], None, Err(()));
        check(&[Some(one), Some(identity(1, 1, 4))], None, Err(()));
        check(&[Some(one), Some(identity(2, 2, 4))], None, Err(()));
    }
}
