//! The pages and alerts against what is counted.

use std::collections::BTreeSet;

use super::*;
use crate::metrics::Metrics;

fn page() -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    std::fs::read_to_string(path).unwrap().replace('\n', " ")
}

/// What stands between backquotes in a text.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_page_about_metrics_has_every_word_of_a_label_and_no_other() {
    let page = page();
    let words = |all: Vec<&'static str>| all.into_iter().collect::<BTreeSet<&str>>();
    macro_rules! compare {
        ($($name:ident from $begin:literal to $end:literal,)*) => {$(
            let text = page.split_once($begin).expect($begin).1.split_once($end).expect($end).0;
            let all = words($name::ALL.iter().map(|word| word.as_str()).collect());
            assert_eq!(quoted(text), all, "{}", stringify!($name));
        )*};
    }
    compare! {
        Ending from "`outcome` is one of" to ". ",
        Limit from "`limit` is one of" to ". ",
        Code from "components made ready:" to "|",
        Origin from "instances that requests were given:" to "from an earlier one",
        Sending from "`kind` is" to ", and",
        Sent from "and `outcome` one of" to ". ",
        Connection from "`connection` is" to ". ",
        ReplyFate from "replies to calls:" to "|",
        Effect from "The `fate` of an effect is" to "somebody",
        Went from "by who has them:" to "Up to",
    }
}

/// A file of `deploy/`.
fn deployed(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn alerts_and_dashboard_ask_for_what_is_counted() {
    let page = page();
    for file in ["alerts.yml", "alerts_test.yml", "dashboard.json"] {
        let text = deployed(file);
        let names = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let asked: BTreeSet<&str> =
            names.filter(|name| name.starts_with("nova_host_") || name.starts_with("process_")).collect();
        assert!(asked.len() > 10, "{file}");
        for name in asked {
            let name = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(page.contains(&format!("| `{name}` |")), "{file}: {name}");
        }
    }
}

#[test]
fn every_alert_has_a_test_and_says_what_to_do() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md");
    let (alerts, tests, page) =
        (deployed("alerts.yml"), deployed("alerts_test.yml"), std::fs::read_to_string(path).unwrap());
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let told: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert_eq!(names, told);
    for name in names {
        assert!(tests.contains(&format!("alertname: {name}\n        eval_time")), "{name} has no test");
        assert!(alerts.contains(&format!("runbook: docs/operating.md#{}\n", name.to_lowercase())), "{name}");
    }
}

#[test]
fn the_page_about_metrics_has_every_metric() {
    let page = page();
    let text = Metrics::default().encode();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
}
