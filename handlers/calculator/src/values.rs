//! What JSON can carry, in both directions.

use std::collections::BTreeMap;

use nova_guest::{Failure, Info, serde_json::value::RawValue};
use serde::{Deserialize, Serialize};

/// One value of any kind, kept to the letter.
#[derive(Debug, Deserialize)]
pub struct Echo {
    value: Box<RawValue>,
}

/// Texts and what goes between them.
#[derive(Debug, Deserialize)]
pub struct Concat {
    texts: Vec<String>,
    #[serde(default)]
    separator: String,
}

/// How much.
#[derive(Debug, Deserialize)]
pub struct Blob {
    size: usize,
}

/// One member for each kind of JSON value.
#[derive(Debug, Serialize)]
pub struct Types {
    null: (),
    boolean: bool,
    integer: i64,
    /// 2^70, which no 64-bit parser reads.
    big_integer: u128,
    float: f64,
    string: &'static str,
    unicode: &'static str,
    list: (i8, &'static str, ()),
    object: BTreeMap<&'static str, BTreeMap<&'static str, [u8; 2]>>,
}

/// `echo(value)` returns what it was given, to the letter: integers of any size too.
pub fn echo(Echo { value }: Echo, _: &Info) -> Result<Box<RawValue>, Failure> {
    Ok(value)
}

/// `concat(texts, separator="")` joins texts.
pub fn concat(Concat { texts, separator }: Concat, _: &Info) -> Result<String, Failure> {
    Ok(texts.join(&separator))
}

/// `describe_types()` returns every kind of value.
pub fn describe_types(_: (), _: &Info) -> Result<Types, Failure> {
    Ok(Types {
        null: (),
        boolean: true,
        integer: -42,
        big_integer: 1 << 70,
        float: 0.1,
        string: "text",
        unicode: "Grüße, 世界 🦀",
        list: (1, "two", ()),
        object: BTreeMap::from([("nested", BTreeMap::from([("deeper", [1, 2])]))]),
    })
}

/// `blob(size)` returns a string of that many bytes.
pub fn blob(Blob { size }: Blob, _: &Info) -> Result<String, Failure> {
    Ok("x".repeat(size))
}

#[cfg(test)]
mod tests {
    use nova_guest::{
        serde_json::json,
        testing::{Request, call},
    };

    use crate::Calculator;

    #[test]
    fn echo_changes_nothing() {
        for value in [
            "null",
            "true",
            "-0",
            "1.10",
            "1e400",
            "123456789012345678901234567890",
            r#""\ud800 é""#,
            "[1, [2], {}]",
            r#"{"b": 1, "a": 2}"#,
        ] {
            let answer = Request::new("echo", format!(r#"{{"value": {value}}}"#)).send::<Calculator>();
            assert_eq!(answer.reply.unwrap(), value);
        }
    }

    #[test]
    fn every_kind_of_value_is_returned() {
        let reply = Request::new("describe_types", "{}").send::<Calculator>().reply.unwrap();
        assert!(reply.contains(r#""null":null,"boolean":true,"integer":-42,"big_integer":1180591620717411303424"#));
        assert!(reply.ends_with(r#""list":[1,"two",null],"object":{"nested":{"deeper":[1,2]}}}"#));
    }

    #[test]
    fn texts_are_joined_and_measured_in_bytes() {
        let texts = json!({"texts": ["naïve", "日本", "🦀"], "separator": "–"});
        assert_eq!(call::<Calculator>("concat", texts), Ok(json!("naïve–日本–🦀")));
        assert_eq!(call::<Calculator>("concat", json!({"texts": []})), Ok(json!("")));
        assert_eq!(call::<Calculator>("blob", json!({"size": 3})), Ok(json!("xxx")));
    }
}
