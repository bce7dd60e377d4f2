//! TLS by oslo.messaging's options: whom to trust, and who we are.
//!
//! Before it: [`super::super::config`] takes the options. After it: [`super::link`] puts TLS on each new connection, and
//! [`super::failure`] asks what an error of TLS means. The files are read for every connection, so that a renewed
//! certificate needs no restart, and once with the configuration, so that a mistake is said at the start. What is in a
//! key file is never shown.

mod verify;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer},
    version::{TLS12, TLS13},
};

use crate::{
    pem,
    settings::{Setting, Settings},
};

pub(crate) use verify::advice;

/// How connections are encrypted. The fields have the names of oslo.messaging's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The only CAs that are trusted, as PEM; without it, the system's are.
    pub ssl_ca_file: Option<PathBuf>,
    /// Our certificate and what leads from it to its CA, as PEM.
    pub ssl_cert_file: Option<PathBuf>,
    /// The key of our certificate, as PEM, not encrypted; without it, the key is in `ssl_cert_file`.
    pub ssl_key_file: Option<PathBuf>,
    /// Which version of TLS is spoken.
    pub ssl_version: Version,
    /// Whether the broker's certificate must be for the host that we connect to.
    pub ssl_enforce_hostname_verification: bool,
}

/// Which version of TLS is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// The best that both sides know: 1.3 or 1.2.
    #[default]
    Best,
    /// 1.2 only.
    Tls12,
    /// 1.3 only.
    Tls13,
}

/// What is wrong with an option.
#[derive(Debug)]
pub(crate) struct Mistake {
    /// Its name.
    option: &'static str,
    /// What, and with which file.
    text: String,
}

impl Tls {
    /// Takes the options. `None` where `ssl` is off.
    pub(crate) fn read(settings: &mut Settings) -> Option<Self> {
        let is_on = settings.take("rabbit.ssl", false);
        let tls = Self {
            ssl_ca_file: settings.take_optional("rabbit.ssl_ca_file"),
            ssl_cert_file: settings.take_optional("rabbit.ssl_cert_file"),
            ssl_key_file: settings.take_optional("rabbit.ssl_key_file"),
            ssl_version: settings.take("rabbit.ssl_version", Version::default()),
            ssl_enforce_hostname_verification: settings.take("rabbit.ssl_enforce_hostname_verification", true),
        };
        if settings.take("rabbit.ssl_enforce_fips_mode", false) {
            let reason = "this program has no cryptography that is validated for FIPS; take it out, or put a proxy \
                that has before it";
            settings.problem("rabbit.ssl_enforce_fips_mode", reason);
        }
        if !is_on {
            for (option, file) in tls.files() {
                if file.is_some() {
                    settings.problem(&format!("rabbit.{option}"), "TLS is off; set ssl = true, or take this out");
                }
            }
            return None;
        }
        if let Err(Mistake { option, text }) = tls.client_config() {
            settings.problem(&format!("rabbit.{option}"), &text);
        }
        Some(tls)
    }

    /// Whether we have a certificate to show.
    pub(crate) fn has_certificate(&self) -> bool {
        self.ssl_cert_file.is_some()
    }

    /// Reads the files.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, Mistake> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (both, one_two, one_three) = ([&TLS13, &TLS12], [&TLS12], [&TLS13]);
        let versions: &[&'static SupportedProtocolVersion] = match self.ssl_version {
            Version::Best => &both,
            Version::Tls12 => &one_two,
            Version::Tls13 => &one_three,
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| Mistake { option: "ssl_version", text: error.to_string() })?;
        let roots = self.roots()?;
        let builder = if self.ssl_enforce_hostname_verification {
            builder.with_root_certificates(roots)
        } else {
            builder.dangerous().with_custom_certificate_verifier(verifier(roots, provider)?)
        };
        let Some((certificates, key)) = self.identity()? else { return Ok(builder.with_no_client_auth()) };
        builder.with_client_auth_cert(certificates, key).map_err(|error| Mistake {
            option: "ssl_cert_file",
            text: format!("the certificate and its key cannot be used: {error}"),
        })
    }

    fn files(&self) -> [(&'static str, &Option<PathBuf>); 3] {
        [
            ("ssl_ca_file", &self.ssl_ca_file),
            ("ssl_cert_file", &self.ssl_cert_file),
            ("ssl_key_file", &self.ssl_key_file),
        ]
    }

    fn roots(&self) -> Result<RootCertStore, Mistake> {
        const OPTION: &str = "ssl_ca_file";
        let mut roots = RootCertStore::empty();
        match &self.ssl_ca_file {
            Some(path) => {
                for certificate in certificates(OPTION, path)? {
                    roots.add(certificate).map_err(|error| mistake(OPTION, path, error))?;
                }
            }
            None => {
                // Systems have some that nobody can use; one that is missed is said when a broker needs it.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    let text = "this system has no CA certificates; set it to the broker's CA".to_owned();
                    return Err(Mistake { option: OPTION, text });
                }
            }
        }
        Ok(roots)
    }

    fn identity(&self) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, Mistake> {
        let Some(path) = &self.ssl_cert_file else {
            return match self.ssl_key_file {
                Some(_) => Err(Mistake { option: "ssl_key_file", text: "needs ssl_cert_file with it".to_owned() }),
                None => Ok(None),
            };
        };
        let certificates = certificates("ssl_cert_file", path)?;
        let (option, path) = match &self.ssl_key_file {
            Some(path) => ("ssl_key_file", path),
            None => ("ssl_cert_file", path),
        };
        let key = pem::content(path).and_then(|content| pem::key(path, &content));
        let key = key.map_err(|error| Mistake { option, text: error.to_string() })?;
        Ok(Some((certificates, key)))
    }
}

fn verifier(roots: RootCertStore, provider: Arc<CryptoProvider>) -> Result<Arc<verify::AnyName>, Mistake> {
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| Mistake { option: "ssl_ca_file", text: error.to_string() })?;
    Ok(Arc::new(verify::AnyName(verifier)))
}

/// All certificates of a file, at least one.
fn certificates(option: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Mistake> {
    let certificates = pem::content(path).and_then(|content| pem::certificates(path, &content));
    certificates.map_err(|error| Mistake { option, text: error.to_string() })
}

fn mistake(option: &'static str, path: &Path, text: impl fmt::Display) -> Mistake {
    Mistake { option, text: format!("{}: {text}", path.display()) }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rabbit.{}: {}", self.option, self.text)
    }
}

impl std::error::Error for Mistake {}

impl Setting for Version {
    /// Reads the names of Python's `ssl` module, as oslo.messaging does.
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "sslv23" => Ok(Self::Best),
            "tlsv1_2" => Ok(Self::Tls12),
            "tlsv1_3" => Ok(Self::Tls13),
            "sslv2" | "sslv3" | "tlsv1" | "tlsv1_1" => {
                Err(format!("{text} is broken and not spoken here; take it out for the best that both sides know"))
            }
            _ => {
                Err(format!("{text:?} is none of TLSv1_2, TLSv1_3 and SSLv23, which is the best that both sides know"))
            }
        }
    }
}

#[cfg(test)]
#[path = "tls/tests.rs"]
mod tests;
