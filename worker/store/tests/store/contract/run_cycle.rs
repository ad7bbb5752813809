//! What the run cycle reads and writes beside elements.

use anyhow::{Context, Result, ensure};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, Level};
use lockstep_store::{
    ElementEnd, ElementLevels, ElementSource, EntityResult, EntityResultQuery, JournalEntry, UnitEntities,
    UnitLevels,
};
use serde_json::{Value, json};

use super::executions::{
    CLIENTS, LONG, NO_TIME, change, claim, control, elements, end, entity_result, finish, fleet, group, ids,
    new_execution, owner, start_at,
};
use super::{Place, create_all, hostname};

/// An execution whose devices run at once; all other elements wait for later stages.
const LEVELS: ElementLevels = ElementLevels {
    global: Some(1),
    groups: Some(2),
    devices: Some(0),
    group_clients: true,
    interface_clients: true,
};

/// The numbers of the elements of the fleet, of groups and devices, by name.
async fn run(place: &Place, name: &str) -> Result<(u64, std::collections::BTreeMap<String, u64>)> {
    let new = new_execution(name, ExecuteOn::Device);
    let started = start_at(place, &new, &ElementSource::All, LEVELS).await?;
    let rows = elements(place, started.number).await?.into_iter();
    Ok((started.number, rows.map(|row| (row.name, row.number)).collect()))
}

pub(crate) async fn a_unit_has_its_entities_in_order(place: &Place) -> Result<()> {
    fleet(place).await?;
    create_all(place, &["c"]).await?;
    control(place, "c", &["b", "a"]).await?;
    place
        .probe
        .texts("UPDATE device SET management_ip = '10.0.0.7', platform = 'eos', \
                data = '{\"management_host\":\"a.example.org\",\"management_port\":8443}' WHERE hostname = 'a'")
        .await?;
    let (_, numbers) = run(place, "first").await?;
    let all = UnitLevels {
        above: None,
        interfaces: true,
        clients: true,
        item: false,
    };
    let unit = place.store.unit(numbers["c"], all).await?;
    ensure!(unit.above.is_empty(), "{unit:?}");
    let of: Vec<(Level, &str, Option<usize>)> = unit
        .entities
        .iter()
        .map(|entity| (entity.level, &*entity.name, entity.parent))
        .collect();
    let expected = [
        (Level::NornirDevice, "c", None),
        (Level::Device, "a", Some(0)),
        (Level::Interface, "Ethernet1", Some(1)),
        (Level::InterfaceClient, CLIENTS[0], Some(2)),
        (Level::Interface, "Ethernet2", Some(1)),
        (Level::Device, "b", Some(0)),
        (Level::Interface, "Ethernet1", Some(5)),
        (Level::Interface, "Ethernet2", Some(5)),
        (Level::InterfaceClient, CLIENTS[1], Some(7)),
        (Level::Device, "c", Some(0)),
    ];
    ensure!(of == expected, "{of:?}");
    let device = unit.entities[1].device.as_ref().context("a device")?;
    ensure!(device.hostname == hostname("a") && device.platform.as_deref() == Some("eos"));
    ensure!(device.management_ip == Some("10.0.0.7".parse()?), "{device:?}");
    let endpoint = (device.endpoint.host.as_deref(), device.endpoint.port.as_deref());
    ensure!(endpoint == (Some("a.example.org"), Some("8443")), "{endpoint:?}");
    ensure!(device.groups == [group("campus"), group("core")], "{device:?}");
    ensure!(unit.entities[1].id == ids(place, ExecuteOn::Device).await?["a"]);
    ensure!(unit.entities[2].device.is_none());

    let devices = place.store.unit(numbers["c"], UnitLevels::default()).await?;
    let names: Vec<&str> = devices.entities.iter().map(|entity| &*entity.name).collect();
    ensure!(names == ["c", "a", "b", "c"], "{names:?}");
    ensure!(place.store.unit(999_999, all).await? == UnitEntities::default());
    ensure!(place.store.unit(numbers["fleet"], all).await? == UnitEntities::default());
    Ok(())
}

pub(crate) async fn a_unit_sees_the_pre_run_results_above_it(place: &Place) -> Result<()> {
    fleet(place).await?;
    let (_, numbers) = run(place, "first").await?;
    let groups = ids(place, ExecuteOn::Group).await?;
    let me = owner("worker");
    for name in ["fleet", "campus", "core"] {
        ensure!(
            claim(&*place.store, &[numbers[name]].into(), me, LONG)
                .await?
                .len()
                == 1
        );
        let (level, entity) = match name {
            "fleet" => (Level::Global, 0),
            other => (Level::Group, groups[other]),
        };
        let failed = name == "core";
        let state = if failed {
            ElementState::Failed
        } else {
            ElementState::Pending
        };
        let ended = ElementEnd {
            next: (!failed).then_some(3),
            results: vec![entity_result(level, entity, state)],
            data: Value::Null.into(),
            ..end(numbers[name], state)
        };
        ensure!(finish(place, &[ended], Some(me)).await?.len() == 1);
    }
    let above = async |element: &str, phase| -> Result<Vec<(Level, String, Value)>> {
        let levels = UnitLevels {
            above: Some(phase),
            ..UnitLevels::default()
        };
        let above = place
            .store
            .unit(numbers[element], levels)
            .await?
            .above
            .into_iter();
        Ok(above
            .map(|(entity, pre_run)| (entity.level, entity.name, pre_run))
            .collect())
    };
    let fleet = |pre_run| (Level::Global, "fleet".to_owned(), pre_run);
    let group = |name: &str, pre_run| (Level::Group, name.to_owned(), pre_run);
    let before = |entity: u64| json!({"before": [entity, null]});
    // A failed group is there without its result.
    ensure!(
        above("a", 0).await?
            == [
                fleet(before(0)),
                group("campus", before(groups["campus"])),
                group("core", Value::Null)
            ]
    );
    ensure!(above("b", 0).await? == [fleet(before(0)), group("campus", before(groups["campus"]))]);
    ensure!(above("core", 0).await? == [fleet(before(0))]);
    // Nothing but the fleet is above an item, in the same phase.
    let above_item = async |phase| {
        let levels = UnitLevels {
            above: phase,
            item: true,
            ..UnitLevels::default()
        };
        place.store.unit(numbers["a"], levels).await
    };
    let unit = above_item(Some(0)).await?;
    let pre_run: Vec<(Level, &Value)> = unit
        .above
        .iter()
        .map(|(entity, pre_run)| (entity.level, pre_run))
        .collect();
    ensure!(
        pre_run == [(Level::Global, &before(0))] && unit.entities.is_empty(),
        "{unit:?}"
    );
    let unit = above_item(Some(1)).await?;
    ensure!(unit.above.len() == 1 && unit.above[0].1.is_null(), "{unit:?}");
    ensure!(above_item(None).await? == UnitEntities::default());
    ensure!(above("fleet", 0).await?.is_empty());
    // In another phase nothing ran.
    ensure!(above("b", 1).await? == [fleet(Value::Null), group("campus", Value::Null)]);
    Ok(())
}

pub(crate) async fn results_of_entities_are_replaced_and_read_in_pages(place: &Place) -> Result<()> {
    fleet(place).await?;
    let (execution, numbers) = run(place, "first").await?;
    let [a, b] = [numbers["a"], numbers["b"]];
    let devices = ids(place, ExecuteOn::Device).await?;
    let interfaces = ids(place, ExecuteOn::Interface).await?;
    let me = owner("worker");
    ensure!(claim(&*place.store, &[a, b].into(), me, LONG).await?.len() == 2);
    let of_interface = |name: &str| EntityResult {
        parent: Some(devices[&name[..1]]),
        ..entity_result(Level::Interface, interfaces[name], ElementState::Successful)
    };
    let strange = EntityResult {
        reason: Some("why".to_owned()),
        message: Some("a\u{0}b".to_owned()),
        changed: true,
        pre_run: json!("\u{0}"),
        data: json!({"n": [1e308, null]}),
        ..entity_result(Level::NornirDevice, devices["a"], ElementState::Failed)
    };
    let ends = [
        ElementEnd {
            results: vec![
                of_interface("a Ethernet2"),
                strange.clone(),
                entity_result(Level::Device, devices["a"], ElementState::Pending),
                of_interface("a Ethernet1"),
            ],
            ..end(a, ElementState::PartialFailed)
        },
        ElementEnd {
            next: Some(3),
            results: vec![
                entity_result(Level::Device, devices["b"], ElementState::Pending),
                of_interface("b Ethernet1"),
            ],
            ..end(b, ElementState::Pending)
        },
    ];
    // Those of another attempt are not written.
    let stale = ends.clone().map(|end| ElementEnd { attempt: 2, ..end });
    ensure!(finish(place, &stale, Some(me)).await?.is_empty());
    ensure!(place.store.results_of(a).await?.is_empty());
    ensure!(finish(place, &ends, Some(me)).await?.len() == 2);
    let of_a = place.store.results_of(a).await?;
    let levels: Vec<(Level, u64)> = of_a.iter().map(|result| (result.level, result.entity)).collect();
    let expected = [
        (Level::NornirDevice, devices["a"]),
        (Level::Device, devices["a"]),
        (Level::Interface, interfaces["a Ethernet1"]),
        (Level::Interface, interfaces["a Ethernet2"]),
    ];
    ensure!(levels == expected, "{levels:?}");
    let stored = EntityResult {
        message: Some("a\u{fffd}b".to_owned()),
        ..strange
    };
    ensure!(
        of_a[0] == stored && of_a[2] == of_interface("a Ethernet1"),
        "{of_a:?}"
    );

    // The next stage of `b` ends, with another result of the same device and one of another phase.
    change!(place.store, |executions| {
        executions
            .begin_stage(execution, 3, 9, &lockstep_store::CapScope::Overall, LONG)
            .await?
    });
    ensure!(claim(&*place.store, &[b].into(), me, LONG).await?.len() == 1);
    let done = entity_result(Level::Device, devices["b"], ElementState::Successful);
    let other_phase = EntityResult {
        phase: 1,
        ..done.clone()
    };
    let last = ElementEnd {
        attempt: 2,
        results: vec![other_phase.clone(), done.clone()],
        ..end(b, ElementState::Successful)
    };
    ensure!(finish(place, &[last], Some(me)).await?.len() == 1);
    let of_b = place.store.results_of(b).await?;
    ensure!(
        of_b == [done, of_interface("b Ethernet1"), other_phase],
        "{of_b:?}"
    );

    pages_of_results(place, execution).await
}

/// Two results of devices and three of interfaces.
async fn pages_of_results(place: &Place, execution: u64) -> Result<()> {
    let devices = ids(place, ExecuteOn::Device).await?;
    let interfaces = ids(place, ExecuteOn::Interface).await?;
    let groups = ids(place, ExecuteOn::Group).await?;
    let page = async |level, of, after, limit| -> Result<Vec<u64>> {
        let query = EntityResultQuery {
            execution,
            phase: 0,
            level,
            of,
            after,
            limit,
        };
        let results = place.store.entity_results(&query).await?;
        Ok(results.into_iter().map(|result| result.entity).collect())
    };
    let [a, b] = [devices["a"], devices["b"]];
    ensure!(page(Level::Device, None, None, 9).await? == [a, b]);
    ensure!(page(Level::Device, None, None, 1).await? == [a]);
    ensure!(page(Level::Device, None, Some(a), 9).await? == [b]);
    ensure!(page(Level::Device, Some(groups["core"]), None, 9).await? == [a]);
    ensure!(page(Level::NornirDevice, Some(groups["core"]), None, 9).await? == [a]);
    ensure!(
        page(Level::NornirDevice, Some(999_999), None, 9)
            .await?
            .is_empty()
    );
    ensure!(page(Level::Interface, None, None, 9).await?.len() == 3);
    ensure!(page(Level::Interface, Some(b), None, 9).await? == [interfaces["b Ethernet1"]]);
    Ok(())
}

pub(crate) async fn the_journal_is_written_by_whoever_runs_the_element(place: &Place) -> Result<()> {
    create_all(place, &["a", "b", "c"]).await?;
    let (_, numbers) = run(place, "first").await?;
    let [a, b, c] = ["a", "b", "c"].map(|name| numbers[name]);
    let [me, other] = ["worker", "other"].map(owner);
    ensure!(claim(&*place.store, &[a].into(), me, LONG).await?.len() == 1);
    ensure!(claim(&*place.store, &[b].into(), me, NO_TIME).await?.len() == 1);
    let began = |element, level, entity| JournalEntry {
        element,
        stage: 0,
        level,
        entity,
        pre_run: true,
        result: None,
        facts: Vec::new(),
    };
    let entries = [
        began(a, Level::Device, 7),
        began(a, Level::NornirDevice, 7),
        began(b, Level::Device, 8),
        began(c, Level::Device, 9),
    ];
    // The time of the second one is over, and the third one does not run.
    ensure!(place.store.write_journal(me, &entries).await? == [b, c]);
    ensure!(place.store.write_journal(other, &entries).await? == [a, b, c]);
    ensure!(place.store.write_journal(me, &[]).await?.is_empty());
    ensure!(place.store.journal(b, 0).await?.is_empty());
    let result = EntityResult {
        message: Some("n\u{0}l".to_owned()),
        ..entity_result(Level::Device, 7, ElementState::Successful)
    };
    let ended = JournalEntry {
        result: Some(result),
        facts: vec![("seen".to_owned(), json!({"n\u{0}l": [1]}))],
        ..began(a, Level::Device, 7)
    };
    // In one call, the last entry about a step counts.
    let both = [began(a, Level::Device, 7), ended.clone()];
    ensure!(place.store.write_journal(me, &both).await?.is_empty());
    let journal = place.store.journal(a, 0).await?;
    ensure!(
        journal == [began(a, Level::NornirDevice, 7), ended],
        "{journal:?}"
    );
    ensure!(place.store.journal(a, 1).await?.is_empty());

    // The periodic task knows that there is one, and it goes when the element ends its stage.
    let lose = format!(
        "UPDATE element SET until = {} WHERE number = {a}",
        place.probe.earlier("until", 60)
    );
    place.probe.texts(&lose).await?;
    let expired = change!(place.store, |executions| executions.expired(10).await?);
    let journals = expired
        .iter()
        .map(|element| (element.number, element.has_journal));
    let mut journals: Vec<(u64, bool)> = journals.collect();
    journals.sort_unstable();
    ensure!(journals == [(a, true), (b, false)], "{journals:?}");
    let end = ElementEnd {
        results: vec![entity_result(Level::Device, 7, ElementState::Failed)],
        ..end(a, ElementState::Failed)
    };
    ensure!(finish(place, &[end], None).await?.len() == 1);
    ensure!(place.store.journal(a, 0).await?.is_empty());
    Ok(())
}
