//! The import `config`: what the manifest gives the handler.

use std::sync::Arc;

use super::bindings::config::{Error, Host};
use crate::capability::Grants;

impl Host for Arc<Grants> {
    async fn get(&mut self, key: String) -> Result<Option<String>, Error> {
        Ok(self.config.get(&key).map(str::to_owned))
    }

    async fn get_all(&mut self) -> Result<Vec<(String, String)>, Error> {
        Ok(self.config.all().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
