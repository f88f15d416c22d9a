//! `gotthard salvage`: what a lost site went on with after the recovered cluster's log ends, from one of its disks.
//!
//! The two logs are equal up to the point where the survivors' ended (`recovered.json`). Whatever lies behind it on this
//! disk is brought out: messages as Maildir, to be given to `gotthard import`; all other changes as lines of JSON, since
//! UIDs of the lost site mean nothing in the recovered one.

use crate::cli::Salvage as Args;
use crate::export::{flag_letters, maildir};
use crate::print::say;
use crate::recover_site::{copy_journal, link_views};
use anyhow::{Context, Result, bail};
use engine_domain::read;
use engine_events::{Event, Kind, Payload, UidRanges, flags_from, ranges_from};
use engine_replica::Shard;
use engine_service::{BodyHandle, read_body};
use engine_store::RocksStore;
use engine_types::{AccountId, MailboxId};
use indicatif::ProgressBar;
use raft_api::{LogId, ShardId};
use raft_log::{EntryKind, Journal};
use raft_node::recover::fork;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// Payload read at once.
const READ_BYTES: usize = 8 << 20;

#[derive(Deserialize)]
struct Record {
    cluster: String,
    logs: Vec<Log>,
}

#[derive(Deserialize)]
struct Log {
    shard: u32,
    last: u64,
    terms: Vec<(u64, u64)>,
}

pub fn run(args: &Args) -> Result<()> {
    let text = fs::read(&args.recovered)
        .with_context(|| format!("cannot read {}", args.recovered.display()))?;
    let record: Record = serde_json::from_slice(&text)
        .with_context(|| format!("{} is no record of a recovery", args.recovered.display()))?;
    let kept = fs::read_to_string(args.data.join("cluster-id")).unwrap_or_default();
    if kept.trim() != record.cluster {
        bail!(
            "{} is not of cluster {}",
            args.data.display(),
            record.cluster
        );
    }
    if args.to.exists() {
        bail!(
            "{} is there already: nothing is overwritten",
            args.to.display()
        );
    }
    let unfinished = args.to.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir_all(&unfinished)?;
    let work = unfinished.join("work");
    fs::create_dir(&work)?;
    let mut salvage = Salvage::open(&args.data, &work, &unfinished)?;
    for log in &record.logs {
        salvage.shard(log)?;
    }
    let Salvage {
        journal,
        messages,
        changes,
        shards,
        ..
    } = salvage;
    journal.close();
    drop(shards);
    fs::remove_dir_all(&work)?;
    fs::rename(&unfinished, &args.to)?;
    if args.json {
        say!(
            "{}",
            json!({ "messages": messages, "changes": changes, "to": args.to })
        );
    } else {
        say!(
            "{messages} messages and {changes} other changes are in {}.",
            args.to.display()
        );
        say!(
            "Bring the messages back with: gotthard import --account ADDRESS {}/ADDRESS",
            args.to.display()
        );
        say!(
            "The other changes (flags, moves, mailboxes) stand in changes.jsonl: look at them by hand."
        );
    }
    Ok(())
}

struct Salvage {
    journal: Journal,
    shards: BTreeMap<u32, Arc<Shard>>,
    to: PathBuf,
    lines: fs::File,
    bar: ProgressBar,
    messages: u64,
    changes: u64,
}

/// One entry's place.
#[derive(Clone, Copy)]
struct At {
    shard: ShardId,
    log_id: LogId,
    /// The lost site showed and acknowledged it; else its outcome was unknown.
    acknowledged: bool,
}

impl Salvage {
    /// On a copy: the disk that turned up stays as it is.
    fn open(data: &Path, work: &Path, to: &Path) -> Result<Salvage> {
        let journal = copy_journal(&data.join("journal"), &work.join("journal"))?;
        link_views(&data.join("views"), &work.join("views"))?;
        let store = RocksStore::open(&work.join("views")).context("the views cannot be opened")?;
        let store: Arc<dyn engine_store::ViewStore> = Arc::new(store);
        let mut shards = BTreeMap::new();
        for shard in journal.shards() {
            let clock = Arc::new(crate::clock::SystemClock);
            shards.insert(shard.0, Shard::open(shard, store.clone(), clock)?);
        }
        Ok(Salvage {
            journal,
            shards,
            to: to.to_owned(),
            lines: fs::File::create(to.join("changes.jsonl"))?,
            bar: ProgressBar::new_spinner(),
            messages: 0,
            changes: 0,
        })
    }

    fn shard(&mut self, log: &Log) -> Result<()> {
        let shard = ShardId(log.shard);
        if self.journal.has_hole(shard) {
            bail!(
                "the log of shard {shard} is damaged on this disk: try another node of the lost site"
            );
        }
        let state = self.journal.log_state(shard);
        let Some(last) = state.last else {
            return Ok(());
        };
        let fork = fork(&self.journal, shard, &log.terms, log.last);
        let fork = fork.with_context(|| {
            format!("shard {shard}: this disk's log and the recovered one do not meet in what both still know")
        })?;
        let mut next = fork.0 + 1;
        while next <= last.index.0 {
            let entries = self
                .journal
                .history(shard, next..last.index.0 + 1, READ_BYTES)?;
            if entries.is_empty() {
                bail!("entry {next} of shard {shard} is no longer on this disk");
            }
            for entry in entries {
                next = entry.log_id.index.0 + 1;
                if entry.kind == EntryKind::Normal {
                    let at = At {
                        shard,
                        log_id: entry.log_id,
                        acknowledged: state.mark >= Some(entry.log_id.index),
                    };
                    self.entry(at, entry.payload)?;
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, at: At, payload: bytes::Bytes) -> Result<()> {
        let payload = Payload::decode(payload)
            .with_context(|| format!("entry {} of shard {}", at.log_id, at.shard))?;
        let events = &payload.command.events;
        for event in events {
            match &event.kind {
                Some(Kind::BodyStored(_) | Kind::BodyChunkStored(_)) | None => {}
                Some(Kind::MessageAppended(message)) => {
                    let body = events.get(message.body as usize);
                    let size = match body.and_then(|body| body.kind.as_ref()) {
                        Some(Kind::BodyStored(body)) => body.size,
                        _ => bail!("entry {} of shard {} names no body", at.log_id, at.shard),
                    };
                    self.message(at, event, message, size, payload.decided_at.0)?;
                }
                Some(kind) => self.change(at, event, kind)?,
            }
        }
        Ok(())
    }

    fn message(
        &mut self,
        at: At,
        event: &Event,
        message: &engine_events::MessageAppended,
        size: u64,
        decided_at_ms: u64,
    ) -> Result<()> {
        let handle = BodyHandle {
            shard: at.shard.0,
            log_index: at.log_id.index.0,
            ordinal: message.body,
            trace: message.trace.clone(),
            size,
        };
        let content = read_body(&self.journal, &handle)
            .map_err(|why| anyhow::anyhow!("the message of entry {}: {why}", at.log_id))?;
        let address = self.address(event.account)?;
        let flags = message.flags.as_ref().map(flags_from).unwrap_or_default();
        let name = if message.mailbox.is_empty() {
            "INBOX"
        } else {
            &message.mailbox
        };
        let folder = maildir(&self.to.join(&address), name)?;
        let date_ms = u64::try_from(message.internal_date).unwrap_or(0);
        let date_ms = if date_ms == 0 { decided_at_ms } else { date_ms };
        let file = format!(
            "{}.{:04}-{:012}.gotthard:2,{}",
            date_ms / 1000,
            at.shard.0,
            at.log_id.index.0,
            flag_letters(&flags.to_string())
        );
        let path = folder.join("cur").join(file);
        let mut out = fs::File::create(&path)?;
        out.write_all(&content.trace)?;
        for piece in &content.message.pieces {
            out.write_all(piece)?;
        }
        out.set_modified(UNIX_EPOCH + Duration::from_millis(date_ms))?;
        self.messages += 1;
        self.bar.set_message(format!("{} messages", self.messages));
        self.bar.tick();
        self.line(
            at,
            event,
            json!({ "what": "message", "mailbox": name, "flags": flags.to_string() }),
        )
    }

    fn change(&mut self, at: At, event: &Event, kind: &Kind) -> Result<()> {
        let mailbox = |id: u64| self.mailbox(at.shard, event.account, id);
        let line = match kind {
            Kind::FlagsChanged(changed) => json!({
                "what": "flags",
                "mailbox": mailbox(changed.mailbox),
                "uids": set(changed.uids.as_ref()),
                "mode": match changed.mode { 0 => "replace", 1 => "add", _ => "remove" },
                "flags": changed.flags.as_ref().map(flags_from).unwrap_or_default().to_string(),
            }),
            Kind::MessagesCopied(copied) => json!({
                "what": if copied.remove { "move" } else { "copy" },
                "mailbox": mailbox(copied.from),
                "uids": set(copied.uids.as_ref()),
                "to": copied.to,
            }),
            Kind::MessagesExpunged(expunged) => json!({
                "what": "expunge",
                "mailbox": mailbox(expunged.mailbox),
                "uids": set(expunged.uids.as_ref()),
            }),
            Kind::MailboxCreated(made) => json!({ "what": "create", "mailbox": made.name }),
            Kind::MailboxDeleted(gone) => json!({ "what": "delete", "mailbox": gone.name }),
            Kind::MailboxRenamed(renamed) => {
                json!({ "what": "rename", "mailbox": renamed.from, "to": renamed.to })
            }
            Kind::SubscriptionSet(set) => {
                json!({ "what": "subscribe", "mailbox": set.name, "subscribed": set.subscribed })
            }
            Kind::AccountRegistered(made) => json!({ "what": "account", "address": made.address }),
            Kind::AddressSet(set) => {
                json!({ "what": "address", "name": format!("{}@{}", set.local, set.domain) })
            }
            Kind::AddressRemoved(gone) => {
                json!({ "what": "address removed", "name": format!("{}@{}", gone.local, gone.domain) })
            }
            // No secrets: that it was set is what an operator has to know.
            Kind::CredentialSet(_) => json!({ "what": "password" }),
            Kind::QuotaSet(quota) => json!({ "what": "quota", "bytes": quota.quota_bytes }),
            Kind::AccountStateSet(state) => {
                json!({ "what": "account state", "state": state.state })
            }
            Kind::DomainSet(set) => {
                json!({ "what": "domain", "name": set.domain, "served": set.served })
            }
            Kind::AccountOpened(_) => json!({ "what": "account opened" }),
            Kind::AccountClosed(_) => json!({ "what": "account closed" }),
            Kind::AccountForgotten(_) => json!({ "what": "account removed" }),
            Kind::BodyStored(_)
            | Kind::BodyChunkStored(_)
            | Kind::MessageAppended(_)
            | Kind::ShardRecovered(_) => return Ok(()),
        };
        self.changes += 1;
        self.line(at, event, line)
    }

    fn line(&mut self, at: At, event: &Event, mut line: Value) -> Result<()> {
        let account = match event.account {
            0 => None,
            account => Some(self.address(account)?),
        };
        if let (Some(fields), Some(address)) = (line.as_object_mut(), account) {
            fields.entry("address").or_insert(address.into());
        }
        if let Some(fields) = line.as_object_mut() {
            fields.insert("shard".to_owned(), at.shard.0.into());
            fields.insert("entry".to_owned(), at.log_id.to_string().into());
            fields.insert("acknowledged".to_owned(), at.acknowledged.into());
        }
        Ok(writeln!(self.lines, "{line}")?)
    }

    /// As the lost site had it; an account that is in no directory goes by its number.
    fn address(&self, account: u64) -> Result<String> {
        let unknown = || format!("account-{account}");
        let Some(control) = self.shards.get(&0) else {
            return Ok(unknown());
        };
        let found = read::directory_account(&control.view(), AccountId(account))?;
        Ok(found.map_or_else(unknown, |found| found.address.to_string()))
    }

    fn mailbox(&self, shard: ShardId, account: u64, mailbox: u64) -> String {
        let view = self.shards.get(&shard.0).map(|shard| shard.view());
        let row = view.and_then(|view| {
            read::mailbox(&view, shard.0, AccountId(account), MailboxId(mailbox)).ok()?
        });
        row.map_or_else(|| format!("mailbox-{mailbox}"), |row| row.name.to_string())
    }
}

fn set(uids: Option<&UidRanges>) -> String {
    uids.map(ranges_from).unwrap_or_default().to_string()
}
