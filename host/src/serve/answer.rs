//! Sends the reply to a call, once.
//!
//! Before it: [`super::work`] has the answer. After it: the caller has it, or a failure in its place that is small enough,
//! or it waits ([`super::late`]), or nobody can be told.

use super::late::{Late, Letter, Trouble};
use crate::{
    envelope::{Answer, ReplyTo},
    fresh_id::fresh_id,
    reply,
    transport::{Company, Destination, Error, Publication, Routing, Transport},
};

/// What came of a reply.
#[derive(Debug)]
pub(super) enum Answered {
    /// The broker has confirmed it.
    Told,
    /// It is too large for the broker; that is what the caller was told.
    TooLarge,
    /// Its queue does not take it now, or others wait for the same.
    Late(Letter, Trouble),
    /// Nobody can be told, and why.
    Nowhere(String),
}

/// Sends the reply, across a lost connection if need be: for as long as that takes, since nothing new arrives meanwhile
/// either, and a request whose reply was given up would run again for nothing.
///
/// # Cancel safety
///
/// Dropped half-way, it may have been sent or not.
pub(super) async fn answer(transport: &Transport, late: &Late, reply_to: &ReplyTo, answer: &Answer) -> Answered {
    let mut letter = letter(reply_to, answer);
    if late.has(letter.destination()) {
        // Those before it have found out.
        return Answered::Late(letter, Trouble::Silent);
    }
    let (refused, told) = match letter.send(transport, Company::Shared).await {
        Ok(None) => return Answered::Told,
        Ok(Some(trouble)) => return Answered::Late(letter, trouble),
        Err(Error::TooLarge { length, limit, .. }) => {
            tracing::error!(queue = reply_to.queue, length, limit, "a reply is larger than RabbitMQ takes");
            letter = self::letter(reply_to, &Answer::Failure(reply::too_large(length, limit)));
            match letter.send(transport, Company::Shared).await {
                Ok(None) => return Answered::TooLarge,
                Ok(Some(trouble)) => return Answered::Late(letter, trouble),
                Err(error) => (error, "the failure in its place"),
            }
        }
        Err(error) => (error, "the reply"),
    };
    Answered::Nowhere(format!("{told} is refused: {refused}"))
}

/// The reply as it is sent.
pub(super) fn letter(reply_to: &ReplyTo, answer: &Answer) -> Letter {
    let destination = Destination::Queue(reply_to.queue.clone());
    let publication = |body: Vec<u8>| Publication::new(destination.clone(), Routing::Mandatory, body);
    Letter::new(destination.clone(), reply_to.encode(answer, fresh_id).into_iter().map(publication))
}
