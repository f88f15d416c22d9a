//! Merging: neighbouring runs to one, beside readers and the writer. Each tier of runs is several times as large as the one
//! below, so that a message is written again once for each tier, and a search meets a few runs of each.

use crate::bits::Bits;
use crate::dead::{Cleaned, Dead};
use crate::error::IndexError;
use crate::limits::{DEAD_MIN, DEAD_SHARE, RUN_TEXT_BYTES_MAX, RUNS_PER_TIER, TIER_BYTES};
use crate::run::{Entry, Run, RunId, RunWriter};
use crate::section::{self, Input, Section};
use crate::store::{Live, SearchStore, State, manifest_of};
use engine_types::{AccountId, EmailId};
use std::sync::Arc;

impl SearchStore {
    /// Merges runs if that is due; false if nothing is. Readers and the writer go on meanwhile.
    pub fn merge(&self) -> Result<bool, IndexError> {
        let _merging = self.merging.lock();
        let due = due(&self.state.lock());
        match due {
            Some(range) => self.merge_range(range).map(|()| true),
            None => Ok(false),
        }
    }

    /// Merges all runs to one, whatever its size: a rebuild's last step.
    pub fn merge_all(&self) -> Result<(), IndexError> {
        let _merging = self.merging.lock();
        let count = self.state.lock().runs.len();
        if count > 1 {
            self.merge_range(0..count)?;
        }
        Ok(())
    }

    /// Only while `merging` is held: no other merge takes runs away.
    fn merge_range(&self, range: std::ops::Range<usize>) -> Result<(), IndexError> {
        let (inputs, dead, id, deaths) = {
            let mut state = self.state.lock();
            let Some(inputs) = state.runs.get(range).map(<[Live]>::to_vec) else {
                return Ok(());
            };
            let id = RunId(state.next_run);
            state.next_run += 1;
            (inputs, state.dead.clone(), id, state.next_death - 1)
        };
        let merged = self.write_merged(&inputs, &dead, id)?;
        let _writing = self.writing.lock();
        let mut state = self.state.lock();
        let Some(at) = inputs.first().and_then(|first| {
            let position = |live: &Live| live.run.id == first.run.id;
            state.runs.iter().position(position)
        }) else {
            return Ok(());
        };
        let cleaned = Cleaned {
            first: inputs
                .iter()
                .map(|live| live.cleaned.first)
                .min()
                .unwrap_or_default(),
            last: inputs
                .iter()
                .map(|live| live.cleaned.last)
                .max()
                .unwrap_or_default(),
            number: deaths,
        };
        let merged = merged.map(|run| Live { run, cleaned });
        state.runs.splice(at..at + inputs.len(), merged);
        let position = state.position;
        let manifest = manifest_of(&mut state, position);
        drop(state);
        manifest.write(&self.folder)?;
        inputs.iter().for_each(|live| self.remove_file(live.run.id));
        Ok(())
    }

    /// By account, ascending; where one run alone has it and nothing died, the section is copied.
    fn write_merged(
        &self,
        inputs: &[Live],
        dead: &Dead,
        id: RunId,
    ) -> Result<Option<Arc<Run>>, IndexError> {
        let mut writer = RunWriter::create(&self.folder, id)?;
        let mut entries = Vec::new();
        for live in inputs {
            let mut entries_of = live.run.entries();
            let next = entries_of.next().transpose()?;
            entries.push((live, entries_of, next));
        }
        while let Some(account) = entries
            .iter()
            .filter_map(|(.., next)| next.map(|n| n.account))
            .min()
        {
            let mut of_account: Vec<(&Live, Entry)> = Vec::new();
            for (live, entries_of, next) in &mut entries {
                if let Some(entry) = next.filter(|entry| entry.account == account) {
                    of_account.push((*live, entry));
                    *next = entries_of.next().transpose()?;
                }
            }
            self.merge_account(AccountId(account), &of_account, dead, &mut writer)?;
        }
        if writer.accounts() == 0 {
            self.remove_file(id);
            return Ok(None);
        }
        drop(entries);
        writer.finish()?;
        Ok(Some(Arc::new(Run::open(&self.folder, id)?)))
    }

    fn merge_account(
        &self,
        account: AccountId,
        sections: &[(&Live, Entry)],
        dead: &Dead,
        writer: &mut RunWriter,
    ) -> Result<(), IndexError> {
        let mut inputs = Vec::new();
        let mut anything_died = false;
        for (live, entry) in sections {
            let gone: Vec<EmailId> = dead.of(account, live.cleaned).collect();
            anything_died |= !gone.is_empty();
            let section = Section::open(live.run.clone(), *entry, self.caches.clone())?;
            let mut alive = Bits::all(section.messages());
            if !gone.is_empty() {
                alive.subtract(&section.ordinals(&gone)?);
            }
            inputs.push(Input {
                section,
                live: alive,
            });
        }
        if let [(live, entry)] = sections
            && !anything_died
        {
            let head = live.run.section_head(entry)?;
            return writer.copy(&live.run, entry, &head);
        }
        match section::merge(account.0, &inputs, self.options.plain_bytes_max)? {
            Some(built) => Ok(writer.section(&built)?),
            None => Ok(()),
        }
    }
}

/// The tier of a run: each is `RUNS_PER_TIER` times as large as the one below.
fn tier(bytes: u64) -> u32 {
    (bytes / TIER_BYTES).max(1).ilog(RUNS_PER_TIER as u64)
}

/// Neighbours to merge: the newest runs of a tier or below, once there are enough; or all, for the dead among them.
fn due(state: &State) -> Option<std::ops::Range<usize>> {
    let runs = &state.runs;
    let messages: u64 = runs.iter().map(|live| live.run.messages).sum();
    let dead_max = DEAD_MIN.max(messages as usize / DEAD_SHARE);
    if state.dead.len() > dead_max {
        // The oldest first: what is dead there waits longest.
        let least = runs
            .iter()
            .enumerate()
            .min_by_key(|(_, live)| live.cleaned.number)?;
        return Some(least.0..least.0 + 1);
    }
    let tops: Vec<u32> = runs.iter().map(|live| tier(live.run.text_bytes)).collect();
    let highest = tops.iter().max().copied()?;
    for top in 0..=highest {
        let count = tops.iter().rev().take_while(|tier| **tier <= top).count();
        let range = runs.len() - count..runs.len();
        let bytes: u64 = runs[range.clone()]
            .iter()
            .map(|live| live.run.text_bytes)
            .sum();
        if count >= RUNS_PER_TIER && bytes <= RUN_TEXT_BYTES_MAX {
            return Some(range);
        }
    }
    None
}
