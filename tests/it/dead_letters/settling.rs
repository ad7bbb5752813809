//! Requeues and drops dead letters, from the failure of a message to the outcome of its requeue.

use anyhow::{Context, Result, ensure};
use lockstep_testbed::wait;
use serde_json::Value;

use super::Operator;
use crate::system::{Ground, PATIENCE};

impl Operator {
    /// Publishes an event about a device and returns its outcome.
    async fn update(&self, hostname: &str, id: &str, code: i32) -> Result<()> {
        let data = format!(
            r#"{{"hostname":"{hostname}","kind":"configuration","interfaces":[{{"name":"Ethernet1"}}]}}"#
        );
        let publish = format!(
            "publish lockstep.interface.updated --subject {hostname} --id {id} --source urn:test --wait --data {data}"
        );
        self.expect_exit(&publish, code).await?;
        Ok(())
    }

    async fn import(&self, hostname: &str) -> Result<()> {
        let entry = format!("- {{hostname: {hostname}, device_type: ACCESS, synchronized: true}}\n");
        std::fs::write(self.scene.folder().join("fleet.yml"), entry)?;
        self.expect_exit("devices import fleet.yml", 0).await?;
        Ok(())
    }

    /// Waits until a dead letter is in this state, and returns it.
    async fn becomes(&self, number: u64, state: &str) -> Result<Value> {
        let dead_letter = wait::until("the dead letter to change", PATIENCE, async || {
            match self.json(&format!("dead show {number}")).await {
                Ok(dead_letter) if dead_letter["state"] == state => Ok(dead_letter),
                Ok(dead_letter) => Err(dead_letter.to_string()),
                Err(error) => Err(format!("{error:#}")),
            }
        });
        Ok(dead_letter.await?)
    }

    /// Number of times a device was flagged.
    async fn flags(&self, hostname: &str) -> Result<i64> {
        let devices = self.scene.oracle().records.devices().await?;
        let generations = devices.get(&hostname.parse()?).context("the device")?;
        Ok(generations.desired - generations.synced)
    }

    /// The only unsettled dead letter.
    async fn the_only(&self) -> Result<(u64, Value)> {
        let mut dead = self.dead().await?;
        ensure!(dead.len() == 1, "{dead:?}");
        let dead_letter = dead.remove(0);
        Ok((dead_letter["number"].as_u64().context("a number")?, dead_letter))
    }
}

/// An event about an unknown device is dead-lettered; after an import and a requeue it is applied once.
async fn a_requeued_dead_letter_is_processed_once(ground: Ground) -> Result<()> {
    let operator = Operator::on(ground).await?;
    operator.update("sw9", "e1", 1).await?;
    let (number, dead_letter) = operator.the_only().await?;
    for (key, expected) in [
        ("code", "unknown-device"),
        ("lane", "events"),
        ("type", "lockstep.interface.updated"),
        ("subject", "sw9"),
        ("source", "urn:test"),
        ("id", "e1"),
        ("place", "$.data.hostname"),
    ] {
        ensure!(dead_letter[key] == expected, "{key}: {dead_letter}");
    }
    ensure!(dead_letter["redrive_count"] == 0, "{dead_letter}");
    ensure!(
        dead_letter["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("sw9")),
        "{dead_letter}"
    );
    let shown = operator
        .expect_exit(&format!("dead show {number}"), 0)
        .await?
        .stdout;
    ensure!(shown.contains("\"hostname\": \"sw9\""), "{shown}");

    operator.import("sw9").await?;
    let output = operator.expect_exit(&format!("dead requeue {number}"), 0).await?;
    ensure!(
        output.stdout.starts_with(&format!("requeued {number} (")),
        "{output:?}"
    );
    let processed = operator.becomes(number, "processed").await?;
    let by = match ground {
        Ground::Servers => "alice",
        Ground::Embedded => "local",
    };
    ensure!(processed["settled_by"] == by, "{processed}");
    ensure!(operator.dead().await?.is_empty());
    ensure!(operator.flags("sw9").await? == 1);
    let shown = operator
        .expect_exit(&format!("dead show {number}"), 0)
        .await?
        .stdout;
    ensure!(
        shown.contains("ended         applied; 1 sync flag changed"),
        "{shown}"
    );

    let again = operator.expect_exit(&format!("dead requeue {number}"), 0).await?;
    let expected = format!("dead letter {number} was requeued before by {by}");
    ensure!(again.stdout.starts_with(&expected), "{again:?}");
    let dropped = operator.expect_exit(&format!("dead drop {number}"), 0).await?;
    ensure!(dropped.stdout.starts_with(&expected), "{dropped:?}");
    // The next event was published after the second requeue: once it is applied, no copy of that requeue is in flight.
    operator.update("sw9", "e2", 0).await?;
    ensure!(operator.flags("sw9").await? == 2);
    operator.end().await
}

/// Nothing was fixed: the requeued message fails again, and its new dead letter is dropped.
async fn a_message_that_fails_again_is_a_new_dead_letter_with_the_next_redrive_count(
    ground: Ground,
) -> Result<()> {
    let operator = Operator::on(ground).await?;
    operator.update("sw9", "e1", 1).await?;
    let (first, _) = operator.the_only().await?;
    operator.expect_exit(&format!("dead requeue {first}"), 0).await?;
    operator.becomes(first, "processed").await?;
    let (second, dead_letter) = operator.the_only().await?;
    ensure!(
        second > first && dead_letter["redrive_count"] == 1 && dead_letter["id"] == "e1",
        "{dead_letter}"
    );
    let shown = operator
        .expect_exit(&format!("dead show {first}"), 0)
        .await?
        .stdout;
    ensure!(
        shown.contains("ended         dead again: unknown-device"),
        "{shown}"
    );

    // The second number does not exist; the others are settled nevertheless.
    let output = operator
        .expect_exit(&format!("dead drop {second} 4711 {first}"), 1)
        .await?;
    ensure!(
        output.stdout.starts_with(&format!("dropped {second} (")),
        "{output:?}"
    );
    ensure!(
        output
            .stdout
            .contains(&format!("dead letter {first} was requeued before")),
        "{output:?}"
    );
    ensure!(
        output.stderr.contains("no dead letter has the number \"4711\""),
        "{output:?}"
    );
    ensure!(
        operator.dead().await?.is_empty(),
        "all but the unknown number are settled"
    );
    operator.becomes(second, "dropped").await?;
    let late = operator.expect_exit(&format!("dead requeue {second}"), 0).await?;
    ensure!(late.stdout.contains("was dropped before"), "{late:?}");
    operator.end().await
}

/// Settles all dead letters of one code, then all others.
async fn all_that_match_are_settled_and_no_others(ground: Ground) -> Result<()> {
    let operator = Operator::on(ground).await?;
    for (id, hostname) in [("e1", "sw7"), ("e2", "sw8"), ("e3", "sw9")] {
        operator.update(hostname, id, 1).await?;
    }
    operator
        .expect_exit(
            "publish lockstep.mgmtdomain.changed --wait --data {\"action\":\"added\",\"device_a\":\"sw8\",\"device_b\":\"sw9\",\
             \"previous\":{\"device_a\":\"sw7\",\"device_b\":\"sw9\"}}",
            1,
        )
        .await?;
    for hostname in ["sw7", "sw8"] {
        operator.import(hostname).await?;
    }
    operator
        .expect_exit("dead requeue --all --code unknown-device", 2)
        .await?;
    ensure!(
        operator.dead().await?.len() == 4,
        "nothing is requeued without a confirmation"
    );

    let requeued = operator
        .expect_exit("dead requeue --all --code unknown-device --yes --json", 0)
        .await?;
    let report: Value = serde_json::from_str(&requeued.stdout)?;
    ensure!(report["settled"] == 3 && report["failed"] == 0, "{report}");
    for expected in [
        "3 dead letters, to be processed again",
        "lockstep.interface.updated",
    ] {
        ensure!(requeued.stderr.contains(expected), "{requeued:?}");
    }
    let others = operator.json("dead list --code invalid-data").await?;
    ensure!(
        others.as_array().is_some_and(|others| others.len() == 1),
        "{others}"
    );
    wait::until("all three to be processed", PATIENCE, async || {
        match operator.json("dead list --state processed").await {
            Ok(processed) if processed.as_array().is_some_and(|processed| processed.len() == 3) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    ensure!(operator.flags("sw7").await? == 1 && operator.flags("sw8").await? == 1);
    let dead = operator.dead().await?;
    let left: Vec<(&Value, &Value)> = dead
        .iter()
        .map(|dead_letter| (&dead_letter["code"], &dead_letter["redrive_count"]))
        .collect();
    ensure!(
        left.len() == 2 && left[0].0 == "unknown-device" && left[0].1 == 1,
        "{dead:?}"
    );

    let dropped = operator.expect_exit("dead drop --all --yes", 0).await?;
    ensure!(dropped.stdout == "dropped 2 dead letters\n", "{dropped:?}");
    ensure!(operator.dead().await?.is_empty());
    let none = operator.expect_exit("dead requeue --all --yes", 0).await?;
    ensure!(none.stderr.contains("no dead letter matches"), "{none:?}");
    operator.end().await
}

macro_rules! on_both_grounds {
    ($($name:ident: $servers:ident, $embedded:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $servers() -> Result<()> {
                $name(Ground::Servers).await
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn $embedded() -> Result<()> {
                $name(Ground::Embedded).await
            }
        )*
    };
}

on_both_grounds! {
    a_requeued_dead_letter_is_processed_once:
        a_requeued_dead_letter_is_processed_once_on_servers, a_requeued_dead_letter_is_processed_once_embedded;
    a_message_that_fails_again_is_a_new_dead_letter_with_the_next_redrive_count:
        a_message_that_fails_again_is_a_new_dead_letter_on_servers, a_message_that_fails_again_is_a_new_dead_letter_embedded;
    all_that_match_are_settled_and_no_others:
        all_that_match_are_settled_on_servers, all_that_match_are_settled_embedded;
}
