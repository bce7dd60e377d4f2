//! A client: calls and casts over any transport.
//!
//! Before it: `nova-host call` and `cast`. After it: [`crate::transport`]. One reply queue serves all calls of a
//! client; a call's time covers connecting, publishing and waiting.

mod error;
mod replies;
mod target;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    envelope::{Answer, Arguments, Context, Field, ReplyTo, Request, Style, Text},
    fresh_id::fresh_id,
    transport::{self, Company, Publication, Published, Retry, Routing, Transport},
    version::Version,
};
use replies::{NoAnswer, Replies};

pub use error::Error;
pub use target::Target;

/// oslo.messaging's `rpc_response_timeout`.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a queue that does not take a request is asked again, where that may be for ever.
const FULL_TRIES: u32 = 3;

/// The pause before that; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest of those pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What every timeout is at most, a hundred years: longer ones are none.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A client of one transport. Any number of calls may be outstanding at once.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    replies: Mutex<Option<Arc<Replies>>>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Who is asked.
    pub target: Target,
    /// The method.
    pub method: String,
    /// The keyword arguments: a JSON object.
    pub arguments: Text,
    /// The request context.
    pub context: Context,
    /// What it is a consequence of.
    pub origin: Provenance,
}

/// What a request is a consequence of, for those that handlers send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// How many requests of handlers led to it, itself among them.
    pub hops: u32,
    /// The mark by which its receivers know it again when it is sent again; `None` makes a fresh one.
    pub unique_id: Option<String>,
    /// Headers that say whose trace it belongs to.
    pub headers: Vec<(&'static str, String)>,
}

/// How it is asked for. `Duration::into` sets the timeout and leaves the rest to the defaults, which are
/// oslo.messaging's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallOptions {
    /// How long all of it may take; of a cast, until the broker has it.
    pub timeout: Duration,
    /// How long a call's server may be silent (`call_monitor_timeout`): it sends a heartbeat every half of this, if that
    /// is a second or more. Never extends the timeout. `None` asks for no heartbeats.
    pub monitor: Option<Duration>,
    /// How often the request is sent until the broker has it.
    pub retry: Retry,
    /// [`Routing::Mandatory`] makes [`Error::Undeliverable`] of a request that no queue takes (`at_least_once`); without
    /// it, a call times out. A fanout ignores it.
    pub routing: Routing,
    /// The highest version that may be sent.
    pub version_cap: Option<Version>,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            timeout: DEFAULT_TIMEOUT,
            monitor: None,
            retry: Retry::Forever,
            routing: Routing::BestEffort,
            version_cap: None,
        }
    }
}

impl From<Duration> for CallOptions {
    fn from(timeout: Duration) -> Self {
        Self { timeout, ..Self::default() }
    }
}

impl Invocation {
    /// Says what [`Client::call`] would refuse to send.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidTarget`], [`Error::MalformedVersion`] and [`Error::VersionCap`].
    pub fn check_call(&self, options: &CallOptions) -> Result<(), Error> {
        if self.target.fanout {
            return Err(self.target.invalid("A call cannot be used with fanout"));
        }
        self.check_cast(options)
    }

    /// Says what [`Client::cast`] would refuse to send.
    ///
    /// # Errors
    ///
    /// As [`Invocation::check_call`].
    pub fn check_cast(&self, options: &CallOptions) -> Result<(), Error> {
        self.target.destination()?;
        match (self.target.can_send(options.version_cap)?, options.version_cap) {
            (false, Some(cap)) => Err(Error::VersionCap { version: self.target.version.clone(), cap }),
            _ => Ok(()),
        }
    }
}

impl Client {
    /// Makes a client. Nothing is connected until it is used.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        Self { transport, replies: Mutex::default() }
    }

    /// Calls and waits for the result.
    ///
    /// # Errors
    ///
    /// [`Error`]. Nothing was sent where it is about the target or its version.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the request may be handled or not; its reply is dropped.
    pub async fn call(&self, invocation: Invocation, options: impl Into<CallOptions>) -> Result<Text, Error> {
        let options = options.into();
        let deadline = Instant::now() + options.timeout.min(FOREVER);
        invocation.check_call(&options)?;
        let method = invocation.method.clone();
        let replies = match timeout_at(deadline, self.replies(options.retry)).await {
            Ok(listening) => listening.map_err(|error| not_delivered(&method, &options, error))?,
            Err(_) => {
                return Err(Error::NotSent { method, timeout: options.timeout, why: Tries::new(options.retry).why() });
            }
        };
        let mut call = replies.expect();
        let reply_to = ReplyTo {
            queue: replies.queue().to_owned(),
            message_id: call.message_id().to_owned(),
            style: Style::OneMessage { monitor: options.monitor.map_or_else(Text::null, seconds) },
        };
        let sending = self.send(invocation, Some(reply_to), &options, deadline);
        let answered = tokio::select! {
            biased;
            // An answer may overtake the broker's confirmation, as when the connection is lost in between.
            answered = call.answer(deadline, None) => match answered {
                // The request is still on its way.
                Err(NoAnswer::TimedOut) => {
                    return Err(Error::NotSent { method, timeout: options.timeout, why: Tries::new(options.retry).why() });
                }
                answered => answered,
            },
            sent = sending => match sent {
                Ok(()) => call.answer(deadline, options.monitor).await,
                Err(error) => {
                    if matches!(error, Error::Undeliverable { .. } | Error::QueueFull { .. }) {
                        call.withdraw();
                    }
                    return Err(error);
                }
            },
        };
        match answered {
            Ok(Ok(Answer::Result(result))) => Ok(result),
            Ok(Ok(Answer::Failure(failure))) => Err(Error::Remote(Box::new(failure))),
            Ok(Err(source)) => Err(Error::InvalidReply { method, source }),
            Err(NoAnswer::TimedOut) => Err(Error::TimedOut { method, timeout: options.timeout }),
            Err(NoAnswer::Silent) => Err(Error::Silent { method, monitor: options.monitor.unwrap_or(options.timeout) }),
            Err(NoAnswer::Lost) => Err(Error::Transport(transport::Error::Lost)),
        }
    }

    /// Casts, or fans out where the target says so: returns when the broker has the message.
    ///
    /// # Errors
    ///
    /// [`Error`]. A fanout that no server listens to is not an error.
    pub async fn cast(&self, invocation: Invocation, options: impl Into<CallOptions>) -> Result<(), Error> {
        let options = options.into();
        invocation.check_cast(&options)?;
        let deadline = Instant::now() + options.timeout.min(FOREVER);
        self.send(invocation, None, &options, deadline).await
    }

    /// Stops listening for replies. The reply queue goes too, unless a call was given up and may still be answered: then
    /// it expires later.
    pub async fn close(self) {
        if let Some(replies) = self.replies.into_inner().and_then(Arc::into_inner) {
            replies.close().await;
        }
    }

    /// The reply queue, which all calls share: made by the first, and again where nobody reads it any more.
    async fn replies(&self, retry: Retry) -> Result<Arc<Replies>, transport::Error> {
        let mut replies = self.replies.lock().await;
        if let Some(living) = replies.as_ref().filter(|replies| replies.is_alive()) {
            return Ok(Arc::clone(living));
        }
        let fresh = Arc::new(Replies::listen(&self.transport, retry).await?);
        Ok(Arc::clone(replies.insert(fresh)))
    }

    /// Sends until the broker has it, a queue refuses it, or the time is over.
    async fn send(
        &self,
        invocation: Invocation,
        reply_to: Option<ReplyTo>,
        options: &CallOptions,
        deadline: Instant,
    ) -> Result<(), Error> {
        let Invocation { target, method, arguments, context, origin } = invocation;
        let destination = target.destination()?;
        let field = |text: &Option<String>| text.clone().map_or(Field::Absent, Field::Text);
        let expiration = reply_to.is_some().then_some(options.timeout);
        let request = Request {
            method: Field::Text(method.clone()),
            namespace: field(&target.namespace),
            version: field(&target.version),
            arguments: Arguments::Object(arguments),
            context,
            reply_to,
            unique_id: Some(origin.unique_id.unwrap_or_else(fresh_id)),
            hops: origin.hops,
        };
        let routing = if target.fanout { Routing::BestEffort } else { options.routing };
        let mut publication = Publication {
            expiration,
            headers: origin.headers,
            ..Publication::new(destination, routing, request.encode())
        };
        let mut tries = Tries::new(options.retry);
        loop {
            let sent = timeout_at(deadline, self.transport.publish_with(&publication, options.retry)).await;
            let Ok(sent) = sent else {
                return Err(Error::NotSent { method, timeout: options.timeout, why: tries.why() });
            };
            let (trouble, refusal) = match sent.map_err(|error| not_delivered(&method, options, error))? {
                Published::Confirmed => return Ok(()),
                Published::Unroutable => {
                    let (who, key) = (target.who(), target.key());
                    return Err(Error::Undeliverable { who, exchange: target.exchange, key });
                }
                Published::Nacked { is_full } => {
                    let refusal = Error::QueueFull { who: target.who(), queue: target.key() };
                    (if is_full { Trouble::Full } else { Trouble::Refused }, refusal)
                }
                Published::Unconfirmed => {
                    // It may be there: who gets it twice knows it by its mark.
                    publication.company = Company::Alone;
                    (Trouble::Silent, Error::NotConfirmed { method: method.clone(), queue: target.key() })
                }
            };
            let Some(pause) = tries.next(trouble) else { return Err(refusal) };
            sleep_until(deadline.min(Instant::now() + pause)).await;
        }
    }
}

/// Why a queue does not take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// It is full, and rejects.
    Full,
    /// It rejects, and is not known to be full: while a leader is elected, or its node is away.
    Refused,
    /// The broker does not say.
    Silent,
}

/// How often a request is sent again that its queue did not take.
#[derive(Debug)]
struct Tries {
    retry: Retry,
    full: u32,
    others: u32,
    latest: Option<Trouble>,
}

impl Tries {
    fn new(retry: Retry) -> Self {
        Self { retry, full: 0, others: 0, latest: None }
    }

    /// Counts a try that came to nothing, and gives the pause before the next one, if there is to be any.
    fn next(&mut self, trouble: Trouble) -> Option<Duration> {
        self.latest = Some(trouble);
        let (count, most) = match (trouble, self.retry) {
            // Who waits for a place in it should know.
            (Trouble::Full, Retry::Forever) => (&mut self.full, FULL_TRIES),
            (Trouble::Full, Retry::Times(times)) => (&mut self.full, times.min(FULL_TRIES)),
            (Trouble::Refused | Trouble::Silent, Retry::Forever) => (&mut self.others, u32::MAX),
            (Trouble::Refused | Trouble::Silent, Retry::Times(times)) => (&mut self.others, times),
        };
        if *count >= most {
            return None;
        }
        *count += 1;
        Some((FIRST_PAUSE * 2u32.saturating_pow(*count - 1)).min(LONGEST_PAUSE).mul_f64(0.5 + fastrand::f64()))
    }

    /// Why nothing was sent, when the time is over.
    fn why(&self) -> &'static str {
        match self.latest {
            Some(Trouble::Silent) => "it is connected and does not confirm what is sent there",
            Some(Trouble::Full | Trouble::Refused) => "its queue refuses it: it is full, or has no leader",
            None => "it cannot be reached, or accepts no messages now",
        }
    }
}

/// What became of a request that the transport did not deliver.
fn not_delivered(method: &str, options: &CallOptions, error: transport::Error) -> Error {
    match (error, options.retry) {
        (source @ transport::Error::Unreachable { .. }, Retry::Times(times)) => {
            Error::NotDelivered { method: method.to_owned(), attempts: u64::from(times) + 1, source }
        }
        (error, _) => Error::Transport(error),
    }
}

/// Seconds as a caller in Python would give them.
fn seconds(duration: Duration) -> Text {
    if duration.subsec_nanos() == 0 { Text::of(&duration.as_secs()) } else { Text::of(&duration.as_secs_f64()) }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tolerance_tests;
