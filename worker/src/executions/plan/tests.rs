use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_execution::{
    CycleStep, ProviderProperties, ProviderType, StepDone, StepFailure, StepRun, Steps,
};
use serde_json::json;

use super::*;

#[derive(Debug)]
struct Fake(ProviderProperties);

#[async_trait]
impl Provider for Fake {
    fn properties(&self) -> &ProviderProperties {
        &self.0
    }

    fn steps(&self, _arguments: &Value) -> Steps {
        Steps::of(&[CycleStep::RunOnDevice])
    }

    async fn run_on_device(&self, _run: &StepRun<'_>) -> Result<StepDone, StepFailure> {
        unreachable!("it is only planned")
    }
}

fn fake(run_on: Option<ExecuteOn>, strict: bool, all_if_empty: bool) -> Registry {
    Registry::default().with(Fake(properties(run_on, strict, all_if_empty)))
}

fn properties(run_on: Option<ExecuteOn>, strict: bool, all_if_empty: bool) -> ProviderProperties {
    ProviderProperties {
        name: "fake".into(),
        short_description: "".into(),
        description: "".into(),
        provider_type: ProviderType::Check,
        run_on,
        run_on_strict: strict,
        run_on_all_if_empty: all_if_empty,
        run_on_result: None,
        facts_for: Vec::new(),
        lane: Lane::Devices,
        success_message: None,
        repeatable: true,
        deprecated: None,
        ui_schema: None,
        run_input_ui_schema: None,
        json_schema: json!({"properties": {"commands": {"type": "array", "items": {"type": "string"}}}}),
        run_input_json_schema: json!({"properties": {"count": {"type": "integer"}}}),
    }
}

fn task(provider: &str, arguments: Value) -> TaskRow {
    TaskRow {
        number: 1,
        name: "check".to_owned(),
        description: None,
        provider: provider.to_owned(),
        arguments,
        saved_at: Timestamp::UNIX_EPOCH,
        saved_by: None,
        pre_tasks: Vec::new(),
        post_tasks: Vec::new(),
        run_input_json_schema: None,
        run_input_ui_schema: None,
    }
}

fn request(execute_on_type: ExecuteOn, execute_on: &[u64], arguments: Value) -> TaskRequested {
    TaskRequested {
        task: "check".into(),
        execute_on: execute_on.to_vec(),
        execute_on_names: Vec::new(),
        execute_on_type,
        dry_run: true,
        arguments,
        limits: lockstep_protocol::commands::RunLimits::default(),
    }
}

#[test]
fn a_task_runs_on_what_is_named_and_never_on_all_by_accident() {
    use ExecuteOn::{Device, Global, Group, Interface};
    let of = |entity_type, ids: &[u64]| {
        Ok(ElementSource::Of {
            entity_type,
            ids: ids.to_vec(),
        })
    };
    let wrong = || Err("$.data.execute_on_type");
    let table = [
        // run_on, strict, all if empty, named kind, ids, expected
        (Device, false, false, Device, &[1, 2][..], of(Device, &[1, 2])),
        (Device, false, false, Group, &[1], of(Group, &[1])),
        (Device, true, false, Group, &[1], wrong()),
        (Device, true, false, Device, &[1], of(Device, &[1])),
        (Device, false, false, Device, &[], of(Device, &[])),
        (Device, false, false, Global, &[], of(Global, &[])),
        (Device, false, false, Global, &[1], wrong()),
        (Device, false, true, Device, &[], Ok(ElementSource::All)),
        (Device, false, true, Device, &[3], of(Device, &[3])),
        (Interface, true, true, Device, &[], wrong()),
        (Global, false, false, Global, &[], Ok(ElementSource::Global)),
        (Global, false, false, Device, &[1], Ok(ElementSource::Global)),
        (Global, true, false, Device, &[], wrong()),
    ];
    for (run_on, strict, all, named, ids, expected) in table {
        let registry = fake(Some(run_on), strict, all);
        let request = request(named, ids, Value::Null);
        let planned = plan(
            &registry,
            &task("fake", Value::Null),
            &BTreeMap::new(),
            &request,
            "$.data",
        );
        let case = format!("{run_on} {strict} {all} {named} {ids:?}");
        match (planned, expected) {
            (Ok(planned), Ok(source)) => {
                assert_eq!((planned.run_on, planned.source), (run_on, source), "{case}");
            }
            (Err(rejection), Err(place)) => {
                assert_eq!(
                    (rejection.code, &*rejection.place),
                    (Code::WrongEntity, place),
                    "{case}"
                );
            }
            (planned, _) => panic!("{case}: {planned:?}"),
        }
    }
}

#[test]
fn what_is_wrong_with_a_request_is_told_with_its_place() {
    let registry = fake(Some(ExecuteOn::Device), false, false);
    let devices = |arguments| request(ExecuteOn::Device, &[1], arguments);
    let table = [
        (
            task("other", Value::Null),
            devices(Value::Null),
            Code::UnknownProvider,
            "$.data.task.task",
        ),
        (
            task("fake", json!({"commands": [1]})),
            devices(Value::Null),
            Code::InvalidArguments,
            "$.data.task.task",
        ),
        (
            task("fake", Value::Null),
            devices(json!({"count": "many"})),
            Code::InvalidArguments,
            "$.data.task.arguments.count",
        ),
    ];
    for (task, request, code, place) in table {
        let rejection = plan(&registry, &task, &BTreeMap::new(), &request, "$.data.task").unwrap_err();
        assert_eq!((rejection.code, &*rejection.place), (code, place), "{rejection}");
    }
    let provider = registry.get("fake").unwrap();
    let rejection = check_task(&**provider, &json!({"commands": ["a", 2]}), "$.data.arguments").unwrap_err();
    assert_eq!(rejection.place, "$.data.arguments.commands[1]");
    let unclear = fake(None, false, false);
    let rejection =
        check_task(&**unclear.get("fake").unwrap(), &Value::Null, "$.data.arguments").unwrap_err();
    assert_eq!(rejection.code, Code::InvalidArguments);
}

#[test]
fn pre_and_post_tasks_are_checked_and_planned_in_their_order() {
    let provider = |name: &'static str, lane, schema| {
        let mut fake = properties(Some(ExecuteOn::Group), false, false);
        fake.name = name.into();
        fake.lane = lane;
        fake.run_input_json_schema = schema;
        Fake(fake)
    };
    let registry = fake(Some(ExecuteOn::Device), false, false)
        .with(provider("other", Lane::Devices, json!({})))
        .with(provider("elsewhere", Lane::Cvp, json!({})))
        .with(provider("asks", Lane::Devices, json!({"required": ["count"]})));
    let rows = [
        ("a", "other"),
        ("b", "fake"),
        ("far", "elsewhere"),
        ("asking", "asks"),
        ("lost", "nobody"),
    ];
    let rows = rows.map(|(name, provider)| TaskRow {
        name: name.to_owned(),
        ..task(provider, Value::Null)
    });
    let tasks: BTreeMap<String, TaskRow> = rows.map(|row| (row.name.clone(), row)).into();
    let planned = |before: &[&str], after: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let task = TaskRow {
            pre_tasks: names(before),
            post_tasks: names(after),
            ..task("fake", Value::Null)
        };
        plan(
            &registry,
            &task,
            &tasks,
            &request(ExecuteOn::Device, &[1], Value::Null),
            "$.data",
        )
    };
    let plan = planned(&["a"], &["b", "a"]).unwrap();
    let names = |tasks: &[PhaseTask]| tasks.iter().map(|task| task.task.clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(&plan.pre_tasks), names(&plan.post_tasks)),
        (vec!["a".to_owned()], vec!["b".to_owned(), "a".to_owned()])
    );
    let first = &plan.pre_tasks[0];
    assert_eq!(
        (first.provider.as_str(), first.run_on),
        ("other", ExecuteOn::Group)
    );
    let phases: Vec<u8> = plan.stages.iter().map(|stage| stage.phase).collect();
    assert_eq!(phases, [0, 1, 2, 3]);
    assert_eq!((plan.levels.devices, plan.levels.groups), (Some(0), None));
    for (before, code, reason) in [
        ("far", Code::InvalidArguments, "runs on the lane cvp"),
        ("asking", Code::InvalidArguments, "needs arguments of the run"),
        ("lost", Code::UnknownProvider, "nobody"),
        ("nothing", Code::UnknownTask, "task check names nothing"),
        ("check", Code::InvalidArguments, "check → check"),
    ] {
        for rejection in [
            planned(&[before], &[]).unwrap_err(),
            planned(&[], &[before]).unwrap_err(),
        ] {
            assert_eq!(
                (rejection.code, &*rejection.place),
                (code, "$.data.task"),
                "{rejection}"
            );
            assert!(rejection.reason.contains(reason), "{rejection}");
        }
    }
}

#[test]
fn a_run_takes_what_the_provider_and_the_task_say() {
    let registry = fake(Some(ExecuteOn::Device), false, false);
    let own = json!({
        "type": "object",
        "required": ["vlan"],
        "properties": {"vlan": {"type": "integer"}, "mode": {"enum": ["access", "trunk"], "default": "trunk"}},
        "additionalProperties": false,
    });
    let task = TaskRow {
        run_input_json_schema: Some(own.clone()),
        ..task("fake", Value::Null)
    };
    let planned = |arguments: Value| {
        let request = request(ExecuteOn::Device, &[1], arguments);
        plan(&registry, &task, &BTreeMap::new(), &request, "$.data")
    };
    for (given, expected) in [
        (json!({"vlan": 7}), json!({"vlan": 7, "mode": "trunk"})),
        (
            json!({"vlan": 7, "mode": "access", "count": 3}),
            json!({"vlan": 7, "mode": "access", "count": 3}),
        ),
    ] {
        assert_eq!(planned(given).unwrap().arguments, expected);
    }
    for (given, place) in [
        (Value::Null, "$.data.arguments"),
        (json!({"vlan": "7"}), "$.data.arguments.vlan"),
        (json!({"vlan": 7, "count": "many"}), "$.data.arguments.count"),
        (json!({"vlan": 7, "mode": null}), "$.data.arguments.mode"),
        (json!({"vlan": 7, "other": 1}), "$.data.arguments"),
    ] {
        let rejection = planned(given).unwrap_err();
        assert_eq!(
            (rejection.code, &*rejection.place),
            (Code::InvalidArguments, place)
        );
        assert!(
            rejection
                .reason
                .ends_with("`lockstep tasks form \"check\"` shows what a run takes"),
            "{rejection}"
        );
    }
    // All errors are told; the place is that of the first one.
    let rejection = planned(json!({"vlan": "7", "mode": 1})).unwrap_err();
    assert!(
        rejection.reason.contains("/mode: 1") && rejection.reason.contains("/vlan: \"7\""),
        "{rejection}"
    );
}

#[test]
fn what_a_task_adds_is_checked_before_it_is_saved() {
    let registry = fake(Some(ExecuteOn::Device), false, false);
    let provider = registry.get("fake").unwrap();
    let checked = |json_schema: &Value, ui_schema: Option<&Value>| {
        let own = RunInput {
            json_schema: Some(json_schema),
            ui_schema,
        };
        check_own(&**provider, own, "$.data").map_err(|rejection| rejection.place)
    };
    let vlan = json!({"type": "object", "properties": {"vlan": {"type": "integer"}}});
    let control = |scope: &str| json!({"type": "Control", "scope": scope});
    assert_eq!(checked(&vlan, Some(&control("#/properties/vlan"))), Ok(()));
    assert_eq!(
        checked(&vlan, Some(&control("#/properties/wlan"))),
        Err("$.data.run_input_ui_schema.scope".to_owned())
    );
    let other = json!({"type": "object", "properties": {"count": {"type": "string"}}});
    assert_eq!(
        checked(&other, None),
        Err("$.data.run_input_json_schema.properties.count".to_owned())
    );
}

#[test]
fn pre_and_post_tasks_run_with_the_defaults_of_their_own_arguments() {
    let registry = fake(Some(ExecuteOn::Device), false, false);
    let with_own = |name: &str, own: Value| TaskRow {
        name: name.to_owned(),
        run_input_json_schema: Some(own),
        ..task("fake", Value::Null)
    };
    let mode = json!({"type": "object", "properties": {"mode": {"default": "trunk"}}});
    let vlan = json!({"type": "object", "required": ["vlan"]});
    let rows = [with_own("defaults", mode), with_own("asks", vlan)];
    let tasks: BTreeMap<String, TaskRow> = rows.map(|row| (row.name.clone(), row)).into();
    let planned = |before: &str| {
        let task = TaskRow {
            pre_tasks: vec![before.to_owned()],
            ..task("fake", Value::Null)
        };
        let request = request(ExecuteOn::Device, &[1], Value::Null);
        plan(&registry, &task, &tasks, &request, "$.data")
    };
    let plan = planned("defaults").unwrap();
    assert_eq!(plan.pre_tasks[0].run_arguments, json!({"mode": "trunk"}));
    assert_eq!(plan.arguments, Value::Null);
    let rejection = planned("asks").unwrap_err();
    assert!(
        rejection.reason.contains("needs arguments of the run"),
        "{rejection}"
    );
}
