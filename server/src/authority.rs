//! The cluster's own certificate authority: two files of a folder. What it signs is a node of the cluster.
//! The key is needed to let nodes in, and for nothing else: it belongs on no node.

use crate::identity::write_new;
use anyhow::{Context, Result, bail};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::fs;
use std::path::Path;

pub const CERTIFICATE_FILE: &str = "authority.pem";
pub const KEY_FILE: &str = "authority-key.pem";

pub struct Authority {
    /// PEM: what nodes trust.
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A node's certificate for the name `node-<id>`, and its key; both PEM.
pub struct Certified {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    /// Makes an authority, and keeps it in `dir`, which holds none yet.
    pub fn found(dir: &Path, name: &str) -> Result<Authority> {
        for file in [CERTIFICATE_FILE, KEY_FILE] {
            if dir.join(file).exists() {
                bail!("{} is there already", dir.join(file).display());
            }
        }
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key)?.pem();
        write_new(&dir.join(KEY_FILE), key.serialize_pem().trim_end())?;
        write_new(&dir.join(CERTIFICATE_FILE), certificate.trim_end())?;
        Ok(Authority {
            certificate,
            issuer: Issuer::new(params, key),
        })
    }

    pub fn open(dir: &Path) -> Result<Authority> {
        let read = |file: &str| {
            let path = dir.join(file);
            fs::read_to_string(&path).with_context(|| {
                format!(
                    "cannot read {}: the folder that `gotthard cluster init` or the demo made holds it",
                    path.display()
                )
            })
        };
        let certificate = read(CERTIFICATE_FILE)?;
        let key = KeyPair::from_pem(&read(KEY_FILE)?)
            .with_context(|| format!("{KEY_FILE} is not a private key"))?;
        let issuer = Issuer::from_ca_cert_pem(&certificate, key)
            .with_context(|| format!("{CERTIFICATE_FILE} is not a certificate"))?;
        Ok(Authority {
            certificate,
            issuer,
        })
    }

    pub fn certify(&self, node: u64) -> Result<Certified> {
        let name = format!("node-{node}");
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.clone()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        Ok(Certified {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::RootCertStore;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, UnixTime};
    use rustls::server::WebPkiClientVerifier;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    /// Whether a server that trusts `authority` lets the certificate in.
    fn trusts(authority: &Authority, certified: &Certified) -> bool {
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(der(&authority.certificate)).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.build().unwrap();
        let certificate = der(&certified.certificate);
        let verified = verifier.verify_client_cert(&certificate, &[], UnixTime::now());
        verified.is_ok()
    }

    #[test]
    fn an_authority_that_was_kept_signs_as_the_one_that_was_made() {
        let dir = tempfile::tempdir().unwrap();
        let made = Authority::found(dir.path(), "ours").unwrap();
        let kept = Authority::open(dir.path()).unwrap();
        assert!(trusts(&made, &made.certify(1).unwrap()));
        assert!(trusts(&made, &kept.certify(4).unwrap()));
        let other = tempfile::tempdir().unwrap();
        let foreign = Authority::found(other.path(), "ours").unwrap();
        assert!(!trusts(&made, &foreign.certify(1).unwrap()));

        let mode = fs::metadata(dir.path().join(KEY_FILE))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        assert!(Authority::found(dir.path(), "again").is_err());
    }
}
