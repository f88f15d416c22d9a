//! What a small share of much costs: a mailbox among an account's messages beside the same messages alone, and many small
//! accounts in one index.
//!
//! `cargo run --release -p index-query --example shares -- CORPUS_FOLDER MESSAGES QUERIES`

#[path = "../../store/examples/corpus/mod.rs"]
mod corpus;
#[path = "../tests/oracle/mod.rs"]
mod oracle;
#[path = "../tests/questions/mod.rs"]
mod questions;

use corpus::Corpus;
use engine_types::{AccountId, EmailId};
use index_query::{Query, Source, search};
use index_store::{AddError, Options, SearchStore};
use index_text::FoldedText;
use oracle::{Asked, Seen, Test};
use questions::Chance;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

const MAILBOX: usize = 1_000;
const ACCOUNTS: u64 = 1_000;
const ACCOUNT: AccountId = AccountId(1);

struct NoSource;

impl Source for NoSource {
    fn text(&self, _: EmailId) -> Option<FoldedText> {
        None
    }
}

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count, queries] = &args[..] else {
        return Err("arguments: CORPUS_FOLDER MESSAGES QUERIES".into());
    };
    let corpus = Corpus::open(Path::new(folder))?;
    let (count, queries): (usize, usize) = (count.parse()?, queries.parse()?);
    let step = (count / MAILBOX).max(1);
    let mailbox: Vec<EmailId> = (0..count)
        .step_by(step)
        .map(|number| EmailId(number as u64))
        .collect();
    let sample: Vec<Seen> = mailbox
        .iter()
        .map(|id| seen(&corpus, id.0 as usize))
        .collect();
    let mut chance = Chance(5);
    let asked: Vec<Asked> = (0..queries)
        .map(|_| questions::generate(&mut chance, &sample))
        .collect();

    let place = tempfile::tempdir()?;
    let alone = build(
        &corpus,
        mailbox.iter().map(|id| (ACCOUNT, *id)),
        &place.path().join("alone"),
    )?;
    let among = (0..count).map(|number| (ACCOUNT, EmailId(number as u64)));
    let among = build(&corpus, among, &place.path().join("among"))?;
    let expected: Vec<Vec<EmailId>> = asked
        .iter()
        .map(|asked| answer(asked, &sample, &mailbox))
        .collect();
    report(
        "a mailbox of its own account",
        &alone,
        &asked,
        |_| ACCOUNT,
        &mailbox,
        Some(&expected),
    )?;
    report(
        "the same mailbox among all messages",
        &among,
        &asked,
        |_| ACCOUNT,
        &mailbox,
        Some(&expected),
    )?;
    let spread =
        (0..count).map(|number| (AccountId(number as u64 % ACCOUNTS), EmailId(number as u64)));
    let spread = build(&corpus, spread, &place.path().join("spread"))?;
    let all: Vec<EmailId> = (0..count as u64).map(EmailId).collect();
    let account = |at: usize| AccountId(at as u64 * 7 % ACCOUNTS);
    report(
        "one of 1,000 accounts",
        &spread,
        &asked,
        account,
        &all,
        None,
    )?;
    Ok(())
}

fn answer(asked: &Asked, seen: &[Seen], ids: &[EmailId]) -> Vec<EmailId> {
    let test = Test::new(asked);
    let both = seen.iter().zip(ids);
    both.filter(|(seen, id)| seen.is(&test, id.0))
        .map(|(_, id)| *id)
        .collect()
}

fn seen(corpus: &Corpus, number: usize) -> Seen {
    let message = corpus.message(number);
    Seen::new(&message, &engine_message::facts(&message))
}

fn build(
    corpus: &Corpus,
    messages: impl Iterator<Item = (AccountId, EmailId)>,
    folder: &Path,
) -> Outcome<SearchStore> {
    let (store, _) = SearchStore::open(folder, Options::default())?;
    for (account, id) in messages {
        let message = corpus.message(id.0 as usize);
        let text = index_feed::folded_text(&engine_message::facts(&message), b"", &message);
        if store.add(account, id, text.clone()) == Err(AddError::Full) {
            store.flush(id.0)?;
            while store.merge()? {}
            store.add(account, id, text)?;
        }
    }
    store.flush(u64::MAX)?;
    store.merge_all()?;
    Ok(store)
}

fn report(
    what: &str,
    store: &SearchStore,
    asked: &[Asked],
    account: impl Fn(usize) -> AccountId,
    messages: &[EmailId],
    expected: Option<&[Vec<EmailId>]>,
) -> Outcome<()> {
    let size = store.size()?;
    let mut times: Vec<Duration> = Vec::new();
    let (mut hits, mut differences) = (0, 0);
    for (at, asked) in asked.iter().enumerate() {
        // Nothing is asked about other accounts' messages.
        let own = own_ids(&store.reader(account(at))?)?;
        let ids: Vec<EmailId> = messages
            .iter()
            .filter(|id| own.binary_search(id).is_ok())
            .copied()
            .collect();
        let query = Query::new(questions::key(asked))?;
        let start = Instant::now();
        let answer = search(&store.reader(account(at))?, &query, &ids, &NoSource);
        times.push(start.elapsed());
        hits += answer.found.len();
        differences += usize::from(expected.is_some_and(|expected| expected[at] != answer.found));
    }
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    writeln!(
        std::io::stdout(),
        "{what}: index {:.3} of the text; {} queries, {hits} hits, {differences} differ, p50 {:.2?}, p99 {:.2?}",
        (size.file_bytes - size.blocks_bytes) as f64 / size.text_bytes as f64,
        times.len(),
        at(50),
        at(99),
    )?;
    Ok(())
}

fn own_ids(reader: &index_store::AccountReader) -> Outcome<Vec<EmailId>> {
    let mut ids = Vec::new();
    for live in &reader.sections {
        ids.extend(live.section.ids(&live.live)?);
    }
    ids.sort_unstable();
    Ok(ids)
}
