//! Fetches whatever it is told to, for the stories about HTTP.

use nova_guest::{
    Endpoint, Failure, Handler, Info, http, methods,
    serde_json::{Value, json},
};
use serde::Deserialize;

/// The handler.
#[derive(Debug)]
pub struct Fetcher;

impl Handler for Fetcher {
    const ENDPOINTS: &'static [Endpoint] =
        &[Endpoint { namespace: Some("web"), version: "1.0", methods: methods![fetch] }];
}

/// What is fetched.
#[derive(Deserialize)]
struct Fetch {
    url: String,
    #[serde(default = "get")]
    verb: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
}

fn get() -> String {
    "GET".to_owned()
}

fn fetch(Fetch { url, verb, headers, body }: Fetch, _info: &Info) -> Result<Value, Failure> {
    let request = http::Request { method: verb, url, headers, body: body.into_bytes(), timeout: None };
    let response = request.send()?;
    Ok(json!({
        "status": response.status, "type": response.header("content-type"), "body": response.text()?,
        "length": response.body.len(),
    }))
}

nova_guest::export!(Fetcher);
