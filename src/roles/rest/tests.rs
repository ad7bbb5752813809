use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

/// A server that answers one request after the other with these bytes, and then with silence.
struct Server {
    address: SocketAddr,
    serving: JoinHandle<Vec<String>>,
}

impl Server {
    async fn start(answers: &[String]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = answers.to_vec();
        let serving = tokio::spawn(async move {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                requests.push(String::from_utf8(request).unwrap().to_lowercase());
                // The client may have closed the connection already.
                let _ = stream.write_all(answer.as_bytes()).await;
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
            }
            requests
        });
        Self { address, serving }
    }

    fn service(&self, credentials: RestCredentials) -> HttpService {
        service(&format!("http://{}/base", self.address), credentials, None)
    }
}

fn service(url: &str, credentials: RestCredentials, ca_file: Option<std::path::PathBuf>) -> HttpService {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = RestConfig {
        url: url.parse().unwrap(),
        credentials,
        ca_file,
    };
    HttpService::new(&config).unwrap()
}

fn request(path: &str) -> RestRequest {
    RestRequest {
        path: path.to_owned(),
        headers: vec![("X-Site".to_owned(), "oslo".to_owned())],
        timeout: Duration::from_secs(10),
        max_bytes: 1000,
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

fn token() -> RestCredentials {
    RestCredentials::Token {
        scheme: "Token".to_owned(),
        token: "hush".into(),
    }
}

#[tokio::test]
async fn a_request_has_the_path_the_headers_and_the_credentials() {
    let server = Server::start(&[
        answer("200 OK", "", "{}"),
        answer("503 Busy", "retry-after: 7\r\n", ""),
    ])
    .await;
    let found = server
        .service(token())
        .get(&request("/api/?name=sw1"))
        .await
        .unwrap();
    assert_eq!((found.status, found.body.as_slice()), (200, b"{}".as_slice()));
    let password = RestCredentials::Password {
        username: "u".to_owned(),
        password: "p".into(),
    };
    let service = server.service(password);
    assert!(!format!("{service:?} {:?}", server.service(token())).contains("hush"));
    let found = service.get(&request("/")).await.unwrap();
    assert_eq!(
        (found.status, found.retry_after),
        (503, Some(Duration::from_secs(7)))
    );
    let requests = server.serving.await.unwrap();
    assert!(
        requests[0].starts_with("get /base/api/?name=sw1 http/1.1\r\n"),
        "{requests:?}"
    );
    assert!(
        requests[0].contains("x-site: oslo\r\n") && requests[0].contains("authorization: token hush\r\n")
    );
    assert!(
        requests[1].contains("authorization: basic dtpw\r\n"),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let other = Server::start(&[answer("200 OK", "", "{}")]).await;
    let to = format!("location: http://{}/\r\n", other.address);
    let server = Server::start(&[answer("302 Found", &to, "")]).await;
    let found = server.service(token()).get(&request("/")).await.unwrap();
    assert_eq!(found.status, 302);
    assert_eq!(server.serving.await.unwrap().len(), 1);
    assert!(!other.serving.is_finished(), "nobody asked it");
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_too_late_or_missing_is_none() {
    let large = answer("200 OK", "", &"x".repeat(1001));
    let server = Server::start(&[large, String::new()]).await;
    let service = server.service(RestCredentials::None);
    assert_eq!(service.get(&request("/")).await, Err(RestError::TooLarge(1000)));
    let soon = RestRequest {
        timeout: Duration::from_millis(200),
        ..request("/")
    };
    assert_eq!(service.get(&soon).await, Err(RestError::TimedOut));
    server.serving.abort();
    let _ = server.serving.await;
    let found = service.get(&request("/")).await;
    assert!(matches!(found, Err(RestError::Unreachable(_))), "{found:?}");
}

#[tokio::test]
async fn a_path_that_leaves_the_service_is_not_requested() {
    let server = Server::start(&[]).await;
    let service = server.service(token());
    for path in [
        "@other.example.org/",
        ".other.example.org/",
        "/../secret",
        "/%2e%2e/secret",
    ] {
        let found = service.get(&request(path)).await;
        assert!(matches!(found, Err(RestError::Invalid(_))), "{path}: {found:?}");
    }
    let header = RestRequest {
        headers: vec![("X".to_owned(), "a\r\nAuthorization: b".to_owned())],
        ..request("/")
    };
    let found = service.get(&header).await;
    assert!(matches!(found, Err(RestError::Invalid(_))), "{found:?}");
}

#[cfg(feature = "simulators")]
#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_before_anything_is_sent() {
    use lockstep_simulators::cvp::{CvpSimulator, Options, Scenario};

    let simulator = CvpSimulator::start(Scenario::seed(), Options::default())
        .await
        .unwrap();
    let url = simulator.url(0);
    let found = service(&url, token(), None).get(&request("/")).await;
    assert!(matches!(found, Err(RestError::Certificate(_))), "{found:?}");
    assert_eq!(simulator.requests().len(), 0);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), simulator.ca_pem()).unwrap();
    let trusting = service(&url, token(), Some(file.path().to_owned()));
    let found = trusting.get(&request("/")).await.unwrap();
    assert!(found.status >= 400, "{found:?}");
}
