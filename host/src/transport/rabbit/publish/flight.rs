//! Sends one message and waits for what the broker says of it.
//!
//! Before it: [`super::outbox`] has a channel for it, or wants it to have its own. After it: [`super::outbox`] notes what
//! became of it.

use std::{sync::Arc, time::Duration};

use lapin::{
    Channel, Confirmation, Connection,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};

use super::{super::wire::declare, parcel::Parcel};
use crate::transport::publication::Routing;

/// How long a message may hold a channel of its own. RabbitMQ may be silent on it for a minute, where a queue has no
/// leader; the next attempt has another channel.
pub(crate) const ALONE_FOR: Duration = Duration::from_secs(10);

/// Sends a message. Its number is taken when this is first polled, and its frames are queued in the same step.
pub(crate) async fn send(channel: &Channel, parcel: Arc<Parcel>) -> lapin::Result<Confirmation> {
    let mandatory = parcel.publication.routing == Routing::Mandatory;
    let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
    let (exchange, key) = match (declare::short(parcel.route.exchange_name()), declare::short(&parcel.route.key)) {
        (Ok(exchange), Ok(key)) => (exchange, key),
        // Checked before; the broker would say the same.
        (Err(_), _) | (_, Err(_)) => return Ok(Confirmation::Ack(None)),
    };
    let properties = parcel.properties.clone();
    let published = channel.basic_publish(exchange, key, options, &parcel.publication.body, properties).await?;
    // Who waits keeps it, for as long as that is.
    drop(parcel);
    published.await
}

/// Opens a channel that confirms messages.
pub(crate) async fn open(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// Sends a message on a channel of its own; `None` where nothing is said of it in [`ALONE_FOR`].
pub(crate) async fn send_alone(
    connection: Arc<Connection>,
    parcel: Arc<Parcel>,
) -> Option<lapin::Result<Confirmation>> {
    let sending = async {
        let channel = open(&connection).await?;
        send(&channel, parcel).await
    };
    tokio::time::timeout(ALONE_FOR, sending).await.ok()
}
