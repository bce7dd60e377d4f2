//! A message on its way, with all that it takes to send it, and what becomes of one attempt.
//!
//! Before it: [`super::super::Client::publish`] packs it. After it: [`super::outbox`] sends it.

use std::sync::Arc;

use lapin::BasicProperties;
use tokio::sync::oneshot;

use super::{super::wire::properties, returned::Returned};
use crate::{
    compression::Compression,
    transport::{
        publication::{Company, Publication, Published},
        topology::Route,
    },
};

/// From how many bytes on a body is compressed beside the runtime: xz and bzip2 take some 100 ms for a MiB.
const LARGE: usize = 16 << 10;

/// A message with all that it takes to send it.
#[derive(Debug)]
pub(crate) struct Parcel {
    /// The message.
    pub(crate) publication: Publication,
    /// What it carries beside its body.
    pub(crate) properties: BasicProperties,
    /// Where it goes.
    pub(crate) route: Route,
}

/// A message on its way, and the caller who waits for it.
#[derive(Debug)]
pub(crate) struct Job {
    /// The message.
    pub(crate) parcel: Arc<Parcel>,
    answer: oneshot::Sender<Attempted>,
}

/// What became of one attempt to send a message. Without an answer it is [`Attempted::Again`].
#[derive(Debug)]
pub(crate) enum Attempted {
    /// The broker has said what became of it, or nothing for too long.
    Published(Published),
    /// The broker refuses it, and would the next time.
    Refused(Refusal),
    /// Its channel or its connection has gone; it is to be sent again.
    Again,
}

/// Why the broker refuses a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It takes bodies of so many bytes at most.
    TooLarge {
        /// The broker's `max_message_size`.
        limit: usize,
    },
    /// It takes no message for this exchange; what it says, and what to do.
    Exchange(String),
    /// Others have not declared this exchange; what it says, and what to do.
    Missing(String),
    /// It does not take this message; what it says, and what to do.
    Other(String),
}

impl Parcel {
    /// Packs a message: a copy as it is, with a header frame of at most `frame_max` bytes, one of our own compressed if
    /// that is asked for. Where that cannot be done it is sent as it is.
    pub(crate) async fn pack(
        mut publication: Publication,
        route: Route,
        compression: Option<Compression>,
        frame_max: usize,
    ) -> Self {
        if let Some(copied) = &publication.copied {
            let properties = properties::of_copy(copied, frame_max);
            return Self { publication, properties, route };
        }
        let mut compressed = None;
        if let Some(compression) = compression {
            match compress(&publication, compression).await {
                Some(body) => {
                    publication.body = body.into();
                    compressed = Some(compression);
                }
                None => tracing::error!(?compression, "a message cannot be compressed, sent as it is"),
            }
        }
        let properties = properties::of_own(publication.expiration, compressed, &publication.headers);
        Self { publication, properties, route }
    }

    /// The same, to go alone.
    pub(crate) fn alone(&self) -> Self {
        let Self { publication, properties, route } = self;
        let publication = Publication { company: Company::Alone, ..publication.clone() };
        Self { publication, properties: properties.clone(), route: route.clone() }
    }

    /// Whether this is the message that the broker has returned.
    pub(crate) fn is(&self, returned: &Returned) -> bool {
        let Self { publication, route, .. } = self;
        route.key == returned.key && route.exchange_name() == returned.exchange && publication.body == returned.body
    }
}

impl Job {
    /// Makes a job, and the way to its answer.
    pub(crate) fn new(parcel: Arc<Parcel>) -> (Self, oneshot::Receiver<Attempted>) {
        let (answer, is_answered) = oneshot::channel();
        (Self { parcel, answer }, is_answered)
    }

    /// Tells the caller.
    pub(crate) fn answer(self, attempted: Attempted) {
        // The caller may have run out of time.
        self.answer.send(attempted).ok();
    }

    /// Whether the caller has gone.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }
}

async fn compress(publication: &Publication, compression: Compression) -> Option<Vec<u8>> {
    if publication.body.len() < LARGE {
        return compression.compress(&publication.body).ok();
    }
    let body = publication.body.clone();
    tokio::task::spawn_blocking(move || compression.compress(&body).ok()).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use lapin::types::{AMQPValue, FieldTable};

    use super::*;
    use crate::transport::{
        destination::Destination,
        publication::Routing,
        topology::{self, Options},
    };

    const FRAME_MAX: usize = 131_072;

    async fn packed(body: Bytes, expiration: Option<Duration>, compression: Option<Compression>) -> Parcel {
        let publication = Publication {
            expiration,
            ..Publication::new(Destination::Queue("reply".to_owned()), Routing::Mandatory, body)
        };
        let route = topology::route(&publication.destination, &Options::default());
        Parcel::pack(publication, route, compression, FRAME_MAX).await
    }

    #[tokio::test]
    async fn properties_are_the_references_and_no_others() {
        let expected = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_headers(FieldTable::default())
            .with_delivery_mode(2)
            .with_priority(0);
        let body = Bytes::from_static(b"{}");
        assert_eq!(packed(body.clone(), None, None).await.properties, expected);
        let sixty_seconds = expected.with_expiration("60000".into());
        assert_eq!(packed(body.clone(), Some(Duration::from_secs(60)), None).await.properties, sixty_seconds);
        let longest = packed(body, Some(Duration::MAX), None).await.properties;
        assert_eq!(longest.expiration().as_ref().map(ToString::to_string).as_deref(), Some("4294967295"));
    }

    #[tokio::test]
    async fn a_compressed_message_says_so_and_is_it() {
        for body in [Bytes::from_static(b"{}"), vec![b' '; 2 * LARGE].into()] {
            let Parcel { publication, properties, .. } = packed(body.clone(), None, Some(Compression::Bzip2)).await;
            assert_eq!(Compression::Bzip2.decompress(&publication.body, 4 * LARGE).unwrap(), body);
            let header = properties.headers().as_ref().and_then(|table| table.inner().get("compression"));
            assert_eq!(header, Some(&AMQPValue::LongString("application/x-bz2".into())));
        }
    }
}
