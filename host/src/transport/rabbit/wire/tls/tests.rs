//! Tests of [`super`]: files and what is said about them. Handshakes with a real broker are in `tests/connection.rs`.

use std::path::Path;

use rcgen::{CertificateParams, KeyPair};

use super::{Tls, Version, advice};
use crate::settings::Settings;

/// A self-signed certificate and its key, as PEM.
fn identity() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["broker".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn read(options: &[(&str, &Path)]) -> Result<Option<Tls>, String> {
    let mut settings = Settings::default();
    settings.set("rabbit.ssl", "true");
    for (name, path) in options {
        settings.set(&format!("rabbit.{name}"), path.to_str().unwrap());
    }
    let tls = Tls::read(&mut settings);
    settings.finish().map(|_| tls).map_err(|problems| problems.to_string())
}

#[test]
fn tls_is_off_until_it_is_asked_for() {
    let mut settings = Settings::default();
    assert_eq!(Tls::read(&mut settings), None);
    settings.set("rabbit.ssl", "1");
    settings.set("rabbit.ssl_version", "TLSv1_2");
    settings.set("rabbit.ssl_enforce_hostname_verification", "false");
    let tls = Tls::read(&mut settings).unwrap();
    assert_eq!((tls.ssl_version, tls.ssl_enforce_hostname_verification), (Version::Tls12, false));
    assert!(!tls.has_certificate());
}

#[test]
fn good_files_are_read_and_the_key_may_be_with_the_certificate() {
    let scratch = tempfile::tempdir().unwrap();
    let (certificate, key) = identity();
    let write = |name: &str, content: &str| {
        let path = scratch.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let (cert, own_key) = (write("cert.pem", &certificate), write("key.pem", &key));
    let both = write("both.pem", &format!("{key}{certificate}"));
    let apart = read(&[("ssl_ca_file", &cert), ("ssl_cert_file", &cert), ("ssl_key_file", &own_key)]).unwrap().unwrap();
    assert!(apart.client_config().unwrap().client_auth_cert_resolver.has_certs());
    let together = read(&[("ssl_ca_file", &cert), ("ssl_cert_file", &both)]).unwrap().unwrap();
    assert!(together.client_config().unwrap().client_auth_cert_resolver.has_certs());
    let without = read(&[("ssl_ca_file", &cert)]).unwrap().unwrap();
    assert!(!without.client_config().unwrap().client_auth_cert_resolver.has_certs());
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_option_and_never_shown() {
    let scratch = tempfile::tempdir().unwrap();
    let (certificate, key) = identity();
    let (_, other_key) = identity();
    let write = |name: &str, content: &str| {
        let path = scratch.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let cert = write("cert.pem", &certificate);
    let broken = key.replace("-----END", "!hunter2!\n-----END");
    let cases = [
        (vec![("ssl_ca_file", scratch.path().join("missing"))], "rabbit.ssl_ca_file: ", "missing: No such file"),
        (vec![("ssl_ca_file", scratch.path().to_owned())], "rabbit.ssl_ca_file: ", "is not a regular file"),
        (vec![("ssl_ca_file", write("key.pem", &key))], "rabbit.ssl_ca_file: ", "key.pem: holds no certificate"),
        (
            vec![("ssl_ca_file", write("large", &"x".repeat((1 << 20) + 1)))],
            "rabbit.ssl_ca_file: ",
            "larger than 1 MiB",
        ),
        (vec![("ssl_cert_file", cert.clone())], "rabbit.ssl_cert_file: ", "cert.pem: holds no private key"),
        (vec![("ssl_key_file", scratch.path().join("key.pem"))], "rabbit.ssl_key_file: ", "needs ssl_cert_file"),
        (
            vec![("ssl_cert_file", cert.clone()), ("ssl_key_file", write("broken.pem", &broken))],
            "rabbit.ssl_key_file: ",
            "broken.pem: is not PEM",
        ),
        (
            vec![("ssl_cert_file", cert.clone()), ("ssl_key_file", write("other.pem", &other_key))],
            "rabbit.ssl_cert_file: ",
            "cannot be used",
        ),
    ];
    for (options, option, text) in cases {
        // So that the system's roots play no part.
        let has_ca = options.iter().any(|(name, _)| *name == "ssl_ca_file");
        let ca = [("ssl_ca_file", cert.as_path())];
        let given = options.iter().map(|(name, path)| (*name, path.as_path()));
        let all: Vec<_> = given.chain(ca.into_iter().filter(|_| !has_ca)).collect();
        let error = read(&all).unwrap_err();
        assert!(error.starts_with(option) && error.contains(text), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("PRIVATE"), "{error}");
        assert!(key.lines().skip(1).all(|line| line.starts_with('-') || !error.contains(line)), "{error}");
    }
}

#[test]
fn what_is_no_tls_is_no_matter_of_tls() {
    assert_eq!(advice(&std::io::ErrorKind::ConnectionReset.into(), None), None);
    assert_eq!(advice(&std::io::Error::other("x"), None), None);
}
