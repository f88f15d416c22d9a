//! The configuration: one TOML file, unknown keys refused with the nearest known name. `docs/configuration.md`
//! describes every key; a test holds the two together.

use anyhow::{Context, Result, anyhow, bail};
use engine_types::Address;
use gateway_session::Network;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use crate::site_loss::SiteLoss;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub node: NodeConfig,
    #[serde(default)]
    pub cluster: ClusterConfig,
    #[serde(default)]
    pub listen: ListenConfig,
    #[serde(default)]
    pub tls: TlsConfig,
    #[serde(default)]
    pub limits: LimitsConfig,
    #[serde(default)]
    pub log: LogConfig,
    #[serde(default)]
    pub search: crate::search::SearchConfig,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    pub format: LogFormat,
    /// Octets of this node's outcome log (`gotthard trace`).
    pub outcome_bytes_max: u64,
    /// Days after which an outcome is removed from it.
    pub outcome_days_max: u64,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig {
            format: LogFormat::default(),
            outcome_bytes_max: 256 << 20,
            outcome_days_max: 30,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeConfig {
    pub id: u64,
    pub site: String,
    /// In greetings and Received lines.
    pub hostname: String,
    /// Who gets mail for `postmaster` without a domain. Absent: the postmaster of `hostname`, or of the domain that it
    /// lies in.
    pub postmaster: Option<String>,
    pub data: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// 32 hexadecimal digits; empty: made at the first start and kept in the data directory.
    pub id: String,
    pub incarnation: u32,
    /// Empty: this node alone.
    pub members: Vec<MemberConfig>,
    /// Shards for mail, beside the control group.
    pub mail_shards: u32,
    /// What happens to changes while only one site is left, in a new cluster; later: `gotthard cluster policy`.
    pub on_site_loss: SiteLoss,
    /// This node is added to a running cluster (`gotthard cluster add-node`): it founds nothing.
    pub join: bool,
    /// PEM: who signs the nodes' certificates. The three go together; without them peers talk in the clear.
    pub authority: Option<PathBuf>,
    /// PEM: this node's, for the name `node-<id>`.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberConfig {
    pub id: u64,
    pub site: String,
    /// `host:port` of its peer listener.
    pub peer: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenConfig {
    pub imap: Option<SocketAddr>,
    pub imaps: Option<SocketAddr>,
    pub lmtp: Option<SocketAddr>,
    pub http: Option<SocketAddr>,
    /// PROXY protocol v1 and v2 on the mail listeners, from `trusted_networks` only.
    pub proxy_protocol: bool,
    /// Balancers and gateways of our own: the caps per address spare them.
    #[serde(deserialize_with = "networks")]
    pub trusted_networks: Vec<Network>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Logins only under TLS. Default: true unless every mail listener is on loopback.
    pub required: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Octets of the largest message.
    pub message_bytes_max: u64,
    /// Over quota answers 452 4.2.2 instead of 552 5.2.2.
    pub quota_tempfail: bool,
    /// Octets that the journal keeps free for votes and repairs.
    pub journal_reserve_bytes: u64,
    /// With less than this left on the data's file system a node counts as full, so that its views can still be written.
    pub disk_keep_free_bytes: u64,
    /// Entries of each shard that stay in Raft's log: a member that is further behind gets a snapshot.
    pub raft_log_entries_kept: u64,
}

impl Default for NodeConfig {
    fn default() -> NodeConfig {
        NodeConfig {
            id: 1,
            site: "a".into(),
            hostname: "localhost".into(),
            postmaster: None,
            data: "./gotthard-data".into(),
        }
    }
}

impl Default for ClusterConfig {
    fn default() -> ClusterConfig {
        ClusterConfig {
            id: String::new(),
            incarnation: 1,
            members: Vec::new(),
            mail_shards: 16,
            on_site_loss: SiteLoss::default(),
            join: false,
            authority: None,
            certificate: None,
            key: None,
        }
    }
}

impl Default for ListenConfig {
    fn default() -> ListenConfig {
        let at = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        ListenConfig {
            imap: at(1143),
            imaps: None,
            lmtp: at(1024),
            http: at(1080),
            proxy_protocol: false,
            trusted_networks: Network::loopback(),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> LimitsConfig {
        LimitsConfig {
            message_bytes_max: 50 << 20,
            quota_tempfail: false,
            journal_reserve_bytes: 256 << 20,
            disk_keep_free_bytes: 256 << 20,
            raft_log_entries_kept: raft_node::LogKeeping::default().keep,
        }
    }
}

/// A few files of the outcome log.
const OUTCOME_BYTES_LEAST: u64 = 16 << 20;

/// All keys, for "did you mean".
const KEYS: [&str; 35] = [
    "node",
    "id",
    "site",
    "hostname",
    "postmaster",
    "data",
    "cluster",
    "incarnation",
    "members",
    "mail_shards",
    "on_site_loss",
    "join",
    "authority",
    "peer",
    "listen",
    "imap",
    "imaps",
    "lmtp",
    "http",
    "proxy_protocol",
    "trusted_networks",
    "tls",
    "certificate",
    "key",
    "required",
    "limits",
    "log",
    "format",
    "outcome_bytes_max",
    "outcome_days_max",
    "message_bytes_max",
    "quota_tempfail",
    "journal_reserve_bytes",
    "disk_keep_free_bytes",
    "raft_log_entries_kept",
];

impl Config {
    pub fn load(path: Option<&Path>) -> Result<Config> {
        let Some(path) = path else {
            return Config::parse("");
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let mut config = Config::parse(&text)
            .with_context(|| format!("{} is not a valid configuration", path.display()))?;
        config.resolve_paths(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// Paths in a file are relative to its folder, so that a node's folder can be carried elsewhere.
    fn resolve_paths(&mut self, folder: &Path) {
        let tls = [&mut self.tls.certificate, &mut self.tls.key];
        let peers = [
            &mut self.cluster.authority,
            &mut self.cluster.certificate,
            &mut self.cluster.key,
        ];
        for path in tls.into_iter().chain(peers).flatten() {
            *path = folder.join(&*path);
        }
        self.node.data = folder.join(&self.node.data);
    }

    pub fn parse(text: &str) -> Result<Config> {
        let config: Config =
            toml::from_str(text).map_err(|error| with_nearest(&error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            bail!("tls.certificate and tls.key go together");
        }
        let peer_tls = [
            &self.cluster.authority,
            &self.cluster.certificate,
            &self.cluster.key,
        ];
        if !matches!(peer_tls.iter().filter(|path| path.is_some()).count(), 0 | 3) {
            bail!("cluster.authority, cluster.certificate and cluster.key go together");
        }
        if self.listen.imaps.is_some() && self.tls.certificate.is_none() {
            bail!("listen.imaps needs tls.certificate and tls.key");
        }
        if !(1..=1024).contains(&self.cluster.mail_shards) {
            bail!("cluster.mail_shards is 1 to 1024");
        }
        self.postmaster()?;
        if self.log.outcome_bytes_max < OUTCOME_BYTES_LEAST || self.log.outcome_days_max == 0 {
            bail!(
                "log.outcome_bytes_max is {OUTCOME_BYTES_LEAST} at least, log.outcome_days_max 1"
            );
        }
        let members = &self.cluster.members;
        if self.cluster.join && members.is_empty() {
            bail!("cluster.join needs cluster.members: this node, and those that it joins");
        }
        if !members.is_empty() {
            match members.iter().find(|m| m.id == self.node.id) {
                None => bail!(
                    "cluster.members does not hold this node's id {}",
                    self.node.id
                ),
                Some(me) if me.site != self.node.site => {
                    bail!(
                        "node.site is {:?}, but cluster.members puts node {} in {:?}",
                        self.node.site,
                        me.id,
                        me.site
                    )
                }
                Some(_) if self.cluster.id.is_empty() => {
                    bail!("a cluster of several nodes needs the same cluster.id on each")
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    pub fn postmaster(&self) -> Result<Option<Address>> {
        let parse = |text: &String| {
            Address::parse(text)
                .map_err(|error| anyhow!("node.postmaster {text:?} is no address: {error}"))
        };
        self.node.postmaster.as_ref().map(parse).transpose()
    }

    /// Whether logins need TLS: as configured, or unless all mail listeners are on loopback.
    pub fn tls_required(&self) -> bool {
        let loopback = [self.listen.imap, self.listen.imaps]
            .iter()
            .flatten()
            .all(|addr| addr.ip().is_loopback());
        self.tls.required.unwrap_or(!loopback)
    }
}

fn networks<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Network>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let networks = texts.iter().map(|text| text.parse::<Network>());
    networks
        .collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
}

/// Adds the nearest known key to serde's "unknown field".
fn with_nearest(message: &str) -> anyhow::Error {
    let unknown = message
        .split("unknown field `")
        .nth(1)
        .and_then(|rest| rest.split('`').next());
    let nearest = unknown.and_then(|word| {
        let best = KEYS.iter().min_by_key(|key| distance(word, key))?;
        (distance(word, best) <= 3).then_some(*best)
    });
    match nearest {
        Some(key) => anyhow::anyhow!("{message}\ndid you mean `{key}`?"),
        None => anyhow::anyhow!("{message}"),
    }
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replace = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let shown = match Config::parse(text) {
            Ok(_) => "ok".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        assert!(
            shown.contains(expect),
            "{text:?} gave {shown:?}, not {expect:?}"
        );
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        check("", "ok");
        check("[listen]\nimpa = \"127.0.0.1:1\"", "did you mean `imap`?");
        check("[nodes]\nid = 1", "did you mean `node`?");
        check("[node]\nid = \"x\"", "invalid type");
        check("[node]\npostmaster = \"ops@example.org\"", "ok");
        check("[node]\npostmaster = \"ops\"", "is no address");
        check("[log]\noutcome_bytes_max = 1000", "16777216 at least");
        check("[listen]\nimaps = \"127.0.0.1:1\"", "listen.imaps needs");
        check(
            "[listen]\ntrusted_networks = [\"10.0.0.0/8\", \"::1\"]",
            "ok",
        );
        check(
            "[listen]\ntrusted_networks = [\"10/8\"]",
            "is not a network",
        );
        check("[cluster]\njoin = true", "cluster.join needs");
        check("[tls]\nkey = \"x\"", "go together");
        check(
            "[[cluster.members]]\nid = 7\nsite = \"a\"\npeer = \"x:1\"",
            "does not hold this node's id 1",
        );
        check(
            "[[cluster.members]]\nid = 1\nsite = \"b\"\npeer = \"x:1\"",
            "node.site is \"a\"",
        );
    }

    #[test]
    fn login_needs_tls_beyond_loopback() {
        assert!(!Config::parse("").unwrap().tls_required());
        assert!(
            Config::parse("[listen]\nimap = \"0.0.0.0:143\"")
                .unwrap()
                .tls_required()
        );
    }

    #[test]
    fn every_key_is_documented() {
        let text = include_str!("../../docs/configuration.md");
        for key in KEYS {
            assert!(
                text.contains(key),
                "docs/configuration.md does not describe {key}"
            );
        }
    }
}
