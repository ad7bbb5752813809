//! Statements look up rows one by one, also by plans that were made while the tables were small.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::{DeviceType, GroupName};
use lockstep_store::postgres::PostgresStore;
use lockstep_store::{
    Attributes, ClientsOf, DeviceEffect, Effects, Entities as _, Fleet as _, FollowUps as _, Inbox as _,
    InboxRow, InboxState, Keys, Link, Page, UnitOfWork as _,
};
use lockstep_testbed::wait;

use crate::contract::device_names::{rename, version};
use crate::contract::related::{end, linked};
use crate::contract::{
    Place, absorb, create_all, devices, execution_life, hostname, key, keys, message, row, unsynchronize,
};
use crate::postgres::{open, options, schema, url};

/// Checks how many rows were read of each of two tables, which the query returns as `TABLE ROWS`. Sessions report their statistics
/// when they end.
async fn read_at_most(place: &Place, query: &str, most: u64) -> Result<()> {
    let mut found = Vec::new();
    wait::until(
        "the statistics of both tables",
        Duration::from_secs(30),
        async || {
            found = place.probe.texts(query).await.unwrap_or_default();
            found.len() == 2
        },
    )
    .await?;
    for line in found {
        let (table, read) = line.split_once(' ').context("a table")?;
        ensure!(read.parse::<u64>()? < most, "{table}: {read} rows read");
    }
    Ok(())
}

/// A hundred thousand ended elements, and as many that wait, are queued or run.
const MANY_ELEMENTS: [&str; 2] = [
    "INSERT INTO execution (id, task_number, task, provider, task_arguments, requested, run_on, source, message_id, kind, at, state, \
        in_canary, elements, stage_elements, ended_at) \
     SELECT gen_random_uuid()::text, 7, 'many', 'ping', 'null', '{\"task\": 7, \"execute_on_type\": \"DEVICE\"}', 'DEVICE', 'urn:test', \
        n::text, 'lockstep.task.requested', now(), 'RUNNING', false, 1000, 1000, CASE WHEN n < 100 THEN now() END \
     FROM generate_series(0, 199) AS n",
    "INSERT INTO element (execution, entity_type, entity_id, name, device_id, hostname, state, outcome, waits_for, due_at, owner, \
        until) \
     SELECT number, 'DEVICE', n, 'sw' || n, n, 'sw' || n, \
        CASE WHEN ended_at IS NOT NULL THEN 'SUCCESSFUL' WHEN n = 1007 THEN 'RUNNING' ELSE 'PENDING' END, \
        CASE WHEN ended_at IS NOT NULL THEN 'done' ELSE 'open' END, \
        CASE WHEN ended_at IS NULL AND n > 1500 THEN 'overall' END, \
        CASE WHEN ended_at IS NULL AND n < 1500 AND n <> 1007 THEN now() + interval '1 hour' END, \
        CASE WHEN n = 1007 THEN 'somebody' END, CASE WHEN n = 1007 THEN now() + interval '1 hour' END \
     FROM execution CROSS JOIN generate_series(1000, 1999) AS n WHERE task = 'many'",
];

/// Sessions keep the plans that they made while the tables were small.
#[tokio::test]
async fn claims_and_ends_among_many_elements_use_indexes() -> Result<()> {
    // Enough executions for the server to change from custom plans to a generic plan.
    const ROUNDS: usize = 8;
    let place = open().await?;
    let names: Vec<String> = (0..40).map(|number| format!("sw{number}")).collect();
    create_all(&place, &names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let store = PostgresStore::connect(options(&url(&place)))?;
    for many in [false, true] {
        if many {
            for statement in MANY_ELEMENTS {
                place.probe.texts(statement).await?;
            }
        }
        for round in 0..ROUNDS {
            execution_life::live(&*store, &format!("{many} {round}")).await?;
        }
    }
    // One scan of the elements would read more.
    drop(store);
    let scans = "SELECT relname || ' ' || seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables \
        WHERE relid IN (to_regclass('element'), to_regclass('execution')) AND idx_scan > 0 ORDER BY relname";
    read_at_most(&place, scans, 100_000).await
}

/// A hundred thousand messages that were processed, and as many devices.
const MANY_MESSAGES_AND_DEVICES: [&str; 2] = [
    "INSERT INTO inbox (source, id, kind, digest, state, at, actor, result_type, result, cause_id, cause) \
     SELECT 'urn:test', 'many ' || n, 'lockstep.interface.updated', '', 'applied', now(), 'netbox', 'x', '{}', 10000000 + n, \
        'interface_updated' FROM generate_series(1, 100000) AS n",
    "INSERT INTO device (hostname, device_type, state, desired_generation, synced_generation) \
     SELECT 'many-' || n, 'ACCESS', 'MANAGED', 1, 1 FROM generate_series(1, 100000) AS n",
];

/// Autovacuum summarises the index of times when it runs, which reads every row and has nothing to do with the plans.
const NO_SUMMARIES: &str =
    "ALTER INDEX inbox_at SET (autosummarize = off); ALTER TABLE inbox SET (autovacuum_enabled = off)";

/// What the batches of one round are about: an identity that is new in each, and devices.
async fn batches(store: &PostgresStore, round: &str) -> Result<()> {
    let names: Vec<String> = (0..20).map(|number| format!("sw{number}")).collect();
    let names = || names.iter().map(String::as_str);
    let id = |what: &str| format!("{what} {round}");
    // Flags of devices, one cause of which is a row of its own.
    let (mut facts, transaction) = store.begin(&[], &keys(&id("flag"), names())).await?;
    absorb(&mut facts, &id("flag"), devices(names().map(unsynchronize)));
    transaction.commit(&facts).await?;
    // Attributes, controllers and groups.
    let (mut facts, transaction) = store.begin(&[], &keys(&id("describe"), names())).await?;
    let described = names().skip(1).map(|name| DeviceEffect::Describe {
        hostname: hostname(name),
        attributes: Attributes {
            platform: Some(round.to_owned()),
            controller: Some(hostname("sw0")),
            ..Attributes::of(DeviceType::ACCESS)
        },
    });
    let joined = names().map(|name| DeviceEffect::Join {
        hostname: hostname(name),
        groups: [GroupName::try_from("g".to_owned()).expect("a name")].into(),
    });
    absorb(&mut facts, &id("describe"), devices(described.chain(joined)));
    transaction.commit(&facts).await?;
    // A link, and a device that has another name for a moment.
    let link = Link::between(end("sw1", "Ethernet1"), end("sw2", "Ethernet1"));
    let other = format!("other-{}", round.replace(' ', "-"));
    let asked = Keys {
        links_of: [hostname("sw1"), hostname("sw3")].into(),
        ..keys(&id("names"), ["sw1", "sw2", "sw3", &other])
    };
    let (mut facts, transaction) = store.begin(&[], &asked).await?;
    let effects = Effects {
        devices: vec![rename("sw3", &other, "1"), rename(&other, "sw3", "1")],
        ..linked(&link, true, Some(version(round)))
    };
    absorb(&mut facts, &id("names"), effects);
    transaction.commit(&facts).await?;
    // A message that is dead-lettered, and processed again.
    for redrive_count in 0..2 {
        let (mut facts, transaction) = store.begin(&[], &keys(&id("dead"), [])).await?;
        facts.record(InboxRow {
            state: if redrive_count == 0 {
                InboxState::Dead
            } else {
                InboxState::Applied
            },
            redrive_count,
            ..row(message(&id("dead")))
        });
        transaction.commit(&facts).await?;
    }
    let device = store.device(&hostname("sw1")).await?.context("sw1")?;
    ensure!(store.causes(&device.open_causes).await?.len() == device.open_causes.len());
    ensure!(device.attributes.platform.as_deref() == Some(round));
    ensure!(
        store
            .outcome(&key(&id("dead")))
            .await?
            .is_some_and(|row| row.redrive_count == 1)
    );
    Ok(())
}

/// Sessions keep the plans that they made while the tables were empty or small: those must look up rows one by one, too.
#[tokio::test]
async fn batches_among_many_messages_and_devices_use_indexes() -> Result<()> {
    // Enough executions for the server to change from custom plans to a generic plan.
    const ROUNDS: usize = 8;
    let place = open().await?;
    let names: Vec<String> = (0..20).map(|number| format!("sw{number}")).collect();
    create_all(&place, &names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let owner = schema(&place).connect().await?;
    owner.batch_execute(NO_SUMMARIES).await?;
    let store = PostgresStore::connect(options(&url(&place)))?;
    for many in [false, true] {
        if many {
            for statement in MANY_MESSAGES_AND_DEVICES {
                owner.batch_execute(statement).await?;
            }
        }
        for round in 0..ROUNDS {
            if !many {
                // An emptied table is planned as such.
                owner.batch_execute("DELETE FROM inbox").await?;
                owner
                    .batch_execute("UPDATE device SET open_causes = '{}'")
                    .await?;
                owner.batch_execute("VACUUM (ANALYZE) inbox, device").await?;
            }
            batches(&store, &format!("{many} {round}")).await?;
        }
    }
    // One scan of either table would read more.
    drop((store, owner));
    let scans = "SELECT relname || ' ' || (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes AS one WHERE one.relid = every.relid) \
            + seq_tup_read FROM pg_stat_user_tables AS every \
        WHERE relid IN (to_regclass('inbox'), to_regclass('device')) AND n_tup_ins > 100000 ORDER BY relname";
    read_at_most(&place, scans, 50_000).await
}

/// Devices with fifty interfaces each, a client behind each interface, and all devices in one group.
const MANY_ENTITIES: [&str; 5] = [
    "INSERT INTO device (hostname, device_type, state, desired_generation, synced_generation) \
     SELECT 'many-' || n, 'ACCESS', 'MANAGED', 1, 1 FROM generate_series(1, 2000) AS n",
    "INSERT INTO interface (device_id, name) SELECT id, 'Ethernet' || port FROM device CROSS JOIN generate_series(1, 50) AS port",
    "INSERT INTO device_group (name) VALUES ('many')",
    "INSERT INTO group_member (device_id, group_id) SELECT device.id, device_group.id FROM device CROSS JOIN device_group",
    "INSERT INTO client (mac, interface_id, group_id) \
     SELECT regexp_replace(lpad(to_hex(id), 12, '0'), '(..)(?=.)', '\\1:', 'g'), id, (SELECT id FROM device_group) FROM interface",
];

/// Pages of what belongs to entities read these, and little more.
#[tokio::test]
async fn pages_of_many_entities_use_indexes() -> Result<()> {
    // One scan in each round would read a million rows. Filling the tables reads 200,000.
    const ROUNDS: usize = 10;
    let place = open().await?;
    let owner = schema(&place).connect().await?;
    for statement in MANY_ENTITIES {
        owner.batch_execute(statement).await?;
    }
    drop(owner);
    let ids = async |table: &str| -> Result<Vec<u64>> {
        let query = format!("SELECT id::text FROM {table} ORDER BY {table}.id LIMIT 20");
        let ids = place.probe.texts(&query).await?;
        Ok(ids
            .iter()
            .map(|id| id.parse::<u64>())
            .collect::<Result<Vec<u64>, _>>()?)
    };
    let (devices, groups, interfaces) = (
        ids("device").await?,
        ids("device_group").await?,
        ids("interface").await?,
    );
    let store = PostgresStore::connect(options(&url(&place)))?;
    let names = Page {
        after: Some("Ethernet3".to_owned()),
        limit: 10,
    };
    let numbers = Page {
        after: Some(interfaces[10]),
        limit: 10,
    };
    let first = Page {
        after: None,
        limit: 10,
    };
    for _ in 0..ROUNDS {
        let found = store.interfaces_of_devices(&devices, &names).await?;
        ensure!(found.len() == 20 && found.values().all(|page| page.len() == 10));
        let found = store
            .clients_of(ClientsOf::Interface, &interfaces, &first)
            .await?;
        ensure!(found.len() == 20);
        let found = store.clients_of(ClientsOf::Group, &groups, &numbers).await?;
        ensure!(found[&groups[0]].len() == 10);
        let found = store.devices_of_groups(&groups, &numbers).await?;
        ensure!(found[&groups[0]].len() == 10);
    }
    drop(store);
    let scans = "SELECT relname || ' ' || (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes AS one WHERE one.relid = every.relid) \
            + seq_tup_read FROM pg_stat_user_tables AS every \
        WHERE relid IN (to_regclass('interface'), to_regclass('client')) AND idx_scan > 0 ORDER BY relname";
    read_at_most(&place, scans, 500_000).await
}

/// Two messages, of which one requeued dead letters and the other one caused work.
const FAN_OUTS: [&str; 2] = [
    "INSERT INTO dead_letter (source, id, redrive_count, lane, kind, code, reason, attempts, first_at, dead_lettered_at, body, \
        properties, state, settled_at, settled_by, request_source, request_id, due_at) \
     SELECT 'urn:test', n::text, 0, 'events', 'lockstep.interface.updated', 'crashed', '', 1, now(), now(), '', '{}', 'requeued', \
        now(), 'netbox', 'urn:test', 'requeue', now() FROM generate_series(1, 2000) AS n",
    "INSERT INTO follow_up (source, id, cause_source, cause_id, lane, kind, body, actor, at, due_at, delayed) \
     SELECT 'urn:test', n::text, 'urn:test', 'cause', 'devices', 'lockstep.task.requested', '', 'netbox', now(), now(), false \
        FROM generate_series(1, 2000) AS n",
];

/// A page does not read what the pages before it had, published or not.
#[tokio::test]
async fn pages_of_a_fan_out_read_each_row_few_times() -> Result<()> {
    let place = open().await?;
    let owner = schema(&place).connect().await?;
    for statement in FAN_OUTS {
        owner.batch_execute(statement).await?;
    }
    drop(owner);
    let store = PostgresStore::connect(options(&url(&place)))?;
    for cause in ["requeue", "cause"] {
        let (mut after, mut published) = (None, 0);
        loop {
            let page = store.unpublished(&key(cause), after, 50).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key);
            published += page.len();
            store.mark_published(&page, Duration::from_mins(15)).await?;
        }
        ensure!(published == 2000, "{published}");
    }
    drop(store);
    // Read for its page, read to be written, and some versions of it that are dead. The pages before it would be 40,000 rows.
    let scans = "SELECT relname || ' ' || (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes AS one WHERE one.relid = every.relid) \
            + seq_tup_read FROM pg_stat_user_tables AS every \
        WHERE relid IN (to_regclass('dead_letter'), to_regclass('follow_up')) AND n_tup_upd >= 2000 ORDER BY relname";
    read_at_most(&place, scans, 12_000).await
}
