//! The files of the admin API: certificate, key, CA and tokens, as they are now.
//!
//! Before it: [`super::config`] names them. After it: [`crate::web`] shakes hands by them, [`super::who`] knows people by them. They are
//! read at the start, where a mistake is said, and looked at again while the service runs: what has changed is in force within
//! seconds, and a change that makes no sense leaves what was.

use std::{path::Path, sync::Arc, time::Duration};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::CertificateDer,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::sync::{Notify, watch};

use super::{
    config::Config,
    tokens::{self, Tokens},
};
use crate::pem::{self, Mistake};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// The files, and what is made of them. Tokens and TLS are apart: a mistake in one holds up no change of the other.
#[derive(Debug)]
pub(super) struct Secrets {
    config: Config,
    token_file: Kept<Vec<u8>>,
    tokens: watch::Sender<Arc<Tokens>>,
    tls_files: Kept<TlsFiles>,
    /// TLS, and the names of our certificate.
    tls: Option<watch::Sender<Arc<ServerConfig>>>,
    names: watch::Sender<Arc<Vec<String>>>,
}

/// What is in the files of TLS.
#[derive(Clone, Default, PartialEq, Eq)]
struct TlsFiles {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Vec<u8>,
}

/// What is made of them.
struct Tls {
    config: Option<Arc<ServerConfig>>,
    names: Vec<String>,
}

/// What is in force of some files, and what was wrong with them when they were looked at last. Its `Debug` shows nothing: it has
/// secrets.
struct Kept<F> {
    content: F,
    refused: Option<(Option<F>, Mistake)>,
}

impl<F> std::fmt::Debug for Kept<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A look at files.
enum Look<M> {
    /// There is nothing to say.
    Same,
    /// What is made of them from now on.
    Changed(M),
    /// What is wrong, to be said.
    Wrong(Mistake),
}

impl<F: PartialEq> Kept<F> {
    fn new(content: F) -> Self {
        Self { content, refused: None }
    }

    /// Looks at what was read. A mistake is to be said once for each content, and whenever somebody asks.
    fn look<M>(
        &mut self,
        read: Result<F, Mistake>,
        is_asked: bool,
        make: impl FnOnce(&F) -> Result<M, Mistake>,
    ) -> Look<M> {
        let refused = match read {
            Ok(content) if content == self.content => {
                self.refused = None;
                return Look::Same;
            }
            Ok(content) => match make(&content) {
                Ok(made) => {
                    *self = Self::new(content);
                    return Look::Changed(made);
                }
                Err(mistake) => (Some(content), mistake),
            },
            Err(mistake) => (None, mistake),
        };
        let is_known = self.refused.as_ref() == Some(&refused);
        let mistake = refused.1.clone();
        self.refused = Some(refused);
        if is_asked || !is_known { Look::Wrong(mistake) } else { Look::Same }
    }
}

impl Secrets {
    /// Reads the files.
    pub(super) fn read(config: &Config) -> Result<Self, Mistake> {
        let (token_file, tls_files) = (read_tokens(config)?, TlsFiles::read(config)?);
        let tokens = make_tokens(config, &token_file)?;
        let Tls { config: tls, names } = tls_files.make(config)?;
        Ok(Self {
            config: config.clone(),
            token_file: Kept::new(token_file),
            tokens: watch::Sender::new(Arc::new(tokens)),
            tls_files: Kept::new(tls_files),
            tls: tls.map(watch::Sender::new),
            names: watch::Sender::new(Arc::new(names)),
        })
    }

    pub(super) fn tls(&self) -> Option<watch::Receiver<Arc<ServerConfig>>> {
        self.tls.as_ref().map(watch::Sender::subscribe)
    }

    pub(super) fn tokens(&self) -> watch::Receiver<Arc<Tokens>> {
        self.tokens.subscribe()
    }

    /// The names in our certificate.
    pub(super) fn names(&self) -> watch::Receiver<Arc<Vec<String>>> {
        self.names.subscribe()
    }

    /// Looks at the files again and again, and at once where that is wished for.
    pub(super) async fn keep(mut self, wish: Arc<Notify>) {
        loop {
            let is_asked = tokio::time::timeout(LOOK, wish.notified()).await.is_ok();
            let config = self.config.clone();
            // They may lie on a disk that takes its time.
            let reading = tokio::task::spawn_blocking(move || (read_tokens(&config), TlsFiles::read(&config)));
            let Ok((token_file, tls_files)) = reading.await else { continue };
            for mistake in self.take(token_file, tls_files, is_asked) {
                tracing::error!("admin: {mistake}; what was read before stays in force");
            }
        }
    }

    /// Puts in force what has changed; gives the mistakes that are to be said.
    fn take(
        &mut self,
        token_file: Result<Vec<u8>, Mistake>,
        tls_files: Result<TlsFiles, Mistake>,
        is_asked: bool,
    ) -> Vec<Mistake> {
        let config = &self.config;
        let mut mistakes = Vec::new();
        match self.token_file.look(token_file, is_asked, |content| make_tokens(config, content)) {
            Look::Changed(tokens) => {
                self.tokens.send_replace(Arc::new(tokens));
                tracing::info!("the admin API's tokens are those of the changed file from now on");
            }
            Look::Wrong(mistake) => mistakes.push(mistake),
            Look::Same => {}
        }
        match self.tls_files.look(tls_files, is_asked, |files| files.make(config)) {
            Look::Changed(Tls { config, names }) => {
                if let (Some(sender), Some(tls)) = (&self.tls, config) {
                    sender.send_replace(tls);
                }
                self.names.send_replace(Arc::new(names));
                tracing::info!("the admin API's certificates are those of the changed files from now on");
            }
            Look::Wrong(mistake) => mistakes.push(mistake),
            Look::Same => {}
        }
        mistakes
    }
}

fn read(path: &Path, is_secret: bool) -> Result<Vec<u8>, Mistake> {
    if is_secret {
        tokens::is_private(path)?;
    }
    pem::content(path)
}

fn read_tokens(config: &Config) -> Result<Vec<u8>, Mistake> {
    config.tokens.as_ref().map_or_else(|| Ok(Vec::new()), |path| read(path, true))
}

fn make_tokens(config: &Config, content: &[u8]) -> Result<Tokens, Mistake> {
    config.tokens.as_ref().map_or_else(|| Ok(Tokens::default()), |path| Tokens::parse(path, content))
}

impl TlsFiles {
    fn read(config: &Config) -> Result<Self, Mistake> {
        let mut files = Self::default();
        if let Some((certificate, key)) = &config.identity {
            (files.certificate, files.key) = (read(certificate, false)?, read(key, true)?);
        }
        if let Some(path) = &config.client_ca {
            files.client_ca = read(path, false)?;
        }
        Ok(files)
    }

    fn make(&self, config: &Config) -> Result<Tls, Mistake> {
        let Some((certificate, key)) = &config.identity else {
            return Ok(Tls { config: None, names: Vec::new() });
        };
        let chain = pem::certificates(certificate, &self.certificate)?;
        let names = names_of(chain.first());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| Mistake::new(certificate, error))?;
        let builder = match &config.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for ca in pem::certificates(path, &self.client_ca)? {
                    roots.add(ca).map_err(|error| Mistake::new(path, error))?;
                }
                let verifier: Arc<dyn ClientCertVerifier> =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        // Who has none may have a token, or ask for health; what they may is decided later.
                        .allow_unauthenticated()
                        .build()
                        .map_err(|error| Mistake::new(path, error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut tls = builder
            .with_single_cert(chain, pem::key(key, &self.key)?)
            .map_err(|error| Mistake::new(certificate, format!("cannot be used with its key: {error}")))?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls { config: Some(Arc::new(tls)), names })
    }
}

/// The names that a certificate is for: of machines and URIs.
pub(super) fn names_of(certificate: Option<&CertificateDer<'_>>) -> Vec<String> {
    let parsed = certificate.and_then(|certificate| webpki::EndEntityCert::try_from(certificate).ok());
    let names = parsed.iter().flat_map(|parsed| parsed.valid_dns_names().chain(parsed.valid_uri_names()));
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_token_is_taken_back_although_the_key_is_wrong_and_a_mistake_is_said_when_it_is_new_or_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let write = |name: &str, content: &str| {
            fs::write(at(name), content).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o600)).unwrap();
        };
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        write("cert", &made.cert.pem());
        write("key", &made.signing_key.serialize_pem());
        let hex: String = tokens::hash(TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
        write("tokens", &format!("alice operate sha256:{hex}\n"));
        let config =
            Config { identity: Some((at("cert"), at("key"))), tokens: Some(at("tokens")), ..Config::default() };
        let mut secrets = Secrets::read(&config).unwrap();
        let tokens = secrets.tokens();
        assert!(tokens.borrow().find(TOKEN).is_some());
        let mut look = |is_asked| secrets.take(read_tokens(&config), TlsFiles::read(&config), is_asked).len();
        write("key", "half of a k");
        assert_eq!((look(false), look(false)), (1, 0));
        write("tokens", "# nobody\n");
        assert_eq!(look(false), 0);
        assert!(tokens.borrow().find(TOKEN).is_none());
        // Somebody asks; the file is another.
        assert_eq!((look(true), look(false)), (1, 0));
        write("key", "half of a ke");
        assert_eq!((look(false), look(false)), (1, 0));
        write("tokens", "nonsense");
        assert_eq!((look(false), look(false), look(true)), (1, 0, 2));
    }
}
