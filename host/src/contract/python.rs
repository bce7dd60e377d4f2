//! A Python module with a class for each endpoint and a method for each method, on oslo.messaging, with type hints.
//!
//! It runs on Python 3.9 and needs nothing but oslo.messaging.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
};

use super::{Served, type_names};
use crate::{
    sandbox::typed::{
        Endpoint, Method,
        names::camel,
        types::{Cases, Fields, Type},
    },
    version::python_repr,
};

/// Words that are no names in Python, and names that mean something else in the functions written here.
const RESERVED: [&str; 39] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "ctxt", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda",
    "nonlocal", "not", "or", "pass", "raise", "return", "self", "try", "while", "with", "yield", "client", "prepare",
];

const HEAD: &str = "
import typing

import oslo_messaging


class _Client:
    \"\"\"What all clients here have in common.\"\"\"

    NAMESPACE = None
    VERSION = None

    def __init__(self, transport, topic, exchange=\"nova\"):
        target = oslo_messaging.Target(
            exchange=exchange, topic=topic, namespace=self.NAMESPACE, version=self.VERSION
        )
        self.client = oslo_messaging.get_rpc_client(transport, target)

    def prepare(self, **options):
        \"\"\"The same client with other options of oslo.messaging, such as timeout or server.\"\"\"
        other = type(self).__new__(type(self))
        other.client = self.client.prepare(**options)
        return other
";

/// The text of the module. Only typed endpoints are in it.
#[must_use]
pub fn module(handler: &str, endpoints: &[Served<'_>]) -> String {
    let handler: String = handler.chars().filter(|c| c.is_ascii_alphanumeric() || "_-.".contains(*c)).collect();
    let mut module =
        format!("\"\"\"Clients of the handler {handler}, as `nova-host schema --python` wrote them.\"\"\"\n{HEAD}");
    let names = type_names(endpoints);
    let mut written = HashSet::new();
    let mut classes = HashSet::new();
    for (served, names) in endpoints.iter().zip(&names) {
        let Some(endpoint) = served.types else { continue };
        let mut writer = Writer { names, written: &mut written, definitions: String::new() };
        let methods = (served.methods.iter())
            .filter_map(|name| Some(writer.method(name, endpoint, endpoint.methods.get(name)?)))
            .collect::<String>();
        module.push_str(&writer.definitions);
        let mut class = endpoint.class.clone();
        if names.values().any(|name| *name == class) || !classes.insert(class.clone()) {
            class = format!("{class}Client{}", served.version.to_string().replace('.', "_"));
        }
        let namespace = served.namespace.as_ref().map_or_else(|| "None".to_owned(), |name| python_repr(name));
        write!(
            module,
            "\n\nclass {class}(_Client):\n    \"\"\"{}\"\"\"\n\n    NAMESPACE = {namespace}\n    VERSION = \"{}\"\n{methods}",
            endpoint.export, served.version
        )
        .ok();
    }
    module
}

struct Writer<'a> {
    names: &'a HashMap<&'a Type, String>,
    /// Types whose definitions stand already.
    written: &'a mut HashSet<String>,
    definitions: String,
}

impl Writer<'_> {
    fn method(&mut self, name: &str, endpoint: &Endpoint, method: &Method) -> String {
        let (mut parameters, mut arguments) = (String::new(), String::new());
        let Fields { names, types } = &method.parameters;
        for (parameter, ty) in names.iter().zip(types) {
            let default = if matches!(ty, Type::Option(_)) { " = None" } else { "" };
            let variable = variable(parameter);
            write!(parameters, ", {variable}: {}{default}", self.hint(ty)).ok();
            write!(
                arguments,
                ", {}",
                if variable == parameter {
                    format!("{parameter}={variable}")
                } else {
                    format!("**{{\"{parameter}\": {variable}}}")
                }
            )
            .ok();
        }
        // Arguments go by their names, and one with a default may stand before one without.
        let star = if parameters.is_empty() { "" } else { ", *" };
        let result = method.result.as_ref().map_or_else(|| "None".to_owned(), |ty| self.hint(ty));
        format!(
            "\n    def {}(self, ctxt{star}{parameters}) -> {result}:\n        \"\"\"{}\"\"\"\n        \
             return self.client.call(ctxt, \"{name}\"{arguments})\n",
            variable(name),
            endpoint.signature(name, method),
        )
    }

    /// The hint for a type; what it refers to is defined first.
    fn hint(&mut self, ty: &Type) -> String {
        if let Some(name) = self.names.get(ty) {
            let name = variable(name);
            if self.written.insert(name.clone()) {
                let definition = self.definition(&name, ty);
                self.definitions.push_str(&definition);
            }
            return name;
        }
        match ty {
            Type::Bool => "bool".to_owned(),
            Type::Integer(_) => "int".to_owned(),
            Type::F32 | Type::F64 => "float".to_owned(),
            // Bytes are base64 text.
            Type::Char | Type::String | Type::Bytes => "str".to_owned(),
            Type::List(item) => format!("typing.List[{}]", self.hint(item)),
            // JSON has lists only.
            Type::Tuple(types) => {
                let hints: Vec<String> = types.iter().map(|ty| self.hint(ty)).collect();
                format!("typing.List[typing.Union[{}]]", hints.join(", "))
            }
            Type::Map(types) => format!("typing.Dict[str, {}]", self.hint(&types.1)),
            Type::Enum(names) => literal(names.iter()),
            Type::Flags(names) => format!("typing.List[{}]", literal(names.iter())),
            Type::Option(inner) => format!("typing.Optional[{}]", self.hint(inner)),
            Type::Some(inner) => format!("typing.Dict[typing.Literal[\"some\"], {}]", self.hint(inner)),
            Type::Result(_) | Type::Record(_) | Type::Variant(_) => "typing.Dict[str, typing.Any]".to_owned(),
            Type::Json => "typing.Any".to_owned(),
        }
    }

    fn definition(&mut self, name: &str, ty: &Type) -> String {
        match ty {
            Type::Record(fields) => self.record(name, fields),
            Type::Variant(cases) => self.variant(name, cases),
            Type::Enum(names) => format!("\n{name} = {}\n", literal(names.iter())),
            Type::Flags(names) => format!("\n{name} = typing.List[{}]\n", literal(names.iter())),
            _ => String::new(),
        }
    }

    fn record(&mut self, name: &str, fields: &Fields) -> String {
        let (mut required, mut optional) = (String::new(), String::new());
        for (field, ty) in fields.names.iter().zip(&fields.types) {
            let list = if matches!(ty, Type::Option(_)) { &mut optional } else { &mut required };
            write!(list, "\n        \"{field}\": {},", self.hint(ty)).ok();
        }
        // As functions, since a key may be a word of Python's.
        let typed_dict = |name: &str, fields: &str, total: &str| {
            format!("\n{name} = typing.TypedDict(\n    \"{name}\",\n    {{{fields}\n    }},{total}\n)\n")
        };
        if optional.is_empty() {
            return typed_dict(name, &required, "");
        }
        let (first, second) = (format!("_{name}Required"), format!("_{name}Optional"));
        format!(
            "{}{}\n\nclass {name}({first}, {second}):\n    pass\n",
            typed_dict(&first, &required, ""),
            typed_dict(&second, &optional, "\n    total=False,"),
        )
    }

    fn variant(&mut self, name: &str, cases: &Cases) -> String {
        let mut text = String::new();
        let mut choices = Vec::new();
        for (case, ty) in cases.names.iter().zip(&cases.types) {
            match ty {
                None => choices.push(format!("typing.Literal[\"{case}\"]")),
                Some(ty) => {
                    // No name of WIT's begins like this.
                    let class = format!("_{name}{}", camel(case));
                    write!(text, "\n{class} = typing.TypedDict(\"{class}\", {{\"{case}\": {}}})\n", self.hint(ty)).ok();
                    choices.push(class);
                }
            }
        }
        write!(text, "\n{name} = typing.Union[{}]\n", choices.join(", ")).ok();
        text
    }
}

fn literal<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("typing.Literal[{}]", names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "))
}

/// A name that Python takes.
fn variable(name: &str) -> String {
    if RESERVED.contains(&name) { format!("{name}_") } else { name.to_owned() }
}
