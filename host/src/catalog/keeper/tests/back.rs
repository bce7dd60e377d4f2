//! What is taken back: rollbacks and removals.

use super::*;

#[tokio::test]
async fn rollback_goes_back_at_once_and_the_directory_with_it() {
    let story = Story::begin(&[("a.wasm", &answering("1")), ("a.toml", b"[limits]\ntimeout = \"9s\"")]).await;
    let first = fs::read(story.directory.path().join("a.wasm")).unwrap();
    story.add("a", &answering("2"), false).await.unwrap();
    let second = story.weak("a");
    assert_eq!(story.restarted().await.answer().await, "2");
    let back = story.keeper.rollback("a").unwrap();
    assert_eq!((back.directory, story.answer().await), (None, "1".to_owned()));
    assert!(second.upgrade().is_none());
    assert_eq!(fs::read(story.directory.path().join("a.wasm")).unwrap(), first);
    assert_eq!(story.files(), ["a.toml", "a.wasm"]);
    assert_eq!(story.restarted().await.answer().await, "1");
    let error = story.keeper.rollback("a").unwrap_err();
    assert!(matches!(error, Error::NothingEarlier { .. }), "{error}");
    assert_eq!(story.answer().await, "1");
}

/// It has read files that a rollback, or a promotion that came too late, was about to replace.
#[tokio::test]
async fn what_begins_to_be_tried_before_the_directory_has_followed_is_overtaken() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    story.add("a", &answering("2"), false).await.unwrap();
    let switched = story.keeper.switch_back(&mut story.keeper.lock(), "a").unwrap();
    story.keeper.lock().trying = Some("a".to_owned());
    story.keeper.follow("a", &switched);
    assert_eq!(story.keeper.lock().trying, None);
    story.keeper.lock().trying = Some("a".to_owned());
    story.keeper.put_back("a");
    assert_eq!(story.keeper.lock().trying, None);
}

#[tokio::test]
async fn two_versions_are_kept_and_no_more() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    let first = story.weak("a");
    for version in ["2", "3", "4"] {
        assert!(first.upgrade().is_some(), "{version}");
        story.add("a", &answering(version), false).await.unwrap();
    }
    assert!(first.upgrade().is_none());
    story.keeper.rollback("a").unwrap();
    story.keeper.rollback("a").unwrap();
    assert_eq!(story.answer().await, "2");
    assert!(story.keeper.rollback("a").is_err());
}

#[tokio::test]
async fn a_rollback_leaves_a_newer_file_alone_and_replaces_a_refused_one() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    story.add("a", &answering("2"), false).await.unwrap();
    let path = story.directory.path().join("a.wasm");
    fs::write(&path, "not yet tried").unwrap();
    let back = story.keeper.rollback("a").unwrap();
    assert!(back.directory.is_some_and(|reason| reason.contains("newer")));
    assert_eq!((story.answer().await, fs::read(&path).unwrap()), ("1".to_owned(), b"not yet tried".to_vec()));

    story.offer("a", answering("3")).await.unwrap();
    story.offer("a", b"refused".to_vec()).await.unwrap_err();
    fs::write(&path, "refused").unwrap();
    assert_eq!(story.keeper.rollback("a").unwrap().directory, None);
    assert_eq!(fs::read(&path).unwrap(), answering("1"));
}

#[tokio::test]
async fn what_was_rolled_back_does_not_come_back_where_the_directory_could_not_be_changed() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    story.add("a", &answering("2"), false).await.unwrap();
    fs::remove_dir_all(story.directory.path()).unwrap();
    let back = story.keeper.rollback("a").unwrap();
    assert!(back.directory.is_some_and(|reason| reason.contains("cannot write")));
    assert!(matches!(story.offer("a", answering("2")).await, Err(Error::Unwanted)));
    assert_eq!(story.answer().await, "1");
    fs::create_dir(story.directory.path()).unwrap();
    story.add("a", &answering("2"), false).await.unwrap();
    assert_eq!(story.answer().await, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_overtakes_a_version_that_is_being_tried() {
    let story = Arc::new(Story::begin(&[("a.wasm", &answering("1"))]).await);
    story.add("a", &answering("2"), false).await.unwrap();
    let slow = slow("3");
    let trying = tokio::spawn({
        let story = Arc::clone(&story);
        async move { story.offer("a", slow).await }
    });
    while story.keeper.lock().trying.is_none() {
        tokio::task::yield_now().await;
    }
    story.keeper.rollback("a").unwrap();
    let overtaken = trying.await.unwrap();
    assert!(matches!(overtaken, Err(Error::Overtaken | Error::Refused(load::Error::Component(_)))), "{overtaken:?}");
    assert_eq!(story.answer().await, "1");
}

#[tokio::test]
async fn a_removed_handler_is_gone_from_service_directory_and_memory() {
    let story = Story::begin(&[("a.wasm", &answering("1")), ("a.toml", b"")]).await;
    story.add("a", &answering("2"), false).await.unwrap();
    let weak = story.weak("a");
    story.keeper.remove("a").unwrap();
    assert_eq!(story.call("1.0", "m").await, Err(Miss::UnsupportedVersion));
    assert!(story.files().is_empty() && weak.upgrade().is_none() && story.keeper.list().is_empty());
    let error = story.keeper.remove("../a").unwrap_err().to_string();
    assert_eq!(error, "no handler ../a; there are: none");
}

#[tokio::test]
async fn a_handler_whose_file_is_gone_goes_unless_it_is_back() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    story.keeper.gone("a");
    assert_eq!(story.answer().await, "1");
    fs::remove_file(story.directory.path().join("a.wasm")).unwrap();
    story.keeper.gone("a");
    assert_eq!(story.call("1.0", "m").await, Err(Miss::UnsupportedVersion));
}

#[tokio::test]
async fn a_rollback_holds_until_the_files_change_after_it() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    story.add("a", &answering("2"), false).await.unwrap();
    // Edited just before, and not looked at yet.
    let manifest = story.directory.path().join("a.toml");
    let (path, edited) = (story.directory.path().join("a.wasm"), "[limits]\ntimeout = \"9s\"");
    fs::write(&manifest, edited).unwrap();
    let back = story.keeper.rollback("a").unwrap();
    assert!(back.directory.is_some_and(|reason| reason.contains("newer")));
    let look = || {
        let path = path.clone();
        async { story.keeper.offer("a", move || Ok(load::read(&path)?), Origin::Watched).await }
    };
    for _ in 0..2 {
        assert!(matches!(look().await, Err(Error::Unwanted)));
        assert_eq!(story.answer().await, "1");
    }
    assert_eq!(fs::read_to_string(&manifest).unwrap(), edited);
    // Edited after it.
    fs::write(&manifest, "[limits]\ntimeout = \"8s\"").unwrap();
    look().await.unwrap();
    assert_eq!(story.answer().await, "2");
    // And what was there at a rollback that is long over is as good as any other.
    fs::write(&manifest, edited).unwrap();
    look().await.unwrap();
    assert_eq!(story.serving("a").unwrap().program.limits().timeout, Duration::from_secs(9));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_holds_against_what_is_being_tried_and_tried_again() {
    let story = Arc::new(Story::begin(&[("a.wasm", &answering("1"))]).await);
    story.add("a", &answering("2"), false).await.unwrap();
    let path = story.directory.path().join("a.wasm");
    fs::write(&path, slow("3")).unwrap();
    let trying = tokio::spawn({
        let (story, path) = (Arc::clone(&story), path.clone());
        async move { story.keeper.offer("a", move || Ok(load::read(&path)?), Origin::Watched).await }
    });
    while story.keeper.lock().trying.is_none() {
        tokio::task::yield_now().await;
    }
    story.keeper.rollback("a").unwrap();
    trying.await.unwrap().unwrap_err();
    // The watch tries again what was overtaken.
    let again = story.keeper.offer("a", move || Ok(load::read(&path)?), Origin::Watched).await;
    assert!(matches!(again, Err(Error::Unwanted)), "{again:?}");
    assert_eq!(story.answer().await, "1");
}
