//! What `host/benches/stages.rs` has measured: criterion's medians.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::repository;

/// The table, if the program has run.
pub(super) fn table() -> String {
    let folder = repository().join("target/criterion");
    let mut rows = Vec::new();
    find(&folder, &mut rows);
    if rows.is_empty() {
        return "Not measured.".to_owned();
    }
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    let lines = rows.iter().map(|(name, nanoseconds)| format!("| {name} | {:.2} µs |\n", nanoseconds / 1e3));
    format!("| stage | median |\n| --- | --- |\n{}", lines.collect::<String>())
}

/// Looks for `new/estimates.json` beside `new/benchmark.json`, which has the name.
fn find(folder: &Path, rows: &mut Vec<(String, f64)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let json = |file: &str| -> Option<Value> { serde_json::from_slice(&fs::read(path.join(file)).ok()?).ok() };
        match (path.file_name().is_some_and(|name| name == "new"), json("benchmark.json"), json("estimates.json")) {
            (true, Some(name), Some(estimates)) => {
                let name = name["title"].as_str().expect("criterion names what it measures").replace('/', ": ");
                let median = estimates["median"]["point_estimate"].as_f64().expect("criterion measures nanoseconds");
                rows.push((name, median));
            }
            _ if path.is_dir() => find(&path, rows),
            _ => {}
        }
    }
}
