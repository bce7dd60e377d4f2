//! A loaded component that can be described and run.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use wasmtime::{
    Engine,
    component::{Component, Linker, types::ComponentItem},
};

use super::{
    Digest, LoadError, RequestInfo, Shared,
    bindings::{self, DynamicIndices, HANDLER, OFFERED},
    chain,
    failure::failure_of,
    fault::{Fault, ended},
    instance::Instances,
    limits::Limits,
    offer::{EndpointOffer, check},
    places::{Full, Place, Places},
    state::State,
    typed::{Decoded, Interface},
    wasi,
};
use crate::{
    capability::{GRANTABLE, Grants, Values},
    envelope::{Answer, Text, failure::BUILTINS},
    metrics::Handler,
};

/// `describe` is given less than a request: it only says what is known when the component is built.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Code that is ready to be instantiated, with its limits.
#[derive(Clone)]
pub struct Program {
    instances: Arc<Instances>,
    entry: Entry,
    errors_module: Arc<str>,
    places: Arc<Places>,
    digest: Digest,
    limits: Limits,
    imports: Vec<String>,
    exports: Vec<String>,
}

/// How requests get in.
#[derive(Clone)]
enum Entry {
    /// Through `nova:rpc/handler`.
    Dynamic(Arc<DynamicIndices>),
    /// Through the functions of the component's own interfaces.
    Typed(Arc<Interface>),
}

/// What its manifest says that a program may use and do.
#[derive(Clone, Debug)]
pub(super) struct Allowed {
    pub(super) limits: Limits,
    pub(super) grants: Arc<Grants>,
}

/// One request to a program.
#[derive(Debug)]
pub struct Invocation {
    /// The endpoint: its position in what `describe` returned.
    pub endpoint: u32,
    /// One of its methods.
    pub method: String,
    /// As the caller wrote it.
    pub namespace: Option<String>,
    /// As the caller wrote it.
    pub version: String,
    /// A JSON object.
    pub arguments: String,
    /// What else is known.
    pub info: RequestInfo,
    /// When it arrived: its time runs from there.
    pub since: Instant,
}

impl Program {
    pub(super) fn new(
        engine: &Engine,
        linker: &Linker<State>,
        component: &Component,
        shared: Arc<Shared>,
        digest: Digest,
        allowed: Allowed,
        metrics: Handler,
    ) -> Result<Self, LoadError> {
        let Allowed { limits, grants } = allowed;
        let world = component.component_type();
        let imports: Vec<String> = world.imports(engine).map(|(name, _)| name.to_owned()).collect();
        let exports = world.exports(engine).map(|(name, _)| name.to_owned()).collect();
        // Types that pass through the world's root are harmless; everything else must be an interface of ours.
        let refused: Vec<String> = world
            .imports(engine)
            .filter(|(_, import)| !matches!(import.ty, ComponentItem::Type(_)))
            .map(|(name, _)| name.to_owned())
            .filter(|name| !OFFERED.contains(&interface(name)) && !wasi::offers(name))
            .filter(|name| !grants.allows_import(interface(name)) || (name.starts_with("wasi:") && !wasi::is_0_2(name)))
            .collect();
        if !refused.is_empty() {
            let is_grantable = |name: &String| {
                GRANTABLE.iter().any(|(grantable, _)| *grantable == interface(name))
                    && (!name.starts_with("wasi:") || wasi::is_0_2(name))
            };
            let grantable = refused.iter().all(is_grantable);
            return Err(if grantable { LoadError::NotGranted(refused) } else { LoadError::Imports(refused) });
        }
        let refusing = wasi::refusing(linker, component, engine).map_err(|error| LoadError::World(chain(&error)))?;
        let linker = refusing.as_ref().unwrap_or(linker);
        let pre = linker.instantiate_pre(component).map_err(|error| LoadError::World(chain(&error)))?;
        // By our own look at the names: wasmtime would take another minor version for the same interface.
        let dynamic = world.exports(engine).any(|(name, _)| interface(name) == HANDLER);
        let entry = if dynamic {
            let indices = DynamicIndices::new(&pre).map_err(|error| LoadError::World(chain(&error)))?;
            Entry::Dynamic(Arc::new(indices))
        } else {
            Entry::Typed(Arc::new(Interface::read(engine, component)?))
        };
        let errors_module = Arc::from(BUILTINS);
        let places = Arc::new(Places::new(limits.concurrency, Arc::clone(&shared.room)));
        let instances = Arc::new(Instances::new(pre, shared, grants, metrics));
        Ok(Self { instances, entry, errors_module, places, digest, limits, imports, exports })
    }

    /// Asks the guest what it offers, and checks that it makes sense.
    ///
    /// # Errors
    ///
    /// [`LoadError::Describe`] and [`LoadError::Description`].
    pub async fn describe(&self) -> Result<Vec<EndpointOffer>, LoadError> {
        let offers = match &self.entry {
            Entry::Dynamic(indices) => self.ask(indices).await.map_err(LoadError::Describe)?,
            Entry::Typed(interface) => interface.offers(),
        };
        check(&offers).map_err(LoadError::Description)?;
        Ok(offers)
    }

    async fn ask(&self, indices: &DynamicIndices) -> Result<Vec<EndpointOffer>, Fault> {
        let limits = Limits { timeout: self.limits.timeout.min(DESCRIBE_TIMEOUT), ..self.limits.clone() };
        let offers = self.instances.run(&limits, Instant::now(), None, async |instance, store| {
            indices.load(&mut *store, instance)?.nova_rpc_handler().call_describe(store).await
        });
        let offer = |offer: bindings::Endpoint| EndpointOffer {
            namespace: offer.namespace,
            version: offer.version,
            methods: offer.methods,
        };
        Ok(offers.await?.into_iter().map(offer).collect())
    }

    /// Takes a place among the handler's requests, or waits for one as long as a request may take that arrived at
    /// `since`.
    ///
    /// # Errors
    ///
    /// [`Full`].
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, no place is taken.
    pub async fn enter(&self, since: Instant) -> Result<Place, Full> {
        self.places.enter((since + self.limits.timeout).into()).await
    }

    /// Runs one request within the limits: in a fresh instance or, where they allow it, in one that is left of another.
    ///
    /// # Errors
    ///
    /// [`Fault`] where the guest does not answer.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the instance ends where it is.
    pub async fn handle(&self, invocation: Invocation) -> Result<Answer, Fault> {
        let tape = invocation.info.tape.clone();
        let answer = match &self.entry {
            Entry::Dynamic(indices) => self.handle_dynamic(indices, invocation).await,
            Entry::Typed(interface) => self.handle_typed(interface, invocation).await,
        };
        // Of a fault: a line, and frames that are bounded.
        let bytes = answer.as_ref().map_or(0, Answer::length);
        tape.ends(bytes, || ended(&answer));
        answer
    }

    async fn handle_dynamic(&self, indices: &DynamicIndices, invocation: Invocation) -> Result<Answer, Fault> {
        let Invocation { endpoint, method, namespace, version, arguments, info, since } = invocation;
        let request = bindings::Request { endpoint, method, namespace, version, arguments };
        let answer = self.instances.run(&self.limits, since, Some(info), async |instance, store| {
            indices.load(&mut *store, instance)?.nova_rpc_handler().call_handle(store, &request).await
        });
        match answer.await? {
            Ok(result) => result_of(result, &self.limits).map(Answer::Result),
            Err(failure) => Ok(Answer::Failure(failure_of(failure, self.grants()))),
        }
    }

    async fn handle_typed(&self, interface: &Interface, invocation: Invocation) -> Result<Answer, Fault> {
        let Invocation { endpoint, method, arguments, info, since, .. } = invocation;
        let unknown = || Fault::Unavailable { reason: format!("it exports no {method}") };
        let method = interface.method(endpoint, &method).ok_or_else(unknown)?;
        let values = match method.decode(&arguments, &self.limits)? {
            Decoded::Values(values) => values,
            Decoded::Refused(failure) => return Ok(Answer::Failure(failure)),
        };
        drop(arguments);
        let returned = self.instances.run(&self.limits, since, Some(info), async |instance, store| {
            // What is returned is held as values before it is JSON; a limit on text would be too narrow for them.
            store.set_hostcall_fuel(method.fuel(&self.limits));
            let function = instance.get_func(&mut *store, method.index());
            let function = function.ok_or_else(|| wasmtime::Error::msg("an exported function is not there"))?;
            let mut returned = method.room();
            function.call_async(store, &values, &mut returned).await?;
            Ok(returned.pop())
        });
        method.answer(returned.await?, &self.errors_module, &self.limits, self.grants())
    }

    /// The same code for replays: given these values, and counted there. Like everything that is told a recording, it reaches nothing.
    #[must_use]
    pub fn rehearsing(&self, config: Values, metrics: Handler) -> Self {
        let instances = self.instances.others(Arc::new(Grants::told(config)), metrics);
        Self { instances: Arc::new(instances), ..self.clone() }
    }

    /// The same program, with another module for the exceptions that a typed handler's errors name.
    #[must_use]
    pub fn raising_in(self, module: Option<String>) -> Self {
        match module {
            Some(module) => Self { errors_module: module.into(), ..self },
            None => self,
        }
    }

    /// The module for the exceptions that a typed handler's errors name.
    #[must_use]
    pub fn errors_module(&self) -> &str {
        &self.errors_module
    }

    /// The types of its methods, where it is a typed handler.
    #[must_use]
    pub fn interface(&self) -> Option<&Interface> {
        match &self.entry {
            Entry::Dynamic(_) => None,
            Entry::Typed(interface) => Some(interface),
        }
    }

    /// Its instances.
    #[cfg(test)]
    pub(super) fn instances(&self) -> &Instances {
        &self.instances
    }

    /// The digest of the component.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The limits of each request.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What it may do beyond computing.
    #[must_use]
    pub fn grants(&self) -> &Arc<Grants> {
        self.instances.grants()
    }

    /// What is counted about the handler.
    #[must_use]
    pub fn metrics(&self) -> &Handler {
        self.instances.metrics()
    }

    /// The names of what it imports.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// The names of what it exports.
    #[must_use]
    pub fn exports(&self) -> &[String] {
        &self.exports
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("digest", &self.digest.short()).field("limits", &self.limits).finish()
    }
}

/// The name of an interface without its version.
fn interface(name: &str) -> &str {
    name.split('@').next().unwrap_or_default()
}

fn result_of(result: String, limits: &Limits) -> Result<Text, Fault> {
    if result.len() > limits.result.0 {
        return Err(Fault::ResultTooLarge { limit: limits.result });
    }
    Text::parse(result).map_err(|error| Fault::InvalidResult { reason: format!("not JSON: {error}") })
}
