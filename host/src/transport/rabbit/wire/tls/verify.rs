//! What a broker's certificate must be, and what it means when it is not.
//!
//! Before it: [`super`] has read the options. After it: rustls asks during the handshake.

use std::{io, sync::Arc};

use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::{super::frames, Tls};

/// How many names of a certificate are shown.
const MAX_SHOWN_NAMES: usize = 5;

/// Wants a certificate of a trusted CA, for whatever host: `ssl_enforce_hostname_verification = false`.
#[derive(Debug)]
pub(crate) struct AnyName(pub(crate) Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is what is checked last.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// What is wrong and what to do, where the two sides do not agree on TLS: trying again would not help.
pub(crate) fn advice(error: &io::Error, tls: Option<&Tls>) -> Option<String> {
    let inner = error.get_ref()?;
    if inner.is::<frames::SpeaksTls>() {
        return Some(format!("{inner}; set ssl = true, or give the port of its listener without TLS"));
    }
    let has_certificate = tls.is_some_and(Tls::has_certificate);
    Some(match inner.downcast_ref::<Error>()? {
        Error::InvalidCertificate(reason) => certificate(reason),
        Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure)
            if !has_certificate =>
        {
            "the broker wants a certificate of ours; set ssl_cert_file and ssl_key_file".to_owned()
        }
        Error::AlertReceived(
            alert @ (AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::UnsupportedCertificate),
        ) => {
            format!("the broker does not accept our certificate ({alert:?}); check ssl_cert_file and the broker's CAs")
        }
        error @ (Error::PeerIncompatible(_)
        | Error::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure)) => {
            format!("no version or cipher of TLS in common ({error}); check ssl_version and the broker's own")
        }
        Error::InvalidMessage(_) => {
            "the answer is not TLS; give the port of the broker's TLS listener, or set ssl = false".to_owned()
        }
        error => format!("{error}; check the options of [rabbit] that begin with ssl"),
    })
}

fn certificate(reason: &CertificateError) -> String {
    match reason {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is not from a CA that is trusted here; set ssl_ca_file to the CA that signed it".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<&str> = presented.iter().take(MAX_SHOWN_NAMES).map(String::as_str).collect();
            format!(
                "its certificate is not for {}, but for {}; connect by a name that is in it",
                expected.to_str(),
                if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") }
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired; renew it, or set this machine's clock".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; set this machine's clock".to_owned()
        }
        reason => format!("its certificate cannot be used: {reason}"),
    }
}
