//! The import `config`: what the manifest gives the handler.

use super::{
    bindings::config::{Error, Host},
    state::State,
};

impl Host for State {
    async fn get(&mut self, key: String) -> Result<Option<String>, Error> {
        Ok(self.grants.config.get(&key).map(str::to_owned))
    }

    async fn get_all(&mut self) -> Result<Vec<(String, String)>, Error> {
        Ok(self.grants.config.all().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
