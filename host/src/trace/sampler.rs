//! Which traces are recorded: those that the caller records, and a share of those that begin here.
//!
//! Before it: the setting `tracing.sample`, or `OTEL_TRACES_SAMPLER`. After it: [`super::tracer`] asks it once for each request.

use super::propagation::TraceContext;
use crate::settings::Setting;

/// A part of the whole, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) struct Share(f64);

/// How it is decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampler {
    /// Whether the caller's decision counts, where it has made one.
    pub(super) follows_parent: bool,
    /// The part of the others that is recorded.
    pub(super) share: Share,
}

impl Share {
    pub(super) const ALL: Self = Self(1.0);
    pub(super) const NONE: Self = Self(0.0);

    /// Whether a trace is in this part. By its id, as OpenTelemetry's SDKs do it (`TraceIdRatioBased`), so that all services with
    /// the same share decide alike.
    fn has(self, trace: &[u8; 16]) -> bool {
        let low = trace.last_chunk().map_or(0, |low| u64::from_be_bytes(*low));
        // In 63 bits, as there; exact enough for a share.
        #[expect(clippy::cast_precision_loss, reason = "a share is not exact")]
        let place = (low >> 1) as f64 / (1_u64 << 63) as f64;
        self.0 >= 1.0 || place < self.0
    }
}

impl Setting for Share {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Self(share)),
            Ok(_) | Err(_) => Err("is no share from 0 (no trace) to 1 (all), such as 0.01".to_owned()),
        }
    }
}

impl Sampler {
    /// Whether a request of this trace is recorded. `is_from_caller` says whether the trace began elsewhere.
    pub(super) fn takes(self, context: &TraceContext, is_from_caller: bool) -> bool {
        if is_from_caller && self.follows_parent {
            return context.is_sampled();
        }
        self.share.has(&context.trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(low: u64) -> TraceContext {
        TraceContext::parse(&format!("00-0000000000000001{low:016x}-0000000000000001-00"), None).unwrap()
    }

    #[test]
    fn a_share_is_taken_by_the_traces_id_as_everywhere() {
        let sampler = |share| Sampler { follows_parent: true, share: Share(share) };
        for (share, below, above) in [(0.5, u64::MAX / 2, u64::MAX / 2 + 2), (0.01, u64::MAX / 100, u64::MAX / 50)] {
            assert!(sampler(share).takes(&trace(below - 2000), false), "{share}");
            assert!(!sampler(share).takes(&trace(above + 2000), false), "{share}");
        }
        assert!(sampler(1.0).takes(&trace(u64::MAX), false));
        assert!(!sampler(0.0).takes(&trace(0), false));
    }

    #[test]
    fn the_callers_decision_counts_where_that_is_asked_for() {
        let follows = Sampler { follows_parent: true, share: Share::ALL };
        assert!(!follows.takes(&trace(1), true));
        assert!(Sampler { share: Share::NONE, ..follows }.takes(&trace(1).sampled(true), true));
        assert!(Sampler { follows_parent: false, ..follows }.takes(&trace(1), true));
    }

    #[test]
    fn what_is_no_share_is_refused() {
        assert_eq!(Share::parse(" 0.25 "), Ok(Share(0.25)));
        for wrong in ["", "-0.1", "1.1", "NaN", "inf", "1 %", "all"] {
            assert!(Share::parse(wrong).unwrap_err().contains("no share"), "{wrong}");
        }
    }
}
