//! What a guest raises → an exception whose class and words reach the caller, whatever else is in it.
//!
//! Before it: [`super::program`] and [`super::typed`] have the guest's answer. After it: the reply. A Python client rebuilds an
//! exception as `Class(*args, **kwargs)`. Where that raises anything but a `TypeError`, or where the arguments are no JSON for
//! Python's parser, the client raises that error instead, and nobody learns what was raised here. So arguments that a client
//! would stumble over are left out, and the message stands for them.

use super::bindings;
use crate::{
    capability::Grants,
    envelope::{Failure, Text, failure::BUILTINS},
};

/// Python's class for "none of the other categories", where the guest names none.
const CLASS: &str = "RuntimeError";

/// Levels of lists and objects in arguments. Python's parser gives up near a thousand, less the caller's own frames.
const MAX_DEPTH: usize = 500;

/// Digits of an integer, which is Python's own bound (`sys.get_int_max_str_digits`).
const MAX_DIGITS: usize = 4300;

/// The module of Python 2's own exceptions; a client takes it for `builtins`.
const BUILTINS_2: &str = "exceptions";

/// Classes that are made of members, which no JSON can be. With another number of arguments than two, they are refused by a
/// `TypeError`.
const GROUPS: [&str; 2] = ["ExceptionGroup", "BaseExceptionGroup"];

/// Classes that refuse integers of more than 64 bits by other errors than a `TypeError`.
const SIZED: [&str; 4] = ["BlockingIOError", "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeTranslateError"];

/// Digits of an integer that fits into 64 bits in any case.
const SIZED_DIGITS: usize = 18;

/// Bytes of a message: it is in the traceback as well, often in the arguments, and escaped twice on its way.
const MAX_MESSAGE: usize = 64 << 10;

/// Bytes of the arguments by position, of those by name, and of the traceback: each is text in a text in a text on its way.
const MAX_PART: usize = 1 << 20;

/// Bytes of the names of a class and a module.
const MAX_NAME: usize = 1 << 10;

/// A message without secrets, of at most [`MAX_MESSAGE`] bytes and a mark where it was cut.
pub(super) fn cut(message: String, grants: &Grants) -> String {
    grants.config.scrub_start(message, MAX_MESSAGE)
}

/// Makes an exception of the guest's, without the secrets of its configuration.
pub(super) fn failure_of(failure: bindings::Failure, grants: &Grants) -> Failure {
    let bindings::Failure { class, module, message, args, kwargs, traceback } = failure;
    let scrub = |text| grants.config.scrub(text);
    let (message, args, kwargs) = (cut(message, grants), scrub(args), scrub(kwargs));
    let name = |text| grants.config.scrub_start(text, MAX_NAME);
    let (module, class) = (name(module), name(class));
    let (module, class) = match class.is_empty() {
        true => (BUILTINS.to_owned(), CLASS.to_owned()),
        false => (module, class),
    };
    let args = arguments(args, '[', &module, &class).unwrap_or_else(|reason| {
        tracing::warn!("the failure's args {reason}; its message stands for them");
        Text::of(&[&message])
    });
    let kwargs = arguments(kwargs, '{', &module, &class).unwrap_or_else(|reason| {
        tracing::warn!("the failure's kwargs {reason}; they are left out");
        Text::of(&serde_json::Map::new())
    });
    let mut failure = Failure::with(&module, &class, message, args, kwargs);
    let mut room = MAX_PART;
    let fits = |frame: &String| room.checked_sub(frame.len()).inspect(|left| room = *left).is_some();
    let frames: Vec<String> = traceback.into_iter().take_while(fits).map(scrub).collect();
    failure.add_frames(&frames);
    failure
}

/// Arguments that a client can read and hand to the class, or what is wrong with them.
fn arguments(json: String, opens: char, module: &str, class: &str) -> Result<Text, &'static str> {
    if json.len() > MAX_PART {
        return Err("are larger than 1 MiB");
    }
    let text = Text::parse(json).map_err(|_| "are not JSON")?;
    if !text.get().starts_with(opens) {
        return Err("have the wrong type");
    }
    let Measured { depth, digits, members } = measure(text.get());
    if depth > MAX_DEPTH {
        return Err("are nested more deeply than Python reads");
    }
    if digits > MAX_DIGITS {
        return Err("have an integer with more digits than Python reads");
    }
    if module == BUILTINS || module == BUILTINS_2 {
        if GROUPS.contains(&class) && opens == '[' && members == 2 {
            return Err("are the members of a group, which JSON cannot be");
        }
        if SIZED.contains(&class) && digits > SIZED_DIGITS {
            return Err("have an integer that the class does not take");
        }
    }
    Ok(text)
}

/// What is known of a JSON value by its letters.
struct Measured {
    /// Lists and objects in one another.
    depth: usize,
    /// Digits of its longest number.
    digits: usize,
    /// Members of the outermost list.
    members: usize,
}

fn measure(json: &str) -> Measured {
    let (mut depth, mut now, mut digits, mut number) = (0, 0_usize, 0, 0);
    let (mut commas, mut is_empty, mut is_string, mut is_escaped) = (0_usize, true, false, false);
    for byte in json.bytes() {
        if is_string {
            is_string = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
            continue;
        }
        number = if byte.is_ascii_digit() { number + 1 } else { 0 };
        digits = digits.max(number);
        is_empty &= byte.is_ascii_whitespace() || now == 0 || (now == 1 && byte == b']');
        match byte {
            b'"' => is_string = true,
            b'[' | b'{' => now += 1,
            b']' | b'}' => now = now.saturating_sub(1),
            b',' if now == 1 => commas += 1,
            _ => {}
        }
        depth = depth.max(now);
    }
    Measured { depth, digits, members: if is_empty { 0 } else { commas + 1 } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(module: &str, class: &str, args: &str, kwargs: &str) -> Failure {
        let [class, module, message] = [class, module, "words"].map(str::to_owned);
        let (args, kwargs) = (args.to_owned(), kwargs.to_owned());
        let failure = bindings::Failure { class, module, message, args, kwargs, traceback: vec!["at f".to_owned()] };
        failure_of(failure, &Grants::default())
    }

    #[test]
    fn class_and_words_are_told_whatever_the_arguments_are() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let (digits, too_deep) = ("9".repeat(MAX_DIGITS + 1), deep(MAX_DEPTH + 1));
        for bad in ["", "[", "{}", "[\"\u{1}\"]", &too_deep, &format!("[{digits}]")] {
            let failure = told("builtins", "ValueError", bad, "[]");
            assert_eq!((failure.class.as_str(), failure.message.as_str()), ("ValueError", "words"), "{bad}");
            assert_eq!((failure.args.get(), failure.kwargs.get()), (r#"["words"]"#, "{}"), "{bad}");
            assert_eq!(failure.traceback[1], "  at f\n");
        }
        let brackets = format!("[\"{}\\\"[\", \"{digits}\"]", deep(1000));
        for good in ["[]", r#"[1, {"a": ["\ud800"]}]"#, &deep(MAX_DEPTH), &brackets] {
            assert_eq!(told("m", "C", good, r#"{"k": 1}"#).args.get(), good);
        }
    }

    #[test]
    fn no_secret_of_the_manifest_is_in_an_exception_wherever_the_guest_puts_it() {
        let manifest = "config.token = { value = \"hush-hush-token\", secret = true }";
        let grants = crate::catalog::load::grants(Some(manifest), &crate::testing::tight()).unwrap();
        let say = |before: &str| format!("{before}hush-hush-token");
        let failure = bindings::Failure {
            class: say("C"),
            module: say("m."),
            message: say(""),
            args: format!("[\"{}\"]", say("")),
            kwargs: "{}".to_owned(),
            traceback: vec![say("at ")],
        };
        let failure = failure_of(failure, &grants);
        assert!(failure.class.starts_with('C') && failure.module.starts_with("m."), "{failure:?}");
        assert!(!failure.encode().contains("hush"), "{}", failure.encode());
    }

    /// Attacks the host's memory: on their way to the caller they are text in a text in a text.
    #[test]
    fn what_is_too_large_for_an_exception_is_left_out_of_it() {
        let large = |length: usize| format!("[\"{}\"]", "x".repeat(length - 4));
        assert_eq!(told("m", "C", &large(MAX_PART), "{}").args.get().len(), MAX_PART);
        let kwargs = format!("{{\"k\": {}}}", large(MAX_PART));
        let failure = told(&"m".repeat(2000), &"C".repeat(2000), &large(MAX_PART + 1), &kwargs);
        assert_eq!((failure.args.get(), failure.kwargs.get()), (r#"["words"]"#, "{}"));
        assert_eq!(
            (failure.class, failure.module),
            (format!("{}…", "C".repeat(1024)), format!("{}…", "m".repeat(1024)))
        );
        let message = "x".repeat(MAX_MESSAGE + 1);
        let failure = bindings::Failure {
            class: "C".to_owned(),
            module: "m".to_owned(),
            message,
            args: "[]".to_owned(),
            kwargs: "{}".to_owned(),
            traceback: vec!["f".repeat(1000); 5000],
        };
        let failure = failure_of(failure, &Grants::default());
        assert_eq!(failure.message.len(), MAX_MESSAGE + "…".len());
        assert_eq!(failure.traceback.len(), 2 + MAX_PART / 1000);
    }

    #[test]
    fn an_exception_without_a_class_is_a_runtime_error() {
        let failure = told("nova.exception", "", "[1]", "{}");
        assert_eq!((failure.module.as_str(), failure.class.as_str()), ("builtins", "RuntimeError"));
    }

    #[test]
    fn no_client_is_asked_to_make_a_group_of_words_or_to_count_beyond_64_bits() {
        for class in GROUPS {
            assert_eq!(told("builtins", class, r#"["a", ["b", "c"]]"#, "{}").args.get(), r#"["words"]"#);
            assert_eq!(told("builtins", class, r#"["a, b"]"#, "{}").args.get(), r#"["a, b"]"#);
        }
        let large = r#"["utf-8", "", 1180591620717411303424, 1, ""]"#;
        assert_eq!(told("exceptions", "UnicodeEncodeError", large, "{}").args.get(), r#"["words"]"#);
        assert_eq!(told("builtins", "ValueError", large, "{}").args.get(), large);
    }

    #[test]
    fn members_are_counted_in_the_outermost_list_alone() {
        for (json, members) in
            [("[]", 0), ("[ ]", 0), ("[[]]", 1), ("[[1, 2]]", 1), ("[1,\"a,b\"]", 2), ("[{},{},1]", 3)]
        {
            assert_eq!(measure(json).members, members, "{json}");
        }
    }
}
