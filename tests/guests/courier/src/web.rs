//! Requests over HTTP.

use std::time::Duration;

use nova_guest::{
    Failure, Info,
    http::{Error, Request, Response, get},
    serde_json::{Value, json},
};
use serde::Deserialize;

/// Arguments of [`fetch`]; times are in seconds.
#[derive(Debug, Deserialize)]
pub struct Fetch {
    verb: String,
    url: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    timeout: Option<f64>,
}

/// Arguments of [`fetch_json`].
#[derive(Debug, Deserialize)]
pub struct FetchJson {
    url: String,
    body: Option<String>,
}

/// Arguments of [`fetch_kindly`].
#[derive(Debug, Deserialize)]
pub struct Url {
    url: String,
}

/// Sends any request, and returns what there is to see of the response.
pub fn fetch(Fetch { verb, url, headers, body, timeout }: Fetch, _: &Info) -> Result<Value, Failure> {
    let mut request = Request::new(&verb, &url).body(body);
    request.headers = headers;
    request.timeout = timeout.map(Duration::from_secs_f64);
    let answer = request.send()?;
    let names: Vec<&String> = answer.headers.iter().map(|(name, _)| name).collect();
    Ok(json!({
        "status": answer.status, "type": answer.header("Content-Type"), "none": answer.header("x-none"), "names": names,
        "text": answer.text()?,
    }))
}

/// Gets, or posts, and reads what comes back.
pub fn fetch_json(FetchJson { url, body }: FetchJson, _: &Info) -> Result<(u16, Value), Failure> {
    let answer = match body {
        None => get(&url)?,
        Some(body) => Request::post(&url).body(body).send()?,
    };
    Ok((answer.status, answer.json()?))
}

/// Gets within a second, and catches what may well happen.
pub fn fetch_kindly(Url { url }: Url, _: &Info) -> Result<Value, Failure> {
    match Request::get(&url).timeout(Duration::from_secs(1)).send() {
        Ok(Response { status, .. }) => Ok(json!(status)),
        Err(Error::Denied(text)) => Ok(json!(["PermissionError", text])),
        Err(Error::TimedOut(text)) => Ok(json!(["TimeoutError", text])),
        Err(Error::Unavailable(text)) => Ok(json!(["ConnectionError", text])),
        Err(error) => Err(error.into()),
    }
}
