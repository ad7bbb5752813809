//! The providers that look at what is known about entities, run by the run cycle.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use lockstep_execution::cycle::PhaseRole::{self, Main, Pre};
use lockstep_execution::cycle::{Check, CheckResult, Half, Produced, Unit, UnitRun, run_unit};
use lockstep_execution::fake::{EmptyStore, NoDevices};
use lockstep_execution::{CycleResult, ElementAttempt, Entity, EntityData, Registry, check_arguments};
use lockstep_protocol::{ElementState, EntityType, Level};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::fleet::{entity, fleet};

/// What is known about entities, and which of them were read.
#[derive(Debug, Default)]
struct Known {
    entities: BTreeMap<(EntityType, u64), Value>,
    below: Vec<(String, Option<CheckResult>)>,
    read: Mutex<Vec<(EntityType, u64)>>,
}

#[async_trait]
impl EntityData for Known {
    async fn entity(&self, entity_type: EntityType, id: u64) -> Result<Value, String> {
        self.read
            .lock()
            .expect("nobody panics while it is held")
            .push((entity_type, id));
        self.entities
            .get(&(entity_type, id))
            .cloned()
            .ok_or_else(|| "the store is not available".to_owned())
    }

    async fn checks_below(
        &self,
        entity_type: EntityType,
        id: u64,
        below: EntityType,
        key: &str,
    ) -> Result<Vec<(String, Option<CheckResult>)>, String> {
        assert_eq!(
            (entity_type, id, below, key),
            (EntityType::Device, 13, EntityType::Interface, "up")
        );
        Ok(self.below.clone())
    }
}

fn known(entities: impl IntoIterator<Item = (EntityType, u64, Value)>) -> Known {
    let entities = entities.into_iter().map(|(kind, id, value)| ((kind, id), value));
    Known {
        entities: entities.collect(),
        ..Known::default()
    }
}

/// Runs a built-in provider on a unit of the fleet.
async fn run(
    provider: &str,
    at: usize,
    role: PhaseRole,
    known: &Known,
    arguments: &Value,
) -> (Vec<CycleResult>, Produced) {
    let provider = Registry::built_in()
        .get(provider)
        .expect("it is built in")
        .clone();
    check_arguments(&provider.properties().json_schema, arguments).expect("they are valid");
    let fleet = fleet();
    let group = |(name, id)| (entity(Level::Group, id, name), Value::Null);
    let is_group = |(name, _): &(&str, u64)| fleet[at].groups.contains(name);
    let groups = crate::fleet::GROUPS.into_iter().filter(is_group).map(group);
    let above: Vec<(Entity, Value)> = groups.collect();
    let cancel = CancellationToken::new();
    let run_arguments = json!({"most": 3});
    let unit = Unit {
        element: ElementAttempt::default(),
        provider: &*provider,
        steps: provider.steps(arguments),
        role,
        tree: &fleet[at].tree,
        half: Half::Both,
        above: &above,
        dry_run: true,
        arguments,
        run_arguments: &run_arguments,
        cancel: &cancel,
        devices: &NoDevices,
        children: None,
        entities: known,
        results: &EmptyStore,
        journal: None,
    };
    let mut run = UnitRun::begin(unit.tree, Vec::new(), &[]);
    run_unit(&unit, &mut run).await.expect("nobody tells it to stop");
    (run.results, run.produced)
}

fn states(results: &[CycleResult], level: Level) -> Vec<(&str, ElementState, Option<&str>)> {
    let at_level = results.iter().filter(|result| result.level == level);
    at_level
        .map(|result| (result.name.as_str(), result.state, result.reason.as_deref()))
        .collect()
}

fn checks(produced: &Produced) -> Vec<(u64, CheckResult, Option<&str>)> {
    let check = |check| {
        let Check {
            entity,
            result,
            reason,
            ..
        }: &Check = check;
        (*entity, *result, reason.as_deref())
    };
    let mut checks: Vec<_> = produced.checks.iter().map(check).collect();
    checks.sort_unstable_by_key(|(entity, ..)| *entity);
    checks
}

#[tokio::test]
async fn a_check_by_a_template_sees_the_entity_and_those_above_it_and_reads_only_what_it_names() {
    let interface = |id, facts: Value| {
        (
            EntityType::Interface,
            id,
            json!({"name": format!("e{id}"), "facts": facts}),
        )
    };
    let known = known([
        interface(21, json!({"errors": 0})),
        interface(22, json!({"errors": 5})),
        interface(23, json!({})),
        (EntityType::Device, 11, json!({"facts": {"factor": 1}})),
        (EntityType::Device, 12, json!({"facts": {"factor": 1}})),
    ]);
    let arguments = json!({
        "run_on": "INTERFACE", "check_key": "errors",
        "expression": "interface.facts.errors * device.facts.factor <= input.most",
        "reason": "{{ interface.name }} has {{ interface.facts.errors }} errors",
    });
    let (results, produced) = run("template_check", 3, Main, &known, &arguments).await;
    let found = checks(&produced);
    assert_eq!(
        found[..2],
        [
            (21, CheckResult::Ok, None),
            (22, CheckResult::Nok, Some("e22 has 5 errors"))
        ]
    );
    let (entity, result, reason) = found[2];
    assert_eq!((entity, result), (23, CheckResult::Failed));
    assert!(
        reason.is_some_and(|reason| reason.contains("`interface.facts.errors` is undefined")),
        "{reason:?}"
    );
    let expected = [
        ("leaf1-1", ElementState::Successful, None),
        ("leaf1-2", ElementState::Successful, Some("nok")),
        ("leaf2-1", ElementState::Failed, Some("template-error")),
    ];
    assert_eq!(states(&results, Level::Interface), expected);
    let mut read = known.read.lock().unwrap().clone();
    read.sort_unstable();
    read.dedup();
    let devices = [(EntityType::Device, 11), (EntityType::Device, 12)];
    let interfaces = [21, 22, 23].map(|id| (EntityType::Interface, id));
    assert_eq!(read, [&devices[..], &interfaces[..]].concat());
}

#[tokio::test]
async fn a_check_by_a_template_that_is_not_fulfilled_fails_as_a_pre_task() {
    let known = known([(EntityType::Device, 13, json!({"groups": ["west"], "facts": {}}))]);
    let arguments = json!({"run_on": "DEVICE", "check_key": "east", "expression": "'east' in device.groups"});
    for (role, expected) in [
        (Main, ("spine", ElementState::Successful, Some("nok"))),
        (Pre, ("spine", ElementState::PrecheckFailed, Some("nok"))),
    ] {
        let (results, produced) = run("template_check", 4, role, &known, &arguments).await;
        assert_eq!(states(&results, Level::Device), [expected]);
        assert_eq!(checks(&produced), [(13, CheckResult::Nok, None)]);
    }
}

#[tokio::test]
async fn clients_see_their_interface_or_their_group() {
    let client = |id, interface: &str| (EntityType::Client, id, json!({"interface": interface}));
    let known = known([
        client(31, "-"),
        client(33, "e21"),
        (EntityType::Group, 1, json!({"name": "east"})),
        (EntityType::Interface, 21, json!({"name": "e21"})),
    ]);
    let of = |expression: &str| json!({"run_on": "CLIENT", "check_key": "place", "expression": expression});
    let (_, produced) = run("template_check", 1, Main, &known, &of("group.name == 'east'")).await;
    assert_eq!(checks(&produced), [(31, CheckResult::Ok, None)]);
    let (_, produced) = run(
        "template_check",
        3,
        Main,
        &known,
        &of("client.interface == interface.name"),
    )
    .await;
    assert_eq!(checks(&produced), [(33, CheckResult::Ok, None)]);
}

#[tokio::test]
async fn facts_by_a_template_are_facts_of_the_entity_in_a_dry_run_too() {
    let known = known([
        (
            EntityType::Group,
            1,
            json!({"name": "east", "facts": {"vlans": [10, 20]}}),
        ),
        (
            EntityType::Group,
            2,
            json!({"name": "west", "facts": {"vlans": [30]}}),
        ),
        (EntityType::Global, 0, json!({"name": "fleet", "facts": {}})),
    ]);
    let count =
        json!({"run_on": "GROUP", "facts_key": "count", "template": "{{ group.facts.vlans|length }}"});
    let (_, produced) = run("template_facts", 1, Main, &known, &count).await;
    assert_eq!(
        produced.facts,
        [(EntityType::Group, 1, "count".to_owned(), json!(2))]
    );
    let names = json!({"run_on": "DEVICE", "facts_key": "of", "expressions": {"groups": "groups|map(attribute='name')|list"}});
    let (_, produced) = run("template_facts", 3, Main, &known, &names).await;
    let value = json!({"groups": ["east", "west"]});
    let expected = [11, 12].map(|id| (EntityType::Device, id, "of".to_owned(), value.clone()));
    assert_eq!(produced.facts, expected);
    let common = json!({"run_on": "GLOBAL", "facts_key": "most", "expressions": {"most": "input.most", "name": "fleet.name"}});
    let (_, produced) = run("template_facts", 0, Main, &known, &common).await;
    let value = json!({"most": 3, "name": "fleet"});
    assert_eq!(
        produced.facts,
        [(EntityType::Global, 0, "most".to_owned(), value)]
    );
}

#[tokio::test]
async fn an_aggregation_is_a_check_of_the_device_and_fails_without_anything_to_count() {
    let arguments = json!({"run_on": "DEVICE", "check_key": "all-up", "of": "INTERFACE", "of_check": "up", "percent": 50});
    let below = |results: &[Option<CheckResult>]| Known {
        below: results.iter().map(|result| ("e".to_owned(), *result)).collect(),
        ..Known::default()
    };
    for (results, expected) in [
        (&[Some(CheckResult::Ok), None][..], CheckResult::Ok),
        (&[Some(CheckResult::Ok), None, None][..], CheckResult::Nok),
        (&[][..], CheckResult::Failed),
    ] {
        let (ran, produced) = run("check_aggregation", 4, Main, &below(results), &arguments).await;
        let [check] = &produced.checks[..] else {
            panic!("{:?}", produced.checks);
        };
        assert_eq!(
            (check.key.as_str(), check.entity, check.result),
            ("all-up", 13, expected)
        );
        let failed = states(&ran, Level::Device)[0].1 == ElementState::Failed;
        assert_eq!(failed, expected == CheckResult::Failed);
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_read_fails_the_step() {
    let arguments = json!({"run_on": "DEVICE", "check_key": "c", "expression": "device.hostname == 'x'"});
    let (results, _) = run("template_check", 4, Main, &known([]), &arguments).await;
    let expected = [("spine", ElementState::Failed, Some("store-unavailable"))];
    assert_eq!(states(&results, Level::Device), expected);
}
