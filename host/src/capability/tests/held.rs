//! Casts that are held until the handler has succeeded, and those that are not.

use super::*;

fn metric(fate: &str, count: usize) -> String {
    format!("nova_host_effects_total{{handler=\"h\",fate=\"{fate}\"}} {count}")
}

#[tokio::test]
async fn casts_are_sent_in_order_when_they_are_released_and_not_before() {
    let mut world = World::new().await;
    let session = world.session("", cause());
    for n in 0..3 {
        session.cast(asks("m", json!({"n": n})), false).await.unwrap();
    }
    assert!(world.is_silent().await);
    session.release().await.unwrap();
    for n in 0..3 {
        let asked = world.asked().await;
        assert_eq!(asked["args"]["n"], n);
        assert_eq!(asked["_context_user_id"], "u");
        assert_eq!(asked.get("_msg_id"), None);
    }
    // Once is enough.
    session.release().await.unwrap();
    assert!(world.is_silent().await);
    assert!(world.has_counted(&metric("released", 3)));
}

#[tokio::test]
async fn a_session_that_is_dropped_leaves_nothing_behind() {
    let mut world = World::new().await;
    let session = world.session("", cause());
    session.cast(asks("m", json!({})), false).await.unwrap();
    session.cast(asks("m", json!({})), true).await.unwrap();
    drop(session);
    assert!(world.is_silent().await);
    assert!(world.has_counted(&metric("discarded", 2)));
}

#[tokio::test]
async fn a_fanout_reaches_every_server_and_nobody_is_no_error() {
    let mut world = World::new().await;
    let session = world.session("delivery.effects = \"immediate\"", cause());
    session.cast(asks("m", json!({"all": true})), true).await.unwrap();
    assert_eq!(world.asked().await["args"]["all"], true);
    let recipient = Recipient { topic: "u".into(), ..Recipient::default() };
    session.cast(Outgoing { recipient, ..asks("m", json!({})) }, true).await.unwrap();
}

#[tokio::test]
async fn immediate_casts_are_sent_at_once_and_say_who_is_not_there() {
    let mut world = World::new().await;
    let session = world.session("delivery.effects = \"immediate\"", cause());
    session.cast(asks("m", json!({"n": 1})), false).await.unwrap();
    assert_eq!(world.asked().await["args"]["n"], 1);
    let recipient = Recipient { topic: "u".into(), ..Recipient::default() };
    let cast = session.cast(Outgoing { recipient, ..asks("m", json!({})) }, false).await;
    assert!(matches!(cast, Err(Error::Unavailable(_))), "{cast:?}");
    drop(session);
    assert!(!world.has_counted(&metric("discarded", 1)));
}

#[tokio::test]
async fn a_release_ends_where_nobody_takes_a_cast() {
    let mut world = World::new().await;
    let session = world.session("", cause());
    session.cast(asks("m", json!({"n": 1})), false).await.unwrap();
    let recipient = Recipient { server: Some("gone".into()), ..asks("m", json!({})).recipient };
    session.cast(Outgoing { recipient, ..asks("m", json!({})) }, false).await.unwrap();
    session.cast(asks("m", json!({"n": 3})), false).await.unwrap();
    let unreleased = session.release().await.unwrap_err();
    assert_eq!((unreleased.released, unreleased.all), (1, 3));
    assert!(
        unreleased.to_string().starts_with("the handler succeeded, but only 1 of its 3 effects were released: nobody")
    );
    assert_eq!(world.asked().await["args"]["n"], 1);
    assert!(world.is_silent().await);
    for fate in ["released", "failed", "discarded"] {
        assert!(world.has_counted(&metric(fate, 1)), "{fate}");
    }
}

#[tokio::test]
async fn a_request_that_runs_again_marks_its_casts_as_before() {
    let mut world = World::new().await;
    let mut marks = async |unique_id: Option<&str>, arguments: [Value; 2]| {
        let session = world.session("", Cause { unique_id: unique_id.map(Into::into), ..cause() });
        for arguments in arguments {
            session.cast(asks("m", arguments), false).await.unwrap();
        }
        session.release().await.unwrap();
        [world.asked().await["_unique_id"].clone(), world.asked().await["_unique_id"].clone()]
    };
    let first = marks(Some("cause"), [json!({"n": 1}), json!({"n": 1})]).await;
    assert_ne!(first[0], first[1], "two casts of one request are two");
    assert_eq!(first[0].as_str().unwrap().len(), 32);
    assert_eq!(marks(Some("cause"), [json!({"n": 1}), json!({"n": 1})]).await, first);
    let other = marks(Some("cause"), [json!({"n": 1}), json!({"n": 2})]).await;
    assert_eq!(other[0], first[0]);
    assert_ne!(other[1], first[1], "another cast is another");
    assert_ne!(marks(Some("another"), [json!({"n": 1}), json!({"n": 1})]).await[0], first[0]);
    let fresh = marks(None, [json!({"n": 1}), json!({"n": 1})]).await;
    assert_ne!(marks(None, [json!({"n": 1}), json!({"n": 1})]).await, fresh);
}
