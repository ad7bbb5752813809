//! Which elements an execution has, by the levels of its providers.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::ElementState;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_store::{ElementLevels, ElementRow, ElementSource, ExecutionReference, UnitLevels};

use super::executions::{CLIENTS, DEVICES, control, elements, fleet, ids, new_execution, start_at};
use super::{Place, create_all};

/// All levels, each in a stage of its own.
pub(super) const ALL: ElementLevels = ElementLevels {
    global: Some(0),
    groups: Some(1),
    devices: Some(2),
    group_clients: true,
    interface_clients: true,
};

/// An element as `kind name: what it runs on`, without itself; `…` if it waits for a later stage.
async fn described(place: &Place, row: &ElementRow) -> Result<String> {
    let levels = UnitLevels {
        above: None,
        interfaces: true,
        clients: true,
        item: false,
    };
    let unit = place.store.unit(row.number, levels).await?;
    let names: Vec<&str> = unit.entities.iter().skip(1).map(|entity| &*entity.name).collect();
    let below = match (row.state, names.is_empty()) {
        (ElementState::Filtered, _) => format!(" {}", row.reason.as_deref().unwrap_or_default()),
        (_, true) => String::new(),
        (_, false) => format!(": {}", names.join(" ")),
    };
    let later = if row.waits_for.is_some() { "…" } else { "" };
    Ok(format!("{} {}{below}{later}", row.entity_type, row.name))
}

/// The elements of a new execution.
pub(super) async fn started(
    place: &Place,
    name: &str,
    run_on: ExecuteOn,
    source: &ElementSource,
    levels: ElementLevels,
) -> Result<Vec<String>> {
    let new = new_execution(name, run_on);
    let started = start_at(place, &new, source, levels).await?;
    let rows = elements(place, started.number).await?;
    ensure!(rows.len() as u64 == started.elements, "{started:?}");
    let first = rows.iter().filter(|row| row.stage == 0 && row.ended_at.is_none());
    ensure!(first.count() as u64 == started.stage_elements, "{started:?}");
    let reference = ExecutionReference::Number(started.number);
    let row = place
        .store
        .execution(&reference)
        .await?
        .context("the execution")?;
    let skipped = rows.iter().filter(|row| row.ended_at.is_some()).count() as u64;
    ensure!(
        row.counts.elements == started.elements && row.counts.skipped == skipped,
        "{row:?}"
    );
    ensure!(
        (row.stage.index, row.stage.elements, row.stage.ended) == (0, started.stage_elements, 0),
        "{row:?}"
    );
    let mut texts = Vec::new();
    for row in &rows {
        let stage = match row.waits_for {
            Some(_) => row.waits_for.as_ref().map(ToString::to_string),
            None => None,
        };
        let expected = (row.stage > 0).then(|| format!("stage/{}/{}", started.number, row.stage));
        ensure!(stage == expected, "{row:?}");
        texts.push(described(place, row).await?);
    }
    Ok(texts)
}

fn of(all: &BTreeMap<ExecuteOn, BTreeMap<String, u64>>, kind: ExecuteOn, names: &[&str]) -> ElementSource {
    ElementSource::Of {
        entity_type: kind,
        ids: names.iter().map(|name| all[&kind][*name]).collect(),
    }
}

async fn all_ids(place: &Place) -> Result<BTreeMap<ExecuteOn, BTreeMap<String, u64>>> {
    let mut all = BTreeMap::new();
    for kind in ExecuteOn::ALL {
        all.insert(kind, ids(place, kind).await?);
    }
    Ok(all)
}

/// The example of neops: interfaces 1 and 2 belong to A, 3 and 4 to B.
pub(crate) async fn the_examples_of_neops(place: &Place) -> Result<()> {
    fleet(place).await?;
    let all = all_ids(place).await?;
    let given = of(&all, ExecuteOn::Interface, &["a Ethernet1"]);
    let levels = ElementLevels {
        global: None,
        groups: None,
        devices: Some(0),
        ..ALL
    };
    let found = started(place, "device", ExecuteOn::Device, &given, levels).await?;
    let below = format!("DEVICE a: a Ethernet1 {} Ethernet2", CLIENTS[0]);
    ensure!(found == [below], "{found:?}");
    let given = of(&all, ExecuteOn::Device, &["b"]);
    let found = started(place, "interfaces", ExecuteOn::Interface, &given, levels).await?;
    let below = format!("DEVICE b: b Ethernet1 Ethernet2 {}", CLIENTS[1]);
    ensure!(found == [below], "{found:?}");
    Ok(())
}

pub(crate) async fn targets_have_all_above_and_below_them(place: &Place) -> Result<()> {
    use ExecuteOn::{Client, Device, Global, Group, Interface};
    let [on_a, on_b, in_core] = CLIENTS;
    fleet(place).await?;
    let all = all_ids(place).await?;
    let a = format!("DEVICE a: a Ethernet1 {on_a} Ethernet2…");
    let b = format!("DEVICE b: b Ethernet1 Ethernet2 {on_b}…");
    let core = format!("GROUP core: {in_core}…");
    let fleet = "GLOBAL fleet";
    let campus = "GROUP campus…";
    let table: [(ExecuteOn, ElementSource, Vec<&str>); 13] = [
        (Global, ElementSource::Global, vec![fleet, campus, &core, &a, &b]),
        (Group, of(&all, Group, &["core"]), vec![fleet, &core, &a]),
        (Group, of(&all, Group, &["campus"]), vec![fleet, campus, &a, &b]),
        (Group, ElementSource::All, vec![fleet, campus, &core, &a, &b]),
        // The groups above a device are there without their clients.
        (
            Device,
            of(&all, Device, &["a"]),
            vec![fleet, campus, "GROUP core…", &a],
        ),
        (
            Device,
            of(&all, Group, &["campus"]),
            vec![fleet, campus, "GROUP core…", &a, &b],
        ),
        (Device, of(&all, Device, &[]), vec![]),
        (
            Interface,
            of(&all, Interface, &["a Ethernet2", "b Ethernet1"]),
            vec![
                fleet,
                campus,
                "GROUP core…",
                "DEVICE a: a Ethernet2…",
                "DEVICE b: b Ethernet1…",
            ],
        ),
        (
            Interface,
            ElementSource::All,
            vec![fleet, campus, "GROUP core…", &a, &b],
        ),
        (Client, of(&all, Client, &[in_core]), vec![fleet, &core]),
        (
            Client,
            of(&all, Client, &[on_b]),
            vec![fleet, campus, "DEVICE b: b Ethernet2 02:00:00:00:00:02…"],
        ),
        (
            Client,
            of(&all, Group, &["core"]),
            vec![fleet, campus, &core, "DEVICE a: a Ethernet1 02:00:00:00:00:01…"],
        ),
        (
            Client,
            ElementSource::All,
            vec![
                fleet,
                campus,
                &core,
                "DEVICE a: a Ethernet1 02:00:00:00:00:01…",
                "DEVICE b: b Ethernet2 02:00:00:00:00:02…",
            ],
        ),
    ];
    for (index, (run_on, source, expected)) in table.into_iter().enumerate() {
        let found = started(place, &index.to_string(), run_on, &source, ALL).await?;
        ensure!(found == expected, "{run_on} {source:?}: {found:?}");
    }
    // A level without a step has no elements.
    let groups = ElementLevels {
        groups: Some(0),
        ..ElementLevels::default()
    };
    let found = started(place, "groups", Device, &of(&all, Device, &["b"]), groups).await?;
    ensure!(found == ["GROUP campus"], "{found:?}");
    let found = started(
        place,
        "none",
        Device,
        &ElementSource::All,
        ElementLevels::default(),
    )
    .await?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

pub(crate) async fn a_client_below_nothing_that_takes_part_is_skipped_at_once(place: &Place) -> Result<()> {
    let [on_a, _, in_core] = CLIENTS;
    fleet(place).await?;
    let all = all_ids(place).await?;
    let given = of(&all, ExecuteOn::Client, &[on_a, in_core]);
    let on_interfaces = ElementLevels {
        interface_clients: true,
        ..DEVICES
    };
    let found = started(place, "interfaces", ExecuteOn::Client, &given, on_interfaces).await?;
    let skipped = format!("CLIENT {in_core} no-parent");
    let below = format!("DEVICE a: a Ethernet1 {on_a}");
    ensure!(found == [below, skipped], "{found:?}");
    let on_groups = ElementLevels {
        groups: Some(0),
        group_clients: true,
        ..ElementLevels::default()
    };
    let given = of(&all, ExecuteOn::Client, &[in_core, CLIENTS[1]]);
    let found = started(place, "groups", ExecuteOn::Client, &given, on_groups).await?;
    let core = format!("GROUP core: {in_core}");
    let skipped = format!("CLIENT {} no-parent", CLIENTS[1]);
    ensure!(found == ["GROUP campus", &core, &skipped], "{found:?}");
    // Only the fleet takes part, and it is above all.
    let global = ElementLevels {
        global: Some(0),
        ..ElementLevels::default()
    };
    let found = started(place, "fleet", ExecuteOn::Client, &given, global).await?;
    ensure!(found == ["GLOBAL fleet"], "{found:?}");
    Ok(())
}

pub(crate) async fn devices_behind_a_controller_are_one_element(place: &Place) -> Result<()> {
    use ExecuteOn::{Device, Global, Group, Interface};
    fleet(place).await?;
    create_all(place, &["c", "d"]).await?;
    control(place, "c", &["a", "b"]).await?;
    let all = all_ids(place).await?;
    let levels = DEVICES;
    let a = format!("a Ethernet1 {} Ethernet2", CLIENTS[0]);
    let b = format!("b Ethernet1 Ethernet2 {}", CLIENTS[1]);
    let whole = format!("DEVICE c: {a} {b} c");
    let table = [
        (Device, ElementSource::All, vec![&*whole, "DEVICE d: d"]),
        (Global, ElementSource::Global, vec![&*whole, "DEVICE d: d"]),
        (Device, of(&all, Device, &["c"]), vec!["DEVICE c: c"]),
        (Device, of(&all, Interface, &["b Ethernet1"]), vec![&*b]),
        (Group, of(&all, Group, &["core"]), vec![&*a]),
        (
            Interface,
            of(&all, Interface, &["b Ethernet1"]),
            vec!["DEVICE c: b Ethernet1"],
        ),
    ];
    for (index, (run_on, source, expected)) in table.into_iter().enumerate() {
        let found = started(place, &index.to_string(), run_on, &source, levels).await?;
        let expected: Vec<String> = expected
            .into_iter()
            .map(|text| {
                if text.starts_with("DEVICE") {
                    text.to_owned()
                } else {
                    format!("DEVICE c: {text}")
                }
            })
            .collect();
        ensure!(found == expected, "{run_on} {source:?}: {found:?}");
    }
    Ok(())
}
