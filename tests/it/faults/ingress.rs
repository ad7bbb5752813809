//! A full ingress lane: publishers get an error, accepted messages are processed, refused ones are not.

use anyhow::{Context, Result, ensure};
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Envelope, Identity};
use lockstep_testbed::free_port;
use serde_json::json;

use crate::system::http::{Server, TestResponse};
use crate::system::load::{flags, hostname, update};
use crate::system::{Ground, Load, Scene};

const FLEET: Load = Load {
    devices: 5,
    events: 0,
};
const MAX_LENGTH: usize = 20;
/// Number of messages refused before a worker starts: enough to notice if one is accepted after all.
const REFUSED: usize = 20;

/// Publishes an event over HTTP, as another service does.
async fn post(gateway: &Server, event: &Envelope) -> Result<TestResponse> {
    let headers = "authorization: Bearer a-token-of-netbox\r\ncontent-type: application/cloudevents+json\r\n";
    let body = String::from_utf8(event.encode())?;
    gateway.answer("POST", "/v1/events", headers, &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_and_recovers() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let mut sent = FLEET.publish(&*bus).await?;
    let vhost = &scene.servers()?.vhost;
    let pattern = format!("^{}$", Lane::Events.queue().replace('.', "\\."));
    vhost
        .set_policy("ingress", &pattern, json!({"max-length": MAX_LENGTH}))
        .await?;
    let gateway = Server(format!("127.0.0.1:{}", free_port()?));
    let serving = scene.run(
        &["gateway", "--listen", &gateway.0],
        &[
            ("LOCKSTEP__GATEWAY__TOKENS__0__NAME", "netbox"),
            ("LOCKSTEP__GATEWAY__TOKENS__0__TOKEN", "a-token-of-netbox"),
            ("LOCKSTEP__GATEWAY__TOKENS__0__TYPES", "lockstep.interface.*"),
        ],
    )?;
    gateway.ready().await?;

    let mut refused: Vec<Identity> = Vec::new();
    let mut number = 0;
    while refused.len() < REFUSED {
        ensure!(number < 10 * MAX_LENGTH, "the lane does not get full");
        let event = update(&hostname(number % FLEET.devices));
        number += 1;
        let answer = post(&gateway, &event).await?;
        match answer.status {
            202 => drop(sent.insert(event.identity.clone(), flags(&event))),
            503 => {
                ensure!(
                    answer.body["type"] == "urn:lockstep:problem:queue-full",
                    "{answer:?}"
                );
                let seconds = answer.header("retry-after").context("no retry-after")?;
                ensure!(seconds.parse::<u32>().is_ok(), "{answer:?}");
                refused.push(event.identity);
            }
            _ => anyhow::bail!("{answer:?}"),
        }
    }
    // Only the lane is full; the gateway and its broker are ready.
    gateway.ready().await?;

    let worker = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;
    let inbox = scene.oracle().records.inbox().await?;
    ensure!(
        !refused.iter().any(|identity| inbox.contains_key(identity)),
        "a refused message was processed"
    );
    let event = update(&hostname(0));
    let answer = post(&gateway, &event).await?;
    ensure!(answer.status == 202, "{answer:?}");
    sent.insert(event.identity.clone(), flags(&event));
    scene.oracle().processed(&sent).await?;
    serving.stop().await?;
    worker.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}
