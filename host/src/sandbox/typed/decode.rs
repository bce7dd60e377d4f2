//! JSON text → component values, driven by the types: no tree in between.
//!
//! Before it: [`super::Method::decode`] has the caller's text, which is JSON but otherwise hostile. Every value that is
//! made counts against a budget, since few bytes of JSON can stand for many values.

mod parts;
mod words;

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    fmt,
};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use wasmtime::component::Val;

use self::{
    parts::Members,
    words::{integer_of, listed, single, wanted},
};
use super::{
    base64,
    mistake::Mistake,
    names::Names,
    types::{Fields, Integer, JSON_FIELD, Type},
};

/// What one value takes, besides its text.
pub(super) const VALUE: usize = size_of::<Val>();

/// What a decoding has used, and what stopped it.
#[derive(Debug)]
pub(super) struct Decoder {
    left: Cell<usize>,
    stopped: RefCell<Option<Stop>>,
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The caller's mistake.
    Mistake(Mistake),
    /// The values take more than the budget.
    TooLarge,
}

impl Decoder {
    /// Starts with a budget in bytes of this process.
    pub(super) fn new(budget: usize) -> Self {
        Self { left: Cell::new(budget), stopped: RefCell::new(None) }
    }

    /// Decodes the members of an object; an option that is absent is none.
    pub(super) fn members(&self, fields: &Fields, text: &str) -> Result<Vec<Val>, Stop> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = deserializer.deserialize_map(Members { fields, decoder: self });
        members.map_err(|error| self.stop(&error))
    }

    /// Why it ended, once it has.
    fn stop(&self, error: &serde_json::Error) -> Stop {
        let stopped = self.stopped.borrow_mut().take();
        stopped.unwrap_or_else(|| Stop::Mistake(Mistake::new(parser_words(error))))
    }

    /// Takes bytes off the budget.
    fn spend<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                *self.stopped.borrow_mut() = Some(Stop::TooLarge);
                Err(E::custom(""))
            }
        }
    }

    fn wrong<E: serde::de::Error>(&self, mistake: Mistake) -> E {
        self.stopped.borrow_mut().get_or_insert(Stop::Mistake(mistake));
        E::custom("")
    }

    /// Says where, on the way out.
    fn at<E: fmt::Display>(&self, error: E, place: impl FnOnce(&mut Mistake)) -> E {
        let mut stopped = self.stopped.borrow_mut();
        // Where nothing was said yet, the parser itself refused: a number or a string that nothing can hold.
        if let Stop::Mistake(mistake) = stopped.get_or_insert_with(|| Stop::Mistake(Mistake::new(parser_words(&error))))
        {
            place(mistake);
        }
        error
    }
}

/// What serde_json refuses in text that is JSON.
fn parser_words(error: &impl fmt::Display) -> &'static str {
    if error.to_string().contains("number") { "is too large a number" } else { "is not valid Unicode" }
}

/// One value of a type.
#[derive(Clone, Copy)]
struct Seed<'a> {
    ty: &'a Type,
    decoder: &'a Decoder,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Val;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Val, D::Error> {
        self.decoder.spend(VALUE)?;
        match self.ty {
            Type::Option(_) => deserializer.deserialize_option(self),
            // Floats as text: Rust reads them exactly, and the infinities, which the envelope writes as 1e999.
            Type::F32 | Type::F64 => self.float(<&RawValue>::deserialize(deserializer)?.get()),
            Type::Json => {
                let text = <&RawValue>::deserialize(deserializer)?.get();
                self.decoder.spend(VALUE + text.len())?;
                Ok(Val::Record(vec![(JSON_FIELD.to_owned(), Val::String(text.to_owned()))]))
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl Seed<'_> {
    fn mismatch<E: serde::de::Error>(&self, kind: &str) -> E {
        self.decoder.wrong(Mistake::new(format!("must be {}, not {kind}", wanted(self.ty))))
    }

    fn float<E: serde::de::Error>(&self, text: &str) -> Result<Val, E> {
        let kind = match text.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => "",
            // What the envelope makes of Python's NaN.
            Some(b'n') => {
                return Ok(if *self.ty == Type::F32 { Val::Float32(f32::NAN) } else { Val::Float64(f64::NAN) });
            }
            Some(b'"') => "a string",
            Some(b'[') => "a list",
            Some(b'{') => "an object",
            _ => "a boolean",
        };
        if !kind.is_empty() {
            return Err(self.mismatch(kind));
        }
        let float =
            |ok: bool, value| if ok { Ok(value) } else { Err(self.decoder.wrong(Mistake::new("does not fit f32"))) };
        match (self.ty, text.parse::<f64>()) {
            (Type::F32, Ok(double)) => match text.parse::<f32>() {
                Ok(single) => float(single.is_finite() || double.is_infinite(), Val::Float32(single)),
                Err(_) => Err(self.mismatch("a number of another kind")),
            },
            (_, Ok(double)) => Ok(Val::Float64(double)),
            (_, Err(_)) => Err(self.mismatch("a number of another kind")),
        }
    }

    fn integer<E: serde::de::Error>(&self, value: i128) -> Result<Val, E> {
        let Type::Integer(integer) = self.ty else { return Err(self.mismatch("an integer")) };
        integer_of(*integer, value)
            .ok_or_else(|| self.decoder.wrong(Mistake::new(format!("does not fit {}", integer.name()))))
    }

    fn text<E: serde::de::Error>(&self, text: Cow<'_, str>) -> Result<Val, E> {
        let decoder = self.decoder;
        let unknown = |names: &Names| decoder.wrong(Mistake::new(format!("must be one of {}", listed(names))));
        match self.ty {
            Type::String => {
                decoder.spend(text.len())?;
                Ok(Val::String(text.into_owned()))
            }
            Type::Char => single(&text).map(Val::Char).ok_or_else(|| self.mismatch("several characters or none")),
            Type::Bytes => {
                decoder.spend((text.len() / 4).saturating_mul(3 * VALUE))?;
                let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
                match base64::decode(&text, |byte| bytes.push(Val::U8(byte))) {
                    Some(()) => Ok(Val::List(bytes)),
                    None => Err(decoder.wrong(Mistake::new("must be base64 text"))),
                }
            }
            Type::Enum(names) => match names.find(&text, 0) {
                Some(at) => {
                    decoder.spend(names.wit(at).len())?;
                    Ok(Val::Enum(names.wit(at).to_owned()))
                }
                None => Err(unknown(names)),
            },
            Type::Variant(cases) => match cases.names.find(&text, 0) {
                Some(at) if cases.types.get(at).is_some_and(Option::is_none) => {
                    decoder.spend(cases.names.wit(at).len())?;
                    Ok(Val::Variant(cases.names.wit(at).to_owned(), None))
                }
                Some(at) => {
                    let name = cases.names.json(at);
                    Err(decoder.wrong(Mistake::new(format!("must give the case a value: {{\"{name}\": …}}"))))
                }
                None => Err(unknown(&cases.names)),
            },
            _ => Err(self.mismatch("a string")),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Val;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&wanted(self.ty))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Val, E> {
        if *self.ty == Type::Bool { Ok(Val::Bool(value)) } else { Err(self.mismatch("a boolean")) }
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Val, E> {
        self.integer(value.into())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Val, E> {
        self.integer(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Val, E> {
        match self.ty {
            // serde_json makes a float of an integer beyond 64 bits.
            Type::Integer(integer) if value.fract() == 0.0 && value.abs() >= 9.2e18 => {
                Err(self.decoder.wrong(Mistake::new(format!("does not fit {}", integer.name()))))
            }
            _ => Err(self.mismatch("a float")),
        }
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Val, E> {
        self.text(Cow::Borrowed(text))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Val, E> {
        self.text(Cow::Borrowed(text))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Val, E> {
        Err(self.mismatch("null"))
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Val, E> {
        Ok(Val::Option(None))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Val, D::Error> {
        let Type::Option(inner) = self.ty else { return Err(self.mismatch("an option")) };
        let value = Seed { ty: inner, decoder: self.decoder }.deserialize(deserializer)?;
        Ok(Val::Option(Some(Box::new(value))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Val, A::Error> {
        match self.ty {
            Type::List(item) => self.list(item, list).map(Val::List),
            Type::Bytes => self.list(&Type::Integer(Integer::U8), list).map(Val::List),
            Type::Tuple(types) => self.tuple(types, list),
            Type::Flags(names) => self.flags(names, list),
            _ => Err(self.mismatch("a list")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Val, A::Error> {
        match self.ty {
            Type::Record(fields) => {
                let values = Members { fields, decoder: self.decoder }.visit_map(map)?;
                let names = (0..fields.names.len()).map(|at| fields.names.wit(at).to_owned());
                Ok(Val::Record(names.zip(values).collect()))
            }
            Type::Map(types) => self.map(&types.0, &types.1, map),
            Type::Variant(cases) => self.variant(cases, map),
            Type::Result(sides) => self.result(sides, map),
            Type::Some(inner) => self.some(inner, map),
            _ => Err(self.mismatch("an object")),
        }
    }
}

/// The names of an object's members, in their order; `None` where one is not Unicode.
pub(super) fn names(text: &str) -> Option<Vec<String>> {
    struct Keys;

    impl<'de> Visitor<'de> for Keys {
        type Value = Vec<String>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
            let mut names = Vec::new();
            while let Some(name) = map.next_key()? {
                map.next_value::<serde::de::IgnoredAny>()?;
                names.push(name);
            }
            Ok(names)
        }
    }

    serde_json::Deserializer::from_str(text).deserialize_map(Keys).ok()
}
