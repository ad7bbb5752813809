//! What is lost on the way comes back, by one worker of all.

use anyhow::{Result, ensure};
use lockstep_testbed::wait;
use rustix::process::Signal;

use crate::system::load::{flags, outgoing};
use crate::system::{Ground, Load, PATIENCE, Process, Scene};

/// What makes a worker declare the broker's objects, and reconcile every second. The ladder is made anew, with its real
/// times: a worker knows no others.
pub(crate) async fn declaring(scene: &Scene) -> Result<Vec<(String, String)>> {
    let servers = scene.servers()?;
    for rung in ["5s", "30s", "2m", "10m"] {
        let queue = format!("lockstep.delay.{rung}");
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
    wait::until("the queue to be gone", PATIENCE, async || {
        vhost.queue(queue).await.is_ok_and(|found| found.is_none())
    })
    .await?;
    Ok(())
}

/// Deletes a queue with what is in it, and waits until it is there again.
pub(crate) async fn delete_and_wait(scene: &Scene, queue: &str) -> Result<()> {
    let vhost = &scene.servers()?.vhost;
    vhost.delete_queue(queue).await?;
    gone(scene, queue).await?;
    wait::until("the queue to be back", PATIENCE, async || {
        match vhost.queue(queue).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("it is not there".to_owned()),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .await?;
    Ok(())
}

/// Waits until it works: what a worker declares at its start is declared by then.
pub(crate) async fn started(process: &Process) -> Result<()> {
    wait::until("the worker to start", PATIENCE, async || {
        process.log().is_ok_and(|log| log.contains("worker started"))
    })
    .await?;
    Ok(())
}

/// Waits until this is the newest fence of the rounds, under a lease that is held.
async fn fence(scene: &Scene, expected: i64) -> Result<()> {
    let database = scene.servers()?.schema.connect().await?;
    wait::until("somebody to do the rounds", PATIENCE, async || {
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
    ensure!(second.log()?.contains("repaired"), "{}", second.log()?);
    second.stop().await?;

    let database = scene.servers()?.schema.connect().await?;
    let held = "SELECT FROM lease WHERE name IN ('reconcile', 'retention') AND until > clock_timestamp()";
    ensure!(
        database.query(held, &[]).await?.is_empty(),
        "what is stopped gives its leases back"
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
    scene.oracle().worked(&sent).await?;
    delete_and_wait(&scene, "lockstep.lane.events").await?;
    for event in load.updates() {
        sent.insert(event.identity.clone(), flags(&event));
        bus.publish(vec![outgoing(&event)]).await?;
    }
    scene.oracle().worked(&sent).await?;
    for worker in workers {
        worker.stop().await?;
    }
    scene.oracle().judge(&sent, &*bus).await
}
