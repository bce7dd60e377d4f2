//! The operator's page: files that a browser shows, and what they show, as it changes.
//!
//! Before it: the admin server has a request, and knows who asks. After it: [`files`] has the files, [`events`] goes on telling
//! what [`board`] has put together, and [`tail`] keeps the end of the log. The files are part of the program; they ask for nothing
//! from elsewhere, and put what comes from outside into the page as text.

pub mod board;
pub mod events;
pub mod files;
pub mod tail;

use tokio_util::sync::CancellationToken;

/// What is shown, for as long as the service runs. Clones are the same.
#[derive(Clone, Debug)]
pub struct Page {
    /// What there is to be seen.
    pub board: board::Board,
    /// Ends it.
    pub stop: CancellationToken,
}

#[cfg(test)]
#[path = "page/tests.rs"]
mod tests;
