//! Stand-ins for the host in native tests: each thread plays one request at a time.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    mem,
};

use serde_json::Value;

use crate::{
    http,
    log::Level,
    rpc::{Error, Request},
    trace::{SpanContext, Value as Attribute},
};

/// Fills a buffer with what the standard library keys its maps with.
pub(crate) fn random(buffer: &mut [u8]) {
    for part in buffer.chunks_mut(8) {
        let drawn = RandomState::new().build_hasher().finish().to_le_bytes();
        part.iter_mut().zip(drawn).for_each(|(place, byte)| *place = byte);
    }
}

/// What stands for the other services.
pub(crate) type Services = Box<dyn FnMut(&Request) -> Result<Value, Error>>;

/// What stands for the servers that are asked over HTTP.
pub(crate) type Web = Box<dyn FnMut(&http::Request) -> Result<http::Response, http::Error>>;

/// Keys and values.
pub(crate) type State = BTreeMap<String, Vec<u8>>;

/// Attributes of a span.
pub(crate) type Attributes = BTreeMap<String, Attribute>;

/// Events of a span, each with its attributes.
pub(crate) type Events = Vec<(String, Vec<(String, Attribute)>)>;

/// What a handler has done beside its result.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) log: Vec<(Level, String)>,
    pub(crate) casts: Vec<Request>,
    pub(crate) state: State,
    pub(crate) writes: BTreeMap<String, Option<Vec<u8>>>,
    pub(crate) attributes: Attributes,
    pub(crate) events: Events,
}

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
    /// Who answers over HTTP.
    pub(crate) web: Web,
    /// The manifest's values.
    pub(crate) config: BTreeMap<String, String>,
    /// What the handler keeps, as others see it.
    pub(crate) state: State,
    /// What it has set or deleted.
    pub(crate) writes: BTreeMap<String, Option<Vec<u8>>>,
    /// The casts, oldest first.
    pub(crate) casts: Vec<Request>,
    /// What ties the request to its trace.
    pub(crate) span_context: Option<SpanContext>,
    /// What was added to the span.
    pub(crate) attributes: Attributes,
    /// The same.
    pub(crate) events: Events,
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

/// Runs a handler in a scene; returns what it did beside.
pub(crate) fn play<T>(scene: Scene, handler: impl FnOnce() -> T) -> (T, Done) {
    let _curtain = Curtain(SCENE.with_borrow_mut(|stage| stage.replace(scene)));
    let result = handler();
    let done = SCENE.with_borrow_mut(|stage| {
        stage.as_mut().map(|scene| Done {
            log: mem::take(&mut scene.log),
            casts: mem::take(&mut scene.casts),
            state: mem::take(&mut scene.state),
            writes: mem::take(&mut scene.writes),
            attributes: mem::take(&mut scene.attributes),
            events: mem::take(&mut scene.events),
        })
    });
    (result, done.unwrap_or_default())
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

/// Outside a scene it is nobody's.
pub(crate) fn set_attribute(key: &str, value: Attribute) {
    SCENE.with_borrow_mut(|scene| scene.as_mut().map(|scene| scene.attributes.insert(key.to_owned(), value)));
}

/// The same.
pub(crate) fn add_event(name: &str, attributes: Vec<(String, Attribute)>) {
    SCENE.with_borrow_mut(|scene| scene.as_mut().map(|scene| scene.events.push((name.to_owned(), attributes))));
}

/// A test sees everything.
pub(crate) fn is_recording() -> bool {
    SCENE.with_borrow(Option::is_some)
}

/// Outside a scene there is no trace.
pub(crate) fn span_context() -> Option<SpanContext> {
    SCENE.with_borrow(|scene| scene.as_ref()?.span_context.clone())
}

/// The failure itself says so: there is no host to be told.
pub(crate) fn decline() {}

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

/// Outside a scene nobody answers.
pub(crate) fn fetch(request: http::Request) -> Result<http::Response, http::Error> {
    let web = SCENE.with_borrow_mut(|scene| Some(mem::replace(&mut scene.as_mut()?.web, Box::new(nothing))));
    let Some(mut web) = web else { return nothing(&request) };
    let answer = web(&request);
    SCENE.with_borrow_mut(|scene| {
        if let Some(scene) = scene {
            scene.web = web;
        }
    });
    answer
}

/// There is no server.
pub(crate) fn nothing(request: &http::Request) -> Result<http::Response, http::Error> {
    Err(http::Error::Unavailable(format!("nobody answers {}", request.url)))
}

/// All values that are configured.
pub(crate) fn config_all() -> Vec<(String, String)> {
    let all = |scene: &Scene| scene.config.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    SCENE.with_borrow(|scene| scene.as_ref().map(all).unwrap_or_default())
}

/// Outside a scene nothing is configured.
pub(crate) fn config(name: &str) -> Option<String> {
    SCENE.with_borrow(|scene| scene.as_ref()?.config.get(name).cloned())
}

/// A value, as the request itself sees it.
pub(crate) fn state_get(key: &str) -> Result<Option<Vec<u8>>, String> {
    on_stage(|scene| scene.writes.get(key).cloned().unwrap_or_else(|| scene.state.get(key).cloned()))
}

/// Whether there is a value.
pub(crate) fn state_exists(key: &str) -> Result<bool, String> {
    Ok(state_get(key)?.is_some())
}

/// Sets a value, or takes it away; a test is over before any time is.
pub(crate) fn state_set(key: &str, value: Option<&[u8]>, _time: Option<std::time::Duration>) -> Result<(), String> {
    on_stage(|scene| drop(scene.writes.insert(key.to_owned(), value.map(<[u8]>::to_vec))))
}

/// Adds to a number.
pub(crate) fn state_increment(key: &str, delta: i64) -> Result<i64, String> {
    let sum = on_stage(|scene| {
        let value = scene.state.get(key).map_or(Some("0"), |value| std::str::from_utf8(value).ok());
        let sum = value.and_then(|text| text.parse::<i64>().ok())?.checked_add(delta)?;
        scene.state.insert(key.to_owned(), sum.to_string().into_bytes());
        Some(sum)
    });
    sum?.ok_or_else(|| "the value is not a number that can be added to".to_owned())
}

/// Exchanges a value.
pub(crate) fn state_swap(key: &str, current: Option<&[u8]>, next: Option<&[u8]>) -> Result<bool, String> {
    on_stage(|scene| {
        let is_current = scene.state.get(key).map(Vec::as_slice) == current;
        if is_current {
            match next {
                Some(next) => drop(scene.state.insert(key.to_owned(), next.to_vec())),
                None => drop(scene.state.remove(key)),
            }
        }
        is_current
    })
}

/// All keys at once.
pub(crate) fn state_keys(_cursor: Option<String>) -> Result<(Vec<String>, Option<String>), String> {
    on_stage(|scene| (scene.state.keys().cloned().collect(), None))
}

/// Outside a scene there is no store.
fn on_stage<T>(act: impl FnOnce(&mut Scene) -> T) -> Result<T, String> {
    SCENE.with_borrow_mut(|scene| scene.as_mut().map(act)).ok_or_else(|| "there is no store".to_owned())
}
