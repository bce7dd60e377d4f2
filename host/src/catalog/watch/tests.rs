//! Real files, and looks at them one by one instead of by the clock.

use std::{fs, os::unix::fs::symlink, path::Path};

use super::*;
use crate::{
    catalog::{Policy, load},
    metrics::Metrics,
    testing::{ECHO, answering, guest, load_config, sandbox, wide},
};

/// A directory and what a watch makes of it.
struct Story {
    directory: tempfile::TempDir,
    watch: Watch,
}

impl Story {
    fn begin() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), watch: Watch::default() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path().join(name), content).unwrap();
    }

    fn look(&mut self) -> Vec<Event> {
        self.watch.observe(&directory::scan(self.directory.path()).unwrap())
    }

    fn looks(&mut self, count: u32) -> Vec<Event> {
        (0..count).flat_map(|_| self.look()).collect()
    }
}

fn changed(name: &str) -> Vec<Event> {
    vec![Event::Changed(name.to_owned())]
}

#[test]
fn a_file_is_taken_once_when_it_has_settled() {
    let mut story = Story::begin();
    story.write("a.wasm", "1");
    assert!(story.look().is_empty());
    assert_eq!(story.look(), changed("a"));
    assert!(story.looks(5).is_empty());
}

#[test]
fn a_copy_that_takes_its_time_is_not_taken_before_it_has_ended() {
    let mut story = Story::begin();
    for length in 1..20 {
        story.write("a.wasm", &"x".repeat(length));
        assert!(story.look().is_empty(), "{length}");
    }
    assert_eq!(story.look(), changed("a"));
}

#[test]
fn rapid_rewrites_of_the_same_size_are_one_change() {
    let mut story = Story::begin();
    for content in ["1", "2", "3", "4"] {
        // The clock of the file system may be as coarse as 10 ms.
        std::thread::sleep(Duration::from_millis(20));
        story.write("a.wasm", content);
        assert!(story.look().is_empty(), "{content}");
    }
    assert_eq!(story.looks(5), changed("a"));
}

#[test]
fn a_rename_over_the_file_is_a_change_even_of_the_same_size_and_time() {
    let mut story = Story::begin();
    story.write("a.wasm", "1");
    let time = fs::metadata(story.path().join("a.wasm")).unwrap().modified().unwrap();
    assert_eq!(story.looks(2), changed("a"));
    story.write(".a.wasm.new", "2");
    fs::File::options().write(true).open(story.path().join(".a.wasm.new")).unwrap().set_modified(time).unwrap();
    fs::rename(story.path().join(".a.wasm.new"), story.path().join("a.wasm")).unwrap();
    assert_eq!(story.looks(5), changed("a"));
}

#[test]
fn the_manifest_is_part_of_the_handler() {
    let mut story = Story::begin();
    story.write("a.wasm", "1");
    story.looks(2);
    story.write("a.toml", "");
    assert_eq!(story.looks(5), changed("a"));
    fs::remove_file(story.path().join("a.toml")).unwrap();
    assert_eq!(story.looks(5), changed("a"));
}

#[test]
fn symbolic_links_are_followed_however_they_are_exchanged() {
    let mut story = Story::begin();
    // As Kubernetes mounts a volume: a.wasm -> ..data/a.wasm, ..data -> ..1; the exchange renames ..data.
    for version in ["..1", "..2"] {
        fs::create_dir(story.path().join(version)).unwrap();
        story.write(&format!("{version}/a.wasm"), version);
    }
    symlink("..1", story.path().join("..data")).unwrap();
    symlink("..data/a.wasm", story.path().join("a.wasm")).unwrap();
    assert_eq!(story.looks(5), changed("a"));
    symlink("..2", story.path().join("..new")).unwrap();
    fs::rename(story.path().join("..new"), story.path().join("..data")).unwrap();
    assert_eq!(story.looks(5), changed("a"));
    // Nothing at the other end is nothing at all.
    fs::remove_dir_all(story.path().join("..2")).unwrap();
    assert_eq!(story.looks(GONE), [Event::Gone("a".into())]);
}

#[test]
fn a_file_that_is_gone_only_for_a_moment_is_not_gone() {
    let mut story = Story::begin();
    story.write("a.wasm", "1");
    story.looks(2);
    fs::remove_file(story.path().join("a.wasm")).unwrap();
    assert!(story.looks(GONE - 1).is_empty());
    story.write("a.wasm", "2");
    assert_eq!(story.looks(5), changed("a"));
    fs::remove_file(story.path().join("a.wasm")).unwrap();
    assert_eq!(story.looks(GONE + 5), [Event::Gone("a".into())]);
    story.write("a.wasm", "3");
    assert_eq!(story.looks(5), changed("a"));
}

#[test]
fn what_is_no_handler_is_not_looked_at() {
    let mut story = Story::begin();
    fs::create_dir(story.path().join("d.wasm")).unwrap();
    for name in [".hidden.wasm", "a.wasm~", "a.toml", "wasm", ".wasm", "b.wasm.tmp"] {
        story.write(name, "x");
    }
    assert!(story.looks(5).is_empty());
}

#[test]
fn what_was_loaded_at_the_start_is_not_loaded_again_unless_it_has_changed() {
    let mut story = Story::begin();
    story.write("a.wasm", "1");
    story.watch = Watch::after(directory::scan(story.path()).unwrap());
    assert!(story.looks(3).is_empty());
    // Between the first load and the first look.
    story.watch = Watch::after(directory::scan(story.path()).unwrap());
    story.write("a.wasm", "22");
    assert_eq!(story.looks(3), changed("a"));
}

#[test]
fn a_handler_is_tried_again_when_that_is_asked_for() {
    let mut story = Story::begin();
    story.write("a.wasm", "1");
    story.looks(5);
    story.watch.again("a");
    assert_eq!(story.looks(5), changed("a"));
}

#[tokio::test]
async fn a_file_that_changes_between_look_and_load_is_left_to_the_next_looks() {
    let mut story = Story::begin();
    let config = load::Config { directory: story.path().to_owned(), ..load_config() };
    let keeper = Keeper::new(&config, &wide(), Policy::default(), sandbox(), Metrics::default());
    keeper.load().await.unwrap();
    let file = story.path().join("a.wasm");
    fs::write(&file, guest(ECHO)).unwrap();
    assert_eq!(story.looks(SETTLED), changed("a"));
    fs::write(&file, answering("2")).unwrap();
    act(&keeper, &mut story.watch, Event::Changed("a".into())).await;
    assert!(keeper.list().iter().all(|handler| handler.serving.is_none()));
    assert_eq!(story.looks(SETTLED), changed("a"));
    act(&keeper, &mut story.watch, Event::Changed("a".into())).await;
    assert!(keeper.list().iter().any(|handler| handler.serving.is_some()));
}
