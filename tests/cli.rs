//! The command line without a broker: what a newcomer types, rightly and wrongly, on `memory://`.

use std::{
    path::Path,
    process::{Command, Output},
    sync::OnceLock,
};

use serde_json::{Value, json};

use crate::harness::{Scratch, handlers, nova_host};

/// Runs `nova-host` in an empty directory, on `memory://`, with the handlers that were built.
fn run(arguments: &[&str]) -> Ran {
    let scratch = Scratch::new();
    run_in(&scratch, &[arguments, &["--transport-url", "memory://", "--handlers", &built()]].concat())
}

fn run_in(scratch: &Scratch, arguments: &[&str]) -> Ran {
    let mut command = Command::new(nova_host());
    command.args(arguments).current_dir(scratch.path()).env("XDG_CACHE_HOME", cache());
    Ran(command.output().expect("nova-host runs"))
}

/// One cache for all: what is compiled for one test serves the others.
fn cache() -> &'static Path {
    static CACHE: OnceLock<Scratch> = OnceLock::new();
    CACHE.get_or_init(Scratch::new).path()
}

fn built() -> String {
    handlers().display().to_string()
}

struct Ran(Output);

impl Ran {
    fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// The exit code and what was complained about, which must be short.
    fn complaint(&self) -> (i32, String) {
        assert!(self.stderr().lines().count() <= 2, "too much is said: {}", self.stderr());
        (self.code(), self.stderr())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout()).unwrap_or_else(|error| panic!("{error}: {:?}", self.0))
    }
}

#[test]
fn a_call_prints_its_result() {
    let ran = run(&["call", "add", r#"{"a": 1, "b": 2}"#]);
    assert_eq!((ran.code(), ran.stdout().as_str(), ran.stderr().as_str()), (0, "3\n", ""));
}

#[test]
fn every_kind_of_value_comes_back_unchanged() {
    for value in [
        json!(null),
        json!(true),
        json!(-1.5),
        json!("häß\u{1F600}\n\"\\"),
        json!([1, [2, {"k": null}]]),
        json!({"": {"nested": []}}),
    ] {
        assert_eq!(run(&["call", "echo", &json!({"value": value}).to_string()]).json(), value);
    }
    let huge = "123456789012345678901234567890";
    assert_eq!(run(&["call", "echo", &format!(r#"{{"value": {huge}}}"#)]).stdout().trim(), huge);
}

#[test]
fn a_failure_is_one_line_with_its_class() {
    for (arguments, expected) in [
        (&["call", "divide", r#"{"a": 1, "b": 0}"#][..], "nova-host: ZeroDivisionError: division by zero\n"),
        (
            &["call", "not_found", r#"{"instance_id": "7"}"#],
            "nova-host: nova.exception.InstanceNotFound: Instance 7 could not be found.\n",
        ),
        (
            &["call", "add", r#"{"a": 1}"#],
            "nova-host: TypeError: Calculator.add() missing 1 required positional argument: 'b'\n",
        ),
        (
            &["call", "add", r#"{"a": 1, "b": 2, "c": 3}"#],
            "nova-host: TypeError: Calculator.add() got an unexpected keyword argument 'c'\n",
        ),
        (
            &["call", "nope"],
            "nova-host: oslo_messaging.rpc.dispatcher.NoSuchMethod: Endpoint does not support RPC method nope\n",
        ),
        (
            &["call", "--version", "9.0", "add"],
            "nova-host: oslo_messaging.rpc.dispatcher.UnsupportedVersion: \
             Endpoint does not support RPC version 9.0. Attempted method: add\n",
        ),
        (
            &["call", "--namespace", "nowhere", "add"],
            "nova-host: oslo_messaging.rpc.dispatcher.UnsupportedVersion: \
             Endpoint does not support RPC version 1.0. Attempted method: add\n",
        ),
        (
            &["call", "--set", "limits.timeout=300ms", "loop_forever"],
            "nova-host: nova_host.errors.HandlerTimedOut: the handler did not finish within 300ms (limits.timeout)\n",
        ),
        (
            &["call", "allocate", r#"{"mib": 1000}"#],
            "nova-host: nova_host.errors.HandlerOutOfMemory: \
             the handler wanted more than 64 MiB of memory (limits.memory)\n",
        ),
        (
            &["call", "recurse"],
            "nova-host: nova_host.errors.HandlerOutOfStack: the handler recursed deeper than 512 KiB of stack (limits.stack)\n",
        ),
    ] {
        let ran = run(arguments);
        assert_eq!((ran.code(), ran.stdout().as_str(), ran.stderr().as_str()), (1, "", expected));
    }
}

#[test]
fn a_panic_tells_its_words_and_its_place() {
    let ran = run(&["call", "--json", "panic", r#"{"message": "boom"}"#]);
    let failure: Value = serde_json::from_str(&ran.stderr()).expect("the failure as JSON");
    assert_eq!((ran.code(), &failure["class"]), (1, &json!("HandlerTrapped")));
    let message = failure["message"].as_str().unwrap_or_default();
    assert!(message.contains("panicked at handlers/calculator/src/") && message.ends_with(": boom"), "{message}");
    assert!(failure["tb"].to_string().contains("nova_guest"), "{failure}");
}

#[test]
fn versions_of_one_method_live_side_by_side() {
    for (version, served_by) in [("1.0", "1.3"), ("1.3", "1.3"), ("2.0", "2.0")] {
        assert_eq!(run(&["call", "--version", version, "served_by"]).json(), served_by);
    }
    let other = run(&["call", "--namespace", "statistics", "--version", "2.0", "served_by"]);
    assert_eq!(other.json(), "statistics 2.1");
}

#[test]
fn the_handler_learns_what_is_known_about_the_request() {
    let context = run(&["call", "--context", r#"{"user_id": "u", "n": 1}"#, "context"]);
    assert_eq!(context.json(), json!({"user_id": "u", "n": 1, "client_timeout": null}));
    let info = run(&["call", "--version", "1.2", "info"]).json();
    assert_eq!((&info["reply_wanted"], &info["version"]), (&json!(true), &json!("1.2")));
    assert!(info["time_left_ms"].as_u64().is_some_and(|left| left > 1000 && left <= 60_000), "{info}");
}

#[test]
fn a_cast_runs_before_the_command_ends_and_its_failure_is_logged() {
    let ran = run(&["cast", "log", r#"{"level": "warn", "message": "from the guest"}"#]);
    assert_eq!(ran.code(), 0);
    assert!(ran.stderr().contains("handler: from the guest"), "{}", ran.stderr());
    let failed = run(&["cast", "--fanout", "not_found", r#"{"instance_id": "7"}"#]);
    assert_eq!((failed.code(), failed.stdout().as_str()), (0, ""));
    assert!(failed.stderr().contains("Instance 7 could not be found"), "{}", failed.stderr());
}

#[test]
fn a_flood_of_log_lines_is_cut_and_counted() {
    let line = "x".repeat(1000);
    let arguments = json!({"level": "warn", "message": line, "times": 1000}).to_string();
    let ran = run(&["cast", "log", &arguments]);
    assert!(ran.stderr().len() < 200_000, "{}", ran.stderr().len());
    assert!(ran.stderr().contains("log limit reached, lines dropped"));
}

#[test]
fn what_was_typed_wrongly_is_said() {
    let wrong: [(&[&str], &str); 11] = [
        (&["call", "--fanout", "add"], "A call cannot be used with fanout:<Target exchange=nova, topic=conductor"),
        (&["call", "--version", "1", "add"], "Version must contain a major and minor integer. Got 1"),
        (&["cast", "--version", "1.5", "--version-cap", "1.4", "add"], "as the specified version cap 1.4."),
        (&["cast", "--version-cap", "1.4", "add"], "Requested message version, None is incompatible."),
        (&["call", "add", "[1]"], "arguments: not a JSON object"),
        (&["call", "add", "{"], "arguments: not a JSON object"),
        (&["call", "--context", "7", "add"], "--context: not a JSON object"),
        (&["call", "--set", "limits.timeuot=1s", "add"], "did you mean limits.timeout?"),
        (&["call", "--set", "limits.timeout=soon", "add"], "is not a duration"),
        (&["call", "--topic", "", "add"], "topic: must not be empty"),
        (&["call", "--log", "loud,", "add"], "log: "),
    ];
    for (arguments, expected) in wrong {
        let (code, text) = run(arguments).complaint();
        assert_eq!(code, 2, "{arguments:?}: {text}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
    let unparsed: [(&[&str], &str); 9] = [
        (&["call", "--timeout", "0s", "add"], "--timeout <TIMEOUT>': must be more than 0"),
        (&["handlers", "--timeout", "0ms", "list"], "--timeout <TIMEOUT>': must be more than 0"),
        (&["call"], "METHOD"),
        (&["fly"], "fly"),
        (&["call", "--call-monitor-timeout", "1s", "add"], "at least 2s"),
        (&["cast", "--call-monitor-timeout", "2s", "add"], "--call-monitor-timeout"),
        (&["call", "--retry", "-2", "add"], "-1 for as many as it takes"),
        (&["call", "--version-cap", "1", "add"], "MAJOR.MINOR"),
        (&["cast", "--fanout", "--server", "s", "add"], "cannot be used with"),
    ];
    for (arguments, expected) in unparsed {
        let ran = run(arguments);
        assert!(ran.code() == 2 && ran.stderr().contains(expected), "{arguments:?}: {}", ran.stderr());
    }
}

#[test]
fn a_server_that_nobody_is_has_no_queue() {
    let (code, text) = run(&["call", "--server", "elsewhere", "add"]).complaint();
    assert_eq!(code, 4);
    assert!(text.contains("nobody serves server elsewhere of topic conductor on nova"), "{text}");
}

#[test]
fn every_mistake_of_a_configuration_is_reported_at_once() {
    let scratch = Scratch::new();
    scratch.write("nova-host.toml", "max_in_flight = 0\nwotch = true\n[limits]\nmemory = \"lots\"\n");
    let ran = run_in(&scratch, &["check"]);
    assert_eq!(ran.code(), 2);
    for expected in
        ["max_in_flight: must be from 1 to 4096", "wotch: no such setting", "limits.memory: \"lots\" is not"]
    {
        assert!(ran.stderr().contains(expected), "{expected}: {}", ran.stderr());
    }
    scratch.write("nova-host.toml", "not toml");
    assert_eq!(run_in(&scratch, &["check"]).code(), 2);
    let missing = run_in(&scratch, &["check", "--config", "missing.toml"]);
    assert_eq!(missing.code(), 2);
    assert!(missing.stderr().contains("missing.toml"), "{}", missing.stderr());
}

#[test]
fn what_kubernetes_adds_for_a_service_of_our_name_is_ignored_and_a_mistyped_setting_is_not() {
    let scratch = Scratch::new();
    let check = |variables: &[(&str, &str)]| {
        let mut command = Command::new(nova_host());
        command.args(["check", "--handlers", &built(), "--set"]).arg(format!("handlers.cache={}", cache().display()));
        command.current_dir(scratch.path()).env_remove("NOVA_HOST_SOAK").env_remove("NOVA_HOST_BENCH");
        Ran(command.envs(variables.iter().copied()).output().expect("nova-host runs"))
    };
    let of_kubernetes = check(&[
        ("NOVA_HOST_SERVICE_HOST", "10.96.0.17"),
        ("NOVA_HOST_SERVICE_PORT", "9464"),
        ("NOVA_HOST_PORT", "tcp://10.96.0.17:9464"),
        ("NOVA_HOST_PORT_9464_TCP", "tcp://10.96.0.17:9464"),
        ("NOVA_HOST_PORT_9464_TCP_ADDR", "10.96.0.17"),
        ("NOVA_HOST_METRICS_SERVICE_HOST", "10.96.0.18"),
        ("NOVA_HOST_METRICS_PORT_9464_TCP_PROTO", "tcp"),
    ]);
    assert!(of_kubernetes.code() == 0 && !of_kubernetes.stdout().contains("NOVA_HOST_"), "{:?}", of_kubernetes.0);
    let stranger = check(&[("NOVA_HOST_IMAGE", "registry/nova-host:1")]);
    let warning = "warning: NOVA_HOST_IMAGE in the environment is no setting";
    assert!(stranger.code() == 0 && stranger.stdout().contains(warning), "{:?}", stranger.0);
    let mistyped = check(&[("NOVA_HOST_LIMIT_TIMEOUT", "5s")]);
    assert_eq!(mistyped.code(), 2);
    assert!(mistyped.stderr().contains("did you mean NOVA_HOST_LIMITS_TIMEOUT?"), "{}", mistyped.stderr());
}

#[test]
fn a_password_in_a_wrong_place_of_the_command_line_is_not_shown() {
    let url = "rabbit://nova:S3cr3t@127.0.0.1:9/";
    for arguments in [
        &["check", "--transport-url", "rabbit://nova:1?S3cr3t"][..],
        &["check", "--set", url],
        &["check", "--set", "rabbit://nova:S3cr3t@h/?ssl=true"],
        &["check", "--set", &format!("transport_url: {url}")],
        &["check", "--set", &format!("metrics.listen={url}")],
        &["check", "--set", &format!("handlers.directory={url}")],
        &["check", "--handlers", url],
    ] {
        let ran = run_in(&Scratch::new(), arguments);
        assert_eq!(ran.code(), 2, "{arguments:?}: {:?}", ran.0);
        assert!(!format!("{}{}", ran.stdout(), ran.stderr()).contains("S3cr3t"), "{arguments:?}: {}", ran.stderr());
    }
    let scratch = Scratch::new();
    scratch.write("nova-host.toml", format!("transport_url = {url}\n"));
    let (code, text) = run_in(&scratch, &["check"]).complaint();
    assert!(code == 2 && text.contains("not TOML at line 1, column 17") && !text.contains("S3cr3t"), "{text}");
}

#[test]
fn a_cache_that_cannot_be_used_says_what_to_set_and_ends_nothing_unless_it_was_chosen() {
    let scratch = Scratch::new();
    let taken = scratch.write("taken", "no directory").display().to_string();
    let call = |more: &[&str]| {
        let mut command = Command::new(nova_host());
        command.args(["call", "add", r#"{"a": 1, "b": 2}"#, "--transport-url", "memory://", "--handlers", &built()]);
        command.args(more).current_dir(scratch.path()).env("XDG_CACHE_HOME", &taken);
        Ran(command.output().expect("nova-host runs"))
    };
    let by_default = call(&[]);
    assert_eq!((by_default.code(), by_default.stdout().as_str()), (0, "3\n"), "{:?}", by_default.0);
    assert!(by_default.stderr().contains("set handlers.cache"), "{}", by_default.stderr());
    let (code, text) = call(&["--set", &format!("handlers.cache={taken}/cache")]).complaint();
    assert!(code == 2 && text.contains("set handlers.cache to another"), "{text}");
    // Without a home there is no place at all.
    let mut command = Command::new(nova_host());
    command.args(["check", "--handlers", &built()]).env_remove("HOME").env_remove("XDG_CACHE_HOME");
    let nowhere = Ran(command.output().expect("nova-host runs"));
    assert!(nowhere.stdout().contains("warning: handlers are compiled at every start"), "{:?}", nowhere.0);
}

#[test]
fn a_broken_handler_is_named_and_keeps_no_other_from_loading() {
    let scratch = Scratch::new();
    let directory = scratch.path().join("handlers");
    std::fs::create_dir(&directory).expect("a fresh directory");
    let calculator = std::fs::read(handlers().join("calculator.wasm")).expect("the handlers were built");
    let write = |name: &str, bytes: &[u8]| std::fs::write(directory.join(name), bytes).expect("it is writable");
    write("calculator.wasm", &calculator);
    write("copy.wasm", &calculator);
    write("cut.wasm", &calculator[..1000]);
    write("module.wasm", b"\0asm\x01\0\0\0");
    write("text.wasm", b"hello");
    write("typo.wasm", &calculator);
    write("typo.toml", b"[limits]\ntimeuot = \"1s\"\n");

    let checked = run_in(&scratch, &["check", "--json"]);
    assert_eq!(checked.code(), 3);
    assert_eq!(checked.stderr(), "nova-host: 5 handler(s) refused\n");
    let report = checked.json();
    assert_eq!(report["handlers"][0]["name"], "calculator");
    let reasons: Vec<_> =
        report["refused"].as_array().into_iter().flatten().map(|one| one["reason"].to_string()).collect();
    for expected in [
        "which calculator serves already",
        "does not compile",
        "a core module, not a component",
        "not WebAssembly",
        "did you mean limits.timeout?",
    ] {
        assert!(reasons.iter().any(|reason| reason.contains(expected)), "{expected}: {reasons:#?}");
    }

    let memory = ["--transport-url", "memory://"];
    let call = run_in(&scratch, &[&["call", "add", r#"{"a": 1, "b": 2}"#][..], &memory].concat());
    assert_eq!((call.code(), call.stdout().as_str()), (0, "3\n"));
    assert_eq!(run_in(&scratch, &["inspect", "handlers/text.wasm"]).complaint().0, 3);
    assert_eq!(run_in(&scratch, &["inspect", "handlers/none.wasm"]).complaint().0, 3);
    assert_eq!(run_in(&scratch, &["check", "--handlers", "nowhere"]).complaint().0, 3);
}

#[test]
fn a_manifest_sets_the_limits_of_its_handler() {
    let scratch = Scratch::new();
    std::fs::copy(handlers().join("calculator.wasm"), scratch.path().join("slow.wasm")).expect("it was built");
    scratch.write("slow.toml", "[limits]\ntimeout = \"200ms\"\n");
    let directory = scratch.path().display().to_string();
    let ran = run_in(&scratch, &["call", "loop_forever", "--transport-url", "memory://", "--handlers", &directory]);
    assert!(ran.stderr().contains("did not finish within 200ms"), "{}", ran.stderr());
    let inspected = run_in(&scratch, &["inspect", "--json", "slow.wasm"]).json();
    assert_eq!(inspected["limits"]["timeout_ms"], 200);
}

#[test]
fn a_component_is_inspected() {
    let calculator = handlers().join("calculator.wasm").display().to_string();
    let report = run(&["inspect", "--json", &calculator]).json();
    assert_eq!(report["exports"], json!(["nova:rpc/handler@0.1.0"]));
    // Nothing but ours: no WASI.
    let imports: Vec<_> = report["imports"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(!imports.is_empty() && imports.iter().all(|name| name.starts_with("nova:rpc/")), "{imports:?}");
    assert_eq!(report["endpoints"][0]["version"], "1.3");
    assert!(run(&["inspect", &calculator]).stdout().contains("serves   statistics 2.1: mean"));
}

#[test]
fn the_readmes_table_of_exit_codes_is_the_programs() {
    let help = run(&["--help"]).stdout();
    for code in
        ["0 done", "1 the remote side failed", "2 wrong command line", "3 a handler", "4 the", "5 no reply", "70"]
    {
        assert!(help.replace("\n", " ").contains(code), "{code}: {help}");
    }
}
