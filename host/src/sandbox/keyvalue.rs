//! The import `keyvalue`: the handler's state.
//!
//! Before it: the guest. After it: the [`Session`] of the request.

use std::{sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    bindings::keyvalue::{Error, Host, KeyResponse},
    request_info::Asked,
    tape::text,
};
use crate::{
    capability::{Session, keyvalue},
    recording::Blob,
};

impl Host for Asked {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, Error> {
        let asked = self.asked(|| json!({ "key": key }));
        let value =
            self.keeps("nova:rpc/keyvalue.get", asked, async |session| session.get(&key).await.map(blob)).await?;
        Ok(value.map(|Blob(bytes)| bytes))
    }

    async fn exists(&mut self, key: String) -> Result<bool, Error> {
        let asked = self.asked(|| json!({ "key": key }));
        let exists = async |session: Arc<Session>| session.get(&key).await.map(|value| value.is_some());
        self.keeps("nova:rpc/keyvalue.exists", asked, exists).await
    }

    async fn set(&mut self, key: String, value: Vec<u8>, ttl_ms: Option<u64>) -> Result<(), Error> {
        let asked = self.asked(|| json!({ "key": key, "value": Blob(value.clone()), "ttl_ms": ttl_ms }));
        let write = Some((value, ttl_ms.map(Duration::from_millis)));
        let set = async |session: Arc<Session>| session.set(key, write).await;
        self.keeps("nova:rpc/keyvalue.set", asked, set).await
    }

    async fn delete(&mut self, key: String) -> Result<(), Error> {
        let asked = self.asked(|| json!({ "key": key }));
        self.keeps("nova:rpc/keyvalue.delete", asked, async |session| session.set(key, None).await).await
    }

    async fn list_keys(&mut self, cursor: Option<String>) -> Result<KeyResponse, Error> {
        let list = async |session: Arc<Session>| {
            let keyvalue::Page { keys, next } = session.keys(cursor.clone()).await?;
            Ok((keys, next))
        };
        let asked = self.asked(|| json!({ "cursor": cursor }));
        let (keys, cursor) = self.keeps("nova:rpc/keyvalue.list-keys", asked, list).await?;
        Ok(KeyResponse { keys, cursor })
    }

    async fn increment(&mut self, key: String, delta: i64) -> Result<i64, Error> {
        let asked = self.asked(|| json!({ "key": key, "delta": delta }));
        let increment = async |session: Arc<Session>| session.increment(&key, delta).await;
        self.keeps("nova:rpc/keyvalue.increment", asked, increment).await
    }

    async fn swap(&mut self, key: String, current: Option<Vec<u8>>, next: Option<Vec<u8>>) -> Result<bool, Error> {
        let bytes = |value: &Option<Vec<u8>>| value.clone().map(Blob);
        let asked = self.asked(|| json!({ "key": key, "current": bytes(&current), "next": bytes(&next) }));
        let swap = async |session: Arc<Session>| session.swap(&key, current, next).await;
        self.keeps("nova:rpc/keyvalue.swap", asked, swap).await
    }
}

impl Asked {
    /// What is asked, made before the work takes the parts of it, and only where a tape is to have it.
    fn asked(&self, of: impl FnOnce() -> Value) -> Value {
        if self.tape().listens() { of() } else { Value::Null }
    }

    /// Does something with the handler's state, or tells what was recorded of it. An error without text is that there is none.
    async fn keeps<T: Serialize + DeserializeOwned>(
        &mut self,
        import: &'static str,
        asked: Value,
        work: impl AsyncFnOnce(Arc<Session>) -> Result<T, keyvalue::Error>,
    ) -> Result<T, Error> {
        let session = self.session().filter(|session| session.keeps());
        let kept = async {
            match session {
                Some(session) => work(session).await.map_err(|error| Some(error.to_string())),
                None => Err(None),
            }
        };
        let kept: Result<T, Option<String>> = self.tape().asks_in_time(import, || text(&asked), kept).await;
        kept.map_err(|error| error.map_or(Error::NoSuchStore, Error::Other))
    }
}

fn blob(value: Option<Vec<u8>>) -> Option<Blob> {
    value.map(Blob)
}
