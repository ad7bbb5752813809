//! One trace goes from the webhook to the result, and an unavailable collector does no harm.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, KeyInit, Mac};
use lockstep_testbed::{Repository, free_port, wait};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;
use sha2::Sha256;

use super::collector::Collector;
use super::{exchange, get};
use crate::system::{Ground, Load, PATIENCE, Process, Scene};

const SECRET: &str = "a-secret-of-the-forge";
/// The trace id that the forge sends.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Starts all roles in one process, with a repository, and with traces exported to this address.
async fn up(scene: &Scene, repository: &Repository, endpoint: &str) -> Result<(Process, String)> {
    let gateway = format!("127.0.0.1:{}", free_port()?);
    let repository = repository.path().display().to_string();
    let process = scene.run(
        &["up", "--listen", "127.0.0.1:0", "--gateway-listen", &gateway],
        &[
            ("LOCKSTEP__REPOSITORIES__SETTINGS__URL", &repository),
            ("LOCKSTEP__REPOSITORIES__SETTINGS__WEBHOOK_SECRET", SECRET),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_SERVICE_NAME", "lockstep-of-a-test"),
        ],
    )?;
    wait::until("the gateway to be ready", PATIENCE, async || {
        match get(&gateway, "/readyz").await {
            Ok((200, _)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    Ok((process, gateway))
}

fn settings(scene: &Scene) -> Result<(Repository, String)> {
    let repository = Repository::init(&scene.folder().join("origin/settings"))?;
    repository.write("global/base_system.yml", b"dns_servers: []\n")?;
    let commit = repository.commit("settings")?;
    Ok((repository, commit))
}

/// Sends a GitHub push as part of a trace, which is sampled or not.
async fn push(gateway: &str, delivery: &str, commit: &str, flags: &str) -> Result<()> {
    let before = "0".repeat(40);
    let push =
        json!({"ref": "refs/heads/main", "before": before, "after": commit, "forced": false, "commits": []})
            .to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    mac.update(push.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let length = push.len();
    let request = format!(
        "POST /webhooks/github/settings HTTP/1.1\r\nhost: {gateway}\r\nconnection: close\r\ncontent-length: {length}\r\n\
         content-type: application/json\r\nx-github-event: push\r\nx-github-delivery: {delivery}\r\n\
         x-hub-signature-256: sha256={signature}\r\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-{flags}\r\n\r\n{push}"
    );
    let (status, answer) = exchange(gateway, request).await?;
    ensure!(status == 202, "{status}: {answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_from_the_webhook_to_the_result() -> Result<()> {
    let scene = Scene::new(Ground::Embedded).await?;
    let (repository, commit) = settings(&scene)?;
    let collector = Collector::start().await?;
    let (process, gateway) = up(&scene, &repository, &collector.url).await?;
    // The first push belongs to a trace that is not sampled.
    push(&gateway, "1", &commit, "00").await?;
    push(&gateway, "2", &commit, "01").await?;

    let path = [
        "POST /webhooks/{forge}/{repository}",
        "process lockstep.repository.changed",
        "publish lockstep.event.applied",
    ];
    let named = |name: &str| -> Vec<Span> {
        let spans = collector.spans().into_iter().map(|(_, span)| span);
        spans.filter(|span| span.name == name).collect()
    };
    wait::until("the spans of the push", PATIENCE, async || {
        if path.iter().all(|name| !named(name).is_empty()) {
            Ok(())
        } else {
            Err(format!("{:?}", collector.spans()))
        }
    })
    .await?;
    process.stop().await?;

    let spans = collector.spans();
    ensure!(
        spans
            .iter()
            .all(|(service, _)| service.contains("lockstep-of-a-test"))
    );
    let spans: Vec<Span> = path
        .iter()
        .map(|name| {
            let mut found = named(name);
            ensure!(found.len() == 1, "{name}: {found:?}");
            found.pop().context("there is one")
        })
        .collect::<Result<_>>()?;
    let [webhook, work, result] = spans.as_slice() else {
        unreachable!("as many as there are steps");
    };
    for span in [webhook, work, result] {
        ensure!(hex::encode(&span.trace_id) == TRACE, "{span:?}");
        ensure!(span.end_time_unix_nano >= span.start_time_unix_nano, "{span:?}");
    }
    ensure!(hex::encode(&webhook.parent_span_id) == "00f067aa0ba902b7");
    ensure!(work.parent_span_id == webhook.span_id, "{work:?}");
    ensure!(result.parent_span_id == work.span_id, "{result:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_collector_delays_neither_processing_nor_shutdown() -> Result<()> {
    let scene = Scene::new(Ground::Embedded).await?;
    let load = Load {
        devices: 10,
        events: 3000,
    };
    let bus = scene.bus().await?;
    let sent = load.publish(&*bus).await?;
    bus.close().await;
    drop(bus);
    let (repository, _) = settings(&scene)?;
    let collector = Collector::start_hanging().await?;
    let (process, _) = up(&scene, &repository, &collector.url).await?;
    scene.oracle().processed(&sent).await?;
    let signalled = Instant::now();
    process.stop().await?;
    let took = signalled.elapsed();
    ensure!(took < Duration::from_secs(20), "the shutdown took {took:?}");
    Ok(())
}
