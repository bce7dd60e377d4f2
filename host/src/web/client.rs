//! Who asks, as far as the connection tells: every question has it among its extensions.
//!
//! Before it: [`super::server`] has accepted a connection. After it: whoever answers decides what that client may.

use std::{net::SocketAddr, sync::Arc};

use rustls::pki_types::CertificateDer;

use super::places::Place;

/// Who asks. Clones are the same.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) peer: Peer,
    pub(super) is_secure: bool,
    pub(super) certificate: Option<CertificateDer<'static>>,
    pub(super) place: Arc<Place>,
}

/// Where somebody asks from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address, which many may share.
    Tcp(SocketAddr),
    /// A process of this machine, by its user; `None` where the kernel does not say.
    Unix(Option<u32>),
}

impl Client {
    /// Where they are.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Their certificate, of a CA that the listener trusts.
    #[must_use]
    pub fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.certificate.as_ref()
    }

    /// From now on nobody else takes their place, however long the answer takes: they are known, and not any stranger. Gives
    /// whether there was room for one more of that kind; a quarter of all places is.
    #[must_use = "where it is false, the place can be lost"]
    pub fn keep(&self) -> bool {
        self.place.keep()
    }
}
