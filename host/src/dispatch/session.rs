//! What a request's handler may do, opened for the request.
//!
//! Before it: the handler is found. After it: the handler runs, and [`super::Admitted::run`] releases what it did.

use std::{sync::Arc, time::Instant};

use crate::{
    capability::{Capabilities, Cause, Session, Spans},
    catalog::Generation,
    envelope::Request,
    lending::Standing,
};

/// Opens a session; `None` where the handler may do nothing. `since` is when its time began.
pub(super) fn open(
    capabilities: &Capabilities,
    generation: &Generation,
    request: &Request,
    since: Instant,
    standing: &Arc<Standing>,
    spans: Spans,
) -> Option<Arc<Session>> {
    let program = &generation.program;
    if !program.grants().is_anything() {
        return None;
    }
    let limits = program.limits();
    let cause = Cause {
        context: request.context.clone(),
        hops: request.hops,
        unique_id: request.unique_id.clone(),
        deadline: since + limits.timeout,
        release: limits.timeout,
        spans,
    };
    let session = Session::new(capabilities, program.grants(), &limits.rpc, program.metrics(), cause);
    Some(Arc::new(session.standing(Arc::clone(standing))))
}
