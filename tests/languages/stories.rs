//! What every calculator must do, whoever asks.

use serde_json::{Value, json};

use super::{
    Calculator, Integers,
    callers::{Asked, Caller, Raised},
};

/// A large result.
const LARGE: usize = 1 << 20;

/// One calculator and who asks it.
pub(super) struct Story {
    pub(super) calculator: Calculator,
    pub(super) caller: Caller,
}

impl Story {
    pub(super) fn tell(mut self) {
        self.values_of_every_kind_come_back();
        self.large_texts_pass_in_both_directions();
        self.integers_are_exact_as_far_as_they_go();
        self.exceptions_have_class_message_and_arguments();
        self.wrong_arguments_are_type_errors();
        self.the_context_is_the_callers();
        self.lines_reach_the_log();
        self.what_is_added_to_the_trace_is_seen();
        self.a_panic_ends_the_request_with_its_words();
        self.what_is_left_to_others_is_refused_where_there_are_none();
        self.an_endless_loop_ends_at_the_deadline();
        self.memory_has_a_limit();
        self.every_request_has_an_instance_of_its_own();
    }

    pub(super) fn ask(&self, method: &str, args: Value) -> Result<Value, Raised> {
        self.caller.ask(&Asked { method, args, namespace: None, context: json!({}) })
    }

    #[track_caller]
    pub(super) fn gets(&self, method: &str, args: Value) -> Value {
        self.ask(method, args).unwrap_or_else(|raised| panic!("{}.{method}: {raised:?}", self.calculator.name))
    }

    #[track_caller]
    pub(super) fn raises(&self, method: &str, args: Value, class: &str) -> Raised {
        match self.ask(method, args) {
            Err(raised) if raised.class == class => raised,
            other => panic!("{}.{method} should raise {class}: {other:?}", self.calculator.name),
        }
    }

    /// But for floats that are whole numbers: JSON does not tell them from integers, and JavaScript neither.
    fn values_of_every_kind_come_back(&self) {
        let values = json!([
            null, true, false, 0, -1, 9_007_199_254_740_991_i64, 9_007_199_254_740_993_i64, i64::MAX, i64::MIN, 0.1, -1.5e-7,
            "", "text", "Grüße, 世界 🦀", "e\u{301}", "\u{1f468}\u{200d}\u{1f469}", "\"\\/\u{8}\u{c}\n\r\t\u{1}\u{7f}",
            "\u{feff}\u{fffd}", [], {}, [[[[[]]]]], {"": {"a b": [1, {"ключ": null}]}}, [1, 1, "1"],
        ]);
        assert_eq!(self.gets("echo", json!({"value": values})), values, "{}", self.calculator.name);
        let joined = self.gets("concat", json!({"texts": ["naïve", "日本", "", "🦀"], "separator": "–\n"}));
        assert_eq!(joined, "naïve–\n日本–\n–\n🦀");
        assert_eq!(self.gets("concat", json!({"texts": []})), "");
    }

    fn large_texts_pass_in_both_directions(&self) {
        assert_eq!(self.gets("blob", json!({"size": LARGE})), "x".repeat(LARGE));
        let text = "é🦀x".repeat(self.caller.largest() / 8);
        assert!(self.gets("echo", json!({"value": text})) == json!(text), "{}", self.calculator.name);
    }

    fn integers_are_exact_as_far_as_they_go(&self) {
        let add = |a: i64, b: i64| json!({"a": a, "b": b});
        assert_eq!(self.gets("add", add(9_007_199_254_740_990, 1)), 9_007_199_254_740_991_i64);
        assert_eq!(self.gets("add", add(-3, 3)), 0);
        let (large, beyond) = (add(9_007_199_254_740_993, 1), add(i64::MAX, 1));
        match self.calculator.integers {
            Integers::Bits64 => {
                assert_eq!(self.gets("add", large), 9_007_199_254_740_994_i64);
                assert_eq!(self.gets("add", add(i64::MAX, 0)), i64::MAX);
                assert_eq!(self.gets("add", add(i64::MIN, 0)), i64::MIN);
                self.raises("add", beyond, "OverflowError");
            }
            Integers::Python => assert_eq!(self.gets("add", beyond), 9_223_372_036_854_775_808_u64),
            Integers::JavaScript => drop(self.raises("add", beyond, "OverflowError")),
        }
    }

    fn exceptions_have_class_message_and_arguments(&self) {
        assert_eq!(self.gets("divide", json!({"a": 1, "b": 4})), 0.25);
        let raised = self.raises("divide", json!({"a": 1, "b": 0}), "ZeroDivisionError");
        assert_eq!(raised.message, "division by zero");
        let raised = self.raises("not_found", json!({"instance_id": "i-é\"7"}), "InstanceNotFound");
        assert!(raised.message.contains("Instance i-é\"7 could not be found."), "{raised:?}");
        if let Some(kwargs) = raised.kwargs {
            assert_eq!((&kwargs["instance_id"], &kwargs["code"]), (&json!("i-é\"7"), &json!(404)));
        }
    }

    fn wrong_arguments_are_type_errors(&self) {
        let raised = self.raises("add", json!({"a": 1}), "TypeError");
        assert!(raised.message.contains("missing 1 required positional argument: 'b'"), "{raised:?}");
        let raised = self.raises("add", json!({"a": 1, "b": 2, "c": 3}), "TypeError");
        assert!(raised.message.contains("got an unexpected keyword argument 'c'"), "{raised:?}");
    }

    fn the_context_is_the_callers(&self) {
        let given = json!({"user_id": "ü-1", "roles": ["admin"], "deep": {"a": [null]}});
        let asked = Asked { method: "context", args: json!({}), namespace: None, context: given.clone() };
        let known = self.caller.ask(&asked).expect("the context");
        for (name, value) in given.as_object().expect("an object") {
            assert_eq!(known[name], *value, "{}", self.calculator.name);
        }
    }

    fn lines_reach_the_log(&mut self) {
        let mut args = json!({"message": "Grüße from the guest"});
        if self.calculator.name == "calculator" {
            args["level"] = json!("info");
        }
        let asked = Asked { method: "log", args, namespace: None, context: json!({}) };
        let lines: &[&str] = &["Grüße from the guest", "printed Grüße from the guest"];
        let lines = if self.calculator.prints { lines } else { &lines[..1] };
        let (answer, log) = self.caller.ask_and_read(&asked, lines);
        assert_eq!(answer.expect("nothing"), Value::Null);
        // What is written as `info` has that level; what is printed has one of its own.
        let line = log.lines().find(|line| line.contains(lines[0]) && !line.contains("printed"));
        assert!(line.is_some_and(|line| line.contains("INFO")), "{}: {log}", self.calculator.name);
    }

    /// In the log, where nobody traces: at the level of debugging, which is also when a handler is told that it is seen.
    fn what_is_added_to_the_trace_is_seen(&mut self) {
        let asked = Asked { method: "mark", args: json!({"step": "é x"}), namespace: None, context: json!({}) };
        let step = "calc.step=\"é x\"";
        let (attribute, event) = (format!("attribute {step}"), format!("event step done: calc.count=3 {step}"));
        let lines =
            ["attribute calc.count=3", "attribute calc.share=0.5", "attribute calc.done=true", "event step done"];
        let (answer, log) = self.caller.ask_and_read(&asked, &lines);
        // Quotes are escaped where the log is JSON.
        let log = log.replace('\\', "");
        assert!(log.contains(&attribute) && log.contains(&event), "{}: {log}", self.calculator.name);
        assert_eq!(answer.expect("an answer"), true, "{}", self.calculator.name);
    }

    fn a_panic_ends_the_request_with_its_words(&self) {
        let raised = self.raises("panic", json!({"message": "words of the guest"}), "HandlerTrapped");
        assert!(raised.message.contains("words of the guest"), "{}: {raised:?}", self.calculator.name);
    }

    fn what_is_left_to_others_is_refused_where_there_are_none(&self) {
        assert_eq!(self.gets("object_action", json!({"objmethod": "save"})), "saved");
        let raised = self.raises("object_action", json!({"objmethod": "create"}), "NoSuchMethod");
        let message = "Endpoint does not support RPC method object_action";
        assert!(raised.message.contains(message), "{}: {raised:?}", self.calculator.name);
    }

    fn an_endless_loop_ends_at_the_deadline(&self) {
        let asked = Asked { method: "loop_forever", args: json!({}), namespace: Some("hurried"), context: json!({}) };
        let raised = self.caller.ask(&asked).expect_err("it never ends");
        assert_eq!(raised.class, "HandlerTimedOut", "{}: {raised:?}", self.calculator.name);
    }

    fn memory_has_a_limit(&self) {
        assert_eq!(self.gets("allocate", json!({"mib": 2})), 2 << 20);
        self.raises("allocate", json!({"mib": 200}), "HandlerOutOfMemory");
    }

    fn every_request_has_an_instance_of_its_own(&self) {
        assert_eq!(self.gets("calls", json!({})), 1);
        assert_eq!(self.gets("calls", json!({})), 1);
    }
}
