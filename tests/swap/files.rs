//! Exchange by files: whatever way a file takes into the directory, it is served whole or not at all.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::Duration;

use serde_json::json;

use super::{NOTICED, Story};
use crate::harness::{eventually, guest::answering};

#[test]
fn a_file_that_is_renamed_into_place_is_served() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]);
    assert_eq!(story.answer(), 1);
    fs::write(story.file(".a.new"), answering("2")).expect("it is writable");
    fs::rename(story.file(".a.new"), story.file("a.wasm")).expect("it is writable");
    story.becomes(&json!(1), &json!(2));
    // A handler that was not there before.
    let other = crate::harness::guest::answering_with("3", r#"(data (i32.const 1010) "n")"#);
    fs::write(story.file("b.wasm"), other).expect("it is writable");
    eventually("the new handler", || story.call("n").ok().filter(|answer| *answer == 3));
}

#[test]
fn a_copy_that_takes_its_time_is_served_when_it_is_whole_and_not_before() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]);
    let component = answering("2");
    let mut file = fs::File::create(story.file("a.wasm")).expect("it is writable");
    for part in component.chunks(component.len() / 4 + 1) {
        file.write_all(part).expect("it is writable");
        // Long enough to look finished.
        std::thread::sleep(Duration::from_millis(700));
        assert!([json!(1), json!(2)].contains(&story.answer()));
    }
    drop(file);
    story.becomes(&json!(1), &json!(2));
    assert_eq!(story.listed("a")["refused"], json!(null));
}

#[test]
fn a_broken_file_is_refused_and_what_served_goes_on() {
    let mut story = Story::begin(&[("a.wasm", &answering("1"))]);
    let component = answering("2");
    fs::write(story.file("a.wasm"), &component[..component.len() / 2]).expect("it is writable");
    let reason = story.refusal("a");
    assert!(reason.contains("does not compile"), "{reason}");
    assert_eq!(story.answer(), 1);
    story.host.wait_for_log("handler refused: does not compile");
    fs::write(story.file("a.wasm"), component).expect("it is writable");
    story.becomes(&json!(1), &json!(2));
    assert_eq!(story.listed("a")["refused"], json!(null));
}

#[test]
fn of_rapid_rewrites_the_last_is_served() {
    let story = Story::begin(&[("a.wasm", &answering("0"))]);
    for version in 1..=50 {
        fs::write(story.file("a.wasm"), answering(&version.to_string())).expect("it is writable");
        let answer = story.answer().as_i64().expect("a number");
        assert!((0..=version).contains(&answer), "{answer} after {version}");
    }
    eventually("the last version", || Some(story.answer()).filter(|answer| *answer == 50));
}

#[test]
fn symbolic_links_that_are_exchanged_as_kubernetes_does_are_followed() {
    let story = Story::begin(&[]);
    for (version, answer) in [("..1", "1"), ("..2", "2")] {
        fs::create_dir(story.file(version)).expect("it is writable");
        fs::write(story.file(version).join("a.wasm"), answering(answer)).expect("it is writable");
    }
    symlink("..1", story.file("..data")).expect("it is writable");
    symlink("..data/a.wasm", story.file("a.wasm")).expect("it is writable");
    eventually("the first version", || story.call("m").ok().filter(|answer| *answer == 1));
    symlink("..2", story.file("..tmp")).expect("it is writable");
    fs::rename(story.file("..tmp"), story.file("..data")).expect("it is writable");
    story.becomes(&json!(1), &json!(2));
}

#[test]
fn a_handler_goes_with_its_file_and_not_when_the_file_is_only_replaced() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]);
    fs::remove_file(story.file("a.wasm")).expect("it is there");
    std::thread::sleep(Duration::from_millis(500));
    fs::write(story.file("a.wasm"), answering("2")).expect("it is writable");
    story.becomes(&json!(1), &json!(2));

    fs::remove_file(story.file("a.wasm")).expect("it is there");
    let refused = eventually("the handler to go", || story.call("m").err());
    assert_eq!(refused.remote.expect("a RemoteError").exc_type, "UnsupportedVersion");
    assert_eq!(story.listed("a"), json!(null));
}

#[test]
fn a_directory_that_cannot_be_listed_takes_nothing_away() {
    let mut story = Story::begin(&[("a.wasm", &answering("1"))]);
    let directory = story.scratch.path().join("handlers");
    fs::rename(&directory, story.scratch.path().join("elsewhere")).expect("it is writable");
    story.host.wait_for_log("cannot list the handlers");
    std::thread::sleep(NOTICED * 2);
    assert_eq!(story.answer(), 1);
    fs::rename(story.scratch.path().join("elsewhere"), &directory).expect("it is writable");
    fs::write(story.file("a.wasm"), answering("2")).expect("it is writable");
    story.becomes(&json!(1), &json!(2));
}

#[test]
fn a_handler_that_was_in_anothers_way_makes_place_for_it() {
    let story = Story::begin(&[("a.wasm", &answering("1")), ("b.wasm", &answering("2"))]);
    assert_eq!(story.answer(), 1);
    assert_eq!(story.refusal("b"), "offers m 1.0, which a serves already");
    fs::remove_file(story.file("a.wasm")).expect("it is there");
    eventually("the other handler", || story.call("m").ok().filter(|answer| *answer == 2));
}

#[test]
fn without_watching_files_change_nothing_and_commands_do() {
    let story = Story::configured(&[("a.wasm", &answering("1"))], "handlers.watch = false");
    fs::write(story.file("a.wasm"), answering("2")).expect("it is writable");
    std::thread::sleep(NOTICED);
    assert_eq!(story.answer(), 1);
    let file = story.file("a.wasm").display().to_string();
    story.handlers(&["add", &file]).succeeds();
    assert_eq!(story.answer(), 2);
}
