//! The store against a model: whatever is added, deleted, flushed, merged, dropped by a crash, readers see just that.

use engine_types::{AccountId, EmailId};
use index_store::{AccountReader, AddError, Bits, Half, IndexError, Options, SearchStore};
use index_text::{Area, FoldedText, FoldedTextBuilder, Kind, Piece, tokens};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn text(subject: &str, body: &str) -> FoldedText {
    let mut builder = FoldedTextBuilder::new();
    builder.field("Subject", subject);
    builder.field("X-Note", body);
    builder.body(body);
    builder.finish()
}

type Messages = BTreeMap<u64, FoldedText>;

/// All that a reader gives, by id.
fn contents(reader: &AccountReader) -> Result<Messages, IndexError> {
    let mut all = Messages::new();
    for live in &reader.sections {
        let mut halves = [BTreeMap::new(), BTreeMap::new()];
        for half in [Half::Head, Half::Body] {
            live.section.texts(half, &live.live, |ordinal, text| {
                let text = String::from_utf8(text.to_vec()).unwrap();
                halves[half as usize].insert(ordinal, text);
                true
            })?;
        }
        let [heads, mut bodies] = halves;
        for (ordinal, head) in heads {
            let body = bodies.remove(&ordinal).unwrap();
            let before = all.insert(live.section.id(ordinal)?.0, FoldedText { head, body });
            assert!(before.is_none(), "a message stands in two runs");
        }
    }
    for message in &reader.tail {
        let before = all.insert(message.id.0, message.text.clone());
        assert!(
            before.is_none(),
            "a message stands in a run and in the tail"
        );
    }
    Ok(all)
}

/// Each token leads to just the messages of each section that have it.
fn check_postings(reader: &AccountReader, model: &Messages) -> Result<(), IndexError> {
    for live in reader
        .sections
        .iter()
        .filter(|live| !live.section.is_plain())
    {
        let section = &live.section;
        let mut expect: BTreeMap<(Area, Kind, String), Bits> = BTreeMap::new();
        for ordinal in live.live.iter() {
            let text = &model[&section.id(ordinal)?.0];
            tokens(&text.head, &text.body, |area, kind, token| {
                let bits = expect.entry((area, kind, token.to_owned()));
                bits.or_insert_with(|| Bits::none(section.messages()))
                    .insert(ordinal);
            });
        }
        for ((area, kind, token), expect) in expect {
            let piece = Piece {
                kind,
                text: &token,
                bare: &token,
                open_left: false,
                open_right: false,
            };
            let mut found = Bits::none(section.messages());
            let all = Bits::all(section.messages());
            section.add_messages(
                area,
                kind,
                &section.matches(area, &piece)?,
                &all,
                &mut found,
            )?;
            found.intersect(&live.live);
            assert_eq!(found, expect, "{area:?} {token:?}");
        }
    }
    Ok(())
}

fn check(store: &SearchStore, model: &BTreeMap<u64, Messages>) {
    for account in 0..4 {
        let empty = Messages::new();
        let expect = model.get(&account).unwrap_or(&empty);
        let reader = store.reader(AccountId(account)).unwrap();
        assert!(reader.damaged.is_empty());
        assert_eq!(&contents(&reader).unwrap(), expect, "account {account}");
        check_postings(&reader, expect).unwrap();
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add(u64, u8),
    Delete(u64, prop::sample::Index),
    AddAgain(u64),
    Flush,
    Merge,
    MergeAll,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let account = 0_u64..3;
    let step = prop_oneof![
        6 => (account.clone(), any::<u8>()).prop_map(|(account, word)| Step::Add(account, word)),
        2 => (account.clone(), any::<prop::sample::Index>()).prop_map(|(account, which)| Step::Delete(account, which)),
        1 => account.prop_map(Step::AddAgain),
        3 => Just(Step::Flush),
        1 => Just(Step::Merge),
        1 => Just(Step::MergeAll),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..40)
}

fn indexed(plain_bytes_max: u64) -> Options {
    Options {
        plain_bytes_max,
        ..Options::default()
    }
}

fn open(folder: &Path, plain_bytes_max: u64) -> SearchStore {
    let (store, damaged) = SearchStore::open(folder, indexed(plain_bytes_max)).unwrap();
    assert!(damaged.is_empty());
    store
}

fn run(steps: Vec<Step>, plain_bytes_max: u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), plain_bytes_max);
    let mut model: BTreeMap<u64, Messages> = BTreeMap::new();
    let mut flushed = (model.clone(), 0);
    let mut deleted: Vec<(u64, u64)> = Vec::new();
    let mut deleted_since: Vec<(u64, u64)> = Vec::new();
    for (number, step) in steps.into_iter().enumerate() {
        let id = number as u64 * 7 % 41 + number as u64 * 41;
        match step {
            Step::Add(account, word) => {
                let text = text(
                    &format!("w{}", word % 5),
                    &format!("a{word} b{} é", word % 3),
                );
                store
                    .add(AccountId(account), EmailId(id), text.clone())
                    .unwrap();
                model.entry(account).or_default().insert(id, text);
            }
            Step::Delete(account, which) => {
                let messages = model.entry(account).or_default();
                let ids: Vec<u64> = messages.keys().copied().collect();
                if !ids.is_empty() {
                    let id = *which.get(&ids);
                    messages.remove(&id);
                    store.delete(AccountId(account), EmailId(id));
                    deleted.push((account, id));
                    deleted_since.push((account, id));
                }
            }
            Step::AddAgain(account) => {
                if let Some(at) = deleted.iter().position(|(of, _)| *of == account) {
                    let (_, id) = deleted.remove(at);
                    let again = text("again", "again");
                    store
                        .add(AccountId(account), EmailId(id), again.clone())
                        .unwrap();
                    model.entry(account).or_default().insert(id, again);
                }
            }
            Step::Flush => {
                store.flush(number as u64).unwrap();
                flushed = (model.clone(), number as u64);
                deleted_since.clear();
            }
            Step::Merge => while store.merge().unwrap() {},
            Step::MergeAll => store.merge_all().unwrap(),
            Step::Crash => {
                store = open(folder.path(), plain_bytes_max);
                model = flushed.0.clone();
                deleted.clear();
                assert_eq!(store.position(), flushed.1);
                // A merge may have kept deletions that came since; the log says them again.
                for (account, id) in deleted_since.iter().copied() {
                    store.delete(AccountId(account), EmailId(id));
                    model.entry(account).or_default().remove(&id);
                }
            }
        }
        check(&store, &model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn readers_see_what_the_model_has(steps in steps(), plain_bytes_max in prop_oneof![Just(0_u64), 0_u64..500]) {
        run(steps, plain_bytes_max);
    }
}

#[test]
fn runs_are_merged_by_tiers_and_deletions_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 0);
    let account = AccountId(1);
    for id in 0..60 {
        store
            .add(account, EmailId(id), text("s", &format!("word{id}")))
            .unwrap();
        store.flush(id).unwrap();
        store.merge().unwrap();
        assert!(store.size().unwrap().runs <= 6);
    }
    (0..60).for_each(|id| store.delete(account, EmailId(id)));
    store.merge_all().unwrap();
    store.flush(60).unwrap();
    let size = store.size().unwrap();
    assert_eq!((size.runs, size.messages), (0, 0));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "the manifest alone"
    );
}

#[test]
fn a_full_tail_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        tail_bytes_max: 100,
        ..Options::default()
    };
    let (store, _) = SearchStore::open(folder.path(), options).unwrap();
    let long = text("s", &"x".repeat(200));
    let account = AccountId(1);
    assert_eq!(store.add(account, EmailId(1), long.clone()), Ok(()));
    assert_eq!(
        store.add(account, EmailId(2), long.clone()),
        Err(AddError::Full)
    );
    store.flush(1).unwrap();
    assert_eq!(store.add(account, EmailId(2), long), Ok(()));
}

#[test]
fn a_reader_stays_as_it_was_opened() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 0);
    let account = AccountId(1);
    store.add(account, EmailId(1), text("s", "one")).unwrap();
    store.flush(1).unwrap();
    store.add(account, EmailId(2), text("s", "two")).unwrap();
    let reader = store.reader(account).unwrap();
    store.delete(account, EmailId(1));
    store.flush(2).unwrap();
    store.merge_all().unwrap();
    let found: Vec<u64> = contents(&reader).unwrap().into_keys().collect();
    assert_eq!(found, [1, 2]);
}

/// Any byte of a run may rot: what is read is right or refused, and the rest goes on.
#[test]
fn a_rotten_byte_is_never_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 0);
    let account = AccountId(1);
    let mut model = Messages::new();
    for id in 0..4 {
        let text = text(&format!("s{id}"), &format!("some words {id}"));
        store.add(account, EmailId(id), text.clone()).unwrap();
        model.insert(id, text);
    }
    store.flush(9).unwrap();
    drop(store);
    let run = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let run = run
        .into_iter()
        .find(|path| path.extension().is_some_and(|e| e == "run"))
        .unwrap();
    let whole = fs::read(&run).unwrap();
    let mut refused = 0;
    for at in 0..whole.len() {
        let mut rotten = whole.clone();
        rotten[at] ^= 0x41;
        fs::write(&run, &rotten).unwrap();
        let (store, damaged) = SearchStore::open(folder.path(), indexed(0)).unwrap();
        if !damaged.is_empty() {
            // The next start would not find the file again.
            fs::write(&run, &whole).unwrap();
            refused += 1;
            continue;
        }
        let reader = store.reader(account).unwrap();
        let read = contents(&reader).and_then(|found| {
            check_postings(&reader, &model)?;
            Ok(found)
        });
        match read {
            Ok(found) if reader.damaged.is_empty() => assert_eq!(found, model, "octet {at}"),
            Ok(_) | Err(IndexError::Damaged { .. }) => refused += 1,
            Err(error) => panic!("octet {at}: {error}"),
        }
    }
    assert_eq!(refused, whole.len());
}

#[test]
fn a_lost_run_is_named_and_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 0);
    store
        .add(AccountId(1), EmailId(1), text("s", "one"))
        .unwrap();
    store.flush(1).unwrap();
    store
        .add(AccountId(1), EmailId(2), text("s", "two"))
        .unwrap();
    store.flush(2).unwrap();
    drop(store);
    fs::remove_file(folder.path().join("0000000000000001.run")).unwrap();
    let (store, damaged) = SearchStore::open(folder.path(), Options::default()).unwrap();
    assert_eq!(damaged.len(), 1);
    let reader = store.reader(AccountId(1)).unwrap();
    assert_eq!(
        contents(&reader).unwrap().into_keys().collect::<Vec<_>>(),
        [2]
    );
}
