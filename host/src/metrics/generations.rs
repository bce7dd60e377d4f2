//! What is counted of the code that is loaded: compilations, generations, and which component each handler is.
//!
//! Before it: [`crate::sandbox`] compiles, [`crate::catalog`] loads and switches. After it: [`super::Metrics`] writes it.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::{Code, Gate, HandlerLabel, Metrics, SECONDS};

#[derive(Debug)]
pub(super) struct Generations {
    compilations: Family<CodeLabel, Counter>,
    compile_duration: Histogram,
    loaded: Family<HandlerLabel, Counter>,
    generation: Family<HandlerLabel, Gauge<u64, AtomicU64>>,
    info: Family<InfoLabels, Gauge>,
    refused: Counter,
    gates_failed: Family<GateLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: Code,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GateLabel {
    gate: Gate,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InfoLabels {
    handler: Arc<String>,
    digest: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    architecture: &'static str,
}

impl Generations {
    pub(super) fn register(all: &mut Registry) -> Self {
        let generations = Self {
            compilations: Family::default(),
            compile_duration: Histogram::new(SECONDS),
            loaded: Family::default(),
            generation: Family::default(),
            info: Family::default(),
            refused: Counter::default(),
            gates_failed: Family::default(),
        };
        let Self { compilations, compile_duration, loaded, generation, info, refused, gates_failed } = &generations;
        let build = Family::<BuildLabels, Gauge>::default();
        let labels = BuildLabels { version: env!("CARGO_PKG_VERSION"), architecture: std::env::consts::ARCH };
        build.get_or_create(&labels).set(1);
        all.register("build_info", "1, with the program's version", build);
        all.register(
            "compilations",
            "Components made ready to run, by where their code came from",
            compilations.clone(),
        );
        all.register("compile_duration_seconds", "Time to compile a component", compile_duration.clone());
        all.register("generations_loaded", "Generations loaded, by handler", loaded.clone());
        all.register("generation", "The generation of a handler that is served", generation.clone());
        all.register("handler_info", "1, with the digest of the component that is served", info.clone());
        all.register("generations_refused", "Files that were refused", refused.clone());
        all.register("gates_failed", "Gates that a refused version did not pass", gates_failed.clone());
        generations
    }
}

impl Metrics {
    /// A component was made ready to run, or not.
    pub fn code(&self, code: Code) {
        self.0.generations.compilations.get_or_create(&CodeLabel { code }).inc();
    }

    /// A compilation took so long.
    pub fn compiled_in(&self, took: Duration) {
        self.0.generations.compile_duration.observe(took.as_secs_f64());
    }

    /// A generation is served from now on; `digest` is its component's.
    pub fn loaded(&self, handler: &str, generation: u64, digest: &str) {
        let Generations { loaded, generation: current, .. } = &self.0.generations;
        let label = HandlerLabel { handler: Arc::new(handler.to_owned()) };
        loaded.get_or_create(&label).inc();
        current.get_or_create(&label).set(generation);
        self.serves(label.handler, Some(digest));
    }

    /// A handler is not served any more.
    pub fn unloaded(&self, handler: &str) {
        let label = HandlerLabel { handler: Arc::new(handler.to_owned()) };
        self.0.generations.generation.remove(&label);
        self.serves(label.handler, None);
    }

    /// A file was refused.
    pub fn load_refused(&self) {
        self.0.generations.refused.inc();
    }

    /// A version is refused because it does not pass a gate.
    pub fn gate_failed(&self, gate: Gate) {
        self.0.generations.gates_failed.get_or_create(&GateLabel { gate }).inc();
    }

    fn serves(&self, handler: Arc<String>, digest: Option<&str>) {
        let info = &self.0.generations.info;
        let before = self.0.health.serves(&handler, digest);
        if let Some(before) = before {
            info.remove(&InfoLabels { handler: Arc::clone(&handler), digest: before });
        }
        if let Some(digest) = digest {
            info.get_or_create(&InfoLabels { handler, digest: digest.to_owned() }).set(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_has_one_digest_at_a_time_and_none_when_it_has_gone() {
        let metrics = Metrics::default();
        let lines = || {
            let text = metrics.encode();
            let lines = text.lines().filter(|line| line.starts_with("nova_host_handler_info{"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        metrics.loaded("a", 1, "sha256:1");
        metrics.loaded("a", 2, "sha256:2");
        assert_eq!(lines(), [r#"nova_host_handler_info{handler="a",digest="sha256:2"} 1"#]);
        metrics.unloaded("a");
        assert_eq!(lines(), [] as [&str; 0]);
        assert!(metrics.encode().contains(&format!("nova_host_build_info{{version=\"{}\"", env!("CARGO_PKG_VERSION"))));
    }
}
