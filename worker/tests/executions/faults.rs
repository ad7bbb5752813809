//! Workers are killed, stopped and cut off from the store; messages are lost and come twice.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_bus::{Acknowledge, ConsumeOptions, Outgoing, Properties};
use lockstep_protocol::ExecutionState::{Failed, Successful};
use lockstep_protocol::topology::{Destination, Lane, Queue};
use lockstep_testbed::wait;

use crate::provider::Act;
use crate::scene::{PATIENCE, Scene, on_both, unlimited};
use crate::store::Ground;

on_both! {
    what_a_killed_worker_ran_is_repeated_or_interrupted,
    a_stale_worker_changes_nothing_when_its_lease_has_passed_on,
    the_store_is_away_for_a_while,
    messages_that_are_lost_are_published_again,
    each_message_twice_runs_each_element_once,
    a_worker_that_stops_hands_over_what_it_runs,
    unknown_internal_messages_are_postponed_and_others_are_dead_lettered,
    elements_of_a_provider_that_only_others_have_are_left_to_them,
}

async fn what_a_killed_worker_ran_is_repeated_or_interrupted(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 8).await?;
    for number in 0..8 {
        scene.script.set(&format!("sw{number}"), Act::Hang);
    }
    let first = scene.worker()?;
    scene.save_tasks().await?;
    let again = scene.run("repeatable", &[0, 1, 2, 3], unlimited()).await?;
    let once = scene.run("once", &[4, 5, 6, 7], unlimited()).await?;
    scene.running(8).await?;
    first.kill();
    for number in 0..8 {
        scene.script.set(&format!("sw{number}"), Act::Now);
    }
    let second = scene.worker()?;
    let row = scene.ended(again).await?;
    ensure!(row.state == Successful && row.counts.done == 4, "{row:?}");
    for element in scene.elements(again).await?.values() {
        ensure!(element.attempts == 2, "{element:?}");
    }
    let row = scene.ended(once).await?;
    ensure!(row.state == Failed && row.counts.failed == 4, "{row:?}");
    for element in scene.elements(once).await?.values() {
        ensure!(
            element.reason.as_deref() == Some("interrupted") && element.attempts == 1,
            "{element:?}"
        );
    }
    ensure!(scene.script.begun_in_all() == 12);
    second.stop().await
}

async fn a_stale_worker_changes_nothing_when_its_lease_has_passed_on(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 1).await?;
    scene.script.set("sw0", Act::Gate);
    let mut options = scene.options.clone();
    // It does not notice: as a process that was suspended.
    options.stop_grace = Duration::from_mins(1);
    let stale = scene.worker_with(options)?;
    scene.save_tasks().await?;
    let id = scene.run("repeatable", &[0], unlimited()).await?;
    scene.running(1).await?;
    stale.faults.renewals.store(true, Ordering::SeqCst);
    stale.faults.store.store(true, Ordering::SeqCst);
    scene.script.set("sw0", Act::Fail);
    let second = scene.worker()?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Failed, "{row:?}");
    // It wakes up, and says that it was done.
    stale.faults.store.store(false, Ordering::SeqCst);
    scene.script.gate.notify_one();
    scene.running(0).await?;
    stale.stop().await?;
    let element = &scene.elements(id).await?["sw0"];
    ensure!(
        element.attempts == 2 && element.reason.as_deref() == Some("refused"),
        "{element:?}"
    );
    ensure!(scene.execution(id).await? == row);
    second.stop().await?;
    scene.ended(id).await?;
    Ok(())
}

async fn the_store_is_away_for_a_while(ground: Ground) -> Result<()> {
    let mut scene = Scene::new(ground, 30).await?;
    scene.options.lease_time = Duration::from_secs(6);
    for number in 0..30 {
        scene.script.set(&format!("sw{number}"), Act::Gate);
    }
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let id = scene
        .run("once", &(0..30).collect::<Vec<_>>(), unlimited())
        .await?;
    scene.running(30).await?;
    worker.faults.store.store(true, Ordering::SeqCst);
    scene.script.gate.notify_waiters();
    scene.running(0).await?;
    let moment = tokio::time::timeout(Duration::from_millis(300), scene.ended(id)).await;
    ensure!(moment.is_err(), "it cannot end without the store");
    worker.faults.store.store(false, Ordering::SeqCst);
    let row = scene.ended(id).await?;
    ensure!(
        row.state == Successful && row.counts.done == 30,
        "no end is lost: {row:?}"
    );
    worker.stop().await
}

async fn messages_that_are_lost_are_published_again(ground: Ground) -> Result<()> {
    let mut scene = Scene::new(ground, 40).await?;
    scene.options.overdue_after = Duration::from_millis(500);
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    worker.stop().await?;
    // Somebody takes the messages about elements and does nothing.
    let options = ConsumeOptions {
        prefetch: 1000,
        acknowledge: Acknowledge::Each,
    };
    let mut thief = scene.bus.consume(Queue::Lane(Lane::Devices), options).await?;
    let worker = scene.worker_in(vec![Lane::Executions])?;
    let id = scene
        .run("repeatable", &(0..40).collect::<Vec<_>>(), unlimited())
        .await?;
    let mut stolen = 0;
    while stolen < 40 {
        let batch = thief.take(100).await.context("the bus was closed")?;
        stolen += batch.deliveries.len();
        batch.receipt.ack().await;
    }
    thief.close().await;
    worker.stop().await?;
    let worker = scene.worker()?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful && row.counts.done == 40, "{row:?}");
    ensure!(scene.script.begun_in_all() == 40, "each once");
    worker.stop().await
}

async fn each_message_twice_runs_each_element_once(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 50).await?;
    let worker = scene.worker_in(vec![Lane::Executions])?;
    scene.save_tasks().await?;
    let id = scene
        .run("once", &(0..50).collect::<Vec<_>>(), unlimited())
        .await?;
    let options = ConsumeOptions {
        prefetch: 1000,
        acknowledge: Acknowledge::Each,
    };
    let mut consumer = scene.bus.consume(Queue::Lane(Lane::Devices), options).await?;
    let mut taken = Vec::new();
    while taken.len() < 50 {
        let batch = consumer.take(100).await.context("the bus was closed")?;
        taken.extend(batch.deliveries.iter().map(|delivery| Outgoing {
            destination: Destination::Lane(Lane::Devices),
            properties: Properties {
                user_id: None,
                ..delivery.properties.clone()
            },
            body: delivery.body.clone(),
        }));
        batch.receipt.ack().await;
    }
    consumer.close().await;
    worker.stop().await?;
    for _ in 0..2 {
        scene.bus.publish(taken.clone()).await?;
    }
    let (first, second) = (scene.worker()?, scene.worker()?);
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful && row.counts.done == 50, "{row:?}");
    // Those that come after the end.
    scene.bus.publish(taken).await?;
    wait::until("that all messages are taken", PATIENCE, async || {
        let queues = scene.bus.queues(&[Lane::Devices.queue()]).await;
        queues.is_ok_and(|queues| queues[0].is_some_and(|queue| queue.messages == 0))
    })
    .await?;
    ensure!(
        scene.script.begun_in_all() == 50,
        "each once: {}",
        scene.script.begun_in_all()
    );
    first.stop().await?;
    second.stop().await
}

async fn a_worker_that_stops_hands_over_what_it_runs(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 6).await?;
    for number in 0..6 {
        scene.script.set(&format!("sw{number}"), Act::Wait);
    }
    let first = scene.worker()?;
    scene.save_tasks().await?;
    let again = scene.run("repeatable", &[0, 1, 2], unlimited()).await?;
    let once = scene.run("once", &[3, 4, 5], unlimited()).await?;
    scene.running(6).await?;
    first.stop().await?;
    for number in 0..6 {
        scene.script.set(&format!("sw{number}"), Act::Now);
    }
    let second = scene.worker()?;
    let row = scene.ended(again).await?;
    ensure!(row.state == Successful && row.counts.done == 3, "{row:?}");
    let row = scene.ended(once).await?;
    for element in scene.elements(once).await?.values() {
        ensure!(
            element.reason.as_deref() == Some("interrupted"),
            "{row:?} {element:?}"
        );
    }
    second.stop().await
}

async fn unknown_internal_messages_are_postponed_and_others_are_dead_lettered(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 1).await?;
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let raw = |body: &str| Outgoing {
        destination: Destination::Lane(Lane::Devices),
        properties: Properties::default(),
        body: body.to_owned().into(),
    };
    let newer = r#"{"specversion":"1.0","id":"1","source":"urn:lockstep:worker","type":"lockstep.internal.element.newer","data":{}}"#;
    scene.bus.publish(vec![raw(newer), raw("no JSON")]).await?;
    let rejected = wait::until("the dead letter", PATIENCE, async || scene.rejections().pop()).await?;
    ensure!(rejected.code.as_str() == "invalid-json", "{rejected:?}");
    // The lane goes on.
    let id = scene.run("repeatable", &[0], unlimited()).await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful, "{row:?}");
    ensure!(scene.rejections().len() == 1, "{:?}", scene.rejections());
    worker.stop().await
}

async fn elements_of_a_provider_that_only_others_have_are_left_to_them(ground: Ground) -> Result<()> {
    let mut scene = Scene::new(ground, 4).await?;
    scene.options.overdue_after = Duration::from_millis(300);
    let both = scene.worker()?;
    scene.save_tasks().await?;
    both.stop().await?;
    let older = scene.worker_without_providers()?;
    let taker = scene.worker_in(vec![Lane::Executions])?;
    let id = scene.run("repeatable", &[0, 1, 2, 3], unlimited()).await?;
    let moment = tokio::time::timeout(Duration::from_secs(1), scene.begun(1)).await;
    ensure!(moment.is_err(), "nobody can run it");
    let newer = scene.worker()?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful && row.counts.done == 4, "{row:?}");
    for worker in [older, taker, newer] {
        worker.stop().await?;
    }
    Ok(())
}
