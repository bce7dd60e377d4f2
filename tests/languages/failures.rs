//! What a caller must learn of an exception in any language, whatever is in it: its class and its words.
//!
//! The caller is Python's own client, which makes an exception of the failure, or a `RemoteError` where it cannot. The ways to
//! fail are `odd.*` in `handlers/languages/`; Rust's calculator raises what it is told to.

use serde_json::{Value, json};

use super::{Calculator, callers::Oslo};
use crate::harness::OsloError;

/// One method: all that the projects could use must be granted, or they are refused.
pub(super) const MANIFEST: &str = "grants.rpc = [\"nobody/*\"]\ngrants.http = [\"http://127.0.0.1:1\"]\ngrants.keyvalue = true\n\
                        [[endpoint]]\noffered.version = \"1.3\"\noffered.namespace = false\nmethods = [\"METHOD\"]\n";

/// A way to fail, the class that the caller meets, and a piece of the words that it reads.
pub(super) type Way = (&'static str, &'static str, &'static str);

/// A calculator and who asks it.
pub(super) struct Failing {
    calculator: Calculator,
    method: &'static str,
    oslo: Oslo,
}

impl Failing {
    pub(super) fn of(calculator: Calculator, method: &'static str) -> Self {
        let oslo = Oslo::granting(&calculator, &MANIFEST.replace("METHOD", method));
        Self { calculator, method, oslo }
    }

    /// What the caller meets.
    #[track_caller]
    pub(super) fn meets(&self, args: &Value) -> Box<OsloError> {
        let request = json!({
            "topic": "conductor", "version": "1.3", "method": self.method, "args": args, "timeout": 120,
        });
        self.oslo.client().call(request).expect_err("it fails")
    }

    /// Goes all ways, and complains about all that lead elsewhere.
    #[track_caller]
    pub(super) fn goes(&self, ways: &[Way]) {
        let wrong = ways.iter().filter_map(|(how, class, words)| {
            let met = self.meets(&json!({"how": how}));
            let is_told = told(&met) == *class && said(&met).contains(words);
            (!is_told).then(|| format!("{how:?} should be {class} with {words:?}: {}", short(&met)))
        });
        let wrong: Vec<String> = wrong.collect();
        assert!(wrong.is_empty(), "{}: {} to mend:\n{}", self.calculator.name, wrong.len(), wrong.join("\n"));
    }
}

/// The class, whether the client could make an exception of it or not.
pub(super) fn told(error: &OsloError) -> &str {
    let remote = error.remote.as_ref();
    remote.map_or(&error.class, |remote| &remote.exc_type)
}

/// The words.
pub(super) fn said(error: &OsloError) -> &str {
    let value = error.remote.as_ref().and_then(|remote| remote.value.as_str());
    value.unwrap_or(&error.text)
}

fn short(error: &OsloError) -> String {
    let words: String = said(error).chars().take(300).collect();
    format!("{} with {words:?}", told(error))
}

pub(super) const PYTHON: [Way; 39] = [
    ("half", "ValueError", "half \\ud800 pair"),
    ("nul", "ValueError", "a\0b"),
    ("large", "ValueError", "éééé"),
    ("mute", "Mute", "('mute', 1)"),
    ("faceless", "Faceless", "faceless"),
    ("nameless", "Unnamed", "nameless"),
    ("no name", "KeyError", "no name"),
    ("half module", "Placed", "placed"),
    ("no module", "Placed", "placed"),
    ("recursive words", "Recursive", "recursive"),
    ("arguments", "ValueError", "arguments"),
    ("odd argument", "ValueError", "<Odd object>"),
    ("deep", "ValueError", "('deep', <list object>)"),
    ("deeper", "ValueError", "('deeper', <list object>)"),
    ("long number", "ValueError", "('long', <int object>)"),
    ("circle", "ValueError", "['round', [...]]"),
    ("recursion", "RecursionError", "maximum recursion depth exceeded"),
    ("ring", "ValueError", "ring"),
    ("caused", "TypeError", "third"),
    (
        "group",
        "ExceptionGroup",
        "half \\ud800 done (2 sub-exceptions): [ValueError: one; ExceptionGroup: inner (2 sub-exceptions): \
         [PermissionError: [Errno 13] denied; odd.Mute: mute]]",
    ),
    ("base group", "BaseExceptionGroup", "words (2 sub-exceptions): [SystemExit: 5; KeyError: 'k']"),
    ("own group", "Own", "own: [KeyError: 'k']"),
    ("exit", "SystemExit", "out"),
    ("interrupt", "KeyboardInterrupt", "stop"),
    ("generator", "GeneratorExit", "gone"),
    ("decode", "UnicodeDecodeError", "can't decode byte 0xff in position 2"),
    ("encode", "UnicodeEncodeError", "surrogates not allowed"),
    ("result", "SystemExit", "4"),
    ("failure", "404", "half \\ud800"),
    ("changed failure", "Changed", "words"),
    ("changed kwargs", "ValueError", "kwargs"),
    ("logged", "ValueError", "logged"),
    ("panicking words", "HandlerTrapped", "last words"),
    ("errno 13", "PermissionError", "[Errno 13] no entry"),
    ("errno 2", "FileNotFoundError", "[Errno 2] not here"),
    ("errno 104", "ConnectionResetError", "[Errno 104] reset"),
    ("errno EACCES", "PermissionError", "[Errno 13] by its name"),
    ("errno 13 by hand", "PermissionError", "[Errno 13] by hand"),
    ("open", "FileNotFoundError", "[Errno 2] No such file or directory"),
];

pub(super) const JAVASCRIPT: [Way; 30] = [
    ("null", "RuntimeError", "null"),
    ("undefined", "RuntimeError", "undefined"),
    ("text", "RuntimeError", "half \\ud800 text"),
    ("number", "RuntimeError", "7"),
    ("symbol", "RuntimeError", "Symbol(sign)"),
    ("function", "RuntimeError", "a function"),
    ("plain", "RuntimeError", "{\"code\":7}"),
    ("message", "RuntimeError", "{\"code\":7}"),
    ("bare", "RuntimeError", "{}"),
    ("circle", "RuntimeError", "[object Object]"),
    ("proxy", "RuntimeError", "<no words>"),
    ("mute", "RuntimeError", "<no words>"),
    ("own class", "Problem", "problem"),
    ("own name", "Custom", "named"),
    ("no name", "RuntimeError", "no name"),
    ("odd name", "RuntimeError", "odd name"),
    ("half", "TypeError", "half \\udc00 pair"),
    ("nul", "RuntimeError", "a\0b"),
    ("large", "RuntimeError", "éééé"),
    ("huge", "RuntimeError", "xxxx"),
    ("many", "AggregateError", "several: [ValueError: one; RuntimeError: null; RuntimeError: <no words>]"),
    ("caused", "RuntimeError", "outer"),
    ("ring", "RuntimeError", "ring"),
    ("promise", "TypeError", "the method returned a promise"),
    ("failure", "Symbol(Class)", "words"),
    ("no failure", "RuntimeError", "words"),
    ("deep", "ValueError", "deep"),
    ("changed failure", "Changed", "words"),
    ("logged", "ValueError", "logged"),
    ("panic", "HandlerTrapped", "half \\ud800 panic"),
];

pub(super) const GO: [Way; 23] = [
    ("plain", "RuntimeError", "plain"),
    ("bytes", "RuntimeError", "by\u{fffd}tes"),
    ("nul", "RuntimeError", "a\0b"),
    ("mute", "RuntimeError", "PANIC=Error method: no words"),
    ("evasive", "RuntimeError", "evasive"),
    ("nil pointer", "RuntimeError", "<nil>"),
    ("wrapped", "KeyError", "inner"),
    ("joined", "RuntimeError", "PANIC=Error method: no words"),
    ("failure", "Cl\u{fffd}", "wo\u{fffd}rds"),
    ("no class", "RuntimeError", "words"),
    ("large", "RuntimeError", "éééé"),
    ("huge", "RuntimeError", "xxxx"),
    ("result", "TypeError", "unsupported value: +Inf"),
    ("logged", "RuntimeError", "logged"),
    ("panic nil", "HandlerTrapped", "panic called with nil argument"),
    ("panic error", "HandlerTrapped", "in a panic"),
    ("panic stringer", "HandlerTrapped", "PANIC=String method: no string"),
    ("panic bytes", "HandlerTrapped", "by\u{fffd}tes"),
    ("panic index", "HandlerTrapped", "index out of range [22] with length 11"),
    ("panic nil map", "HandlerTrapped", "assignment to entry in nil map"),
    ("panic nil pointer", "HandlerTrapped", "nil pointer dereference"),
    ("panic conversion", "HandlerTrapped", "interface {} is int, not string"),
    ("nothing such", "KeyError", "nothing such"),
];

pub(super) const C: [Way; 14] = [
    ("bytes", "ValueError", "by\u{fffd}tes \u{fffd}\u{fffd}\u{fffd} \u{fffd}"),
    ("class", "Cl\u{fffd}", "words"),
    ("arguments", "ValueError", "words"),
    ("bytes in arguments", "ValueError", "words"),
    ("no list", "ValueError", "words"),
    ("nothing", "RuntimeError", ""),
    ("no class", "RuntimeError", "words"),
    ("large", "ValueError", "xxxx"),
    ("huge", "ValueError", "xxxx"),
    ("unsaid", "RuntimeError", "the method failed without an exception"),
    ("logged", "ValueError", "logged"),
    ("panic", "HandlerTrapped", "by\u{fffd}tes"),
    ("abort", "HandlerTrapped", ""),
    ("nothing such", "KeyError", "nothing such"),
];

/// What Python's own numbers and groups are to the caller.
pub(super) fn python_is_as_on_the_callers_machine(failing: &Failing) {
    let met = |how: &str| failing.meets(&json!({"how": how}));
    for how in ["errno EACCES", "errno 13"] {
        assert!(met(how).text.starts_with("[Errno 13]"), "{how}");
    }
    // Rebuilt by the client, of number and words: a file's name is in neither, as with a server in Python.
    assert_eq!((met("open").class.as_str(), met("open").module.as_str()), ("FileNotFoundError", "builtins"));
    let traceback = met("group").remote.expect("no client makes a group of words").traceback.to_string();
    for line in ["+ 1: ValueError: one", "+ 2: ExceptionGroup: inner", "  + 2: odd.Mute: mute"] {
        assert!(traceback.contains(line), "no {line:?} in {traceback}");
    }
    let caused = met("caused").text;
    for line in ["KeyError: 'first'", "was the direct cause", "ValueError: second", "During handling of"] {
        assert!(caused.contains(line), "no {line:?} in {caused}");
    }
}

/// Rust's calculator raises whatever it is told to.
pub(super) fn rust_tells(failing: &Failing) {
    let deep = |levels: usize| (0..levels).fold(json!([]), |inner, _| json!([inner]));
    let large = "é".repeat(1 << 19);
    let cases = [
        (json!({"class": "", "message": "words"}), "RuntimeError", "words"),
        (json!({"class": "a\u{0}b", "module": "\u{0}", "message": "a\u{0}b"}), "a\0b", "a\0b"),
        (json!({"class": "ValueError", "message": large}), "ValueError", "éééé"),
        (json!({"class": "ValueError", "message": "deep", "args": [deep(100)]}), "ValueError", "deep"),
        (json!({"class": "ExceptionGroup", "message": "words", "args": ["a", ["b"]]}), "ExceptionGroup", "words"),
        (json!({"class": "ExceptionGroup", "message": "words", "args": ["a", []]}), "ExceptionGroup", "words"),
        (json!({"class": "print", "message": "words"}), "print", "words"),
        (json!({"class": "ValueError", "message": "words", "kwargs": {"": 1}}), "ValueError", "words"),
        (
            json!({"class": "UnicodeEncodeError", "message": "words", "args": ["", "", u64::MAX, 1, ""]}),
            "UnicodeEncodeError",
            "words",
        ),
    ];
    for (args, class, words) in cases {
        let met = failing.meets(&args);
        assert!(told(&met) == class && said(&met).contains(words), "{class}: {}", short(&met));
    }
}
