//! The envelope against recorded messages: what real clients and servers put on the wire decodes, and encodes again to
//! the same bytes. See `tests/golden/README.md`.

use serde::Deserialize;
use serde_json::Value;

use super::{Answer, CONTENT_TYPE, Failure, Field, Reply, ReplyTo, Request, Style, Text};

#[derive(Deserialize)]
struct Recorded {
    step: String,
    who: String,
    routing_key: String,
    exchange: String,
    properties: Value,
    body: Value,
}

fn golden(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(path);
    std::fs::read_to_string(path).unwrap()
}

/// The requests and the replies of the session with default options.
fn session() -> (Vec<Recorded>, Vec<Recorded>) {
    let lines = golden("default/messages.jsonl");
    let published = lines.lines().map(|line| serde_json::from_str::<Recorded>(line).unwrap());
    let (requests, replies): (Vec<_>, Vec<_>) = published.partition(|message| message.who == "client");
    assert!(requests.len() > 30 && replies.len() > 30, "{} {}", requests.len(), replies.len());
    (requests, replies)
}

fn decode(body: &str) -> Request {
    Request::decode(body.as_bytes(), Some(CONTENT_TYPE), None).unwrap()
}

/// Encodes a decoded reply as the server that got `unique_id` did.
fn encode(reply: Reply, unique_id: &str) -> String {
    let style = Style::OneMessage { monitor: Text::null() };
    let reply_to = ReplyTo { queue: "q".into(), message_id: reply.message_id, style };
    let bodies = reply_to.encode(&reply.answer.unwrap().unwrap(), || unique_id.to_owned());
    String::from_utf8(bodies.into_iter().next().unwrap()).unwrap()
}

fn inner(body: &str) -> Value {
    let outer: Value = serde_json::from_str(body).unwrap();
    serde_json::from_str(outer["oslo.message"].as_str().unwrap()).unwrap()
}

#[test]
fn every_request_decodes_and_encodes_to_the_same_bytes() {
    for Recorded { step, body, .. } in session().0 {
        let body = body.as_str().unwrap();
        assert_eq!(String::from_utf8(decode(body).encode()).unwrap(), body, "{step}");
    }
}

#[test]
fn every_reply_decodes_and_encodes_to_the_same_bytes() {
    for Recorded { step, body, exchange, routing_key, .. } in session().1 {
        assert!(exchange.is_empty() && routing_key.starts_with("reply_"));
        let body = body.as_str().unwrap();
        let reply = Reply::decode(body.as_bytes(), Some(CONTENT_TYPE), None).unwrap();
        if !reply.ending {
            assert_eq!(reply.answer, Ok(None), "{step}: a heartbeat");
            let style = Style::OneMessage { monitor: Text::of(&2) };
            let reply_to = ReplyTo { queue: "q".into(), message_id: reply.message_id, style };
            let unique_id = inner(body)["_unique_id"].as_str().unwrap().to_owned();
            assert_eq!(String::from_utf8(reply_to.heartbeat(&unique_id)).unwrap(), body, "{step}");
            continue;
        }
        let unique_id = inner(body)["_unique_id"].as_str().unwrap().to_owned();
        assert_eq!(encode(reply, &unique_id), body, "{step}");
    }
}

#[test]
fn the_references_failures_are_what_ours_are_made_of() {
    let mut seen = 0;
    for Recorded { step, body, .. } in session().1 {
        let reply = Reply::decode(body.as_str().unwrap().as_bytes(), Some(CONTENT_TYPE), None).unwrap();
        let Ok(Some(Answer::Failure(theirs))) = reply.answer else { continue };
        let ours = Failure::with(
            &theirs.module,
            &theirs.class,
            theirs.message.clone(),
            theirs.args.clone(),
            theirs.kwargs.clone(),
        );
        assert_eq!(ours.traceback.first(), theirs.traceback.first(), "{step}");
        assert_eq!(ours.traceback.last(), theirs.traceback.last(), "{step}");
        assert_eq!(Failure { traceback: theirs.traceback.clone(), ..ours }, theirs, "{step}");
        seen += 1;
    }
    assert!(seen > 8, "{seen}");
}

#[test]
fn what_was_compressed_decodes_to_what_it_was() {
    let (mut requests, mut replies) = (0, 0);
    for line in golden("compression/messages.jsonl").lines() {
        let Recorded { step, who, body, properties, .. } = serde_json::from_str(line).unwrap();
        let header = properties["headers"]["compression"].as_str().unwrap();
        let body = base64(body["b64"].as_str().unwrap());
        let plain = crate::compression::decompress(header, &body, 1 << 20).unwrap();
        if who == "client" {
            let request = Request::decode(&body, Some(CONTENT_TYPE), Some(header)).unwrap();
            assert_eq!(String::from_utf8(request.encode()).unwrap(), String::from_utf8(plain).unwrap(), "{step}");
            requests += 1;
        } else {
            let reply = Reply::decode(&body, Some(CONTENT_TYPE), Some(header)).unwrap();
            assert_eq!(reply.message_id, inner(std::str::from_utf8(&plain).unwrap())["_msg_id"], "{step}");
            replies += 1;
        }
        // Ours is another encoder: its bytes differ, and begin as theirs do (the format, the window, the level).
        let ours = crate::compression::Compression::from_header(header).unwrap().compress(&body).unwrap();
        assert_eq!(ours[..2], body[..2], "{step}");
    }
    assert!(requests > 30 && replies > 30, "{requests} {replies}");
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<u32> =
        text.bytes().filter_map(|byte| ALPHABET.iter().position(|other| *other == byte)).map(|at| at as u32).collect();
    let group = |group: &[u32]| {
        let bits = group.iter().enumerate().fold(0, |bits, (at, digit)| bits | digit << (26 - 6 * at));
        bits.to_be_bytes()[..group.len() * 6 / 8].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}

#[test]
fn novas_own_requests_decode_and_encode_to_the_same_bytes() {
    let mut methods = Vec::new();
    for file in ["01-baseapi-ping", "03-ConductorAPI-object_class_action_versions", "17-task-build_instances-chain"] {
        let step: Value = serde_json::from_str(&golden(&format!("nova/{file}.json"))).unwrap();
        for frame in step["client_connection_frames"].as_array().unwrap() {
            let is_request = frame["method"] == "Basic.Publish" && frame["args"]["exchange"] == "nova";
            let Some(body) = frame["body"].as_str().filter(|_| is_request) else { continue };
            let request = decode(body);
            assert_eq!(String::from_utf8(request.encode()).unwrap(), body, "{file}");
            assert!(request.context.get_str("request_id").is_some(), "{file}");
            methods.push(request.method);
        }
    }
    let expected = ["ping", "object_class_action_versions", "build_instances"];
    assert!(expected.iter().all(|name| methods.contains(&Field::Text((*name).to_owned()))), "{methods:?}");
}
