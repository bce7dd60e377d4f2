//! HTTPS, with certificates that are made for the test.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server with a certificate for `name`. Where `ends` is false, it hangs up without saying so.
fn server(ca: &CertifiedIssuer<'static, KeyPair>, name: &str, ends: bool) -> u16 {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, ca).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = StreamOwned::new(connection, stream);
            if !head(&mut tls).is_empty() {
                tls.write_all(b"HTTP/1.1 200 x\r\n\r\nok").unwrap();
                if ends {
                    tls.conn.send_close_notify();
                }
                tls.flush().unwrap();
            }
        }
    });
    port
}

async fn get(world: &World, host: &str, port: u16) -> Result<Vec<u8>, Error> {
    let private = if host.starts_with('1') { "" } else { " private" };
    let session = world.session(&format!("grants.http = [\"https://{host}:{port}{private}\"]"), cause());
    let mut request = request("a");
    request.origin = Origin::parse(true, &format!("{host}:{port}")).unwrap();
    whole(&session, request, Timeouts::default()).await.map(|(_, body)| body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_trusted_by_its_ca_and_its_name() {
    let (ca, directory) = (authority(), tempfile::tempdir().unwrap());
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, ca.pem()).unwrap();
    let trusting = World::with(&format!("http.ca_file = {:?}", file.to_str().unwrap())).await;
    let named = server(&ca, "localhost", true);
    assert_eq!(get(&trusting, "localhost", named).await.unwrap(), b"ok");
    let addressed = server(&ca, "127.0.0.1", true);
    assert_eq!(get(&trusting, "127.0.0.1", addressed).await.unwrap(), b"ok");
    // Another name, another authority, no TLS, and an end that anybody could have made.
    assert_eq!(get(&trusting, "localhost", addressed).await, Err(Error::Certificate));
    assert_eq!(get(&trusting, "localhost", server(&authority(), "localhost", true)).await, Err(Error::Certificate));
    assert_eq!(get(&World::new().await, "localhost", named).await, Err(Error::Certificate));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let plain = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 x\r\n\r\n").unwrap();
        drain(&mut stream);
    });
    assert_eq!(get(&trusting, "127.0.0.1", plain).await, Err(Error::Tls));
    assert_eq!(get(&trusting, "localhost", server(&ca, "localhost", false)).await, Err(Error::Incomplete));
}

#[test]
fn a_ca_file_that_is_none_is_named_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    let read = |path: &std::path::Path| {
        let mut settings = crate::settings::Settings::default();
        settings.add_file(&format!("http.ca_file = {:?}", path.to_str().unwrap())).unwrap();
        super::super::read(&mut settings, "http.ca_file");
        settings.finish().unwrap_err().0.concat()
    };
    assert!(read(&file).contains("http.ca_file: "));
    std::fs::write(&file, "nothing").unwrap();
    assert!(read(&file).contains("holds no certificate in PEM"));
    std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    assert!(read(&file).starts_with("http.ca_file: "));
}
