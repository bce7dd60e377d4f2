//! What a handler offers: a table of endpoints and methods, written once as a constant.
//!
//! The host calls `describe` when it loads the component and `handle` for every request; both read this table. It is
//! static, because an instance lives for one request only and must not spend it on setting up.

use crate::{Call, Failure, Info, Reply};

/// A type that answers requests.
///
/// It is only a name for its table: nothing creates a value of it.
pub trait Handler {
    /// Everything that is offered. A request names its endpoint by the position here.
    const ENDPOINTS: &'static [Endpoint];

    /// Returns the class name that callers read in argument errors: by default the type's own name.
    #[must_use]
    fn class() -> &'static str {
        let name = std::any::type_name::<Self>();
        name.rsplit("::").next().unwrap_or(name)
    }
}

/// A group of methods under one namespace and version.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// `None` is the null namespace, which is not the same as `""`.
    pub namespace: Option<&'static str>,
    /// `MAJOR.MINOR`. It answers requests for this major version and this or a lower minor version.
    pub version: &'static str,
    /// The methods, usually from [`methods!`](crate::methods).
    pub methods: &'static [Method],
}

/// One method: a name and the function behind it.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Call<'_>) -> Reply,
}

impl Method {
    /// Names a function: `Method::new("add", |call| call.run(add))`, for which [`methods!`](crate::methods) is shorter.
    #[must_use]
    pub const fn new(name: &'static str, run: fn(Call<'_>) -> Reply) -> Self {
        Self { name, run }
    }
}

/// Lists methods by the names of their functions: `methods![add, divide, run_forever as "loop"]`.
#[macro_export]
macro_rules! methods {
    (@name $function:ident) => { stringify!($function) };
    (@name $function:ident $name:literal) => { $name };
    ($($function:ident $(as $name:literal)?),* $(,)?) => {
        &[$($crate::Method::new($crate::methods!(@name $function $($name)?), |call| call.run($function))),*]
    };
}

/// Makes a component of a handler: `nova_guest::export!(Calculator);`, once in a crate.
///
/// Natively it does nothing, so that the crate also links and its tests run without WebAssembly.
#[macro_export]
macro_rules! export {
    ($handler:ident) => {
        #[cfg(target_family = "wasm")]
        $crate::bindings::export!($handler with_types_in $crate::bindings);
    };
}

/// Runs one request that the host has matched to an endpoint of `H`.
pub(crate) fn handle<H: Handler>(endpoint: usize, info: &Info, arguments: &str) -> Reply {
    let methods = H::ENDPOINTS.get(endpoint).map_or(&[][..], |endpoint| endpoint.methods);
    // The host asks only for what `describe` returned, so this is a fault of the host's, not a caller's.
    let Some(method) = methods.iter().find(|method| method.name == info.method()) else {
        return Err(Failure::no_such_method(info.method()));
    };
    (method.run)(Call::new(H::class(), info, arguments)).map_err(|failure| failure.carried_out(info.method()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Twice;

    impl Handler for Twice {
        const ENDPOINTS: &'static [Endpoint] = &[
            Endpoint { namespace: None, version: "1.0", methods: methods![low] },
            Endpoint { namespace: None, version: "2.0", methods: methods![high as "low", low as "lower",] },
        ];
    }

    fn low(_: (), _: &Info) -> Result<&'static str, Failure> {
        Ok("low")
    }

    fn high(_: (), _: &Info) -> Result<&'static str, Failure> {
        Ok("high")
    }

    #[test]
    fn the_endpoint_decides_between_methods_of_one_name() {
        let info = Info::new("low".to_owned(), None, "1.0".to_owned());
        assert_eq!(handle::<Twice>(0, &info, "{}").unwrap(), r#""low""#);
        assert_eq!(handle::<Twice>(1, &info, "{}").unwrap(), r#""high""#);
        assert_eq!(handle::<Twice>(2, &info, "{}").unwrap_err().class(), "NoSuchMethod");
    }

    #[test]
    fn a_handler_is_called_by_the_name_of_its_type() {
        assert_eq!(Twice::class(), "Twice");
    }
}
