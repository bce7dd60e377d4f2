//! The types of `wasi:http/types` that are values, and what our errors are among them.
//!
//! Before it: the WIT of <https://github.com/WebAssembly/WASI/tree/v0.2.12>, whose names and order these are.

use wasmtime::component::{ComponentType, Lift, Lower};

use crate::capability::http::Error;

#[derive(Clone, ComponentType, Lift, Lower)]
#[component(variant)]
pub(super) enum Method {
    #[component(name = "get")]
    Get,
    #[component(name = "head")]
    Head,
    #[component(name = "post")]
    Post,
    #[component(name = "put")]
    Put,
    #[component(name = "delete")]
    Delete,
    #[component(name = "connect")]
    Connect,
    #[component(name = "options")]
    Options,
    #[component(name = "trace")]
    Trace,
    #[component(name = "patch")]
    Patch,
    #[component(name = "other")]
    Other(String),
}

#[derive(Clone, ComponentType, Lift, Lower)]
#[component(variant)]
pub(super) enum Scheme {
    #[component(name = "HTTP")]
    Http,
    #[component(name = "HTTPS")]
    Https,
    #[component(name = "other")]
    Other(String),
}

#[derive(ComponentType, Lower)]
#[component(variant)]
pub(super) enum HeaderError {
    #[component(name = "invalid-syntax")]
    InvalidSyntax,
    #[component(name = "forbidden")]
    Forbidden,
    #[component(name = "immutable")]
    Immutable,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct DnsErrorPayload {
    rcode: Option<String>,
    #[component(name = "info-code")]
    info_code: Option<u16>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct TlsAlertReceivedPayload {
    #[component(name = "alert-id")]
    alert_id: Option<u8>,
    #[component(name = "alert-message")]
    alert_message: Option<String>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct FieldSizePayload {
    #[component(name = "field-name")]
    field_name: Option<String>,
    #[component(name = "field-size")]
    field_size: Option<u32>,
}

#[derive(ComponentType, Lower)]
#[component(variant)]
#[expect(dead_code, reason = "the type is WASI's, and not every case of it happens here")]
pub(super) enum ErrorCode {
    #[component(name = "DNS-timeout")]
    DnsTimeout,
    #[component(name = "DNS-error")]
    DnsError(DnsErrorPayload),
    #[component(name = "destination-not-found")]
    DestinationNotFound,
    #[component(name = "destination-unavailable")]
    DestinationUnavailable,
    #[component(name = "destination-IP-prohibited")]
    DestinationIpProhibited,
    #[component(name = "destination-IP-unroutable")]
    DestinationIpUnroutable,
    #[component(name = "connection-refused")]
    ConnectionRefused,
    #[component(name = "connection-terminated")]
    ConnectionTerminated,
    #[component(name = "connection-timeout")]
    ConnectionTimeout,
    #[component(name = "connection-read-timeout")]
    ConnectionReadTimeout,
    #[component(name = "connection-write-timeout")]
    ConnectionWriteTimeout,
    #[component(name = "connection-limit-reached")]
    ConnectionLimitReached,
    #[component(name = "TLS-protocol-error")]
    TlsProtocolError,
    #[component(name = "TLS-certificate-error")]
    TlsCertificateError,
    #[component(name = "TLS-alert-received")]
    TlsAlertReceived(TlsAlertReceivedPayload),
    #[component(name = "HTTP-request-denied")]
    RequestDenied,
    #[component(name = "HTTP-request-length-required")]
    RequestLengthRequired,
    #[component(name = "HTTP-request-body-size")]
    RequestBodySize(Option<u64>),
    #[component(name = "HTTP-request-method-invalid")]
    RequestMethodInvalid,
    #[component(name = "HTTP-request-URI-invalid")]
    RequestUriInvalid,
    #[component(name = "HTTP-request-URI-too-long")]
    RequestUriTooLong,
    #[component(name = "HTTP-request-header-section-size")]
    RequestHeaderSectionSize(Option<u32>),
    #[component(name = "HTTP-request-header-size")]
    RequestHeaderSize(Option<FieldSizePayload>),
    #[component(name = "HTTP-request-trailer-section-size")]
    RequestTrailerSectionSize(Option<u32>),
    #[component(name = "HTTP-request-trailer-size")]
    RequestTrailerSize(FieldSizePayload),
    #[component(name = "HTTP-response-incomplete")]
    ResponseIncomplete,
    #[component(name = "HTTP-response-header-section-size")]
    ResponseHeaderSectionSize(Option<u32>),
    #[component(name = "HTTP-response-header-size")]
    ResponseHeaderSize(FieldSizePayload),
    #[component(name = "HTTP-response-body-size")]
    ResponseBodySize(Option<u64>),
    #[component(name = "HTTP-response-trailer-section-size")]
    ResponseTrailerSectionSize(Option<u32>),
    #[component(name = "HTTP-response-trailer-size")]
    ResponseTrailerSize(FieldSizePayload),
    #[component(name = "HTTP-response-transfer-coding")]
    ResponseTransferCoding(Option<String>),
    #[component(name = "HTTP-response-content-coding")]
    ResponseContentCoding(Option<String>),
    #[component(name = "HTTP-response-timeout")]
    ResponseTimeout,
    #[component(name = "HTTP-upgrade-failed")]
    UpgradeFailed,
    #[component(name = "HTTP-protocol-error")]
    ProtocolError,
    #[component(name = "loop-detected")]
    LoopDetected,
    #[component(name = "configuration-error")]
    ConfigurationError,
    #[component(name = "internal-error")]
    InternalError(Option<String>),
}

impl From<Error> for ErrorCode {
    fn from(error: Error) -> Self {
        let long = |limit: usize| u64::try_from(limit).ok();
        match error {
            Error::Denied => Self::RequestDenied,
            Error::Requests(_) => Self::InternalError(Some(error.to_string())),
            Error::Sent(limit) => Self::RequestBodySize(long(limit)),
            Error::Received { said, limit } => Self::ResponseBodySize(said.or(long(limit))),
            Error::Method => Self::RequestMethodInvalid,
            Error::Uri => Self::RequestUriInvalid,
            Error::LongUri => Self::RequestUriTooLong,
            Error::Headers => Self::RequestHeaderSectionSize(None),
            Error::Body => Self::RequestBodySize(None),
            Error::Trailers => Self::RequestTrailerSectionSize(Some(0)),
            Error::Dns => Self::DnsError(DnsErrorPayload { rcode: None, info_code: None }),
            Error::DnsTimeout => Self::DnsTimeout,
            Error::Prohibited => Self::DestinationIpProhibited,
            Error::Refused => Self::ConnectionRefused,
            Error::Unroutable => Self::DestinationIpUnroutable,
            Error::ConnectTimeout => Self::ConnectionTimeout,
            Error::Terminated => Self::ConnectionTerminated,
            Error::Certificate => Self::TlsCertificateError,
            Error::Tls => Self::TlsProtocolError,
            Error::ResponseTimeout => Self::ResponseTimeout,
            Error::ReadTimeout => Self::ConnectionReadTimeout,
            Error::Incomplete => Self::ResponseIncomplete,
            Error::ResponseHeaders => Self::ResponseHeaderSectionSize(None),
            Error::ResponseTrailers => Self::ResponseTrailerSectionSize(None),
            Error::TransferCoding => Self::ResponseTransferCoding(None),
            Error::Upgrade => Self::UpgradeFailed,
            Error::Protocol => Self::ProtocolError,
        }
    }
}
