//! What follows from what a broker says, by a broker of a few lines that says anything: most of it no real one can be
//! brought to say, or not where it is wanted. The rows and columns are those of docs/refusals.md.

mod cancelled;
mod peer;
mod publishing;
mod serving;
mod silent;
mod starting;
mod transient;

use std::time::Duration;

use tokio::sync::mpsc;

use self::peer::Peer;
use super::{Client, Config, Consumer, Settlement};
use crate::transport::{Error, Subscription, message::Arrived, publication::Retry, url::Url};

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// No waits but the shortest.
fn hasty() -> Config {
    let none = Duration::ZERO;
    Config {
        rabbit_retry_interval: none,
        rabbit_retry_backoff: none,
        kombu_reconnect_delay: none,
        kombu_reconnect_splay: none,
        ..Config::default()
    }
}

fn client(peer: &Peer, config: Config) -> Client {
    let Url::Rabbit(address) = Url::parse(&peer.url()).unwrap() else { panic!("{}", peer.url()) };
    Client::new(address, config)
}

/// Consumes a queue of replies, tried once.
async fn consume(client: &Client) -> Result<(Consumer, mpsc::Receiver<Arrived<Settlement>>), Error> {
    let (sender, receiver) = mpsc::channel(1);
    Ok((in_time(client.listen_for_replies("reply_q", Retry::Times(0), sender)).await?, receiver))
}

/// Serves a topic, tried until the broker refuses.
async fn serve(client: &Client) -> Result<(Consumer, mpsc::Receiver<Arrived<Settlement>>), Error> {
    let subscription = Subscription {
        exchange: "nova".into(),
        topics: vec!["conductor".into()],
        server: "host-1".into(),
        prefetch: 10,
        queue_prefix: String::new(),
    };
    let (sender, receiver) = mpsc::channel(1);
    Ok((in_time(client.listen(subscription, sender)).await?, receiver))
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("an answer in time")
}
