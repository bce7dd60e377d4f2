//! Whom HTTPS trusts: the system's CAs, or those of one file.
//!
//! Before it: the settings `http.ca_file`, for handlers, and `tracing.ca_file`. After it: [`super::connect`] shakes hands.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use tokio::sync::{OnceCell, Semaphore};

use super::Error;
use crate::settings::Settings;

/// The largest file of certificates that is read, in bytes; a whole system's CA bundle has a quarter of it.
const MAX_FILE_LENGTH: u64 = 1 << 20;

/// Names that are looked up at once, of all handlers: each holds a thread of the system's resolver, which may be slow.
const LOOKUPS: usize = 16;

/// What all requests share: whom to trust, read when the first needs it, and the places for names that are looked up.
#[derive(Debug)]
pub(crate) struct Trust {
    ca_file: Option<PathBuf>,
    config: OnceCell<Arc<ClientConfig>>,
    pub(super) lookups: Arc<Semaphore>,
}

impl Default for Trust {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Trust {
    pub(crate) fn new(ca_file: Option<PathBuf>) -> Self {
        Self { ca_file, config: OnceCell::new(), lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }

    /// How to shake hands.
    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        let read = async || {
            let ca_file = self.ca_file.clone();
            let read = tokio::task::spawn_blocking(move || client_config(ca_file.as_deref())).await;
            read.map_err(|error| error.to_string()).flatten().map(Arc::new).map_err(|reason| {
                tracing::warn!(reason, "https cannot be spoken");
                Error::Certificate
            })
        };
        self.config.get_or_try_init(read).await.cloned()
    }
}

/// Takes the setting, and reads the file once, so that a mistake is said at the start.
pub(crate) fn read(settings: &mut Settings, name: &str) -> Option<PathBuf> {
    let path = settings.take_optional::<PathBuf>(name)?;
    if let Err(reason) = check(&path) {
        settings.problem(name, &reason);
    }
    Some(path)
}

/// Looks whether a file has certificates.
pub(crate) fn check(ca_file: &Path) -> Result<(), String> {
    client_config(Some(ca_file)).map(drop)
}

fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let wrong = |reason: &dyn std::fmt::Display| format!("{}: {reason}", path.display());
            let content = content(path).map_err(|error| wrong(&error))?;
            for certificate in CertificateDer::pem_slice_iter(&content) {
                let certificate = certificate.map_err(|_| wrong(&"is not PEM"))?;
                roots.add(certificate).map_err(|error| wrong(&error))?;
            }
            if roots.is_empty() {
                return Err(wrong(&"holds no certificate in PEM"));
            }
        }
        None => {
            // Systems have some that nobody can use.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13, &TLS12]);
    let mut config = builder.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let read = io::Read::read_to_end(&mut io::Read::take(fs::File::open(path)?, MAX_FILE_LENGTH + 1), &mut content)?;
    if u64::try_from(read).is_ok_and(|length| length <= MAX_FILE_LENGTH) {
        Ok(content)
    } else {
        Err(io::Error::other("is larger than 1 MiB"))
    }
}
