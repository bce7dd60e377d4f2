//! JSON text to typed values, with Python's manners: a call with the wrong arguments is told so in Python's words.
//!
//! serde_json alone would do the reading. It would not name the argument that is wrong, would repeat its value, which
//! may be a password, and would let unknown arguments pass. So here is a deserializer of our own over the raw text of
//! each value: [`parts`] takes a level apart, [`value`] reads one value, [`mistake`] words what is wrong.

mod mistake;
mod parts;
mod value;

use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Visitor},
    forward_to_deserialize_any,
};

use mistake::Mistake;
use parts::{Member, Members};
use value::Node;

/// Reads a method's arguments from a JSON object.
pub(crate) fn from_object<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Mistake> {
    let mut members = parts::members(text)?;
    let mut missing = Vec::new();
    // serde stops at the first argument that is missing, and Python counts them all: a placeholder takes its place and
    // the type is read again. Where a placeholder will not do, the count ends. None of this runs when a call is right.
    loop {
        let result = T::deserialize(Arguments { members: &members });
        match result.as_ref().err().and_then(Mistake::missing_name) {
            Some(name) if !missing.contains(&name) => {
                missing.push(name);
                members.push((Cow::Borrowed(name), ""));
            }
            _ if missing.is_empty() => return result,
            _ => return Err(Mistake::missing(missing)),
        }
    }
}

/// Reads any JSON value.
pub(crate) fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, Mistake> {
    T::deserialize(Node::parse(text)?)
}

/// The names and values of a call, as a deserializer for the type that holds them.
#[derive(Clone, Copy)]
struct Arguments<'m, 'de> {
    members: &'m [Member<'de>],
}

impl<'de> Deserializer<'de> for Arguments<'_, 'de> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_map(Members::new(self.members, 0))
    }

    // A struct names its fields, so what it does not know can be refused before it looks, in the order Python does it.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match self.members.iter().find(|(name, _)| !fields.contains(&name.as_ref())) {
            Some((name, _)) => Err(Mistake::unexpected(name)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.members.first() {
            Some((name, _)) => Err(Mistake::unexpected(name)),
            None => visitor.visit_unit(),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json, value::RawValue};

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Shape {
        Point,
        Circle(u8),
        Box { side: u8 },
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Many<'a> {
        byte: u8,
        float: f64,
        wide: i128,
        #[serde(borrow)]
        text: Cow<'a, str>,
        pair: (i8, bool),
        list: Vec<BTreeMap<String, Option<bool>>>,
        shape: Option<Shape>,
        any: Value,
        #[serde(borrow)]
        raw: Option<&'a RawValue>,
    }

    fn many(text: &str) -> Many<'_> {
        from_object(text).unwrap()
    }

    fn wrong(text: &str) -> String {
        from_object::<Many>(text).unwrap_err().in_call(&"f()")
    }

    #[test]
    fn every_kind_of_value_is_read() {
        assert_eq!(many(r#"{"byte": 255, "float": 2}"#).byte, 255);
        assert_eq!(many(r#"{"float": -2.5e1}"#).float, -25.0);
        assert_eq!(many(r#"{"wide": -170141183460469231731687303715884105728}"#).wide, i128::MIN);
        assert_eq!(many(r#"{"pair": [-1, true]}"#).pair, (-1, true));
        assert_eq!(many(r#"{"list": [{"a": null}, {}]}"#).list.len(), 2);
        let any = r#"{"a": [1, -1, 0.5, "é", null, true], "b": {}, "c": 18446744073709551615}"#;
        assert_eq!(many(&format!(r#"{{"any": {any}}}"#)).any, serde_json::from_str::<Value>(any).unwrap());
    }

    #[test]
    fn raw_values_are_kept_to_the_letter() {
        let raw = r#"{"a" : 1e400, "b": 123456789012345678901234567890, "c": "\ud800"}"#;
        assert_eq!(many(&format!(r#"{{"raw": {raw} }}"#)).raw.unwrap().get(), raw);
    }

    #[test]
    fn strings_borrow_where_they_can() {
        assert!(matches!(many(r#"{"text": "plain"}"#).text, Cow::Borrowed("plain")));
        assert_eq!(many(r#"{"text": "\u00e9\n"}"#).text, "é\n");
    }

    #[test]
    fn enums_are_names_or_objects_of_one_member() {
        assert_eq!(many(r#"{"shape": "point"}"#).shape, Some(Shape::Point));
        assert_eq!(many(r#"{"shape": {"circle": 2}}"#).shape, Some(Shape::Circle(2)));
        assert_eq!(many(r#"{"shape": {"box": {"side": 3}}}"#).shape, Some(Shape::Box { side: 3 }));
        assert_eq!(wrong(r#"{"shape": "x"}"#), "f() argument 'shape' must be one of 'point', 'circle', 'box'");
        assert_eq!(
            wrong(r#"{"shape": {"box": {"side": ""}}}"#),
            "f() argument 'shape.box.side' must be an integer, not a string"
        );
    }

    #[test]
    fn a_mistake_names_the_place_and_not_the_value() {
        for (arguments, message) in [
            (json!({"byte": "secret"}), "f() argument 'byte' must be an integer, not a string"),
            (json!({"byte": 256}), "f() argument 'byte' does not fit u8"),
            (json!({"byte": 1.5}), "f() argument 'byte' must be an integer, not a float"),
            (json!({"byte": null}), "f() argument 'byte' must be an integer, not null"),
            (json!({"float": true}), "f() argument 'float' must be a number, not a boolean"),
            (json!({"text": ["secret"]}), "f() argument 'text' must be a string, not a list"),
            (json!({"pair": [1, 2]}), "f() argument 'pair[1]' must be a boolean, not an integer"),
            (json!({"pair": [1]}), "f() argument 'pair' must be a tuple of size 2, not of length 1"),
            (json!({"pair": [1, true, 2]}), "f() argument 'pair' has 1 items too many"),
            (json!({"list": {}}), "f() argument 'list' must be a list, not an object"),
            (json!({"list": [{}, {"a": "secret"}]}), "f() argument 'list[1].a' must be a boolean, not a string"),
        ] {
            assert_eq!(wrong(&arguments.to_string()), message);
        }
        assert_eq!(wrong(&format!("{{\"byte\": 1{}}}", "0".repeat(60))), "f() argument 'byte' is too large an integer");
        assert_eq!(wrong(r#"{"any": 1e400}"#), "f() argument 'any' is too large a number");
        assert_eq!(wrong(r#"{"any": "\ud800"}"#), "f() argument 'any' is not valid Unicode");
        assert_eq!(wrong(r#"{"\ud800": 1}"#), "f() arguments must have names that are valid Unicode");
        assert_eq!(wrong("[1]"), "f() arguments must be an object");
        let deep = format!(r#"{{"any": {}{}}}"#, "[".repeat(200), "]".repeat(200));
        assert!(wrong(&deep).ends_with("is nested too deeply"));
    }

    #[test]
    fn a_map_takes_any_arguments_and_unit_takes_none() {
        assert_eq!(from_object::<BTreeMap<String, u8>>(r#"{"a b": 1, "": 2}"#).unwrap().len(), 2);
        from_object::<()>("{}").unwrap();
        let message = from_object::<()>(r#"{"x": 1}"#).unwrap_err().in_call(&"f()");
        assert_eq!(message, "f() got an unexpected keyword argument 'x'");
    }

    #[derive(Debug, Deserialize)]
    enum Color {
        Red,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read into")]
    struct Long {
        number: i64,
        text: String,
        optional: Option<u8>,
        list: Vec<u8>,
        map: BTreeMap<String, u8>,
        color: Color,
        #[serde(deserialize_with = "Option::deserialize")]
        nullable: Option<bool>,
        any: Value,
        #[serde(default)]
        defaulted: u8,
    }

    fn refusal(arguments: &str) -> String {
        from_object::<Long>(arguments).unwrap_err().in_call(&"C.f()")
    }

    #[test]
    fn all_that_is_missing_is_named_in_the_order_of_the_fields() {
        assert_eq!(
            refusal(r#"{"optional": null}"#),
            "C.f() missing 7 required positional arguments: \
             'number', 'text', 'list', 'map', 'color', 'nullable', and 'any'"
        );
    }

    #[test]
    fn one_and_two_are_worded_as_python_does() {
        let most = r#""number": 1, "list": [], "map": {}, "color": "Red", "nullable": null"#;
        assert_eq!(refusal(&format!("{{{most}}}")), "C.f() missing 2 required positional arguments: 'text' and 'any'");
        assert_eq!(
            refusal(&format!(r#"{{{most}, "any": null}}"#)),
            "C.f() missing 1 required positional argument: 'text'"
        );
    }

    #[test]
    fn the_unexpected_is_told_before_the_missing() {
        assert_eq!(refusal(r#"{"x": 1}"#), "C.f() got an unexpected keyword argument 'x'");
        assert_eq!(refusal(r#"{"ctxt": 1}"#), "C.f() got multiple values for argument 'ctxt'");
    }

    #[test]
    fn what_is_missing_inside_an_argument_is_told_with_its_path() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only read into")]
        struct Outer {
            inner: Vec<Long>,
        }
        let message = from_object::<Outer>(r#"{"inner": [{}]}"#).unwrap_err().in_call(&"C.f()");
        assert_eq!(message, "C.f() argument 'inner[0]' has no 'number'");
    }
}
