//! Versions come and go: what is served, what is refused and why, and what is left in the directory.

use std::{fs, sync::Weak, time::Duration};

#[path = "tests/back.rs"]
mod back;
#[path = "tests/canary.rs"]
mod canary;
#[path = "tests/gates.rs"]
mod gates;
#[path = "tests/shadow.rs"]
mod shadow;

use super::*;
use crate::{
    catalog::Miss,
    gate::Wishes,
    testing::{answering, answering_with, guest, load_config, sandbox, wide},
};

/// A keeper of an own directory, which remembers calls for an hour.
struct Story {
    directory: tempfile::TempDir,
    keeper: Arc<Keeper>,
}

/// The method `n` in place of `m`; version 2.0 in place of 1.0.
const METHOD_N: &str = r#"(data (i32.const 1010) "n")"#;
const VERSION_2: &str = r#"(data (i32.const 1000) "2.0")"#;

/// A version whose `describe` takes some time.
fn slow(answer: &str) -> Vec<u8> {
    let count = "(func $slow (local $n i64) (loop $again
        (local.set $n (i64.add (local.get $n) (i64.const 1)))
        (br_if $again (i64.lt_u (local.get $n) (i64.const 50000000)))))
        (start $slow)";
    answering_with(answer, count)
}

impl Story {
    async fn begin(files: &[(&str, &[u8])]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(directory.path().join(name), content).unwrap();
        }
        let keeper = Self::open(directory.path()).await;
        Self { directory, keeper }
    }

    async fn open(directory: &Path) -> Arc<Keeper> {
        let recent = Duration::from_secs(3600);
        let config = load::Config { directory: directory.to_owned(), recent, ..load_config() };
        let keeper = Keeper::new(&config, &wide(), Policy::default(), sandbox(), Metrics::default());
        keeper.load().await.unwrap();
        keeper
    }

    /// What a restart would serve.
    async fn restarted(&self) -> Self {
        let keeper = Self::open(self.directory.path()).await;
        Self { keeper, directory: tempfile::tempdir().unwrap() }
    }

    async fn offer(&self, name: &str, wasm: Vec<u8>) -> Result<Change, Error> {
        self.keeper.offer(name, || Ok(Source::new(wasm, None)), Origin::Watched).await
    }

    async fn offer_with(&self, name: &str, wasm: Vec<u8>, manifest: &str) -> Result<Change, Error> {
        let source = Source::new(wasm, Some(manifest.to_owned()));
        self.keeper.offer(name, || Ok(source), Origin::Watched).await
    }

    /// Writes a file elsewhere and has it added.
    async fn add(&self, name: &str, wasm: &[u8], force: bool) -> Result<Change, Error> {
        let elsewhere = tempfile::tempdir().unwrap();
        let file = elsewhere.path().join(format!("{name}.wasm"));
        fs::write(&file, wasm).unwrap();
        self.keeper.add(&file, None, Terms::read(force, &Wishes::default()).unwrap()).await
    }

    fn serving(&self, name: &str) -> Option<Arc<Generation>> {
        self.keeper.lock().shelves.get(name)?.serving.clone()
    }

    fn weak(&self, name: &str) -> Weak<Generation> {
        self.serving(name).map(|generation| Arc::downgrade(&generation)).unwrap()
    }

    /// Calls a method for its answer, as the corridor does.
    async fn call(&self, version: &str, method: &str) -> Result<String, Miss> {
        use crate::{envelope::Answer, sandbox::Invocation, testing::invocation};
        let current = self.keeper.current();
        let Found::Handler { generation, endpoint } = current.get().find(None, version, Some(method))? else {
            panic!()
        };
        let working = current.accept(generation, None, version, method);
        let invocation = Invocation { endpoint, version: version.to_owned(), ..invocation(method, "{}") };
        match working.program.handle(invocation).await.unwrap() {
            Answer::Result(text) => Ok(text.get().to_owned()),
            Answer::Failure(failure) => panic!("{failure}"),
        }
    }

    async fn answer(&self) -> String {
        self.call("1.0", "m").await.unwrap()
    }

    fn refusal(&self, name: &str) -> Option<String> {
        self.keeper.lock().shelves.get(name)?.refused.as_ref().map(|refused| refused.reason.clone())
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn a_new_version_takes_the_place_of_the_old() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    assert_eq!(story.answer().await, "1");
    let change = story.offer("a", answering("2")).await.unwrap();
    assert!(matches!(change, Change::Replaced { generation, instead_of } if generation > instead_of), "{change:?}");
    assert_eq!(story.answer().await, "2");
    assert!(matches!(story.offer("a", answering("2")).await.unwrap(), Change::Unchanged { .. }));
    assert_eq!(story.keeper.current().get().generations().len(), 1);
}

#[tokio::test]
async fn what_cannot_serve_is_refused_and_the_old_version_goes_on() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    let torn = answering("2");
    for (broken, expected) in [
        (torn[..torn.len() / 2].to_vec(), "does not compile"),
        (Vec::new(), "not WebAssembly"),
        (answering_with("2", r#"(data (i32.const 1000) "two")"#), "wrong version"),
        (answering_with("2", r#"(data (i32.const 1010) "_")"#), "offers no method"),
        (answering_with("2", r#"(data (i32.const 104) "\00")"#), "no endpoint"),
        (answering_with("2", "(func $die unreachable) (start $die)"), "describe failed"),
    ] {
        let error = story.offer("a", broken).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(story.refusal("a"), Some(error));
        assert_eq!(story.answer().await, "1");
    }
    let unreadable = || Err(load::Error::Read(io::ErrorKind::PermissionDenied.into()).into());
    assert!(story.keeper.offer("a", unreadable, Origin::Watched).await.is_err());
    assert_eq!(story.answer().await, "1");
    story.offer("a", answering("2")).await.unwrap();
    assert_eq!((story.refusal("a"), story.answer().await), (None, "2".to_owned()));
}

#[tokio::test]
async fn a_self_test_decides() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    for (test, answer, expected) in [
        ("expect = 2", "2", Ok(())),
        ("expect = 2", "3", Err("selftest of m: should return 2, returned 3")),
        ("expect = { a = [1, \"x\"] }", r#"{"a": [1, "x"]}"#, Ok(())),
        ("", "4", Ok(())),
        ("fails = \"ValueError\"", "5", Err("selftest of m: should fail with ValueError, returned 5")),
        ("version = \"1.1\"", "6", Err("selftest of m: the handler does not serve it in (no namespace) 1.1")),
        ("namespace = \"x\"", "7", Err("selftest of m: the handler does not serve it in x 1.0")),
        ("expect = 8", "nonsense", Err("selftest of m: the handler's result is not valid: not JSON")),
    ] {
        let manifest = format!("[[selftest]]\nmethod = \"m\"\n{test}");
        let before = story.answer().await;
        let offered =
            story.offer_with("a", answering(answer), &manifest).await.map(drop).map_err(|error| error.to_string());
        match expected {
            Ok(()) => assert_eq!((offered, story.answer().await), (Ok(()), answer.to_owned())),
            Err(reason) => {
                let error = offered.unwrap_err();
                assert!(error.starts_with(reason) || reason.ends_with("not JSON"), "{error}");
                assert_eq!(story.answer().await, before);
            }
        }
    }
}

#[tokio::test]
async fn a_method_that_was_called_recently_is_not_dropped_by_accident() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    // Nobody has called it: it may go, and come back.
    story.offer("a", answering_with("1", METHOD_N)).await.unwrap();
    story.offer("a", answering("1")).await.unwrap();
    story.answer().await;
    for other in [answering_with("2", METHOD_N), answering_with("2", VERSION_2)] {
        let error = story.offer("a", other).await.unwrap_err();
        assert!(matches!(&error, Error::Drops { methods, .. } if methods == &["m 1.0"]), "{error}");
        assert_eq!(story.answer().await, "1");
    }
    // Another handler that answers it is as good.
    story.offer("b", answering_with("b", r#"(data (i32.const 1000) "1.1")"#)).await.unwrap();
    story.offer("a", answering_with("3", METHOD_N)).await.unwrap();
}

#[tokio::test]
async fn whoever_says_so_may_drop_a_method() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    story.answer().await;
    story.offer_with("a", answering_with("2", METHOD_N), "dropped = [\"m\"]").await.unwrap();
    story.call("1.0", "n").await.unwrap();
    assert!(story.add("a", &answering("3"), false).await.unwrap_err().to_string().contains("drops n 1.0"));
    assert_eq!(story.files(), ["a.wasm"]);
    story.add("a", &answering("3"), true).await.unwrap();
    assert_eq!(story.answer().await, "3");
}

#[tokio::test]
async fn what_another_handler_serves_is_not_taken_from_it() {
    let story = Story::begin(&[("a.wasm", &answering("1")), ("b.wasm", &answering("2"))]).await;
    assert_eq!(story.answer().await, "1");
    assert_eq!(story.refusal("b").unwrap(), "offers m 1.0, which a serves already");
    assert_eq!(story.keeper.in_conflict(), ["b"]);
    story.offer("b", answering_with("2", METHOD_N)).await.unwrap();
    assert!(story.offer("b", answering("3")).await.is_err());
    assert_eq!((story.answer().await, story.call("1.0", "n").await), ("1".to_owned(), Ok("2".to_owned())));
    // Both, under other names.
    let renamed = "[[endpoint]]\nversion = \"2.0\"";
    story.offer_with("b", answering("3"), renamed).await.unwrap_err();
    story.keeper.remove("b").unwrap();
    story.offer_with("b", answering("3"), renamed).await.unwrap();
    assert_eq!(story.call("2.0", "m").await.unwrap(), "3");
    let host = "[[endpoint]]\nnamespace = \"nova_host\"";
    let error = story.offer_with("c", answering("4"), host).await.unwrap_err().to_string();
    assert!(error.contains("nova_host, which is the host's own"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_its_turn_is_read_when_it_comes() {
    let story = Arc::new(Story::begin(&[("a.wasm", &answering("1"))]).await);
    let adding = tokio::spawn({
        let story = Arc::clone(&story);
        async move { story.add("a", &slow("2"), false).await }
    });
    while story.keeper.lock().trying.is_none() {
        tokio::task::yield_now().await;
    }
    // The watch comes by while the operator's version is being tried, and finds the old one in the directory.
    let path = story.directory.path().join("a.wasm");
    let watched = story.keeper.offer("a", move || Ok(load::read(&path)?), Origin::Watched).await.unwrap();
    adding.await.unwrap().unwrap();
    assert!(matches!(watched, Change::Unchanged { .. }), "{watched:?}");
    assert_eq!(story.call("1.0", "m").await.ok().as_deref(), Some("2"));
}

#[tokio::test]
async fn a_file_that_is_added_brings_its_manifest_or_keeps_the_handlers_own() {
    let story = Story::begin(&[("a.wasm", &answering("1")), ("a.toml", b"[limits]\nmemory = \"1 MiB\"")]).await;
    story.add("a", &answering("2"), false).await.unwrap();
    assert_eq!(story.serving("a").unwrap().program.limits().memory.0, 1 << 20);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("x.wasm"), answering("3")).unwrap();
    fs::write(elsewhere.path().join("x.toml"), "[limits]\nmemory = \"2 MiB\"").unwrap();
    story.keeper.add(&elsewhere.path().join("x.wasm"), Some("a".into()), Terms::default()).await.unwrap();
    assert_eq!(story.serving("a").unwrap().program.limits().memory.0, 2 << 20);
    assert_eq!(fs::read_to_string(story.directory.path().join("a.toml")).unwrap(), "[limits]\nmemory = \"2 MiB\"");
    for wrong in ["../b", ".b", "", "b\nc"] {
        let error =
            story.keeper.add(&elsewhere.path().join("x.wasm"), Some(wrong.into()), Terms::default()).await.unwrap_err();
        assert!(error.to_string().contains("cannot be a handler's name"), "{wrong:?}: {error}");
    }
    assert_eq!(story.files(), ["a.toml", "a.wasm"]);
}

#[tokio::test]
async fn adding_what_serves_already_takes_a_refused_file_out_of_the_directory() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    fs::write(story.directory.path().join("a.wasm"), "broken").unwrap();
    assert!(matches!(story.add("a", &answering("1"), false).await.unwrap(), Change::Unchanged { .. }));
    assert_eq!(story.restarted().await.answer().await, "1");
}

#[tokio::test]
async fn what_is_refused_does_not_reach_the_directory() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    assert!(story.add("a", b"broken", true).await.is_err());
    assert!(story.add("b", &guest("(unreachable)")[..50], false).await.is_err());
    assert_eq!(story.files(), ["a.wasm"]);
    assert_eq!(fs::read(story.directory.path().join("a.wasm")).unwrap(), answering("1"));
}

#[tokio::test]
async fn the_list_tells_who_serves_who_did_and_what_was_refused() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    story.add("a", &answering("2"), false).await.unwrap();
    story.answer().await;
    story.offer("a", b"broken".to_vec()).await.unwrap_err();
    let [state] = story.keeper.list().try_into().unwrap();
    let serving = state.serving.unwrap();
    assert_eq!((serving.accepted, serving.in_flight), (1, 0));
    assert_eq!(serving.digest, crate::sandbox::Digest::of(&answering("2")).as_str());
    assert_eq!(state.previous.len(), 1);
    assert!(state.refused.unwrap().reason.contains("not WebAssembly"));
}

#[tokio::test]
async fn what_is_no_regular_file_is_not_read_and_keeps_nobody_out() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let at = |name: &str| elsewhere.path().join(name);
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe.wasm"), mode).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at("endless.wasm")).unwrap();
    fs::create_dir(at("folder.wasm")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket.wasm")).unwrap();
    fs::write(at("good.wasm"), answering("2")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("good.toml"), mode).unwrap();
    for name in ["pipe.wasm", "endless.wasm", "folder.wasm", "socket.wasm", "good.wasm"] {
        let error = story.keeper.add(&at(name), Some("a".into()), Terms::default()).await.unwrap_err();
        assert!(matches!(&error, Error::Refused(load::Error::Irregular(_))), "{name}: {error}");
    }
    story.add("a", &answering("2"), false).await.unwrap();
}

#[tokio::test]
async fn a_file_beyond_the_bound_is_refused_by_its_name() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("b.wasm");
    // Full of holes: it takes no room on the disk.
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let error = story.keeper.add(&path, None, Terms::default()).await.unwrap_err().to_string();
    assert_eq!(error, format!("{} has more than 128 MiB, the most that is read", path.display()));
    fs::write(&path, answering("2")).unwrap();
    fs::write(path.with_extension("toml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    let error = story.keeper.add(&path, None, Terms::default()).await.unwrap_err().to_string();
    assert!(error.ends_with("b.toml has more than 1 MiB, the most that is read"), "{error}");
}

/// On a runtime of one thread, whoever waits for a disk on it would keep all others waiting.
#[tokio::test]
async fn while_a_disk_is_slow_requests_run_and_the_list_is_told() {
    let story = Arc::new(Story::begin(&[("a.wasm", &answering("1"))]).await);
    let keeper = Arc::clone(&story.keeper);
    let (held, is_held) = tokio::sync::oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    // As whoever moves files does, on a disk that takes its time.
    let disk = std::thread::spawn(move || {
        let _changing = keeper.changing();
        held.send(()).unwrap();
        released.recv().ok();
    });
    is_held.await.unwrap();
    let adding = tokio::spawn({
        let story = Arc::clone(&story);
        async move { story.add("a", &answering("2"), false).await }
    });
    // It is good, lies beside, and waits to be put in its place.
    while story.files() == ["a.wasm"] {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert_eq!((story.answer().await, story.keeper.list().len()), ("1".to_owned(), 1));
    }
    assert!(!adding.is_finished());
    drop(release);
    disk.join().unwrap();
    adding.await.unwrap().unwrap();
    assert_eq!(story.answer().await, "2");
}

#[tokio::test]
async fn a_handler_that_outlasts_the_brokers_patience_is_warned_of_unless_it_is_acknowledged_before() {
    let long = b"[limits]\ntimeout = \"31m\"";
    let story = Story::begin(&[("a.wasm", &answering("1")), ("a.toml", long)]).await;
    let warning = |policy| story.serving("a").unwrap().warning(policy);
    let text = warning(Policy::AtLeastOnce).unwrap();
    assert!(
        text.contains("limits.timeout is 1860s") && text.contains("consumer_timeout, or make m at-most-once"),
        "{text}"
    );
    assert_eq!(warning(Policy::AtMostOnce), None);
    for (manifest, is_warned_of) in [
        ("[limits]\ntimeout = \"30m\"", false),
        ("[limits]\ntimeout = \"31m\"\n[delivery]\npolicy = \"at-most-once\"", false),
        ("[limits]\ntimeout = \"31m\"\n[delivery.methods]\nm = \"at-most-once\"", false),
        ("[limits]\ntimeout = \"32m\"", true),
    ] {
        story.offer_with("a", answering("1"), manifest).await.unwrap();
        let found = story.serving("a").unwrap().warning(Policy::AtLeastOnce);
        assert_eq!(found.is_some(), is_warned_of, "{manifest}: {found:?}");
    }
}
