//! What operators ask and say about forwarding.
//!
//! Before it: [`super`] has a request. After it: [`Forwarding`], whose rules are others from then on, until the next start.

use crate::{
    catalog::{Catalog, keeper::Keeper},
    control::protocol::{ControlAnswer, ForwardSet, ForwardState, Kind, RuleState},
    forward::{Forwarding, Pattern, Rule, Side},
};

/// What is said where nothing is forwarded.
const NOT_FORWARDING: &str =
    "this service forwards nothing: configure forward.exchange, the exchange of the service behind it";

/// What is forwarded.
pub(super) fn list(forwarding: Option<&Forwarding>) -> ControlAnswer {
    let Some(forwarding) = forwarding else { return ControlAnswer::failed(Kind::Refused, NOT_FORWARDING.to_owned()) };
    let rule = |(pattern, rule): (Pattern, Rule)| RuleState {
        methods: pattern.to_string(),
        side: rule.side.map(|side| side.to_string()),
        on_failure: rule.on_failure,
    };
    ControlAnswer::Forward(ForwardState {
        exchange: forwarding.fallback().exchange.clone(),
        topic: forwarding.fallback().topic.clone(),
        rules: forwarding.rules().all().into_iter().map(rule).collect(),
        methods: forwarding.seen(),
    })
}

/// Puts a rule into force.
pub(super) fn set(forwarding: Option<&Forwarding>, keeper: &Keeper, set: &ForwardSet) -> ControlAnswer {
    let Some(forwarding) = forwarding else { return ControlAnswer::failed(Kind::Refused, NOT_FORWARDING.to_owned()) };
    let read = || -> Result<(Pattern, Option<Rule>), String> {
        let pattern = Pattern::parse(&set.methods)?;
        let side = set.side.as_deref().map(str::parse).transpose()?;
        if let Some(Side::Serve { .. }) = side {
            is_served(&keeper.current().get(), &pattern)?;
        }
        if side.is_none() && set.on_failure.is_none() {
            return Ok((pattern, None));
        }
        let before = forwarding.rules().get(&pattern);
        let rule = Rule { side: side.or(before.side), on_failure: set.on_failure.or(before.on_failure) };
        Ok((pattern, Some(rule)))
    };
    match read() {
        Err(reason) => ControlAnswer::failed(Kind::Refused, reason),
        Ok((pattern, rule)) => {
            let rule = forwarding.set(&pattern, rule);
            tracing::info!(methods = %pattern, %rule, "an operator has set what is forwarded, until the next start");
            list(Some(forwarding))
        }
    }
}

/// Whether a handler has any of the methods.
fn is_served(catalog: &Catalog, pattern: &Pattern) -> Result<(), String> {
    let mut endpoints = catalog.generations().iter().flat_map(|generation| generation.endpoints.iter());
    let is_served = endpoints.any(|endpoint| match pattern {
        Pattern::All => true,
        Pattern::Namespace(namespace) => endpoint.namespace.as_deref() == Some(namespace),
        Pattern::Method(namespace, method) => endpoint.namespace == *namespace && endpoint.serves(method),
    });
    if is_served {
        return Ok(());
    }
    Err(format!("no handler has {pattern}: add one with `nova-host handlers add` before its requests are served here"))
}
