//! Stories of what could not be handled, and where it ends.

use super::*;
use crate::transport::{ATTEMPTS, EXCHANGE, Header, Headers, ROUTING_KEY};

/// `handle` that fails: its result is nonsense.
const NONSENSE: &str = "(i32.const 1)";

fn dead() -> Destination {
    Destination::Exchange { exchange: "dead".into(), routing_key: "t".into() }
}

fn config(routing_key: Option<&str>) -> Config {
    let to = DeadLetters { exchange: "dead".into(), routing_key: routing_key.map(str::to_owned) };
    Config { max_in_flight: 1, max_attempts: 3, dead_letters: Some(to), ..Config::default() }
}

/// A service whose dead letters end in the queue `letters`.
async fn service(handle: &str) -> Service {
    let broker = Broker::default();
    broker.declare(dead(), "letters");
    Service::on(broker, catalog(handle, tight()), config(None)).await
}

async fn letter(broker: &Broker) -> Message {
    loop {
        if let Some(letter) = broker.take("letters") {
            return letter;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn text<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    match headers.get(name)? {
        Header::Text(text) => Some(text),
        Header::Number(_) => None,
    }
}

#[tokio::test]
async fn a_cast_that_did_not_end_well_is_a_dead_letter_that_says_why() {
    for (handle, body, outcome, error) in [
        ("(unreachable)", json!({"method": "m"}), "trapped", "nova_host.errors.HandlerTrapped: the handler trapped"),
        (LOOP, json!({"method": "m"}), "timed_out", "nova_host.errors.HandlerTimedOut: the handler did not finish"),
        (NONSENSE, json!({"method": "m"}), "invalid_result", "nova_host.errors.InvalidResult: "),
        (
            ECHO,
            json!({"method": "nope", "namespace": null}),
            "refused",
            "oslo_messaging.rpc.dispatcher.NoSuchMethod: Endpoint does not support RPC method nope",
        ),
        (
            ECHO,
            json!({"method": "m", "namespace": "n", "version": "1.7", "_context_auth_token": "secret"}),
            "refused",
            "oslo_messaging.rpc.dispatcher.UnsupportedVersion: Endpoint does not support RPC version 1.7",
        ),
    ] {
        let service = service(handle).await;
        let mut cast = message(body.clone());
        cast.compression = None;
        cast.headers.insert("kept".to_owned(), Header::Number(1));
        cast.expiration = Some(Duration::from_secs(60));
        service.broker.inject(&topic(), &cast);
        let letter = letter(&service.broker).await;
        service.idle().await;
        assert_eq!((&letter.body, &letter.content_type), (&cast.body, &cast.content_type));
        assert_eq!((letter.headers.get("kept"), letter.expiration), (Some(&Header::Number(1)), None));
        let headers = &letter.headers;
        assert_eq!(text(headers, "x-dead-outcome"), Some(outcome));
        assert!(text(headers, "x-dead-error").unwrap().starts_with(error), "{headers:?}");
        assert_eq!(headers.get("x-dead-attempts"), Some(&Header::Number(1)));
        assert_eq!(text(headers, "x-dead-method"), body["method"].as_str());
        assert_eq!(text(headers, "x-dead-namespace"), body["namespace"].as_str());
        assert_eq!(text(headers, "x-dead-version"), body["version"].as_str());
        assert_eq!(text(headers, "x-dead-queue"), Some("t"));
        assert_eq!(text(headers, "x-dead-handler"), Some("guest").filter(|_| outcome != "refused"));
        assert!(text(headers, "x-dead-time").unwrap().ends_with('Z'), "{headers:?}");
        assert!(!format!("{headers:?}").contains("secret"), "{headers:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_decoded_is_a_dead_letter() {
    let service = service(ECHO).await;
    let odd =
        Message { body: b"\xff\x00".to_vec().into(), content_type: Some("text/plain".into()), ..Message::default() };
    service.broker.inject(&topic(), &odd);
    let letter = letter(&service.broker).await;
    assert_eq!((letter.body, letter.content_type), (odd.body, odd.content_type));
    assert_eq!(text(&letter.headers, "x-dead-outcome"), Some("undecodable"));
    assert_eq!(text(&letter.headers, "x-dead-method"), None);
    service.idle().await;
}

#[tokio::test]
async fn what_ends_well_or_has_a_caller_is_no_dead_letter() {
    let service = service(ECHO).await;
    service.client.cast(invocation("m"), LONG).await.unwrap();
    service.call("nope").await.unwrap_err();
    service.idle().await;
    assert_eq!(service.broker.waiting("letters"), Some(0));
}

#[tokio::test]
async fn a_request_whose_attempts_ran_out_is_a_dead_letter_with_where_it_came_from() {
    let service = service(ECHO).await;
    let mut often = message(json!({"method": "m"}));
    for (name, value) in [
        (ATTEMPTS, Header::Number(3)),
        (EXCHANGE, Header::Text("nova".into())),
        (ROUTING_KEY, Header::Text("t".into())),
    ] {
        often.headers.insert(name.to_owned(), value);
    }
    service.broker.inject(&topic(), &often);
    let letter = letter(&service.broker).await;
    let headers = &letter.headers;
    assert_eq!(text(headers, "x-dead-outcome"), Some("exhausted"));
    assert_eq!(headers.get("x-dead-attempts"), Some(&Header::Number(3)));
    assert_eq!((text(headers, "x-dead-exchange"), text(headers, "x-dead-routing-key")), (Some("nova"), Some("t")));
    // Sent again by somebody, it starts anew.
    assert_eq!(headers.get(ATTEMPTS), None);
}

#[tokio::test]
async fn a_dead_letter_that_is_sent_again_is_handled_again() {
    let service = service("(unreachable)").await;
    service.broker.inject(&topic(), &message(json!({"method": "m", "_unique_id": "same"})));
    let first = letter(&service.broker).await;
    service.idle().await;
    service.broker.inject(&topic(), &Message { redelivered: false, ..first.clone() });
    let second = letter(&service.broker).await;
    assert_eq!(second.body, first.body);
    assert_ne!(text(&second.headers, "x-dead-time"), text(&first.headers, "x-dead-time"));
}

#[tokio::test]
async fn an_exchange_that_does_not_take_a_letter_holds_nobody_up() {
    // Nothing is bound to it.
    let service = Service::with(catalog("(unreachable)", tight()), config(Some("elsewhere"))).await;
    service.client.cast(invocation("m"), LONG).await.unwrap();
    service.call("m").await.unwrap_err();
    service.idle().await;
}

#[tokio::test]
async fn dead_letters_may_have_a_routing_key_of_their_own() {
    let broker = Broker::default();
    broker.declare(Destination::Exchange { exchange: "dead".into(), routing_key: "all".into() }, "letters");
    let service = Service::on(broker, catalog("(unreachable)", tight()), config(Some("all"))).await;
    service.client.cast(invocation("m"), LONG).await.unwrap();
    assert_eq!(text(&letter(&service.broker).await.headers, "x-dead-routing-key"), Some("t"));
}
