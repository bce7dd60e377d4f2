//! What switches traces on, and what is wrong with it.

use super::*;
use crate::settings::Problems;

/// What is read, and the warnings.
fn warned(file: &str, variables: &[(&str, &str)]) -> Result<(Option<Config>, Vec<String>), Problems> {
    let mut settings = Settings::default();
    settings.add_file(file).unwrap();
    settings.add_environment(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let mut warnings = Vec::new();
    let config = Config::read(&mut settings, "host-1", &mut warnings);
    settings.finish().map(|_| (config, warnings))
}

/// What is read without a warning.
fn read(file: &str, variables: &[(&str, &str)]) -> Result<Option<Config>, Problems> {
    let (config, warnings) = warned(file, variables)?;
    assert_eq!(warnings, [""; 0]);
    Ok(config)
}

fn place(config: &Config) -> String {
    format!("{}{}", config.endpoint.origin, config.endpoint.path)
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
    for disabled in ["true", "True", " TRUE "] {
        assert_eq!(read("", &[ENDPOINT, ("OTEL_SDK_DISABLED", disabled)]).unwrap(), None);
    }
    on("", &[ENDPOINT, ("OTEL_SDK_DISABLED", "FALSE")]);
    assert_eq!(read("", &[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]).unwrap(), None);
    assert_eq!(read("tracing.endpoint = \"none\"", &[ENDPOINT]).unwrap(), None);
    let config = on("tracing.endpoint = \"http://c:1\"", &[]);
    assert_eq!(place(&config), "http://c:1/v1/traces");
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
    assert_eq!(place(&config), "http://traces:1/here");
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
    assert_eq!((place(&config).as_str(), &config.headers.0["a"]), ("https://own/v1/traces", &"own".parse().unwrap()));
    assert_eq!((config.timeout, of(&config, "service.name")), (Duration::from_secs(1), Some("own")));
    assert_eq!(config.sampler, Sampler { follows_parent: true, share: Share::parse("0.5").unwrap() });
}

#[test]
fn what_is_wrong_is_named_and_no_secret_is_shown() {
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let wrong: [(&str, Variables<'_>, &str); 8] = [
        ("tracing.endpoint = \"grpc://c:4317\"", &[], "tracing.endpoint: only http:// and https://"),
        ("tracing.endpoint = \"http://u:S3cr3t@c\"", &[], "tracing.endpoint: must not have a password"),
        ("tracing.sample = 2", &[], "tracing.sample: is no share"),
        ("tracing.headers = \"S3cr3t\"", &[], "tracing.headers: entry 1 is not NAME=VALUE"),
        ("tracing.timeout = \"0s\"", &[], "tracing.timeout: must be more than 0"),
        ("tracing.queue = 0", &[], "tracing.queue: must be from 1"),
        ("tracing.samples = 1", &[], "tracing.samples: no such setting; did you mean tracing.sample?"),
        // Also where the variables would do.
        ("tracing.endpoint = \"c:4318\"", &[ENDPOINT], "tracing.endpoint: is no place of a collector"),
    ];
    for (file, variables, expected) in wrong {
        let problems = read(file, variables).unwrap_err().0;
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{problems:?}");
        assert!(!problems[0].contains("S3cr3t"), "{problems:?}");
    }
}

#[test]
fn what_a_variable_says_that_is_not_understood_is_a_warning_and_ignored() {
    const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
    let plain = on("", &[ENDPOINT]);
    for (name, value, expected) in [
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "is not known here"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "nowhere.pem", "nowhere.pem: "),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "10s", "is no number of milliseconds"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317", "is no place of a collector"),
        ("OTEL_SDK_DISABLED", "1", "is neither true nor false"),
        // Discarded whole.
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,S3cr3t", "entry 2 is not NAME=VALUE"),
        (HEADERS, "a=b,S3cr3t", "entry 2 is not NAME=VALUE"),
        (HEADERS, "a=b,content-length=1", "entry 2 is no header of yours"),
    ] {
        let (config, warnings) = warned("", &[ENDPOINT, (name, value)]).unwrap();
        assert_eq!(config.as_ref(), Some(&plain), "{name}={value}");
        let [warning] = warnings.as_slice() else { panic!("{name}={value}: {warnings:?}") };
        assert!(warning.starts_with(&format!("{name}: {expected}")), "{warning}");
        assert!(warning.ends_with("; the variable is ignored") && !warning.contains("S3cr3t"), "{warning}");
    }
    let (config, warnings) = warned("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://c:4317")]).unwrap();
    assert!(config.is_none() && warnings.len() == 1, "{warnings:?}");
}

#[test]
fn what_the_variables_ask_for_and_is_not_there_leaves_traces_off() {
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_EXPORTER", "none, console"),
    ] {
        let (config, warnings) = warned("", &[ENDPOINT, (name, value)]).unwrap();
        assert_eq!(config, None, "{name}={value}");
        let [warning] = warnings.as_slice() else { panic!("{name}={value}: {warnings:?}") };
        assert!(warning.starts_with(&format!("{name}: ")) && warning.ends_with("; traces are off"), "{warning}");
        // It says nothing where there is nowhere to send them to, or where we say so ourselves.
        assert_eq!(read("", &[(name, value)]).unwrap(), None);
        on("tracing.endpoint = \"https://own\"", &[(name, value)]);
    }
    for (name, value) in [("OTEL_TRACES_EXPORTER", "console, otlp"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/Protobuf")] {
        on("", &[ENDPOINT, (name, value)]);
    }
    let both = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")];
    on("", &[ENDPOINT, both[0], both[1]]);
}

#[test]
fn headers_and_certificate_of_the_variables_go_to_the_variables_collector_only() {
    let certificate = std::env::temp_dir().join(format!("nova-host-trace-config-{}.pem", std::process::id()));
    let made = rcgen::generate_simple_self_signed(["c".to_owned()]).unwrap().cert.pem();
    std::fs::write(&certificate, made).unwrap();
    let variables = [
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=S3cr3t"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", certificate.to_str().unwrap()),
    ];
    let of_variables = on("", &variables);
    let own = on("tracing.endpoint = \"https://own\"", &variables);
    std::fs::remove_file(&certificate).unwrap();
    assert_eq!((of_variables.headers.0.len(), of_variables.ca_file.is_some()), (1, true));
    assert_eq!((own.headers.0.len(), own.ca_file), (0, None));
}
