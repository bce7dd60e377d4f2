//! One list of stories for every language: the same calculator, dynamic and typed, over RabbitMQ with a real
//! oslo.messaging client and over `memory://` with our own.
//!
//! `handlers/languages/` has the calculators; Rust's are `handlers/calculator` and `handlers/calculator-typed`. What a
//! language cannot do stands in [`Calculator`], and in docs/languages.md.

mod callers;
mod failures;
mod fresh;
mod granted;
mod neighbours;
mod new;
mod script;
mod stories;
mod typed;
mod web;

use std::path::Path;

use crate::harness::{guests, handlers, languages};

use self::{
    callers::{Caller, Command, Oslo},
    failures::Failing,
    stories::Story,
};

/// One of the components.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calculator {
    /// Its file without the ending.
    name: &'static str,
    /// The folder that it is built into.
    folder: fn() -> &'static Path,
    /// How it counts beyond 2^53.
    integers: Integers,
    /// Whether it prints, on standard output, beside what it logs.
    prints: bool,
}

/// What becomes of large integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Integers {
    /// 64 bits, and `OverflowError` beyond.
    Bits64,
    /// As many as it takes.
    Python,
    /// Exact up to 2^53: WIT's `s64` is a JavaScript number.
    JavaScript,
}

impl Calculator {
    fn of(name: &'static str) -> Self {
        Self { name, folder: languages, integers: Integers::Bits64, prints: true }
    }

    /// The component.
    fn read(&self) -> Vec<u8> {
        let path = (self.folder)().join(format!("{}.wasm", self.name));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Tells all stories, to one caller after the other.
    fn tell(self) {
        let oslo = Oslo::serving(&self);
        Story { calculator: self, caller: Caller::Oslo(oslo) }.tell();
        let command = Command::serving(&self);
        Story { calculator: self, caller: Caller::Command(command) }.tell();
    }

    /// Tells those of what a manifest grants.
    fn tell_granted(self) {
        let web = web::server();
        let oslo = Oslo::granting(&self, &granted::manifest(web.port()));
        Story { calculator: self, caller: Caller::Oslo(oslo) }.tell_granted(&web);
        let web = web::server();
        let command = Command::granting(&self, &granted::manifest(web.port()));
        Story { calculator: self, caller: Caller::Command(command) }.tell_granted(&web);
        neighbours::are_asked_and_told(&self);
    }
}

#[test]
fn rust_dynamic() {
    Calculator { folder: handlers, prints: false, ..Calculator::of("calculator") }.tell();
}

#[test]
fn rust_typed() {
    Calculator { folder: handlers, prints: false, ..Calculator::of("calculator-typed") }.tell();
}

#[test]
fn python_dynamic() {
    Calculator { integers: Integers::Python, ..Calculator::of("python") }.tell();
}

#[test]
fn python_typed() {
    Calculator::of("python-typed").tell();
}

#[test]
fn go_dynamic() {
    Calculator::of("go").tell();
}

#[test]
fn go_typed() {
    Calculator::of("go-typed").tell();
}

#[test]
fn c_dynamic() {
    Calculator::of("c").tell();
}

#[test]
fn c_typed() {
    Calculator::of("c-typed").tell();
}

#[test]
fn javascript_dynamic() {
    Calculator::of("javascript").tell();
}

#[test]
fn javascript_typed() {
    Calculator { integers: Integers::JavaScript, ..Calculator::of("javascript-typed") }.tell();
}

#[test]
fn rust_granted() {
    Calculator { folder: guests, ..Calculator::of("courier") }.tell_granted();
}

#[test]
fn python_granted() {
    Calculator::of("python").tell_granted();
}

#[test]
fn go_granted() {
    Calculator::of("go").tell_granted();
}

#[test]
fn c_granted() {
    Calculator::of("c").tell_granted();
}

#[test]
fn javascript_granted() {
    Calculator::of("javascript").tell_granted();
}

#[test]
fn python_tells_class_and_words_of_every_exception() {
    let failing = Failing::of(Calculator::of("python"), "fail_oddly");
    failing.goes(&failures::PYTHON);
    failures::python_is_as_on_the_callers_machine(&failing);
}

#[test]
fn javascript_tells_class_and_words_of_whatever_is_thrown() {
    Failing::of(Calculator::of("javascript"), "fail_oddly").goes(&failures::JAVASCRIPT);
}

#[test]
fn go_tells_class_and_words_of_every_error_and_panic() {
    Failing::of(Calculator::of("go"), "fail_oddly").goes(&failures::GO);
}

#[test]
fn c_tells_class_and_words_of_every_exception() {
    Failing::of(Calculator::of("c"), "fail_oddly").goes(&failures::C);
}

#[test]
fn rust_tells_class_and_words_of_every_exception() {
    let calculator = Calculator { folder: handlers, prints: false, ..Calculator::of("calculator") };
    failures::rust_tells(&Failing::of(calculator, "fail"));
}

#[test]
fn what_is_drawn_when_a_component_is_built_is_alike_in_all_instances() {
    let python = ["secrets", "SystemRandom", "urandom", "uuid4", "random", "own Random"];
    fresh::draws(Calculator::of("python"), &python, &["hash", "module"]);
    fresh::draws(Calculator::of("javascript"), &["Math.random"], &["Date.now", "module"]);
    fresh::draws(Calculator::of("go"), &["crypto/rand", "math/rand", "maphash", "package"], &[]);
    fresh::draws(Calculator::of("c"), &["getentropy"], &["rand"]);
    fresh::draws(Calculator { folder: guests, ..Calculator::of("courier") }, &["random"], &["hash"]);
}

/// In every language, dynamic and typed: what `new` writes, `build` builds, and the manifest in it tests.
#[test]
fn a_new_project_builds_and_answers() {
    languages();
    for language in ["rust", "python", "javascript", "c", "go"] {
        for typed in [false, true] {
            new::greets(language, typed);
        }
    }
}

/// Where tools import all of a world, bindings are ours, or WASI is called something else for a while.
#[test]
fn a_typed_handler_has_what_its_world_imports() {
    languages();
    for language in ["python", "javascript", "go"] {
        typed::uses_everything(language);
    }
}

/// Where a language has exceptions, and results that its tools make values of types.
#[test]
fn a_typed_handler_declines_whatever_its_result_would_be() {
    for language in ["python", "javascript"] {
        typed::declines_with_any_result(language);
    }
}

#[test]
fn a_build_is_tried_before_it_is_there() {
    languages();
    new::is_tried_before_it_is_there();
}

#[test]
fn a_trace_that_no_source_names_is_not_there_and_the_build_says_so() {
    languages();
    new::is_told_to_name_the_trace();
}

/// With what `npm` has for TypeScript, and the types of our SDK.
#[test]
fn a_project_in_typescript_is_checked_built_and_called() {
    languages();
    new::greets_in_typescript();
}

#[test]
fn a_language_without_tools_is_skipped_with_a_line_that_says_so() {
    script::skips_a_language_without_tools();
}

#[test]
fn tests_are_run_with_every_language() {
    script::is_run_with_all_tools_by_make_test();
}
