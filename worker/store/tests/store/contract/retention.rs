use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{Cause, ElementState, Level};
use lockstep_store::{
    CauseRow, DeviceEffect, ElementEnd, ElementSource, InboxRow, Keys, Link, OpenCauses, Records,
};

use super::device_names::rename_all;
use super::executions::{
    LONG, change, claim, elements, end, entity_result, execution_id, finish, fleet, ids, new_execution,
    owner, start_of,
};
use super::related::{end as link_end, linked};
use super::{
    Place, at, causes, create_all, devices, hostname, kept_causes, keys, message, row, unsynchronize, work,
};

const DAY: Duration = Duration::from_hours(24);

pub(crate) fn young() -> Timestamp {
    at() + 10 * DAY
}

/// The time between old and young rows.
fn before() -> Timestamp {
    at() + DAY
}

/// Deletes all chunks; returns the number of deleted records and of chunks.
pub(crate) async fn expire(place: &Place, records: &Records, limit: u32) -> Result<(u64, u32)> {
    let (mut deleted, mut from) = (0, 0);
    for chunk in 1..=1000 {
        let expired = place.store.expire(records, before(), from, limit).await?;
        // A chunk of executions is bounded by their elements, results and targets each.
        let most = if matches!(records, Records::Executions) {
            4 * limit
        } else {
            limit
        };
        ensure!(expired.deleted <= u64::from(most), "{expired:?}");
        deleted += expired.deleted;
        let Some(next) = expired.next else {
            return Ok((deleted, chunk));
        };
        from = next;
    }
    anyhow::bail!("the deletion does not end");
}

/// The inbox, where no cause is open.
fn inbox() -> Records {
    Records::Inbox(Arc::default())
}

async fn remember(place: &Place, ids: impl IntoIterator<Item = String>, at: Timestamp) -> Result<()> {
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    for id in ids {
        facts.record(InboxRow {
            at,
            ..row(message(&id))
        });
    }
    Ok(transaction.commit(&facts).await?)
}

async fn remembered(place: &Place) -> Result<Vec<String>> {
    place.probe.texts("SELECT id FROM inbox ORDER BY id").await
}

/// SQL literals of a time and of some bytes.
async fn words(place: &Place, time: Timestamp) -> (String, &'static str) {
    if place.probe.texts("SELECT sqlite_version()").await.is_ok() {
        (time.as_microsecond().to_string(), "X'00'")
    } else {
        (format!("'{time}'"), "'\\x00'")
    }
}

/// A dead letter of this message in this state, settled at this time by this command.
async fn dead_letter(
    place: &Place,
    id: &str,
    state: &str,
    settled: Timestamp,
    request: Option<&str>,
) -> Result<()> {
    let (time, bytes) = words(place, settled).await;
    let settled = if state == "dead" { "NULL" } else { time.as_str() };
    let request = request.map_or("NULL, NULL".to_owned(), |id| format!("'urn:test', '{id}'"));
    let insert = format!(
        "INSERT INTO dead_letter (source, id, actor, redrive_count, lane, kind, code, reason, attempts, first_at, dead_lettered_at, body, \
            properties, state, settled_at, settled_by, request_source, request_id) \
         VALUES ('urn:test', '{id}', 'netbox', 0, 'events', 'x', 'crashed', 'x', 1, {time}, {time}, {bytes}, \
            '{{}}', '{state}', {settled}, 'netbox', {request})"
    );
    place.probe.texts(&insert).await?;
    Ok(())
}

pub(crate) async fn old_inbox_rows_go_in_chunks_and_young_ones_stay(place: &Place) -> Result<()> {
    ensure!(expire(place, &inbox(), 10).await? == (0, 1));
    remember(place, (10..35).map(|n| format!("old {n}")), at()).await?;
    remember(place, (1..=3).map(|n| format!("young {n}")), young()).await?;
    let (deleted, chunks) = expire(place, &inbox(), 10).await?;
    ensure!(deleted == 25 && chunks >= 3, "{deleted} in {chunks}");
    let left = remembered(place).await?;
    ensure!(left == ["young 1", "young 2", "young 3"], "{left:?}");
    ensure!(expire(place, &inbox(), 10).await? == (0, 1));
    Ok(())
}

pub(crate) async fn inbox_rows_that_unsettled_dead_letters_need_stay(place: &Place) -> Result<()> {
    let states = ["dead", "dropped", "requeued", "processed"];
    let requests = ["requeues", "requeued"];
    remember(place, states.map(str::to_owned), at()).await?;
    remember(place, requests.map(|id| format!("{id} it")), at()).await?;
    remember(place, ["without".to_owned()], at()).await?;
    dead_letter(place, "dead", "dead", at(), None).await?;
    dead_letter(place, "dropped", "dropped", at(), None).await?;
    dead_letter(place, "requeued", "requeued", at(), Some("requeues it")).await?;
    dead_letter(place, "processed", "processed", at(), Some("requeued it")).await?;
    ensure!(expire(place, &inbox(), 10).await?.0 == 4);
    let left = remembered(place).await?;
    ensure!(left == ["dead", "requeued", "requeues it"], "{left:?}");

    // Rows of settled dead letters are not needed.
    place
        .probe
        .texts("UPDATE dead_letter SET state = 'dropped' WHERE state IN ('dead', 'requeued')")
        .await?;
    ensure!(expire(place, &inbox(), 10).await?.0 == 3);
    Ok(())
}

pub(crate) async fn settled_dead_letters_go_and_others_stay(place: &Place) -> Result<()> {
    for number in 0..12 {
        let state = ["processed", "dropped", "requeued", "dead"][number % 4];
        let settled = if number < 8 { at() } else { young() };
        dead_letter(place, &format!("{number:02}"), state, settled, None).await?;
    }
    let (deleted, chunks) = expire(place, &Records::DeadLetters, 5).await?;
    ensure!(deleted == 4 && chunks >= 3, "{deleted} in {chunks}");
    let left = place
        .probe
        .texts("SELECT id FROM dead_letter ORDER BY id")
        .await?;
    ensure!(
        left == ["02", "03", "06", "07", "08", "09", "10", "11"],
        "{left:?}"
    );
    Ok(())
}

/// What is kept of messages and causes, wherever the causes are.
async fn expire_causes(place: &Place, open: OpenCauses, limit: u32) -> Result<(u64, u64)> {
    let open = Arc::new(open);
    let (messages, _) = expire(place, &Records::Inbox(open.clone()), limit).await?;
    let (causes, _) = expire(place, &Records::Causes(open), limit).await?;
    Ok((messages, causes))
}

pub(crate) async fn causes_that_a_device_lists_as_open_stay(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2", "sw3"]).await?;
    // Forty on one device, of which it lists 32; one of two devices; none on the third. The first one has two reasons.
    for number in 0..40 {
        let keys = keys(&format!("{number}"), ["sw1"]);
        work(place, &keys, devices([unsynchronize("sw1")])).await?;
    }
    let both = [
        unsynchronize("sw1"),
        unsynchronize("sw2"),
        DeviceEffect::Unsynchronize {
            hostname: hostname("sw2"),
            cause: Cause::LinknetCreated,
        },
    ];
    work(place, &keys("both", ["sw1", "sw2"]), devices(both)).await?;
    let read = async |name: &str| -> Result<Vec<CauseRow>> {
        let device = place.store.device(&hostname(name)).await?.context("a device")?;
        let found = causes(place, &device).await?;
        ensure!(
            found.len() == device.open_causes.len(),
            "{name} lists causes that are gone"
        );
        // In a transaction, the same are read.
        let keys = Keys {
            causes_of: [hostname(name)].into(),
            ..keys("read", [name])
        };
        let (facts, _transaction) = place.store.begin(&[], &keys).await?;
        ensure!(facts.open_causes(&hostname(name)) == found, "{name}");
        Ok(found)
    };
    let before_all = [read("sw1").await?, read("sw2").await?];
    ensure!(
        before_all[0].len() == 32 && before_all[1].len() == 2,
        "{before_all:?}"
    );
    let open = place.store.open_causes().await?;
    ensure!(open.len() == 33, "{open:?}");
    let (messages, _) = expire_causes(place, open.clone(), 10).await?;
    ensure!(messages == 42, "{messages}");
    ensure!(remembered(place).await?.is_empty());
    ensure!(
        [read("sw1").await?, read("sw2").await?] == before_all,
        "open causes were changed"
    );
    let kept = kept_causes(place).await?.len();
    ensure!(kept == 33, "{kept} causes are left");
    ensure!(expire_causes(place, open, 100).await? == (0, 0));

    // A synchronized device lists no causes, so all of them are closed except the last ones.
    let none = "SELECT CAST(open_causes AS text) FROM device WHERE hostname = 'sw3'";
    let empty = place.probe.texts(none).await?.concat();
    let close = format!("UPDATE device SET open_causes = '{empty}' WHERE hostname = 'sw1'");
    place.probe.texts(&close).await?;
    let open = place.store.open_causes().await?;
    ensure!(expire_causes(place, open, 10).await? == (0, 31));
    ensure!(read("sw2").await? == before_all[1]);
    Ok(())
}

pub(crate) async fn young_causes_stay(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    work(place, &keys("1", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    let (time, _) = words(place, young()).await;
    for table in ["cause", "inbox"] {
        place
            .probe
            .texts(&format!("UPDATE {table} SET at = {time}"))
            .await?;
    }
    ensure!(expire_causes(place, OpenCauses::default(), 10).await? == (0, 0));
    let device = place.store.device(&hostname("sw1")).await?.context("sw1")?;
    ensure!(causes(place, &device).await?.len() == 1);
    Ok(())
}

pub(crate) async fn old_delivery_attempts_go(place: &Place) -> Result<()> {
    for (id, at) in [("1", at()), ("2", at()), ("3", at()), ("young", young())] {
        let (time, _) = words(place, at).await;
        let insert = format!(
            "INSERT INTO delivery_attempt (source, id, actor, redrive_count, attempts, at) \
             VALUES ('urn:test', '{id}', 'netbox', 0, 1, {time})"
        );
        place.probe.texts(&insert).await?;
    }
    ensure!(expire(place, &Records::DeliveryAttempts, 2).await?.0 == 3);
    let left = place.probe.texts("SELECT id FROM delivery_attempt").await?;
    ensure!(left == ["young"], "{left:?}");
    Ok(())
}

pub(crate) async fn old_former_hostnames_and_removed_links_go(place: &Place) -> Result<()> {
    let names: Vec<String> = (0..7).map(|number| format!("sw{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    create_all(place, &names).await?;
    for name in &names {
        let to = format!("new-{name}");
        let link = Link::between(link_end(name, "Ethernet1"), link_end(name, "Ethernet2"));
        work(place, &keys(name, [*name]), linked(&link, *name == "sw6", None)).await?;
        rename_all(place, &to, &[(*name, &to)]).await?;
    }
    // The links are as old as the names; the last link exists. Two of each are young.
    for (table, column, key) in [
        ("former_hostname", "at", "folded IN ('sw0', 'sw1')"),
        ("linknet", "removed_at", "removed_at IS NOT NULL AND id < 3"),
    ] {
        let time = |at| place.probe.time(at);
        let set = format!(
            "UPDATE {table} SET {column} = CASE WHEN {key} THEN {} ELSE {} END WHERE {column} IS NOT NULL",
            time(young()),
            time(at())
        );
        place.probe.texts(&set).await?;
    }
    let (deleted, chunks) = expire(place, &Records::FormerHostnames, 2).await?;
    ensure!((deleted, chunks) == (5, 3), "{deleted} in {chunks}");
    let left = "SELECT folded FROM former_hostname ORDER BY folded";
    ensure!(place.probe.texts(left).await? == ["sw0", "sw1"]);
    let (deleted, chunks) = expire(place, &Records::RemovedLinks, 2).await?;
    ensure!((deleted, chunks) == (4, 3), "{deleted} in {chunks}");
    let left = "SELECT CASE WHEN present THEN 'present' ELSE 'removed' END FROM linknet ORDER BY id";
    ensure!(place.probe.texts(left).await? == ["removed", "removed", "present"]);
    Ok(())
}

/// Of the first device there are more entries than are kept, of the second one old ones, of the third one neither.
pub(crate) async fn the_history_of_a_device_is_bounded_by_age_and_by_number(place: &Place) -> Result<()> {
    create_all(place, &["sw0", "sw1", "sw2"]).await?;
    let add = async |name: &str, count: usize, at: Timestamp| -> Result<()> {
        let entries = format!(
            "WITH RECURSIVE entry (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM entry WHERE n < {count}) \
             INSERT INTO device_history (device_id, at, what, source, message_id, kind, generation) \
             SELECT device.id, {}, 'created', 'urn:test', CAST(n AS text), 'x', n FROM device CROSS JOIN entry \
             WHERE hostname = '{name}' ORDER BY entry.n",
            place.probe.time(at)
        );
        place.probe.texts(&entries).await?;
        Ok(())
    };
    let left = async || {
        let count = "SELECT hostname || ' ' || CAST(count(*) AS text) || ' ' || CAST(min(generation) AS text) \
            FROM device_history JOIN device ON device.id = device_id GROUP BY hostname ORDER BY hostname";
        place.probe.texts(count).await
    };
    // That the devices were created.
    ensure!(expire(place, &Records::DeviceHistory, 100).await?.0 == 3);
    ensure!(expire(place, &Records::DeviceHistory, 100).await?.0 == 0);
    add("sw1", 250, at()).await?;
    add("sw2", 3, young()).await?;
    add("sw1", 10, young()).await?;
    add("sw0", 1250, young()).await?;
    let (deleted, chunks) = expire(place, &Records::DeviceHistory, 100).await?;
    ensure!(deleted == 500 && chunks >= 6, "{deleted} in {chunks}");
    let kept = left().await?;
    ensure!(kept == ["sw0 1000 251", "sw1 10 1", "sw2 3 1"], "{kept:?}");
    ensure!(expire(place, &Records::DeviceHistory, 100).await?.0 == 0);
    Ok(())
}

pub(crate) async fn old_executions_go_with_their_elements_in_chunks(place: &Place) -> Result<()> {
    let names: Vec<String> = (0..8).map(|number| format!("sw{number}")).collect();
    create_all(place, &names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    for (name, ended_at) in [
        ("old", Some(at())),
        ("older", Some(at() - DAY)),
        ("young", Some(young())),
        ("open", None),
    ] {
        let mut new = new_execution(name, ExecuteOn::Device);
        new.requested.execute_on = vec![1, 2];
        start_of(place, &new, &ElementSource::All).await?;
        change!(place.store, |executions| {
            let mut row = executions
                .lock(execution_id(name))
                .await?
                .context("the execution")?;
            row.ended_at = ended_at;
            executions.update(&row).await?;
            executions
                .cancel_unknown(
                    execution_id(&format!("not {name}")),
                    ended_at.unwrap_or_else(young),
                    None,
                )
                .await?;
        });
    }
    // Sixteen elements, two executions and two cancellations.
    let (deleted, chunks) = expire(place, &Records::Executions, 7).await?;
    ensure!((deleted, chunks) == (20, 4), "{deleted} in {chunks}");
    for (query, expected) in [
        (
            "SELECT message_id FROM execution ORDER BY message_id",
            vec!["open", "young"],
        ),
        ("SELECT CAST(count(*) AS text) FROM element", vec!["16"]),
        (
            "SELECT CAST(count(*) AS text) FROM execution_selection",
            vec!["2"],
        ),
        (
            "SELECT CAST(count(*) AS text) FROM cancelled_execution",
            vec!["2"],
        ),
    ] {
        let found = place.probe.texts(query).await?;
        ensure!(found == expected, "{query}: {found:?}");
    }
    ensure!(expire(place, &Records::Executions, 7).await? == (0, 1));
    Ok(())
}

pub(crate) async fn old_executions_go_with_results_targets_and_journals(place: &Place) -> Result<()> {
    fleet(place).await?;
    let given = ElementSource::Of {
        entity_type: ExecuteOn::Interface,
        ids: vec![ids(place, ExecuteOn::Interface).await?["a Ethernet1"]],
    };
    for (name, ended_at) in [("old", at()), ("young", young())] {
        let new = new_execution(name, ExecuteOn::Interface);
        let started = start_of(place, &new, &given).await?;
        let number = elements(place, started.number).await?[0].number;
        let me = owner(name);
        ensure!(claim(&*place.store, &[number].into(), me, LONG).await?.len() == 1);
        let results =
            (0..20).map(|interface| entity_result(Level::Interface, interface, ElementState::Failed));
        let end = ElementEnd {
            results: results.collect(),
            ..end(number, ElementState::Failed)
        };
        ensure!(finish(place, &[end], Some(me)).await?.len() == 1);
        // A journal that nobody deleted.
        let began = format!(
            "INSERT INTO step_journal (element, stage, level, entity_id, pre_run) VALUES ({number}, 0, 'DEVICE', 1, true)"
        );
        place.probe.texts(&began).await?;
        change!(place.store, |executions| {
            let row = executions.lock(execution_id(name)).await?;
            let mut row = row.context("the execution")?;
            row.ended_at = Some(ended_at);
            executions.update(&row).await?;
        });
    }
    // Twenty results, and an execution, an element and a target.
    let (deleted, chunks) = expire(place, &Records::Executions, 7).await?;
    ensure!((deleted, chunks) == (23, 4), "{deleted} in {chunks}");
    for (table, expected) in [
        ("execution", "1"),
        ("element", "1"),
        ("entity_result", "20"),
        ("execution_target", "1"),
        ("step_journal", "1"),
    ] {
        let count = format!("SELECT CAST(count(*) AS text) FROM {table}");
        let found = place.probe.texts(&count).await?;
        ensure!(found == [expected], "{table}: {found:?}");
    }
    Ok(())
}
