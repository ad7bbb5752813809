//! What runs of syncs conclude about flags, while others change them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lockstep_clock::SystemClock;
use lockstep_protocol::commands::SyncRequested;
use lockstep_protocol::{Cause, Hostname, Identity, Kind, MessageId, WorkResult};
use lockstep_store::{
    Device, DeviceEffect, Effects, ElementOwner, HistoryEvent, Keys, Origin, RunningElement, Version,
};
use lockstep_sync::{Conclusion, SyncFlags};
use lockstep_testbed::wait;
use lockstep_worker::handlers::FollowedCluster;
use lockstep_worker::sync::StoredFlags;
use serde_json::json;
use uuid::Uuid;

use crate::provider::Act;
use crate::scene::{PATIENCE, Scene, hostname, now, on_both, source};
use crate::store::Ground;

on_both! {
    a_confirmed_configuration_makes_the_device_synchronized,
    a_cause_that_came_meanwhile_keeps_the_device_unsynchronized,
    a_difference_flags_only_a_synchronized_device_and_can_be_applied,
    another_attempt_concludes_nothing_and_a_renamed_device_is_found,
}

/// A sync of `sw0` that runs.
struct Run {
    execution: Uuid,
    attempt: RunningElement,
    flags: StoredFlags,
    device: Hostname,
}

impl Run {
    async fn begin(scene: &Scene) -> Result<Self> {
        scene.script.set("sw0", Act::Report);
        let request = json!({"targets": {"hostname": "sw0"}, "note": "CHG7"});
        let request: SyncRequested = serde_json::from_value(request)?;
        let WorkResult::ExecutionAccepted(accepted) = scene.ask(request).await? else {
            bail!("the sync is not accepted");
        };
        let owner = wait::until("the run", PATIENCE, async || scene.script.owner("sw0")).await?;
        let elements = scene.elements(accepted.execution).await?;
        let element = elements.get("sw0").context("the element")?;
        Ok(Self {
            execution: accepted.execution,
            attempt: RunningElement {
                element: element.number,
                attempt: 1,
                owner: ElementOwner(owner),
            },
            flags: StoredFlags {
                store: scene.store.unit_of_work.clone(),
                runs: scene.store.syncs.clone(),
                executions: scene.store.executions.clone(),
                clusters: vec![FollowedCluster {
                    name: "oslo".to_owned(),
                    delay: Duration::ZERO,
                }],
                clock: std::sync::Arc::new(SystemClock),
            },
            device: hostname(0),
        })
    }

    async fn conclude(&self, conclusion: &Conclusion) -> Result<bool> {
        Ok(self
            .flags
            .conclude(&self.attempt, &self.device, conclusion)
            .await?)
    }

    /// The sweeps that follow, which run for whoever requested the sync.
    async fn sweeps(&self, scene: &Scene) -> Result<usize> {
        let due = scene.store.follow_ups.claim_overdue(100).await?;
        let mut sweeps = due;
        sweeps.retain(|follow_up| follow_up.body.windows(4).any(|part| part == b"oslo"));
        let by = Some(scene.bus.user());
        ensure!(
            sweeps.iter().all(|sweep| sweep.actor.as_deref() == by),
            "{sweeps:?}"
        );
        Ok(sweeps.len())
    }
}

fn synchronized(generation: i64) -> Conclusion {
    Conclusion::Synchronized {
        generation,
        configuration_hash: "5ha".to_owned(),
    }
}

async fn device(scene: &Scene, name: &str) -> Result<Device> {
    scene
        .store
        .fleet
        .device(&name.parse()?)
        .await?
        .context("the device")
}

async fn work(scene: &Scene, effect: DeviceEffect, more: Option<Hostname>) -> Result<()> {
    let keys = Keys {
        hostnames: [effect.hostname().clone()].into_iter().chain(more).collect(),
        ..Keys::default()
    };
    let (mut facts, transaction) = scene.store.unit_of_work.begin(&[], &keys).await?;
    let identity = Identity {
        source: source(),
        id: MessageId::new(),
    };
    let from = Origin {
        identity: &identity,
        kind: Kind::InterfaceUpdated,
        actor: Some("netbox"),
        at: now(),
        reply: None,
    };
    let effects = Effects {
        devices: vec![effect],
        ..Effects::default()
    };
    facts.absorb(effects, &from);
    Ok(transaction.commit(&facts).await?)
}

fn event() -> DeviceEffect {
    DeviceEffect::Unsynchronize {
        hostname: hostname(0),
        cause: Cause::InterfaceUpdated,
    }
}

async fn a_confirmed_configuration_makes_the_device_synchronized(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 1).await?;
    let worker = scene.worker()?;
    work(&scene, event(), None).await?;
    let run = Run::begin(&scene).await?;
    ensure!(device(&scene, "sw0").await?.checked_at.is_none());
    for again in [false, true] {
        ensure!(run.conclude(&synchronized(2)).await?);
        let device = device(&scene, "sw0").await?;
        ensure!(
            device.sync.synchronized() && device.open_causes.is_empty(),
            "{device:?}"
        );
        ensure!(device.sync.since.is_none() && device.checked_at.is_some() && device.marked.is_none());
        let history = scene.store.fleet.history(&device, None, 10).await?;
        let HistoryEvent::Changed { row, .. } = &history[0].event else {
            bail!("{history:?}");
        };
        ensure!(
            row.what == "synchronized" && row.causes.len() == 1,
            "{row:?} {again}"
        );
        ensure!(row.change.execution == Some(run.execution) && row.note.as_deref() == Some("CHG7"));
        ensure!(row.kind == "lockstep.sync.requested" && row.actor.as_deref() == Some(scene.bus.user()));
    }
    let (_, found) = scene
        .store
        .syncs
        .binding(run.attempt.element)
        .await?
        .context("a binding")?;
    ensure!(found.configuration_hash.as_deref() == Some("5ha"));
    ensure!(
        run.sweeps(&scene).await? == 1,
        "its CloudVision tasks are looked at once"
    );
    scene.script.gate.notify_one();
    worker.stop().await
}

async fn a_cause_that_came_meanwhile_keeps_the_device_unsynchronized(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 1).await?;
    let worker = scene.worker()?;
    work(&scene, event(), None).await?;
    let run = Run::begin(&scene).await?;
    work(&scene, event(), None).await?;
    ensure!(run.conclude(&synchronized(2)).await?);
    let found = device(&scene, "sw0").await?;
    ensure!((found.sync.desired, found.sync.synced) == (3, 2), "{found:?}");
    ensure!(found.open_causes.len() == 2 && found.sync.since.is_some() && found.checked_at.is_some());
    // Never down, and never above what is desired.
    ensure!(run.conclude(&synchronized(1)).await?);
    ensure!(device(&scene, "sw0").await?.sync.synced == 2);
    ensure!(run.sweeps(&scene).await? == 0);
    ensure!(run.conclude(&synchronized(99)).await?);
    let found = device(&scene, "sw0").await?;
    ensure!(found.sync.synchronized() && found.sync.synced == 3, "{found:?}");
    scene.script.gate.notify_one();
    worker.stop().await
}

async fn a_difference_flags_only_a_synchronized_device_and_can_be_applied(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 1).await?;
    let worker = scene.worker()?;
    let run = Run::begin(&scene).await?;
    let accepted = Conclusion::Accepted {
        configuration_hash: "acc".to_owned(),
    };
    ensure!(run.conclude(&accepted).await?);
    let found = device(&scene, "sw0").await?;
    ensure!(found.sync.synchronized() && found.checked_at.is_some());
    for _ in 0..2 {
        ensure!(run.conclude(&Conclusion::Differs(Cause::SynctoDryrun)).await?);
        let found = device(&scene, "sw0").await?;
        ensure!((found.sync.desired, found.sync.synced) == (2, 1), "{found:?}");
        let causes = scene.store.fleet.causes(&found.open_causes).await?;
        let [cause] = &causes.into_values().collect::<Vec<_>>()[..] else {
            bail!("one cause");
        };
        ensure!(
            cause.cause == "syncto_dryrun" && cause.note.as_deref() == Some("CHG7"),
            "{cause:?}"
        );
        ensure!(cause.kind == "lockstep.sync.requested" && cause.actor.is_some());
        let (bound, found) = scene
            .store
            .syncs
            .binding(run.attempt.element)
            .await?
            .context("a binding")?;
        ensure!(
            bound.generation == 2,
            "what it found is about the generation of its own cause"
        );
        ensure!(found.configuration_hash.as_deref() == Some("acc"));
    }
    // Somebody else's cause is newer than what was found.
    work(&scene, event(), None).await?;
    ensure!(run.conclude(&Conclusion::Differs(Cause::Confighash)).await?);
    let (bound, found) = scene
        .store
        .syncs
        .binding(run.attempt.element)
        .await?
        .context("a binding")?;
    ensure!((bound.generation, found.sync.desired) == (2, 3));
    scene.script.gate.notify_one();
    worker.stop().await
}

async fn another_attempt_concludes_nothing_and_a_renamed_device_is_found(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 1).await?;
    let worker = scene.worker()?;
    work(&scene, event(), None).await?;
    let run = Run::begin(&scene).await?;
    let others = [
        RunningElement {
            attempt: 2,
            ..run.attempt
        },
        RunningElement {
            owner: ElementOwner(Uuid::nil()),
            ..run.attempt
        },
        RunningElement {
            element: run.attempt.element + 1,
            ..run.attempt
        },
    ];
    for other in others {
        ensure!(
            !run.flags.conclude(&other, &run.device, &synchronized(2)).await?,
            "{other:?}"
        );
    }
    ensure!(!device(&scene, "sw0").await?.sync.synchronized());
    let rename = DeviceEffect::Rename {
        hostname: hostname(0),
        to: "renamed".parse()?,
        version: Version {
            time: now(),
            id: MessageId::new(),
        },
    };
    work(&scene, rename, Some("renamed".parse()?)).await?;
    ensure!(run.conclude(&synchronized(2)).await?, "by its old name");
    ensure!(device(&scene, "renamed").await?.sync.synchronized());
    scene.script.gate.notify_one();
    scene.ended(run.execution).await?;
    ensure!(!run.conclude(&synchronized(2)).await?, "it has ended");
    worker.stop().await
}
