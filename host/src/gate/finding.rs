//! What a version does not pass, for operators.
//!
//! Before it: [`crate::catalog`] has compared two versions. After it: the answer of `add`, the list and the log, each in one line.

use std::fmt;

use crate::{
    metrics::Gate,
    printable::printable,
    replay::{Comparison, Verdict},
};

/// Findings that are told; of more there is a number.
const MAX_TOLD: usize = 16;

/// Paths, or calls, of one recording that are told.
const MAX_OF_ONE: usize = 3;

/// Bytes of one finding.
const MAX_TEXT: usize = 700;

/// Bytes of a name in a finding.
const MAX_NAME: usize = 64;

/// One thing that is not as it is demanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which gate.
    pub gate: Gate,
    /// What, for the operator.
    pub what: String,
}

/// Why a version is refused: at least one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(Vec<Finding>);

impl Finding {
    /// With a text that may be of any length.
    #[must_use]
    pub fn new(gate: Gate, what: &str) -> Self {
        Self { gate, what: printable(what, MAX_TEXT) }
    }

    /// Of a recording, by its id and its method.
    #[must_use]
    pub fn of(gate: Gate, recording: &str, method: &str, what: &str) -> Self {
        Self::new(gate, &format!("{recording} ({}): {what}", printable(method, MAX_NAME)))
    }
}

impl Refusal {
    /// `None` where there is nothing to be said.
    #[must_use]
    pub fn of(findings: Vec<Finding>) -> Option<Self> {
        (!findings.is_empty()).then_some(Self(findings))
    }

    /// All that was found.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.0
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.0.iter().take(MAX_TOLD).map(|Finding { gate, what }| format!("{}: {what}", gate.as_str()));
        write!(f, "does not pass: {}", told.collect::<Vec<_>>().join("; "))?;
        match self.0.len().saturating_sub(MAX_TOLD) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// What a run has done otherwise than was recorded, in words.
#[must_use]
pub fn told(comparison: &Comparison) -> String {
    let mut words: Vec<String> = comparison.changed_but_for_lines().map(|change| format!("result {change}")).collect();
    if comparison.verdict() == Verdict::Failed {
        let (expected, ended) = (comparison.expected.kind(), &comparison.ended);
        words.insert(0, format!("expected {expected}, got {}", ended.comparable()));
    } else {
        words.extend(comparison.differences.iter().map(|difference| {
            let nothing = || "nothing more".to_owned();
            let (expected, got) = (&difference.expected, &difference.got);
            format!(
                "call {}: {}: expected {}, got {}",
                difference.number,
                printable(&difference.import, MAX_NAME),
                expected.clone().unwrap_or_else(nothing),
                got.clone().unwrap_or_else(nothing)
            )
        }));
    }
    let more = words.len().saturating_sub(MAX_OF_ONE);
    words.truncate(MAX_OF_ONE);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("{}{more}", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_bounded_line_and_names_each_gate() {
        assert_eq!(Refusal::of(Vec::new()), None);
        let long = format!("\u{1b}[31m{}\n", "x".repeat(10_000));
        let findings = vec![Finding::of(Gate::Recordings, "1-a", &long, &long); 40];
        let text = Refusal::of(findings).unwrap().to_string();
        assert!(text.starts_with("does not pass: recordings: 1-a (") && text.ends_with("; and 24 more"), "{text}");
        assert!(text.len() < 16 << 10 && !text.contains(['\n', '\u{1b}']), "{}", text.len());
    }
}
