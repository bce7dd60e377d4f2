//! Stand-ins for the host in native tests: each thread plays one request at a time.

use std::{cell::RefCell, collections::BTreeMap, mem};

use serde_json::Value;

use crate::{
    log::Level,
    rpc::{Error, Request},
};

/// What stands for the other services.
pub(crate) type Services = Box<dyn FnMut(&Request) -> Result<Value, Error>>;

/// What the host would know about a request, and what the handler has done so far.
pub(crate) struct Scene {
    /// The request context: a JSON object.
    pub(crate) context: Value,
    /// Whether the caller waits.
    pub(crate) reply_wanted: bool,
    /// Milliseconds.
    pub(crate) time_left_ms: u64,
    /// The lines, oldest first.
    pub(crate) log: Vec<(Level, String)>,
    /// Who answers calls.
    pub(crate) services: Services,
    /// The manifest's values.
    pub(crate) config: BTreeMap<String, String>,
    /// The casts, oldest first.
    pub(crate) casts: Vec<Request>,
}

thread_local! {
    static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

/// Takes the scene off the stage even if the handler panics, so that the thread's next request starts clean.
struct Curtain(Option<Scene>);

impl Drop for Curtain {
    fn drop(&mut self) {
        SCENE.with_borrow_mut(|scene| mem::swap(scene, &mut self.0));
    }
}

/// Runs a handler in a scene; returns what it logged, and what it cast.
pub(crate) fn play<T>(scene: Scene, handler: impl FnOnce() -> T) -> (T, Vec<(Level, String)>, Vec<Request>) {
    let _curtain = Curtain(SCENE.with_borrow_mut(|stage| stage.replace(scene)));
    let result = handler();
    let done = SCENE
        .with_borrow_mut(|stage| stage.as_mut().map(|scene| (mem::take(&mut scene.log), mem::take(&mut scene.casts))));
    let (log, casts) = done.unwrap_or_default();
    (result, log, casts)
}

/// Outside a scene a line goes to the standard error.
#[expect(clippy::print_stderr, reason = "natively there is no host that has a log")]
pub(crate) fn write(level: Level, message: &str) {
    SCENE.with_borrow_mut(|scene| match scene {
        Some(scene) => scene.log.push((level, message.to_owned())),
        None => eprintln!("{level:?}: {message}"),
    });
}

/// Outside a scene the context is empty, as in the component's `describe`.
pub(crate) fn context() -> String {
    SCENE.with_borrow(|scene| scene.as_ref().map_or_else(|| "{}".to_owned(), |scene| scene.context.to_string()))
}

/// One entry of the context as JSON.
pub(crate) fn context_entry(name: &str) -> Option<String> {
    SCENE.with_borrow(|scene| scene.as_ref()?.context.get(name).map(Value::to_string))
}

/// Outside a scene nobody waits.
pub(crate) fn reply_wanted() -> bool {
    SCENE.with_borrow(|scene| scene.as_ref().is_some_and(|scene| scene.reply_wanted))
}

/// Outside a scene there is no time.
pub(crate) fn time_left_ms() -> u64 {
    SCENE.with_borrow(|scene| scene.as_ref().map_or(0, |scene| scene.time_left_ms))
}

/// Outside a scene nobody is there.
pub(crate) fn call(request: Request) -> Result<String, Error> {
    // Taken out, for whoever answers may use the stage.
    let services = SCENE.with_borrow_mut(|scene| {
        let scene = scene.as_mut()?;
        Some(mem::replace(&mut scene.services, Box::new(nobody)))
    });
    let Some(mut services) = services else { return nobody(&request).map(|value| value.to_string()) };
    let answer = services(&request);
    SCENE.with_borrow_mut(|scene| {
        if let Some(scene) = scene {
            scene.services = services;
        }
    });
    answer.map(|value| value.to_string())
}

/// One after the other: nobody can tell.
pub(crate) fn call_many(requests: Vec<Request>) -> Vec<Result<String, Error>> {
    requests.into_iter().map(call).collect()
}

/// Outside a scene it goes nowhere.
pub(crate) fn cast(request: Request) -> Result<(), Error> {
    SCENE.with_borrow_mut(|scene| match scene {
        Some(scene) => {
            scene.casts.push(request);
            Ok(())
        }
        None => nobody(&request).map(drop),
    })
}

/// There is no other service.
pub(crate) fn nobody(request: &Request) -> Result<Value, Error> {
    Err(Error::Unavailable(format!("nobody serves topic {}", request.target.topic)))
}

/// Outside a scene nothing is configured.
pub(crate) fn config(name: &str) -> Option<String> {
    SCENE.with_borrow(|scene| scene.as_ref()?.config.get(name).cloned())
}
