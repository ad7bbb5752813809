//! Requeued dead letters are processed once per redrive count, however often and by whomever they are requeued.

use anyhow::{Result, ensure};

use super::{dead_letter, ended, publish, requeue, settled};
use crate::system::load::{flags, hostname, update};
use crate::system::{Expected, Ground, Load, Scene, Sent};

const LOAD: Load = Load {
    devices: 3,
    events: 0,
};

#[tokio::test(flavor = "multi_thread")]
async fn requeued_twice_and_again_after_it_failed_again() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let worker = scene.worker(&[])?;
    let oracle = scene.oracle();
    let mut sent = Sent::new();
    let event = update(&hostname(1));
    publish(&*bus, &event).await?;
    ensure!(
        ended(&oracle, &event.identity, 0).await? == "dead",
        "the device is unknown"
    );

    // Two operators at once, and one of their commands is delivered twice.
    let first = dead_letter(&oracle, &event.identity, 0).await?;
    let commands = [requeue(first)?, requeue(first)?];
    for command in [&commands[0], &commands[1], &commands[0]] {
        publish(&*bus, command).await?;
    }
    let one = settled(&oracle, &commands[0].identity).await?;
    let other = settled(&oracle, &commands[1].identity).await?;
    ensure!(
        one != other && [one, other].contains(&(1, 0)) && [one, other].contains(&(0, 1)),
        "{one:?} {other:?}"
    );
    ensure!(
        ended(&oracle, &event.identity, 1).await? == "dead",
        "the device is still unknown"
    );

    // The device is imported, and the second dead letter is requeued. The first one is processed already.
    let fleet = LOAD.fleet();
    publish(&*bus, &fleet).await?;
    ensure!(ended(&oracle, &fleet.identity, 0).await? == "applied");
    let second = dead_letter(&oracle, &event.identity, 1).await?;
    let late = requeue(first)?;
    let right = requeue(second)?;
    let again = requeue(second)?;
    publish(&*bus, &late).await?;
    ensure!(settled(&oracle, &late.identity).await? == (0, 1));
    publish(&*bus, &right).await?;
    ensure!(settled(&oracle, &right.identity).await? == (1, 0));
    ensure!(ended(&oracle, &event.identity, 2).await? == "applied");
    publish(&*bus, &again).await?;
    ensure!(settled(&oracle, &again.identity).await? == (0, 1));
    // The producer publishes the original message once more.
    publish(&*bus, &event).await?;
    worker.stop().await?;

    let states: Vec<String> = oracle
        .records
        .dead_letters()
        .await?
        .into_values()
        .map(|dead_letter| dead_letter.state)
        .collect();
    ensure!(states == ["processed", "processed"], "{states:?}");
    sent.insert(event.identity.clone(), flags(&event));
    sent.insert(fleet.identity.clone(), Expected::Applied { flags: None });
    for command in commands.iter().chain([&late, &right, &again]) {
        sent.insert(command.identity.clone(), Expected::Applied { flags: None });
    }
    oracle.check(&sent, &*bus).await
}
