//! What switches traces on, and what is wrong with it.

use super::*;
use crate::settings::Problems;

fn read(file: &str, variables: &[(&str, &str)]) -> Result<Option<Config>, Problems> {
    let mut settings = Settings::default();
    settings.add_file(file).unwrap();
    settings.add_environment(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let config = Config::read(&mut settings, "host-1");
    settings.finish().map(|_| config)
}

fn on(file: &str, variables: &[(&str, &str)]) -> Config {
    read(file, variables).unwrap().expect("it is on")
}

fn of<'a>(config: &'a Config, name: &str) -> Option<&'a str> {
    config.resource.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

#[test]
fn nothing_is_traced_unless_somebody_says_where_to() {
    assert_eq!(read("", &[]).unwrap(), None);
    assert_eq!(read("tracing.sample = 1\ntracing.name = \"a\"", &[("OTEL_SERVICE_NAME", "b")]).unwrap(), None);
    assert_eq!(read("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).unwrap(), None);
    assert_eq!(read("", &[ENDPOINT, ("OTEL_SDK_DISABLED", "true")]).unwrap(), None);
    assert_eq!(read("", &[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]).unwrap(), None);
    assert_eq!(read("tracing.endpoint = \"none\"", &[ENDPOINT]).unwrap(), None);
    let config = on("tracing.endpoint = \"http://c:1\"", &[]);
    assert_eq!(config.endpoint.to_string(), "http://c:1/v1/traces");
    assert_eq!((config.timeout, config.queue), (DEFAULT_TIMEOUT, 2048));
    assert_eq!(config.sampler, Sampler { follows_parent: true, share: Share::ALL });
    assert_eq!((of(&config, "service.name"), of(&config, "service.instance.id")), (Some("nova-host"), Some("host-1")));
}

#[test]
fn the_variables_of_opentelemetry_are_read() {
    let config = on(
        "",
        &[
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:1/here"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20S3cr3t"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_SERVICE_NAME", "conductor"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment.name=a%2Cb"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ],
    );
    assert_eq!(config.endpoint.to_string(), "http://traces:1/here");
    assert_eq!(config.headers.0["authorization"], "Bearer S3cr3t");
    assert!(!format!("{config:?}").contains("S3cr3t"));
    assert_eq!(config.timeout, Duration::from_millis(2500));
    assert_eq!(of(&config, "service.name"), Some("conductor"));
    assert_eq!(of(&config, "deployment.environment.name"), Some("a,b"));
    assert_eq!(config.sampler, Sampler { follows_parent: true, share: Share::parse("0.25").unwrap() });
    let config = on("", &[ENDPOINT, ("OTEL_TRACES_SAMPLER", "always_off")]);
    assert_eq!(config.sampler, Sampler { follows_parent: false, share: Share::NONE });
}

#[test]
fn our_own_settings_win_over_the_variables() {
    let config = on(
        "[tracing]\nendpoint = \"https://own\"\nsample = 0.5\nname = \"own\"\nheaders = \"a=own\"\ntimeout = \"1s\"",
        &[
            ENDPOINT,
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=variable"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_SERVICE_NAME", "variable"),
            ("OTEL_TRACES_SAMPLER", "nonsense"),
        ],
    );
    assert_eq!(
        (config.endpoint.to_string().as_str(), &config.headers.0["a"]),
        ("https://own/v1/traces", &"own".parse().unwrap())
    );
    assert_eq!((config.timeout, of(&config, "service.name")), (Duration::from_secs(1), Some("own")));
    assert_eq!(config.sampler, Sampler { follows_parent: true, share: Share::parse("0.5").unwrap() });
}

#[test]
fn what_is_wrong_is_named_and_no_secret_is_shown() {
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let wrong: [(&str, Variables<'_>, &str); 11] = [
        ("tracing.endpoint = \"grpc://c:4317\"", &[], "tracing.endpoint: only http:// and https://"),
        ("tracing.endpoint = \"http://u:S3cr3t@c\"", &[], "tracing.endpoint: must not have a password"),
        ("tracing.sample = 2", &[], "tracing.sample: is no share"),
        ("tracing.headers = \"S3cr3t\"", &[], "tracing.headers: entry 1 is not NAME=VALUE"),
        ("tracing.timeout = \"0s\"", &[], "tracing.timeout: must be more than 0"),
        ("tracing.queue = 0", &[], "tracing.queue: must be from 1"),
        ("tracing.samples = 1", &[], "tracing.samples: no such setting; did you mean tracing.sample?"),
        ("", &[ENDPOINT, ("OTEL_TRACES_SAMPLER", "jaeger_remote")], "OTEL_TRACES_SAMPLER: is not known here"),
        ("", &[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf"),
        (
            "",
            &[ENDPOINT, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "nowhere.pem")],
            "OTEL_EXPORTER_OTLP_CERTIFICATE: nowhere.pem: ",
        ),
        ("", &[ENDPOINT, ("OTEL_EXPORTER_OTLP_HEADERS", "S3cr3t")], "OTEL_EXPORTER_OTLP_HEADERS: entry 1 is not"),
    ];
    for (file, variables, expected) in wrong {
        let problems = read(file, variables).unwrap_err().0;
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{problems:?}");
        assert!(!problems[0].contains("S3cr3t"), "{problems:?}");
    }
}
