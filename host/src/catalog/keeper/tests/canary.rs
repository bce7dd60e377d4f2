//! Versions on trial: who gets which requests, and what ends a trial.

use std::collections::BTreeSet;

use tokio::time::{advance, pause};

use super::*;
use crate::{
    canary::{Policy, Watched, policy::Wishes},
    catalog::Chosen,
    envelope::Request,
    metrics::Ending,
};

const EVERY: Duration = Duration::from_secs(60);

/// A request that was given to a version.
struct Given {
    number: u32,
    generation: u64,
    watched: Option<Watched>,
}

impl Story {
    /// Begins a trial at these steps.
    async fn canary(&self, wasm: &[u8], steps: &str) -> Result<Change, Error> {
        let elsewhere = tempfile::tempdir().unwrap();
        let file = elsewhere.path().join("a.wasm");
        fs::write(&file, wasm).unwrap();
        let wishes = Wishes { steps: Some(steps.to_owned()), every: Some("60s".to_owned()), ..Wishes::default() };
        self.keeper.canary(&file, None, Terms::default(), Policy::read(&wishes).unwrap()).await
    }

    fn give(&self, number: u32) -> Given {
        let text = format!(r#"{{"method": "m", "_context_request_id": "req-{number}"}}"#);
        let request = Request::decode(text.as_bytes(), Some("application/json"), None).unwrap();
        let current = self.keeper.current();
        let Ok(Found::Handler { generation, endpoint }) = current.get().find(None, "1.0", Some("m")) else { panic!() };
        let Chosen { generation, watched, .. } = current.choose(generation, endpoint, &request, ("1.0", "m"));
        Given { number, generation: generation.number, watched }
    }

    /// Gives requests, ends them, and tells which a generation had.
    fn play(&self, number: u32, generation: u64, ending: Ending) -> BTreeSet<u32> {
        let mut had = BTreeSet::new();
        for Given { number, generation: by, watched } in (0..number).map(|number| self.give(number)) {
            let is_its = by == generation;
            had.extend(is_its.then_some(number));
            let ending = if is_its { ending } else { Ending::Replied };
            if let Some(watched) = watched {
                watched.end(ending, None, Duration::from_millis(2));
            }
        }
        had
    }

    /// Has a step pass in which all went well. From then on time stands still.
    async fn due(&self, new: u64) -> Vec<Due> {
        pause();
        self.play(1_000, new, Ending::Replied);
        advance(EVERY).await;
        self.keeper.judge()
    }

    fn canary_of(&self) -> serde_json::Value {
        let list = self.keeper.list();
        serde_json::to_value(&list.iter().find(|state| state.name == "a").unwrap().canary).unwrap()
    }
}

/// The number of a generation that is on trial.
fn on_trial(change: Result<Change, Error>) -> u64 {
    match change.unwrap() {
        Change::OnTrial { generation, beside } if beside < generation => generation,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_version_gets_more_from_step_to_step_and_then_all() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    let new = on_trial(story.canary(&answering("2"), "10%,50%").await);
    pause();
    let tenth = story.play(1_000, new, Ending::Replied);
    assert!((60..140).contains(&tenth.len()), "{}", tenth.len());
    assert_eq!(story.play(1_000, new, Ending::Replied), tenth, "the same requests again");
    assert_eq!(story.keeper.judge(), []);
    assert_eq!(story.canary_of()["step"], 1, "its time has not come");
    advance(EVERY).await;
    assert_eq!(story.keeper.judge(), []);
    assert_eq!((&story.canary_of()["step"], &story.canary_of()["share"]), (&2.into(), &"50%".into()));
    advance(EVERY).await;
    assert_eq!(story.keeper.judge(), [], "nothing has been asked in this step");
    let half = story.play(1_000, new, Ending::Replied);
    assert!((440..560).contains(&half.len()) && half.is_superset(&tenth), "{}", half.len());
    assert_eq!(story.files(), ["a.wasm"]);
    let due = story.keeper.judge();
    assert_eq!(due.len(), 1);
    assert_eq!(story.keeper.judge(), [], "it is being put into force");
    story.keeper.promote_due(&due[0]);
    assert_eq!(story.serving("a").unwrap().number, new);
    assert_eq!(story.canary_of()["stage"], "promoted");
    assert_eq!(fs::read(story.directory.path().join("a.wasm")).unwrap(), answering("2"));
    assert_eq!((story.play(100, new, Ending::Replied).len(), story.give(0).watched.is_some()), (100, false));
    // It is as any version that has come into force.
    assert_eq!(story.keeper.rollback("a").unwrap().instead_of, new);
}

#[tokio::test]
async fn a_version_that_does_worse_has_no_requests_any_more_and_leaves_nothing_behind() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    let new = on_trial(story.canary(&answering("2"), "10%").await);
    assert!(!story.play(1_000, new, Ending::Trapped).is_empty());
    assert_eq!(story.keeper.judge(), []);
    assert!(story.play(1_000, new, Ending::Replied).is_empty());
    let canary = story.canary_of();
    assert_eq!(canary["stage"], "rolled-back");
    assert!(canary["why"].as_str().unwrap().starts_with("m: "), "{canary}");
    assert!(canary["why"].as_str().unwrap().contains("failed with trapped (100.00%), and 0 of"), "{canary}");
    let metrics = story.keeper.metrics.encode();
    assert!(metrics.contains(r#"canary_verdicts_total{handler="a",verdict="rolled_back"} 1"#), "{metrics}");
    assert!(!metrics.contains("nova_host_canary_share{"), "{metrics}");
    assert_eq!(story.restarted().await.answer().await, "1");
    // Another may be tried at once.
    on_trial(story.canary(&answering("3"), "10%").await);
}

#[tokio::test]
async fn a_trial_ends_with_whatever_else_comes_into_force_and_not_by_accident() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    let old = story.serving("a").unwrap().number;
    let new = on_trial(story.canary(&answering("2"), "50%").await);
    // What an operator might overlook is refused.
    assert!(matches!(story.canary(&answering("3"), "50%").await, Err(Error::OnTrial { .. })));
    assert!(matches!(story.add("a", &answering("3"), true).await, Err(Error::OnTrial { .. })));
    assert_eq!((story.refusal("a"), &story.canary_of()["stage"]), (None, &"running".into()));
    story.keeper.abort("a").unwrap();
    assert!(old < new && story.play(100, new, Ending::Replied).is_empty());
    assert_eq!((&story.canary_of()["stage"], story.answer().await), (&"rolled-back".into(), "1".to_owned()));
    // A file that has changed is somebody's wish.
    let new = on_trial(story.canary(&answering("4"), "50%").await);
    story.offer("a", answering("5")).await.unwrap();
    assert_eq!((&story.canary_of()["stage"], story.answer().await), (&"overtaken".into(), "5".to_owned()));
    assert!(story.play(100, new, Ending::Replied).is_empty());
    // Another handler's exchange has nothing to do with it.
    let new = on_trial(story.canary(&answering("6"), "50%").await);
    story.offer("b", answering_with("b", METHOD_N)).await.unwrap();
    assert!(!story.play(100, new, Ending::Replied).is_empty());
    story.keeper.remove("a").unwrap();
    assert!(story.keeper.current.candidates.get().is_empty());
    assert!(matches!(story.keeper.promote("a", false), Err(Error::Unknown { .. })));
}

#[tokio::test]
async fn an_operator_pauses_resumes_and_promotes() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    for nothing in [story.keeper.pause("a"), story.keeper.resume("a"), story.keeper.promote("a", false).map(drop)] {
        assert!(matches!(nothing, Err(Error::NoTrial { .. })));
    }
    let new = on_trial(story.canary(&answering("2"), "50%,60%").await);
    pause();
    story.play(1_000, new, Ending::Replied);
    story.keeper.pause("a").unwrap();
    advance(2 * EVERY).await;
    story.keeper.judge();
    assert_eq!((&story.canary_of()["stage"], &story.canary_of()["step"]), (&"paused".into(), &1.into()));
    story.keeper.resume("a").unwrap();
    story.keeper.judge();
    assert_eq!(story.canary_of()["step"], 1, "its step has its whole time again");
    advance(EVERY).await;
    story.keeper.judge();
    assert_eq!(story.canary_of()["step"], 2);
    story.keeper.pause("a").unwrap();
    assert!(
        matches!(story.keeper.promote("a", false).unwrap(), Change::Replaced { generation, .. } if generation == new)
    );
    assert_eq!(story.serving("a").unwrap().number, new);
    // One that is paused still goes back.
    let new = on_trial(story.canary(&answering("3"), "50%").await);
    story.keeper.pause("a").unwrap();
    story.play(1_000, new, Ending::Trapped);
    story.keeper.judge();
    assert_eq!(story.canary_of()["stage"], "rolled-back");
}

#[tokio::test]
async fn what_could_not_serve_all_requests_is_not_tried_on_some() {
    let story = Story::begin(&[("a.wasm", &answering("1")), ("b.wasm", &answering_with("b", METHOD_N))]).await;
    story.answer().await;
    for (wasm, expected) in [
        (answering_with("2", VERSION_2), "drops m 1.0"),
        (answering_with("2", METHOD_N), "offers n 1.0, which b serves already"),
        (b"broken".to_vec(), "not WebAssembly"),
    ] {
        let error = story.canary(&wasm, "50%").await.unwrap_err().to_string();
        assert!(error.contains(expected) && story.refusal("a") == Some(error.clone()), "{error}");
    }
    assert!(matches!(story.canary(&answering("1"), "50%").await.unwrap(), Change::Unchanged { .. }));
    assert!(story.keeper.current.candidates.get().is_empty());
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("c.wasm"), answering("c")).unwrap();
    let policy = Policy::read(&Wishes::default()).unwrap();
    let nothing = story.keeper.canary(&elsewhere.path().join("c.wasm"), None, Terms::default(), policy).await;
    assert!(matches!(nothing, Err(Error::NothingBeside { .. })) && story.keeper.list().len() == 2);
}

#[tokio::test]
async fn a_method_that_the_new_version_lacks_is_answered_by_the_one_that_has_it() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    // Nobody has called it of late: it may go.
    let new = on_trial(story.canary(&answering_with("2", METHOD_N), "99.99%").await);
    assert!(story.play(100, new, Ending::Replied).is_empty());
    assert_eq!(story.call("1.0", "n").await, Err(Miss::NoSuchMethod), "what is new is there when it serves");
}

#[tokio::test]
async fn one_that_cannot_be_put_into_force_waits_for_an_operator() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    let new = on_trial(story.canary(&answering("2"), "50%").await);
    let due = story.due(new).await;
    fs::remove_dir_all(story.directory.path()).unwrap();
    story.keeper.promote_due(&due[0]);
    let canary = story.canary_of();
    assert!(canary["why"].as_str().unwrap().starts_with("it cannot serve all requests: cannot write to"), "{canary}");
    assert_eq!((&canary["stage"], story.serving("a").unwrap().number < new), (&"paused".into(), true));
}

#[tokio::test]
async fn a_rollback_never_ends_a_canary_by_accident_and_no_canary_is_mistaken_for_what_serves() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    story.add("a", &answering("2"), false).await.unwrap();
    let serving = story.serving("a").unwrap().number;
    on_trial(story.canary(&answering("3"), "50%").await);
    let refused = story.keeper.rollback("a").unwrap_err();
    assert!(matches!(refused, Error::OnTrial { .. }), "{refused}");
    assert_eq!((story.serving("a").unwrap().number, &story.canary_of()["stage"]), (serving, &"running".into()));
    story.keeper.abort("a").unwrap();
    assert_eq!(&story.canary_of()["stage"], "rolled-back");
    // Once more, and what serves is left alone.
    assert!(matches!(story.keeper.abort("a"), Err(Error::NothingTried { .. })));
    assert_eq!(story.serving("a").unwrap().number, serving);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_is_still_compiled_is_aborted_and_keeps_a_rollback_off() {
    let story = Arc::new(Story::begin(&[("a.wasm", &answering("1"))]).await);
    let beginning = tokio::spawn({
        let story = Arc::clone(&story);
        async move { story.canary(&slow("2"), "50%").await }
    });
    while story.keeper.lock().trying.is_none() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(story.keeper.rollback("a"), Err(Error::OnTrial { .. })));
    story.keeper.abort("a").unwrap();
    let ended = beginning.await.unwrap();
    assert!(ended.is_err() && story.keeper.current.candidates.get().is_empty(), "{ended:?}");
    assert!(matches!(story.keeper.abort("a"), Err(Error::NothingTried { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_aborts_a_canary_that_is_still_compiled_can_begin_another_at_once() {
    let story = Arc::new(Story::begin(&[("a.wasm", &answering("1"))]).await);
    let begin = |wasm: Vec<u8>| {
        let story = Arc::clone(&story);
        tokio::spawn(async move { story.canary(&wasm, "50%").await })
    };
    let first = begin(slow("2"));
    while story.keeper.lock().trying.is_none() {
        tokio::task::yield_now().await;
    }
    story.keeper.abort("a").unwrap();
    let second = begin(answering("3"));
    assert!(matches!(first.await.unwrap(), Err(Error::Overtaken)));
    on_trial(second.await.unwrap());
}

#[tokio::test]
async fn a_method_that_was_called_during_the_trial_may_be_dropped_by_force() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    let new = on_trial(story.canary(&answering_with("2", METHOD_N), "50%").await);
    story.answer().await;
    let refused = story.keeper.promote("a", false).unwrap_err().to_string();
    assert!(refused.contains("drops m 1.0") && refused.contains("say `--force`"), "{refused}");
    story.keeper.promote("a", true).unwrap();
    assert_eq!(story.serving("a").unwrap().number, new);
}

#[tokio::test]
async fn a_pause_holds_although_the_promotion_has_begun() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    let new = on_trial(story.canary(&answering("2"), "50%").await);
    let due = story.due(new).await;
    story.keeper.pause("a").unwrap();
    story.keeper.promote_due(&due[0]);
    let canary = story.canary_of();
    assert_eq!((&canary["stage"], &canary["why"]), (&"paused".into(), &"an operator has paused it".into()));
    assert_eq!(fs::read(story.directory.path().join("a.wasm")).unwrap(), answering("1"));
    // And it comes to its end when it goes on.
    story.keeper.resume("a").unwrap();
    advance(EVERY).await;
    let due = story.keeper.judge();
    story.keeper.promote_due(&due[0]);
    assert_eq!(story.serving("a").unwrap().number, new);
}

#[tokio::test]
async fn a_promotion_leaves_a_file_alone_that_somebody_has_put_into_the_directory() {
    let story = Story::begin(&[("a.wasm", &answering("1")), ("a.toml", b"")]).await;
    let path = story.directory.path().join("a.wasm");
    let new = on_trial(story.canary(&answering("2"), "50%").await);
    let due = story.due(new).await;
    fs::write(&path, answering("9")).unwrap();
    story.keeper.promote_due(&due[0]);
    let canary = story.canary_of();
    assert!(canary["why"].as_str().unwrap().contains("the directory has other files of a"), "{canary}");
    assert_eq!((&canary["stage"], story.serving("a").unwrap().number < new), (&"paused".into(), true));
    let refused = story.keeper.promote("a", false).unwrap_err().to_string();
    assert!(refused.contains("the directory has other files of a"), "{refused}");
    // A manifest is as good as a component, and a file that is gone is a wish too.
    fs::write(&path, answering("1")).unwrap();
    fs::write(path.with_extension("toml"), "[limits]\ntimeout = \"9s\"").unwrap();
    story.keeper.promote("a", false).unwrap_err();
    fs::write(path.with_extension("toml"), "").unwrap();
    fs::remove_file(&path).unwrap();
    story.keeper.promote("a", false).unwrap_err();
    assert!(!path.exists());
    // What was tried and refused is nobody's wish any more.
    fs::write(&path, "broken").unwrap();
    story
        .keeper
        .offer("a", || Ok(Source::new(b"broken".to_vec(), Some(String::new()))), Origin::Watched)
        .await
        .unwrap_err();
    story.keeper.promote("a", false).unwrap();
    assert_eq!(fs::read(&path).unwrap(), answering("2"));
}

#[tokio::test]
async fn promoting_what_has_just_come_into_force_changes_nothing_and_is_no_failure() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    let new = on_trial(story.canary(&answering("2"), "50%").await);
    story.keeper.promote("a", false).unwrap();
    assert!(matches!(story.keeper.promote("a", false).unwrap(), Change::Unchanged { generation } if generation == new));
    story.add("a", &answering("3"), false).await.unwrap();
    assert!(matches!(story.keeper.promote("a", false), Err(Error::NoTrial { .. })));
}

#[tokio::test]
async fn to_resume_what_is_not_paused_does_not_start_its_step_again() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    let new = on_trial(story.canary(&answering("2"), "50%,60%").await);
    pause();
    story.play(1_000, new, Ending::Replied);
    advance(EVERY).await;
    story.keeper.resume("a").unwrap();
    story.keeper.judge();
    assert_eq!(story.canary_of()["step"], 2);
}

#[tokio::test]
async fn a_fault_of_the_host_pauses_a_canary_and_says_so() {
    let story = Story::begin(&[("a.wasm", &answering("1"))]).await;
    on_trial(story.canary(&answering("2"), "50%").await);
    story.keeper.lock().shelves.get_mut("a").unwrap().trial.as_mut().unwrap().is_promoting = true;
    assert_eq!(story.keeper.unless_it_panics("a", || panic!("a fault")), None::<()>);
    let canary = story.canary_of();
    assert_eq!(
        (&canary["stage"], &canary["why"]),
        (&"paused".into(), &"the host itself failed while it judged it".into())
    );
    story.keeper.promote("a", false).unwrap();
}
