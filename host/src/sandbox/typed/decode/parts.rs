//! Lists, objects and what they stand for.
//!
//! Before it: [`Seed`](super::Seed) has seen that a value is a list or an object. After it: the same for each part.

use std::{borrow::Cow, collections::HashMap, fmt};

use serde::{
    Deserialize,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use wasmtime::component::Val;

use super::{
    super::{
        mistake::Mistake,
        names::Names,
        types::{Cases, Fields, Type},
    },
    Decoder, Seed, VALUE,
    words::{key_of, listed, wanted_key},
};

/// Bytes that a key takes as long as others of the same map are read.
const PLACE: usize = 64;

/// A string that borrows unless it has escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl Seed<'_> {
    /// The one member of an object that stands for a case.
    fn only<'de, A: MapAccess<'de>, T>(
        &self,
        mut map: A,
        read: impl FnOnce(&mut A, &str) -> Result<T, A::Error>,
    ) -> Result<T, A::Error> {
        let one = || self.decoder.wrong(Mistake::new("must have exactly one member, the name of a case"));
        let Some(Text(name)) = map.next_key()? else { return Err(one()) };
        let value = read(&mut map, &name)?;
        match map.next_key::<Text<'_>>()? {
            None => Ok(value),
            Some(_) => Err(one()),
        }
    }

    /// The value of that member.
    fn inside<'de, A: MapAccess<'de>>(&self, map: &mut A, name: &str, ty: &Type) -> Result<Val, A::Error> {
        let value = map.next_value_seed(Seed { ty, decoder: self.decoder });
        value.map_err(|error| self.decoder.at(error, |mistake| mistake.at_name(name)))
    }

    /// `{"some": …}` around an option in an option, where `null` is the outer none.
    pub(super) fn some<'de, A: MapAccess<'de>>(&self, ty: &Type, map: A) -> Result<Val, A::Error> {
        self.only(map, |map, name| match name {
            "some" => self.inside(map, name, ty),
            _ => Err(self.decoder.wrong(Mistake::new("must be null or {\"some\": …}"))),
        })
    }

    pub(super) fn variant<'de, A: MapAccess<'de>>(&self, cases: &Cases, map: A) -> Result<Val, A::Error> {
        let decoder = self.decoder;
        self.only(map, |map, name| {
            let found = cases.names.find(name, 0).and_then(|at| Some((at, cases.types.get(at)?)));
            match found {
                Some((at, Some(ty))) => {
                    decoder.spend(cases.names.wit(at).len())?;
                    let value = self.inside(map, name, ty)?;
                    Ok(Val::Variant(cases.names.wit(at).to_owned(), Some(Box::new(value))))
                }
                Some((at, None)) => {
                    let name = cases.names.json(at);
                    Err(decoder.wrong(Mistake::new(format!("must be \"{name}\" alone: the case has no value"))))
                }
                None => Err(decoder.wrong(Mistake::new(format!("must be one of {}", listed(&cases.names))))),
            }
        })
    }

    pub(super) fn result<'de, A: MapAccess<'de>>(
        &self,
        sides: &(Option<Type>, Option<Type>),
        map: A,
    ) -> Result<Val, A::Error> {
        self.only(map, |map, name| {
            let side = match name {
                "ok" => &sides.0,
                "err" => &sides.1,
                _ => return Err(self.decoder.wrong(Mistake::new("must be one of 'ok', 'err'"))),
            };
            let value = match side {
                Some(ty) => Some(Box::new(self.inside(map, name, ty)?)),
                None if map.next_value::<&RawValue>()?.get() == "null" => None,
                None => return Err(self.decoder.wrong(Mistake::new(format!("must be {{\"{name}\": null}}")))),
            };
            Ok(Val::Result(if name == "ok" { Ok(value) } else { Err(value) }))
        })
    }

    pub(super) fn map<'de, A: MapAccess<'de>>(&self, key: &Type, value: &Type, mut map: A) -> Result<Val, A::Error> {
        let (mut entries, mut places) = (Vec::new(), HashMap::new());
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            self.decoder.spend(VALUE + PLACE + name.len())?;
            let Some(key) = key_of(key, &name) else {
                return Err(self.decoder.wrong(Mistake::new(format!("has a key that is not {}", wanted_key(key)))));
            };
            let value = self.inside(&mut map, &name, value)?;
            // The last of duplicate keys wins, as in Python. One text stands for one key.
            let place = *places.entry(name).or_insert(entries.len());
            match entries.get_mut(place) {
                Some(entry) => *entry = (key, value),
                None => entries.push((key, value)),
            }
        }
        Ok(Val::Map(entries))
    }

    pub(super) fn list<'de, A: SeqAccess<'de>>(&self, item: &Type, mut list: A) -> Result<Vec<Val>, A::Error> {
        let mut values = Vec::new();
        loop {
            let next = list.next_element_seed(Seed { ty: item, decoder: self.decoder });
            match next.map_err(|error| self.decoder.at(error, |mistake| mistake.at_index(values.len())))? {
                Some(value) => values.push(value),
                None => return Ok(values),
            }
        }
    }

    pub(super) fn tuple<'de, A: SeqAccess<'de>>(&self, types: &[Type], mut list: A) -> Result<Val, A::Error> {
        let length = |found: &str| {
            self.decoder.wrong(Mistake::new(format!("must be a list of {} items, not of {found}", types.len())))
        };
        let mut values = Vec::with_capacity(types.len());
        for ty in types {
            let next = list.next_element_seed(Seed { ty, decoder: self.decoder });
            match next.map_err(|error| self.decoder.at(error, |mistake| mistake.at_index(values.len())))? {
                Some(value) => values.push(value),
                None => return Err(length(&values.len().to_string())),
            }
        }
        match list.next_element::<serde::de::IgnoredAny>()? {
            None => Ok(Val::Tuple(values)),
            Some(_) => Err(length("more")),
        }
    }

    pub(super) fn flags<'de, A: SeqAccess<'de>>(&self, names: &Names, mut list: A) -> Result<Val, A::Error> {
        let mut set = vec![false; names.len()];
        while let Some(raw) = list.next_element::<&RawValue>()? {
            let name = serde_json::from_str::<Text<'_>>(raw.get()).ok();
            match name.and_then(|Text(name)| names.find(&name, 0)).and_then(|at| set.get_mut(at)) {
                Some(flag) => *flag = true,
                None => return Err(self.decoder.wrong(Mistake::new(format!("must hold only {}", listed(names))))),
            }
        }
        let set = set.into_iter().enumerate().filter(|(_, set)| *set).map(|(at, _)| names.wit(at).to_owned());
        let set: Vec<String> = set.collect();
        self.decoder.spend(set.iter().map(|name| size_of::<String>() + name.len()).sum())?;
        Ok(Val::Flags(set))
    }
}

/// The members of a record, or the arguments of a call.
pub(super) struct Members<'a> {
    pub(super) fields: &'a Fields,
    pub(super) decoder: &'a Decoder,
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Vec<Val>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Val>, A::Error> {
        let Self { fields: Fields { names, types }, decoder } = self;
        let name_bytes: usize = (0..names.len()).map(|at| size_of::<String>() + names.wit(at).len()).sum();
        decoder.spend(name_bytes + names.len() * VALUE)?;
        let mut values: Vec<Option<Val>> = types.iter().map(|_| None).collect();
        let mut hint = 0;
        while let Some(Text(name)) = map.next_key()? {
            let slot = names.find(&name, hint).and_then(|at| Some((at, types.get(at)?, values.get_mut(at)?)));
            let Some((at, ty, slot)) = slot else { return Err(decoder.wrong(Mistake::unexpected(&name))) };
            let value = map.next_value_seed(Seed { ty, decoder });
            // The last of duplicate keys wins, as in Python.
            *slot = Some(value.map_err(|error| decoder.at(error, |mistake| mistake.at_name(names.json(at))))?);
            hint = at + 1;
        }
        let mut missing = Vec::new();
        let mut complete = Vec::with_capacity(values.len());
        for (at, (value, ty)) in values.into_iter().zip(types).enumerate() {
            match (value, ty) {
                (Some(value), _) => complete.push(value),
                (None, Type::Option(_)) => complete.push(Val::Option(None)),
                (None, _) => missing.push(names.json(at)),
            }
        }
        if missing.is_empty() { Ok(complete) } else { Err(decoder.wrong(Mistake::missing(&missing))) }
    }
}
