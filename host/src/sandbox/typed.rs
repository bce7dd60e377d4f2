//! Typed handlers: every function of the interfaces that a component exports is a method, and WIT's types are its
//! arguments and its result. docs/wit-mapping.md has the mapping as a table.
//!
//! Before it: [`Program`](super::Program) has a component that does not export `nova:rpc/handler`. [`names`] and
//! [`types`] describe it once, at load; for each request, [`decode`] makes values of the arguments before any guest code
//! runs, and [`encode`] and [`errors`] make an answer of what the function returned.

mod base64;
mod cost;
mod decode;
mod encode;
mod errors;
mod mistake;
pub mod names;
mod text;
pub mod types;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use wasmtime::{
    Engine,
    component::{
        Component, ComponentExportIndex, Val,
        types::{ComponentFunc, ComponentItem},
    },
};

use self::{
    decode::{Decoder, Stop},
    encode::Encoder,
    errors::Raised,
    names::{Names, camel, exported, snake},
    types::{Fields, Reader, Type},
};
use super::{fault::Fault, limits::Limits, offer::EndpointOffer};
use crate::{
    capability::Grants,
    envelope::{Answer, Failure, Text},
};

/// The methods of a typed handler, by what it exports.
#[derive(Debug)]
pub struct Interface {
    endpoints: Vec<Endpoint>,
}

/// One exported interface.
#[derive(Debug)]
pub struct Endpoint {
    /// What it is exported as, such as `acme:conductor/compute-task@1.5.2`.
    pub export: String,
    /// Its class, as it stands before a method in Python's messages, such as `ComputeTask`.
    pub class: String,
    /// The namespace; `None` is the null namespace.
    pub namespace: Option<String>,
    /// `MAJOR.MINOR`.
    pub version: String,
    /// By their names.
    pub methods: BTreeMap<String, Arc<Method>>,
    /// The names that the interface gives to records, variants, enums and flags, in Python's manner.
    pub type_names: HashMap<Type, String>,
}

/// One exported function.
#[derive(Debug)]
pub struct Method {
    /// Its parameters.
    pub parameters: Fields,
    /// What a call results in; `None` is `null`.
    pub result: Option<Type>,
    /// What it raises, where it returns a `result`.
    pub raises: Option<Raises>,
    /// `ComputeTask.build_instances()`.
    call: String,
    /// All that it returns, failures included.
    returned: Option<Type>,
    index: ComponentExportIndex,
}

/// How a function fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raises {
    /// Without a value: `RuntimeError`.
    Nothing,
    /// A string, the message of a `RuntimeError`.
    Text,
    /// The shared record `failure`.
    Failure,
    /// An enum: the case names the class.
    Enum(Names),
    /// A variant: the case names the class, its value the arguments.
    Variant(types::Cases),
}

/// Why a component cannot be served as it is typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing to serve.
    #[error(
        "exports neither nova:rpc/handler nor an interface of its own with functions, such as acme:inventory/api@1.0.0{}",
        exporting(.0)
    )]
    Nothing(Vec<String>),
    /// A type that JSON has no values for.
    #[error("exports {export}, whose {place} {reason}")]
    Type {
        /// The interface.
        export: String,
        /// The function and where in it.
        place: String,
        /// What is wrong.
        reason: types::Error,
    },
    /// Something that is no plain function.
    #[error("exports {export}, whose {item} is {kind}, which cannot be called with JSON")]
    Item {
        /// The interface.
        export: String,
        /// The item.
        item: String,
        /// What it is.
        kind: &'static str,
    },
    /// An error type that is no exception.
    #[error(
        "exports {export}, whose {function} fails with {found}: an error is a string, an enum, a variant or the record \
         failure of nova:rpc/types"
    )]
    Raises {
        /// The interface.
        export: String,
        /// The function.
        function: String,
        /// The type, as in WIT.
        found: String,
    },
}

fn exporting(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; what it exports: {}", names.join(", ")) }
}

impl Interface {
    /// Reads the types of every exported interface that is the component's own.
    pub(super) fn read(engine: &Engine, component: &Component) -> Result<Self, Error> {
        let world = component.component_type();
        let mut reader = Reader::new();
        let mut endpoints = Vec::new();
        for (export, item) in world.exports(engine) {
            let ComponentItem::ComponentInstance(instance) = item.ty else { continue };
            let (Some(named), Some(index)) = (exported(export), component.get_export_index(None, export)) else {
                continue;
            };
            let mut endpoint = Endpoint {
                export: export.to_owned(),
                class: camel(&named.interface),
                namespace: named.namespace,
                version: named.version,
                methods: BTreeMap::new(),
                type_names: HashMap::new(),
            };
            for (name, item) in instance.exports(engine) {
                let at = |kind| Error::Item { export: export.to_owned(), item: name.to_owned(), kind };
                match item.ty {
                    ComponentItem::ComponentFunc(function) => {
                        let index = component.get_export_index(Some(&index), name).ok_or_else(|| at("missing"))?;
                        let method = endpoint.method(&mut reader, name, &function, index)?;
                        endpoint.methods.insert(snake(name), Arc::new(method));
                    }
                    ComponentItem::Type(ty) => {
                        let ty = reader.read(&ty).map_err(|reason| endpoint.wrong(&format!("type {name}"), reason))?;
                        // Plain types of the same shape are the same: a name would be as good as any other.
                        if matches!(ty, Type::Record(_) | Type::Variant(_) | Type::Enum(_) | Type::Flags(_)) {
                            endpoint.type_names.entry(ty).or_insert_with(|| camel(name));
                        }
                    }
                    ComponentItem::Resource(_) => return Err(at("a resource")),
                    _ => return Err(at("no function")),
                }
            }
            if !endpoint.methods.is_empty() {
                endpoints.push(endpoint);
            }
        }
        if endpoints.is_empty() {
            return Err(Error::Nothing(world.exports(engine).map(|(name, _)| name.to_owned()).collect()));
        }
        Ok(Self { endpoints })
    }

    /// The exported interfaces, in the component's order; their positions are the endpoints'.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// What the catalog is told.
    pub(super) fn offers(&self) -> Vec<EndpointOffer> {
        let offer = |endpoint: &Endpoint| EndpointOffer {
            namespace: endpoint.namespace.clone(),
            version: endpoint.version.clone(),
            methods: endpoint.methods.keys().cloned().collect(),
        };
        self.endpoints.iter().map(offer).collect()
    }

    /// The method of a request.
    pub(super) fn method(&self, endpoint: u32, method: &str) -> Option<Arc<Method>> {
        self.endpoints.get(usize::try_from(endpoint).ok()?)?.methods.get(method).map(Arc::clone)
    }
}

impl Endpoint {
    fn wrong(&self, place: &str, reason: types::Error) -> Error {
        Error::Type { export: self.export.clone(), place: place.to_owned(), reason }
    }

    fn method(
        &self,
        reader: &mut Reader,
        name: &str,
        function: &ComponentFunc,
        index: ComponentExportIndex,
    ) -> Result<Method, Error> {
        let of_function = |place: &str| format!("function {name}{place}");
        if function.async_() {
            return Err(Error::Item { export: self.export.clone(), item: of_function(""), kind: "async" });
        }
        reader.count().map_err(|reason| self.wrong(&of_function(""), reason))?;
        let mut types = Vec::new();
        for (parameter, ty) in function.params() {
            let ty = reader.read(&ty);
            types.push(ty.map_err(|reason| self.wrong(&of_function(&format!("'s parameter {parameter}")), reason))?);
        }
        let parameters = Fields { names: Names::new(function.params().map(|(name, _)| name)), types };
        let returned = function.results().next().map(|ty| reader.read(&ty)).transpose();
        let returned = returned.map_err(|reason| self.wrong(&of_function("'s result"), reason))?;
        let (result, raises) = match returned.clone() {
            Some(Type::Result(sides)) => {
                let (ok, err) = *sides;
                (ok, Some(self.raises(name, err)?))
            }
            plain => (plain, None),
        };
        let call = format!("{}.{}()", self.class, snake(name));
        Ok(Method { parameters, result, raises, call, returned, index })
    }

    fn raises(&self, function: &str, error: Option<Type>) -> Result<Raises, Error> {
        Ok(match error {
            None => Raises::Nothing,
            Some(Type::String) => Raises::Text,
            Some(ty) if ty.is_failure() => Raises::Failure,
            Some(Type::Enum(names)) => Raises::Enum(names),
            Some(Type::Variant(cases)) => Raises::Variant(cases),
            Some(other) => {
                let found = text::of_type(&other, &self.type_names);
                return Err(Error::Raises { export: self.export.clone(), function: function.to_owned(), found });
            }
        })
    }

    /// A type as a person reads it: by its name, or as in WIT.
    #[must_use]
    pub fn type_text(&self, ty: &Type) -> String {
        text::of_type(ty, &self.type_names)
    }

    /// A method as a person reads it: `build_instances(count: u32, host: option<string>) -> list<string>`.
    #[must_use]
    pub fn signature(&self, name: &str, method: &Method) -> String {
        text::of_method(name, method, &self.type_names)
    }
}

impl Raises {
    /// The classes of the exceptions, where the types say which they are.
    #[must_use]
    pub fn classes(&self) -> Vec<String> {
        match self {
            Self::Nothing | Self::Text => vec![errors::CLASS.to_owned()],
            Self::Failure => Vec::new(),
            Self::Enum(names) | Self::Variant(types::Cases { names, .. }) => names.iter().map(camel).collect(),
        }
    }
}

/// What a request's arguments became.
pub(super) enum Decoded {
    /// Values for the function.
    Values(Vec<Val>),
    /// The caller's `TypeError`.
    Refused(Failure),
}

impl Method {
    /// Makes values of the arguments, a JSON object, before any guest code runs. They may take as much of this process
    /// as the guest may take memory: it would have to hold them as well.
    pub(super) fn decode(&self, arguments: &str, limits: &Limits) -> Result<Decoded, Fault> {
        let refused = |message| Ok(Decoded::Refused(Failure::builtin("TypeError", message)));
        match Decoder::new(limits.memory.0).members(&self.parameters, arguments) {
            Ok(values) => Ok(Decoded::Values(values)),
            Err(Stop::TooLarge) => Err(Fault::OutOfMemory { limit: limits.memory, frames: Vec::new() }),
            Err(Stop::Mistake(mistake)) => {
                // Python looks at the names first, all of them, whatever the values are.
                refused(self.wrong_names(arguments).unwrap_or_else(|| mistake.in_call(&self.call)))
            }
        }
    }

    /// Python's words where the arguments' names are not the parameters'.
    fn wrong_names(&self, arguments: &str) -> Option<String> {
        let given = decode::names(arguments)?;
        let Fields { names, types } = &self.parameters;
        if let Some(name) = given.iter().find(|name| names.find(name, usize::MAX).is_none()) {
            return Some(mistake::unexpected_argument(&self.call, name));
        }
        let given: HashSet<&str> = given.iter().map(String::as_str).collect();
        let needed = names.iter().zip(types).filter(|(_, ty)| !matches!(ty, Type::Option(_))).map(|(name, _)| name);
        let missing: Vec<&str> = needed.filter(|name| !given.contains(*name)).collect();
        (!missing.is_empty()).then(|| mistake::missing_arguments(&self.call, &missing))
    }

    /// Where the function is.
    pub(super) fn index(&self) -> &ComponentExportIndex {
        &self.index
    }

    /// What wasmtime may count for what the function returns, in bytes.
    pub(super) fn fuel(&self, limits: &Limits) -> usize {
        cost::fuel(self.returned.as_ref(), limits)
    }

    /// Room for what the function returns.
    pub(super) fn room(&self) -> Vec<Val> {
        if self.returned.is_some() { vec![Val::Bool(false)] } else { Vec::new() }
    }

    /// Makes an answer of what the function returned. `module` is that of the exceptions that cases name.
    pub(super) fn answer(
        &self,
        returned: Option<Val>,
        module: &str,
        limits: &Limits,
        grants: &Grants,
    ) -> Result<Answer, Fault> {
        let ok = match (returned, &self.raises) {
            (Some(Val::Result(Err(error))), Some(raises)) => {
                let raised = Raised { raises, module, call: &self.call, limit: limits.result, grants };
                return raised.failure(error.map(|error| *error)).map(Answer::Failure);
            }
            (Some(Val::Result(Ok(value))), Some(_)) => value.map(|value| *value),
            (returned, _) => returned,
        };
        let (Some(ty), Some(value)) = (&self.result, ok) else { return Ok(Answer::Result(Text::null())) };
        let text = Encoder::new(limits.result.0).value(ty, &value);
        text.map_err(|mistake| invalid(mistake.in_result())).and_then(json).map(Answer::Result)
    }
}

fn invalid(reason: String) -> Fault {
    Fault::InvalidResult { reason }
}

fn json(text: String) -> Result<Text, Fault> {
    Text::parse(text).map_err(|error| invalid(format!("not JSON: {error}")))
}

#[cfg(test)]
mod tests;
