//! A shadow: a new version of a handler gets live requests as well, after the version that serves has answered them, and what it would
//! have done is compared. Nothing that it does leaves the sandbox.
//!
//! Before it: [`crate::catalog::keeper`] has a version that is good enough to be tried, and [`crate::serve`] tapes the requests of its
//! share. After it: an operator looks at what was found. [`policy`] is what an operator wants, [`intake`] is what requests meet,
//! [`worker`] runs them again on [`room`]'s thread, by [`crate::replay`], [`judgement`] says where they differ, and [`evidence`] counts.

pub mod evidence;
pub mod intake;
pub mod judgement;
pub mod policy;
pub mod report;
pub mod room;
pub mod worker;

pub use evidence::Evidence;
pub use intake::{Intake, Pending, Wanted};
pub use policy::Policy;
pub use report::ShadowState;
pub use room::Room;
