//! wasi:http, as a component sees it: one request at a time, all of it at once.

use crate::{
    bindings::http::wasi::{
        http::{
            outgoing_handler,
            types::{
                ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
                RequestOptions, Scheme, http_error_code,
            },
        },
        io::streams::StreamError,
    },
    http::{Error, Request, Response, parts},
};

/// Bytes that are read at once.
const READ: u64 = 64 << 10;

/// Bytes that are written at once: WASI's bound.
const WRITE: usize = 4096;

/// Sends a request, and waits for all of the response.
pub(crate) fn fetch(request: Request) -> Result<Response, Error> {
    let (outgoing, options) = prepare(&request)?;
    let body = outgoing.body().map_err(|()| invalid("the body"))?;
    let response = outgoing_handler::handle(outgoing, Some(options)).map_err(of)?;
    send(body, &request.body)?;
    response.subscribe().block();
    match response.get() {
        Some(Ok(Ok(response))) => receive(&response),
        Some(Ok(Err(code))) => Err(of(code)),
        Some(Err(())) | None => Err(Error::Unavailable("there is no response".to_owned())),
    }
}

fn prepare(request: &Request) -> Result<(OutgoingRequest, RequestOptions), Error> {
    let Request { method, url, headers, timeout, .. } = request;
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    let headers = Fields::from_list(&headers).map_err(|_| invalid("the headers"))?;
    let outgoing = OutgoingRequest::new(headers);
    let (scheme, authority, path) = parts(url).ok_or_else(|| invalid("the URL"))?;
    let scheme = match scheme {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return Err(invalid("the URL's scheme")),
    };
    outgoing.set_method(&Method::Other(method.clone())).map_err(|()| invalid("the method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| invalid("the URL's scheme"))?;
    outgoing.set_authority(Some(authority)).map_err(|()| invalid("the URL's host"))?;
    let path = Some(path).filter(|path| !path.is_empty());
    outgoing.set_path_with_query(path).map_err(|()| invalid("the URL's path"))?;
    let options = RequestOptions::new();
    if let Some(timeout) = timeout {
        let nanoseconds = Some(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
        // Whoever cannot bound a step does not; the handler's own time bounds all.
        options.set_connect_timeout(nanoseconds).ok();
        options.set_first_byte_timeout(nanoseconds).ok();
        options.set_between_bytes_timeout(nanoseconds).ok();
    }
    Ok((outgoing, options))
}

fn send(body: OutgoingBody, bytes: &[u8]) -> Result<(), Error> {
    if !bytes.is_empty() {
        let stream = body.write().map_err(|()| invalid("the body"))?;
        for piece in bytes.chunks(WRITE) {
            stream.blocking_write_and_flush(piece).map_err(of_stream)?;
        }
    }
    OutgoingBody::finish(body, None).map_err(of)
}

fn receive(response: &IncomingResponse) -> Result<Response, Error> {
    let (status, headers) = (response.status(), response.headers().entries());
    let body = response.consume().map_err(|()| invalid("the response's body"))?;
    Ok(Response { status, headers, body: read(&body)? })
}

fn read(body: &IncomingBody) -> Result<Vec<u8>, Error> {
    let stream = body.stream().map_err(|()| invalid("the response's body"))?;
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(READ) {
            Ok(bytes) => all.extend_from_slice(&bytes),
            Err(StreamError::Closed) => return Ok(all),
            Err(error) => return Err(of_stream(error)),
        }
    }
}

fn invalid(what: &str) -> Error {
    Error::Invalid(format!("{what} cannot be sent"))
}

fn of_stream(error: StreamError) -> Error {
    match error {
        StreamError::LastOperationFailed(error) => match http_error_code(&error) {
            Some(code) => of(code),
            None => Error::Unavailable(error.to_debug_string()),
        },
        StreamError::Closed => Error::Unavailable("the stream is closed".to_owned()),
    }
}

fn of(code: ErrorCode) -> Error {
    let text = format!("{code:?}");
    match code {
        ErrorCode::HttpRequestDenied => Error::Denied("it is not granted (grants.http in the manifest)".to_owned()),
        ErrorCode::DestinationIpProhibited => {
            Error::Denied("the name leads to an address that is not everybody's".to_owned())
        }
        ErrorCode::DnsTimeout
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => Error::TimedOut(text),
        ErrorCode::InternalError(Some(text)) => Error::Limited(text),
        ErrorCode::HttpRequestBodySize(_) | ErrorCode::HttpResponseBodySize(_) => {
            Error::Limited(format!("more than the handler may send or get (limits.http_bytes): {text}"))
        }
        ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestTrailerSectionSize(_) => Error::Invalid(text),
        _ => Error::Unavailable(text),
    }
}
