//! What executions find out about entities: facts and checks with their history, and the attributes that the store knows.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, EntityType};
use lockstep_store::{
    Attributes, CheckRow, DeviceEffect, ElementEnd, NewCheck, NewFact, Records, StoreError,
};
use serde_json::{Value, json};

use super::executions::{CLIENTS, LONG, change, claim, end, finish, fleet, ids, numbers, owner, start};
use super::{Place, create, create_all, devices, hostname, keys, work};

fn fact(entity_type: EntityType, entity: u64, value: &Value) -> NewFact {
    NewFact {
        entity_type,
        entity,
        key: "version".to_owned(),
        value: value.clone().into(),
    }
}

fn check(entity_type: EntityType, entity: u64, key: &str, result: &str) -> NewCheck {
    NewCheck {
        entity_type,
        entity,
        key: key.to_owned(),
        result: result.to_owned(),
        reason: Some(format!("{key} is {result}")),
        metrics: json!({"n": [1, null]}),
    }
}

/// Runs an execution on all devices whose first element finds this out. Returns the number of that element.
async fn find(place: &Place, name: &str, facts: Vec<NewFact>, checks: Vec<NewCheck>) -> Result<u64> {
    let started = start(place, name, ExecuteOn::Device).await?;
    let all = numbers(place, started.number).await?;
    claim(&*place.store, &all, owner(name), LONG).await?;
    let mut ends: Vec<ElementEnd> = all
        .iter()
        .map(|number| end(*number, ElementState::Successful))
        .collect();
    let first = ends.first_mut().context("an element")?;
    first.facts = facts;
    first.checks = checks;
    let number = first.number;
    ensure!(finish(place, &ends, None).await?.len() == all.len());
    Ok(number)
}

pub(crate) async fn a_fact_keeps_the_values_that_it_had(place: &Place) -> Result<()> {
    create_all(place, &["a"]).await?;
    let device = ids(place, ExecuteOn::Device).await?["a"];
    let mut found = Vec::new();
    for (name, value) in [("1", "4.30"), ("2", "4.31"), ("3", "4.31"), ("4", "4.30")] {
        let of_fleet = NewFact {
            key: "other".to_owned(),
            ..fact(EntityType::Global, 0, &json!(value))
        };
        let facts = vec![fact(EntityType::Device, device, &json!(value)), of_fleet];
        found.push(find(place, name, facts, Vec::new()).await?);
    }
    let history = async |key: &str, limit| -> Result<Vec<(Value, u64)>> {
        let rows = place
            .store
            .facts(EntityType::Device, device, Some(key), limit)
            .await?;
        ensure!(rows.iter().all(|row| row.key == key) && rows.is_sorted_by(|one, other| one.at >= other.at));
        Ok(rows.into_iter().map(|row| (row.value, row.element)).collect())
    };
    // The second value was found twice: the last time counts.
    let expected = [
        (json!("4.30"), found[3]),
        (json!("4.31"), found[2]),
        (json!("4.30"), found[0]),
    ];
    let whole = history("version", 10).await?;
    ensure!(whole == expected, "{whole:?}");
    ensure!(history("version", 2).await? == expected[..2]);
    ensure!(history("other", 10).await?.is_empty());
    let newest = place.store.facts(EntityType::Device, device, None, 10).await?;
    ensure!(
        newest.len() == 1 && newest[0].value == json!("4.30"),
        "{newest:?}"
    );
    let common = place
        .store
        .facts(EntityType::Global, 0, Some("other"), 10)
        .await?;
    ensure!(common.len() == 3, "{common:?}");
    Ok(())
}

/// Two workers find a fact about the same entity at the same time, which had none: the one that commits first is in the history.
pub(crate) async fn a_value_that_is_found_at_the_same_time_is_kept(place: &Place) -> Result<()> {
    create_all(place, &["a", "b"]).await?;
    let started = start(place, "first", ExecuteOn::Device).await?;
    let all = numbers(place, started.number).await?;
    claim(&*place.store, &all, owner("worker"), LONG).await?;
    let ends: Vec<ElementEnd> = all
        .iter()
        .map(|number| ElementEnd {
            facts: vec![fact(EntityType::Global, 0, &json!(number))],
            ..end(*number, ElementState::Successful)
        })
        .collect();
    let none = BTreeSet::new();
    let (facts, mut first) = place.store.begin(&[], &lockstep_store::Keys::default()).await?;
    let ended = first.executions().finish(&ends[..1], None, &none, LONG).await?;
    ensure!(ended.len() == 1);
    let second = async {
        Ok::<_, anyhow::Error>(change!(place.other, |executions| {
            executions.finish(&ends[1..], None, &none, LONG).await?
        }))
    };
    let commit = async {
        // The second one waits for this one, wherever it is by now.
        tokio::task::yield_now().await;
        Ok::<_, anyhow::Error>(first.commit(&facts).await?)
    };
    let (ended, ()) = tokio::try_join!(second, commit)?;
    ensure!(ended.len() == 1);
    let history = place
        .store
        .facts(EntityType::Global, 0, Some("version"), 10)
        .await?;
    let values: Vec<&Value> = history.iter().map(|row| &row.value).collect();
    let numbers: Vec<Value> = all.iter().rev().map(|number| json!(number)).collect();
    ensure!(values == numbers.iter().collect::<Vec<_>>(), "{values:?}");
    Ok(())
}

pub(crate) async fn checks_are_kept_and_the_newest_is_known(place: &Place) -> Result<()> {
    create_all(place, &["a"]).await?;
    let device = ids(place, ExecuteOn::Device).await?["a"];
    let of = |key: &str, result: &str| check(EntityType::Device, device, key, result);
    let first = find(place, "1", Vec::new(), vec![of("version", "nok"), of("up", "ok")]).await?;
    // Twice in one transaction: both are kept, in their order.
    let second = find(
        place,
        "2",
        Vec::new(),
        vec![of("version", "failed"), of("version", "ok")],
    )
    .await?;
    let results = |rows: &[CheckRow]| -> Vec<(String, String, u64)> {
        let row = |row: &CheckRow| (row.key.clone(), row.result.clone(), row.element);
        rows.iter().map(row).collect()
    };
    let expected = |key: &str, result: &str, element| (key.to_owned(), result.to_owned(), element);
    let newest = place.store.checks(EntityType::Device, device, None, 10).await?;
    ensure!(
        results(&newest) == [expected("up", "ok", first), expected("version", "ok", second)],
        "{newest:?}"
    );
    let history = place
        .store
        .checks(EntityType::Device, device, Some("version"), 10)
        .await?;
    ensure!(
        results(&history)
            == [
                expected("version", "ok", second),
                expected("version", "failed", second),
                expected("version", "nok", first)
            ],
        "{history:?}"
    );
    ensure!(
        history[2].reason.as_deref() == Some("version is nok")
            && history[2].metrics == json!({"n": [1, null]})
    );
    ensure!(
        place
            .store
            .checks(EntityType::Interface, device, None, 10)
            .await?
            .is_empty()
    );
    let limited = place
        .store
        .checks(EntityType::Device, device, Some("version"), 1)
        .await?;
    ensure!(limited == history[..1]);
    Ok(())
}

pub(crate) async fn checks_of_all_below_an_entity_are_read_at_once(place: &Place) -> Result<()> {
    fleet(place).await?;
    let of_devices = ids(place, ExecuteOn::Device).await?;
    let interfaces = ids(place, ExecuteOn::Interface).await?;
    let groups = ids(place, ExecuteOn::Group).await?;
    let clients = ids(place, ExecuteOn::Client).await?;
    let performed = vec![
        check(EntityType::Device, of_devices["b"], "up", "nok"),
        check(EntityType::Device, of_devices["b"], "version", "ok"),
        check(EntityType::Interface, interfaces["a Ethernet1"], "up", "ok"),
        check(EntityType::Client, clients[CLIENTS[2]], "up", "failed"),
    ];
    find(
        place,
        "old",
        Vec::new(),
        vec![check(EntityType::Device, of_devices["b"], "up", "ok")],
    )
    .await?;
    find(place, "new", Vec::new(), performed).await?;
    let controlled = Attributes {
        controller: Some(hostname("b")),
        ..place.store.device(&hostname("a")).await?.context("a")?.attributes
    };
    let describe = DeviceEffect::Describe {
        hostname: hostname("a"),
        attributes: controlled,
    };
    work(place, &keys("controller", ["a", "b"]), devices([describe])).await?;
    let below = async |kind, id, below| -> Result<Vec<String>> {
        let rows = place.store.checks_below(kind, id, below, "up").await?;
        let row = |(name, check): (String, Option<CheckRow>)| {
            format!("{name}: {}", check.map_or("-".to_owned(), |check| check.result))
        };
        Ok(rows.into_iter().map(row).collect())
    };
    let (campus, core) = (groups["campus"], groups["core"]);
    for (kind, id, of, expected) in [
        (
            EntityType::Group,
            campus,
            EntityType::Device,
            vec!["a: -", "b: nok"],
        ),
        (EntityType::Group, core, EntityType::Device, vec!["a: -"]),
        (
            EntityType::Group,
            campus,
            EntityType::Interface,
            vec![
                "a Ethernet1: ok",
                "a Ethernet2: -",
                "b Ethernet1: -",
                "b Ethernet2: -",
            ],
        ),
        (
            EntityType::Device,
            of_devices["a"],
            EntityType::Interface,
            vec!["Ethernet1: ok", "Ethernet2: -"],
        ),
        (
            EntityType::Device,
            of_devices["b"],
            EntityType::Device,
            vec!["a: -"],
        ),
        (
            EntityType::Group,
            core,
            EntityType::Client,
            vec!["02:00:00:00:00:03: failed"],
        ),
        (
            EntityType::Interface,
            interfaces["a Ethernet1"],
            EntityType::Client,
            vec!["02:00:00:00:00:01: -"],
        ),
        (EntityType::Group, 999_999, EntityType::Device, vec![]),
    ] {
        let found = below(kind, id, of).await?;
        ensure!(found == expected, "{kind} {id} {of}: {found:?}");
    }
    let error = below(EntityType::Interface, 1, EntityType::Group).await;
    let error = error.err().context("no group is below an interface")?;
    ensure!(
        matches!(error.downcast_ref(), Some(StoreError::Refused { .. })),
        "{error:?}"
    );
    Ok(())
}

pub(crate) async fn attributes_of_each_kind_of_entity_are_known(place: &Place) -> Result<()> {
    fleet(place).await?;
    let of_devices = ids(place, ExecuteOn::Device).await?;
    let interfaces = ids(place, ExecuteOn::Interface).await?;
    let groups = ids(place, ExecuteOn::Group).await?;
    let clients = ids(place, ExecuteOn::Client).await?;
    let described = Attributes {
        management_ip: Some("192.0.2.1".parse()?),
        model: Some("7280".to_owned()),
        controller: Some(hostname("b")),
        ..place.store.device(&hostname("a")).await?.context("a")?.attributes
    };
    let describe = DeviceEffect::Describe {
        hostname: hostname("a"),
        attributes: described.clone(),
    };
    work(place, &keys("described", ["a", "b"]), devices([describe])).await?;
    ensure!(place.store.device(&hostname("a")).await?.context("a")?.attributes == described);
    place
        .probe
        .texts("UPDATE device SET data = '{\"port\":22}' WHERE hostname = 'a'")
        .await?;
    let device = json!({
        "id": of_devices["a"], "hostname": "a", "device_type": "ACCESS", "platform": null, "management_ip": "192.0.2.1", "mac": null,
        "serial": null, "vendor": null, "model": "7280", "os_version": null, "state": "MANAGED", "synchronized": true,
        "controller": "b", "groups": ["campus", "core"], "data": {"port": 22},
    });
    let interface = json!({
        "id": interfaces["a Ethernet1"], "name": "Ethernet1", "device": "a", "configuration": null, "neighbours": [],
    });
    for (kind, id, expected) in [
        (EntityType::Device, of_devices["a"], device),
        (EntityType::Interface, interfaces["a Ethernet1"], interface),
        (
            EntityType::Group,
            groups["core"],
            json!({"id": groups["core"], "name": "core", "location": null}),
        ),
        (
            EntityType::Client,
            clients[CLIENTS[0]],
            json!({
                "id": clients[CLIENTS[0]], "mac": CLIENTS[0], "name": null, "ip": null, "interface": "Ethernet1", "device": "a", "group": null,
            }),
        ),
        (EntityType::Global, 0, json!({"name": "fleet"})),
    ] {
        let found = place.store.attributes(kind, id).await?;
        ensure!(found.as_ref() == Some(&expected), "{kind}: {found:?}");
    }
    ensure!(
        place
            .store
            .attributes(EntityType::Device, 999_999)
            .await?
            .is_none()
    );
    ensure!(place.store.attributes(EntityType::Item, 0).await?.is_none());
    Ok(())
}

/// A controller may be created together with its device, and stays if nobody names another one.
pub(crate) async fn a_device_has_the_controller_that_it_was_given_last(place: &Place) -> Result<()> {
    let controller = async |name: &str| -> Result<Option<String>> {
        let device = place.store.device(&hostname(name)).await?.context("a device")?;
        Ok(device
            .attributes
            .controller
            .map(|controller| controller.to_string()))
    };
    let of = |name: &str, controller: &str| DeviceEffect::Describe {
        hostname: hostname(name),
        attributes: Attributes {
            controller: Some(hostname(controller)),
            ..Attributes::of(lockstep_protocol::DeviceType::ACCESS)
        },
    };
    let effects = devices([create("ap1"), of("ap1", "wlc1"), create("wlc1")]);
    work(place, &keys("1", ["ap1", "wlc1"]), effects).await?;
    ensure!(controller("ap1").await?.as_deref() == Some("wlc1") && controller("wlc1").await?.is_none());
    work(
        place,
        &keys("2", ["ap1", "wlc2"]),
        devices([create("wlc2"), of("ap1", "wlc2")]),
    )
    .await?;
    ensure!(controller("ap1").await?.as_deref() == Some("wlc2"));
    let (facts, _transaction) = place.store.begin(&[], &keys("3", ["ap1"])).await?;
    let row = facts.device(&hostname("ap1")).context("ap1")?;
    ensure!(row.attributes.controller == Some(hostname("wlc2")));
    Ok(())
}

pub(crate) async fn former_facts_and_checks_expire_and_the_newest_stay(place: &Place) -> Result<()> {
    create_all(place, &["a"]).await?;
    let device = ids(place, ExecuteOn::Device).await?["a"];
    for (name, result) in [("1", "ok"), ("2", "nok"), ("3", "ok")] {
        let facts = vec![fact(EntityType::Device, device, &json!(name))];
        let checks = vec![check(EntityType::Device, device, "up", result)];
        find(place, name, facts, checks).await?;
    }
    let now = place.store.now().await?;
    // Executions that have not ended stay, so only this is deleted.
    let expired = place.store.expire(&Records::Executions, now, 0, 1).await?;
    ensure!(expired.deleted == 2 && expired.next == Some(0), "{expired:?}");
    let expired = place.store.expire(&Records::Executions, now, 0, 10).await?;
    ensure!(expired.deleted == 2, "{expired:?}");
    let expired = place.store.expire(&Records::Executions, now, 0, 10).await?;
    ensure!(expired.deleted == 0 && expired.next.is_none(), "{expired:?}");
    let facts = place
        .store
        .facts(EntityType::Device, device, Some("version"), 10)
        .await?;
    ensure!(facts.len() == 1 && facts[0].value == json!("3"), "{facts:?}");
    let checks = place
        .store
        .checks(EntityType::Device, device, Some("up"), 10)
        .await?;
    ensure!(checks.len() == 1 && checks[0].result == "ok", "{checks:?}");
    Ok(())
}
