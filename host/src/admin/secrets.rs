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

/// The files, and what is made of them.
#[derive(Debug)]
pub(super) struct Secrets {
    config: Config,
    files: Files,
    tokens: watch::Sender<Arc<Tokens>>,
    /// TLS, and the names of our certificate.
    tls: Option<watch::Sender<Arc<ServerConfig>>>,
    names: watch::Sender<Arc<Vec<String>>>,
}

/// What is in the files. No `Debug`: one of them is a key.
#[derive(Clone, Default, PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Vec<u8>,
    tokens: Vec<u8>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What is made of them.
struct Made {
    tokens: Tokens,
    tls: Option<Arc<ServerConfig>>,
    names: Vec<String>,
}

impl Secrets {
    /// Reads the files.
    pub(super) fn read(config: &Config) -> Result<Self, Mistake> {
        let files = Files::read(config)?;
        let Made { tokens, tls, names } = files.make(config)?;
        Ok(Self {
            config: config.clone(),
            files,
            tokens: watch::Sender::new(Arc::new(tokens)),
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
        let mut refused = None;
        loop {
            tokio::time::timeout(LOOK, wish.notified()).await.ok();
            let config = self.config.clone();
            // They may lie on a disk that takes its time.
            let Ok(read) = tokio::task::spawn_blocking(move || Files::read(&config)).await else { continue };
            let changed = match read {
                Ok(files) if files == self.files => {
                    refused = None;
                    continue;
                }
                Ok(files) => files.make(&self.config).map(|made| (files, made)),
                Err(mistake) => Err(mistake),
            };
            match changed {
                Ok((files, made)) => {
                    self.replace(files, made);
                    refused = None;
                    tracing::info!("the admin API's certificate and tokens are those of the changed files from now on");
                }
                // Once for each mistake, and not every five seconds.
                Err(mistake) if refused.as_ref() != Some(&mistake) => {
                    tracing::error!("admin: {mistake}; what was read before stays in force");
                    refused = Some(mistake);
                }
                Err(_) => {}
            }
        }
    }

    fn replace(&mut self, files: Files, Made { tokens, tls, names }: Made) {
        self.tokens.send_replace(Arc::new(tokens));
        if let (Some(sender), Some(tls)) = (&self.tls, tls) {
            sender.send_replace(tls);
        }
        self.names.send_replace(Arc::new(names));
        self.files = files;
    }
}

impl Files {
    fn read(config: &Config) -> Result<Self, Mistake> {
        let read = |path: &Path, is_secret: bool| {
            if is_secret {
                tokens::is_private(path)?;
            }
            pem::content(path)
        };
        let mut files = Self::default();
        if let Some((certificate, key)) = &config.identity {
            (files.certificate, files.key) = (read(certificate, false)?, read(key, true)?);
        }
        if let Some(path) = &config.client_ca {
            files.client_ca = read(path, false)?;
        }
        if let Some(path) = &config.tokens {
            files.tokens = read(path, true)?;
        }
        Ok(files)
    }

    fn make(&self, config: &Config) -> Result<Made, Mistake> {
        let tokens = match &config.tokens {
            Some(path) => Tokens::parse(path, &self.tokens)?,
            None => Tokens::default(),
        };
        let Some((certificate, key)) = &config.identity else {
            return Ok(Made { tokens, tls: None, names: Vec::new() });
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
        Ok(Made { tokens, tls: Some(Arc::new(tls)), names })
    }
}

/// The names that a certificate is for: of machines and URIs.
pub(super) fn names_of(certificate: Option<&CertificateDer<'_>>) -> Vec<String> {
    let parsed = certificate.and_then(|certificate| webpki::EndEntityCert::try_from(certificate).ok());
    let names = parsed.iter().flat_map(|parsed| parsed.valid_dns_names().chain(parsed.valid_uri_names()));
    names.map(str::to_owned).collect()
}
