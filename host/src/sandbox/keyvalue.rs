//! The import `keyvalue`: the handler's state.
//!
//! Before it: the guest. After it: the [`Session`] of the request.

use std::{sync::Arc, time::Duration};

use super::{
    bindings::keyvalue::{Error, Host, KeyResponse},
    request_info::Asked,
};
use crate::capability::{Session, keyvalue};

impl Host for Asked {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, Error> {
        self.keeper()?.get(&key).await.map_err(other)
    }

    async fn exists(&mut self, key: String) -> Result<bool, Error> {
        self.keeper()?.get(&key).await.map(|value| value.is_some()).map_err(other)
    }

    async fn set(&mut self, key: String, value: Vec<u8>, ttl_ms: Option<u64>) -> Result<(), Error> {
        self.keeper()?.set(key, Some((value, ttl_ms.map(Duration::from_millis)))).await.map_err(other)
    }

    async fn delete(&mut self, key: String) -> Result<(), Error> {
        self.keeper()?.set(key, None).await.map_err(other)
    }

    async fn list_keys(&mut self, cursor: Option<String>) -> Result<KeyResponse, Error> {
        let keyvalue::Page { keys, next } = self.keeper()?.keys(cursor).await.map_err(other)?;
        Ok(KeyResponse { keys, cursor: next })
    }

    async fn increment(&mut self, key: String, delta: i64) -> Result<i64, Error> {
        self.keeper()?.increment(&key, delta).await.map_err(other)
    }

    async fn swap(&mut self, key: String, current: Option<Vec<u8>>, next: Option<Vec<u8>>) -> Result<bool, Error> {
        self.keeper()?.swap(&key, current, next).await.map_err(other)
    }
}

impl Asked {
    fn keeper(&self) -> Result<Arc<Session>, Error> {
        self.session().filter(|session| session.keeps()).ok_or(Error::NoSuchStore)
    }
}

fn other(error: keyvalue::Error) -> Error {
    Error::Other(error.to_string())
}
