//! Versions whose runs are compared: which requests they see, and what keeps one from beginning.

use super::*;
use crate::{
    envelope::Request,
    shadow::{Policy, Wanted, policy::Wishes},
};

impl Story {
    async fn shadow(&self, wasm: &[u8], share: &str) -> Result<Change, Error> {
        let elsewhere = tempfile::tempdir().unwrap();
        let file = elsewhere.path().join("a.wasm");
        fs::write(&file, wasm).unwrap();
        let wishes = Wishes { share: Some(share.to_owned()), ..Wishes::default() };
        self.keeper.shadow(&file, None, false, Policy::read(&wishes).unwrap()).await
    }

    /// Whether a request is to be compared.
    fn wanted(&self, number: u32) -> Option<Wanted> {
        let text = format!(r#"{{"method": "m", "_context_request_id": "req-{number}"}}"#);
        let request = Request::decode(text.as_bytes(), Some("application/json"), None).unwrap();
        let current = self.keeper.current();
        let Ok(Found::Handler { generation, .. }) = current.get().find(None, "1.0", Some("m")) else { panic!() };
        current.shadow(&generation, &request, ("1.0", "m"))
    }
}

#[tokio::test]
async fn a_shadow_sees_its_share_always_the_same_requests_and_none_of_another_generation() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    let (beside, generation) = match story.shadow(&answering("2"), "10%").await.unwrap() {
        Change::Shadowed { generation, beside } => (beside, generation),
        other => panic!("{other:?}"),
    };
    assert_eq!(story.serving("a").unwrap().number, beside);
    assert!(generation > beside);
    let share = || (0..1_000).filter(|number| story.wanted(*number).is_some()).collect::<Vec<u32>>();
    let first = share();
    assert!((60..140).contains(&first.len()), "{}", first.len());
    assert_eq!(share(), first);
    assert!(story.keeper.judge().is_empty());
    story.add("a", &answering("3"), false).await.unwrap();
    assert!(share().is_empty() && story.keeper.current.shadows.get().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_that_is_still_compiled_is_aborted_or_overtaken_and_hinders_no_rollback() {
    let story = Arc::new(Story::begin(&[("a.wasm", &answering("1"))]).await);
    story.add("a", &answering("2"), false).await.unwrap();
    for ends in [
        (|keeper: &Keeper| keeper.abort("a").map(drop)) as fn(&Keeper) -> Result<(), Error>,
        |keeper: &Keeper| keeper.rollback("a").map(drop),
        |keeper: &Keeper| keeper.remove("a"),
    ] {
        let beginning = tokio::spawn({
            let story = Arc::clone(&story);
            async move { story.shadow(&slow("3"), "50%").await }
        });
        while story.keeper.lock().trying.is_none() {
            tokio::task::yield_now().await;
        }
        ends(&story.keeper).unwrap();
        let ended = beginning.await.unwrap();
        assert!(ended.is_err() && story.keeper.current.shadows.get().is_empty(), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_aborts_a_shadow_that_is_still_compiled_can_begin_another_at_once() {
    let story = Arc::new(Story::begin(&[("a.wasm", &answering("1"))]).await);
    let begin = |wasm: Vec<u8>| {
        let story = Arc::clone(&story);
        tokio::spawn(async move { story.shadow(&wasm, "50%").await })
    };
    let first = begin(slow("2"));
    while story.keeper.lock().trying.is_none() {
        tokio::task::yield_now().await;
    }
    story.keeper.abort("a").unwrap();
    let second = begin(answering("3"));
    assert!(matches!(first.await.unwrap(), Err(Error::Overtaken)));
    assert!(matches!(second.await.unwrap(), Ok(Change::Shadowed { .. })));
}
