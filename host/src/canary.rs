//! A canary: a new version of a handler gets a share of its requests, is judged by what becomes of them against the version that
//! serves, in the same time, and goes on, pauses, or goes back.
//!
//! Before it: [`crate::catalog::keeper`] has a version that is good enough to be tried. After it: the keeper does what [`plan`] says.
//! [`policy`] is what an operator wants, [`tally`] counts what becomes of requests, [`evidence`] is what was counted, and [`bar`] says
//! whether that can be chance. All but the tally is pure: no IO, no clock, no lock.

pub mod bar;
pub mod evidence;
mod findings;
pub mod plan;
pub mod policy;
pub mod report;
pub mod tally;

pub use findings::Against;
pub use plan::{Action, Progress, plan};
pub use policy::Policy;
pub use report::CanaryState;
pub use tally::{Side, Tally, Watched};
