//! What a failure means: try again, or say what to do.
//!
//! Before it: an error of lapin, and what was being done. After it: [`Error::Refused`] or [`Error::Unreachable`], in a
//! line that names the broker and never a credential.

use lapin::{ErrorKind, protocol::AMQPError};

use super::{super::config::Config, tls};
use crate::transport::{
    error::Error,
    topology::{Exchange, ExchangeKind},
};

/// The longest piece of a broker's text that is passed on, in characters.
const MAX_TEXT_LENGTH: usize = 300;

/// What RabbitMQ calls queues which are neither durable nor exclusive.
pub(crate) const TRANSIENT_FEATURE: &str = "transient_nonexcl_queues";

/// What to do about a broker that denies queues which are not durable. They are deprecated since RabbitMQ 4; Debian's 4.0.5 and
/// 4.3.6 permit them unless configured otherwise.
pub(crate) const TRANSIENT_QUEUES: &str = "this broker denies queues that are neither durable nor exclusive: set \
    rabbit_quorum_queue = true (or amqp_durable_queues = true) and rabbit_transient_quorum_queue = true here and for all \
    clients, or deprecated_features.permit.transient_nonexcl_queues = true in the broker";

/// AMQP's reply codes, as far as they decide anything here.
mod code {
    pub(crate) const ACCESS_REFUSED: u16 = 403;
    pub(crate) const NOT_FOUND: u16 = 404;
    pub(crate) const RESOURCE_LOCKED: u16 = 405;
    pub(crate) const PRECONDITION_FAILED: u16 = 406;
    pub(crate) const COMMAND_INVALID: u16 = 503;
    pub(crate) const NOT_ALLOWED: u16 = 530;
    pub(crate) const NOT_IMPLEMENTED: u16 = 540;
    pub(crate) const INTERNAL_ERROR: u16 = 541;
}

/// What a failed handshake means.
pub(crate) fn of_handshake(broker: String, error: &lapin::Error, config: &Config) -> Error {
    if let ErrorKind::IOError(error) = error.kind()
        && let Some(reason) = tls::advice(error, config.tls.as_ref())
    {
        return Error::Refused { broker, reason };
    }
    let text = text(error);
    if is_hang_up(error) {
        // What RabbitMQ does about a method of login that it has not, and TLS 1.3 about a certificate that is missing,
        // where its reason does not overtake the end.
        let certificate = if config.tls.as_ref().is_some_and(|tls| !tls.has_certificate()) {
            " and, if the broker wants a certificate of ours, set ssl_cert_file and ssl_key_file"
        } else {
            ""
        };
        let reason = format!(
            "{text}: the broker hung up before the login; where that goes on, check rabbit_login_method{certificate}"
        );
        return Error::Unreachable { broker, reason };
    }
    match amqp(error).map(AMQPError::get_id) {
        Some(code::ACCESS_REFUSED) => {
            let reason = format!("{text}; check this host's user and password in the transport URL");
            Error::Refused { broker, reason }
        }
        // May pass, when others have gone: tried again, as is a host that is down.
        Some(code::NOT_ALLOWED) if text.contains("limit") => {
            let reason = format!("{text}; close connections that nobody needs, or have the limit raised");
            Error::Unreachable { broker, reason }
        }
        Some(code::NOT_ALLOWED) => {
            let reason =
                format!("{text}; check the virtual host in the transport URL and the user's permissions for it");
            Error::Refused { broker, reason }
        }
        Some(code::COMMAND_INVALID) => {
            let reason = format!("{text}; check rabbit_login_method, which the broker must have enabled");
            Error::Refused { broker, reason }
        }
        _ => Error::Unreachable { broker, reason: text },
    }
}

/// Whether the other side has ended the connection without a word.
fn is_hang_up(error: &lapin::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), ErrorKind::IOError(error)
        if matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}

/// What a failed declaration, binding or consume means.
pub(crate) fn of_declaration(broker: String, error: &lapin::Error) -> Error {
    match refusal(error) {
        Some(reason) => Error::Refused { broker, reason },
        None => Error::Unreachable { broker, reason: text(error) },
    }
}

/// Why a declaration is refused and what to do, where the broker's answer would be the same the next time.
pub(crate) fn refusal(error: &lapin::Error) -> Option<String> {
    let text = text(error);
    let advice = match amqp(error)?.get_id() {
        code::PRECONDITION_FAILED if text.contains("inequivalent") => {
            "it exists with other options; set those of [rabbit] as its other users have them, or delete it"
        }
        code::PRECONDITION_FAILED if text.contains("limit") && text.contains("is reached") => {
            "the broker's administrator has set this limit; delete queues that nobody needs, or have it raised"
        }
        code::PRECONDITION_FAILED | code::NOT_IMPLEMENTED | code::COMMAND_INVALID => {
            "this broker cannot do what the options of [rabbit] ask for"
        }
        code::ACCESS_REFUSED if text.contains("exclusive use") => "another consumer has it for itself; end that one",
        code::ACCESS_REFUSED if text.contains("reserved prefix") => "choose another name",
        code::ACCESS_REFUSED => "give the user permission to configure, write and read it",
        code::RESOURCE_LOCKED => "another connection holds it for itself; choose another name or end its owner",
        // A limit on connections or channels: others may go.
        code::NOT_ALLOWED if text.contains("limit") || text.contains("maximum") => return None,
        code::NOT_ALLOWED => "the broker does not allow it",
        // Every other internal error may pass.
        code::INTERNAL_ERROR if text.contains(TRANSIENT_FEATURE) => TRANSIENT_QUEUES,
        _ => return None,
    };
    Some(format!("{text}; {advice}"))
}

/// Whether there is no such exchange or queue.
pub(crate) fn is_not_found(error: &lapin::Error) -> bool {
    amqp(error).is_some_and(|error| error.get_id() == code::NOT_FOUND)
}

/// Whether the broker has given up without a reason.
pub(crate) fn is_internal(error: &lapin::Error) -> bool {
    amqp(error).is_some_and(|error| error.get_id() == code::INTERNAL_ERROR)
}

/// The exchange that was to be durable and exists without it, in the broker's words.
pub(crate) fn exchange_without_durability(error: &lapin::Error) -> Option<String> {
    let text = amqp(error)?.get_message().to_string();
    let rest = text.strip_prefix("PRECONDITION_FAILED - inequivalent arg 'durable' for exchange '")?;
    rest.rsplit_once("' in vhost '").map(|(exchange, _)| exchange.to_owned())
}

/// Why an exchange that others declare cannot be published to, and what to do, where it does not exist.
pub(crate) fn missing(exchange: &Exchange, error: &lapin::Error) -> Option<String> {
    let is_missing = exchange.kind == ExchangeKind::Others && amqp(error)?.get_id() == code::NOT_FOUND;
    is_missing.then(|| format!("{}; declare it, or name another one", text(error)))
}

/// What happened to a channel or a connection in use, and what to do where that is known.
pub(crate) fn loss(error: &lapin::Error) -> String {
    let text = text(error);
    if text.contains("delivery acknowledgement") && text.contains("timed out") {
        return format!(
            "{text}; a request ran for longer than the broker's consumer_timeout: set limits.timeout below that, or have \
             the broker's raised"
        );
    }
    text
}

/// Whether the error ended a channel only, and the connection lives.
pub(crate) fn is_of_channel(error: &lapin::Error) -> bool {
    error.is_amqp_soft_error()
}

/// What happened, in one line without a full stop.
pub(crate) fn text(error: &lapin::Error) -> String {
    let text = match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        ErrorKind::IOError(error) => error.to_string(),
        _ => error.to_string(),
    };
    text.trim_end_matches('.').chars().take(MAX_TEXT_LENGTH).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn amqp(error: &lapin::Error) -> Option<&AMQPError> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker_says(code: u16, text: &str) -> lapin::Error {
        ErrorKind::ProtocolError(AMQPError::from_id(code, text.into()).unwrap()).into()
    }

    #[test]
    fn refusals_say_what_the_broker_said_and_what_to_do() {
        for (code, text, advice) in [
            (403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN", "user and password"),
            (530, "NOT_ALLOWED - access to vhost 'V' refused for user 'stranger'", "permissions"),
            (530, "NOT_ALLOWED - vhost nope not found", "virtual host"),
        ] {
            let error = of_handshake("a:5672".into(), &broker_says(code, text), &Config::default());
            let shown = error.to_string();
            assert!(matches!(error, Error::Refused { .. }), "{shown}");
            assert!(shown.starts_with("a:5672 refuses: ") && shown.contains(text) && shown.contains(advice), "{shown}");
        }
        for (code, text, advice) in [
            (406, "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/'", "or delete it"),
            (406, "PRECONDITION_FAILED - invalid property 'auto-delete' for queue 'q'", "cannot do"),
            (
                406,
                "PRECONDITION_FAILED - cannot declare queue 'r': queue limit in vhost 'V' (1) is reached",
                "this limit",
            ),
            (
                406,
                "PRECONDITION_FAILED - cannot declare queue 'r': queue limit in cluster (1) is reached",
                "this limit",
            ),
            (403, "ACCESS_REFUSED - queue 'q' in vhost 'V' in exclusive use", "end that one"),
            (405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost 'V'", "holds it"),
            (403, "ACCESS_REFUSED - access to exchange 'x' in vhost '/' refused for user 'u'", "permission"),
            (541, "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated", "rabbit_quorum_queue"),
        ] {
            let reason = refusal(&broker_says(code, text)).unwrap();
            assert!(reason.starts_with(text) && reason.contains(advice), "{reason}");
        }
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let io = lapin::Error::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        for error in [
            io,
            broker_says(320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"),
            broker_says(541, "INTERNAL_ERROR"),
            broker_says(541, "INTERNAL_ERROR - access to vhost 'V' refused for user 'guest': vhost 'V' is down"),
            broker_says(
                530,
                "NOT_ALLOWED - access to vhost 'V' refused for user 'guest': connection limit (1) is reached",
            ),
            broker_says(530, "NOT_ALLOWED - connection refused: node connection limit (1) is reached"),
            broker_says(404, "NOT_FOUND - home node 'rabbit@a' of durable queue 'q' in vhost '/' is down"),
        ] {
            assert!(
                matches!(of_handshake(String::new(), &error, &Config::default()), Error::Unreachable { .. }),
                "{error}"
            );
            assert!(matches!(of_declaration(String::new(), &error), Error::Unreachable { .. }), "{error}");
        }
    }

    #[test]
    fn a_broker_that_hangs_up_is_tried_again_and_what_may_be_wrong_is_said() {
        let hang_up = lapin::Error::from(std::io::Error::from(std::io::ErrorKind::ConnectionAborted));
        let shown = of_handshake("a:5672".into(), &hang_up, &Config::default()).to_string();
        assert!(shown.starts_with("cannot reach a:5672: ") && shown.contains("check rabbit_login_method"), "{shown}");
        assert!(!shown.contains("ssl"), "{shown}");
    }

    #[test]
    fn an_exchange_without_durability_is_known_by_its_name() {
        let says = |text: &str| exchange_without_durability(&broker_says(406, text));
        let text = "PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'a 'b' in vhost '/': received 'true' but current is 'false'";
        assert_eq!(says(text).as_deref(), Some("a 'b"));
        assert_eq!(says(&text.replace("exchange", "queue")), None);
        assert_eq!(says(&text.replace("durable", "type")), None);
    }

    #[test]
    fn a_request_that_took_too_long_for_the_broker_is_said() {
        let text =
            "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 10000 ms";
        assert!(loss(&broker_says(406, text)).contains("consumer_timeout"));
        assert_eq!(loss(&broker_says(320, "CONNECTION_FORCED")), "CONNECTION_FORCED");
    }

    #[test]
    fn a_text_stays_one_line() {
        assert_eq!(text(&broker_says(541, "a\nb\u{1b}[31m.")), "a b [31m");
    }
}
