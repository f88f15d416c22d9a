//! Exact search against the oracle: generated messages and queries, and rows of which each names its rule.

mod mail;
mod oracle;
mod questions;

use engine_types::{AccountId, EmailId};
use index_query::{Answer, Key, Query, Source, search};
use index_store::{IndexError, Options, SearchStore};
use index_text::FoldedText;
use oracle::{Asked, Seen, Test};
use questions::Chance;
use std::collections::BTreeMap;

const ACCOUNT: AccountId = AccountId(3);

struct Mail {
    octets: Vec<Vec<u8>>,
    seen: Vec<Seen>,
}

impl Mail {
    fn new(octets: Vec<Vec<u8>>) -> Self {
        let see = |octets: &Vec<u8>| Seen::new(octets, &engine_message::facts(octets));
        let seen = octets.iter().map(see).collect();
        Self { octets, seen }
    }

    fn folded(&self, number: usize) -> FoldedText {
        let octets = &self.octets[number];
        index_feed::folded_text(&engine_message::facts(octets), b"", octets)
    }

    /// Numbers are ids.
    fn all(&self) -> Vec<EmailId> {
        (0..self.octets.len() as u64).map(EmailId).collect()
    }

    fn expected(&self, asked: &Asked, among: &[EmailId]) -> Vec<EmailId> {
        let test = Test::new(asked);
        let is = |id: &&EmailId| self.seen[id.0 as usize].is(&test, id.0);
        among.iter().filter(is).copied().collect()
    }
}

impl Source for Mail {
    fn text(&self, id: EmailId) -> Option<FoldedText> {
        Some(self.folded(id.0 as usize))
    }
}

struct NoSource;

impl Source for NoSource {
    fn text(&self, _: EmailId) -> Option<FoldedText> {
        None
    }
}

fn ask(store: &SearchStore, asked: &Asked, among: &[EmailId], source: &dyn Source) -> Answer {
    let query = Query::new(questions::key(asked)).unwrap();
    search(&store.reader(ACCOUNT).unwrap(), &query, among, source)
}

fn options(plain_bytes_max: u64) -> Options {
    Options {
        plain_bytes_max,
        ..Options::default()
    }
}

/// Messages of which the first third lies in one run, the next in some, the next in the tail, and the last nowhere.
fn indexed(mail: &Mail, folder: &std::path::Path) -> SearchStore {
    let (store, _) = SearchStore::open(folder, options(20_000)).unwrap();
    let count = mail.octets.len();
    for number in 0..count - count / 8 {
        store
            .add(ACCOUNT, EmailId(number as u64), mail.folded(number))
            .unwrap();
        store
            .add(
                AccountId(number as u64 % 5),
                EmailId(900),
                mail.folded(number / 2),
            )
            .ok();
        let flush = number == count / 3
            || (number > count / 3 && number < 2 * count / 3 && number % 20 == 0);
        if flush {
            store.flush(number as u64).unwrap();
        }
        if number == count / 2 {
            store.merge_all().unwrap();
        }
    }
    store
}

#[track_caller]
fn check(mail: &Mail, store: &SearchStore, asked: &Asked, among: &[EmailId]) {
    let answer = ask(store, asked, among, mail);
    assert_eq!(answer.found, mail.expected(asked, among), "{asked:?}");
    assert!(answer.damaged.is_empty() && answer.unread.is_empty());
}

#[test]
fn generated_queries_over_generated_mail() {
    let mail = Mail::new(mail::generate(300, 11));
    let folder = tempfile::tempdir().unwrap();
    let store = indexed(&mail, folder.path());
    let all = mail.all();
    let mut chance = Chance(5);
    let mut hits = 0;
    for number in 0..1_000 {
        let asked = questions::generate(&mut chance, &mail.seen);
        let among: Vec<EmailId> = match number % 3 {
            0 => all
                .iter()
                .filter(|_| chance.below(9) == 0)
                .copied()
                .collect(),
            _ => all.clone(),
        };
        hits += mail.expected(&asked, &among).len();
        check(&mail, &store, &asked, &among);
    }
    assert!(
        hits > 5_000,
        "queries that find nothing prove nothing: {hits}"
    );
}

/// What is found of a message that is written here, so that the oracle is held against something, too.
#[test]
fn rows() {
    let message = b"From: =?utf-8?q?J=C3=BCrg?= <j@example.org>\r\nSubject: =?iso-8859-1?q?Gr=FC?=\r\n =?iso-8859-1?q?=DFe?= an \
        alle\r\nX-Empty:\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        A long line that was wrap=\r\nped, and\r\none that was broken. Cafe=CC=81 =E6=97=A5=E6=9C=AC=E8=AA=9E!\r\n\
        --b\r\nContent-Type: text/html\r\n\r\n<p>f<b>oo</b>bar<script>hidden</script><br>next</p>\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: within\r\n\r\ndeep\r\n\
        --b\r\nContent-Type: image/png; name=\"Plan B.png\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n"
        .to_vec();
    let other = b"Subject: other\r\n\r\nnothing\r\n".to_vec();
    let mut octets = vec![message];
    octets.resize(40, other);
    let mail = Mail::new(octets);
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = SearchStore::open(folder.path(), options(0)).unwrap();
    for number in 0..mail.octets.len() {
        store
            .add(ACCOUNT, EmailId(number as u64), mail.folded(number))
            .unwrap();
    }
    store.flush(1).unwrap();
    let row = |asked: Asked, expect: bool| {
        let found = ask(&store, &asked, &mail.all(), &NoSource).found;
        assert_eq!(found.contains(&EmailId(0)), expect, "{asked:?}");
        check(&mail, &store, &asked, &mail.all());
    };
    let text = |needle: &str| Asked::Text(needle.into());
    let body = |needle: &str| Asked::Body(needle.into());
    let header = |name: &str, needle: &str| Asked::Header(name.into(), needle.into());
    row(text("jürg <"), true);
    row(header("from", "JÜRG"), true);
    row(header("from", "Ju\u{308}rg"), true);
    row(header("Subject", "grüße an"), true);
    row(text("subject: grü"), true);
    row(body("grüße"), false);
    row(body("wrapped, and one"), true);
    row(body("wrapped,  and\tone"), true);
    row(body("café"), true);
    row(body("日本"), true);
    row(body("本"), true);
    row(body("本語!"), true);
    row(body("語本"), false);
    row(body("foobar"), true);
    row(body("bar next"), true);
    row(body("hidden"), false);
    row(body("<b>"), false);
    row(body("subject: within"), true);
    row(body("deep"), true);
    row(body("plan b.png"), true);
    row(body("image/png"), false);
    row(text("image/png"), true);
    row(header("content-type", "image"), false);
    row(header("x-empty", ""), true);
    row(header("x-absent", ""), false);
    row(header("x-empty", "x"), false);
    row(text("!"), true);
    row(text(". c"), true);
    row(body("t w"), true);
    row(text(""), true);
}

#[test]
fn a_query_of_many_keys() {
    let mail = Mail::new(mail::generate(60, 2));
    let folder = tempfile::tempdir().unwrap();
    let store = indexed(&mail, folder.path());
    let mut chance = Chance(3);
    let keys = |chance: &mut Chance| {
        (0..400)
            .map(|_| questions::leaf(chance, &mail.seen))
            .collect()
    };
    for _ in 0..4 {
        check(&mail, &store, &Asked::Or(keys(&mut chance)), &mail.all());
        let not = |asked: Asked| Asked::Not(Box::new(asked));
        let some: Vec<Asked> = keys(&mut chance);
        check(
            &mail,
            &store,
            &Asked::And(some.into_iter().map(not).collect()),
            &mail.all(),
        );
    }
    let wide = Key::Or(vec![Key::text("absent everywhere").unwrap(); 99_000]);
    let reader = store.reader(ACCOUNT).unwrap();
    let answer = search(&reader, &Query::new(wide).unwrap(), &mail.all(), &mail);
    assert!(answer.found.is_empty());
}

#[test]
fn a_long_needle() {
    let words: String = (0..9_000).map(|n| format!("w{n} ")).collect();
    let mut octets = mail::generate(40, 4);
    octets.push(format!("Subject: long\r\n\r\n{words}").into_bytes());
    let mail = Mail::new(octets);
    let folder = tempfile::tempdir().unwrap();
    let store = indexed(&mail, folder.path());
    let needle: String = words.chars().take(64 << 10).collect();
    let longer = format!("{}x", &needle[..needle.len() - 1]);
    for needle in [needle.trim().to_owned(), longer] {
        check(&mail, &store, &Asked::Body(needle), &mail.all());
    }
}

/// Base64 as text: its words would be an index as large as the text. It is found all the same.
#[test]
fn a_body_of_words_that_stand_once() {
    let mut octets = mail::generate(40, 14);
    let mut chance = Chance(15);
    for _ in 0..12 {
        let letter = |chance: &mut Chance| {
            char::from(
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
                    [chance.below(64)],
            )
        };
        let lines: String = (0..400)
            .map(|_| {
                (0..76)
                    .map(|_| letter(&mut chance))
                    .chain(['\r', '\n'])
                    .collect::<String>()
            })
            .collect();
        octets.push(format!("Subject: noise\r\n\r\nsome words first\r\n{lines}").into_bytes());
    }
    let mail = Mail::new(octets);
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = SearchStore::open(folder.path(), options(0)).unwrap();
    for number in 0..mail.octets.len() {
        store
            .add(ACCOUNT, EmailId(number as u64), mail.folded(number))
            .unwrap();
        if number % 20 == 0 {
            store.flush(1).unwrap();
        }
    }
    store.flush(1).unwrap();
    store.merge_all().unwrap();
    let size = store.size().unwrap();
    let index_bytes = size.file_bytes - size.blocks_bytes;
    assert!(index_bytes < size.text_bytes / 5, "{size:?}");
    for _ in 0..300 {
        let asked = questions::generate(&mut chance, &mail.seen[30..]);
        check(&mail, &store, &asked, &mail.all());
    }
}

/// Deleted messages are not found, whoever is asked.
#[test]
fn what_was_deleted() {
    let mail = Mail::new(mail::generate(90, 6));
    let folder = tempfile::tempdir().unwrap();
    let store = indexed(&mail, folder.path());
    let (gone, stays): (Vec<EmailId>, Vec<EmailId>) =
        mail.all().into_iter().partition(|id| id.0 % 3 == 0);
    gone.iter().for_each(|id| store.delete(ACCOUNT, *id));
    check(&mail, &store, &Asked::Text("e".into()), &stays);
    store.flush(7).unwrap();
    store.merge_all().unwrap();
    check(&mail, &store, &Asked::Text("e".into()), &stays);
    // One that is asked about all the same is scanned.
    check(&mail, &store, &Asked::Text("e".into()), &mail.all());
}

/// Each octet of a run rots in turn: the answer stays the same, by a scan.
#[test]
fn a_rotten_run_changes_no_answer() {
    let mail = Mail::new(mail::generate(24, 8));
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = SearchStore::open(folder.path(), options(0)).unwrap();
    for number in 0..24 {
        store
            .add(ACCOUNT, EmailId(number as u64), mail.folded(number))
            .unwrap();
    }
    store.flush(1).unwrap();
    drop(store);
    let run = folder.path().join("0000000000000001.run");
    let whole = std::fs::read(&run).unwrap();
    let mut chance = Chance(9);
    let asked: Vec<Asked> = (0..6)
        .map(|_| questions::generate(&mut chance, &mail.seen))
        .collect();
    let mut scans: BTreeMap<bool, usize> = BTreeMap::new();
    for at in (0..whole.len()).step_by(37) {
        let mut rotten = whole.clone();
        rotten[at] ^= 0x10;
        std::fs::write(&run, &rotten).unwrap();
        let (store, damaged) = SearchStore::open(folder.path(), options(0)).unwrap();
        let reader = store.reader(ACCOUNT).unwrap();
        for asked in &asked {
            let query = Query::new(questions::key(asked)).unwrap();
            let answer = search(&reader, &query, &mail.all(), &mail);
            assert_eq!(
                answer.found,
                mail.expected(asked, &mail.all()),
                "octet {at}, {asked:?}"
            );
            let named = answer.damaged.iter().chain(&damaged).chain(&reader.damaged);
            let named = named
                .filter(|error| matches!(error, IndexError::Damaged { .. }))
                .count();
            assert_eq!(answer.scanned > 0, named > 0, "octet {at}");
            *scans.entry(answer.scanned > 0).or_default() += 1;
        }
    }
    assert!(scans[&true] > 50, "{scans:?}");
}

/// A broken twin: texts that were folded wrongly must be caught, or the comparison sees nothing.
#[test]
fn an_index_without_some_messages_is_caught() {
    let mail = Mail::new(mail::generate(60, 12));
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = SearchStore::open(folder.path(), options(0)).unwrap();
    for number in 0..60 {
        let mut text = mail.folded(number);
        text.body = text.body.replace("TH", "T H");
        store.add(ACCOUNT, EmailId(number as u64), text).unwrap();
    }
    store.flush(1).unwrap();
    let mut chance = Chance(13);
    let differs = (0..200).any(|_| {
        let asked = questions::generate(&mut chance, &mail.seen);
        ask(&store, &asked, &mail.all(), &mail).found != mail.expected(&asked, &mail.all())
    });
    assert!(differs);
}
