//! TLS between the service and its broker: whom it trusts, who it is, and what it says where that does not work.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Broker, Certificates, OsloClient, Serve, Vhost, eventually, handlers};

/// The transport URL with options for TLS, which oslo.messaging knows by the same names.
fn url(vhost: &Vhost, certificates: &Certificates, options: &[(&str, &str)]) -> String {
    let mut url = format!("{}?ssl=true", vhost.url());
    for (name, value) in options {
        let value = match name.strip_suffix("_file") {
            Some(_) => certificates.file(value).display().to_string(),
            None => (*value).to_owned(),
        };
        url.push_str(&format!("&{name}={value}"));
    }
    url
}

fn serve(url: &str) -> Serve {
    Serve::with_arguments(["--transport-url", url, "--handlers", &handlers().display().to_string()])
}

/// Runs a service that must not come up, and returns what it said last.
fn refused(url: &str) -> String {
    let directory = handlers().display().to_string();
    let mut host = Serve::unready(["--transport-url", url, "--handlers", &directory]);
    let status = host.wait(Duration::from_secs(60));
    assert_eq!(status.and_then(|status| status.code()), Some(4), "{url}\n{}", host.log());
    host.log().lines().last().unwrap_or_default().to_owned()
}

fn call(url: &str) {
    let sum = json!({"topic": "conductor", "method": "add", "args": {"a": 1, "b": 2}, "timeout": 60});
    assert_eq!(OsloClient::start(url).call(sum).expect("a result"), 3);
}

#[test]
fn a_broker_is_trusted_by_its_ca_and_its_name_and_by_nothing_else() {
    let certificates = Certificates::for_user("nova");
    let broker = Broker::tls(certificates.path(), "");
    let vhost = broker.vhost();
    let trusted = url(&vhost, &certificates, &[("ssl_ca_file", "ca.pem")]);
    {
        let _host = serve(&trusted);
        call(&trusted);
        let details = eventually("connections", || Some(vhost.connection_details()).filter(|all| all.len() >= 2));
        assert!(details.iter().all(|connection| connection["ssl"] == true), "{details:?}");
    }
    for version in ["TLSv1_2", "TLSv1_3"] {
        let _host = serve(&url(&vhost, &certificates, &[("ssl_ca_file", "ca.pem"), ("ssl_version", version)]));
        call(&trusted);
    }

    let text = refused(&url(&vhost, &certificates, &[("ssl_ca_file", "other-ca.pem")]));
    assert!(text.contains("not from a CA that is trusted here; set ssl_ca_file"), "{text}");
    // The broker listens here too, and its certificate is for 127.0.0.1.
    let elsewhere = trusted.replace("@127.0.0.1:", "@127.0.0.2:");
    let text = refused(&elsewhere);
    assert!(text.contains("is not for 127.0.0.2, but for ") && text.contains("connect by a name"), "{text}");
    let _host = serve(&format!("{elsewhere}&ssl_enforce_hostname_verification=false"));
    // Without the name the CA counts all the same.
    let text =
        refused(&format!("{elsewhere}&ssl_enforce_hostname_verification=false").replace("ca.pem", "other-ca.pem"));
    assert!(text.contains("not from a CA that is trusted here"), "{text}");

    let text = refused(&vhost.url());
    assert!(text.contains("the broker speaks TLS on this port; set ssl = true"), "{text}");
    let plain = Broker::shared().vhost();
    let text = refused(&url(&plain, &certificates, &[("ssl_ca_file", "ca.pem")]));
    assert!(text.contains("the answer is not TLS"), "{text}");
}

#[test]
fn a_broker_that_wants_a_certificate_has_it_and_may_log_in_by_it() {
    let certificates = Certificates::for_user("nova");
    let broker = Broker::tls(certificates.path(), "ssl_options.fail_if_no_peer_cert = true");
    let vhost = broker.vhost();
    vhost.add_user("nova", None);
    let (ca, cert, key) =
        (("ssl_ca_file", "ca.pem"), ("ssl_cert_file", "client.pem"), ("ssl_key_file", "client-key.pem"));
    // With TLS 1.3 the refusal comes after the handshake, and may come together with the end of the connection.
    let text = refused(&url(&vhost, &certificates, &[ca, ("ssl_version", "TLSv1_2")]));
    assert!(text.contains("the broker wants a certificate of ours; set ssl_cert_file and ssl_key_file"), "{text}");
    let without = url(&vhost, &certificates, &[ca, ("ssl_version", "TLSv1_3")]);
    let mut host = Serve::unready(["--transport-url", &without, "--handlers", &handlers().display().to_string()]);
    host.wait_for_log("set ssl_cert_file and ssl_key_file");
    drop(host);

    let all = url(&vhost, &certificates, &[ca, cert, key]);
    {
        let _host = serve(&all);
        call(&all);
    }
    // Nobody's password: the certificate says who we are.
    let external = format!("{}&rabbit_login_method=EXTERNAL", all.replace("guest:guest", "nobody:hunter2"));
    let host = serve(&external);
    call(&external);
    // The broker says so up to a second later.
    let users =
        || -> Vec<_> { vhost.connection_details().iter().map(|connection| connection["user"].clone()).collect() };
    eventually("the certificate's user", || users().contains(&json!("nova")).then_some(()));
    assert!(!users().contains(&json!("nobody")), "{:?}", users());
    assert!(!host.log().contains("hunter2"));
    for method in ["PLAIN", "AMQPLAIN"] {
        let _host = serve(&format!("{all}&rabbit_login_method={method}"));
    }
    // One that this broker has not: it hangs up, and says nothing.
    let missing = format!("{all}&rabbit_login_method=RABBIT-CR-DEMO");
    let mut host = Serve::unready(["--transport-url", &missing, "--handlers", &handlers().display().to_string()]);
    host.wait_for_log("check rabbit_login_method");
}
