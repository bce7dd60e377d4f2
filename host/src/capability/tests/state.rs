//! State of handlers, from the session's side: what is held, and what is not.

use super::*;
use crate::capability::keyvalue::Error as Trouble;

const KEEPS: &str = "grants.keyvalue = true";

fn some(text: &str) -> Option<Vec<u8>> {
    Some(text.into())
}

async fn set(session: &Session, key: &str, text: &str) -> Result<(), Trouble> {
    session.set(key.to_owned(), Some((text.into(), None))).await
}

#[tokio::test]
async fn a_write_is_seen_by_its_request_and_by_others_when_it_is_released() {
    let world = World::new().await;
    let (one, other) = (world.session(KEEPS, cause()), world.session(KEEPS, cause()));
    set(&one, "k", "1").await.unwrap();
    assert_eq!((one.get("k").await, other.get("k").await), (Ok(some("1")), Ok(None)));
    assert_eq!(one.increment("k", 1).await, Err(Trouble::Held));
    assert_eq!(one.swap("k", None, None).await, Err(Trouble::Held));
    one.release().await.unwrap();
    assert_eq!(other.get("k").await, Ok(some("1")));
    other.set("k".to_owned(), None).await.unwrap();
    assert_eq!(other.get("k").await, Ok(None));
    drop(other);
    assert_eq!(one.get("k").await, Ok(some("1")), "nothing of a request that did not succeed");
    assert!(world.has_counted(r#"nova_host_effects_total{handler="h",fate="discarded"} 1"#));
    assert!(world.has_counted(r#"nova_host_effects_total{handler="h",fate="released"} 1"#));
}

#[tokio::test]
async fn increments_and_swaps_happen_at_once_and_so_do_immediate_writes() {
    let world = World::new().await;
    let dropped = world.session(KEEPS, cause());
    assert_eq!(dropped.increment("n", 2).await, Ok(2));
    assert_eq!(dropped.swap("owner", None, some("me")).await, Ok(true));
    drop(dropped);
    let immediate = world.session(&format!("{KEEPS}\ndelivery.effects = \"immediate\""), cause());
    assert_eq!(immediate.get("n").await, Ok(some("2")));
    set(&immediate, "k", "1").await.unwrap();
    drop(immediate);
    let next = world.session(KEEPS, cause());
    assert_eq!(next.keys(None).await.unwrap().keys, ["k", "n", "owner"]);
}

#[tokio::test]
async fn state_that_is_too_much_keeps_casts_from_being_sent() {
    let mut world = World::new().await;
    let session = world.session(&format!("{KEEPS}\nlimits.keyvalue = \"150 B\""), cause());
    assert_eq!(set(&session, "k", &"x".repeat(30)).await, Err(Trouble::Quota(150)));
    // In place of itself it is counted once.
    for text in ["01234567890123456789", "0123456789", "0123456789", "0123456789"] {
        set(&session, "k", text).await.unwrap();
    }
    assert_eq!(set(&session, "l", "0123456789012345678").await, Err(Trouble::Quota(150)));
    session.release().await.unwrap();
    // By itself it would fit.
    set(&session, "l", "0123456789012345678").await.unwrap();
    session.cast(asks("m", json!({})), false).await.unwrap();
    let unreleased = session.release().await.unwrap_err();
    assert_eq!((unreleased.released, unreleased.all), (0, 2));
    assert!(unreleased.reason.contains("limits.keyvalue"), "{unreleased}");
    assert!(world.is_silent().await);
    assert_eq!(session.get("l").await, Ok(None));
    assert!(world.has_counted(r#"nova_host_limit_hits_total{handler="h",limit="keyvalue"} 3"#));
}

/// Attacks the host's memory: what takes a key away is held as well, and has no value that would count.
#[tokio::test]
async fn deletes_that_are_held_count_as_what_they_take() {
    let world = World::new().await;
    let session = world.session(&format!("{KEEPS}\nlimits.keyvalue = \"1 KiB\""), cause());
    let mut held = 0;
    while session.set(format!("{held}"), None).await.is_ok() {
        held += 1;
        assert!(held < 100);
    }
    assert_eq!(session.set("more".to_owned(), None).await, Err(Trouble::Quota(1024)));
}

#[tokio::test]
async fn keys_have_a_length_and_state_a_grant() {
    let world = World::new().await;
    let session = world.session(KEEPS, cause());
    for key in [String::new(), "k".repeat(256)] {
        assert_eq!(set(&session, &key, "").await, Err(Trouble::Key));
        assert_eq!(session.get(&key).await, Err(Trouble::Key));
        assert_eq!(session.increment(&key, 1).await, Err(Trouble::Key));
        assert_eq!(session.swap(&key, None, None).await, Err(Trouble::Key));
    }
    let without = world.session("", cause());
    assert!(!without.keeps());
    assert_eq!(without.get("k").await, Err(Trouble::Broken));
    assert_eq!(set(&without, "k", "v").await, Err(Trouble::Broken));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_waited_for_as_long_as_a_release_may_take() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("keyvalue.url = \"redis://{}\"", silent.local_addr().unwrap());
    let world = World::with(&url).await;
    let session = world.session(KEEPS, Cause { release: Duration::from_secs(2), ..cause() });
    set(&session, "k", "v").await.unwrap();
    let started = Instant::now();
    let unreleased = session.release().await.unwrap_err();
    assert_eq!((unreleased.released, unreleased.all), (0, 1));
    assert_eq!(unreleased.reason, "the store does not work");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert!(world.has_counted(r#"nova_host_effects_total{handler="h",fate="failed"} 1"#));
}
