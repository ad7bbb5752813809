//! What broker users with the rights of their role can do beyond them: nothing.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lockstep_bus::Bus;
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_protocol::topology::access::Role;
use lockstep_protocol::{Envelope, Kind};
use lockstep_testbed::wait;

use crate::system::access::user_with;
use crate::system::load::{hostname, outgoing, update};
use crate::system::{Expected, Ground, Load, PATIENCE, Scene};

/// How many messages of `attacks.py` the broker takes.
const ATTACKS: usize = 14;

async fn import(scene: &Scene) -> Result<()> {
    let fleet = Load {
        devices: 1,
        events: 0,
    }
    .fleet();
    let bus = scene.bus().await?;
    bus.publish(vec![outgoing(&fleet)]).await?;
    let sent = [(fleet.identity, Expected::Applied { flags: None })].into();
    scene.oracle().processed(&sent).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_of_one_type_achieves_nothing_else() -> Result<()> {
    let python = lockstep_testbed::python_with(Path::new(env!("CARGO_TARGET_TMPDIR")), &["pika==1.4.4"])?;
    let scene = Scene::new(Ground::Servers).await?;
    let worker = scene.worker(&[
        ("LOCKSTEP__BROKER__SOURCES__0__NAME", "netbox"),
        ("LOCKSTEP__BROKER__SOURCES__0__SOURCES", "urn:example:netbox"),
    ])?;
    import(&scene).await?;
    let records = scene.oracle().records;
    let devices = records.devices().await?;

    let rights = |name: &str| Role::Producer.rights(name).publishing([Kind::InterfaceUpdated]);
    let user = user_with(&scene.servers()?.vhost, "attacker", rights).await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/authority/attacks.py");
    let mut command = Command::new(python);
    command.arg(script).env("LOCKSTEP_BROKER_URL", &user.url);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let (printed, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{printed}{errors}");
    ensure!(printed.lines().count() == ATTACKS, "{printed}");

    let dead = wait::until("every attack is a dead letter", PATIENCE, async || match records
        .dead_letters()
        .await
    {
        Ok(dead) if dead.len() == ATTACKS => Ok(dead),
        other => Err(format!("{other:?}")),
    })
    .await?;
    for ((identity, _), row) in dead {
        ensure!(
            identity.source.as_str() == "urn:lockstep:not-allowed",
            "{identity} {row:?}"
        );
        ensure!(row.code == "not-allowed" && row.state == "dead", "{row:?}");
    }
    ensure!(records.devices().await? == devices, "a device changed");
    worker.stop().await
}

/// Whoever is first takes the identity away from nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_one_user_never_stands_for_that_of_another() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let worker = scene.worker(&[])?;
    import(&scene).await?;
    let vhost = &scene.servers()?.vhost;
    let mut ids = Vec::new();
    // The same source and id, with other content, by two users.
    let event = update(&hostname(0));
    for (name, hostname) in [("first", "ghost".parse()?), ("second", hostname(0))] {
        let user = user_with(vhost, name, |user| Role::Producer.rights(user)).await?;
        let bus = AmqpBus::connect(AmqpOptions::new(user.url.clone())).await?;
        let message = Envelope {
            identity: event.identity.clone(),
            ..update(&hostname)
        };
        bus.publish(vec![outgoing(&message)]).await?;
        bus.close().await;
        ids.push((name, user.name));
    }
    let url = scene.servers()?.schema.url();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let states = wait::until("both messages are processed", PATIENCE, async || {
        let query = "SELECT actor, state FROM inbox WHERE id = $1";
        let rows = client.query(query, &[&event.identity.id.as_str()]).await;
        let rows = rows.map_err(|error| error.to_string())?;
        let states: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        if states.len() == 2 {
            Ok(states)
        } else {
            Err(format!("{states:?}"))
        }
    })
    .await;
    let states = states.with_context(|| worker.log().unwrap_or_default())?;
    for (name, user) in &ids {
        let expected = if *name == "first" { "dead" } else { "applied" };
        let state = states.iter().find(|(actor, _)| actor == user);
        ensure!(state.is_some_and(|(_, state)| state == expected), "{states:?}");
    }
    worker.stop().await
}
