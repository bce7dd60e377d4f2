//! The table "Starting: connect, declare, consume" of docs/refusals.md: which words end a start, and which are waited out.

use super::{
    client, consume, hasty,
    peer::{BIND, CONSUME, EXCHANGE, Method, OPEN, Peer, QUEUE, Say},
};
use crate::transport::{Error, rabbit::Client, url::Url};

/// What a start ends with at a peer that says this at a method, and yes to all else.
async fn start(method: Method, say: Say) -> Error {
    let peer = Peer::start(move |heard| if heard.method == method { vec![say] } else { vec![Say::Yes] });
    consume(&client(&peer, hasty())).await.map(|_| ()).expect_err("it does not start")
}

async fn assert_refused(method: Method, say: Say, advice: &str) {
    let error = start(method, say).await;
    let shown = error.to_string();
    assert!(matches!(error, Error::Refused { .. }) && shown.contains(advice), "{method:?} {say:?}: {shown}");
}

async fn assert_tried_again(method: Method, say: Say) {
    let error = start(method, say).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{method:?} {say:?}: {error}");
}

#[tokio::test]
async fn what_no_next_time_would_change_ends_a_start_and_what_to_do_is_said() {
    for (code, text, advice) in [
        (403, "ACCESS_REFUSED - Login was refused", "user and password"),
        (503, "COMMAND_INVALID", "rabbit_login_method"),
        (530, "NOT_ALLOWED - vhost nope not found", "virtual host"),
    ] {
        assert_refused(OPEN, Say::Connection(code, text), advice).await;
    }
    for method in [EXCHANGE, QUEUE, BIND, CONSUME] {
        for (code, text, advice) in [
            (403, "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'u'", "permission"),
            (405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q'", "end its owner"),
            (406, "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q'", "or delete it"),
            (406, "PRECONDITION_FAILED - invalid property", "cannot do"),
            (406, "PRECONDITION_FAILED - cannot declare queue 'q': queue limit in vhost 'V' (1) is reached", "raised"),
        ] {
            assert_refused(method, Say::Channel(code, text), advice).await;
        }
        for (code, text, advice) in [
            (503, "COMMAND_INVALID - unknown exchange type 'x-odd'", "cannot do"),
            (530, "NOT_ALLOWED - cannot redeclare", "does not allow"),
            (540, "NOT_IMPLEMENTED - exclusive", "cannot do"),
        ] {
            assert_refused(method, Say::Connection(code, text), advice).await;
        }
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_wherever_a_start_was() {
    for say in [
        Say::Connection(530, "NOT_ALLOWED - connection refused: node connection limit (1) is reached"),
        Say::Connection(540, "NOT_IMPLEMENTED"),
    ] {
        assert_tried_again(OPEN, say).await;
    }
    for method in [OPEN, EXCHANGE, QUEUE, BIND, CONSUME] {
        for (code, text) in [
            (320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"),
            (501, "FRAME_ERROR"),
            (502, "SYNTAX_ERROR"),
            (504, "CHANNEL_ERROR"),
            (505, "UNEXPECTED_FRAME"),
            (506, "RESOURCE_ERROR"),
            (541, "INTERNAL_ERROR"),
        ] {
            assert_tried_again(method, Say::Connection(code, text)).await;
        }
        assert_tried_again(method, Say::HangUp).await;
    }
    for method in [EXCHANGE, QUEUE, BIND, CONSUME] {
        for (code, text) in [
            (311, "CONTENT_TOO_LARGE"),
            (313, "NO_CONSUMERS"),
            (404, "NOT_FOUND - home node 'rabbit@a' of durable queue 'q' in vhost '/' is down or inaccessible"),
        ] {
            assert_tried_again(method, Say::Channel(code, text)).await;
        }
    }
}

#[tokio::test]
async fn of_two_brokers_one_refuses_and_the_other_serves() {
    let serving = Peer::start(|_| vec![Say::Yes]);
    for (code, text) in [
        (403, "ACCESS_REFUSED - Login was refused"),
        (530, "NOT_ALLOWED - access to vhost '/' refused for user 'u'"),
        (541, "INTERNAL_ERROR - access to vhost '/' refused for user 'u': vhost '/' is down"),
    ] {
        let refusing = Peer::start(move |heard| match heard.method {
            OPEN => vec![Say::Connection(code, text)],
            _ => vec![Say::Yes],
        });
        // Until it has been the first that was tried: each client has an order of its own.
        while refusing.connections() == 0 {
            let Ok(Url::Rabbit(address)) = Url::parse(&format!("rabbit://{},{}/", refusing.address, serving.address))
            else {
                panic!("it is a URL")
            };
            let started = super::serve(&Client::new(address, hasty())).await;
            assert!(started.is_ok(), "{code}: {started:?}");
        }
    }
}
