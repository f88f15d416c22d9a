//! Exact search over many messages: sizes, rates, times, and differences from the oracle, of which there must be none.
//!
//! `cargo run --release -p index-query --example exact -- CORPUS_FOLDER MESSAGES QUERIES TEXT_CACHE_MB [oracle]`

#[path = "../../store/examples/corpus/mod.rs"]
mod corpus;
#[path = "../tests/oracle/mod.rs"]
mod oracle;
#[path = "../tests/questions/mod.rs"]
mod questions;

use corpus::Corpus;
use engine_types::{AccountId, EmailId};
use index_query::{Query, Source, search};
use index_store::{AddError, IndexError, Options, SearchStore};
use index_text::{Area, FoldedText, fold, is_decisive, pieces};
use oracle::{Asked, Seen, Test};
use questions::Chance;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

const ACCOUNT: AccountId = AccountId(1);
/// Messages that needles are taken from.
const SAMPLE: usize = 3_000;

/// Folded text that comes together before a flush.
const FLUSH_BYTES: usize = 24 << 20;

struct NoSource;

impl Source for NoSource {
    fn text(&self, _: EmailId) -> Option<FoldedText> {
        None
    }
}

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count, queries, cache_mb, ..] = &args[..] else {
        return Err("arguments: CORPUS_FOLDER MESSAGES QUERIES TEXT_CACHE_MB [oracle]".into());
    };
    let corpus = Corpus::open(Path::new(folder))?;
    let (count, queries) = (count.parse()?, queries.parse()?);
    let place = tempfile::tempdir()?;
    let options = Options {
        text_cache_bytes_max: cache_mb.parse::<usize>()? << 20,
        ..Options::default()
    };
    let store = build(&corpus, count, place.path(), options)?;
    let sample: Vec<Seen> = (0..count)
        .step_by((count / SAMPLE).max(1))
        .map(|number| seen(&corpus, number))
        .collect();
    let mut chance = Chance(77);
    let asked: Vec<Asked> = (0..queries)
        .map(|_| questions::generate(&mut chance, &sample))
        .collect();
    drop(sample);
    let ids: Vec<EmailId> = (0..count as u64).map(EmailId).collect();
    let answers = ask_all(&store, &asked, &ids)?;
    if args.get(4).is_some_and(|word| word == "oracle") {
        compare(&corpus, &asked, &answers, count)?;
    }
    Ok(())
}

fn seen(corpus: &Corpus, number: usize) -> Seen {
    let message = corpus.message(number);
    Seen::new(&message, &engine_message::facts(&message))
}

fn build(corpus: &Corpus, count: usize, folder: &Path, options: Options) -> Outcome<SearchStore> {
    let (store, _) = SearchStore::open(folder, options)?;
    let mut raw_bytes = 0;
    let mut extracting = Duration::ZERO;
    let mut making = Duration::ZERO;
    let start = Instant::now();
    // One thread extracts, another flushes and merges what has come together meanwhile.
    let (send, receive) = sync_channel::<()>(1);
    let flushed = thread::scope(|scope| -> Outcome<()> {
        let store = &store;
        let flusher = scope.spawn(move || -> Result<(), IndexError> {
            while receive.recv().is_ok() {
                store.flush(0)?;
                while store.merge()? {}
            }
            store.flush(count as u64)?;
            while store.merge()? {}
            Ok(())
        });
        let mut bytes = 0;
        for number in 0..count {
            let start = Instant::now();
            let message = corpus.message(number);
            let facts = engine_message::facts(&message);
            making += start.elapsed();
            raw_bytes += message.len();
            let start = Instant::now();
            let text = index_feed::folded_text(&facts, b"", &message);
            extracting += start.elapsed();
            bytes += text.bytes();
            while store.add(ACCOUNT, EmailId(number as u64), text.clone()) == Err(AddError::Full) {
                send.send(())?;
            }
            if bytes > FLUSH_BYTES && send.try_send(()).is_ok() {
                bytes = 0;
            }
        }
        drop(send);
        flusher
            .join()
            .map_err(|_| "the flushing thread panicked")??;
        Ok(())
    });
    flushed?;
    let took = start.elapsed() - making;
    report_size(&store, "as merged on the way", raw_bytes)?;
    let start = Instant::now();
    store.merge_all()?;
    let last = start.elapsed();
    report_size(&store, "in one run", raw_bytes)?;
    let rate = |spent: Duration| count as f64 / spent.as_secs_f64();
    writeln!(
        std::io::stdout(),
        "built on two threads: {:.0} messages/s (extracting {extracting:.1?}), with the merge of all to one run ({last:.1?}) {:.0}/s",
        rate(took),
        rate(took + last),
    )?;
    Ok(store)
}

fn report_size(store: &SearchStore, what: &str, raw_bytes: usize) -> Outcome<()> {
    let size = store.size()?;
    let index = size.file_bytes - size.blocks_bytes;
    writeln!(
        std::io::stdout(),
        "{what}: {} runs; raw {} MB, folded {} MB; index {:.3} of the folded text; texts {:.3} of the raw mail",
        size.runs,
        raw_bytes / 1_000_000,
        size.text_bytes / 1_000_000,
        index as f64 / size.text_bytes as f64,
        size.blocks_bytes as f64 / raw_bytes as f64,
    )?;
    Ok(())
}

fn kind(asked: &Asked) -> &'static str {
    let needle = match asked {
        Asked::Text(needle) | Asked::Body(needle) | Asked::Header(_, needle) => fold(needle),
        Asked::Among(_) => return "no text",
        _ => return "tree",
    };
    let pieces = pieces(&needle);
    let header = matches!(asked, Asked::Header(..));
    match pieces
        .iter()
        .any(|piece| is_decisive(&needle, piece, Area::Body))
    {
        true if header => "field, within a token",
        true if needle.chars().nth(2).is_none() => "within a token, 1 or 2 characters",
        true => "within a token, 3 characters and more",
        false if header => "field, across tokens",
        false if needle.len() < 8 => "across tokens, below 8 octets",
        false => "across tokens, 8 octets and more",
    }
}

/// The answers, as positions of set bits.
fn ask_all(store: &SearchStore, asked: &[Asked], ids: &[EmailId]) -> Outcome<Vec<Vec<u32>>> {
    let mut times: BTreeMap<&str, Vec<(Duration, usize)>> = BTreeMap::new();
    let mut answers = Vec::new();
    let mut out = std::io::stdout();
    for (number, asked) in asked.iter().enumerate() {
        let query = Query::new(questions::key(asked))?;
        let start = Instant::now();
        let answer = search(&store.reader(ACCOUNT)?, &query, ids, &NoSource);
        let took = start.elapsed();
        times.entry(kind(asked)).or_default().push((took, number));
        times.entry("all").or_default().push((took, number));
        if !answer.damaged.is_empty() || answer.scanned > 0 {
            writeln!(out, "incomplete: {asked:?} {:?}", answer.damaged)?;
        }
        answers.push(answer.found.iter().map(|id| id.0 as u32).collect());
    }
    for (kind, mut times) in times {
        times.sort_unstable();
        let at = |per_mille: usize| times[(times.len() * per_mille / 1000).min(times.len() - 1)].0;
        writeln!(
            out,
            "{kind}: {} queries, p50 {:.2?}, p90 {:.2?}, p99 {:.2?}, longest {:.2?}",
            times.len(),
            at(500),
            at(900),
            at(990),
            at(1000),
        )?;
    }
    Ok(answers)
}

/// Message by message, so that memory holds the answers and no corpus; half of the messages in each of two threads.
fn compare(corpus: &Corpus, asked: &[Asked], answers: &[Vec<u32>], count: usize) -> Outcome<()> {
    let tests: Vec<Test> = asked.iter().map(Test::new).collect();
    let middle = count / 2;
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(|| differences(corpus, &tests, answers, 0..middle));
        let second = differences(corpus, &tests, answers, middle..count);
        (first.join(), second)
    });
    let mut all = first.map_err(|_| "a thread panicked")?;
    all.extend(second);
    let mut out = std::io::stdout();
    for (which, number) in all.iter().take(20) {
        writeln!(out, "message {number}: {:?}", asked[*which])?;
    }
    let hits: usize = answers.iter().map(Vec::len).sum();
    writeln!(
        out,
        "{} differences from the oracle; {} queries, {hits} hits",
        all.len(),
        asked.len()
    )?;
    Ok(())
}

fn differences(
    corpus: &Corpus,
    tests: &[Test],
    answers: &[Vec<u32>],
    range: Range<usize>,
) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let start =
        |answer: &Vec<u32>| answer.partition_point(|number| (*number as usize) < range.start);
    let mut at: Vec<usize> = answers.iter().map(start).collect();
    for number in range {
        let seen = seen(corpus, number);
        for (which, test) in tests.iter().enumerate() {
            let answered = answers[which].get(at[which]) == Some(&(number as u32));
            at[which] += usize::from(answered);
            if seen.is(test, number as u64) != answered {
                found.push((which, number));
            }
        }
    }
    found
}
