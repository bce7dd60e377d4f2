//! HTTP in every language: what a handler sends, what it gets back, and what becomes of everything else.

use serde_json::{Value, json};

use super::{callers::Caller, stories::Story};
use crate::harness::Web;

/// More than is written at once, and more than is read at once.
const LARGE: usize = 100_000;

/// More than may come back.
const TOO_LARGE: usize = 301 << 10;

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1/";

/// What is granted beside [`NOBODY`]'s: a port of this machine.
pub(super) fn grants(port: u16) -> String {
    format!("grants.http = [\"http://127.0.0.1:{port}\", \"http://127.0.0.1:1\"]\nlimits.http_bytes = \"300 KiB\"\n")
}

/// A server that says what was sent to it, or what its path tells it.
pub(super) fn server() -> Web {
    Web::start(|request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        let body = match path {
            "/silent" => return String::new(),
            "/large" => "é".repeat(LARGE / 2),
            "/too/large" => "x".repeat(TOO_LARGE),
            _ => request.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned(),
        };
        let length = body.len();
        format!(
            "HTTP/1.1 404 Not here\r\nContent-Type: text/é\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\
             Connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    })
}

impl Story {
    pub(super) fn tell_web(&self, web: &Web) {
        self.what_is_sent_arrives_and_what_comes_back_is_seen(web);
        self.long_bodies_pass_in_both_directions(web);
        self.json_is_read_and_what_is_none_is_an_error(web);
        self.what_makes_no_sense_is_not_sent(web);
        self.what_goes_wrong_over_http_is_an_exception(web);
    }

    /// All cases; the first, where each takes a process of its own.
    fn some<'a, T>(&self, cases: &'a [T]) -> &'a [T] {
        if matches!(self.caller, Caller::Oslo(_)) { cases } else { &cases[..1] }
    }

    fn url(web: &Web, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", web.port())
    }

    fn what_is_sent_arrives_and_what_comes_back_is_seen(&self, web: &Web) {
        let headers = json!([["X-Auth-Token", "t-é"], ["x-many", "1"], ["x-many", "2"]]);
        let url = Self::url(web, "/v2/images?name=a%20b#part");
        let fetch = json!({"verb": "DELETE", "url": url, "headers": headers, "timeout": 3600});
        // Any status is a response.
        let names = ["content-type", "set-cookie", "set-cookie", "content-length"];
        let expected = json!({"status": 404, "type": "text/é", "none": null, "names": names, "text": ""});
        assert_eq!(self.gets("fetch", fetch), expected, "{}", self.calculator.name);
        let expected = format!(
            "DELETE /v2/images?name=a%20b HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\nX-Auth-Token: t-é\r\n\
             x-many: 1\r\nx-many: 2\r\n\r\n",
            web.port()
        );
        assert_eq!(web.next(), expected, "{}", self.calculator.name);
        for (path, line) in [("", "GET / HTTP/1.1\r\n"), ("?a=b", "GET /?a=b HTTP/1.1\r\n")] {
            let url = Self::url(web, path);
            assert_eq!(self.gets("fetch", json!({"verb": "GET", "url": url}))["status"], 404);
            let asked = web.next();
            assert!(asked.starts_with(line), "{}: {asked}", self.calculator.name);
        }
    }

    fn long_bodies_pass_in_both_directions(&self, web: &Web) {
        let text = "é🦀x".repeat(self.caller.largest().min(LARGE) / 8);
        let post = json!({"verb": "POST", "url": Self::url(web, "/"), "body": text});
        assert!(self.gets("fetch", post)["text"] == text, "{}", self.calculator.name);
        assert!(web.next().ends_with(&text), "{}", self.calculator.name);
        let large = self.gets("fetch", json!({"verb": "GET", "url": Self::url(web, "/large")}));
        assert!(large["text"] == "é".repeat(LARGE / 2), "{}", self.calculator.name);
        web.next();
    }

    fn json_is_read_and_what_is_none_is_an_error(&self, web: &Web) {
        let fetch = |body: &str| json!({"url": Self::url(web, "/"), "body": body});
        let text = r#" {"a": [9007199254740993, -0.5e-1, true, false, null, "\u00e9\"\\🦀"] , "b": {}, "c":[ ]} "#;
        let value: Value = serde_json::from_str(text).expect("it is JSON");
        assert_eq!(self.gets("fetch_json", fetch(text)), json!([404, value]), "{}", self.calculator.name);
        assert!(web.next().starts_with("POST / HTTP/1.1\r\n"));
        let deep = format!("{}{}", "[".repeat(90), "]".repeat(90));
        assert_eq!(self.gets("fetch_json", fetch(&deep))[1].to_string(), deep, "{}", self.calculator.name);
        web.next();
        let wrong = [
            "{\"password\": \"hunter2\"",
            "[1,]",
            "{\"a\" 1}",
            "{\"a\":1,}",
            "{a:1}",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"a",
            "01",
            "1.",
            "-",
            "1e",
            "tru",
            "truee",
            "[] []",
            "\"\t\"",
            " ",
        ];
        for wrong in self.some(&wrong) {
            let raised = self.raises("fetch_json", fetch(wrong), "RuntimeError");
            let fine =
                raised.message.contains("the body is not what was expected") && !raised.message.contains("hunter2");
            assert!(fine, "{} {wrong}: {raised:?}", self.calculator.name);
            web.next();
        }
        let get = json!({"url": Self::url(web, "/")});
        self.raises("fetch_json", get, "RuntimeError");
        assert!(web.next().starts_with("GET / HTTP/1.1\r\n"));
    }

    fn what_goes_wrong_over_http_is_an_exception(&self, web: &Web) {
        let fetch = |url: &str| json!({"verb": "GET", "url": url, "timeout": 0.5});
        let denied = "it is not granted (grants.http in the manifest)";
        let refused = "http://127.0.0.1:2/";
        assert_eq!(self.raises("fetch", fetch(refused), "PermissionError").message, denied);
        self.raises("fetch", json!({"verb": "GET", "url": NOBODY}), "ConnectionError");
        let large = json!({"verb": "GET", "url": Self::url(web, "/too/large")});
        let raised = self.raises("fetch", large, "RuntimeError");
        assert!(raised.message.contains("limits.http_bytes"), "{}: {raised:?}", self.calculator.name);
        web.next();
        // Each by itself where it is caught.
        let kindly = |url: &str| self.gets("fetch_kindly", json!({"url": url}));
        assert_eq!(kindly(refused), json!(["PermissionError", denied]), "{}", self.calculator.name);
        assert_eq!(kindly(NOBODY)[0], "ConnectionError", "{}", self.calculator.name);
        self.raises("fetch_kindly", json!({"url": "nonsense"}), "ValueError");
        // Last, for on a busy machine their time may be over before anything has arrived.
        let silent = Self::url(web, "/silent");
        self.raises("fetch", fetch(&silent), "TimeoutError");
        assert_eq!(kindly(&silent)[0], "TimeoutError", "{}", self.calculator.name);
    }

    fn what_makes_no_sense_is_not_sent(&self, web: &Web) {
        let cases = [
            ("GET", "127.0.0.1/a", json!([]), "the URL cannot be sent"),
            ("GET", "ftp://127.0.0.1/a", json!([]), "the URL's scheme cannot be sent"),
            ("G T", &Self::url(web, "/"), json!([]), "the method cannot be sent"),
            ("GET", "http://user:hunter2@127.0.0.1/", json!([]), "the URL's host cannot be sent"),
            ("GET", &Self::url(web, "/a b"), json!([]), "the URL's path cannot be sent"),
            ("GET", &Self::url(web, "/"), json!([["a", "b\r\nhost: c"]]), "the headers cannot be sent"),
            ("GET", &Self::url(web, "/"), json!([["a b", "c"]]), "the headers cannot be sent"),
        ];
        for (verb, url, headers, what) in self.some(&cases) {
            let fetch = json!({"verb": verb, "url": url, "headers": headers});
            let raised = self.raises("fetch", fetch, "ValueError");
            assert_eq!(raised.message, *what, "{}", self.calculator.name);
        }
        assert!(web.is_idle(), "{}", self.calculator.name);
    }
}
