//! `gotthard account`, `address` and `session`: requests to the admin listener, answers as tables or JSON.

use crate::cli::{Account, AccountAction, Address, AddressAction, Secret, Session, SessionAction};
use crate::client::{Client, encode};
use crate::print::say;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// A password or hash longer than this is a mistake.
const SECRET_BYTES_MAX: usize = 4096;

fn read_secret(secret: &Secret) -> Result<(&'static str, String)> {
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .context("cannot read standard input")?;
    let text = line.trim_end_matches(['\r', '\n']).to_owned();
    if text.is_empty() || text.len() > SECRET_BYTES_MAX {
        bail!("standard input must hold one line of 1 to {SECRET_BYTES_MAX} octets");
    }
    Ok((
        if secret.hash_stdin {
            "hash"
        } else {
            "password"
        },
        text,
    ))
}

pub fn account(args: &Account) -> Result<()> {
    let client = Client::new(&args.server)?;
    let path = |address: &str, what: &str| format!("/admin/accounts/{}{what}", encode(address));
    match &args.action {
        AccountAction::Add {
            address,
            secret,
            quota,
        } => {
            let (kind, text) = read_secret(secret)?;
            let mut body = json!({ "address": address, kind: text });
            if let Some(quota) = quota {
                body["quota"] = json!(quota);
            }
            done(
                args.server.json,
                &client.json("POST", "/admin/accounts", Some(&body))?,
            )
        }
        AccountAction::List => {
            let rows = pages(&client, "/admin/accounts", "accounts", "address")?;
            table(
                args.server.json,
                "accounts",
                &rows,
                &["address", "state", "shard", "quota_used", "quota_max"],
            )
        }
        AccountAction::Remove { address } => done(
            args.server.json,
            &client.json("DELETE", &path(address, ""), None)?,
        ),
        AccountAction::Password { address, secret } => {
            let (kind, text) = read_secret(secret)?;
            done(
                args.server.json,
                &client.json(
                    "PUT",
                    &path(address, "/password"),
                    Some(&json!({ kind: text })),
                )?,
            )
        }
        AccountAction::Quota { address, octets } => done(
            args.server.json,
            &client.json(
                "PUT",
                &path(address, "/quota"),
                Some(&json!({ "quota": octets })),
            )?,
        ),
        AccountAction::Lock { address } => done(
            args.server.json,
            &client.json(
                "PUT",
                &path(address, "/state"),
                Some(&json!({ "state": "no_login" })),
            )?,
        ),
        AccountAction::Unlock { address } => done(
            args.server.json,
            &client.json(
                "PUT",
                &path(address, "/state"),
                Some(&json!({ "state": "active" })),
            )?,
        ),
    }
}

pub fn address(args: &Address) -> Result<()> {
    let client = Client::new(&args.server)?;
    match &args.action {
        AddressAction::Add {
            address,
            to,
            refuse,
            login,
        } => {
            if to.is_empty() == refuse.is_none() {
                bail!("give either --to (once or more) or --refuse");
            }
            let targets: Vec<Value> = to
                .iter()
                .map(|target| {
                    let (account, folder) = target.split_once(':').unwrap_or((target, ""));
                    json!({ "account": account, "folder": folder })
                })
                .collect();
            let body = json!({ "address": address, "targets": targets, "refusal": refuse, "login": login });
            done(
                args.server.json,
                &client.json("POST", "/admin/addresses", Some(&body))?,
            )
        }
        AddressAction::List => {
            let rows = pages(&client, "/admin/addresses", "addresses", "address")?;
            table(
                args.server.json,
                "addresses",
                &rows,
                &["address", "targets", "refusal", "login"],
            )
        }
        AddressAction::Remove { address } => done(
            args.server.json,
            &client.json(
                "DELETE",
                &format!("/admin/addresses/{}", encode(address)),
                None,
            )?,
        ),
    }
}

pub fn session(args: &Session) -> Result<()> {
    let client = Client::new(&args.server)?;
    match &args.action {
        SessionAction::List => {
            let answer = client.json("GET", "/admin/sessions", None)?;
            let rows = answer["sessions"].as_array().cloned().unwrap_or_default();
            table(
                args.server.json,
                "sessions",
                &rows,
                &["id", "user", "protocol", "address"],
            )
        }
        SessionAction::Kick { id } => done(
            args.server.json,
            &client.json("DELETE", &format!("/admin/sessions/{}", encode(id)), None)?,
        ),
    }
}

/// All rows, page by page.
pub fn pages(client: &Client, path: &str, field: &str, key: &str) -> Result<Vec<Value>> {
    let mut rows: Vec<Value> = Vec::new();
    loop {
        let after = rows
            .last()
            .and_then(|row| row[key].as_str())
            .unwrap_or("")
            .to_owned();
        let answer = client.json("GET", &format!("{path}?after={}", encode(&after)), None)?;
        let page = answer[field].as_array().cloned().unwrap_or_default();
        if page.is_empty() {
            return Ok(rows);
        }
        rows.extend(page);
    }
}

fn done(as_json: bool, answer: &Value) -> Result<()> {
    if as_json {
        say!(
            "{}",
            if answer.is_null() {
                json!({ "done": true })
            } else {
                answer.clone()
            }
        );
    } else {
        say!("done");
    }
    Ok(())
}

fn table(as_json: bool, field: &str, rows: &[Value], columns: &[&str]) -> Result<()> {
    if as_json {
        say!("{}", json!({ field: rows }));
        return Ok(());
    }
    let cell = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut lines: Vec<Vec<String>> = vec![columns.iter().map(|c| (*c).to_owned()).collect()];
    lines.extend(
        rows.iter()
            .map(|row| columns.iter().map(|c| cell(&row[*c])).collect()),
    );
    print_columns(&lines);
    Ok(())
}

pub fn print_columns(lines: &[Vec<String>]) {
    let columns = lines.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|i| {
            lines
                .iter()
                .map(|line| line[i].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for line in lines {
        let padded: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(text, width)| format!("{text:width$}"))
            .collect();
        say!("{}", padded.join("  ").trim_end());
    }
}
