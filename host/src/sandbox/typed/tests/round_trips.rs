//! Any value of any type is the same after JSON, and no text makes the decoder panic.

use proptest::prelude::*;
use wasmtime::component::Val;

use super::super::{
    decode::{Decoder, Stop},
    encode::Encoder,
    names::Names,
    types::{Cases, Fields, Integer, JSON_FIELD, Type},
};

/// More than any of these values takes.
const BUDGET: usize = 64 << 20;

const NAMES: [&str; 6] = ["a", "b-c", "ok", "some", "message", "x1-y2-Z"];

fn types() -> impl Strategy<Value = Type> {
    use Integer::*;
    let leaf = prop_oneof![
        Just(Type::Bool),
        prop::sample::select(vec![S8, U8, S16, U16, S32, U32, S64, U64]).prop_map(Type::Integer),
        Just(Type::F32),
        Just(Type::F64),
        Just(Type::Char),
        Just(Type::String),
        Just(Type::Json),
        Just(Type::Bytes),
        names().prop_map(Type::Enum),
        names().prop_map(Type::Flags),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let inner = inner.boxed();
        let case = prop::option::of(inner.clone());
        prop_oneof![
            inner
                .clone()
                .prop_filter("bytes are a type of their own", |ty| *ty != Type::Integer(U8))
                .prop_map(|ty| Type::List(Box::new(ty))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Type::Tuple),
            prop::collection::vec(inner.clone(), 1..5).prop_map(|types| {
                Type::Record(Fields { names: Names::new(NAMES.into_iter().take(types.len())), types })
            }),
            prop::collection::vec(case.clone(), 1..5).prop_map(|types| {
                Type::Variant(Cases { names: Names::new(NAMES.into_iter().take(types.len())), types })
            }),
            inner.clone().prop_map(|ty| match ty {
                option @ Type::Option(_) => Type::Option(Box::new(Type::Some(Box::new(option)))),
                other => Type::Option(Box::new(other)),
            }),
            (case.clone(), case).prop_map(|sides| Type::Result(Box::new(sides))),
            (prop::sample::select(vec![Type::String, Type::Char, Type::Bool, Type::Integer(S16)]), inner)
                .prop_map(|types| Type::Map(Box::new(types))),
        ]
    })
}

#[test]
fn of_duplicate_keys_of_a_map_the_last_wins() {
    let types = vec![Type::Map(Box::new((Type::String, Type::Integer(Integer::U8))))];
    let fields = Fields { names: Names::new(["a"]), types };
    let Ok(values) = Decoder::new(BUDGET).members(&fields, r#"{"a": {"k": 1, "l": 2, "\u006b": 3}}"#) else { panic!() };
    let entry = |key: &str, value| (Val::String(key.to_owned()), Val::U8(value));
    assert_eq!(values, [Val::Map(vec![entry("k", 3), entry("l", 2)])]);
}

fn names() -> impl Strategy<Value = Names> {
    (1..=NAMES.len()).prop_map(|count| Names::new(NAMES.into_iter().take(count)))
}

/// Any value of a type. A float in an option is a number: `null` is the option's.
fn values(ty: &Type) -> BoxedStrategy<Val> {
    let boxed = |ty: &Option<Type>| match ty {
        Some(ty) => values(ty).prop_map(|value| Some(Box::new(value))).boxed(),
        None => Just(None).boxed(),
    };
    match ty {
        Type::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
        Type::Integer(Integer::S8) => any::<i8>().prop_map(Val::S8).boxed(),
        Type::Integer(Integer::U8) => any::<u8>().prop_map(Val::U8).boxed(),
        Type::Integer(Integer::S16) => any::<i16>().prop_map(Val::S16).boxed(),
        Type::Integer(Integer::U16) => any::<u16>().prop_map(Val::U16).boxed(),
        Type::Integer(Integer::S32) => any::<i32>().prop_map(Val::S32).boxed(),
        Type::Integer(Integer::U32) => any::<u32>().prop_map(Val::U32).boxed(),
        Type::Integer(Integer::S64) => any::<i64>().prop_map(Val::S64).boxed(),
        Type::Integer(Integer::U64) => any::<u64>().prop_map(Val::U64).boxed(),
        Type::F32 => any::<f32>().prop_map(Val::Float32).boxed(),
        Type::F64 => any::<f64>().prop_map(Val::Float64).boxed(),
        Type::Char => any::<char>().prop_map(Val::Char).boxed(),
        Type::String => any::<String>().prop_map(Val::String).boxed(),
        Type::Json => prop::sample::select(vec!["1e400", "{\"a\":[]}", "\"\\ud800\"", "[null]"])
            .prop_map(|text| Val::Record(vec![(JSON_FIELD.to_owned(), Val::String(text.to_owned()))]))
            .boxed(),
        Type::Bytes => any::<Vec<u8>>().prop_map(|bytes| Val::List(bytes.into_iter().map(Val::U8).collect())).boxed(),
        Type::List(item) => prop::collection::vec(values(item), 0..4).prop_map(Val::List).boxed(),
        Type::Tuple(types) => types.iter().map(values).collect::<Vec<_>>().prop_map(Val::Tuple).boxed(),
        Type::Record(fields) => {
            let names: Vec<String> = (0..fields.names.len()).map(|at| fields.names.wit(at).to_owned()).collect();
            let values = fields.types.iter().map(values).collect::<Vec<_>>();
            values.prop_map(move |values| Val::Record(names.iter().cloned().zip(values).collect())).boxed()
        }
        Type::Variant(cases) => {
            let case = |at: usize| {
                let name = cases.names.wit(at).to_owned();
                boxed(&cases.types[at]).prop_map(move |value| Val::Variant(name.clone(), value))
            };
            prop::strategy::Union::new((0..cases.types.len()).map(case)).boxed()
        }
        Type::Enum(names) => {
            let names: Vec<String> = (0..names.len()).map(|at| names.wit(at).to_owned()).collect();
            prop::sample::select(names).prop_map(Val::Enum).boxed()
        }
        Type::Flags(names) => {
            let names: Vec<String> = (0..names.len()).map(|at| names.wit(at).to_owned()).collect();
            prop::sample::subsequence(names.clone(), 0..=names.len()).prop_map(Val::Flags).boxed()
        }
        Type::Option(inner) => {
            let number = |value: &Val| {
                !matches!(value, Val::Float32(v) if v.is_nan()) && !matches!(value, Val::Float64(v) if v.is_nan())
            };
            let some = values(inner).prop_filter("a number", number);
            prop::option::of(some).prop_map(|value| Val::Option(value.map(Box::new))).boxed()
        }
        Type::Some(inner) => values(inner),
        Type::Result(sides) => prop_oneof![
            boxed(&sides.0).prop_map(|v| Val::Result(Ok(v))),
            boxed(&sides.1).prop_map(|v| Val::Result(Err(v)))
        ]
        .boxed(),
        Type::Map(types) => {
            // Equal keys would be one.
            let entries = prop::collection::vec((values(&types.0), values(&types.1)), 0..3);
            // Of the same key once more, the last would win.
            let once = |entries: Vec<(Val, Val)>| {
                let mut once: Vec<(Val, Val)> = Vec::new();
                for entry in entries {
                    if once.iter().all(|(key, _)| *key != entry.0) {
                        once.push(entry);
                    }
                }
                Val::Map(once)
            };
            entries.prop_map(once).boxed()
        }
    }
}

fn typed_values() -> impl Strategy<Value = (Type, Val)> {
    types().prop_flat_map(|ty| {
        let value = values(&ty);
        (Just(ty), value)
    })
}

fn decode(ty: &Type, text: &str) -> Result<Val, Stop> {
    let fields = Fields { names: Names::new(["it"]), types: vec![ty.clone()] };
    let text = format!("{{\"it\": {text}}}");
    Decoder::new(BUDGET).members(&fields, &text).map(|mut values| values.remove(0))
}

proptest! {
    #[test]
    fn a_value_is_the_same_after_json((ty, value) in typed_values()) {
        let text = Encoder::new(BUDGET).value(&ty, &value).unwrap();
        prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok(), "{}", text);
        prop_assert_eq!(decode(&ty, &text), Ok(value), "{}", text);
    }

    #[test]
    fn what_is_decoded_is_written_and_read_again(ty in types(), text in json(4)) {
        if let Ok(value) = decode(&ty, &text) {
            let back = Encoder::new(BUDGET).value(&ty, &value).unwrap();
            prop_assert_eq!(decode(&ty, &back), Ok(value));
        }
    }

    #[test]
    fn any_text_is_decoded_without_a_panic((ty, value) in typed_values(), at: prop::sample::Index, junk in ".{0,3}") {
        let mut text = Encoder::new(BUDGET).value(&ty, &value).unwrap();
        let mut at = at.index(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.insert_str(at, &junk);
        let _ = decode(&ty, &text);
        text.truncate(at);
        let _ = decode(&ty, &text);
    }

    #[test]
    fn a_budget_is_kept((ty, value) in typed_values(), budget in 0_usize..2000) {
        let text = Encoder::new(BUDGET).value(&ty, &value).unwrap();
        let fields = Fields { names: Names::new(["it"]), types: vec![ty] };
        let decoder = Decoder::new(budget);
        if let Ok(values) = decoder.members(&fields, &format!("{{\"it\": {text}}}")) {
            prop_assert!(values.iter().map(size).sum::<usize>() <= budget);
        }
    }
}

/// Any JSON of a few levels, its keys among the names that types use.
fn json(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop::sample::select(vec![
        "null", "true", "0", "-1", "255", "1.5", "1e999", "\"a\"", "\"b_c\"", "\"\"", "\"AA==\"",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(depth, 20, 4, |inner| {
        let key = prop::sample::select(NAMES.map(super::super::names::snake).to_vec());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key, inner), 0..4).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
    .boxed()
}

/// What a value takes at least.
fn size(value: &Val) -> usize {
    let boxed = |value: &Option<Box<Val>>| value.as_ref().map_or(0, |value| size(value));
    super::super::decode::VALUE
        + match value {
            Val::String(text) | Val::Enum(text) => text.len(),
            Val::List(values) | Val::Tuple(values) => values.iter().map(size).sum(),
            Val::Map(entries) => entries.iter().map(|(key, value)| size(key) + size(value)).sum(),
            Val::Record(fields) => fields.iter().map(|(name, value)| name.len() + size(value)).sum(),
            Val::Variant(name, value) => name.len() + boxed(value),
            Val::Option(value) | Val::Result(Ok(value) | Err(value)) => boxed(value),
            Val::Flags(flags) => flags.iter().map(String::len).sum(),
            _ => 0,
        }
}

#[test]
fn the_deepest_type_fits_the_stack() {
    let (mut ty, mut text) = (Type::Bool, "true".to_owned());
    for _ in 0..98 {
        ty = Type::Tuple(vec![ty]);
        text = format!("[{text}]");
    }
    let value = decode(&ty, &text).unwrap();
    assert_eq!(Encoder::new(BUDGET).value(&ty, &value).unwrap(), text);
}
