//! Typed handlers that use what their manifest grants: they import it in their own world, and have the SDK's modules for it.

use super::new::run;
use crate::harness::Scratch;

const GRANTS: &str = "grants = { rpc = [\"conductor.greet\"], keyvalue = true, http = [\"http://127.0.0.1:1\"] }\n\
                      config.mood = \"good\"\n";

const IMPORTS: &str = "include nova:rpc/imports@0.1.0;
  import nova:rpc/client@0.1.0;
  import nova:rpc/config@0.1.0;
  import nova:rpc/keyvalue@0.1.0;
  import wasi:http/outgoing-handler@0.2.0;";

/// A method more, beside `greet`, which it calls.
const METHOD: &str = "everything: func(name: string) -> list<string>;\n}";

/// Before `new`'s class.
const PYTHON_IMPORTS: &str = "from nova import config, http, keyvalue, rpc\n";

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
        return said
"#;

const JAVASCRIPT: &str = r#"
import * as config from "nova/config";
import * as http from "nova/http";
import * as keyvalue from "nova/keyvalue";
import { Target } from "nova/rpc";

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
  return said;
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
    let said = r#"["hello, Ada", "good", "7", "ConnectionError", "nobody to greet"]"#;
    assert_eq!(run(&folder, &call), Ok(format!("{said}\n")), "{language}");
}
