//! What the manifest gives the handler, in its section `config`.
//!
//! Values may be secrets: never log them, and never put them into a failure.

use std::{collections::BTreeMap, str::FromStr};

use crate::{Failure, imports};

/// One value; `None` where the manifest has no such name.
#[must_use]
pub fn get(name: &str) -> Option<String> {
    imports::config(name)
}

/// All values by their names.
#[must_use]
pub fn all() -> BTreeMap<String, String> {
    imports::config_all().into_iter().collect()
}

/// One value of another type than text, `default` where the manifest has no such name.
///
/// # Errors
///
/// A `RuntimeError` where the value cannot be read as a `T`. It names the value and does not repeat it.
pub fn get_or<T: FromStr>(name: &str, default: T) -> Result<T, Failure> {
    let Some(text) = get(name) else { return Ok(default) };
    let expected = std::any::type_name::<T>();
    text.parse().map_err(|_| Failure::builtin("RuntimeError", format!("config.{name} is not a {expected}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use crate::{Endpoint, Failure, Handler, Info, config, methods, testing::Request};

    struct Configured;

    impl Handler for Configured {
        const ENDPOINTS: &'static [Endpoint] =
            &[Endpoint { namespace: None, version: "1.0", methods: methods![attempts] }];
    }

    struct Everything;

    impl Handler for Everything {
        const ENDPOINTS: &'static [Endpoint] =
            &[Endpoint { namespace: None, version: "1.0", methods: methods![everything as "attempts"] }];
    }

    fn everything(_: (), _: &Info) -> Result<BTreeMap<String, String>, Failure> {
        Ok(config::all())
    }

    fn attempts(_: (), _: &Info) -> Result<u32, Failure> {
        config::get_or("max_attempts", 3)
    }

    #[test]
    fn a_value_is_typed_and_never_repeated() {
        let ask = || Request::new("attempts", json!({}));
        assert_eq!(ask().send::<Configured>().value(), Ok(json!(3)));
        assert_eq!(ask().config("max_attempts", "7").send::<Configured>().value(), Ok(json!(7)));
        let all = ask().config("a", "1").config("b", "2").send::<Everything>().value();
        assert_eq!(all, Ok(json!({"a": "1", "b": "2"})));
        let wrong = ask().config("max_attempts", "hush").send::<Configured>().value().unwrap_err();
        assert_eq!(wrong.to_string(), "RuntimeError: config.max_attempts is not a u32");
    }
}
