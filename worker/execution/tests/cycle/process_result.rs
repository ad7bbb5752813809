use lockstep_execution::cycle::PhaseRole::{self, Main, Post, Pre};
use lockstep_execution::cycle::{Check, CheckResult, Produced, Unit, UnitRun, run_unit, unit_end};
use lockstep_execution::{CycleResult, ProviderType, StepDone};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, EntityType, Level};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::engine::unit;
use crate::fleet::fleet;
use crate::recorder::{Behaviour, Recorder};

/// Type, unit, what it runs on, steps, `facts_for`, arguments; the kinds and ids that get the fact.
type Row<'a> = (
    ProviderType,
    usize,
    ExecuteOn,
    &'a [u8],
    &'static [ExecuteOn],
    &'a Value,
    &'a [(EntityType, u64)],
);

/// Runs a provider on a unit of the fleet.
async fn run(
    recorder: &Recorder,
    at: usize,
    role: PhaseRole,
    arguments: &Value,
) -> (Vec<CycleResult>, Produced) {
    let fleet = fleet();
    let tree = &fleet[at].tree;
    let cancel = CancellationToken::new();
    let unit = Unit {
        role,
        ..unit(recorder, tree, &cancel, arguments)
    };
    let mut run = UnitRun::begin(tree, Vec::new(), &[]);
    run_unit(&unit, &mut run).await.expect("nobody tells it to stop");
    (run.results, run.produced)
}

fn returns(data: Value) -> Behaviour {
    Behaviour::Returns(StepDone {
        data,
        ..StepDone::default()
    })
}

#[tokio::test]
async fn data_of_a_facts_provider_become_facts_under_the_key_of_the_task() {
    use ExecuteOn::{Device, Global, Interface};
    let key = json!({"facts_key": "seen"});
    let none = json!({});
    let both: &[ExecuteOn] = &[Device, Interface];
    let table: [Row<'_>; 8] = [
        (
            ProviderType::Facts,
            4,
            Device,
            &[9, 10],
            &[],
            &key,
            &[(EntityType::Device, 13)],
        ),
        (ProviderType::Facts, 4, Device, &[9, 10], &[], &none, &[]),
        (ProviderType::Execute, 4, Device, &[9, 10], &[], &key, &[]),
        (
            ProviderType::Facts,
            4,
            Device,
            &[9, 10],
            both,
            &key,
            &[(EntityType::Interface, 24), (EntityType::Device, 13)],
        ),
        (
            ProviderType::Facts,
            4,
            Interface,
            &[9, 10],
            &[],
            &key,
            &[(EntityType::Interface, 24)],
        ),
        // The device that is connected to and its device are one entity: one fact.
        (
            ProviderType::Facts,
            4,
            Device,
            &[10, 11],
            &[],
            &key,
            &[(EntityType::Device, 13)],
        ),
        (
            ProviderType::Facts,
            4,
            Device,
            &[11],
            &[],
            &key,
            &[(EntityType::Device, 13)],
        ),
        (
            ProviderType::Facts,
            0,
            Global,
            &[14],
            &[],
            &key,
            &[(EntityType::Global, 0)],
        ),
    ];
    for (kind, at, run_on, steps, facts_for, arguments, expected) in table {
        let mut recorder = Recorder::of(kind, run_on, steps);
        recorder.properties.facts_for = facts_for.to_vec();
        let (_, produced) = run(&recorder, at, Main, arguments).await;
        let facts: Vec<(EntityType, u64)> = produced
            .facts
            .iter()
            .map(|(kind, id, key, value)| {
                assert!(key == "seen" && value.is_string());
                (*kind, *id)
            })
            .collect();
        assert_eq!(facts, expected, "{kind:?} {run_on} {steps:?} {facts_for:?}");
    }
}

#[tokio::test]
async fn no_fact_comes_from_a_failure_from_nothing_or_beside_one_that_the_step_returned() {
    let key = json!({"facts_key": "seen"});
    let own = Behaviour::Returns(StepDone {
        data: json!("in another form"),
        facts: vec![("seen".to_owned(), json!("own"))],
        ..StepDone::default()
    });
    let expected = [vec![], vec![], vec![json!("own")]];
    for (behaviour, expected) in [Behaviour::Fails, returns(Value::Null), own]
        .into_iter()
        .zip(expected)
    {
        let recorder = Recorder::of(ProviderType::Facts, ExecuteOn::Device, &[10]);
        let recorder = recorder.with(10, "spine", behaviour);
        let (_, produced) = run(&recorder, 4, Main, &key).await;
        let values: Vec<Value> = produced.facts.into_iter().map(|(.., value)| value).collect();
        assert_eq!(values, expected);
    }
}

#[tokio::test]
async fn data_of_a_check_provider_become_checks_under_the_key_of_the_task() {
    use CheckResult::{Failed, Nok, Ok};
    let broken = || Some("it broke");
    let table = [
        (returns(json!(true)), Some((Ok, None))),
        (returns(json!(false)), Some((Nok, None))),
        (returns(json!({"result": "ok"})), Some((Ok, None))),
        (
            returns(json!({"result": "nok", "reason": "3 of 4", "metrics": 3})),
            Some((Nok, Some("3 of 4"))),
        ),
        (
            returns(json!({"result": "failed", "reason": "no answer", "metrics": 3})),
            Some((Failed, Some("no answer"))),
        ),
        (
            returns(json!({"round_trip_ms": 3})),
            Some((Failed, Some("the provider returned no result of a check"))),
        ),
        (Behaviour::Fails, Some((Failed, broken()))),
    ];
    for (behaviour, expected) in table {
        let recorder = Recorder::of(ProviderType::Check, ExecuteOn::Device, &[10]);
        let recorder = recorder.with(10, "spine", behaviour);
        let (results, produced) = run(&recorder, 4, Main, &json!({"check_key": "up"})).await;
        let expected = expected.map(|(result, reason)| Check {
            entity_type: EntityType::Device,
            entity: 13,
            key: "up".to_owned(),
            result,
            reason: reason.map(str::to_owned),
            metrics: results[1].data.get("metrics").cloned().unwrap_or_default(),
        });
        assert_eq!(produced.checks.first(), expected.as_ref());
        assert_eq!(produced.checks.len(), 1);
    }
    // Without a key, data in another form are data; a failure is one.
    let recorder = Recorder::of(ProviderType::Check, ExecuteOn::Device, &[10]);
    let (results, produced) = run(&recorder, 4, Main, &json!({})).await;
    assert_eq!(results[1].state, ElementState::Successful);
    assert!(produced.checks.is_empty());
    // There are no checks of the fleet, nor of what was skipped, nor of a kind that the provider does not check.
    let recorder = Recorder::of(ProviderType::Check, ExecuteOn::Global, &[14]);
    let recorder = recorder.with(14, "fleet", returns(json!(false)));
    let (results, produced) = run(&recorder, 0, Main, &json!({"check_key": "up"})).await;
    assert_eq!(results[0].reason.as_deref(), Some("nok"));
    assert!(produced.checks.is_empty());
    let recorder = Recorder::of(ProviderType::Check, ExecuteOn::Interface, &[5, 9]);
    let recorder = recorder.with(5, "spine", Behaviour::Fails);
    let (_, produced) = run(&recorder, 4, Main, &json!({"check_key": "up"})).await;
    assert!(produced.checks.is_empty());
}

#[tokio::test]
async fn a_check_that_is_not_fulfilled_fails_a_pre_or_post_task_and_no_task_of_its_own() {
    use ElementState::{Failed, PostcheckFailed, PrecheckFailed, Successful};
    // data; role; state and reason of the unit
    let table = [
        (json!(true), Main, Successful, None),
        (json!(true), Pre, Successful, None),
        (json!(false), Main, Successful, Some("nok")),
        (json!(false), Pre, PrecheckFailed, Some("nok")),
        (json!(false), Post, PostcheckFailed, Some("nok")),
        (json!({"result": "failed"}), Main, Failed, Some("check-failed")),
        (
            json!({"result": "failed"}),
            Pre,
            PrecheckFailed,
            Some("check-failed"),
        ),
        (json!({"version": "4.30"}), Pre, Successful, None),
    ];
    for (data, role, state, reason) in table {
        let recorder = Recorder::of(ProviderType::Check, ExecuteOn::Device, &[10]);
        let recorder = recorder.with(10, "spine", returns(data.clone()));
        let (results, _) = run(&recorder, 4, role, &json!({})).await;
        let end = unit_end(&results, Level::Device, role);
        assert_eq!(
            (end.state, end.reason.as_deref()),
            (state, reason),
            "{data} {role:?}"
        );
    }
}
