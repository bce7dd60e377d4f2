//! The socket: who is heard, what is answered to nonsense, and whose socket is replaced.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use super::{
    protocol::{Changed, ControlRequest, Handlers},
    *,
};
use crate::{
    catalog::{Policy, keeper::Keeper, load},
    control::socket::{Config, Error},
    journal::Recorder,
    levels::Levels,
    metrics::Metrics,
    testing::{answering, load_config, sandbox, tight},
};

struct Story {
    directory: tempfile::TempDir,
    config: Config,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn config(directory: &tempfile::TempDir) -> Config {
    Config { socket: Some(directory.path().join("control.sock")), chosen: true }
}

impl Story {
    async fn begin() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let handlers = directory.path().join("handlers");
        fs::create_dir(&handlers).unwrap();
        fs::write(handlers.join("a.wasm"), answering("1")).unwrap();
        let load = load::Config { directory: handlers, ..load_config() };
        let keeper = Keeper::new(&load, &tight(), Policy::default(), sandbox(), Metrics::default());
        keeper.load().await.unwrap();
        let (config, stop) = (config(&directory), CancellationToken::new());
        let listener = Listener::bind(&config).unwrap().unwrap();
        let levels = Levels::new("info").unwrap();
        let operated =
            Operated { keeper, metrics: Metrics::default(), levels, forwarding: None, journal: Recorder::default() };
        let task = tokio::spawn(serve(listener, operated, stop.clone()));
        Self { directory, config, stop, task }
    }

    fn socket(&self) -> PathBuf {
        self.config.socket.clone().unwrap()
    }

    async fn ask(&self, request: &ControlRequest) -> ControlAnswer {
        client::ask(&self.socket(), request, 6 * PATIENCE).await.unwrap()
    }

    async fn say(&self, text: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        stream.write_all(text).await.ok();
        let mut answer = String::new();
        // Whatever it did not want to read, it may answer by closing.
        stream.read_to_string(&mut answer).await.ok();
        answer
    }
}

#[tokio::test]
async fn an_operator_lists_adds_rolls_back_and_removes() {
    let story = Story::begin().await;
    let file = story.directory.path().join("a.wasm");
    fs::write(&file, answering("2")).unwrap();
    let add = ControlRequest::Add { file, name: None, force: false, gate: Default::default() };
    let ControlAnswer::Changed(Changed::Replaced { generation, instead_of }) = story.ask(&add).await else {
        panic!("not replaced")
    };
    assert_eq!(story.ask(&add).await, ControlAnswer::Changed(Changed::Unchanged { generation }));
    let ControlAnswer::Handlers(Handlers { handlers, .. }) = story.ask(&ControlRequest::List {}).await else {
        panic!("no list")
    };
    assert_eq!(handlers[0].serving.as_ref().unwrap().generation, generation);
    let rollback = ControlRequest::Rollback { name: "a".into() };
    let expected =
        ControlAnswer::Changed(Changed::RolledBack { generation: instead_of, instead_of: generation, directory: None });
    assert_eq!(story.ask(&rollback).await, expected);
    assert!(matches!(story.ask(&rollback).await, ControlAnswer::Failed { kind: Kind::Unknown, .. }));
    assert_eq!(story.ask(&ControlRequest::Remove { name: "a".into() }).await, ControlAnswer::Changed(Changed::Removed));
    assert!(matches!(story.ask(&rollback).await, ControlAnswer::Failed { kind: Kind::Unknown, .. }));
}

#[tokio::test]
async fn nonsense_is_answered_and_disturbs_nobody() {
    let story = Story::begin().await;
    for nonsense in
        [&b"\n"[..], b"{}\n", b"{\"command\": \"drop\"}\n", b"{\"command\": \"list\", \"x\": 1}\n", b"\xff\xfe\n"]
    {
        let answer = story.say(nonsense).await;
        assert!(answer.starts_with(r#"{"answer":"failed","kind":"request""#), "{answer}");
    }
    story.say(&vec![b' '; 1 << 20]).await;
    assert!(matches!(story.ask(&ControlRequest::List {}).await, ControlAnswer::Handlers(_)));
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_not_waited_for() {
    let story = Story::begin().await;
    // As many as are heard at once.
    let mut silent = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        silent.push(UnixStream::connect(story.socket()).await.unwrap());
    }
    assert!(matches!(story.ask(&ControlRequest::List {}).await, ControlAnswer::Handlers(_)));
}

#[tokio::test]
async fn the_socket_is_for_its_user_alone_and_goes_with_the_host() {
    let story = Story::begin().await;
    assert_eq!(fs::metadata(story.socket()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!crate::local::is_trusted(u32::MAX - 1));
    story.stop.cancel();
    story.task.await.unwrap();
    assert!(!story.config.socket.unwrap().exists());
}

#[tokio::test]
async fn the_socket_of_a_host_that_lives_is_not_taken_and_that_of_a_dead_one_is() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory);
    let first = Listener::bind(&config).unwrap().unwrap();
    assert!(matches!(Listener::bind(&config), Err(Error::Taken(_))));
    drop(first);
    // A host that was killed leaves its socket behind.
    drop(std::os::unix::net::UnixListener::bind(directory.path().join("control.sock")).unwrap());
    let second = Listener::bind(&config).unwrap().unwrap();
    assert!(UnixStream::connect(second.path()).await.is_ok());
}

#[tokio::test]
async fn what_is_no_socket_is_not_taken_away() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("control.sock"), "precious").unwrap();
    assert!(matches!(Listener::bind(&config(&directory)), Err(Error::Io { .. })));
    assert_eq!(fs::read(directory.path().join("control.sock")).unwrap(), b"precious");
}

#[tokio::test]
async fn the_place_that_nobody_chose_must_be_private() {
    let directory = tempfile::tempdir().unwrap();
    let open = directory.path().join("open");
    let unchosen = |name: &str| Config { socket: Some(open.join(name).join("control.sock")), chosen: false };
    fs::create_dir(&open).unwrap();
    let made = Listener::bind(&unchosen("made")).unwrap().unwrap();
    assert_eq!(fs::metadata(made.path().parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    fs::create_dir(open.join("others")).unwrap();
    fs::set_permissions(open.join("others"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(Listener::bind(&unchosen("others")), Err(Error::Untrusted { .. })));
}
