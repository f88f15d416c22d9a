//! `gotthard export`: an account as Maildir++, byte for byte what came in, with flags and dates.

use crate::cli::Export;
use crate::client::{Client, encode};
use crate::print::say;
use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

pub fn run(args: &Export) -> Result<()> {
    let client = Client::new(&args.server)?;
    if fs::read_dir(&args.path).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty; give a new folder", args.path.display());
    }
    let answer = client.json(
        "GET",
        &format!("/admin/mailboxes/{}", encode(&args.account)),
        None,
    )?;
    let bar = ProgressBar::new_spinner();
    let mut exported = 0u64;
    for mailbox in answer["mailboxes"].as_array().into_iter().flatten() {
        let Some(name) = mailbox["name"].as_str() else {
            continue;
        };
        let folder = maildir(&args.path, name)?;
        exported += export_mailbox(&client, &args.account, name, &folder, &bar)?;
    }
    bar.finish_and_clear();
    if args.server.json {
        say!("{}", json!({ "exported": exported }));
    } else {
        say!("{exported} messages exported to {}", args.path.display());
    }
    Ok(())
}

/// INBOX is the top; `Work/Bills` is `.Work.Bills` (Maildir++). A dot in a name becomes `_`.
pub fn maildir(top: &Path, name: &str) -> Result<PathBuf> {
    let folder = if name == "INBOX" {
        top.to_owned()
    } else {
        top.join(format!(".{}", name.replace('.', "_").replace('/', ".")))
    };
    for sub in ["cur", "new", "tmp"] {
        let path = folder.join(sub);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    }
    Ok(folder)
}

fn export_mailbox(
    client: &Client,
    account: &str,
    name: &str,
    folder: &Path,
    bar: &ProgressBar,
) -> Result<u64> {
    let base = format!("/admin/messages/{}", encode(account));
    let mut after = 0u64;
    let mut exported = 0;
    loop {
        let page = client.json(
            "GET",
            &format!("{base}?mailbox={}&after={after}", encode(name)),
            None,
        )?;
        let rows = page["messages"].as_array().cloned().unwrap_or_default();
        let Some(last) = rows.last() else {
            return Ok(exported);
        };
        after = last["uid"].as_u64().context("the answer has no UID")?;
        for row in &rows {
            export_message(client, &base, name, folder, row)?;
            exported += 1;
            bar.set_message(format!("{name}: {exported}"));
            bar.tick();
        }
    }
}

fn export_message(
    client: &Client,
    base: &str,
    name: &str,
    folder: &Path,
    row: &Value,
) -> Result<()> {
    let uid = row["uid"].as_u64().unwrap_or(0);
    let answer = client.send(
        "GET",
        &format!("{base}/{uid}?mailbox={}", encode(name)),
        "application/json",
        b"",
    )?;
    if answer.status == 404 {
        // Expunged since the page was read.
        return Ok(());
    }
    if answer.status != 200 {
        answer.into_json()?;
        bail!("UID {uid} of {name} cannot be read");
    }
    let date_ms = row["date"].as_u64().unwrap_or(0);
    let letters = flag_letters(row["flags"].as_str().unwrap_or(""));
    let file_name = format!(
        "{}.{uid:010}.gotthard,S={}:2,{letters}",
        date_ms / 1000,
        answer.body.len()
    );
    let temporary = folder.join("tmp").join(&file_name);
    let path = folder.join("cur").join(&file_name);
    fs::write(&temporary, &answer.body)
        .with_context(|| format!("cannot write {}", temporary.display()))?;
    let file = fs::File::options().write(true).open(&temporary)?;
    file.set_modified(UNIX_EPOCH + Duration::from_millis(date_ms))?;
    fs::rename(&temporary, &path)?;
    Ok(())
}

/// Maildir's letters, in the order of the alphabet.
pub fn flag_letters(flags: &str) -> String {
    let has = |name: &str| flags.split(' ').any(|flag| flag.eq_ignore_ascii_case(name));
    let table = [
        ('D', "\\Draft"),
        ('F', "\\Flagged"),
        ('P', "$Forwarded"),
        ('R', "\\Answered"),
        ('S', "\\Seen"),
        ('T', "\\Deleted"),
    ];
    table
        .iter()
        .filter(|(_, name)| has(name))
        .map(|(letter, _)| *letter)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters() {
        assert_eq!(flag_letters("\\Seen \\Flagged $Forwarded"), "FPS");
        assert_eq!(flag_letters(""), "");
    }
}
