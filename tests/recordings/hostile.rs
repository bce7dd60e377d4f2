//! Files that are no recordings, as somebody meets them who was sent one.

use std::fs;

use serde_json::{Value, json};

use super::Desk;
use crate::harness::handlers;

#[test]
fn what_is_no_recording_is_refused_by_name_and_with_code_2() {
    let desk = Desk::calculator();
    desk.call("add", &json!({"a": 1, "b": 2}));
    let whole = fs::read(desk.only()).expect("it is there");
    for (name, content, reason) in [
        ("cut", &whole[..whole.len() / 2], "is damaged or cut off"),
        ("empty", &[][..], "is damaged or cut off"),
        ("text", b"{\"format\": 1}", "is damaged or cut off"),
    ] {
        let file = desk.scratch.write(name, content).display().to_string();
        for arguments in
            [["replay", &file].as_slice(), &["recordings", "show", &file], &["recordings", "export", &file]]
        {
            let told = desk.refused(2, arguments);
            assert!(told.contains(&format!("{file}: {reason}")) && told.lines().count() == 1, "{told}");
        }
    }
    let told = desk.refused(2, &["replay", "no-such"]);
    assert!(told.contains("no-such is no file, and no recording of that id"), "{told}");
    // Beside others, one that cannot be read is a line of the list.
    desk.scratch.write("recordings/0000000000001-bad.recording.zst", "no zstd");
    let listed = desk.told(&["recordings", "list"]);
    assert!(listed.contains("0000000000001-bad  is damaged") && listed.contains("calculator add: replied"), "{listed}");
}

#[test]
fn an_exported_recording_is_what_was_written_and_a_directory_for_others_is_refused() {
    let desk = Desk::calculator();
    desk.call("echo", &json!({"value": {"b": 1.5, "a": [null]}}));
    let exported: Value = serde_json::from_str(&desk.told(&["recordings", "export", &desk.only()])).expect("JSON");
    assert_eq!(
        (&exported["format"], &exported["served"], &exported["outcome"]),
        (&json!(1), &json!(0), &json!("replied"))
    );
    assert_eq!(exported["ended"]["replied"], exported["request"]["arguments"]["value"]);
    let open = desk.scratch.write("open/file", "").parent().expect("a directory").display().to_string();
    let told = desk.refused(2, &["call", "add", "{}", "--set", &format!("record.directory={open}")]);
    assert!(told.contains(&format!("chmod 700 {open}")), "{told}");
}

#[test]
fn a_file_that_cannot_be_replayed_keeps_no_other_from_it_and_hides_no_difference() {
    let desk = Desk::calculator();
    desk.call("divide", &json!({"a": 1, "b": 2}));
    desk.scratch.write("recordings/0000000000001-0123456789ab.recording.zst", "no zstd");
    let told = desk.refused(2, &["replay", "recordings"]);
    assert!(
        told.contains("0123456789ab.recording.zst: is damaged") && told.contains("same  divide: replied"),
        "{told}"
    );
    assert!(told.contains("1 replayed: 1 the same, 0 not, 1 could not be replayed"), "{told}");
    let told = desk.refused(2, &["replay", "recordings", "--json"]);
    assert!(told.contains("\"error\":") && told.contains("\"same\":true"), "{told}");
    // Another component, which does not have the method.
    let other = desk.scratch.write("other.wasm", fs::read(handlers().join("inventory.wasm")).expect("it is built"));
    let told = desk.refused(3, &["replay", "recordings", "--handler", &other.display().to_string()]);
    assert!(told.contains("1 of 2 recordings differ, and 1 could not be replayed"), "{told}");
}
