//! What Python takes for a message is taken by us, and for the same; what it rejects is rejected. The judge is the
//! reference itself: kombu's and oslo.messaging's own code, on tables and on thousands of messages that were made up.
//!
//! The differences there are on purpose have a test of their own at the end.

use nova_host::compression::Compression;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;

use crate::harness::OsloDecoder;

const JSON: Option<&str> = Some("application/json");

/// Messages that are made up in one run.
const MESSAGES: usize = 3000;

/// What stands in JSON, what Python adds to it, and what only looks like it.
const SCALARS: [&str; 36] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "7",
    "-1",
    "1.5",
    "-0.0",
    "1e5",
    "1E+5",
    "1e-7",
    "1e400",
    "-1e400",
    "12345678901234567890123456789",
    "NaN",
    "Infinity",
    "-Infinity",
    "01",
    "1.",
    ".5",
    "-",
    "+1",
    "1e",
    "0x1",
    "nan",
    "-NaN",
    "--1",
    "1Infinity",
    "Infinity5",
    "True",
    "None",
    "'x'",
    "infinity",
    "1_000",
    "٣",
];

/// Pieces of strings.
const PIECES: [&str; 26] = [
    "a",
    "method",
    "é",
    "😀",
    " ",
    "\u{2028}",
    "\u{feff}",
    "\u{7f}",
    "\\n",
    "\\/",
    "\\\"",
    "\\\\",
    "\\u0000",
    "\\u00e9",
    "\\ud83d\\ude00",
    "\\ud800",
    "\\udc00",
    "\\uD800\\u0041",
    "\\u12",
    "\\u12G4",
    "\\x",
    "\\U0041",
    "\t",
    "\n",
    "\u{1}",
    "\\u005f",
];

const NAMES: [&str; 9] =
    ["method", "args", "namespace", "version", "_context_user", "_context_\\ud800", "x", "\\ud800", "m\\u0065thod"];

/// Space as JSON has it, now and then what it has not.
fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => Just(""), 4 => Just(" "), 1 => Just("\t\r\n "), 1 => Just("\u{a0}"), 1 => Just("\u{b}")]
}

fn literal() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof![9 => 0..20usize, 1 => 20..PIECES.len()], 0..4)
        .prop_map(|pieces| format!("\"{}\"", pieces.into_iter().map(|piece| PIECES[piece]).collect::<String>()))
}

/// JSON as a text, mostly.
fn value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![9 => 0..18usize, 1 => 18..SCALARS.len()].prop_map(|scalar| SCALARS[scalar].to_owned());
    let leaf = prop_oneof![scalar, literal()];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let member = (literal(), space(), inner.clone(), space()).prop_map(|(k, s, v, t)| format!("{k}{s}:{t}{v}"));
        let joined = |items: Vec<String>| items.join(",");
        prop_oneof![
            (prop::collection::vec(inner, 0..4), space()).prop_map(move |(items, s)| format!("[{s}{}]", joined(items))),
            (prop::collection::vec(member, 0..4), space())
                .prop_map(move |(items, s)| format!("{{{}{s}}}", joined(items))),
        ]
    })
}

/// A message's inner object, sometimes with an accident.
fn message() -> impl Strategy<Value = String> {
    let name = prop_oneof![4 => (0..NAMES.len()).prop_map(|name| format!("\"{}\"", NAMES[name])), 1 => literal()];
    let member = (name, space(), value()).prop_map(|(name, space, value)| format!("{name}:{space}{value}"));
    let object = prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(", ")));
    let accident = prop_oneof![
        6 => Just(None),
        1 => (any::<prop::sample::Index>(), Just(String::new())).prop_map(Some),
        1 => (any::<prop::sample::Index>(), "[\\[\\]{}:,\"\\\\0-9NI. x-]").prop_map(Some),
    ];
    (object, accident).prop_map(|(object, accident)| match accident {
        None => object,
        Some((at, instead)) => {
            let mut letters: Vec<String> = object.chars().map(String::from).collect();
            let at = at.index(letters.len());
            letters[at] = instead;
            letters.concat()
        }
    })
}

/// Puts the envelope on as Python does, or as something that does not escape what it need not.
fn enveloped(message: &str, ascii: bool) -> String {
    let literal = json!(message).to_string();
    let literal = if ascii {
        literal.chars().map(|c| if c.is_ascii() { c.to_string() } else { utf16(c) }).collect()
    } else {
        // One level less of escapes: the inner text holds what they stand for.
        literal.replace("\\\\ud", "\\ud").replace("\\\\u00", "\\u00")
    };
    format!(r#"{{"oslo.version": "2.0", "oslo.message": {literal}}}"#)
}

fn utf16(c: char) -> String {
    c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// Has a message judged, and complains where we and the reference disagree.
fn disagreement(decoder: &mut OsloDecoder, body: &[u8], what: (Option<&str>, Option<&str>)) -> Option<String> {
    let judged = decoder.judge(body, what.0, what.1);
    let agree = match (&judged.ours, &judged.theirs) {
        (Ok(_), Ok(())) => judged.same,
        (Err(_), Err(_)) => true,
        (Ok(_), Err(_)) | (Err(_), Ok(())) => false,
    };
    (!agree).then(|| format!("{} {what:?}\n{judged:?}", String::from_utf8_lossy(body)))
}

#[test]
fn what_python_takes_for_a_message_and_nothing_else_is_taken() {
    let mut decoder = OsloDecoder::start();
    // The same messages each time, so that a change is to blame for what fails.
    let mut runner = TestRunner::deterministic();
    let (mut taken, mut complaints) = (0, Vec::new());
    let strategy = (message(), 0..3u8);
    for _ in 0..MESSAGES {
        let (message, form) = strategy.new_tree(&mut runner).expect("a message").current();
        let body = match form {
            0 => message,
            1 => enveloped(&message, true),
            _ => enveloped(&message, false),
        };
        taken += usize::from(nova_host::envelope::Request::decode(body.as_bytes(), JSON, None).is_ok());
        complaints.extend(disagreement(&mut decoder, body.as_bytes(), (JSON, None)));
    }
    assert!(
        complaints.is_empty(),
        "{} of {MESSAGES}:\n{}",
        complaints.len(),
        complaints[..complaints.len().min(9)].join("\n")
    );
    // Both kinds have been put to the test.
    assert!((MESSAGES / 4..MESSAGES * 9 / 10).contains(&taken), "{taken} of {MESSAGES} are messages");
}

#[test]
fn every_odd_body_is_taken_or_rejected_as_by_the_reference() {
    let mut decoder = OsloDecoder::start();
    let inner = r#"{"method": "m", "args": {"a": 1}}"#;
    let outer = |version: &str, message: &str| format!(r#"{{"oslo.version": {version}, "oslo.message": {message}}}"#);
    let string = json!(inner).to_string();
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    // Envelopes of every version, and things that are not quite envelopes.
    for version in [
        "\"2.0\"",
        "\"2.0.0\"",
        "\"1.0\"",
        "\"1.9\"",
        "\"2.1\"",
        "\"2.0.1\"",
        "\"3.0\"",
        "\"2\"",
        "\"x\"",
        "\"\"",
        "\" 2.0 \"",
        "\"+2.0\"",
        "\"2.-1\"",
        "\"2.0.-1\"",
        "\"2.0.0.9\"",
        "2.0",
        "2",
        "[]",
        "{}",
        "true",
    ] {
        bodies.push(outer(version, &string).into());
    }
    bodies.push(outer("\"2.0\"", inner).into());
    bodies.push(outer("\"2.0\"", "7").into());
    bodies.push(outer("\"2.0\"", "\"nonsense\"").into());
    bodies.push(outer("\"2.0\"", "\"[1, 2]\"").into());
    bodies.push(outer("\"2.0\"", "\"7\"").into());
    bodies.push(outer("\"2.0\"", "\"\"").into());
    bodies.push(outer("\"2.0\"", "\"\\ufeff{}\"").into());
    bodies.push(format!(r#"{{"more": {{}}, "oslo.message": {string}, "oslo.version": "2.0", "NaN": NaN}}"#).into());
    bodies.push(format!(r#"{{"oslo.version": "1.0", "oslo.version": "2.0", "oslo.message": {string}}}"#).into());
    bodies.push(r#"{"oslo.version": "7", "method": "m"}"#.into());
    bodies.push(r#"{"oslo.message": "7", "method": "m"}"#.into());
    // No objects, no JSON, no UTF-8.
    for body in
        ["7", "null", "NaN", "true", "{", "{}", "{} {}", "{},", " {} ", "\u{feff}{}", "\u{a0}{}", "{}\0", "'{}'"]
    {
        bodies.push(body.into());
    }
    for body in
        [&b"\xff{}"[..], b"{\"a\": \"\xff\"}", b"{\"a\": \"\xed\xa0\x80\"}", b"{\"a\": \"\xc0\x80\"}", b"\x80", b"{\0}"]
    {
        bodies.push(body.to_vec());
    }
    // As other encodings would write it.
    bodies.push("{}".encode_utf16().flat_map(u16::to_le_bytes).collect());
    bodies.push(Vec::new());
    let complaints: Vec<String> =
        bodies.iter().filter_map(|body| disagreement(&mut decoder, body, (JSON, None))).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_content_type_and_compression_is_taken_or_rejected_as_by_the_reference() {
    let mut decoder = OsloDecoder::start();
    let message = br#"{"method": "m", "args": {"a": 1}}"#;
    let mut complaints = Vec::new();
    for content_type in [
        None,
        Some(""),
        Some("application/json"),
        Some("text/plain"),
        Some("application/json; charset=utf8"),
        Some("application/octet-stream"),
        Some("application/data"),
        Some("application/x-yaml"),
        Some("application/x-msgpack"),
        Some("application/x-python-serialize"),
        Some("Application/JSON"),
    ] {
        complaints.extend(disagreement(&mut decoder, message, (content_type, None)));
    }
    let compressed = [Compression::Gzip, Compression::Bzip2, Compression::Lzma]
        .map(|compression| compression.compress(message).expect("it compresses"));
    let headers = [
        "application/x-gzip",
        "application/x-bz2",
        "application/x-lzma",
        "gzip",
        "zlib",
        "bzip2",
        "bzip",
        "bz2",
        "lzma",
        "xz",
        "application/zstd",
        "application/x-brotli",
        "identity",
        "",
    ];
    for header in headers {
        // As it should be, cut short, of another kind, not compressed at all, empty.
        for body in compressed.iter().flat_map(|body| [&body[..], &body[..body.len() - 2]]).chain([&message[..], b""]) {
            complaints.extend(disagreement(&mut decoder, body, (JSON, Some(header))));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn typed_values_without_an_envelope_are_taken_or_rejected_as_by_the_reference() {
    let mut decoder = OsloDecoder::start();
    let typed = |kind: &str, value: &str| format!(r#"{{"__type__": {kind}, "__value__": {value}}}"#);
    let hex = r#"{"hex": "0123456789abcdef0123456789abcdef"}"#;
    let values = [
        typed("\"uuid\"", hex),
        typed("\"uuid\"", r#"{"hex": "01234567-89ab-cdef-0123-456789abcdef"}"#),
        typed("\"uuid\"", "\"0123456789abcdef0123456789abcdef\""),
        typed("\"uuid\"", r#"{"hex": "0123"}"#),
        typed("\"uuid\"", "{}"),
        typed("\"datetime\"", "\"2013-01-02T03:04:05.678901\""),
        typed("\"date\"", "\"2013-01-02\""),
        typed("\"time\"", "\"03:04:05\""),
        typed("\"datetime\"", "7"),
        typed("\"decimal\"", "\"1.50\""),
        typed("\"bytes\"", "\"text\""),
        typed("\"bytes\"", "7"),
        typed("\"base64\"", "\"/w==\""),
        typed("\"set\"", "[]"),
        typed("null", "1"),
        typed("[]", "1"),
        r#"{"__type__": "uuid"}"#.to_owned(),
        r#"{"__type__": "set", "__value__": 1, "more": 2}"#.to_owned(),
        format!(r#"[1, {{"deep": {}}}]"#, typed("\"uuid\"", hex)),
        format!(r#"{{"__value__": 7, "__type__": "set", "__type__": "uuid", "__value__": {hex}}}"#),
    ];
    let mut complaints = Vec::new();
    for value in &values {
        let message = format!(r#"{{"method": "m", "args": {{"x": {value}}}}}"#);
        complaints.extend(disagreement(&mut decoder, message.as_bytes(), (JSON, None)));
        // With an envelope it is plain data, whatever it says.
        complaints.extend(disagreement(&mut decoder, enveloped(&message, true).as_bytes(), (JSON, None)));
    }
    complaints.extend(disagreement(&mut decoder, typed("\"bytes\"", "\"x\"").as_bytes(), (JSON, None)));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn where_we_take_more_or_less_than_the_reference_it_is_on_purpose() {
    let mut decoder = OsloDecoder::start();
    let args = |args: &str| format!(r#"{{"method": "m", "args": {{"x": {args}}}}}"#);
    let deep = args(&format!("{}{}", "[".repeat(5000), "]".repeat(5000)));
    let gzip = {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, args("1").as_bytes()).expect("it compresses");
        gzip.finish().expect("it compresses")
    };
    // Taken: integers and depth without a bound, a real gzip stream, dates that are none.
    let more: [(Vec<u8>, Option<&str>); 4] = [
        (args(&"7".repeat(5000)).into(), None),
        (deep.into(), None),
        (gzip, Some("application/x-gzip")),
        (args(r#"{"__type__": "date", "__value__": "soon"}"#).into(), None),
    ];
    for (body, compression) in more {
        let judged = decoder.judge(&body, JSON, compression);
        assert!(judged.ours.is_ok() && judged.theirs.is_err(), "{judged:?}");
    }
    // As deep as a server of the reference reads, both do: Python's limit is 1000 less what is on its stack.
    let judged = decoder.judge(args(&format!("{}{}", "[".repeat(900), "]".repeat(900))).as_bytes(), JSON, None);
    assert!(judged.ours.is_ok() && judged.theirs.is_ok() && judged.same, "{judged:?}");
    // Rejected: what decompresses to more than we hold.
    let bomb = Compression::Gzip.compress(&vec![b' '; nova_host::envelope::MAX_BODY + 1]).expect("it compresses");
    assert!(decoder.judge(&bomb, JSON, Some("application/x-gzip")).ours.is_err());
}
