//! Runs the self-tests of a manifest on a generation that is to serve.
//!
//! Before it: [`super::load`] has compiled the component and applied its manifest, which says what to ask and what to expect
//! ([`super::manifest::selftest`]). After it: the generation may be put into force.

use std::{sync::Arc, time::Instant};

use super::{Catalog, Conflict, Found, Generation, manifest::selftest::SelfTest};
use crate::{
    sandbox::{Fault, Invocation, RequestInfo},
    version::Version,
};

/// Why a generation is not served.
#[derive(Debug)]
pub(super) enum Failed {
    /// It cannot even be served alone.
    Conflict(Conflict),
    /// What was expected and what came, for the operator.
    SelfTest(String),
}

/// Runs all tests, one after the other, each in an instance of its own.
///
/// # Errors
///
/// The first that fails.
pub(super) async fn run(generation: &Arc<Generation>) -> Result<(), Failed> {
    let alone = Catalog::default().with(Arc::clone(generation)).map_err(Failed::Conflict)?;
    for test in &generation.manifest.selftests {
        let passed = ask(test, &alone, generation).await;
        passed.map_err(|reason| Failed::SelfTest(format!("selftest of {}: {reason}", test.method)))?;
    }
    Ok(())
}

/// One request; `alone` serves nothing but the generation.
async fn ask(test: &SelfTest, alone: &Catalog, generation: &Generation) -> Result<(), String> {
    let namespace = test.namespace();
    let endpoints = generation.endpoints.iter().filter(|one| one.namespace.as_deref() == namespace);
    let versions = endpoints.filter(|endpoint| endpoint.serves(&test.method)).map(|endpoint| endpoint.version);
    let highest = versions.max().unwrap_or(Version::DEFAULT);
    let version = test.version.clone().unwrap_or_else(|| highest.to_string());
    let Ok(Found::Handler { endpoint, .. }) = alone.find(namespace, &version, Some(&test.method)) else {
        let namespace = namespace.unwrap_or("(no namespace)");
        return Err(format!("the handler does not serve it in {namespace} {version}"));
    };
    let invocation = Invocation {
        endpoint,
        method: test.method.clone(),
        namespace: namespace.map(str::to_owned),
        version,
        arguments: test.arguments(),
        info: RequestInfo::bare(),
        since: Instant::now(),
    };
    match generation.program.handle(invocation).await {
        Ok(answer) => test.judge(Some(&answer)),
        Err(Fault::Declined) => test.judge(None),
        Err(fault) => Err(fault.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DECLINE, ECHO, generation_with, program, wide};

    async fn passed(handle: &str, test: &str) -> Result<(), String> {
        let manifest = format!("[[selftest]]\nmethod = \"m\"\n{test}");
        match run(&generation_with("guest", "1.0", &["m"], program(handle, wide()), &manifest)).await {
            Err(Failed::SelfTest(reason)) => Err(reason),
            other => other.map_err(|failed| format!("{failed:?}")),
        }
    }

    #[tokio::test]
    async fn a_request_is_declined_where_the_test_says_so_and_nowhere_else() {
        let declined = "selftest of m: the handler declines it (where that is meant: declines = true)";
        for test in ["", "expect = {}", "fails = \"ValueError\"", "declines = false"] {
            assert_eq!(passed(DECLINE, test).await.unwrap_err(), declined, "{test}");
        }
        assert_eq!(passed(DECLINE, "declines = true").await, Ok(()));
        let answered = passed(ECHO, "declines = true").await.unwrap_err();
        assert_eq!(answered, "selftest of m: should be declined, returned {}");
    }
}
