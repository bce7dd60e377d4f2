//! What one request may cost the host's memory at most, as docs/security.md has it: guests that use all their imports as far as
//! their limits allow, and then more.

use std::sync::Arc;

use super::{Outgoing, Recipient, World, cause};
use crate::{
    envelope::{Answer, Failure, Request, Text},
    sandbox::{Invocation, Limits, RequestInfo},
    settings::{Bytes, Settings},
    testing::{Asks, hoarding, invocation, load_granted, memory::peak, sandbox, wide},
};

const MIB: usize = 1 << 20;

/// Of everything that has a limit here. Large, so that what is no guest's does not matter.
const EACH: usize = 4 * MIB;

const ASKS: Asks<'static> =
    Asks { broker: None, topic: "t", method: "m", arguments: "", server: None, timeout_ms: None };

fn limits() -> Limits {
    let mut settings = Settings::default();
    settings
        .add_file("limits.rpc_bytes = \"4 MiB\"\nlimits.keyvalue = \"4 MiB\"\nlimits.memory = \"8 MiB\"\nlimits.result = \"4 MiB\"")
        .unwrap();
    Limits { timeout: wide().timeout, ..Limits::default().read(&mut settings) }
}

/// What a guest answers, and how much the host had allocated at most on its way there, its effects included.
async fn cost(world: &World, handle: &str) -> (Answer, usize) {
    let manifest = "grants.keyvalue = true\nlimits.rpc_bytes = \"4 MiB\"\nlimits.keyvalue = \"4 MiB\"";
    let mut settings = Settings::default();
    settings.add_file("grants.rpc = [\"t.m\"]\ngrants.keyvalue = true").unwrap();
    let grants = super::Grants::read(&mut settings, super::Values::default());
    let program = load_granted(sandbox(), &hoarding(ASKS, handle), limits(), grants).unwrap();
    assert_eq!(program.limits().result, Bytes(EACH));
    let (answer, most) = peak(async {
        let session = Arc::new(world.session(manifest, cause()));
        let info = RequestInfo { session: Some(Arc::clone(&session)), ..RequestInfo::bare() };
        program.handle(Invocation { info, ..invocation("m", "{}") }).await.unwrap()
    })
    .await;
    (answer, most)
}

/// A quarter of a MiB at 65536 that is a JSON object, and what is done with it again and again until the host refuses it.
fn until_refused(what: &str) -> String {
    format!(
        "(i32.store8 (i32.const 2001) (i32.const 0))
        (loop $again
            (i32.store8 (i32.const 2001) (i32.add (i32.load8_u (i32.const 2001)) (i32.const 1)))
            {what}
            (br_if $again (i32.and (i32.eqz (i32.load8_u (i32.const 3600)))
                (i32.lt_u (i32.load8_u (i32.const 2001)) (i32.const 100)))))
        (if (i32.eqz (i32.load8_u (i32.const 3600))) (then (unreachable)))"
    )
}

#[tokio::test]
async fn a_request_costs_the_host_no_more_than_its_limits_say() {
    let world = World::new().await;
    let object =
        "(drop (memory.grow (i32.const 80))) (memory.fill (i32.const 65536) (i32.const 32) (i32.const 4194304))
        (i32.store8 (i32.const 65536) (i32.const 123)) (i32.store8 (i32.const 327679) (i32.const 125))
        (i32.store (i32.const 3064) (i32.const 65536)) (i32.store (i32.const 3068) (i32.const 262144))";
    let state = until_refused(
        "(call $set (i32.const 2001) (i32.const 1) (i32.const 65536) (i32.const 262144) (i32.const 0) (i64.const 0) (i32.const 3600))",
    );
    let casts = until_refused("(call $cast (i32.const 3000) (i32.const 3600))");
    let log = "(loop $more (call $write (i32.const 2) (i32.const 65536) (i32.const 4194304))
        (call $panicking (i32.const 65536) (i32.const 4194304))
        (i32.store8 (i32.const 2002) (i32.add (i32.load8_u (i32.const 2002)) (i32.const 1)))
        (br_if $more (i32.lt_u (i32.load8_u (i32.const 2002)) (i32.const 10))))";
    // A text of control characters would not be JSON; of spaces, it is as long as it may be.
    let result = "(i32.store8 (i32.const 65536) (i32.const 34)) (i32.store8 (i32.const 4259839) (i32.const 34))
        (i32.store8 (i32.const 327679) (i32.const 32))
        (i32.store (i32.const 404) (i32.const 65536)) (i32.store (i32.const 408) (i32.const 4194304)) (i32.const 400)";
    // What docs/security.md says of each, and what an instance takes that does nothing.
    let (nothing, instance) = cost(
        &world,
        "(i32.store (i32.const 404) (local.get 8)) (i32.store (i32.const 408) (i32.const 2)) (i32.const 400)",
    )
    .await;
    assert!(matches!(nothing, Answer::Result(_)) && instance < MIB, "{instance}");
    let parts = [
        (format!("{object} {state}"), EACH, "state"),
        (format!("{object} {casts}"), EACH, "casts"),
        (format!("{object} {log}"), 0, "log"),
        (format!("{object} {state} {casts} {log}"), 2 * EACH, "all"),
    ];
    for (part, expected, what) in parts {
        let (answer, most) = cost(&world, &format!("{part} {result}")).await;
        assert!(matches!(&answer, Answer::Result(text) if text.get().len() == EACH), "{what}");
        // One thing at a time is handed over, the answer last: it is there with all that is held.
        assert!(most < MIB + EACH + expected, "{what}: {most}");
        assert!(most >= EACH, "{what}: {most}");
    }
}

/// What the host itself makes of a message and of an answer, around the guest.
#[tokio::test]
async fn messages_and_answers_cost_no_more_than_a_few_times_their_limits() {
    let quotes = |length: usize| format!("\"{}\"", "\\\"".repeat(length / 2 - 1));
    let message = format!(
        r#"{{"method": "m", "args": {{"a": {}}}, "_unique_id": "u", "_msg_id": "i", "_reply_q": "q"}}"#,
        quotes(EACH)
    );
    let (request, most) =
        peak(async { Request::decode(message.as_bytes(), Some("application/json"), None).unwrap() }).await;
    assert!(most < 3 * EACH + MIB, "{most}");
    let reply_to = request.reply_to.unwrap();
    let text = Text::parse(quotes(EACH)).unwrap();
    let args = Text::parse(format!("[{}]", quotes(EACH))).unwrap();
    let failure = Failure::with("m", "C", String::new(), args, Text::of(&serde_json::Map::new()));
    for (answer, times) in [(Answer::Result(text), 10), (Answer::Failure(failure), 19)] {
        let (_, most) = peak(async { reply_to.encode(&answer, || "u".to_owned()) }).await;
        assert!(most < times * EACH, "{most}");
    }
}

/// Attacks the worker: tens of thousands of requests in one call, none of which is sent, and each of which has an answer.
#[tokio::test]
async fn many_calls_at_once_let_others_work_in_between() {
    let world = World::new().await;
    let session = world.session("", cause());
    let refused = Recipient { topic: "other".into(), ..Recipient::default() };
    let request = |_| Outgoing { recipient: refused.clone(), ..super::asks("m", serde_json::json!({})) };
    let mut calling = std::pin::pin!(session.call_many((0..1000).map(request).collect()));
    let mut polls = 0;
    let results = std::future::poll_fn(|context| {
        polls += 1;
        calling.as_mut().poll(context)
    });
    assert!(results.await.iter().all(Result::is_err));
    assert!(polls > 5, "{polls}");
    // Those that come first have what there is.
    let session = world.session("limits.rpc_requests = 100", cause());
    let results = session.call_many((0..200).map(request).collect()).await;
    let is_denied = |error: &crate::capability::Error| matches!(error, crate::capability::Error::Denied(_));
    let denied: Vec<bool> = results.iter().map(|result| result.as_ref().is_err_and(is_denied)).collect();
    assert_eq!(denied, (0..200).map(|at| at < 100).collect::<Vec<_>>());
}
