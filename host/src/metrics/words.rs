//! The words that labels are made of: closed lists, which nobody outside can make longer.
//!
//! Before it: [`crate::dispatch`] and [`crate::sandbox`] say what happened. After it: [`super::Metrics`], and the log.

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$word_doc])* $word,)*
        }

        impl $name {
            /// All words, in the order of their definition.
            pub const ALL: &'static [Self] = &[$(Self::$word),*];

            /// The word, as it stands in metrics and in the log.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)*
                }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                EncodeLabelValue::encode(&self.as_str(), encoder)
            }
        }
    };
}

words! {
    /// What became of a request, in a word.
    Ending {
        /// The handler's result.
        Replied = "replied",
        /// The handler's own failure.
        Failed = "failed",
        /// No handler was started.
        Refused = "refused",
        /// The handler left it to others.
        Declined = "declined",
        /// It was for the service behind this one, and did not get there.
        Unforwarded = "unforwarded",
        /// The handler trapped.
        Trapped = "trapped",
        /// It ran past its deadline.
        TimedOut = "timed_out",
        /// It computed for longer than it may.
        OutOfCpu = "out_of_cpu",
        /// It wanted more memory than it may have.
        OutOfMemory = "out_of_memory",
        /// It recursed too deep.
        OutOfStack = "out_of_stack",
        /// It wanted larger tables than it may have.
        OutOfTables = "out_of_tables",
        /// It returned what is not an answer.
        InvalidResult = "invalid_result",
        /// It could not be started.
        Unavailable = "unavailable",
        /// The handler succeeded, and not all of its effects could be released.
        Unreleased = "unreleased",
        /// The request was begun as often as is allowed and never came to an end.
        Exhausted = "exhausted",
        /// The host itself failed.
        Panicked = "panicked",
    }
}

impl Ending {
    /// Whether the request ended otherwise than the handler meant it to: an exception that it raises, and a request that it leaves to
    /// others, are its everyday business.
    #[must_use]
    pub const fn is_fault(self) -> bool {
        !matches!(self, Self::Replied | Self::Failed | Self::Refused | Self::Declined)
    }
}

words! {
    /// One of two versions, while one is on trial.
    Tried {
        /// The one that serves.
        Old = "old",
        /// The one on trial.
        New = "new",
    }
}

words! {
    /// What became of a version on trial.
    Verdict {
        /// It gets a larger share.
        Advanced = "advanced",
        /// It waits for an operator.
        Paused = "paused",
        /// It serves all requests.
        Promoted = "promoted",
        /// It did worse, or an operator took it back.
        RolledBack = "rolled_back",
        /// Something else has come into force.
        Overtaken = "overtaken",
    }
}

words! {
    /// What became of a request of a shadow's share.
    Compared {
        /// The new version did and answered the same.
        Same = "same",
        /// It answered something else.
        Differs = "differs",
        /// It asked others for something else.
        Diverged = "diverged",
        /// It did not answer.
        Failed = "failed",
        /// It could not be compared.
        Skipped = "skipped",
        /// There was no room for it, or no time.
        Dropped = "dropped",
    }
}

words! {
    /// What became of a reply.
    ReplyFate {
        /// The broker has confirmed it at once.
        Confirmed = "confirmed",
        /// The broker has confirmed it after its queue did not take it for a while.
        Late = "late",
        /// It was larger than the broker takes, and a failure that says so was confirmed in its place.
        TooLarge = "too_large",
        /// Nobody could be told.
        Dropped = "dropped",
    }
}

words! {
    /// What became of a span of a trace.
    SpanFate {
        /// The collector has it.
        Exported = "exported",
        /// It was left out: the queue of the exporter was full, or its request had too many.
        Dropped = "dropped",
        /// The collector did not take it.
        Failed = "failed",
    }
}

words! {
    /// What became of a recording that was to be kept.
    RecordingFate {
        /// It is written.
        Kept = "kept",
        /// There were as many in this second as may be.
        OverRate = "over_rate",
        /// More was taped than is kept of one request.
        TooLarge = "too_large",
        /// Too many waited to be written.
        Dropped = "dropped",
        /// It could not be written.
        Failed = "failed",
    }
}

words! {
    /// A limit that a request ran into; the setting is `limits.` and this word.
    Limit {
        /// Wall-clock time.
        Timeout = "timeout",
        /// Time that it computes.
        Cpu = "cpu",
        /// Linear memory.
        Memory = "memory",
        /// The call stack.
        Stack = "stack",
        /// Elements of tables.
        Tables = "tables",
        /// Core instances.
        Instances = "instances",
        /// The size of the arguments.
        Arguments = "arguments",
        /// The size of the result.
        Result = "result",
        /// The volume of the log.
        Log = "log",
        /// Requests of one handler at once.
        Concurrency = "concurrency",
        /// Requests that one request sent.
        RpcRequests = "rpc_requests",
        /// What it sent, or got in return.
        RpcBytes = "rpc_bytes",
        /// What its handler keeps.
        Keyvalue = "keyvalue",
        /// HTTP requests that one request made.
        HttpRequests = "http_requests",
        /// What they sent, or got in return.
        HttpBytes = "http_bytes",
    }
}

words! {
    /// Where the code of a component came from.
    Code {
        /// Compiled now.
        Compiled = "compiled",
        /// Taken from the cache.
        Cached = "cached",
        /// It does not compile, or not within the limits.
        Failed = "failed",
    }
}

words! {
    /// What a connection to the broker carries.
    Connection {
        /// Requests to this service.
        Requests = "requests",
        /// Replies to what handlers ask of others.
        Replies = "replies",
        /// What is published.
        Publications = "publications",
    }
}

words! {
    /// Where the instance of a request came from.
    Origin {
        /// Made for it.
        Fresh = "fresh",
        /// Left of an earlier one.
        Kept = "kept",
    }
}

words! {
    /// How a handler asks others.
    Sending {
        /// It waits for the result.
        Call = "call",
        /// It does not.
        Cast = "cast",
        /// It does not, and asks everybody.
        Fanout = "fanout",
        /// It fetches over HTTP.
        Http = "http",
    }
}

words! {
    /// What came of a request that a handler sent.
    Sent {
        /// A call has its result, an HTTP request its response; a cast was sent, or is held.
        Done = "done",
        /// The other side says that it failed.
        Failed = "failed",
        /// No reply came in time.
        TimedOut = "timed_out",
        /// Nobody is there.
        Unavailable = "unavailable",
        /// It is not granted.
        Denied = "denied",
        /// A limit was reached.
        Limited = "limited",
        /// It makes no sense.
        Invalid = "invalid",
    }
}

words! {
    /// What became of an effect that was held until its handler ended.
    Effect {
        /// The handler succeeded, and the effect with it.
        Released = "released",
        /// The handler did not succeed, or an effect before this one failed.
        Discarded = "discarded",
        /// The handler succeeded, and the effect failed.
        Failed = "failed",
    }
}

words! {
    /// What a new version of a handler has to pass, where that is demanded.
    Gate {
        /// It breaks no caller.
        Interface = "interface",
        /// It imports nothing new.
        Imports = "imports",
        /// It is granted nothing more.
        Grants = "grants",
        /// Recorded requests end as they did.
        Recordings = "recordings",
        /// It is not slower.
        Latency = "latency",
        /// It takes no more memory.
        Memory = "memory",
    }
}

words! {
    /// Where a request went, of a service that forwards.
    Went {
        /// A handler, or the host itself, has answered it.
        Served = "served",
        /// The fallback's queue has it.
        Forwarded = "forwarded",
        /// It was for all servers, of which the fallback's have copies of their own.
        Left = "left",
        /// It was to go on, and could not.
        Failed = "failed",
    }
}

words! {
    /// What became of a request to the admin API, in a word.
    Door {
        /// It was answered, or done.
        Done = "done",
        /// Who asked was not known, or may not.
        Denied = "denied",
        /// Too many log-ins from there have failed.
        Limited = "limited",
        /// It made no sense, or could not be done.
        Failed = "failed",
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
