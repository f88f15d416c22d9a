//! What a node is started from: a folder with its configuration, certificate, key and token, that may be carried to
//! another machine. The demo, `cluster init` and `cluster add-node` make them.

use crate::authority::{Authority, CERTIFICATE_FILE};
use crate::config::{Config, MemberConfig};
use crate::identity::write_new;
use anyhow::{Context, Result, bail};
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub const CONFIG_FILE: &str = "gotthard.toml";
pub const TOKEN_FILE: &str = "admin-token";

/// Where a node's clients come, counted down from its peers' port as in the demo; 1700 gives the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailPorts {
    pub imap: u16,
    pub lmtp: u16,
    pub http: u16,
}

impl MailPorts {
    /// The defaults if the peers' port is too low to count down from.
    pub fn below(peer_port: u16) -> MailPorts {
        let base = peer_port.checked_sub(700).filter(|base| *base > 0);
        let base = base.unwrap_or(1000);
        MailPorts {
            imap: base + 143,
            lmtp: base + 24,
            http: base + 80,
        }
    }
}

/// What all nodes of a cluster have in common.
pub struct ClusterFacts<'a> {
    pub id: &'a str,
    pub incarnation: u32,
    pub mail_shards: u32,
    /// This node among them.
    pub members: &'a [MemberConfig],
}

pub fn node_dir(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("node-{id}"))
}

/// `host:port`, the port not 0.
pub fn port_of(peer: &str) -> Option<u16> {
    let (host, port) = peer.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    (!host.is_empty() && port > 0).then_some(port)
}

fn quoted(text: &str) -> toml::Value {
    toml::Value::from(text)
}

/// The `[cluster]` part of a configuration; paths are relative to the node's folder.
pub fn cluster_text(cluster: &ClusterFacts, join: bool) -> String {
    let mut text = format!("[cluster]\nid = {}\n", quoted(cluster.id));
    if cluster.incarnation != 1 {
        let _ = writeln!(text, "incarnation = {}", cluster.incarnation);
    }
    let _ = writeln!(text, "mail_shards = {}", cluster.mail_shards);
    if join {
        text.push_str("# Added to a running cluster: it founds nothing by itself.\njoin = true\n");
    }
    text.push_str(
        "authority = \"authority.pem\"\ncertificate = \"peer.pem\"\nkey = \"peer-key.pem\"\n",
    );
    for member in cluster.members {
        let _ = write!(
            text,
            "\n[[cluster.members]]\nid = {}\nsite = {}\npeer = {}\n",
            member.id,
            quoted(&member.site),
            quoted(&member.peer)
        );
    }
    text
}

fn config_text(node: &MemberConfig, cluster: &ClusterFacts, join: bool) -> Result<String> {
    let port =
        port_of(&node.peer).with_context(|| format!("a peer is HOST:PORT, not {:?}", node.peer))?;
    let ports = MailPorts::below(port);
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    Ok(format!(
        "# Every key is described in docs/configuration.md. Relative paths are relative to this file.\n\
         [node]\nid = {}\nsite = {}\nhostname = \"localhost\"\ndata = \".\"\n\n\
         # Where clients come. Beyond loopback, logins need TLS: give a certificate below.\n\
         [listen]\nimap = \"{}\"\nlmtp = \"{}\"\nhttp = \"{}\"\n\n\
         # [tls]\n# certificate = \"certificate.pem\"\n# key = \"key.pem\"\n\n{}",
        node.id,
        quoted(&node.site),
        at(ports.imap),
        at(ports.lmtp),
        at(ports.http),
        cluster_text(cluster, join)
    ))
}

/// The certificate and key that show other nodes who this is.
pub fn write_peer_files(folder: &Path, node: u64, authority: &Authority) -> Result<()> {
    let certified = authority.certify(node)?;
    write_new(&folder.join("peer.pem"), certified.certificate.trim_end())?;
    write_new(&folder.join("peer-key.pem"), certified.key.trim_end())
}

/// Makes the node's folder in `dir`, whole or not at all; one that is there already is an error.
pub fn make(
    dir: &Path,
    node: &MemberConfig,
    cluster: &ClusterFacts,
    join: bool,
    authority: &Authority,
) -> Result<PathBuf> {
    let folder = node_dir(dir, node.id);
    if folder.exists() {
        bail!("{} is there already", folder.display());
    }
    let unfinished = dir.join(format!(".node-{}.unfinished", node.id));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir(&unfinished).with_context(|| format!("cannot make {}", unfinished.display()))?;
    let token = fs::read_to_string(dir.join(TOKEN_FILE))
        .with_context(|| format!("cannot read {}", dir.join(TOKEN_FILE).display()))?;
    let text = config_text(node, cluster, join)?;
    Config::parse(&text).context("the new configuration would not be valid")?;
    write_new(&unfinished.join(TOKEN_FILE), token.trim())?;
    write_new(
        &unfinished.join(CERTIFICATE_FILE),
        authority.certificate.trim_end(),
    )?;
    write_peer_files(&unfinished, node.id, authority)?;
    write_new(&unfinished.join(CONFIG_FILE), text.trim_end())?;
    fs::rename(&unfinished, &folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_counted_down_from_the_peers() {
        let check = |peer, imap, lmtp, http| {
            assert_eq!(
                MailPorts::below(peer),
                MailPorts { imap, lmtp, http },
                "{peer}"
            );
        };
        check(1700, 1143, 1024, 1080);
        check(4700, 4143, 4024, 4080);
        check(65535, 64978, 64859, 64915);
        check(700, 1143, 1024, 1080);
        check(443, 1143, 1024, 1080);
    }

    #[test]
    fn a_folder_is_a_configuration_that_loads_from_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        write_new(&dir.path().join(TOKEN_FILE), "secret").unwrap();
        let authority = Authority::found(dir.path(), "test").unwrap();
        let member = |id, site: &str| MemberConfig {
            id,
            site: site.into(),
            peer: format!("10.0.0.{id}:1700"),
        };
        let members = [member(1, "a \"quoted\" site"), member(4, "b")];
        let cluster = ClusterFacts {
            id: &"7".repeat(32),
            incarnation: 3,
            mail_shards: 2,
            members: &members,
        };
        let folder = make(dir.path(), &members[1], &cluster, true, &authority).unwrap();
        let config = Config::load(Some(&folder.join(CONFIG_FILE))).unwrap();
        assert_eq!(config.node.data, folder.join("."));
        assert_eq!(config.cluster.key, Some(folder.join("peer-key.pem")));
        assert_eq!((config.node.id, config.cluster.incarnation), (4, 3));
        assert!(config.cluster.join);
        assert_eq!(config.cluster.members[0].site, members[0].site);
        assert!(make(dir.path(), &members[1], &cluster, true, &authority).is_err());
    }
}
