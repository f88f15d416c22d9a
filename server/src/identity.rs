//! What a data directory keeps beside journal and views: the cluster's id and the admin token.

use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    Ok(bytes)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn parse_id(text: &str) -> Result<[u8; 16]> {
    let text = text.trim();
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        bail!("a cluster id has 32 hexadecimal digits, not {text:?}");
    }
    Ok(u128::from_str_radix(text, 16)?.to_be_bytes())
}

/// The configured id, or the one made at the first start. A directory of another cluster is refused.
pub fn cluster_id(data: &Path, configured: &str) -> Result<[u8; 16]> {
    let path = data.join("cluster-id");
    let kept = match fs::read_to_string(&path) {
        Ok(text) => {
            Some(parse_id(&text).with_context(|| format!("{} is damaged", path.display()))?)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let wanted = if configured.is_empty() {
        None
    } else {
        Some(parse_id(configured)?)
    };
    match (kept, wanted) {
        (Some(kept), Some(wanted)) if kept != wanted => bail!(
            "{} belongs to cluster {}, but the configuration says {}; give another --data",
            data.display(),
            hex(&kept),
            hex(&wanted)
        ),
        (Some(kept), _) => Ok(kept),
        (None, wanted) => {
            let id = match wanted {
                Some(id) => id,
                None => random()?,
            };
            write_new(&path, &hex(&id))?;
            Ok(id)
        }
    }
}

/// The bearer token of the admin listener, readable by the owner alone.
pub fn admin_token(data: &Path) -> Result<String> {
    let path = data.join("admin-token");
    match fs::read_to_string(&path) {
        Ok(token) if !token.trim().is_empty() => Ok(token.trim().to_owned()),
        _ => {
            let token = hex(&random::<16>()?);
            write_new(&path, &token)?;
            Ok(token)
        }
    }
}

pub fn write_new(path: &Path, text: &str) -> Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let first = cluster_id(dir.path(), "").unwrap();
        assert_eq!(cluster_id(dir.path(), "").unwrap(), first);
        assert_eq!(cluster_id(dir.path(), &hex(&first)).unwrap(), first);
        let other = cluster_id(dir.path(), &"0".repeat(32))
            .unwrap_err()
            .to_string();
        assert!(other.contains("belongs to cluster"), "{other}");
        assert!(cluster_id(dir.path(), "xyz").is_err());
        assert_eq!(
            admin_token(dir.path()).unwrap(),
            admin_token(dir.path()).unwrap()
        );
    }
}
