//! Tests of [`super::Url`]: the rules of oslo.messaging's URLs, and what must never show.

use proptest::prelude::*;

use super::{Address, Error, Host, Url};

fn rabbit(text: &str) -> Address {
    match Url::parse(text) {
        Ok(Url::Rabbit(address)) => address,
        other => panic!("{text}: {other:?}"),
    }
}

fn host(name: &str, port: u16, user: &str, password: &str) -> Host {
    Host { name: name.into(), port, user: user.into(), password: password.to_owned().into() }
}

#[test]
fn without_anything_it_is_the_broker_on_this_machine() {
    for text in ["rabbit://", "rabbit:///", "RABBIT://", "rabbit:////", "rabbit:///%2F", "rabbit://?"] {
        let address = rabbit(text);
        assert_eq!(address.hosts, [host("localhost", 5672, "guest", "guest")], "{text}");
        assert_eq!(address.virtual_host, "/", "{text}");
        assert_eq!(address.options, [], "{text}");
    }
    assert_eq!(rabbit("rabbit://nova:pw@").hosts, [host("localhost", 5672, "nova", "pw")]);
}

#[test]
fn every_host_has_its_own_credentials_or_the_default_ones() {
    let address = rabbit("rabbit://nova:one@a:5671,b,:two@c:1/v");
    let expected = [host("a", 5671, "nova", "one"), host("b", 5672, "guest", "guest"), host("c", 1, "", "two")];
    assert_eq!(address.hosts, expected);
    assert!(address.mixed_credentials);
    assert!(!rabbit("rabbit://a,b").mixed_credentials);
    assert!(!rabbit("rabbit://u:p@a,u:p@b").mixed_credentials);
    assert_eq!(rabbit("rabbit://nova@a").hosts, [host("a", 5672, "nova", "")]);
}

#[test]
fn credentials_are_decoded_and_cut_at_the_last_at_sign() {
    let expected = host("h", 5672, "me@home", "p@:/ß%");
    assert_eq!(rabbit("rabbit://me@home:p%40:%2f%C3%9F%25@h").hosts, std::slice::from_ref(&expected));
    // What is no escape stays as it is.
    assert_eq!(rabbit("rabbit://u:100%@h").hosts, [host("h", 5672, "u", "100%")]);
    assert_eq!(rabbit("rabbit://u:%zz%4@h").hosts, [host("h", 5672, "u", "%zz%4")]);
    assert_eq!(rabbit("rabbit://u:a+b@h").hosts, [host("h", 5672, "u", "a+b")]);
}

#[test]
fn ipv6_addresses_stand_in_brackets() {
    assert_eq!(rabbit("rabbit://[::1]").hosts, [host("::1", 5672, "guest", "guest")]);
    assert_eq!(rabbit("rabbit://u:p@[fe80::1%eth0]:5673/").hosts, [host("fe80::1%eth0", 5673, "u", "p")]);
    for text in ["rabbit://[::1", "rabbit://[]", "rabbit://[nova]", "rabbit://a]"] {
        assert_eq!(Url::parse(text), Err(Error::Host(1)), "{text}");
    }
    assert_eq!(Url::parse("rabbit://[::1]5672"), Err(Error::Port(1)));
    assert_eq!(Url::parse("rabbit://::1"), Err(Error::Port(1)));
}

#[test]
fn the_virtual_host_is_everything_after_the_first_slash() {
    for (text, name) in [
        ("rabbit://h", "/"),
        ("rabbit://h/", "/"),
        ("rabbit://h//", "/"),
        ("rabbit://h/%2F", "/"),
        ("rabbit://h/nova", "nova"),
        ("rabbit://h/nova/", "nova/"),
        ("rabbit://h//nova", "/nova"),
        ("rabbit://h/a%20b%40c", "a b@c"),
        ("rabbit://h/nova?heartbeat_timeout_threshold=1", "nova"),
    ] {
        assert_eq!(rabbit(text).virtual_host, name, "{text}");
    }
}

#[test]
fn options_are_decoded_and_repeated_ones_joined() {
    let address = rabbit("rabbit://h/?rabbit_quorum_queue=true&a=1&a=2&b=x+y%26z&c&d=e=f&");
    let pairs: Vec<_> = address.options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(pairs, [("rabbit_quorum_queue", "true"), ("a", "1,2"), ("b", "x y&z"), ("c", ""), ("d", "e=f")]);
    assert_eq!(Url::parse("rabbit://h/?=1"), Err(Error::Option(1)));
    assert_eq!(Url::parse("rabbit://h/?a=1&b-c=1"), Err(Error::Option(2)));
    assert_eq!(Url::parse("rabbit://u:1?ss@host/"), Err(Error::Query));
}

#[test]
fn memory_stands_alone() {
    assert_eq!(Url::parse("memory://"), Ok(Url::Memory));
    assert_eq!(Url::parse("memory:///"), Ok(Url::Memory));
    assert_eq!(Url::parse("memory://here"), Err(Error::Memory));
    assert_eq!(Url::parse("memory://?a=b"), Err(Error::Memory));
}

#[test]
fn other_schemes_are_errors_that_say_which_exist() {
    for text in ["amqp://h", "rabbits://h", "kombu://", "kafka://h", "fake://", "rabbit+x://", "http://h", " rabbit://"]
    {
        let error = Url::parse(text).unwrap_err();
        assert_eq!(error, Error::Scheme, "{text}");
        assert!(error.to_string().contains("rabbit:// or memory://"));
    }
    for text in ["", "://", "nova", "rabbit:", "rabbit:/h", "localhost:5672"] {
        assert_eq!(Url::parse(text), Err(Error::NoScheme), "{text}");
    }
}

#[test]
fn other_mistakes_are_errors_too() {
    for (text, error) in [
        ("rabbit://a,,b", Error::EmptyHost(2)),
        ("rabbit://a,", Error::EmptyHost(2)),
        ("rabbit://a,b:x", Error::Port(2)),
        ("rabbit://a:0", Error::Port(1)),
        ("rabbit://a:+1", Error::Port(1)),
        ("rabbit://a:65536", Error::Port(1)),
        ("rabbit://a b", Error::Host(1)),
        ("rabbit://a/#", Error::Fragment),
        ("rabbit://%ff@a", Error::Encoding("user")),
        ("rabbit://u:%ff@a", Error::Encoding("password")),
        ("rabbit://a/%ff", Error::Encoding("virtual host")),
        ("rabbit://a/?x=%ff", Error::Encoding("query")),
    ] {
        assert_eq!(Url::parse(text), Err(error), "{text}");
    }
    assert_eq!(Url::parse(&format!("rabbit://{}", "a".repeat(4096))), Err(Error::Length));
    assert_eq!(Url::parse(&format!("rabbit:///{}", "a".repeat(256))), Err(Error::VirtualHostLength));
}

#[test]
fn a_password_is_shown_nowhere_even_where_it_was_not_encoded() {
    for text in [
        "rabbit://nova:S3cr3t@h",
        "rabbit://nova:S3cr3t@h:x",
        "rabbit://nova:S3cr3t@a,,b",
        "rabbit://nova:1/S3cr3t@h/v",
        "rabbit://nova:S3cr3t/x@h",
        "rabbit://nova:1?S3cr3t@h/v",
        "rabbit://nova:1?S3cr3t=1@h/v",
        "rabbit://nova:S3cr3t#@h",
        "rabbit://nova:S3cr3t%ff@h",
        "amqp://nova:S3cr3t@h",
        "memory://nova:S3cr3t@h",
    ] {
        let shown = match Url::parse(text) {
            Ok(url) => format!("{url} {url:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!shown.contains("S3cr3t"), "{text}: {shown}");
    }
}

#[test]
fn the_form_for_logs_has_hosts_and_virtual_host() {
    for (text, shown) in [
        ("rabbit://u:p@h", "rabbit://h:5672/"),
        ("rabbit://u:p@h:1,u:p@[::1]:2/a%20b/c?ssl=1", "rabbit://h:1,[::1]:2/a%20b%2Fc"),
        ("memory://", "memory://"),
    ] {
        assert_eq!(Url::parse(text).unwrap().to_string(), shown, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_url_or_an_error(text in any::<String>(), tail in "[rabit:/@\\[\\]%,?&=#0-9A-Fé]{0,60}") {
        let _ = Url::parse(&text);
        let _ = Url::parse(&format!("rabbit://{tail}"));
        let _ = Url::parse(&format!("rabbit://{text}"));
    }

    #[test]
    fn encoded_parts_come_back_as_they_were(user in "\\PC{1,20}", password in "\\PC{0,20}", vhost in "\\PC{1,20}") {
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let address = rabbit(&format!("rabbit://{}:{}@h/{}", encode(&user), encode(&password), encode(&vhost)));
        prop_assert_eq!(&address.hosts[0].user, &user);
        prop_assert_eq!(address.hosts[0].password.expose(), &password);
        prop_assert_eq!(&address.virtual_host, &vhost);
        // And the form for logs is a URL of the same place.
        let again = rabbit(&address.to_string());
        prop_assert_eq!(again.virtual_host, address.virtual_host);
    }
}
