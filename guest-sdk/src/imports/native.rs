//! Stand-ins for the host in native tests: each thread plays one request at a time.

use std::{cell::RefCell, mem};

use serde_json::Value;

use crate::log::Level;

/// What the host would know about a request, and what the handler has logged so far.
#[derive(Debug)]
pub(crate) struct Scene {
    /// The request context: a JSON object.
    pub(crate) context: Value,
    /// Whether the caller waits.
    pub(crate) reply_wanted: bool,
    /// Milliseconds.
    pub(crate) time_left_ms: u64,
    /// The lines, oldest first.
    pub(crate) log: Vec<(Level, String)>,
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

/// Runs a handler in a scene and returns what it logged.
pub(crate) fn play<T>(scene: Scene, handler: impl FnOnce() -> T) -> (T, Vec<(Level, String)>) {
    let _curtain = Curtain(SCENE.with_borrow_mut(|stage| stage.replace(scene)));
    let result = handler();
    let log = SCENE.with_borrow_mut(|stage| stage.as_mut().map(|scene| mem::take(&mut scene.log)));
    (result, log.unwrap_or_default())
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
