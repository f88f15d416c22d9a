//! From a line of the log to an answer, over real files.

use super::writer::Writer;
use super::*;
use engine_types::UnixMillis;
use tracing_subscriber::layer::SubscriberExt;

const KEEP: Retention = Retention {
    bytes_max: 100 << 20,
    age_ms_max: 30 * limits::FILE_AGE_MS_MAX,
};

struct At(AtomicU64);

impl Clock for At {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::Relaxed))
    }
}

fn clock(at_ms: u64) -> Arc<At> {
    Arc::new(At(AtomicU64::new(at_ms)))
}

fn find(log: &OutcomeLog, text: &str) -> Found {
    log.written();
    let deadline = Instant::now() + limits::SEARCH_MAX;
    search::search(&log.dir, &Query::new(text).unwrap(), deadline)
}

fn shown(found: &Found) -> Vec<String> {
    found.records.iter().map(ToString::to_string).collect()
}

/// What the gateways write, by the names of `docs/protocols/logs.md`; other lines and levels are not outcomes.
fn lines() {
    let none: Option<&str> = None;
    tracing::info!(target: "gateway_smtp::deliver", receipt = "<c.1:3:5:7>", message_id = "<A@b>", sender = "s@x",
        recipient = "Alice+w@example.org", account = "alice@example.org", size = 21_usize, peer = %"192.0.2.1",
        reply = "250 \"ok\"\n", "delivery");
    tracing::info!(target: "gateway_smtp::session", sender = "s@x", recipient = "bob@example.org", receipt = none,
        "recipient refused");
    tracing::info!(target: "gateway_imap::commands::expunge", user = "alice@example.org", messages = 3_u32,
        "messages expunged");
    tracing::info!(target: "gateway_smtp::session", octets = 1, "sent ahead of TLS, dropped");
    tracing::debug!(target: "gateway_smtp::deliver", sender = "s@x", "delivery");
    tracing::info!(target: "engine_service", sender = "s@x", "delivery");
}

const DELIVERY: &str = r#"{"account":"alice@example.org","at_ms":1700000000000,"message_id":"<A@b>","outcome":"delivery","peer":"192.0.2.1","receipt":"<c.1:3:5:7>","recipient":"Alice+w@example.org","reply":"250 \"ok\"\n","sender":"s@x","size":21}"#;
const REFUSED: &str = r#"{"at_ms":1700000000000,"outcome":"recipient refused","recipient":"bob@example.org","sender":"s@x"}"#;
const EXPUNGED: &str = r#"{"at_ms":1700000000000,"messages":3,"outcome":"messages expunged","user":"alice@example.org"}"#;

#[test]
fn outcomes_are_found_by_message_id_receipt_and_address() {
    let dir = tempfile::tempdir().unwrap();
    let at = clock(1_700_000_000_000);
    let log = OutcomeLog::start(dir.path().join("outcomes"), KEEP, at);
    assert!(find(&log, "a@b").records.is_empty());
    let subscriber = tracing_subscriber::registry().with(Recorder(log.clone()));
    tracing::subscriber::with_default(subscriber, lines);
    let check = |text: &str, expect: &[&str]| {
        let found = find(&log, text);
        assert_eq!(shown(&found), expect, "{text}");
        assert!(found.complete && found.lost == 0);
        assert_eq!(found.since_ms, Some(1_700_000_000_000));
    };
    check("<a@B>", &[DELIVERY]);
    check(" A@b ", &[DELIVERY]);
    check("c.1:3:5:7", &[DELIVERY]);
    check("<c.1:3:5:7>", &[DELIVERY]);
    check("alice+w@example.org", &[DELIVERY]);
    check("Alice@example.org", &[EXPUNGED, DELIVERY]);
    check("s@x", &[REFUSED, DELIVERY]);
    check("bob@example.org", &[REFUSED]);
    // In a record, but not as a name, or not the whole of one.
    check("192.0.2.1", &[]);
    check("example.org", &[]);
    check("delivery", &[]);
    check("\"", &[]);
}

#[test]
fn questions() {
    assert_eq!(Query::new(""), None);
    assert_eq!(Query::new(" <> "), None);
    assert_eq!(Query::new(&"x".repeat(limits::QUERY_BYTES_MAX + 1)), None);
    assert_eq!(Query::new(" <A@B>").unwrap().as_str(), "a@b");
    assert_eq!(Query::new("<a").unwrap().as_str(), "<a");
}

fn writer(dir: &std::path::Path, at: &Arc<At>) -> Writer {
    Writer::new(dir.to_owned(), KEEP, Arc::default(), at.clone())
}

fn record(number: usize) -> String {
    let fields = format!(",\"recipient\":\"a@x\",\"number\":{number}");
    record::line(0, "delivery", &fields)
}

fn search_all(dir: &std::path::Path) -> Found {
    let deadline = Instant::now() + limits::SEARCH_MAX;
    search::search(dir, &Query::new("a@x").unwrap(), deadline)
}

/// A crash leaves half a record; the next run goes on in a file of its own.
#[test]
fn a_torn_record_costs_itself_only() {
    let dir = tempfile::tempdir().unwrap();
    let at = clock(1_000);
    writer(dir.path(), &at).write_batch(&(record(1) + &record(2)[..20]), 2);
    writer(dir.path(), &at).write_batch(&record(3), 1);
    let names: Vec<u64> = files::list(dir.path())
        .unwrap()
        .iter()
        .map(|file| file.begun_ms)
        .collect();
    assert_eq!(names, [1_000, 1_001]);
    std::fs::write(dir.path().join("other.txt"), "a@x").unwrap();
    let found = search_all(dir.path());
    let numbers: Vec<u64> = found
        .records
        .iter()
        .map(|r| r["number"].as_u64().unwrap())
        .collect();
    assert_eq!(
        (numbers.as_slice(), found.complete),
        ([3, 1].as_slice(), true)
    );
}

#[test]
fn an_answer_has_a_bound_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), &clock(1));
    let batch: String = (0..RECORDS_FOUND_MAX).map(record).collect();
    writer.write_batch(&batch, RECORDS_FOUND_MAX);
    assert!(search_all(dir.path()).complete);
    writer.write_batch(&record(RECORDS_FOUND_MAX), 1);
    let found = search_all(dir.path());
    assert_eq!(
        (found.records.len(), found.complete),
        (RECORDS_FOUND_MAX, false)
    );
    assert_eq!(found.records[0]["number"], RECORDS_FOUND_MAX, "the newest");
    let late = search::search(dir.path(), &Query::new("a@x").unwrap(), Instant::now());
    assert!(!late.complete && late.records.is_empty());
}

#[test]
fn files_end_by_size_and_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let at = clock(1);
    let mut writer = writer(dir.path(), &at);
    let count = || files::list(dir.path()).unwrap().len();
    let large = " ".repeat(limits::FILE_BYTES_MAX as usize - 1) + "\n";
    for (later_ms, text, expect) in [
        (0, "\n", 1),
        (0, large.as_str(), 1),
        (0, "\n", 2),
        (limits::FILE_AGE_MS_MAX - 1, "\n", 2),
        (1, "\n", 3),
        // The first two ended too long ago by then.
        (KEEP.age_ms_max + 1, "\n", 2),
    ] {
        at.0.fetch_add(later_ms, Ordering::Relaxed);
        writer.write_batch(text, 1);
        assert_eq!(count(), expect, "{later_ms}");
    }
}

/// The folder cannot be made: mail goes on, the loss is counted, and told as soon as something can be written.
#[test]
fn what_cannot_be_written_is_counted_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("outcomes");
    std::fs::write(&folder, "in the way").unwrap();
    let counts = Arc::new(Counts::default());
    let mut writer = Writer::new(folder.clone(), KEEP, counts.clone(), clock(7));
    writer.write_batch(&(record(1) + &record(2)), 2);
    assert_eq!(counts.lost.load(Ordering::Relaxed), 2);
    assert!(!search_all(&folder).complete);
    std::fs::remove_file(&folder).unwrap();
    writer.write_batch(&record(3), 1);
    writer.write_batch(&record(4), 1);
    let file = &files::list(&folder).unwrap()[0];
    let text = std::fs::read_to_string(&file.path).unwrap();
    let told = "{\"at_ms\":7,\"outcome\":\"records lost\",\"count\":2}\n";
    assert_eq!(text, [told, &record(3), &record(4)].concat());
}

/// Nobody takes from the queue: appending goes on at once, and is counted.
#[test]
fn a_full_queue_does_not_hold_anybody_up() {
    let (queue, held) = sync_channel(2);
    let log = OutcomeLog {
        dir: PathBuf::new(),
        queue,
        counts: Arc::default(),
        clock: clock(1),
        searching: Arc::default(),
    };
    for number in 0..5 {
        log.append(record(number));
    }
    assert_eq!(log.counts.lost.load(Ordering::Relaxed), 3);
    log.append(" ".repeat(limits::QUEUE_BYTES_MAX));
    assert_eq!(log.counts.lost.load(Ordering::Relaxed), 4);
    let waiting = held.try_iter().count();
    assert_eq!(waiting, 2);
}
