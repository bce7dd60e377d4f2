//! Server-sent events: the whole first, then what has changed, for as long as somebody looks.
//!
//! Before it: the admin server has let somebody in, who may look. After it: [`super::board`]. Nothing is queued for a client: the
//! next event is made when the one before has been taken, and says what is new since then. Who is slow sees fewer of them.

use std::time::Duration;

use super::{Page, board::PERIOD};
use bytes::Bytes;
use futures_util::Stream;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

/// What events are.
pub const CONTENT_TYPE: &str = "text/event-stream; charset=utf-8";

/// When a browser comes again after the connection is lost, in milliseconds.
const RETRY: u64 = 1000;

/// How long somebody is told without being asked again who they are. A browser comes again by itself.
const LONGEST: Duration = Duration::from_secs(600);

/// Who looks, as the page says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct You {
    /// The name of the token, of the certificate, or of whoever else may look.
    pub name: String,
    /// `read` or `operate`.
    pub role: String,
    /// Whether a log-in may change that.
    pub can_log_in: bool,
    /// Whether there is a log-in that can be ended.
    pub has_session: bool,
}

/// What one client has been told.
struct Told<W> {
    page: Page,
    you: You,
    is_welcome: W,
    /// The picture, by number; 0 is none.
    picture: u64,
    /// The line of the log.
    line: u64,
    /// When the next event is due.
    due: Instant,
    /// When it ends.
    end: Instant,
}

/// Tells `you` what is to be seen, until told to stop, for [`LONGEST`], or until `is_welcome`, which is asked before each event, says that
/// they may not look any more: a token is taken back, a session has ended. Each event is called `state`; its data is a JSON object of the parts that are
/// new, and of the lines of the log that are (`log`). The first has `whole`, and all of them.
///
/// # Cancel safety
///
/// Safe: nothing is kept of a client.
pub fn events<W>(page: &Page, you: You, is_welcome: W) -> impl Stream<Item = Bytes> + Send + use<W>
where
    W: Fn() -> bool + Send + Sync,
{
    let now = Instant::now();
    let told = Told { page: page.clone(), you, is_welcome, picture: 0, line: 0, due: now, end: now + LONGEST };
    futures_util::stream::unfold(told, async |mut told| {
        let event = told.next().await?;
        Some((event, told))
    })
}

impl<W: Fn() -> bool + Send + Sync> Told<W> {
    async fn next(&mut self) -> Option<Bytes> {
        let stop = self.page.stop.clone();
        if self.due > self.end {
            return None;
        }
        stop.run_until_cancelled(async {
            sleep_until(self.due).await;
            self.due = Instant::now() + PERIOD;
            if !(self.is_welcome)() {
                return None;
            }
            self.event().await
        })
        .await
        .flatten()
    }

    /// What is new. How long the service is up always is: so the page knows that what it shows is of now.
    async fn event(&mut self) -> Option<Bytes> {
        let picture = self.page.board.look().await?;
        let is_first = self.picture == 0;
        let mut event = if is_first { format!("retry: {RETRY}\n") } else { String::new() };
        event.push_str(&format!("event: state\ndata: {{\"now_ms\":{}", picture.at_ms));
        if is_first {
            let you = serde_json::to_string(&self.you).ok()?;
            event.push_str(&format!(",\"whole\":true,\"you\":{you}"));
        }
        for (name, json) in picture.after(self.picture) {
            event.push_str(&format!(",\"{name}\":{json}"));
        }
        let (lines, last) = self.page.board.tail().after(self.line);
        if !lines.is_empty() {
            event.push_str(&format!(",\"log\":{}", serde_json::to_string(&lines).ok()?));
        }
        event.push_str("}\n\n");
        (self.picture, self.line) = (picture.number, last);
        Some(event.into())
    }
}
