//! What every nova service answers: is anybody there?

use nova_guest::{Failure, Info, serde_json::value::RawValue};
use serde::{Deserialize, Serialize};

/// The service's name in its answers.
const SERVICE: &str = "conductor";

/// Anything, to be returned.
#[derive(Debug, Deserialize)]
pub struct Ping {
    arg: Box<RawValue>,
}

/// The answer to a ping.
#[derive(Debug, Serialize)]
pub struct Pong {
    service: &'static str,
    arg: Box<RawValue>,
}

/// `ping(arg)` returns the service's name and the argument. nova's services call it with "1.21 GigaWatts" when they
/// start, and do not start without the answer.
pub fn ping(Ping { arg }: Ping, _: &Info) -> Result<Pong, Failure> {
    Ok(Pong { service: SERVICE, arg })
}

/// `get_backdoor_port()` returns the port of the debugging console: null, since there is none.
pub fn get_backdoor_port(_: (), _: &Info) -> Result<(), Failure> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use nova_guest::{serde_json::json, testing::Request};

    use crate::Conductor;

    #[test]
    fn a_service_that_waits_for_the_conductor_is_answered() {
        let ping = Request::new("ping", json!({"arg": "1.21 GigaWatts"})).namespace("baseapi").version("1.0");
        assert_eq!(ping.send::<Conductor>().value(), Ok(json!({"service": "conductor", "arg": "1.21 GigaWatts"})));
    }

    #[test]
    fn old_clients_find_ping_without_a_namespace() {
        let ping = Request::new("ping", json!({"arg": [1, null]})).version("1.22");
        assert_eq!(ping.send::<Conductor>().value(), Ok(json!({"service": "conductor", "arg": [1, null]})));
    }

    #[test]
    fn there_is_no_backdoor() {
        let port = Request::new("get_backdoor_port", json!({})).namespace("baseapi").version("1.1");
        assert_eq!(port.send::<Conductor>().value(), Ok(json!(null)));
    }
}
