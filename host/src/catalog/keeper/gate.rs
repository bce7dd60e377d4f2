//! Has a version pass its gates before it begins to serve.
//!
//! Before it: [`super::Keeper`] has made a generation, which nobody but its own self-tests has judged. After it: it may be put into force, or get
//! a share of the requests. Where nothing serves, there is nothing to hold it against.

use super::{Error, Generation, Keeper};
use crate::{
    catalog::gate,
    gate::{Demands, Terms},
};

impl Keeper {
    /// What an operator should know of a version that serves: that no other will take its place.
    pub(super) fn gate_warning(&self, serving: &Generation) -> Option<String> {
        let demands = serving.gate();
        let is_in_vain = demands.rehearsals().is_some() && self.recordings.is_none();
        is_in_vain.then(|| {
            format!(
                "its manifest demands of the next version: {demands}; nothing is recorded here that this could be judged by, so that it \
                 will be refused: set record.directory, and say what is recorded"
            )
        })
    }

    /// Holds a version against the one that serves, as both manifests and the operator demand it.
    ///
    /// # Errors
    ///
    /// [`Error::Gate`].
    pub(super) async fn pass_gates(&self, new: &Generation, terms: &Terms) -> Result<(), Error> {
        let name = &new.name;
        let serving = self.lock().shelves.get(name).and_then(|shelf| shelf.serving.clone());
        let Some(old) = serving else { return Ok(()) };
        let asked = match terms {
            Terms::Gated(asked) => asked,
            Terms::Force => {
                let demands = Demands::together(old.gate(), new.gate(), &Demands::default());
                if demands.is_anything() {
                    tracing::warn!(handler = name, "by force, a version does not have to pass: {demands}");
                }
                return Ok(());
            }
        };
        let demands = Demands::together(old.gate(), new.gate(), asked);
        if !demands.is_anything() {
            return Ok(());
        }
        match gate::pass([&old, new], &demands, self.recordings.as_deref()).await {
            Ok(passed) => {
                tracing::info!(handler = name, generation = new.number, "gates passed: {passed}");
                Ok(())
            }
            Err(refusal) => {
                let mut failed: Vec<_> = refusal.findings().iter().map(|finding| finding.gate).collect();
                failed.dedup();
                failed.into_iter().for_each(|gate| self.metrics.gate_failed(gate));
                Err(Error::Gate(refusal))
            }
        }
    }
}
