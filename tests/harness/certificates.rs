//! Certificates for a story about TLS, made anew each time.
//!
//! After it: [`super::Broker::tls`], and options of clients.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use super::Scratch;

/// Where the broker is, by its certificate. It listens at 127.0.0.2 too.
const BROKER: &str = "127.0.0.1";

/// A directory of PEM files: `ca.pem`, `cert.pem` and `key.pem` of the broker, `client.pem` and `client-key.pem`, and
/// `other-ca.pem`, which signed none of them.
#[derive(Debug)]
pub(crate) struct Certificates(Scratch);

impl Certificates {
    /// Makes them, the client's for a user, who is `USER.example.org` too.
    pub(crate) fn for_user(user: &str) -> Self {
        let scratch = Scratch::new();
        let ca = authority("Test CA");
        scratch.write("ca.pem", ca.pem());
        scratch.write("other-ca.pem", authority("Other CA").pem());
        let sign = |name: &str, hosts: &[&str], usage: ExtendedKeyUsagePurpose, files: [&str; 2]| {
            let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
            let mut params = CertificateParams::new(names).expect("names");
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate().expect("a key");
            scratch.write(files[0], params.signed_by(&key, &ca).expect("a certificate").pem());
            scratch.write(files[1], key.serialize_pem());
        };
        sign("broker", &[BROKER], ExtendedKeyUsagePurpose::ServerAuth, ["cert.pem", "key.pem"]);
        let name = format!("{user}.example.org");
        sign(user, &[&name], ExtendedKeyUsagePurpose::ClientAuth, ["client.pem", "client-key.pem"]);
        Self(scratch)
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// One file.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}
