//! Postings in tantivy against runs of our own: the same tokens of the same messages, one account.
//!
//! `cargo run --release -p index-store --features trial --example postings -- CORPUS_FOLDER MESSAGES`

mod corpus;

use corpus::{Chance, Corpus};
use engine_types::{AccountId, EmailId};
use index_store::{AddError, Bits, Options, SearchStore};
use index_text::{Area, FoldedText, Kind, Piece, tokens};
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use tantivy::{DocSet, Index, IndexWriter, Searcher, TERMINATED, TantivyDocument, Term};

type Outcome<T> = Result<T, Box<dyn Error>>;

const ACCOUNT: AccountId = AccountId(1);

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let (Some(folder), Some(count)) = (args.next(), args.next()) else {
        return Err("arguments: CORPUS_FOLDER MESSAGES".into());
    };
    let corpus = Corpus::open(Path::new(&folder))?;
    let count: usize = count.parse()?;
    let mut out = std::io::stdout();
    let place = tempfile::tempdir()?;
    let words = sample(&corpus, count);
    let (store, built) = build_own(&corpus, count, &place.path().join("own"))?;
    let size = store.size()?;
    let own = size.file_bytes - size.blocks_bytes;
    let share = |bytes: u64| bytes as f64 / size.text_bytes as f64;
    writeln!(
        out,
        "messages {count}, folded text {} MB",
        size.text_bytes / 1_000_000
    )?;
    writeln!(
        out,
        "own: built in {built:?}, {} MB, {:.3} of the text",
        own / 1_000_000,
        share(own)
    )?;
    let (index, built) = build_tantivy(&corpus, count, &place.path().join("tantivy"))?;
    let theirs = folder_bytes(&place.path().join("tantivy"))?;
    writeln!(
        out,
        "tantivy: built in {built:?}, {} MB, {:.3} of the text",
        theirs / 1_000_000,
        share(theirs)
    )?;
    let (mut ours, mut hits) = times(&words, |word| look_own(&store, word, false))?;
    writeln!(
        out,
        "own, a whole word: {} ({hits} hits)",
        spread(&mut ours)
    )?;
    let searcher = index.reader()?.searcher();
    let field = index.schema().get_field("tokens")?;
    let (mut theirs, their_hits) = times(&words, |word| {
        let term = Term::from_field_text(field, &keyed(Area::Body, Kind::Word, word));
        look_tantivy(&searcher, field, &term)
    })?;
    writeln!(
        out,
        "tantivy, a whole word: {} ({their_hits} hits)",
        spread(&mut theirs)
    )?;
    (ours, hits) = times(&words, |word| look_own(&store, word, true))?;
    writeln!(
        out,
        "own, a part of a word: {} ({hits} hits)",
        spread(&mut ours)
    )?;
    Ok(())
}

/// Words as they stand in messages, common ones more often.
fn sample(corpus: &Corpus, count: usize) -> Vec<String> {
    let mut chance = Chance(1);
    let mut words = Vec::new();
    while words.len() < 2_000 {
        let text = folded(corpus, chance.below(count));
        let mut all = Vec::new();
        tokens("", &text.body, |_, kind, token| {
            all.extend((kind == Kind::Word).then(|| token.to_owned()))
        });
        words.extend((0..4.min(all.len())).map(|_| all[chance.below(all.len())].clone()));
    }
    words
}

fn folded(corpus: &Corpus, number: usize) -> FoldedText {
    let message = corpus.message(number);
    index_feed::folded_text(&engine_message::facts(&message), b"", &message)
}

fn build_own(corpus: &Corpus, count: usize, folder: &Path) -> Outcome<(SearchStore, Duration)> {
    let (store, _) = SearchStore::open(folder, Options::default())?;
    let mut spent = Duration::ZERO;
    for number in 0..count {
        let text = folded(corpus, number);
        let start = Instant::now();
        if store.add(ACCOUNT, EmailId(number as u64), text.clone()) == Err(AddError::Full) {
            store.flush(number as u64)?;
            while store.merge()? {}
            store.add(ACCOUNT, EmailId(number as u64), text)?;
        }
        spent += start.elapsed();
    }
    let start = Instant::now();
    store.flush(count as u64)?;
    store.merge_all()?;
    Ok((store, spent + start.elapsed()))
}

fn look_own(store: &SearchStore, word: &str, open: bool) -> Outcome<usize> {
    let reader = store.reader(ACCOUNT)?;
    let piece = Piece {
        kind: Kind::Word,
        text: word,
        bare: word,
        open_left: open,
        open_right: open,
    };
    let mut hits = 0;
    for live in &reader.sections {
        let mut found = Bits::none(live.section.messages());
        let tokens = live.section.matches(Area::Body, &piece)?;
        live.section
            .add_messages(Area::Body, Kind::Word, &tokens, &live.live, &mut found)?;
        hits += found.count() as usize;
    }
    Ok(hits)
}

/// Into a set of the same kind as ours.
fn look_tantivy(searcher: &Searcher, field: Field, term: &Term) -> Outcome<usize> {
    let mut hits = 0;
    for segment in searcher.segment_readers() {
        let inverted = segment.inverted_index(field)?;
        let mut found = Bits::none(segment.max_doc());
        if let Some(mut postings) = inverted.read_postings(term, IndexRecordOption::Basic)? {
            let mut document = postings.doc();
            while document != TERMINATED {
                found.insert(document);
                document = postings.advance();
            }
        }
        hits += found.count() as usize;
    }
    Ok(hits)
}

/// A token with its area and kind in front, as one term.
fn keyed(area: Area, kind: Kind, token: &str) -> String {
    format!("{}{}{token}", area as u8, kind as u8)
}

/// Terms divided by line feeds.
#[derive(Clone)]
struct Lines;

struct LinesStream<'a> {
    rest: std::str::Split<'a, char>,
    token: Token,
}

impl Tokenizer for Lines {
    type TokenStream<'a> = LinesStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> LinesStream<'a> {
        LinesStream {
            rest: text.split('\n'),
            token: Token::default(),
        }
    }
}

impl TokenStream for LinesStream<'_> {
    fn advance(&mut self) -> bool {
        let next = self.rest.next();
        self.token.text.clear();
        self.token.text.push_str(next.unwrap_or_default());
        next.is_some()
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

fn build_tantivy(corpus: &Corpus, count: usize, folder: &Path) -> Outcome<(Index, Duration)> {
    std::fs::create_dir_all(folder)?;
    let indexing = TextFieldIndexing::default()
        .set_tokenizer("lines")
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::Basic);
    let mut schema = Schema::builder();
    let field = schema.add_text_field(
        "tokens",
        TextOptions::default().set_indexing_options(indexing),
    );
    let index = Index::create_in_dir(folder, schema.build())?;
    index.tokenizers().register("lines", Lines);
    let mut writer: IndexWriter = index.writer_with_num_threads(1, 200_000_000)?;
    let mut spent = Duration::ZERO;
    for number in 0..count {
        let text = folded(corpus, number);
        let start = Instant::now();
        let mut terms = String::new();
        tokens(&text.head, &text.body, |area, kind, token| {
            terms.push_str(&keyed(area, kind, token));
            terms.push('\n');
        });
        let mut document = TantivyDocument::default();
        document.add_text(field, &terms);
        writer.add_document(document)?;
        spent += start.elapsed();
    }
    let start = Instant::now();
    writer.commit()?;
    let segments = index.searchable_segment_ids()?;
    writer.merge(&segments).wait()?;
    writer.garbage_collect_files().wait()?;
    writer.wait_merging_threads()?;
    Ok((index, spent + start.elapsed()))
}

fn folder_bytes(folder: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

fn times(
    words: &[String],
    mut look: impl FnMut(&str) -> Outcome<usize>,
) -> Outcome<(Vec<Duration>, usize)> {
    let mut times = Vec::new();
    let mut hits = 0;
    for word in words {
        let start = Instant::now();
        hits += look(word)?;
        times.push(start.elapsed());
    }
    Ok((times, hits))
}

fn spread(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100];
    format!("p50 {:?}, p99 {:?}", at(50), at(99))
}
