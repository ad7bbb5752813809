//! What the audit keeps about commands from the broker, through the deaths of workers.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;

use anyhow::{Context, Result, ensure};
use lockstep_bus::Bus;
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_protocol::commands::DeviceMarkRequested;
use lockstep_protocol::topology::access::Role;
use lockstep_protocol::{Envelope, Identity, Kind};
use lockstep_testbed::wait;

use crate::system::access::user_with;
use crate::system::load::{envelope, flags, hostname, outgoing};
use crate::system::records::AuditRecord;
use crate::system::{Expected, Ground, Load, PATIENCE, Scene, Sent};

const LOAD: Load = Load {
    devices: 10,
    events: 300,
};
/// Three batches and more, so that one is killed in.
const COMMANDS: usize = 350;

fn mark(number: usize) -> Envelope {
    envelope(DeviceMarkRequested {
        hostname: hostname(number),
        synchronized: false,
        generation: None,
        note: Some("drill".to_owned()),
    })
}

/// Imports the devices: a command about a device that is not there yet is rejected.
async fn import(scene: &Scene) -> Result<Sent> {
    let fleet = LOAD.fleet();
    let bus = scene.bus().await?;
    bus.publish(vec![outgoing(&fleet)]).await?;
    bus.close().await;
    let sent = [(fleet.identity, Expected::Applied { flags: None })].into();
    let worker = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;
    Ok(sent)
}

/// Kills a worker when it passes a fail point for the third time: each command has one entry, and no event has one.
async fn killed_at(ground: Ground, point: &str) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let mut sent = import(&scene).await?;
    let bus = scene.bus().await?;
    for chunk in LOAD.updates().chunks(500) {
        bus.publish(chunk.iter().map(outgoing).collect()).await?;
        sent.extend(chunk.iter().map(|event| (event.identity.clone(), flags(event))));
    }
    let commands: Vec<Envelope> = (0..COMMANDS).map(|number| mark(number % LOAD.devices)).collect();
    for chunk in commands.chunks(50) {
        bus.publish(chunk.iter().map(outgoing).collect()).await?;
    }
    let user = bus.user().to_owned();
    bus.close().await;
    let expected: Sent = commands
        .iter()
        .map(|command| (command.identity.clone(), Expected::Applied { flags: None }))
        .collect();
    sent.extend(expected);

    let mut first = scene.worker(&[("LOCKSTEP_FAIL_POINT", &format!("{point}:3:kill"))])?;
    let status = first.ended().await?;
    ensure!(status.signal() == Some(9), "{status}: {}", first.log()?);
    let second = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;
    second.stop().await?;

    let mut entries: BTreeMap<Identity, AuditRecord> = BTreeMap::new();
    for record in scene.oracle().records.audit().await? {
        ensure!(
            record.reason.as_deref() == Some("drill") && record.broker_user.as_ref() == Some(&user),
            "{record:?}"
        );
        let before = entries.insert(record.message.clone(), record);
        ensure!(before.is_none(), "two entries: {before:?}");
    }
    let inbox = scene.oracle().records.inbox().await?;
    ensure!(entries.len() == COMMANDS, "{} entries", entries.len());
    for command in &commands {
        let record = entries.get(&command.identity).context("no entry")?;
        let state = &inbox.get(&command.identity).context("no inbox row")?.state;
        ensure!(
            record.outcome.as_deref() == Some("applied") && state == "applied",
            "{record:?} {state}"
        );
    }
    Ok(())
}

killed_at! {
    after_inbox: "after-inbox",
    after_commit: "after-commit",
    before_ack: "before-ack",
}

/// Limits this principal to the devices of one group, as `lockstep tokens create --group` does.
async fn limit(scene: &Scene, principal: &str, group: &str) -> Result<()> {
    let database = scene.servers()?.schema.connect().await?;
    let token = "INSERT INTO access_token (name, person, role, reads, sources, prefix, digest, created_at, created_by) \
        VALUES ('night', $1, 'operator', '[]', '[]', 'lockstep_x', '\\x00', now(), 'root')";
    database.execute(token, &[&principal]).await?;
    let binding = "INSERT INTO access_binding (principal, token, role, device_groups, tasks) VALUES ($1, 'night', 'operator', $2, '[]')";
    let groups = format!("[{group:?}]");
    database.execute(binding, &[&principal, &groups]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_outside_of_limits_is_refused_to_who_waits_and_dead_lettered_otherwise() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let worker = scene.worker(&[])?;
    let fleet = Load {
        devices: 1,
        events: 0,
    }
    .fleet();
    let bus = scene.bus().await?;
    bus.publish(vec![outgoing(&fleet)]).await?;
    let rights = |name: &str| {
        Role::Producer
            .rights(name)
            .publishing([Kind::DeviceMarkRequested])
    };
    let user = user_with(&scene.servers()?.vhost, "carol", rights).await?;
    limit(&scene, &user.name, "oslo").await?;

    let (asked, told) = (mark(0), mark(0));
    let mut waits = outgoing(&asked);
    waits.properties.reply_to = Some(format!("lockstep.reply.{}.1", user.name).into());
    let bus = AmqpBus::connect(AmqpOptions::new(&user.url)).await?;
    bus.publish(vec![waits, outgoing(&told)]).await?;
    let records = scene.oracle().records;
    let entries = wait::until("both decisions", PATIENCE, async || match records.audit().await {
        Ok(entries) if entries.len() == 2 => Ok(entries),
        other => Err(format!("{other:?}")),
    })
    .await?;
    let entries: BTreeMap<Identity, AuditRecord> = entries
        .into_iter()
        .map(|entry| (entry.message.clone(), entry))
        .collect();
    for (message, outcome) in [(&asked, "refused"), (&told, "dead")] {
        let entry = entries.get(&message.identity).context("no entry")?;
        ensure!(
            entry.outcome.as_deref() == Some(outcome)
                && entry.code.as_deref() == Some("not-allowed")
                && entry.principal.as_deref() == Some(user.name.as_str()),
            "{entry:?}"
        );
    }
    let dead = records.dead_letters().await?;
    ensure!(
        dead.keys().all(|(identity, _)| *identity == told.identity) && dead.len() == 1,
        "{dead:?}"
    );
    worker.stop().await
}
