//! Lost messages and broker objects are restored by one leader-elected worker.

use anyhow::{Context, Result, ensure};
use lockstep_protocol::commands::DeadLetterRequeueRequested;
use lockstep_testbed::Queue;
use lockstep_testbed::wait;
use rustix::process::Signal;

use crate::system::load::{envelope, flags, hostname, outgoing, update};
use crate::system::{Ground, Load, PATIENCE, Process, Scene};

/// Makes a worker declare the broker's objects and reconcile every second. It declares the real retry delays, because it
/// knows no others.
pub(crate) async fn declaring(scene: &Scene) -> Result<Vec<(String, String)>> {
    let servers = scene.servers()?;
    for delay in ["5s", "30s", "2m", "10m"] {
        let queue = format!("lockstep.delay.{delay}");
        servers.vhost.delete_queue(&queue).await?;
        gone(scene, &queue).await?;
    }
    let broker = servers.vhost.url_through(servers.to_broker.addr());
    let pairs = [
        ("BROKER__URL", format!("{broker}?heartbeat=2")),
        ("BROKER__DECLARE", "true".to_owned()),
        ("RECONCILE__EVERY", "1s".to_owned()),
    ];
    Ok(pairs
        .into_iter()
        .map(|(key, value)| (format!("LOCKSTEP__{key}"), value))
        .collect())
}

async fn gone(scene: &Scene, queue: &str) -> Result<()> {
    let vhost = &scene.servers()?.vhost;
    wait::until("the queue to be deleted", PATIENCE, async || {
        vhost.queue(queue).await.is_ok_and(|found| found.is_none())
    })
    .await?;
    Ok(())
}

/// Deletes a queue with its messages and waits until it exists again.
pub(crate) async fn delete_and_wait(scene: &Scene, queue: &str) -> Result<()> {
    let vhost = &scene.servers()?.vhost;
    vhost.delete_queue(queue).await?;
    gone(scene, queue).await?;
    wait::until("the queue to be back", PATIENCE, async || {
        match vhost.queue(queue).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("the queue does not exist".to_owned()),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .await?;
    Ok(())
}

/// Waits until a worker has started. It has declared the broker's objects by then.
pub(crate) async fn started(process: &Process) -> Result<()> {
    logged(process, "worker started").await
}

/// Waits until the log of a process contains this text.
pub(crate) async fn logged(process: &Process, text: &str) -> Result<()> {
    wait::until(text, PATIENCE, async || {
        let log = process.log().map_err(|error| format!("{error:#}"))?;
        if log.contains(text) {
            Ok(())
        } else {
            Err("the text is not in the log".to_owned())
        }
    })
    .await?;
    Ok(())
}

/// Waits until the lease of the reconcile task is held with this fence.
async fn fence(scene: &Scene, expected: i64) -> Result<()> {
    let database = scene.servers()?.schema.connect().await?;
    wait::until("a leader of the reconcile task", PATIENCE, async || {
        let select = "SELECT fence FROM lease WHERE name = 'reconcile' AND until > clock_timestamp()";
        match database.query_opt(select, &[]).await {
            Ok(Some(row)) if row.get::<_, i64>(0) == expected => Ok(()),
            Ok(row) => Err(format!("{:?}", row.map(|row| row.get::<_, i64>(0)))),
            Err(error) => Err(error.to_string()),
        }
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_worker_goes_on_when_the_one_that_reconciles_is_killed() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let environment = declaring(&scene).await?;
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let mut first = scene.worker(&environment)?;
    fence(&scene, 1).await?;
    let second = scene.worker(&environment)?;
    started(&second).await?;
    fence(&scene, 1).await?;
    first.signal(Signal::KILL)?;
    first.ended().await?;
    delete_and_wait(&scene, "lockstep.lane.cvp").await?;
    fence(&scene, 2).await?;
    logged(&second, "repaired").await?;
    second.stop().await?;

    let database = scene.servers()?.schema.connect().await?;
    let held = "SELECT FROM lease WHERE name IN ('reconcile', 'retention') AND until > clock_timestamp()";
    ensure!(
        database.query(held, &[]).await?.is_empty(),
        "a stopped worker releases its leases"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_go_on_by_themselves_when_their_queue_was_deleted() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let environment = declaring(&scene).await?;
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let load = Load {
        devices: 5,
        events: 100,
    };
    let bus = scene.bus().await?;
    let mut sent = load.publish(&*bus).await?;
    let workers = [scene.worker(&environment)?, scene.worker(&environment)?];
    // A worker that begins to consume a queue that is not there ends.
    for worker in &workers {
        started(worker).await?;
    }
    scene.oracle().processed(&sent).await?;
    delete_and_wait(&scene, "lockstep.lane.events").await?;
    for event in load.updates() {
        sent.insert(event.identity.clone(), flags(&event));
        bus.publish(vec![outgoing(&event)]).await?;
    }
    scene.oracle().processed(&sent).await?;
    for worker in workers {
        worker.stop().await?;
    }
    scene.oracle().check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requeued_dead_letter_in_a_deleted_queue_is_published_again_and_processed_once() -> Result<()> {
    const QUEUE: &str = "lockstep.lane.events";
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let fleet = Load {
        devices: 1,
        events: 0,
    };
    // The message is dead-lettered before its device is known.
    let event = update(&hostname(0));
    let worker = scene.worker(&[])?;
    bus.publish(vec![outgoing(&event)]).await?;
    scene.oracle().processed_at_least(1).await?;
    bus.publish(vec![outgoing(&fleet.fleet())]).await?;
    scene.oracle().processed_at_least(2).await?;
    worker.stop().await?;

    // The worker that processes the command does not consume the lane `events`.
    let environment = declaring(&scene).await?;
    let mut environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    environment.push(("LOCKSTEP__WORKER__LANES", "commands"));
    let commanded = scene.worker(&environment)?;
    started(&commanded).await?;
    let requeue = envelope(DeadLetterRequeueRequested {
        dead_letter: Some(dead_letter(&scene).await?.0),
        matching: None,
    });
    bus.publish(vec![outgoing(&requeue)]).await?;
    let vhost = &scene.servers()?.vhost;
    wait::until(
        "the first copy to be in the queue of its lane",
        PATIENCE,
        async || {
            let queue = vhost.queue(QUEUE).await;
            queue.is_ok_and(|queue| queue.is_some_and(|queue| queue.ready > 0))
        },
    )
    .await?;
    delete_and_wait(&scene, QUEUE).await?;
    ensure!(dead_letter(&scene).await?.1 == "requeued");

    let worker = scene.worker(&[])?;
    wait::until(
        "the dead letter to be processed",
        PATIENCE,
        async || match dead_letter(&scene).await {
            Ok((_, state)) if state == "processed" => Ok(()),
            Ok((_, state)) => Err(state),
            Err(error) => Err(format!("{error:#}")),
        },
    )
    .await?;
    // The other copies are delivered too and have no effect.
    commanded.stop().await?;
    wait::until("all copies to be acknowledged", PATIENCE, async || {
        let queues = vhost.queues().await.map_err(|error| format!("{error:#}"))?;
        let waits =
            |queue: &&Queue| queue.name != "lockstep.results" && queue.ready + queue.unacknowledged > 0;
        match queues.iter().find(waits) {
            None => Ok(()),
            Some(queue) => Err(format!("{queue:?}")),
        }
    })
    .await?;
    worker.stop().await?;
    let inbox = scene.oracle().records.inbox().await?;
    ensure!(inbox[&event.identity].state == "applied", "{inbox:?}");
    let devices = scene.oracle().records.devices().await?;
    let generations = devices[&hostname(0)];
    ensure!(
        generations.desired - generations.synced == 1,
        "the device was not flagged exactly once: {generations:?}"
    );
    Ok(())
}

/// Number and state of the only dead letter.
async fn dead_letter(scene: &Scene) -> Result<(u64, String)> {
    let dead_letters = scene.oracle().records.dead_letters().await?;
    let mut dead_letters = dead_letters.into_values();
    let dead_letter = dead_letters.next().context("there is no dead letter")?;
    ensure!(
        dead_letters.next().is_none(),
        "there is more than one dead letter"
    );
    Ok((u64::try_from(dead_letter.number)?, dead_letter.state))
}
