//! Tests of [`super`].

use super::*;

fn read(options: &[(&str, &str)]) -> Result<Config, String> {
    let mut settings = Settings::default();
    for (name, value) in options {
        settings.set(&format!("rabbit.{name}"), *value);
    }
    let config = Config::read(&mut settings);
    settings.finish().map(|_| config).map_err(|problems| problems.to_string())
}

#[test]
fn every_option_reaches_its_field() {
    let all = [
        ("amqp_durable_queues", "true"),
        ("amqp_auto_delete", "on"),
        ("rabbit_quorum_queue", "True"),
        ("rabbit_transient_quorum_queue", "1"),
        ("rabbit_quorum_delivery_limit", "1"),
        ("rabbit_quorum_max_memory_length", "2"),
        ("rabbit_quorum_max_memory_bytes", "3"),
        ("rabbit_ha_queues", "yes"),
        ("rabbit_transient_queues_ttl", "4"),
        ("heartbeat_timeout_threshold", "5"),
        ("rabbit_retry_interval", "6"),
        ("rabbit_retry_backoff", "7"),
        ("rabbit_interval_max", "8"),
        ("kombu_reconnect_delay", "0.5"),
        ("kombu_compression", "bz2"),
        ("connect_timeout", "9"),
        ("enable_cancel_on_failover", "true"),
        ("use_queue_manager", "true"),
        ("rabbit_qos_prefetch_count", "10"),
        ("rabbit_login_method", "external"),
        ("kombu_failover_strategy", "shuffle"),
        ("kombu_reconnect_splay", "11"),
        ("kombu_missing_consumer_retry_timeout", "12"),
        ("direct_mandatory_flag", "false"),
    ];
    for option in all {
        assert_ne!(read(&[option]).unwrap(), Config::default(), "{option:?}");
    }
    let config = read(&[("kombu_reconnect_delay", "0.5"), ("rabbit_transient_queues_ttl", "4")]).unwrap();
    assert_eq!(config.kombu_reconnect_delay, Duration::from_millis(500));
    assert_eq!(config.declare.rabbit_transient_queues_ttl, Duration::from_secs(4));
}

#[test]
fn what_does_not_exist_or_does_not_fit_is_an_error_that_names_it() {
    for (options, message) in [
        // The plural is the typing mistake that oslo.messaging ignores.
        (vec![("rabbit_quorum_queues", "true")], "did you mean rabbit.rabbit_quorum_queue?"),
        (vec![("kombu_compression", "zip")], "it takes gzip"),
        (vec![("rabbit_use_ssl", "true")], "rabbit.rabbit_use_ssl: oslo.messaging has removed this option; use ssl"),
        (vec![("rabbit_password", "hunter2")], "use transport_url"),
        (vec![("kombu_reconnect_timeout", "1")], "kombu_missing_consumer_retry_timeout"),
        (vec![("kombu_failover_strategy", "random")], "neither round-robin nor shuffle"),
        (vec![("rabbit_login_method", "GSSAPI")], "none of AMQPLAIN, PLAIN, EXTERNAL"),
        (vec![("heartbeat_rate", "0")], "must be from 1"),
        (vec![("rpc_conn_pool_size", "many")], "not a whole number"),
        (vec![("rabbit_stream_fanout", "true")], "needs rabbit_qos_prefetch_count"),
        (vec![("rabbit_stream_fanout", "true"), ("rabbit_qos_prefetch_count", "5")], "rabbit_transient_quorum_queue"),
        (vec![("hostname", "a/b")], "without '/'"),
        (vec![("processname", "a:b")], "without '/' and ':'"),
        (vec![("ssl_ca_file", "/ca.pem")], "rabbit.ssl_ca_file: TLS is off; set ssl = true"),
        (vec![("ssl_enforce_fips_mode", "true")], "FIPS"),
        (vec![("ssl_version", "TLSv1")], "TLSv1 is broken"),
        (vec![("ssl_version", "TLSv9")], "none of TLSv1_2, TLSv1_3"),
        (vec![("rabbit_retry_interval", "-1")], "not a number of seconds"),
        (vec![("connect_timeout", "nan")], "not a number of seconds"),
        (vec![("amqp_auto_delete", "true"), ("rabbit_quorum_queue", "true")], "exclude each other"),
    ] {
        let error = read(&options).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_prefetch_is_a_bound_to_what_the_service_takes() {
    assert_eq!(Config::default().prefetch(64), 64);
    let config = read(&[("rabbit_qos_prefetch_count", "10")]).unwrap();
    assert_eq!((config.prefetch(64), config.prefetch(4)), (10, 4));
    assert_eq!(read(&[("rabbit_qos_prefetch_count", "0")]).unwrap(), Config::default());
}

#[test]
fn what_has_nothing_to_act_on_is_taken_as_it_is() {
    let pool =
        [("rpc_conn_pool_size", "5"), ("conn_pool_min_size", "1"), ("conn_pool_ttl", "7"), ("heartbeat_rate", "2")];
    assert_eq!(read(&pool).unwrap(), Config::default());
}

#[test]
fn a_secret_in_an_option_that_was_removed_is_not_shown() {
    assert!(!read(&[("rabbit_password", "hunter2")]).unwrap_err().contains("hunter2"));
}

#[test]
fn streams_and_names_go_where_they_are_used() {
    let stream = [
        ("rabbit_stream_fanout", "true"),
        ("rabbit_qos_prefetch_count", "5"),
        ("rabbit_transient_quorum_queue", "true"),
    ];
    assert!(read(&stream).unwrap().declare.rabbit_stream_fanout);
    let names =
        [("use_queue_manager", "yes"), ("hostname", "h"), ("processname", "p"), ("queue_manager_directory", "/d")];
    let names = read(&names).unwrap().queue_names.unwrap();
    assert_eq!((names.hostname.as_str(), names.processname.as_str()), ("h", "p"));
    assert_eq!(names.directory, std::path::Path::new("/d"));
    // Without the queue manager the names are checked and not used.
    assert_eq!(read(&[("hostname", "h")]).unwrap(), Config::default());
}
