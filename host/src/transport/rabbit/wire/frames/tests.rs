//! Tests of [`super`]: what is valid passes unchanged in any split; what is not changes where it must and nowhere else.

use proptest::prelude::*;

use super::{Filter, MAX_GATHERED};

/// Lets bytes through in pieces of these sizes, in turn.
fn filtered(bytes: &[u8], sizes: &[usize]) -> Vec<u8> {
    let (mut filter, mut through, mut rest) = (Filter::default(), Vec::new(), bytes);
    for size in sizes.iter().copied().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(size.clamp(1, rest.len()));
        filter.push(piece).unwrap();
        rest = after;
        let mut buffer = vec![0; size.max(1) * 2];
        loop {
            match filter.read(&mut buffer) {
                0 => break,
                length => through.extend_from_slice(&buffer[..length]),
            }
        }
    }
    through
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 0, 1], &size[..], payload, &[0xce]].concat()
}

fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn deliver(exchange: &[u8], key: &[u8]) -> Vec<u8> {
    let head = [&[0, 60, 0, 60], &short(b"1")[..], &[0, 0, 0, 0, 0, 0, 0, 7, 1]].concat();
    frame(1, &[head, short(exchange), short(key)].concat())
}

/// A content header with content type, a table, delivery mode, timestamp and application id, in AMQP's order.
fn header(content_type: &[u8], table: &[u8], application: &[u8]) -> Vec<u8> {
    let flags = (1u16 << 15 | 1 << 13 | 1 << 12 | 1 << 6 | 1 << 3).to_be_bytes();
    let head = [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2], &flags[..]].concat();
    frame(2, &[head, short(content_type), long(table), vec![2], vec![0xff; 8], short(application)].concat())
}

fn entry(name: &[u8], value: &[u8]) -> Vec<u8> {
    [short(name), value.to_vec()].concat()
}

/// A table with a value of every type, one within another. Long strings and byte arrays may hold anything.
fn table(name: &[u8]) -> Vec<u8> {
    let values: Vec<Vec<u8>> = vec![
        b"V".to_vec(),
        b"t\xff".to_vec(),
        b"b\xff".to_vec(),
        b"B\xff".to_vec(),
        b"s\xff\xfe".to_vec(),
        b"U\xff\xfe".to_vec(),
        b"u\xff\xfe".to_vec(),
        b"I\xff\xfe\xff\xfe".to_vec(),
        b"i\xff\xfe\xff\xfe".to_vec(),
        b"f\xff\xfe\xff\xfe".to_vec(),
        b"D\xff\xfe\xff\xfe\xff".to_vec(),
        [b"L", &[0xff; 8][..]].concat(),
        [b"l", &[0xff; 8][..]].concat(),
        [b"d", &[0xff; 8][..]].concat(),
        [b"T", &[0xff; 8][..]].concat(),
        [b"S", &long(b"\xff")[..]].concat(),
        [b"x", &long(b"\xff")[..]].concat(),
    ];
    let flat: Vec<u8> = values.iter().flat_map(|value| entry(name, value)).collect();
    let inner = [b"F".to_vec(), long(&flat)].concat();
    let items = [b"A".to_vec(), long(&[values.concat(), inner.clone()].concat())].concat();
    [flat, entry(name, &inner), entry(name, &items)].concat()
}

#[test]
fn a_name_that_is_not_utf_8_is_made_harmless_and_keeps_its_length() {
    let sent = [
        deliver(b"\xffx", b"k\xc3\xa4\xc3"),
        header(b"\xff\xfe", &table(b"\x80n"), b"\xe2\x82"),
        frame(3, b"\xff\xfe"),
    ];
    let expected = [deliver(b"?x", b"k\xc3\xa4?"), header(b"??", &table(b"?n"), b"??"), frame(3, b"\xff\xfe")];
    for sizes in [[1], [2], [13], [4096]] {
        assert_eq!(filtered(&sent.concat(), &sizes), expected.concat(), "{sizes:?}");
    }
    let returned =
        |key: &[u8]| frame(1, &[&[0, 60, 0, 50, 1, 56], &short(b"NO_ROUTE")[..], &short(b""), &short(key)].concat());
    assert_eq!(filtered(&returned(b"\xff"), &[4096]), returned(b"?"));
}

#[test]
fn what_lapin_would_not_parse_it_parses_now() {
    let parse = |payload: &[u8]| {
        lapin::types::parsing::parse_field_table(payload).map(|(rest, table)| (rest.len(), table.inner().len())).ok()
    };
    let payload = long(&table(b"\xff"));
    assert_eq!(parse(&payload), None);
    let sent = [deliver(b"", b""), header(b"", &table(b"\xff"), b"")].concat();
    let through = filtered(&sent, &[4096]);
    let start = sent.windows(payload.len()).position(|window| window == payload).unwrap();
    assert_eq!(parse(&through[start..start + payload.len()]), Some((0, 1)));
}

#[test]
fn what_is_no_amqp_passes_and_tls_is_said() {
    let other = b"AMQP\0\0\x09\x01\xff\xff";
    assert_eq!(filtered(other, &[3]), other);
    let error = Filter::default().push(b"\x15\x03\x03\0\x02\x02\x46").unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
}

#[test]
fn a_frame_that_is_too_large_or_lies_about_its_lengths_passes_as_it_is() {
    // One that would change if it were gathered.
    let head = [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 128, 0], &short(b"\xff")[..]].concat();
    let large = frame(2, &[head, vec![0; MAX_GATHERED]].concat());
    assert!(filtered(&[deliver(b"", b""), large.clone()].concat(), &[100_000]).ends_with(&large));
    for payload in
        [&b""[..], b"\0", b"\0\x3c", b"\0\x3c\0\x3c\xff\xff", b"\0\x3c\0\0\0\0\0\0\0\0\0\x02\x20\0\xff\xff\xff\xff"]
    {
        let frames = [deliver(b"", b""), frame(2, payload), frame(1, payload)].concat();
        assert_eq!(filtered(&frames, &[5]), frames);
    }
}

#[test]
fn tables_that_lie_too_deep_in_one_another_are_bytes() {
    let nested = |depth: usize, innermost: u8| {
        let mut table = entry(b"n", &[&[innermost][..], &long(b"\x01nV")].concat());
        for _ in 1..depth {
            table = entry(b"n", &[b"F", &long(&table)[..]].concat());
        }
        header(b"t", &table, b"a")
    };
    let begin = deliver(b"", b"");
    for (sent, expected) in [(nested(32, b'F'), nested(32, b'F')), (nested(33, b'F'), nested(33, b'x'))] {
        assert_eq!(filtered(&[begin.clone(), sent].concat(), &[4096]), [begin.clone(), expected].concat());
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    "\\PC{0,60}".prop_map(String::into_bytes)
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (text(), text()).prop_map(|(exchange, key)| deliver(&exchange, &key)),
        (text(), text(), text()).prop_map(|(kind, name, id)| header(&kind, &table(&name), &id)),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|body| frame(3, &body)),
        Just(frame(8, b"")),
    ]
}

proptest! {
    #[test]
    fn valid_frames_pass_unchanged_in_any_split(
        frames in prop::collection::vec(any_frame(), 1..8),
        sizes in prop::collection::vec(1..200usize, 1..20),
    ) {
        let bytes = [vec![deliver(b"", b"")], frames].concat().concat();
        prop_assert_eq!(filtered(&bytes, &sizes), bytes);
    }

    #[test]
    fn whatever_arrives_keeps_its_length_and_its_bodies(
        names in prop::collection::vec(any::<u8>(), 0..40),
        garbage in prop::collection::vec(any::<u8>(), 0..200),
        sizes in prop::collection::vec(1..50usize, 1..20),
    ) {
        let bytes = [deliver(&names, &names), header(&names, &garbage, &names), frame(3, &names)].concat();
        let through = filtered(&bytes, &sizes);
        prop_assert_eq!(through.len(), bytes.len());
        prop_assert!(through.ends_with(&frame(3, &names)));
        prop_assert!(through.starts_with(&deliver(
            &scrubbed(&names), &scrubbed(&names),
        )));
    }
}

/// The same by another way: the standard library's lossy reading.
fn scrubbed(bytes: &[u8]) -> Vec<u8> {
    bytes
        .utf8_chunks()
        .flat_map(|chunk| [chunk.valid().as_bytes(), &b"????"[..chunk.invalid().len()]].concat())
        .collect()
}
