//! `nova-host new` and `nova-host build`, as their users call them.

use std::process::Command;

use crate::harness::{Scratch, languages, nova_host, repository};

/// Runs the program in a folder, with the languages' tools where `tests/setup.sh` has put them.
pub(super) fn run(folder: &Scratch, arguments: &[&str]) -> Result<String, String> {
    let tools = repository().join("target/tools");
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{0}/bin:{0}/node_modules/.bin:{path}", tools.display());
    let cache = format!("handlers.cache={}", languages().join("cache").display());
    let mut command = Command::new(nova_host());
    command.args(arguments).args(["--set", &cache, "--set", "handlers.compile_timeout=1h"]);
    let output = command.current_dir(folder.path()).env("PATH", path).output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Makes a project, builds it, and calls it.
pub(super) fn greets(language: &str, typed: bool) {
    let folder = Scratch::new();
    let mut new = vec!["new", "--lang", language, "greeter"];
    new.extend(typed.then_some("--typed"));
    run(&folder, &new).expect("a project");
    let built = run(&folder, &["build", "greeter"]).unwrap_or_else(|error| panic!("{language}: {error}"));
    assert!(built.contains("2 passed"), "{language}: {built}");
    let call = ["call", "--transport-url", "memory://", "--handlers", "greeter", "greet", r#"{"name": "Ada"}"#];
    assert_eq!(run(&folder, &call).as_deref(), Ok("\"hello, Ada\"\n"), "{language}");
    // What does not trace runs on a host that has no such import.
    let imports = run(&folder, &["inspect", "greeter/greeter.wasm"]).expect("it is a component");
    assert!(imports.contains("exports") && !imports.contains("nova:rpc/trace"), "{language}: {imports}");
}

/// What is built is tried with the project's manifest, wherever it goes, and is not there if that fails.
pub(super) fn is_tried_before_it_is_there() {
    let folder = Scratch::new();
    let there = |name: &str| folder.path().join(name).exists();
    run(&folder, &["new", "--lang", "c", "greeter"]).expect("a project");
    let built = run(&folder, &["build", "greeter", "--output", "out/other.wasm"]).expect("it builds");
    assert!(built.contains("out/other.wasm") && built.contains("2 passed"), "{built}");
    let manifest = std::fs::read_to_string(folder.path().join("greeter/greeter.toml")).expect("new writes one");
    assert_eq!(std::fs::read_to_string(folder.path().join("out/other.toml")).ok(), Some(manifest.clone()));
    assert!(!there("greeter/greeter.wasm") && !there("out/greeter.wasm"));

    folder.write("greeter/greeter.toml", manifest.replace("hello, Ada", "hello, Bo"));
    let refused = run(&folder, &["build", "greeter", "--output", "out/third.wasm"]).expect_err("it fails its test");
    assert!(refused.contains(r#"should return "hello, Bo", returned "hello, Ada""#), "{refused}");
    assert!(!there("out/third.wasm") && !there("out/third.toml"));

    // C leaves out what is not used; what is used and not granted is refused by name.
    folder.write("greeter/greeter.toml", manifest);
    let source = std::fs::read_to_string(folder.path().join("greeter/app.c")).expect("new writes one");
    let source = source.replace("#include \"nova.h\"", "#include \"nova_keyvalue.h\"");
    let uses = "if (nova_keyvalue_delete(\"key\") == NOVA_FAILED) return NOVA_FAILED;\n    nova_put_text(&text, ";
    folder.write("greeter/app.c", source.replacen("nova_put_text(&text, ", uses, 1));
    let refused = run(&folder, &["build", "greeter"]).expect_err("nothing is granted");
    assert!(refused.contains("nova:rpc/keyvalue@0.1.0, which is not granted (grants.keyvalue)"), "{refused}");
}

/// Where tools import all of a world, the trace is in it if a source names it; where it is found in another way, the build says
/// what to do.
pub(super) fn is_told_to_name_the_trace() {
    let folder = Scratch::new();
    run(&folder, &["new", "--lang", "python", "greeter"]).expect("a project");
    let source = std::fs::read_to_string(folder.path().join("greeter/app.py")).expect("new writes one");
    let hidden = "import importlib\nimportlib.import_module('nova.' + 'tra' + 'ce')\n";
    folder.write("greeter/app.py", format!("{hidden}{source}"));
    let refused = run(&folder, &["build", "greeter"]).expect_err("it is not in the world");
    assert!(refused.contains("nova.trace: no file of the project has the words nova and trace"), "{refused}");
}

/// What a project in TypeScript has beside what `new` writes: the SDK with its types.
const TYPESCRIPT: &str = r#"
import { Failure, context, log, method, request, type Json } from "nova";
import * as config from "nova/config";
import * as keyvalue from "nova/keyvalue";
import { MessagingTimeout, RemoteError, Target } from "nova/rpc";
import * as http from "nova/http";
import * as trace from "nova/trace";

interface Greet {
  name: string;
}

method(
  function greet({ name }: Greet): string {
    if (!name) throw new Failure("ValueError", "nobody to greet");
    return `hello, ${name}`;
  },
  { version: "1.0" },
);

method(function greet_all({ names }: { names: string[] }): Json {
  const own = new Target("conductor", { timeout: 60 });
  const answers = Target.callMany<string>("greet", names.map((name) => [own, { name }]));
  const said = answers.map((answer) => (answer.status === "fulfilled" ? answer.value : String(answer.reason)));
  try {
    own.call<string>("greet", { name: "" });
  } catch (error) {
    if (error instanceof MessagingTimeout || !(error instanceof RemoteError)) throw error;
    said.push(`${error.className}: ${error.message}`);
  }
  keyvalue.set("names", names.join(), { ttl: 60 });
  const number: number = keyvalue.increment("greetings", said.length);
  const kept: string | null = keyvalue.getText("names");
  let seen: string | null = null;
  try {
    const answer = http.get("http://127.0.0.1:1/", { headers: { "x-auth-token": "t" }, timeout: 60 });
    seen = answer.header("content-type") ?? answer.json<{ names: string[] }>().names.join();
  } catch (error) {
    if (error instanceof Failure) seen = error.className;
  }
  const { method: asked, timeLeftMs } = request();
  log.info(`${asked} has ${timeLeftMs} ms left for ${typeof context("user_id")}`);
  trace.setAttribute("greeter.names", names.length);
  trace.addEvent("greeted", { "greeter.kept": kept, "greeter.all": true });
  const traced: string = trace.isRecording() ? trace.traceparent() ?? "" : "unseen";
  return [...said, number, kept, seen, config.get("mood"), keyvalue.exists("greetings"), traced];
});
"#;

/// A project in TypeScript is checked with the SDK's types, built, and called.
pub(super) fn greets_in_typescript() {
    let folder = Scratch::new();
    run(&folder, &["new", "--lang", "javascript", "greeter"]).expect("a project");
    std::fs::remove_file(folder.path().join("greeter/app.js")).expect("it is there");
    folder.write("greeter/app.ts", TYPESCRIPT);

    let missing = run(&folder, &["build", "greeter"]).expect_err("nothing is granted");
    let reason = "takes a grant: write [grants] and keyvalue = true into greeter.toml";
    assert!(missing.contains(&format!("nova/keyvalue {reason}")), "{missing}");

    let manifest = std::fs::read_to_string(folder.path().join("greeter/greeter.toml")).expect("new writes one");
    let grants = "grants = { rpc = [\"conductor.greet\"], keyvalue = true, http = [\"http://127.0.0.1:1\"] }\n\
                  config.mood = \"good\"\n";
    folder.write("greeter/greeter.toml", format!("{grants}{manifest}"));
    let built = run(&folder, &["build", "greeter"]).unwrap_or_else(|error| panic!("{error}"));
    assert!(built.contains("2 passed"), "{built}");
    let call =
        ["call", "--transport-url", "memory://", "--handlers", "greeter", "greet_all", r#"{"names": ["Ada", "Bo"]}"#];
    let said =
        r#"["hello, Ada","hello, Bo","ValueError: nobody to greet",3,"Ada,Bo","ConnectionError","good",true,"unseen"]"#;
    assert_eq!(run(&folder, &call), Ok(format!("{said}\n")));

    for (right, wrong, complaint) in [
        (
            "return `hello, ${name}`",
            "return 7",
            "app.ts(16,5): error TS2322: Type 'number' is not assignable to type 'string'",
        ),
        ("{ timeout: 60 }", "{ timeout: \"1m\" }", "error TS2322: Type 'string' is not assignable to type 'number'"),
        (
            "\"greeter.names\", names.length",
            "\"greeter.names\", names",
            "error TS2345: Argument of type 'string[]' is not assignable",
        ),
        ("keyvalue.getText", "keyvalue.gettext", "error TS2551: Property 'gettext' does not exist"),
    ] {
        assert!(TYPESCRIPT.contains(right), "{right}");
        folder.write("greeter/app.ts", TYPESCRIPT.replacen(right, wrong, 1));
        let refused = run(&folder, &["build", "greeter"]).expect_err("tsc says no");
        assert!(refused.contains("tsc failed") && refused.contains(complaint), "{refused}");
    }
}
