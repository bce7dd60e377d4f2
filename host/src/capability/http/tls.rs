//! Whom HTTPS trusts: the system's CAs, or those of one file.
//!
//! Before it: the settings `http.ca_file`, for handlers, and `tracing.ca_file`. After it: [`super::connect`] shakes hands.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::Error;
use crate::{confine::explained, settings::Settings};

/// The largest file of certificates that is read, in bytes; a whole system's CA bundle has a quarter of it.
const MAX_FILE_LENGTH: u64 = 1 << 20;

/// Names that are looked up at once, of all handlers: each holds a thread of the system's resolver, which may be slow.
const LOOKUPS: usize = 16;

/// Those of one handler among them: name servers that it has chosen may never answer.
const LOOKUPS_OF_ONE: usize = 4;

/// What all requests share: whom to trust, read when the first needs it, and the places for names that are looked up.
#[derive(Debug)]
pub(crate) struct Trust {
    ca_file: Option<PathBuf>,
    config: OnceCell<Arc<ClientConfig>>,
    lookups: Arc<Semaphore>,
    /// By the names of those that ask.
    lookups_of: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Places among the names that are looked up: one's own, and one of all.
pub(super) struct Lookup {
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

impl Lookup {
    /// Waits for a place of both kinds, which is held until the resolver has answered, however long nobody waits for it.
    pub(super) async fn enter(self) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), Error> {
        let own = self.own.acquire_owned().await.map_err(|_| Error::DnsTimeout)?;
        Ok((own, self.all.acquire_owned().await.map_err(|_| Error::DnsTimeout)?))
    }
}

impl Default for Trust {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Trust {
    pub(crate) fn new(ca_file: Option<PathBuf>) -> Self {
        let lookups = Arc::new(Semaphore::new(LOOKUPS));
        Self { ca_file, config: OnceCell::new(), lookups, lookups_of: Mutex::default() }
    }

    /// The places of one that asks: a handler, or the service itself.
    pub(super) fn lookup(&self, who: &str) -> Lookup {
        let mut of = self.lookups_of.lock().unwrap_or_else(PoisonError::into_inner);
        let own = match of.get(who) {
            Some(own) => Arc::clone(own),
            None => Arc::clone(of.entry(who.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(LOOKUPS_OF_ONE)))),
        };
        Lookup { own, all: Arc::clone(&self.lookups) }
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
    let read = io::Read::read_to_end(
        &mut io::Read::take(fs::File::open(path).map_err(explained)?, MAX_FILE_LENGTH + 1),
        &mut content,
    )?;
    if u64::try_from(read).is_ok_and(|length| length <= MAX_FILE_LENGTH) {
        Ok(content)
    } else {
        Err(io::Error::other("is larger than 1 MiB"))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// Attacks the others: name servers of its own that never answer.
    #[tokio::test]
    async fn one_handler_does_not_take_all_places_of_names_that_are_looked_up() {
        let trust = Trust::default();
        let mut held = Vec::new();
        for _ in 0..LOOKUPS_OF_ONE {
            held.push(trust.lookup("slow").enter().await.unwrap());
        }
        assert!(trust.lookup("slow").enter().now_or_never().is_none());
        held.push(trust.lookup("other").enter().await.unwrap());
        drop(held.remove(0));
        drop(trust.lookup("slow").enter().await.unwrap());
    }
}
