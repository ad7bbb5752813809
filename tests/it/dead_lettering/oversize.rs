//! Bodies that are larger than a body may be: the head is kept, the sender is told, and nobody can requeue it.

use anyhow::{Context, Result, ensure};
use lockstep_protocol::commands::DeadLetterDropRequested;
use lockstep_protocol::{Code, Identity, Kind, topology};

use super::{publish, requeue, requeue_all};
use crate::system::load::{dead, envelope, flags, hostname, update};
use crate::system::{Expected, Ground, Load, Scene, Sent};

const FLEET: Load = Load {
    devices: 3,
    events: 0,
};
const BODIES: usize = 12;
const SIZE: usize = 5 << 20;
/// What is kept of each.
const HEAD: i64 = 64 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn of_twelve_bodies_that_are_too_large_only_the_heads_are_kept() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let mut sent: Sent = FLEET.publish(&*bus).await?;
    for number in 0..BODIES {
        let mut body = format!("{number} ");
        body.extend(std::iter::repeat_n('x', SIZE - body.len()));
        let identity = Identity::of_undecodable(body.as_bytes());
        sent.insert(identity, dead(Code::TooLarge));
        // No client of ours publishes it.
        let vhost = &scene.servers()?.vhost;
        vhost
            .publish(topology::EVENTS, Kind::InterfaceUpdated.as_str(), &body)
            .await?;
    }
    let worker = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;

    let client = scene.servers()?.schema.connect().await?;
    let query = "SELECT number, octet_length(body)::bigint, reason FROM dead_letter ORDER BY number";
    let rows = client.query(query, &[]).await?;
    ensure!(rows.len() == BODIES);
    for row in &rows {
        let (bytes, reason): (i64, String) = (row.get(1), row.get(2));
        ensure!(bytes == HEAD, "{bytes} bytes are kept");
        ensure!(
            reason.contains(&SIZE.to_string()) && reason.contains("SHA-256"),
            "{reason}"
        );
    }
    let number: i64 = rows.first().context("a dead letter")?.get(0);
    let (one, all) = (requeue(number)?, requeue_all());
    let drop = envelope(DeadLetterDropRequested {
        dead_letter: Some(number.try_into()?),
        matching: None,
    });
    let good = update(&hostname(0));
    for message in [&all, &one, &drop, &good] {
        publish(&*bus, message).await?;
    }
    sent.extend([
        (one.identity.clone(), dead(Code::InvalidData)),
        (all.identity.clone(), Expected::Applied { flags: None }),
        (drop.identity.clone(), Expected::Applied { flags: None }),
        (good.identity.clone(), flags(&good)),
    ]);
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;
    let states = client
        .query(
            "SELECT state, count(*) FROM dead_letter WHERE code = 'too-large' GROUP BY state ORDER BY state",
            &[],
        )
        .await?;
    let states: Vec<(String, i64)> = states.iter().map(|row| (row.get(0), row.get(1))).collect();
    let rest = i64::try_from(BODIES)? - 1;
    ensure!(
        states == [("dead".to_owned(), rest), ("dropped".to_owned(), 1)],
        "{states:?}"
    );
    scene.oracle().check(&sent, &*bus).await
}
