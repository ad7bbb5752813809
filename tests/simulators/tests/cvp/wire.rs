//! HTTP/1.1, byte by byte.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use lockstep_simulators::cvp::{CvpSimulator, Scenario};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::{Client, start};

async fn connect(simulator: &CvpSimulator) -> Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(simulator.ca_pem().as_bytes())?)?;
    let address = simulator.addresses()[0];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::IpAddress(address.ip().into());
    let connector = TlsConnector::from(Arc::new(config(roots)?));
    Ok(connector.connect(name, stream).await?)
}

fn config(roots: RootCertStore) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Sends a request, and returns the head and the body of the answer.
async fn exchange(stream: &mut TlsStream<TcpStream>, request: &str) -> Result<(String, String)> {
    stream.write_all(request.as_bytes()).await?;
    let mut received = String::new();
    loop {
        if let Some((head, body)) = received.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let length = lines.find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.context("no length")?.parse()? {
                return Ok((head.to_owned(), body.to_owned()));
            }
        }
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await?;
        received.push_str(std::str::from_utf8(&part[..read])?);
    }
}

#[tokio::test]
async fn one_connection_serves_many_requests_bodies_on_get_and_null() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let session = Client::new(&simulator, 0)?.login().await?;
    let mut stream = connect(&simulator).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));

    let (head, _) = exchange(
        &mut stream,
        "GET /web/task/getTasks.do HTTP/1.1\r\nHost: cvp\r\n\r\n",
    )
    .await?;
    // Old clients detect an ended session by this phrase.
    assert!(head.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{head}");

    let with_body = format!(
        "GET /web/task/getTaskById.do?taskId=1811 HTTP/1.1\r\nHost: cvp\r\nAPP_SESSION_ID: {session}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    let (head, body) = exchange(&mut stream, &with_body).await?;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && body.contains("\"workOrderId\":\"1811\""));

    let null = format!(
        "POST /web/login/logout.do HTTP/1.1\r\nHost: cvp\r\nAPP_SESSION_ID: {session}\r\nContent-Length: 4\r\n\r\nnull"
    );
    let (_, body) = exchange(&mut stream, &null).await?;
    assert_eq!(body, "{\"data\":\"success\"}");
    assert_eq!(simulator.connections(), 2);
    Ok(())
}

#[tokio::test]
async fn head_and_body_of_an_answer_come_together() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let mut stream = connect(&simulator).await?;
    let begin = tokio::time::Instant::now();
    for _ in 0..50 {
        exchange(
            &mut stream,
            "GET /web/cvpInfo/getCvpInfo.do HTTP/1.1\r\nHost: cvp\r\n\r\n",
        )
        .await?;
    }
    // 50 delayed acknowledgements of 40 ms would be two seconds.
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    Ok(())
}

#[tokio::test]
async fn every_simulator_has_an_authority_of_its_own() -> Result<()> {
    let (one, other) = (start(Scenario::seed()).await?, start(Scenario::seed()).await?);
    let host = one.addresses()[0].ip();
    assert!(connect(&one).await.is_ok(), "{host} is in its certificate");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(other.ca_pem().as_bytes())?)?;
    let stream = TcpStream::connect(one.addresses()[0]).await?;
    let connector = TlsConnector::from(Arc::new(config(roots)?));
    assert!(
        connector
            .connect(ServerName::IpAddress(host.into()), stream)
            .await
            .is_err()
    );
    Ok(())
}
