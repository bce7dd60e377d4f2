//! The parts of an object or a list: each level is split into texts before any of them is read.
//!
//! So a part can be skipped, borrowed, or kept to the letter, and a mistake in it gets its path. Arguments are shallow;
//! scanning a level twice costs little. Before it: the whole text. After it: [`value`](super::value) reads each part.

use std::{borrow::Cow, fmt, slice};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor, value::BorrowedStrDeserializer,
    },
};
use serde_json::value::RawValue;

use super::{mistake::Mistake, value::Node};

/// A name and the text of its value.
pub(super) type Member<'de> = (Cow<'de, str>, &'de str);

/// A string that borrows unless it has escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// Splits an object into its members.
pub(super) fn members(text: &str) -> Result<Vec<Member<'_>>, Mistake> {
    struct Split;

    impl<'de> Visitor<'de> for Split {
        type Value = Vec<Member<'de>>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((Text(name), value)) = map.next_entry::<_, &RawValue>()? {
                members.push((name, value.get()));
            }
            Ok(members)
        }
    }

    // It is JSON already, so what can go wrong is that it is no object, or that a name is not Unicode.
    serde_json::Deserializer::from_str(text).deserialize_map(Split).map_err(|_| {
        let is_object = text.trim_start().starts_with('{');
        Mistake::wrong(if is_object { "must have names that are valid Unicode" } else { "must be an object" })
    })
}

/// Splits a list into the texts of its items.
pub(super) fn items(text: &str) -> Result<Vec<&RawValue>, Mistake> {
    serde_json::from_str(text).map_err(|_| Mistake::wrong("must be a list"))
}

/// The members of an object, one after the other.
pub(super) struct Members<'m, 'de> {
    members: slice::Iter<'m, Member<'de>>,
    current: Option<&'m Member<'de>>,
    depth: u8,
}

impl<'m, 'de> Members<'m, 'de> {
    /// Starts at the first member; `depth` is that of the values.
    pub(super) fn new(members: &'m [Member<'de>], depth: u8) -> Self {
        Self { members: members.iter(), current: None, depth }
    }
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mistake> {
        self.current = self.members.next();
        match self.current {
            None => Ok(None),
            Some((Cow::Borrowed(name), _)) => seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some),
            Some((Cow::Owned(name), _)) => seed.deserialize(name.as_str().into_deserializer()).map(Some),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let Some((name, text)) = self.current else { return Err(Mistake::custom("a value without a name")) };
        seed.deserialize(Node::new(text, self.depth)).map_err(|mistake| mistake.at_name(name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}

/// The items of a list, one after the other.
pub(super) struct Items<'m, 'de> {
    items: slice::Iter<'m, &'de RawValue>,
    depth: u8,
    index: usize,
}

impl<'m, 'de> Items<'m, 'de> {
    /// Starts at the first item; `depth` is that of the items.
    pub(super) fn new(items: &'m [&'de RawValue], depth: u8) -> Self {
        Self { items: items.iter(), depth, index: 0 }
    }

    /// Returns how many have not been read.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mistake> {
        let Some(raw) = self.items.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Node::new(raw.get(), self.depth)).map(Some).map_err(|mistake| mistake.at_index(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}
