//! What a calculator is for, with the exceptions that Python raises.

use nova_guest::{Failure, Info, serde_json::Number};
use serde::Deserialize;

/// Two numbers.
#[derive(Debug, Deserialize)]
pub struct Pair<T> {
    a: T,
    b: T,
}

/// Any number of numbers.
#[derive(Debug, Deserialize)]
pub struct Values {
    values: Vec<Number>,
}

/// `add(a, b)` adds two integers.
///
/// # Errors
///
/// `OverflowError` if the sum has more than 64 bits.
pub fn add(Pair { a, b }: Pair<i64>, _: &Info) -> Result<i64, Failure> {
    a.checked_add(b).ok_or_else(overflow)
}

/// `divide(a, b)` divides two numbers.
///
/// # Errors
///
/// `ZeroDivisionError` if `b` is zero.
pub fn divide(Pair { a, b }: Pair<f64>, _: &Info) -> Result<f64, Failure> {
    if b == 0.0 {
        return Err(Failure::builtin("ZeroDivisionError", "division by zero"));
    }
    Ok(a / b)
}

/// `sum(values)` adds a list of numbers: an integer if all are, as in Python.
///
/// # Errors
///
/// `OverflowError` if a sum of integers has more than 64 bits.
pub fn sum(Values { values }: Values, _: &Info) -> Result<Number, Failure> {
    if let Some(integers) = values.iter().map(Number::as_i64).collect::<Option<Vec<i64>>>() {
        let sum = integers.into_iter().try_fold(0_i64, i64::checked_add);
        return sum.map(Number::from).ok_or_else(overflow);
    }
    Number::from_f64(values.iter().filter_map(Number::as_f64).sum()).ok_or_else(overflow)
}

/// Ten numbers of every kind.
#[derive(Debug, Deserialize)]
pub struct Ten {
    a: i64,
    b: i64,
    c: u32,
    d: u32,
    e: f64,
    f: f64,
    g: i16,
    h: u8,
    i: bool,
    j: i32,
}

/// `total(a, …, j)` adds ten numbers: what the typed handler `inventory` does too, for measuring.
///
/// # Errors
///
/// None.
pub fn total(Ten { a, b, c, d, e, f, g, h, i, j }: Ten, _: &Info) -> Result<f64, Failure> {
    let integers = a.wrapping_add(b) + i64::from(c) + i64::from(d) + i64::from(g) + i64::from(h) + i64::from(j);
    Ok(integers as f64 + e + f + f64::from(u8::from(i)))
}

/// `add(values)` of version 2.0: what 1.3 calls `sum`.
///
/// # Errors
///
/// As [`sum`].
pub fn add_all(values: Values, info: &Info) -> Result<Number, Failure> {
    sum(values, info)
}

/// `mean(values)` is the arithmetic mean.
///
/// # Errors
///
/// `ValueError` if there are no values.
pub fn mean(Values { values }: Values, _: &Info) -> Result<f64, Failure> {
    if values.is_empty() {
        return Err(Failure::value_error("mean of no values"));
    }
    #[expect(clippy::cast_precision_loss, reason = "no list has 2^52 items")]
    let count = values.len() as f64;
    Ok(values.iter().filter_map(Number::as_f64).sum::<f64>() / count)
}

fn overflow() -> Failure {
    Failure::builtin("OverflowError", "the result has more than 64 bits")
}

#[cfg(test)]
mod tests {
    use nova_guest::{
        serde_json::json,
        testing::{Request, call},
    };

    use crate::Calculator;

    #[test]
    fn sums_keep_their_type() {
        assert_eq!(call::<Calculator>("add", json!({"a": 1, "b": -3})), Ok(json!(-2)));
        assert_eq!(call::<Calculator>("sum", json!({"values": [1, 2, 3]})), Ok(json!(6)));
        assert_eq!(call::<Calculator>("sum", json!({"values": [1, 0.5]})), Ok(json!(1.5)));
        assert_eq!(call::<Calculator>("sum", json!({"values": []})), Ok(json!(0)));
    }

    #[test]
    fn what_cannot_be_computed_is_the_exception_of_python() {
        let failure = call::<Calculator>("add", json!({"a": i64::MAX, "b": 1})).unwrap_err();
        assert_eq!(failure.class(), "OverflowError");
        let failure = call::<Calculator>("divide", json!({"a": 1, "b": 0})).unwrap_err();
        assert_eq!(failure.to_string(), "ZeroDivisionError: division by zero");
    }

    #[test]
    fn wrong_arguments_are_told_in_the_words_of_python() {
        for (arguments, message) in [
            (json!({"a": 1, "b": 2, "x": 3}), "Calculator.add() got an unexpected keyword argument 'x'"),
            (json!({"a": 1}), "Calculator.add() missing 1 required positional argument: 'b'"),
            (json!({}), "Calculator.add() missing 2 required positional arguments: 'a' and 'b'"),
            (json!({"a": 1, "b": "2"}), "Calculator.add() argument 'b' must be an integer, not a string"),
        ] {
            let failure = call::<Calculator>("add", arguments).unwrap_err();
            assert_eq!((failure.module(), failure.class(), failure.message()), ("builtins", "TypeError", message));
            assert_eq!((failure.args(), failure.kwargs().len()), (&[json!(message)][..], 0));
        }
    }

    #[test]
    fn other_versions_and_namespaces_are_other_methods() {
        let add = Request::new("add", json!({"values": [1, 2]})).version("2.0").send::<Calculator>();
        assert_eq!(add.value(), Ok(json!(3)));
        let statistics =
            |values| Request::new("mean", json!({ "values": values })).namespace("statistics").version("2.0");
        assert_eq!(statistics(json!([1, 2])).send::<Calculator>().value(), Ok(json!(1.5)));
        assert_eq!(statistics(json!([])).send::<Calculator>().value().unwrap_err().class(), "ValueError");
    }
}
