//! Entities and what belongs to them, for many at once.

use std::collections::BTreeSet;
use std::hash::Hash;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementOutcome, ElementState, EntityType, Level};
use lockstep_store::{
    Bounded, ByteBudget, CheckRow, Client, ClientsOf, DEFAULT_GROUP, DeviceId, ElementEnd, ElementFilter,
    ElementRow, EntityResult, FactRow, GroupEntity, Interface, NewCheck, NewFact, Page, Pages, Relation,
    ResultPosition, StoreError, TotalOf,
};
use serde_json::json;

use super::executions::{
    CLIENTS, LONG, claim, elements, end, entity_result, finish, fleet, group, ids, numbers, owner, start,
};
use super::{Place, hostname, mac};

const PLENTY: ByteBudget = ByteBudget(1 << 20);

/// What belongs to each id by one large page, after it was compared with pages of one entry that follow each other, and with the counts.
async fn all_pages<T: Clone + PartialEq, P>(
    place: &Place,
    ids: &[u64],
    relation: Option<Relation>,
    position: impl Fn(&T) -> P,
    read: impl AsyncFn(&[u64], Page<P>) -> Result<Pages<T>, StoreError>,
) -> Result<Vec<Vec<T>>> {
    let first = |limit| Page { after: None, limit };
    let whole = read(ids, first(100)).await?;
    let of = |pages: &Pages<T>, id: &u64| pages.get(id).cloned().unwrap_or_default();
    let ones = read(ids, first(1)).await?;
    for id in ids {
        let all = of(&whole, id);
        ensure!(of(&ones, id) == all[..all.len().min(1)], "the first of {id}");
        let mut found: Vec<T> = Vec::new();
        loop {
            let page = Page {
                after: found.last().map(&position),
                limit: 1,
            };
            let page = of(&read(&[*id], page).await?, id);
            ensure!(page.len() <= 1);
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        ensure!(found == all, "pages of {id}");
    }
    if let Some(relation) = relation {
        let counts = place.store.counts(relation, ids).await?;
        for id in ids {
            let count = counts.get(id).copied().unwrap_or_default();
            ensure!(
                count == of(&whole, id).len() as u64,
                "{relation:?} of {id}: {count}"
            );
        }
    }
    // An id that is named twice, and one that nothing has.
    let again = [ids, ids, &[u64::MAX]].concat();
    ensure!(read(&again, first(100)).await? == whole);
    ensure!(read(&[], first(100)).await?.is_empty());
    Ok(ids.iter().map(|id| of(&whole, id)).collect())
}

#[expect(clippy::needless_pass_by_value, reason = "pages as they are read")]
fn named<T>(pages: Vec<Vec<T>>, name: impl Fn(&T) -> String) -> Vec<Vec<String>> {
    let names = pages.iter().map(|page| page.iter().map(&name).collect());
    names.collect()
}

pub(crate) async fn what_belongs_to_entities_is_read_in_pages(place: &Place) -> Result<()> {
    fleet(place).await?;
    let store = &place.other;
    let devices = ids(place, ExecuteOn::Device).await?;
    let groups = ids(place, ExecuteOn::Group).await?;
    let ports = ids(place, ExecuteOn::Interface).await?;
    let (a, b) = (devices["a"], devices["b"]);
    let interfaces = all_pages(
        place,
        &[b, a],
        Some(Relation::InterfacesOfDevices),
        |row: &Interface| row.name.as_str().to_owned(),
        async |ids, page| store.interfaces_of_devices(ids, &page).await,
    )
    .await?;
    ensure!(interfaces[1].iter().all(|row| row.device.number() == a));
    ensure!(interfaces[1][1].id == ports["a Ethernet2"]);
    let names = named(interfaces, |row| row.name.as_str().to_owned());
    ensure!(
        names == [["Ethernet1", "Ethernet2"], ["Ethernet1", "Ethernet2"]],
        "{names:?}"
    );
    let of_devices = all_pages(
        place,
        &[a, b],
        Some(Relation::GroupsOfDevices),
        |row: &GroupEntity| row.name.as_str().to_owned(),
        async |ids, page| store.groups_of_devices(ids, &page).await,
    )
    .await?;
    ensure!(of_devices[0][1].id == Some(groups["core"]));
    let names = named(of_devices, |row| row.name.to_string());
    ensure!(names == [vec!["campus", "core"], vec!["campus"]], "{names:?}");
    let of_groups = all_pages(
        place,
        &[groups["core"], groups["campus"]],
        Some(Relation::DevicesOfGroups),
        |id: &u64| *id,
        async |ids, page| store.devices_of_groups(ids, &page).await,
    )
    .await?;
    ensure!(of_groups == [vec![a], vec![a, b]], "{of_groups:?}");
    let tables = [
        (
            ClientsOf::Interface,
            [ports["a Ethernet1"], ports["b Ethernet1"]],
            [vec![CLIENTS[0]], vec![]],
        ),
        (ClientsOf::Device, [a, b], [vec![CLIENTS[0]], vec![CLIENTS[1]]]),
        (
            ClientsOf::Group,
            [groups["core"], groups["campus"]],
            [vec![CLIENTS[2]], vec![]],
        ),
    ];
    for (of, ids, expected) in tables {
        let clients = all_pages(
            place,
            &ids,
            Some(Relation::Clients(of)),
            |row: &Client| row.id,
            async |ids, page| store.clients_of(of, ids, &page).await,
        )
        .await?;
        let macs = named(clients, |row| row.mac.as_str().to_owned());
        ensure!(macs == expected, "{of:?} {macs:?}");
    }
    Ok(())
}

/// Goes through a list by pages of two.
async fn listed<T, P>(
    position: impl Fn(&T) -> P,
    read: impl AsyncFn(Page<P>) -> Result<Vec<T>, StoreError>,
) -> Result<Vec<T>> {
    let mut found: Vec<T> = Vec::new();
    loop {
        let page = Page {
            after: found.last().map(&position),
            limit: 2,
        };
        let page = read(page).await?;
        ensure!(page.len() <= 2);
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}

/// Whether rows by keys are those of a list, and the keys that nothing has are left out.
fn same<T: PartialEq, K: Ord + Hash>(mut found: Vec<T>, all: &[T], key: impl Fn(&T) -> K) -> bool {
    found.sort_by_key(&key);
    let mut all: Vec<&T> = all.iter().collect();
    all.sort_by_key(|row| key(row));
    found.iter().eq(all)
}

pub(crate) async fn all_entities_are_listed_and_found_by_their_ids(place: &Place) -> Result<()> {
    fleet(place).await?;
    let store = &place.other;
    let interfaces = listed(
        |row: &Interface| row.id,
        async |page| store.interfaces(&page).await,
    )
    .await?;
    ensure!(interfaces.len() == 4 && interfaces.is_sorted_by_key(|row| row.id));
    let keys: Vec<u64> = interfaces.iter().map(|row| row.id).chain([u64::MAX]).collect();
    ensure!(same(store.interfaces_by_id(&keys).await?, &interfaces, |row| row.id));
    let clients = listed(|row: &Client| row.id, async |page| store.clients(&page).await).await?;
    ensure!(clients.len() == 3 && clients.is_sorted_by_key(|row| row.id));
    let keys: Vec<u64> = clients.iter().map(|row| row.id).chain([u64::MAX]).collect();
    ensure!(same(store.clients_by_id(&keys).await?, &clients, |row| row.id));
    let first = store.client(&mac(CLIENTS[0])).await?.context("a client")?;
    ensure!(first == clients[0] && first.interface == Some(interfaces[0].id) && first.group.is_none());
    ensure!(store.client(&mac("02:00:00:00:00:99")).await?.is_none());
    let groups = listed(
        |row: &GroupEntity| row.name.to_string(),
        async |page| store.group_entities(&page).await,
    )
    .await?;
    let names: Vec<String> = groups.iter().map(|row| row.name.to_string()).collect();
    ensure!(names == [DEFAULT_GROUP, "campus", "core"], "{names:?}");
    let keys: Vec<u64> = groups.iter().filter_map(|row| row.id).collect();
    ensure!(same(store.groups_by_id(&keys).await?, &groups[1..], |row| row.id));
    let default = store.group_named(&group(DEFAULT_GROUP)).await?;
    ensure!(default.as_ref() == groups.first() && default.is_some());
    ensure!(store.group_named(&group("none")).await?.is_none());
    let counted = store
        .groups_by_name(&[group("campus"), group("none"), group(DEFAULT_GROUP)])
        .await?;
    let members: Vec<(String, u64)> = counted
        .iter()
        .map(|row| (row.name.to_string(), row.members))
        .collect();
    ensure!(
        members.len() == 2 && members.contains(&("campus".to_owned(), 2)),
        "{members:?}"
    );
    let devices = listed(|id: &u64| *id, async |page| store.device_ids(&page).await).await?;
    let wanted = [DeviceId(i64::try_from(devices[1])?), DeviceId(-1)];
    let by_id = store.devices_by_id(&wanted).await?;
    ensure!(
        by_id == [store.device(&hostname("b")).await?.context("b")?],
        "{by_id:?}"
    );
    let totals = [
        (TotalOf::Devices, 2),
        (TotalOf::Interfaces, 4),
        (TotalOf::Clients, 3),
        (TotalOf::Groups, 3),
        (TotalOf::Tasks, 0),
    ];
    for (of, expected) in totals {
        ensure!(store.total(of).await? == expected, "{of:?}");
    }
    Ok(())
}

/// Ends all elements of an execution; the first one finds something out.
async fn ended(place: &Place, name: &str, first: impl FnOnce(&mut ElementEnd)) -> Result<(u64, Vec<u64>)> {
    let started = start(place, name, ExecuteOn::Device).await?;
    let all = numbers(place, started.number).await?;
    claim(&*place.store, &all, owner(name), LONG).await?;
    let ends = all.iter().map(|number| end(*number, ElementState::Successful));
    let mut ends: Vec<ElementEnd> = ends.collect();
    first(ends.first_mut().context("an element")?);
    ensure!(finish(place, &ends, None).await?.len() == all.len());
    Ok((started.number, all.into_iter().collect()))
}

fn fact(entity: u64, key: &str, value: &str) -> NewFact {
    NewFact {
        entity_type: EntityType::Device,
        entity,
        key: key.to_owned(),
        value: json!(value).into(),
    }
}

fn check(entity: u64, key: &str, result: &str) -> NewCheck {
    NewCheck {
        entity_type: EntityType::Device,
        entity,
        key: key.to_owned(),
        result: result.to_owned(),
        reason: None,
        metrics: json!({"of": key}),
    }
}

pub(crate) async fn facts_and_checks_of_many_are_the_newest(place: &Place) -> Result<()> {
    fleet(place).await?;
    let devices = ids(place, ExecuteOn::Device).await?;
    let (a, b) = (devices["a"], devices["b"]);
    ended(place, "old", |end| {
        end.facts = vec![fact(a, "version", "4.30")];
        end.checks = vec![check(a, "up", "nok"), check(b, "up", "ok")];
    })
    .await?;
    let (_, elements) = ended(place, "new", |end| {
        end.facts = vec![
            fact(a, "version", "4.31"),
            fact(a, "uptime", "7"),
            fact(b, "version", "4.29"),
        ];
        end.checks = vec![check(a, "up", "ok"), check(a, "version", "failed")];
    })
    .await?;
    let store = &place.other;
    let kind = EntityType::Device;
    let facts = all_pages(
        place,
        &[a, b],
        Some(Relation::Facts(kind)),
        |fact: &Bounded<FactRow>| fact.row.key.clone(),
        async |ids, page| {
            let mut budget = PLENTY;
            store.facts_of(kind, ids, &page, &mut budget).await
        },
    )
    .await?;
    ensure!(
        facts
            .iter()
            .flatten()
            .all(|fact| fact.is_whole && fact.row.element == elements[0])
    );
    let facts = named(facts, |fact| format!("{}={}", fact.row.key, fact.row.value));
    ensure!(
        facts == [vec!["uptime=\"7\"", "version=\"4.31\""], vec!["version=\"4.29\""]],
        "{facts:?}"
    );
    let checks = all_pages(
        place,
        &[a, b],
        Some(Relation::Checks(kind)),
        |check: &Bounded<CheckRow>| check.row.key.clone(),
        async |ids, page| {
            let mut budget = PLENTY;
            store.checks_of(kind, ids, &page, &mut budget).await
        },
    )
    .await?;
    ensure!(checks[0][1].is_whole && checks[0][1].row.metrics == json!({"of": "version"}));
    let checks = named(checks, |check| format!("{}={}", check.row.key, check.row.result));
    ensure!(
        checks == [vec!["up=ok", "version=failed"], vec!["up=ok"]],
        "{checks:?}"
    );
    let page = Page {
        after: None,
        limit: 9,
    };
    let mut budget = PLENTY;
    let of_interfaces = store
        .facts_of(EntityType::Interface, &[a, b], &page, &mut budget)
        .await?;
    ensure!(of_interfaces.is_empty());
    Ok(())
}

pub(crate) async fn json_beyond_the_budget_is_left_out(place: &Place) -> Result<()> {
    fleet(place).await?;
    let devices = ids(place, ExecuteOn::Device).await?;
    let (a, b) = (devices["a"], devices["b"]);
    let (_, elements) = ended(place, "e", |end| {
        // Three bytes, thirty and three.
        end.facts = vec![
            fact(a, "a", "x"),
            fact(a, "b", &"x".repeat(28)),
            fact(b, "a", "x"),
        ];
        end.checks = vec![check(a, "a", "ok")];
        end.results = vec![
            entity_result(Level::Device, a, ElementState::Successful),
            entity_result(Level::Interface, 7, ElementState::Successful),
        ];
    })
    .await?;
    let store = &place.other;
    let page = Page {
        after: None,
        limit: 9,
    };
    let whole = |facts: &Pages<Bounded<FactRow>>| -> Vec<bool> {
        let of = |id| facts.get(&id).into_iter().flatten();
        of(a)
            .chain(of(b))
            .map(|fact| {
                assert!(fact.is_whole || fact.row.value.is_null());
                fact.is_whole
            })
            .collect()
    };
    for (bytes, expected, rest) in [
        (36, [true, true, true], 0),
        (35, [true, true, false], 2),
        (32, [true, false, false], 29),
        (2, [false, false, false], 2),
    ] {
        let mut budget = ByteBudget(bytes);
        let facts = store
            .facts_of(EntityType::Device, &[a, b], &page, &mut budget)
            .await?;
        ensure!(whole(&facts) == expected, "{bytes}: {facts:?}");
        ensure!(budget == ByteBudget(rest), "{bytes}: {budget:?}");
    }
    let mut budget = ByteBudget(3);
    let checks = store
        .checks_of(EntityType::Device, &[a], &page, &mut budget)
        .await?;
    ensure!(!checks[&a][0].is_whole && checks[&a][0].row.metrics.is_null());
    // `{"rtt":0.5}` twice.
    for (bytes, expected) in [(22, [true, true]), (21, [true, false]), (0, [false, false])] {
        let data = store.data_of_elements(&elements, &mut ByteBudget(bytes)).await?;
        let found = [data[&elements[0]].is_whole, data[&elements[1]].is_whole];
        ensure!(found == expected, "{bytes}: {data:?}");
    }
    let first = Page {
        after: None,
        limit: 9,
    };
    let mut budget = ByteBudget(40);
    let results = store.results_of_elements(&elements, &first, &mut budget).await?;
    let found: Vec<bool> = results[&elements[0]]
        .iter()
        .map(|result| result.is_whole)
        .collect();
    ensure!(found == [true, false], "{results:?}");
    Ok(())
}

fn position(result: &Bounded<EntityResult>) -> ResultPosition {
    ResultPosition {
        phase: result.row.phase,
        level: result.row.level,
        entity: result.row.entity,
    }
}

pub(crate) async fn elements_and_executions_of_many_are_read_in_pages(place: &Place) -> Result<()> {
    fleet(place).await?;
    let devices = ids(place, ExecuteOn::Device).await?;
    let (a, b) = (devices["a"], devices["b"]);
    let store = &place.other;
    let (first, first_elements) = ended(place, "1", |end| {
        let of = |level, entity| entity_result(level, entity, ElementState::Failed);
        end.state = ElementState::Failed;
        end.results = vec![
            of(Level::Interface, 2),
            of(Level::Device, a),
            of(Level::Interface, 1),
        ];
        end.results.push(EntityResult {
            phase: 1,
            ..of(Level::Device, a)
        });
    })
    .await?;
    let second = start(place, "2", ExecuteOn::Interface).await?.number;
    let table = [
        (ElementFilter::All, [2, elements(place, second).await?.len()]),
        (ElementFilter::Open, [0, elements(place, second).await?.len()]),
        (ElementFilter::Outcome(ElementOutcome::Done), [1, 0]),
        (ElementFilter::Outcome(ElementOutcome::Failed), [1, 0]),
        (ElementFilter::Outcome(ElementOutcome::Skipped), [0, 0]),
    ];
    for (filter, expected) in table {
        let found = all_pages(
            place,
            &[first, second],
            None,
            |row: &ElementRow| row.number,
            async |ids, page| store.elements_of_executions(ids, filter, &page).await,
        )
        .await?;
        let counts = [found[0].len(), found[1].len()];
        ensure!(counts == expected, "{filter:?} {counts:?}");
    }
    let of_devices = all_pages(
        place,
        &[b, a],
        Some(Relation::ElementsOfDevices),
        |row: &ElementRow| (row.execution, row.number),
        async |ids, page| store.elements_of_devices(ids, &page).await,
    )
    .await?;
    for rows in &of_devices {
        ensure!(
            rows.len() >= 2 && rows.is_sorted_by(|one, other| one.execution >= other.execution),
            "{rows:?}"
        );
    }
    let executions = all_pages(
        place,
        &[a, b],
        Some(Relation::ExecutionsOfDevices),
        |number: &u64| *number,
        async |ids, page| store.executions_of_devices(ids, &page).await,
    )
    .await?;
    ensure!(executions == [[second, first], [second, first]], "{executions:?}");
    let wanted = BTreeSet::from([second, first, u64::MAX]);
    let rows = store.executions_by_number(&wanted).await?;
    ensure!(rows.iter().map(|row| row.number).eq([first, second]));
    let on = store.devices_of_elements(&first_elements).await?;
    ensure!(on[&first_elements[0]].number() == a && on.len() == 2, "{on:?}");
    let results = all_pages(
        place,
        &first_elements,
        Some(Relation::ResultsOfElements),
        position,
        async |ids, page| {
            let mut budget = PLENTY;
            store.results_of_elements(ids, &page, &mut budget).await
        },
    )
    .await?;
    let places: Vec<(u8, Level, u64)> = results[0]
        .iter()
        .map(|result| (result.row.phase, result.row.level, result.row.entity))
        .collect();
    ensure!(
        places
            == [
                (0, Level::Device, a),
                (0, Level::Interface, 1),
                (0, Level::Interface, 2),
                (1, Level::Device, a)
            ],
        "{places:?}"
    );
    ensure!(results[0][1].row.data == json!({"after": 1}) && results[1].is_empty());
    Ok(())
}
