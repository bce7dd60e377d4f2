//! The component's export: the host's `describe` and `handle`, answered from a handler's table.
//!
//! Before it: the host. After it: [`handler::handle`](crate::handler::handle).

use std::panic::{self, PanicHookInfo};

use crate::{
    Failure, Handler, Info,
    bindings::exports::nova::rpc::handler::{self as wit, Guest},
    handler, imports,
};

impl<H: Handler> Guest for H {
    fn describe() -> Vec<wit::Endpoint> {
        panic::set_hook(Box::new(report));
        let name = |method: &crate::Method| method.name.to_owned();
        let endpoint = |endpoint: &crate::Endpoint| wit::Endpoint {
            namespace: endpoint.namespace.map(str::to_owned),
            version: endpoint.version.to_owned(),
            methods: endpoint.methods.iter().map(name).collect(),
        };
        H::ENDPOINTS.iter().map(endpoint).collect()
    }

    fn handle(request: wit::Request) -> Result<String, wit::Failure> {
        panic::set_hook(Box::new(report));
        let info = Info::new(request.method, request.namespace, request.version);
        let endpoint = usize::try_from(request.endpoint).unwrap_or(usize::MAX);
        handler::handle::<H>(endpoint, &info, &request.arguments).map_err(wit::Failure::from)
    }
}

impl From<Failure> for wit::Failure {
    fn from(failure: Failure) -> Self {
        let (message, args, kwargs) = failure.told();
        Self {
            class: failure.class().to_owned(),
            module: failure.module().to_owned(),
            message: message.to_owned(),
            args,
            kwargs,
            traceback: failure.traceback().to_vec(),
        }
    }
}

/// Tells the host what a panic says. The trap that follows says only that there was one.
fn report(panic: &PanicHookInfo<'_>) {
    let text = panic.payload_as_str().unwrap_or("(no text)");
    match panic.location() {
        Some(location) => imports::panicking(&format!("panicked at {location}: {text}")),
        None => imports::panicking(&format!("panicked: {text}")),
    }
}
