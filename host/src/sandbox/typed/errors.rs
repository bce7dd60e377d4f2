//! A function's error → the exception that its caller meets.

use wasmtime::component::Val;

use super::{
    Raises,
    encode::Encoder,
    invalid,
    mistake::Mistake,
    names::{Names, camel},
    types::{FAILURE_FIELDS, Fields, Type},
};
use crate::{
    capability::Grants,
    envelope::{Failure, Text, failure::BUILTINS},
    sandbox::{
        bindings,
        failure::{cut, failure_of},
        fault::Fault,
    },
    settings::Bytes,
};

/// The class of an error that names none: Python's for "none of the other categories".
pub(super) const CLASS: &str = "RuntimeError";

/// The member of a case's record that is the exception's message.
const MESSAGE: &str = "message";

/// No keyword arguments.
const NONE: &str = "{}";

/// What is needed to make an exception of an error.
pub(super) struct Raised<'a> {
    pub(super) raises: &'a Raises,
    /// The module of the classes that cases name.
    pub(super) module: &'a str,
    /// Who fails, for an error without words.
    pub(super) call: &'a str,
    /// Bytes of the exception, all its parts together.
    pub(super) limit: Bytes,
    /// Whose secrets the exception must not tell.
    pub(super) grants: &'a Grants,
}

impl Raised<'_> {
    /// Makes an exception of the error's value.
    pub(super) fn failure(&self, error: Option<Val>) -> Result<Failure, Fault> {
        match (self.raises, error) {
            (Raises::Nothing, _) => Ok(self.plain(format!("{} failed", self.call))),
            (Raises::Text, Some(Val::String(message))) => self.fits(&[&message]).map(|()| self.plain(message)),
            (Raises::Failure, Some(Val::Record(fields))) => {
                let failure = shared(fields)?;
                let bindings::Failure { class, module, message, args, kwargs, traceback } = &failure;
                let texts = [class, module, message, args, kwargs].into_iter().chain(traceback);
                self.fits(&texts.map(String::as_str).collect::<Vec<_>>())?;
                Ok(failure_of(failure, self.grants))
            }
            (Raises::Enum(names), Some(Val::Enum(name))) => self.case(names, &name, None),
            (Raises::Variant(cases), Some(Val::Variant(name, value))) => {
                let ty = cases.names.find_wit(&name).and_then(|at| cases.types.get(at)?.as_ref());
                self.case(&cases.names, &name, ty.zip(value.as_deref()))
            }
            // wasmtime has checked the value against the type.
            _ => Err(invalid("an error of another type than the interface says".to_owned())),
        }
    }

    /// Holds what the guest says against the limit.
    fn fits(&self, texts: &[&str]) -> Result<(), Fault> {
        let length = texts.iter().fold(0_usize, |sum, text| sum.saturating_add(text.len()));
        if length > self.limit.0 { Err(Fault::ResultTooLarge { limit: self.limit }) } else { Ok(()) }
    }

    /// An error that names no class.
    fn plain(&self, message: String) -> Failure {
        let message = cut(message, self.grants);
        let args = only(&message);
        self.make(BUILTINS, CLASS, message, args, NONE.to_owned())
    }

    fn make(&self, module: &str, class: &str, message: String, args: String, kwargs: String) -> Failure {
        let (class, module) = (class.to_owned(), module.to_owned());
        failure_of(bindings::Failure { class, module, message, args, kwargs, traceback: Vec::new() }, self.grants)
    }

    /// The case names the class; a record is its keyword arguments, anything else its only argument.
    fn case(&self, names: &Names, name: &str, value: Option<(&Type, &Val)>) -> Result<Failure, Fault> {
        let class = camel(name);
        let words = names.find_wit(name).map(|at| names.json(at).replace('_', " ")).unwrap_or_default();
        let make = |message, args, kwargs| Ok(self.make(self.module, &class, message, args, kwargs));
        let (nothing, none) = ("[]".to_owned(), NONE.to_owned());
        match value {
            None => make(words, nothing, none),
            Some((Type::Record(fields), Val::Record(values))) => {
                let message = message(fields, values);
                self.fits(message.as_slice())?;
                let message = message.map(|message| cut(message.to_owned(), self.grants));
                let kwargs = self.encoder().object(fields, values, |name| message.is_none() || name != MESSAGE);
                let kwargs = kwargs.map_err(|mistake| self.wrong(&mistake))?;
                match message {
                    Some(message) => make(message.clone(), only(&message), kwargs),
                    None => make(words, nothing, kwargs),
                }
            }
            Some((Type::String, Val::String(message))) => {
                self.fits(&[message])?;
                let message = cut(message.clone(), self.grants);
                make(message.clone(), only(&message), none)
            }
            Some((ty, value)) => {
                let text = self.encoder().value(ty, value).map_err(|mistake| self.wrong(&mistake))?;
                make(cut(format!("{words}: {text}"), self.grants), format!("[{text}]"), none)
            }
        }
    }

    fn encoder(&self) -> Encoder {
        Encoder::new(self.limit.0)
    }

    fn wrong(&self, mistake: &Mistake) -> Fault {
        invalid(format!("the error {}", mistake.in_result()))
    }
}

/// The arguments of an exception that has its message alone.
fn only(message: &str) -> String {
    Text::of(&[message]).get().to_owned()
}

/// The text of the field `message`, if there is one.
fn message<'v>(fields: &Fields, values: &'v [(String, Val)]) -> Option<&'v str> {
    let at = fields.names.find(MESSAGE, 0)?;
    match values.get(at) {
        Some((_, Val::String(text))) => Some(text),
        _ => None,
    }
}

/// The shared record, field by field.
fn shared(fields: Vec<(String, Val)>) -> Result<bindings::Failure, Fault> {
    let mut texts = Vec::new();
    let mut traceback = Vec::new();
    for (_, value) in fields {
        match value {
            Val::String(text) => texts.push(text),
            Val::List(lines) => traceback.extend(lines.into_iter().filter_map(|line| match line {
                Val::String(line) => Some(line),
                _ => None,
            })),
            _ => {}
        }
    }
    match <[String; FAILURE_FIELDS.len() - 1]>::try_from(texts) {
        Ok([class, module, message, args, kwargs]) => {
            Ok(bindings::Failure { class, module, message, args, kwargs, traceback })
        }
        Err(_) => Err(invalid("a failure of another shape than nova:rpc's".to_owned())),
    }
}
