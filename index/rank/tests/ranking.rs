//! Ranked search: a table of rankings that were checked by hand, BM25 by its formula, and the same answer wherever a message lies.

use engine_types::{AccountId, EmailId};
use index_query::Source;
use index_rank::{Language, Ranked, RankedQuery, rank};
use index_store::{AccountReader, Options, SearchStore};
use index_text::{FoldedText, FoldedTextBuilder};
use std::fs;
use std::path::Path;

const ACCOUNT: AccountId = AccountId(3);

/// From, subject, body. Numbers are ids.
type Row<'a> = (&'a str, &'a str, &'a str);

struct Mail(Vec<FoldedText>);

impl Mail {
    fn new(rows: &[Row<'_>]) -> Self {
        let fold = |(from, subject, body): &Row<'_>| {
            let mut text = FoldedTextBuilder::new();
            text.field("Received", "from budget by mail");
            text.field("From", from);
            text.field("Subject", subject);
            text.body(body);
            text.finish()
        };
        Self(rows.iter().map(fold).collect())
    }

    fn all(&self) -> Vec<EmailId> {
        (0..self.0.len() as u64).map(EmailId).collect()
    }
}

impl Source for Mail {
    fn text(&self, id: EmailId) -> Option<FoldedText> {
        self.0.get(id.0 as usize).cloned()
    }
}

struct NoSource;

impl Source for NoSource {
    fn text(&self, _: EmailId) -> Option<FoldedText> {
        None
    }
}

fn query(typed: &str) -> RankedQuery {
    RankedQuery::new(typed, &Language::USUAL).unwrap()
}

/// Without an index.
fn scanned(mail: &Mail, typed: &str) -> Ranked {
    let reader = AccountReader::default();
    rank(&reader, &query(typed), &mail.all(), mail, 100)
}

fn store(folder: &Path, plain_bytes_max: u64) -> SearchStore {
    let options = Options {
        plain_bytes_max,
        ..Options::default()
    };
    SearchStore::open(folder, options).unwrap().0
}

fn indexed(mail: &Mail, folder: &Path) -> SearchStore {
    let store = store(folder, 0);
    for (number, text) in mail.0.iter().enumerate() {
        store
            .add(ACCOUNT, EmailId(number as u64), text.clone())
            .unwrap();
    }
    store.flush(1).unwrap();
    store
}

fn ids(ranked: &Ranked) -> Vec<u64> {
    ranked.hits.iter().map(|hit| hit.id.0).collect()
}

fn shown(ranked: &Ranked) -> Vec<(u64, u64)> {
    let shown = ranked
        .hits
        .iter()
        .map(|hit| (hit.id.0, hit.score.to_bits()));
    shown.collect()
}

const TABLE: [Row<'_>; 10] = [
    (
        "ann@example.org",
        "lunch",
        "shall we talk about the budget at noon",
    ),
    ("bob@example.org", "budget", "numbers are attached"),
    ("budget@example.org", "hello", "numbers are attached"),
    (
        "cy@example.org",
        "notes",
        "budget budget budget, nothing but the budget",
    ),
    (
        "cy@example.org",
        "notes",
        "the budgets of last year and of the year before",
    ),
    (
        "cy@example.org",
        "notes",
        "the bugdet was mistyped here, as it happens",
    ),
    (
        "di@example.org",
        "annual report",
        "the report of this year is late",
    ),
    (
        "di@example.org",
        "report",
        "annual numbers come with the next one",
    ),
    (
        "ed@example.org",
        "travel",
        "Zürich, then Genève; invoice 2024 and e-mail later",
    ),
    (
        "ed@example.org",
        "travel",
        "invoice 2023 for 東京都庁 is in the other mail",
    ),
];

/// The best first. Why: a subject weighs 3, a sender 2, a body counts how often and how long; an inflection takes a tenth, a
/// typo half; of equals the later comes first.
#[test]
fn a_table_of_rankings() {
    let mail = Mail::new(&TABLE);
    let folder = tempfile::tempdir().unwrap();
    let store = indexed(&mail, folder.path());
    let reader = store.reader(ACCOUNT).unwrap();
    let check = |typed: &str, expect: &[u64]| {
        let ranked = rank(&reader, &query(typed), &mail.all(), &NoSource, 100);
        assert_eq!(ids(&ranked), expect, "{typed}");
        let mut found: Vec<u64> = ranked.found.iter().map(|id| id.0).collect();
        assert_eq!(ranked.scanned, 0);
        assert_eq!(shown(&scanned(&mail, typed)), shown(&ranked), "{typed}");
        let mut expect = expect.to_vec();
        expect.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expect, "{typed}");
    };
    check("budget", &[3, 1, 2, 0, 4, 5]);
    check("\"budget\"", &[3, 1, 2, 0]);
    check("budgets", &[4, 3, 1, 2, 0]);
    check("numbers budget", &[1, 2]);
    check("budget numbers", &[1, 2]);
    check("annual report", &[6, 7]);
    check("\"annual report\"", &[6]);
    check("\"report annual\"", &[]);
    check("anual", &[6, 7]);
    check("zurich", &[8]);
    check("geneve", &[8]);
    check("invoice 2024", &[8]);
    check("invoices", &[9, 8]);
    check("e-mail", &[8]);
    check("東京都", &[9]);
    check("京", &[9]);
    check("tra*", &[9, 8]);
    check("received", &[]);
    check("mail", &[9, 8]);
    check("absentword", &[]);
}

/// BM25 by the formula, of words that only stand in bodies.
#[test]
fn scores_are_those_of_the_formula() {
    let bodies = [
        "red red blue and a few words more",
        "red",
        "blue green",
        "a very long body with red in it and much else that nobody asked for, word upon word",
        "green green green",
    ];
    let rows: Vec<Row<'_>> = bodies.iter().map(|body| ("x", "y", *body)).collect();
    let mail = Mail::new(&rows);
    let folder = tempfile::tempdir().unwrap();
    let store = indexed(&mail, folder.path());
    let reader = store.reader(ACCOUNT).unwrap();
    for words in [
        vec!["red"],
        vec!["blue"],
        vec!["green"],
        vec!["red", "blue"],
        vec!["word"],
    ] {
        let count = |body: &str, word: &str| {
            let split = body.split(|c: char| !c.is_alphanumeric());
            split.filter(|w| *w == word).count() as f64
        };
        // Folded, each ends with a line feed.
        let length = |body: &str| body.len() as f64 + 1.0;
        let (n, mean) = (
            bodies.len() as f64,
            bodies.iter().map(|body| length(body)).sum::<f64>() / bodies.len() as f64,
        );
        let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        let ranked = rank(
            &reader,
            &query(&quoted.join(" ")),
            &mail.all(),
            &NoSource,
            100,
        );
        let has_all = |body: &&str| words.iter().all(|word| count(body, word) > 0.0);
        assert_eq!(
            ranked.hits.len(),
            bodies.iter().filter(|b| has_all(b)).count()
        );
        assert!(!ranked.hits.is_empty(), "{words:?}");
        for hit in ranked.hits {
            let body = bodies[hit.id.0 as usize];
            let mut expect = 0.0;
            for word in &words {
                let df = bodies.iter().filter(|body| count(body, word) > 0.0).count() as f64;
                let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
                let tf = count(body, word);
                expect += idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length(body) / mean));
            }
            assert!(
                (hit.score - expect).abs() < 1e-9,
                "{words:?} in {body}: {} {expect}",
                hit.score
            );
        }
    }
}

const WORDS: [&str; 24] = [
    "budget",
    "budgets",
    "bugdet",
    "report",
    "reports",
    "annual",
    "the",
    "of",
    "Grüße",
    "grusse",
    "Haus",
    "Häuser",
    "東京都",
    "京都",
    "e-mail",
    "mail",
    "2024",
    "2023",
    "conference",
    "conferance",
    "a",
    "b",
    "réunion",
    "invoice",
];

/// splitmix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % bound as u64) as usize
    }

    fn words(&mut self, most: usize, between: &str) -> String {
        let count = self.below(most) + 1;
        let some: Vec<&str> = (0..count).map(|_| WORDS[self.below(WORDS.len())]).collect();
        some.join(between)
    }

    fn query(&mut self) -> String {
        let terms: Vec<String> = (0..self.below(2) + 1)
            .map(|_| match self.below(5) {
                0 => format!("\"{}\"", self.words(3, " ")),
                1 => format!("{}*", ["b", "re", "con", "h", "e-m"][self.below(5)]),
                2 => "京".to_owned(),
                _ => self.words(1, ""),
            })
            .collect();
        terms.join(" ")
    }
}

fn generated(count: usize, chance: &mut Chance) -> Mail {
    let rows: Vec<[String; 3]> = (0..count)
        .map(|number| {
            let between = [" ", "\n"][chance.below(2)];
            let mut body = chance.words(40, between);
            if number % 80 == 7 {
                // Opaque: words that stand there once, without tokens.
                (0..700).for_each(|n| body += &format!(" w{number}x{n}xxxxxxxxxxxxxxxx"));
            }
            [chance.words(2, "@"), chance.words(4, " "), body]
        })
        .collect();
    let rows: Vec<Row<'_>> = rows
        .iter()
        .map(|[f, s, b]| (&f[..], &s[..], &b[..]))
        .collect();
    Mail::new(&rows)
}

/// In runs with tokens and without, in the tail, not indexed at all, beside another account's: the answer is the same, to the
/// last bit of a score.
#[test]
fn an_answer_does_not_depend_on_where_messages_lie() {
    let mut chance = Chance(7);
    let mail = generated(240, &mut chance);
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), 20_000);
    for number in 0..200 {
        let text = mail.0[number].clone();
        store
            .add(ACCOUNT, EmailId(number as u64), text.clone())
            .unwrap();
        // Of others, and what the caller does not ask about.
        store
            .add(AccountId(4), EmailId(number as u64), text.clone())
            .unwrap();
        store
            .add(ACCOUNT, EmailId(10_000 + number as u64), text)
            .unwrap();
        if [100, 140, 150, 160].contains(&number) {
            store.flush(number as u64).unwrap();
        }
    }
    let reader = store.reader(ACCOUNT).unwrap();
    assert!(reader.sections.iter().any(|live| live.section.is_plain()));
    assert!(reader.sections.iter().any(|live| !live.section.is_plain()));
    assert!(!reader.tail.is_empty());
    let mut hits = 0;
    for number in 0..150 {
        let typed = chance.query();
        let messages: Vec<EmailId> = match number % 3 {
            0 => mail
                .all()
                .into_iter()
                .filter(|_| chance.below(3) == 0)
                .collect(),
            _ => mail.all(),
        };
        let by_index = rank(&reader, &query(&typed), &messages, &mail, 1_000);
        let by_scan = rank(
            &AccountReader::default(),
            &query(&typed),
            &messages,
            &mail,
            1_000,
        );
        assert_eq!(shown(&by_index), shown(&by_scan), "{typed}");
        assert_eq!(by_index.found, by_scan.found, "{typed}");
        assert_eq!(by_index.found.len(), by_index.hits.len());
        assert!(by_index.scanned < messages.len() && by_index.damaged.is_empty());
        hits += by_index.hits.len();
    }
    assert!(
        hits > 2_500,
        "queries that find nothing prove nothing: {hits}"
    );
}

#[test]
fn a_damaged_run_costs_no_hit() {
    let mut chance = Chance(9);
    let mail = generated(60, &mut chance);
    let folder = tempfile::tempdir().unwrap();
    drop(indexed(&mail, folder.path()));
    let run = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let run = run
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    let whole = fs::read(&run).unwrap();
    let mut damaged = 0;
    for at in (0..whole.len()).step_by(whole.len() / 24) {
        let mut octets = whole.clone();
        octets[at] ^= 0x40;
        fs::write(&run, octets).unwrap();
        let store = store(folder.path(), 0);
        let reader = store.reader(ACCOUNT).unwrap();
        for typed in ["budget", "\"annual report\"", "re*"] {
            let ranked = rank(&reader, &query(typed), &mail.all(), &mail, 1_000);
            assert_eq!(shown(&ranked), shown(&scanned(&mail, typed)), "{typed}");
            damaged += ranked.damaged.len();
        }
    }
    assert!(damaged > 0, "no damage was met");
}

#[test]
fn what_cannot_be_read_is_named() {
    let mail = Mail::new(&TABLE);
    let ranked = rank(
        &AccountReader::default(),
        &query("budget"),
        &mail.all(),
        &NoSource,
        100,
    );
    assert_eq!(
        (ranked.hits.len(), ranked.scanned, ranked.unread.len()),
        (0, 10, 10)
    );
    let some = rank(
        &AccountReader::default(),
        &query("budget"),
        &mail.all(),
        &mail,
        2,
    );
    assert_eq!((ids(&some), some.found.len()), (vec![3, 1], 6));
}
