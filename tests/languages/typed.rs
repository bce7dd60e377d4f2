//! Typed handlers that use what their manifest grants: they import it in their own world, and have the SDK's modules for it.

use super::new::run;
use crate::harness::Scratch;

const GRANTS: &str = "grants = { rpc = [\"conductor.greet\"], keyvalue = true, http = [\"http://127.0.0.1:1\"] }\n\
                      config.mood = \"good\"\n";

const IMPORTS: &str = "include nova:rpc/imports@0.1.0;
  import nova:rpc/client@0.1.0;
  import nova:rpc/config@0.1.0;
  import nova:rpc/keyvalue@0.1.0;
  import nova:rpc/trace@0.1.0;
  import wasi:http/outgoing-handler@0.2.0;";

/// A method more, beside `greet`, which it calls.
const METHOD: &str = "everything: func(name: string) -> list<string>;\n}";

/// Before `new`'s class.
const PYTHON_IMPORTS: &str = "from nova import config, http, keyvalue, rpc, trace\n";

/// At the end of it.
const PYTHON: &str = r#"
    def everything(self, name):
        conductor = rpc.Target("conductor")
        said = [conductor.call("greet", name=name), config.get("mood"), str(keyvalue.increment("n", 7))]
        try:
            http.get("http://127.0.0.1:1/")
        except ConnectionError as error:
            said.append(type(error).__name__)
        try:
            conductor.call("greet", name="")
        except rpc.RemoteError as error:
            said.append(error.message)
        trace.add_event("said", {"number": len(said)})
        return said + [trace.get_span_context() or "untraced"]
"#;

const JAVASCRIPT: &str = r#"
import * as config from "nova/config";
import * as http from "nova/http";
import * as keyvalue from "nova/keyvalue";
import { Target } from "nova/rpc";
import * as trace from "nova/trace";

function failure(run) {
  try {
    return run();
  } catch (error) {
    return error;
  }
}

api.everything = (name) => {
  const conductor = new Target("conductor");
  const said = [conductor.call("greet", { name }), config.get("mood"), String(keyvalue.increment("n", 7))];
  said.push(failure(() => http.get("http://127.0.0.1:1/")).className);
  said.push(failure(() => conductor.call("greet", { name: "" })).message);
  trace.addEvent("said", { number: said.length });
  return [...said, trace.spanContext() ?? "untraced"];
};
"#;

const GO: &str = r#"package export_acme_greeter_api

import (
	"errors"
	"strconv"

	"nova-host/nova/config"
	"nova-host/nova/http"
	"nova-host/nova/keyvalue"
	"nova-host/nova/rpc"
	"nova-host/nova/trace"
)

func Everything(name string) []string {
	var greeting string
	conductor := rpc.Target{Topic: "conductor"}
	if err := conductor.Call("greet", map[string]string{"name": name}, &greeting); err != nil {
		panic(err)
	}
	mood, _ := config.Get("mood")
	number, _ := keyvalue.Increment("n", 7)
	said := []string{greeting, mood, strconv.FormatInt(number, 10)}
	var failed *http.Error
	if _, err := http.Get("http://127.0.0.1:1/"); errors.As(err, &failed) {
		said = append(said, failed.Class)
	}
	var remote *rpc.Error
	if err := conductor.Call("greet", map[string]string{"name": ""}, nil); errors.As(err, &remote) {
		said = append(said, remote.Message)
	}
	trace.AddEvent("said", trace.Attributes{"number": len(said)})
	if _, traced := trace.Context(); !traced {
		said = append(said, "untraced")
	}
	return said
}
"#;

/// Makes a project, adds a method that uses everything, builds it, and calls it.
pub(super) fn uses_everything(language: &str) {
    let folder = Scratch::new();
    run(&folder, &["new", "--typed", "--lang", language, "greeter"]).expect("a project");
    let change = |name: &str, change: &dyn Fn(String) -> String| {
        let name = format!("greeter/{name}");
        let text = std::fs::read_to_string(folder.path().join(&name)).expect("new writes one");
        folder.write(&name, change(text));
    };
    change("greeter.toml", &|text| format!("{GRANTS}{text}"));
    change("wit/greeter.wit", &|text| {
        text.replacen("include nova:rpc/imports@0.1.0;", IMPORTS, 1).replacen('}', METHOD, 1)
    });
    match language {
        "python" => change("app.py", &|text| PYTHON_IMPORTS.to_owned() + &text + PYTHON),
        "javascript" => change("app.js", &|text| text + JAVASCRIPT),
        _ => drop(folder.write("greeter/export_acme_greeter_api/everything.go", GO)),
    }
    let built = run(&folder, &["build", "greeter"]).unwrap_or_else(|error| panic!("{language}: {error}"));
    assert!(built.contains("2 passed"), "{language}: {built}");
    let call = ["call", "--transport-url", "memory://", "--handlers", "greeter", "everything", r#"{"name": "Ada"}"#];
    let said = r#"["hello, Ada", "good", "7", "ConnectionError", "nobody to greet", "untraced"]"#;
    assert_eq!(run(&folder, &call), Ok(format!("{said}\n")), "{language}");
    let imports = run(&folder, &["inspect", "greeter/greeter.wasm"]).expect("it is a component");
    assert!(imports.contains("imports  nova:rpc/trace@0.1.0"), "{language}: {imports}");
}

/// Results of all kinds, in an interface with a name of more than one word, and one that has a word of JavaScript's.
const RESULTS: &str = r#"package acme:all@1.0.0;

interface many-results {
  use nova:rpc/types@0.1.0.{json-value};

  record thing { first-field: u8, text: string, letter: option<char>, bytes: list<u8>, more: list<string> }
  variant choice { two(thing), one }
  enum colour { dark-red, blue }
  flags rights { read, write-all }
  type other = choice;

  nothing: func();
  flag: func() -> bool;
  letter: func() -> char;
  large: func() -> u64;
  float: func() -> f32;
  bytes: func() -> list<u8>;
  a-thing: func() -> thing;
  a-choice: func() -> other;
  a-colour: func() -> colour;
  some-rights: func() -> rights;
  tuple-of: func() -> tuple<s64, f64, thing, json-value>;
  options: func() -> option<option<u8>>;
  fallible: func() -> result<thing, choice>;
  only-fallible: func() -> result<_, colour>;
  inner-results: func() -> tuple<result<u8, string>, result<_, colour>>;
}

interface delete {
  now: func() -> string;
}

world handler {
  include nova:rpc/imports@0.1.0;
  export many-results;
  export delete;
}
"#;

/// Every function of [`RESULTS`] declines.
pub(super) fn declines_with_any_result(language: &str) {
    let folder = Scratch::new();
    run(&folder, &["new", "--typed", "--lang", language, "greeter"]).expect("a project");
    folder.write("greeter/wit/greeter.wit", RESULTS);
    let function = |line: &str| Some(line.strip_prefix("  ")?.split_once(": func(")?.0.to_owned());
    let mut names: Vec<String> = RESULTS.lines().filter_map(function).collect();
    let test = |interface: &str, name: &str| {
        let name = name.replace('-', "_");
        format!("[[selftest]]\nmethod = \"{name}\"\nnamespace = \"{interface}\"\ndeclines = true\n")
    };
    assert_eq!(names.pop().as_deref(), Some("now"));
    let tests: String = names.iter().map(|name| test("many_results", name)).collect();
    folder.write("greeter/greeter.toml", tests + &test("delete", "now"));
    match language {
        "python" => folder.write("greeter/app.py", python(&names)),
        _ => folder.write("greeter/app.js", javascript(&names)),
    };
    let built = run(&folder, &["build", "greeter"]).unwrap_or_else(|error| panic!("{language}: {error}"));
    assert!(built.contains(&format!("{} passed", names.len() + 1)), "{language}: {built}");
}

/// Functions that are inherited decline as well as others.
fn python(names: &[String]) -> String {
    let function = |name: &str| format!("    def {}(self):\n        raise nova.Declined\n\n", name.replace('-', "_"));
    let functions: String = names.iter().map(|name| function(name)).collect();
    let delete = function("now");
    format!(
        "import nova\nfrom wit_world import exports\n\nclass Base:\n{functions}\nclass ManyResults(Base, exports.ManyResults):\n    \
         pass\n\nclass Delete(exports.Delete):\n{delete}"
    )
}

fn javascript(names: &[String]) -> String {
    let camel = |name: &str| {
        let mut words = name.split('-').map(str::to_owned);
        let first = words.next().unwrap_or_default();
        words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
    };
    let functions: String =
        names.iter().map(|name| format!("  {}() {{ throw new Declined(); }},\n", camel(name))).collect();
    format!(
        "import {{ Declined }} from \"nova\";\n\nexport const manyResults = {{\n{functions}}};\n\
         class Delete {{\n  #words = \"no\";\n  now() {{ throw new Declined(this.#words); }}\n}}\n\
         const only = new Delete();\nexport {{ only as delete }};\n"
    )
}
