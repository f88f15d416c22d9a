//! Rows as the entries of one batch have changed them, over rows that have not changed yet.

use bytes::Bytes;
use engine_domain::{Rows, RowsError, RowsMut};
use engine_store::{StoreError, ViewStore, Visit};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// Reads see its own changes. Nothing reaches the store before `changes` is written.
pub struct Overlay<'a> {
    store: &'a dyn ViewStore,
    /// `None`: deleted.
    changed: BTreeMap<Vec<u8>, Option<Bytes>>,
    /// What was looked up in the store. Only the fold changes it, and not before this run is written.
    looked_up: RefCell<HashMap<Vec<u8>, Option<Bytes>>>,
    /// What keys of `changed` held since the save point, oldest first; `None`: they were not in it.
    replaced: Vec<(Vec<u8>, Option<Option<Bytes>>)>,
}

/// `None`: no such row.
pub struct RowChange {
    pub key: Vec<u8>,
    pub before: Option<Bytes>,
    pub after: Option<Bytes>,
}

impl<'a> Overlay<'a> {
    pub fn new(store: &'a dyn ViewStore) -> Overlay<'a> {
        Overlay {
            store,
            changed: BTreeMap::new(),
            looked_up: RefCell::default(),
            replaced: Vec::new(),
        }
    }

    /// Each key whose row differs from the store's, ascending.
    pub fn into_changes(self) -> Result<Vec<RowChange>, StoreError> {
        let mut looked_up = self.looked_up.into_inner();
        let mut changes = Vec::with_capacity(self.changed.len());
        for (key, after) in self.changed {
            let before = match looked_up.remove(&key) {
                Some(before) => before,
                None => self.store.get(&key)?,
            };
            if before != after {
                changes.push(RowChange { key, before, after });
            }
        }
        Ok(changes)
    }

    fn change(&mut self, key: Vec<u8>, row: Option<Bytes>) {
        let old = self.changed.insert(key.clone(), row);
        self.replaced.push((key, old));
    }

    fn changed_in(
        &self,
        from: &[u8],
        to: &[u8],
    ) -> impl DoubleEndedIterator<Item = (&Vec<u8>, &Option<Bytes>)> {
        // `BTreeMap::range` panics on an inverted range; an empty one is what the caller means.
        let to = to.max(from);
        self.changed
            .range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)))
    }
}

pub fn rows_error(error: StoreError) -> RowsError {
    RowsError::Store(error.to_string())
}

/// Merges two runs that are both in the order of `precedes`; where a key is in both, `changed` wins.
fn merge<'c>(
    changed: impl Iterator<Item = (&'c Vec<u8>, &'c Option<Bytes>)>,
    precedes: fn(&[u8], &[u8]) -> bool,
    stored: impl FnOnce(Visit<'_>) -> Result<(), StoreError>,
    visit: Visit<'_>,
) -> Result<(), RowsError> {
    let mut changed = changed.peekable();
    let mut goes_on = true;
    stored(&mut |key, value| {
        while let Some((earlier, row)) = changed.next_if(|(c, _)| precedes(c, key)) {
            if let Some(row) = row {
                goes_on = visit(earlier, row);
                if !goes_on {
                    return false;
                }
            }
        }
        match changed.next_if(|(c, _)| c.as_slice() == key) {
            Some((_, None)) => {}
            Some((_, Some(row))) => goes_on = visit(key, row),
            None => goes_on = visit(key, value),
        }
        goes_on
    })
    .map_err(rows_error)?;
    if goes_on {
        for (key, row) in changed {
            if let Some(row) = row
                && !visit(key, row)
            {
                break;
            }
        }
    }
    Ok(())
}

impl Rows for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, RowsError> {
        if let Some(row) = self.changed.get(key) {
            return Ok(row.clone());
        }
        if let Some(row) = self.looked_up.borrow().get(key) {
            return Ok(row.clone());
        }
        let row = self.store.get(key).map_err(rows_error)?;
        self.looked_up
            .borrow_mut()
            .insert(key.to_vec(), row.clone());
        Ok(row)
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), RowsError> {
        let stored = |visit: Visit<'_>| self.store.scan(from, to, visit);
        merge(self.changed_in(from, to), |a, b| a < b, stored, visit)
    }

    fn scan_back(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), RowsError> {
        let stored = |visit: Visit<'_>| self.store.scan_back(from, to, visit);
        merge(self.changed_in(from, to).rev(), |a, b| a > b, stored, visit)
    }
}

impl RowsMut for Overlay<'_> {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.change(key, Some(value.into()));
    }

    fn delete(&mut self, key: Vec<u8>) {
        self.change(key, None);
    }

    fn save_point(&mut self) {
        self.replaced.clear();
    }

    fn undo(&mut self) {
        while let Some((key, row)) = self.replaced.pop() {
            match row {
                Some(row) => self.changed.insert(key, row),
                None => self.changed.remove(&key),
            };
        }
    }
}
