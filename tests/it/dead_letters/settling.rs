//! Requeue and drop, from the death of a message to what became of it.

use anyhow::{Context, Result, ensure};
use lockstep_testbed::wait;
use serde_json::Value;

use super::Operator;
use crate::system::{Ground, PATIENCE};

impl Operator {
    /// Publishes an event about a device, and says what came of it.
    async fn update(&self, hostname: &str, id: &str, code: i32) -> Result<()> {
        let data = format!(
            r#"{{"hostname":"{hostname}","kind":"configuration","interfaces":[{{"name":"Ethernet1"}}]}}"#
        );
        let publish = format!(
            "publish lockstep.interface.updated --subject {hostname} --id {id} --source urn:test --wait --data {data}"
        );
        self.gets(&publish, code).await?;
        Ok(())
    }

    async fn import(&self, hostname: &str) -> Result<()> {
        let entry = format!("- {{hostname: {hostname}, device_type: ACCESS, synchronized: true}}\n");
        std::fs::write(self.scene.folder().join("fleet.yml"), entry)?;
        self.gets("devices import fleet.yml", 0).await?;
        Ok(())
    }

    /// Waits until a dead letter is in this state, and gives it.
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

    /// How often a device was flagged.
    async fn flags(&self, hostname: &str) -> Result<i64> {
        let devices = self.scene.oracle().records.devices().await?;
        let generations = devices.get(&hostname.parse()?).context("the device")?;
        Ok(generations.desired - generations.synced)
    }

    /// The only dead letter that nobody settled yet.
    async fn the_only(&self) -> Result<(u64, Value)> {
        let mut dead = self.dead().await?;
        ensure!(dead.len() == 1, "{dead:?}");
        let dead_letter = dead.remove(0);
        Ok((dead_letter["number"].as_u64().context("a number")?, dead_letter))
    }
}

/// An unknown device dies, is imported, and its event is worked after all: once.
async fn a_requeued_dead_letter_is_worked_once(ground: Ground) -> Result<()> {
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
    let shown = operator.gets(&format!("dead show {number}"), 0).await?.stdout;
    ensure!(shown.contains("\"hostname\": \"sw9\""), "{shown}");

    operator.import("sw9").await?;
    let said = operator.gets(&format!("dead requeue {number}"), 0).await?;
    ensure!(
        said.stdout.starts_with(&format!("requeued {number} (")),
        "{said:?}"
    );
    let processed = operator.becomes(number, "processed").await?;
    let by = match ground {
        Ground::Servers => "alice",
        Ground::Embedded => "local",
    };
    ensure!(processed["settled_by"] == by, "{processed}");
    ensure!(operator.dead().await?.is_empty());
    ensure!(operator.flags("sw9").await? == 1);
    let shown = operator.gets(&format!("dead show {number}"), 0).await?.stdout;
    ensure!(
        shown.contains("ended         applied; 1 sync flag changed"),
        "{shown}"
    );

    let again = operator.gets(&format!("dead requeue {number}"), 0).await?;
    let expected = format!("dead letter {number} was requeued before by {by}");
    ensure!(again.stdout.starts_with(&expected), "{again:?}");
    let dropped = operator.gets(&format!("dead drop {number}"), 0).await?;
    ensure!(dropped.stdout.starts_with(&expected), "{dropped:?}");
    // What is worked next was published after it: nothing of a second requeue is under way before that.
    operator.update("sw9", "e2", 0).await?;
    ensure!(operator.flags("sw9").await? == 2);
    operator.end().await
}

/// Nothing was mended: it dies again, as another dead letter, which is dropped.
async fn what_dies_again_is_a_new_dead_letter_with_the_next_redrive_count(ground: Ground) -> Result<()> {
    let operator = Operator::on(ground).await?;
    operator.update("sw9", "e1", 1).await?;
    let (first, _) = operator.the_only().await?;
    operator.gets(&format!("dead requeue {first}"), 0).await?;
    operator.becomes(first, "processed").await?;
    let (second, dead_letter) = operator.the_only().await?;
    ensure!(
        second > first && dead_letter["redrive_count"] == 1 && dead_letter["id"] == "e1",
        "{dead_letter}"
    );
    let shown = operator.gets(&format!("dead show {first}"), 0).await?.stdout;
    ensure!(
        shown.contains("ended         dead again: unknown-device"),
        "{shown}"
    );

    // The second of these is not there, the others are done nevertheless.
    let said = operator
        .gets(&format!("dead drop {second} 4711 {first}"), 1)
        .await?;
    ensure!(
        said.stdout.starts_with(&format!("dropped {second} (")),
        "{said:?}"
    );
    ensure!(
        said.stdout
            .contains(&format!("dead letter {first} was requeued before")),
        "{said:?}"
    );
    ensure!(
        said.stderr.contains("no dead letter has the number \"4711\""),
        "{said:?}"
    );
    ensure!(operator.dead().await?.is_empty(), "the typo is no dead letter");
    operator.becomes(second, "dropped").await?;
    let late = operator.gets(&format!("dead requeue {second}"), 0).await?;
    ensure!(late.stdout.contains("was dropped before"), "{late:?}");
    operator.end().await
}

/// All of one kind, and then all.
async fn all_that_match_are_settled_and_no_others(ground: Ground) -> Result<()> {
    let operator = Operator::on(ground).await?;
    for (id, hostname) in [("e1", "sw7"), ("e2", "sw8"), ("e3", "sw9")] {
        operator.update(hostname, id, 1).await?;
    }
    operator
        .gets(
            "publish lockstep.device.removed --wait --data {\"hostname\":\"sw9\"}",
            1,
        )
        .await?;
    for hostname in ["sw7", "sw8"] {
        operator.import(hostname).await?;
    }
    operator
        .gets("dead requeue --all --code unknown-device", 2)
        .await?;
    ensure!(operator.dead().await?.len() == 4, "it asks first");

    let requeued = operator
        .gets("dead requeue --all --code unknown-device --yes --json", 0)
        .await?;
    let report: Value = serde_json::from_str(&requeued.stdout)?;
    ensure!(report["settled"] == 3 && report["failed"] == 0, "{report}");
    for expected in [
        "3 dead letters, to be processed again",
        "lockstep.interface.updated",
    ] {
        ensure!(requeued.stderr.contains(expected), "{requeued:?}");
    }
    let others = operator.json("dead list --code not-supported").await?;
    ensure!(
        others.as_array().is_some_and(|others| others.len() == 1),
        "{others}"
    );
    wait::until("all three to be worked", PATIENCE, async || {
        match operator.json("dead list --state worked").await {
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

    let dropped = operator.gets("dead drop --all --yes", 0).await?;
    ensure!(dropped.stdout == "dropped 2 dead letters\n", "{dropped:?}");
    ensure!(operator.dead().await?.is_empty());
    let none = operator.gets("dead requeue --all --yes", 0).await?;
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
    a_requeued_dead_letter_is_worked_once:
        a_requeued_dead_letter_is_worked_once_on_servers, a_requeued_dead_letter_is_worked_once_embedded;
    what_dies_again_is_a_new_dead_letter_with_the_next_redrive_count:
        what_dies_again_is_a_new_dead_letter_on_servers, what_dies_again_is_a_new_dead_letter_embedded;
    all_that_match_are_settled_and_no_others:
        all_that_match_are_settled_on_servers, all_that_match_are_settled_embedded;
}
