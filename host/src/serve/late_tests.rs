//! Letters that wait, over the broker in memory and with paused time.

use super::*;
use crate::{
    envelope::{Answer, Reply, ReplyTo, Style, Text},
    serve::answer,
    transport::{Deliveries, Disposition, Publication, Routing, memory::Broker},
};

const PATIENCE: Duration = Duration::from_secs(60);

struct Post {
    transport: Transport,
    late: Late,
    tasks: TaskTracker,
    abandon: CancellationToken,
}

impl Post {
    fn new() -> Self {
        let transport = Transport::Memory(Broker::default());
        Self { transport, late: Late::default(), tasks: TaskTracker::new(), abandon: CancellationToken::new() }
    }

    async fn wait(&self, letter: Letter, patience: Duration) -> Delivered {
        self.late.wait(letter, Trouble::Missing, patience, &self.transport, &self.tasks, &self.abandon).await
    }

    async fn queue(&self) -> Deliveries {
        self.transport.listen_for_replies("reply").await.unwrap()
    }
}

fn letter(body: &str) -> Letter {
    let destination = Destination::Queue("reply".into());
    Letter::new(destination.clone(), [Publication::new(destination, Routing::Mandatory, body.to_owned())])
}

async fn next(queue: &mut Deliveries) -> String {
    let delivery = queue.next().await.unwrap();
    delivery.settlement.settle(Disposition::Ack).await.unwrap();
    String::from_utf8(delivery.message.body.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_stays_away_is_given_up_and_answered_again_once_it_is_back() {
    let post = Post::new();
    let started = Instant::now();
    let delivered = post.wait(letter("lost"), PATIENCE).await;
    let Delivered::GivenUp(reason) = delivered else { panic!("there is no queue") };
    assert!(reason.contains("missing"), "{reason}");
    assert!((PATIENCE..=PATIENCE + 2 * LONGEST_PAUSE).contains(&started.elapsed()), "{:?}", started.elapsed());
    // The reference drops what comes next for a minute, whether the queue is back or not.
    let mut queue = post.queue().await;
    assert!(!post.late.has(letter("").destination()));
    assert_eq!(post.wait(letter("found"), PATIENCE).await, Delivered::Taken);
    assert_eq!(next(&mut queue).await, "found");
}

#[tokio::test(start_paused = true)]
async fn all_that_waits_for_a_queue_is_sent_when_it_is_back_in_its_order() {
    let post = Post::new();
    let bodies: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let waiting = futures_util::future::join_all(bodies.iter().map(|body| post.wait(letter(body), PATIENCE)));
    let back = async {
        sleep(Duration::from_secs(20)).await;
        assert_eq!(post.late.len(), 100);
        assert_eq!(post.tasks.len(), 1, "one task for a queue, whatever waits for it");
        let mut queue = post.queue().await;
        let mut got = Vec::new();
        for _ in 0..100 {
            got.push(next(&mut queue).await);
        }
        got
    };
    let (delivered, got) = tokio::join!(waiting, back);
    assert!(delivered.iter().all(|delivered| *delivered == Delivered::Taken), "{delivered:?}");
    assert_eq!(got, bodies);
    post.tasks.close();
    post.tasks.wait().await;
    assert_eq!(post.late.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn both_messages_of_an_old_callers_reply_wait_for_its_queue() {
    let post = Post::new();
    let old = ReplyTo { queue: "reply".into(), message_id: "i".into(), style: Style::TwoMessages };
    let back = async {
        sleep(Duration::from_secs(5)).await;
        let mut queue = post.queue().await;
        for ending in [false, true] {
            let body = next(&mut queue).await;
            let reply = Reply::decode(body.as_bytes(), Some("application/json"), None);
            assert_eq!(reply.unwrap().ending, ending);
        }
    };
    let reply = answer::letter(&old, &Answer::Result(Text::of(&3)));
    tokio::join!(async { assert_eq!(post.wait(reply, PATIENCE).await, Delivered::Taken) }, back);
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_than_there_is_room_for() {
    let post = Post::new();
    let many = MAX_LETTERS + 10;
    let delivered = futures_util::future::join_all((0..many).map(|_| post.wait(letter("x"), PATIENCE))).await;
    let too_many =
        delivered.iter().filter(|delivered| matches!(delivered, Delivered::GivenUp(why) if why.contains("too many")));
    assert_eq!(too_many.count(), 10);
    // By their size, too.
    let large = "x".repeat(MAX_BYTES + 1);
    assert!(matches!(post.wait(letter(&large), PATIENCE).await, Delivered::GivenUp(why) if why.contains("too many")));
    assert_eq!(post.late.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_leaves_nothing_behind() {
    let post = Post::new();
    assert!(timeout(Duration::from_secs(3), post.wait(letter("x"), PATIENCE)).await.is_err());
    sleep(2 * LONGEST_PAUSE).await;
    assert_eq!((post.late.len(), post.tasks.len()), (0, 0));
    assert!(!post.late.has(letter("").destination()));
}

#[tokio::test(start_paused = true)]
async fn when_the_service_ends_nothing_is_given_up_for_whoever_waits_ends_too() {
    let post = Post::new();
    let waiting = futures_util::future::join_all((0..3).map(|_| post.wait(letter("x"), PATIENCE)));
    let end = async {
        sleep(Duration::from_secs(1)).await;
        post.abandon.cancel();
        sleep(Duration::from_secs(1)).await;
    };
    tokio::select! {
        delivered = waiting => panic!("{delivered:?}"),
        () = end => {}
    }
    assert!(!post.late.has(letter("").destination()));
}
