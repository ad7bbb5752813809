use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use jiff::SignedDuration;
use lockstep_clock::{Clock, SystemClock};
use lockstep_store::{CauseId, DeviceId, DeviceQuery, Effects, InboxRow, Keys, Link, StoreError};

use super::leases::{LONG, acquire};
use super::related::{end, linked};
use super::repositories::{Changed, change, fetched, settings};
use super::{Place, create_all, devices, hostname, key, keys, message, row, undo, unsynchronize, work};

/// The schema version of this program.
async fn known(place: &Place) -> Result<u32> {
    Ok(place.owners[0].migrate().await?.known)
}

async fn run(place: &Place, statements: &[&str]) -> Result<()> {
    for statement in statements {
        place
            .probe
            .texts(statement)
            .await
            .context(statement.to_string())?;
    }
    Ok(())
}

/// Changes the schema like a migration of a newer program: more columns and one more table.
async fn upgrade(place: &Place) -> Result<u32> {
    let version = known(place).await? + 1;
    let note = format!(
        "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
         VALUES ({version}, 'newer', '2026-01-02T03:04:05Z', '7')"
    );
    let statements = [
        "ALTER TABLE inbox ADD COLUMN newer text",
        "ALTER TABLE device ADD COLUMN newer integer NOT NULL DEFAULT 7",
        "CREATE TABLE newer (id integer PRIMARY KEY)",
        note.as_str(),
    ];
    run(place, &statements).await?;
    Ok(version)
}

fn tells<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(
        answer,
        Err(StoreError::SchemaVersion {
            found: 0,
            needed: 1..
        })
    )
}

pub(crate) async fn a_store_without_schema_says_so(place: &Place) -> Result<()> {
    place.store.ping().await?;
    place.probe.texts("DROP TABLE refinery_schema_history").await?;
    ensure!(tells(&place.store.ping().await));
    // The store has no session yet.
    let fresh = &place.other;
    ensure!(tells(&fresh.ping().await));
    ensure!(tells(&fresh.begin(&[], &Keys::default()).await));
    ensure!(tells(&fresh.outcome(&key("1")).await));
    ensure!(tells(&fresh.device(&hostname("sw1")).await));
    let any = DeviceQuery {
        limit: 1,
        ..DeviceQuery::default()
    };
    ensure!(tells(&fresh.devices(&any).await));
    ensure!(tells(&fresh.groups_of(&[DeviceId(1)]).await));
    ensure!(tells(&fresh.causes(&[CauseId(1)]).await));
    ensure!(tells(&fresh.acquire("repository/settings", LONG).await));
    ensure!(tells(&fresh.repositories().await));
    ensure!(tells(&fresh.listing(&settings()).await));
    Ok(())
}

/// The database of the tests runs on this machine.
pub(crate) async fn the_clock_is_that_of_this_machine(place: &Place) -> Result<()> {
    let before = SystemClock.now();
    let theirs = place.store.now().await?;
    let after = SystemClock.now();
    // SQLite counts milliseconds.
    let slack = SignedDuration::from_millis(1);
    ensure!(
        before - slack <= theirs && theirs <= after + slack,
        "{before} {theirs} {after}"
    );
    Ok(())
}

pub(crate) async fn eight_migrations_at_once_apply_once(place: &Place) -> Result<()> {
    let first = [
        "DROP TABLE schema_compatibility",
        "DROP TABLE delivery_attempt",
        "DROP TABLE follow_up",
        "DROP TABLE dead_letter",
        "DROP TABLE lease",
        "DROP TABLE repository",
        "DROP TABLE repository_failure",
        "DROP TABLE inventory_source",
        "DROP TABLE group_rule_device",
        "DROP TABLE group_rules",
        "DROP TABLE former_hostname",
        "DROP TABLE device_history",
        "DROP TABLE group_member",
        "DROP TABLE linknet",
        "DROP TABLE client",
        "DROP TABLE interface",
        "DROP TABLE device_group",
        "DROP TABLE device",
        "DROP TABLE cause",
        "DROP TABLE inbox",
        "DROP TABLE refinery_schema_history",
    ];
    run(place, undo::AUDIT_DECISIONS).await?;
    run(place, undo::OIDC).await?;
    run(place, undo::FLEET_SAMPLES).await?;
    run(place, undo::TRACES).await?;
    run(place, undo::ACCESS).await?;
    run(place, undo::TASK_FORMS).await?;
    run(place, undo::SYNC).await?;
    run(place, undo::RUN_CYCLE).await?;
    run(place, undo::EXECUTIONS).await?;
    // Only one of the stores has these.
    run(place, &["DROP TABLE broad_cause"]).await.ok();
    run(place, &first).await?;
    run(place, &["DROP SEQUENCE cause_block"]).await.ok();
    let stores = (0..8).map(|n| &place.owners[n % 2]);
    let migrated = try_join_all(stores.map(|store| store.migrate())).await?;
    let applied: Vec<&String> = migrated.iter().flat_map(|migrated| &migrated.applied).collect();
    ensure!(
        applied.len() == place.probe.undo().len() + 1,
        "each migration must be applied once: {applied:?}"
    );
    ensure!(applied.first().is_some_and(|name| *name == "V1__schema"));
    ensure!(migrated.iter().all(|migrated| migrated.version == migrated.known));
    place.store.ping().await?;
    Ok(())
}

/// Starts from a store of each earlier version, with a fleet and messages in it.
pub(crate) async fn each_version_keeps_what_the_one_before_had(place: &Place) -> Result<()> {
    let known = known(place).await?;
    let applied = "SELECT CAST(version AS text) FROM refinery_schema_history";
    ensure!(
        place.probe.texts(applied).await?.len() == place.probe.undo().len() + 1,
        "a migration was added: add the statements that undo it"
    );
    create_all(place, &["sw1", "sw2"]).await?;
    let link = Link::between(end("sw1", "Ethernet1"), end("sw2", "Ethernet1"));
    let flagged = Effects {
        devices: vec![unsynchronize("sw1")],
        ..linked(&link, true, None)
    };
    work(place, &keys("2", ["sw1", "sw2"]), flagged).await?;
    // A message of a sender that the broker did not validate.
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    let anonymous = InboxRow {
        actor: None,
        ..row(message("4"))
    };
    facts.record(anonymous.clone());
    transaction.commit(&facts).await?;
    let mut before = (
        place.store.devices(&all()).await?,
        place.store.outcome(&key("2")).await?,
    );
    // Nobody knows since when a device is in the state that an earlier version moved it to.
    for device in &mut before.0 {
        ensure!(device.lifecycle.since.take().is_some(), "{device:?}");
    }
    let versions = place.probe.undo().iter().map(|(version, _)| *version);
    let earlier = versions.skip(1).chain([1]);
    for ((version, statements), earlier) in place.probe.undo().iter().zip(earlier) {
        run(place, statements).await?;
        let forget = format!("DELETE FROM refinery_schema_history WHERE version = {version}");
        run(place, &[&forget]).await?;
        let old = place.other.ping().await;
        ensure!(
            matches!(old, Err(StoreError::SchemaVersion { found, needed })
                if found == earlier && needed == known),
            "{old:?}"
        );
    }
    let migrated = place.owners[1].migrate().await?;
    ensure!(
        migrated.applied.len() == place.probe.undo().len() && migrated.version == known,
        "{migrated:?}"
    );
    let after = (
        place.other.devices(&all()).await?,
        place.other.outcome(&key("2")).await?,
    );
    ensure!(after == before, "{after:?}");
    ensure!(place.other.outcome(&anonymous.key()).await? == Some(anonymous));
    let asked = Keys {
        links_of: [hostname("sw2")].into(),
        ..Keys::default()
    };
    let (facts, transaction) = place.store.begin(&[], &asked).await?;
    drop(transaction);
    ensure!(
        facts.has_link(&link),
        "an earlier version had existing links only"
    );
    // A program of version 9 does not know that elements wait for the end of an execution, so it refuses.
    let oldest = "SELECT CAST(oldest AS text) FROM schema_compatibility";
    ensure!(place.probe.texts(oldest).await? == ["12"]);
    let lease = acquire(place, LONG).await?;
    ensure!(change(&*place.store, &fetched(&lease, 0)).await? == Changed::Committed);
    work(place, &keys("3", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    Ok(())
}

/// Rolling upgrade: the new workers migrate, and the old ones go on until they are replaced.
pub(crate) async fn a_newer_schema_with_only_additions_is_accepted(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let version = upgrade(place).await?;
    // One store that was connected before, and one that connects now.
    for (store, id) in [(&place.store, "2"), (&place.other, "3")] {
        store.ping().await?;
        let (mut facts, transaction) = store.begin(&[], &keys(id, ["sw1"])).await?;
        super::absorb(&mut facts, id, devices([unsynchronize("sw1")]));
        transaction.commit(&facts).await?;
        ensure!(store.outcome(&key(id)).await?.is_some());
    }
    let device = place.other.device(&hostname("sw1")).await?.context("sw1")?;
    ensure!(device.sync.desired == 3, "{device:?}");
    let lease = acquire(place, LONG).await?;
    ensure!(change(&*place.store, &fetched(&lease, 0)).await? == Changed::Committed);

    let migrated = place.other.migrate().await?;
    ensure!(
        migrated.version == version && migrated.known + 1 == version && migrated.applied.is_empty(),
        "{migrated:?}"
    );
    let there = place
        .probe
        .texts("SELECT 'it is' FROM newer WHERE id = 7")
        .await?;
    ensure!(there.is_empty(), "the older program must not change the schema");
    Ok(())
}

pub(crate) async fn a_newer_schema_with_removals_is_refused(place: &Place) -> Result<()> {
    let version = upgrade(place).await?;
    let needs = format!("UPDATE schema_compatibility SET oldest = {version}");
    run(place, &[&needs]).await?;
    let refused = |answer: &Result<(), StoreError>, said: Option<u32>| {
        matches!(answer, Err(StoreError::SchemaTooNew { found, oldest, known })
            if *found == version && *oldest == said && known + 1 == version)
    };
    for said in [Some(version), None] {
        let answers = [
            place.other.ping().await,
            place.other.migrate().await.map(drop),
            place.other.begin(&[], &Keys::default()).await.map(drop),
            place.other.acquire("repository/settings", LONG).await.map(drop),
        ];
        for answer in answers {
            ensure!(refused(&answer, said), "{said:?}: {answer:?}");
        }
        // A missing row is refused too.
        run(place, &["DELETE FROM schema_compatibility"]).await?;
    }
    run(place, &["DROP TABLE schema_compatibility"]).await?;
    let answer = place.other.ping().await;
    ensure!(refused(&answer, None), "{answer:?}");
    Ok(())
}

fn all() -> DeviceQuery {
    DeviceQuery {
        limit: 100,
        ..DeviceQuery::default()
    }
}
