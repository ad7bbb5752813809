//! Slow, broken and closed connections, on a real socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lockstep_bus::fake::{FakeBus, FakeMode};
use lockstep_producer::gateway::{Gateway, GatewayLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::scene::{PUSH, SECRET, context, signature};

/// The timeout of expected events.
const BOUND: Duration = Duration::from_secs(30);

pub(crate) struct Served {
    bus: Arc<FakeBus>,
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

pub(crate) async fn serve(limits: GatewayLimits) -> Served {
    let bus = Arc::new(FakeBus::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let stop = CancellationToken::new();
    let gateway = Gateway::with_limits(context(bus.clone()), limits);
    let serving = tokio::spawn(gateway.serve(listener, stop.clone()));
    Served {
        bus,
        address,
        stop,
        serving,
    }
}

/// Limits with short timeouts for headers and bodies.
fn short_timeouts() -> GatewayLimits {
    GatewayLimits {
        header_timeout: Duration::from_millis(200),
        body_timeout: Duration::from_millis(200),
        ..GatewayLimits::default()
    }
}

pub(crate) fn head(length: usize) -> String {
    let signature = signature(SECRET, PUSH.as_bytes());
    format!(
        "POST /webhooks/github/settings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nx-github-event: push\r\nx-github-delivery: 1\r\n\
         x-hub-signature-256: {signature}\r\nconnection: close\r\n\r\n"
    )
}

impl Served {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }

    /// Sends `sent`, and reads until the connection is closed.
    pub(crate) async fn answer_to(&self, sent: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(sent.as_bytes()).await.expect("it reads");
        rest(&mut stream).await
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        let ended = timeout(BOUND, self.serving).await.expect("it ends when told to");
        ended.expect("it does not panic");
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset ends the response, too.
    let _ = timeout(BOUND, stream.read_to_end(&mut answer))
        .await
        .expect("the connection ends");
    String::from_utf8(answer).expect("answers are text")
}

#[tokio::test]
async fn the_connection_is_closed_if_headers_do_not_arrive() {
    let served = serve(short_timeouts()).await;
    for begun in ["", "POST /webhooks/github/settings HTTP/1.1\r\nhost: x\r\nx-slow"] {
        let answer = served.answer_to(begun).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{begun:?}: {answer}"
        );
    }
    served.end().await;
}

#[tokio::test]
async fn the_connection_is_closed_with_a_response_if_the_body_does_not_arrive() {
    let served = serve(short_timeouts()).await;
    let answer = served.answer_to(&(head(PUSH.len()) + &PUSH[..10])).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    served.end().await;
}

#[tokio::test]
async fn a_too_large_body_is_refused_before_it_is_sent() {
    let served = serve(GatewayLimits::default()).await;
    let answer = served.answer_to(&head(26 * 1024 * 1024)).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    served.end().await;
}

#[tokio::test]
async fn an_incomplete_body_publishes_nothing() {
    let served = serve(GatewayLimits::default()).await;
    let mut stream = served.connect().await;
    let sent = head(PUSH.len()) + &PUSH[..PUSH.len() - 1];
    stream.write_all(sent.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
        "{answer}"
    );
    assert_eq!(served.bus.published(), []);
    let whole = served.answer_to(&(head(PUSH.len()) + PUSH)).await;
    assert!(whole.starts_with("HTTP/1.1 202"), "{whole}");
    served.end().await;
}

#[tokio::test]
async fn an_idle_connection_gives_way_to_another() {
    let served = serve(GatewayLimits {
        connections: 1,
        ..GatewayLimits::default()
    })
    .await;
    let mut silent = served.connect().await;
    let answer = served.answer_to(&(head(PUSH.len()) + PUSH)).await;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert_eq!(rest(&mut silent).await, "");
    served.end().await;
}

#[tokio::test]
async fn a_connection_waits_while_all_others_have_requests_in_process() {
    let served = serve(GatewayLimits {
        connections: 2,
        ..GatewayLimits::default()
    })
    .await;
    served.bus.set_mode(FakeMode::Unavailable);
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut stream = served.connect().await;
        stream
            .write_all((head(PUSH.len()) + PUSH).as_bytes())
            .await
            .unwrap();
        served.bus.publish_called().await;
        busy.push(stream);
    }
    let health = served.answer_to("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let mut health = Box::pin(health);
    assert!(
        timeout(Duration::from_millis(100), &mut health).await.is_err(),
        "nothing is closed for it"
    );
    served.bus.set_mode(FakeMode::Confirm);
    for stream in &mut busy {
        let answer = rest(stream).await;
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }
    let answer = health.await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    served.end().await;
}

#[tokio::test]
async fn a_client_that_reads_no_responses_is_cut() {
    let served = serve(GatewayLimits {
        response_timeout: Duration::from_millis(500),
        ..GatewayLimits::default()
    })
    .await;
    let mut stream = served.connect().await;
    let requests = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
    // Neither the buffers of the sockets nor the gateway take all this, so the end of the connection ends the writing.
    let writing = async {
        for _ in 0..1000 {
            stream.write_all(requests.as_bytes()).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    let written = timeout(BOUND, writing).await.expect("the connection ends");
    assert!(written.is_err());
    served.end().await;
}

#[tokio::test]
async fn a_client_that_pipelines_and_reads_gets_every_response() {
    let served = serve(GatewayLimits::default()).await;
    let one = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = "GET /openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = served.answer_to(&(one.repeat(99) + last)).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 100);
    served.end().await;
}

/// What proxies and servers may read in different ways.
#[tokio::test]
async fn unclear_requests_are_refused() {
    let served = serve(GatewayLimits::default()).await;
    let post = "POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer all\r\n";
    let smuggled = "0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let table = [
        (
            format!("{post}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n{smuggled}"),
            400,
        ),
        (
            format!("{post}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n{smuggled}"),
            400,
        ),
        (
            format!("{post}transfer-encoding: gzip, chunked\r\n\r\n{smuggled}"),
            400,
        ),
        (format!("{post}transfer-encoding: identity\r\n\r\n"), 400),
        (
            format!("{post}content-length: 5\r\ncontent-length: 6\r\n\r\n"),
            400,
        ),
        (format!("{post}content-length: +5\r\n\r\n"), 400),
        ("GET /healthz HTTP/1.1\r\n\r\n".to_owned(), 400),
        (
            "GET /healthz HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n".to_owned(),
            400,
        ),
        ("GET /healthz HTTP/1.0\r\n\r\n".to_owned(), 200),
        // Read as usual, and nothing behind it: the connection ends.
        (format!("{post}transfer-encoding: chunked\r\n\r\n{smuggled}"), 415),
    ];
    for (sent, expected) in table {
        let answer = served.answer_to(&sent).await;
        assert!(
            answer.starts_with(&format!(
                "HTTP/1.{} {expected}",
                u8::from(!sent.contains("HTTP/1.0"))
            )),
            "{sent}\n{answer}"
        );
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{sent}\n{answer}");
    }
    let chunked = head(PUSH.len()).replace(
        &format!("content-length: {}", PUSH.len()),
        "transfer-encoding: chunked",
    );
    let answer = served
        .answer_to(&format!("{chunked}{:x}\r\n{PUSH}\r\n0\r\n\r\n", PUSH.len()))
        .await;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    served.end().await;
}

#[tokio::test]
async fn running_requests_finish_after_a_stop() {
    let served = serve(GatewayLimits::default()).await;
    served.bus.set_mode(FakeMode::Unavailable);
    let mut stream = served.connect().await;
    stream
        .write_all((head(PUSH.len()) + PUSH).as_bytes())
        .await
        .unwrap();
    served.bus.publish_called().await;
    served.stop.cancel();
    served.bus.set_mode(FakeMode::Confirm);
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    served.end().await;
}

#[tokio::test]
async fn connections_are_closed_after_the_shutdown_timeout() {
    let served = serve(GatewayLimits {
        shutdown_timeout: Duration::from_millis(50),
        ..GatewayLimits::default()
    })
    .await;
    served.bus.set_mode(FakeMode::Unavailable);
    let mut stream = served.connect().await;
    stream
        .write_all((head(PUSH.len()) + PUSH).as_bytes())
        .await
        .unwrap();
    served.bus.publish_called().await;
    served.stop.cancel();
    assert_eq!(rest(&mut stream).await, "");
    served.end().await;
}
