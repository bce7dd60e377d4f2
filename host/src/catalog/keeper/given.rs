//! Files that an operator names.
//!
//! Before it: an operator. After it: [`super::Keeper`] tries what was read, or a canary begins with it.

use std::{path::Path, sync::Arc};

use super::{Change, Error, Keeper, Origin, Source, directory, load};
use crate::gate::Terms;

impl Keeper {
    /// Tries a file that an operator names, and puts it into the directory where it is good. Its manifest is the one beside
    /// it; without one, the handler's own stays.
    ///
    /// # Errors
    ///
    /// [`Error`]; what served goes on serving, and the directory stays as it is.
    pub async fn add(self: &Arc<Self>, file: &Path, name: Option<String>, terms: Terms) -> Result<Change, Error> {
        let (name, read) = self.given(file, name)?;
        let origin = Origin::Given { force: terms.is_force() };
        self.attempt(&name, read, |source| self.accept(&name, source, origin, terms)).await
    }

    /// The name of a handler that an operator gives, and what reads its files.
    pub(super) fn given(
        &self,
        file: &Path,
        name: Option<String>,
    ) -> Result<(String, impl FnOnce() -> Result<Source, Error> + Send + use<>), Error> {
        let name = match name {
            Some(name) => load::checked_name(&name)?,
            None => load::name_of(file)?,
        };
        let (file, own) = (file.to_owned(), directory::path_of(&self.directory, &name));
        let read = move || {
            let mut source = load::read(&file)?;
            if source.manifest.is_none() {
                source.manifest = load::read_manifest(&own)?;
            }
            Ok(source)
        };
        Ok((name, read))
    }
}
