//! Measures a signed GitHub push over HTTP until its 202, against publishing the same message directly; both wait for the
//! confirm of each message, and both have the same number of messages in flight.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use anyhow::{Context, ensure};
use hmac::{Hmac, KeyInit, Mac};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Confirmation};
use lockstep_bus::Bus;
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_clock::{Clock, SystemClock};
use lockstep_http::{Tokens, TrustedProxies};
use lockstep_producer::gateway::{Gateway, GatewayContext, InventorySources, Repositories, Secrets};
use lockstep_protocol::envelope::CONTENT_TYPE;
use lockstep_protocol::topology::{self, Lane};
use lockstep_protocol::{Kind, RepositoryName};
use serde_json::json;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bare;
use crate::messages;
use crate::rounds::{Side, alternate};
use crate::scene::{Host, Scene};
use crate::table::{Goal, Row, Table};

const IN_FLIGHT: usize = 32;
const SECRET: &str = "a-secret-of-the-forge";
const PUSH: &str = include_str!("../../../producer/tests/payloads/github-push.json");

/// Adds the row about the gateway.
///
/// # Errors
/// A server or a contender fails, or a message is missing.
pub(crate) async fn measure(host: &Host, pushes: u32, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let runs = alternate("gateway", rounds, &Side::BOTH, async |side| {
        let scene = host.scene(1).await?;
        let rate = match side {
            Side::Baseline => publish(&scene, pushes).await?,
            Side::Lockstep => push(&scene, pushes).await?,
        };
        check(&scene, pushes).await?;
        Ok(rate)
    })
    .await?;
    table.rows.push(Row::new(
        "signed push → 202, 32 in flight",
        "msg/s",
        runs.of(Side::Lockstep),
        ("bare", runs.of(Side::Baseline)),
        Goal::Times(0.65),
    ));
    Ok(())
}

/// Hands out message numbers until all are taken.
#[derive(Debug)]
struct Numbers {
    next: AtomicU32,
    count: u32,
}

impl Numbers {
    fn new(count: u32) -> Arc<Self> {
        let next = AtomicU32::new(0);
        Arc::new(Self { next, count })
    }

    fn take(&self) -> Option<usize> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.count).then_some(number as usize)
    }
}

/// Waits for all tasks and returns the rate in messages per second.
async fn rate(began: Instant, count: u32, mut tasks: JoinSet<anyhow::Result<()>>) -> anyhow::Result<f64> {
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

/// The baseline: one channel; each task waits for the confirm of its own message.
async fn publish(scene: &Scene, count: u32) -> anyhow::Result<f64> {
    let connection = bare::connect(&scene.vhost.url()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let run = messages::run();
    let bodies: Arc<Vec<Vec<u8>>> = Arc::new((0..count).map(|number| message(&run, number)).collect());
    let numbers = Numbers::new(count);
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (channel, bodies, numbers) = (channel.clone(), bodies.clone(), numbers.clone());
        tasks.spawn(async move {
            while let Some(number) = numbers.take() {
                let properties = BasicProperties::default()
                    .with_delivery_mode(2)
                    .with_content_type(CONTENT_TYPE.into())
                    .with_type(Kind::RepositoryChanged.as_str().into())
                    .with_message_id("01234567-89ab-5def-8123-456789abcdef".into());
                let (exchange, key) = (topology::EVENTS.into(), Kind::RepositoryChanged.as_str().into());
                let options = BasicPublishOptions::default();
                let publishing = channel.basic_publish(exchange, key, options, &bodies[number], properties);
                ensure!(
                    matches!(publishing.await?.await?, Confirmation::Ack(_)),
                    "refused"
                );
            }
            Ok(())
        });
    }
    let rate = rate(began, count, tasks).await?;
    connection.close(200, "done".into()).await?;
    Ok(rate)
}

/// The message that the push becomes.
fn message(run: &str, number: u32) -> Vec<u8> {
    let body = json!({
        "specversion": "1.0",
        "id": format!("{run}-{number}"),
        "source": "/webhooks/github/settings",
        "type": Kind::RepositoryChanged.as_str(),
        "datacontenttype": "application/json",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "actor": "webhook:github",
        "data": {
            "repository": "settings",
            "branch": "main",
            "before": "4f2c9d1e8b7a6f5c3d2e1f0a9b8c7d6e5f4a3b2c",
            "after": "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3",
            "forced": false,
            "paths": ["devices/alt räck/vlans.yml", "devices/eosaccess1/interfaces.yml", "global/base_system.yml"],
        },
    });
    body.to_string().into_bytes()
}

/// The gateway with its defaults, and one client per concurrent request, each with its own connection.
async fn push(scene: &Scene, count: u32) -> anyhow::Result<f64> {
    let bus = AmqpBus::connect(AmqpOptions::new(scene.vhost.url())).await?;
    let secrets: Secrets = std::iter::once(SECRET.into()).collect();
    let repositories: Repositories =
        std::iter::once((RepositoryName::try_from("settings".to_owned())?, secrets)).collect();
    let gateway = Gateway::new(GatewayContext {
        bus: bus.clone(),
        repositories,
        sources: InventorySources::default(),
        tokens: Tokens::default(),
        proxies: TrustedProxies::default(),
        now: || SystemClock.now(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(gateway.serve(listener, stop.clone()));

    let run = messages::run();
    let requests: Arc<Vec<Vec<u8>>> = Arc::new(
        (0..count)
            .map(|number| request(&run, number))
            .collect::<Result<_, _>>()?,
    );
    let numbers = Numbers::new(count);
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        tasks.spawn(client(address, requests.clone(), numbers.clone()));
    }
    let rate = rate(began, count, tasks).await?;
    stop.cancel();
    serving.await?;
    bus.close().await;
    Ok(rate)
}

/// A push with its own delivery id, signed before the measurement starts.
fn request(run: &str, number: u32) -> anyhow::Result<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    mac.update(PUSH.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let length = PUSH.len();
    let request = format!(
        "POST /webhooks/github/settings HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nx-github-event: push\r\nx-github-delivery: {run}-{number}\r\n\
         x-hub-signature-256: sha256={signature}\r\n\r\n{PUSH}"
    );
    Ok(request.into_bytes())
}

/// Sends each request after the response to the previous one, and reads no more of a response than its status and where it ends.
async fn client(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    numbers: Arc<Numbers>,
) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut response = Vec::with_capacity(1024);
    while let Some(number) = numbers.take() {
        stream.write_all(&requests[number]).await?;
        response.clear();
        while !is_whole(&response)? {
            ensure!(stream.read_buf(&mut response).await? > 0, "the connection ended");
        }
        ensure!(
            response.starts_with(b"HTTP/1.1 202"),
            "answered {:?}",
            String::from_utf8_lossy(&response)
        );
    }
    Ok(())
}

/// Whether a response has arrived up to its end, which is where its length says.
fn is_whole(response: &[u8]) -> anyhow::Result<bool> {
    const LENGTH: &[u8] = b"content-length: ";
    let Some(head) = position(response, b"\r\n\r\n") else {
        return Ok(false);
    };
    let at = position(&response[..head], LENGTH).context("an answer has a length")?;
    let value = response[at + LENGTH.len()..].split(|byte| *byte == b'\r').next();
    let length: usize = std::str::from_utf8(value.unwrap_or_default())?.parse()?;
    Ok(response.len() >= head + 4 + length)
}

fn position(text: &[u8], sought: &[u8]) -> Option<usize> {
    text.windows(sought.len()).position(|window| window == sought)
}

/// Checks that this number of messages is in the queue of the lane `repositories`.
async fn check(scene: &Scene, count: u32) -> anyhow::Result<()> {
    let connection = bare::connect(&scene.vhost.url()).await?;
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let queue = Lane::Repositories.queue().into();
    let queue = channel
        .queue_declare(queue, options, FieldTable::default())
        .await?;
    let found = queue.message_count();
    connection.close(200, "seen".into()).await?;
    ensure!(found == count, "{found} messages for {count} pushes");
    Ok(())
}
