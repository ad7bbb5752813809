use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::SignedDuration;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{ElementState, EntityType, ExecutionState};
use lockstep_store::{
    CapScope, ElementCounts, ElementEnd, ElementSource, ExecutionRow, FactRow, Halt, NewExecution, NewFact,
    QueuedElement, StoppedElement, StoreError,
};
use serde_json::{Value, json};

use super::executions::{
    DEVICES, LONG, NO_TIME, change, claim, elements, end, execution_id, finish, ids, new_execution, numbers,
    owner, start, start_of,
};
use super::{Place, at, create_all};

/// A fact about a device.
fn fact(entity: u64, key: &str, value: Value) -> NewFact {
    NewFact {
        entity_type: EntityType::Device,
        entity,
        key: key.to_owned(),
        value: value.into(),
    }
}

fn device_lane(number: u64) -> QueuedElement {
    QueuedElement {
        number,
        lane: Lane::Devices,
    }
}

/// Two devices with a running element each.
async fn two_run(place: &Place, name: &str) -> Result<(u64, [u64; 2])> {
    let started = start(place, name, ExecuteOn::Device).await?;
    let all = numbers(place, started.number).await?;
    let begun = claim(&*place.store, &all, owner("worker"), LONG).await?;
    Ok((
        started.number,
        begun.try_into().ok().context("two devices are free")?,
    ))
}

pub(crate) async fn an_element_ends_once_by_its_attempt_and_its_owner(place: &Place) -> Result<()> {
    create_all(place, &["a", "b"]).await?;
    let (execution, [a, b]) = two_run(place, "first").await?;
    let me = Some(owner("worker"));
    let done = end(a, ElementState::Successful);
    let stale = ElementEnd {
        attempt: 2,
        ..done.clone()
    };
    ensure!(finish(place, &[stale], me).await?.is_empty());
    ensure!(
        finish(place, std::slice::from_ref(&done), Some(owner("other")))
            .await?
            .is_empty()
    );
    let failed = ElementEnd {
        reason: Some("unreachable".to_owned()),
        message: Some("no answer".to_owned()),
        changed: true,
        ..end(b, ElementState::Failed)
    };
    // Not in order, and one twice.
    let ended = finish(place, &[failed.clone(), done.clone(), done.clone()], me).await?;
    let ended: Vec<(u64, u64, ElementState)> = ended
        .into_iter()
        .map(|element| (element.number, element.execution, element.state))
        .collect();
    let expected = [
        (a, execution, ElementState::Successful),
        (b, execution, ElementState::Failed),
    ];
    ensure!(ended == expected, "{ended:?}");
    ensure!(finish(place, &[done, failed], me).await?.is_empty());
    ensure!(finish(place, &[], me).await?.is_empty());

    let rows = elements(place, execution).await?;
    let row = rows.iter().find(|row| row.number == b).context("the element")?;
    ensure!(row.reason.as_deref() == Some("unreachable") && row.message.as_deref() == Some("no answer"));
    ensure!(row.changed && row.attempts == 1 && row.ended_at >= row.started_at && row.ended_at.is_some());
    let detail = place.store.element(b).await?.context("the element")?;
    ensure!(
        detail.row == *row && detail.data == json!({"rtt": 0.5}),
        "{detail:?}"
    );
    ensure!(place.store.element(999_999).await?.is_none());

    let (_, [a, _]) = two_run(place, "second").await?;
    let unfinished = finish(place, &[end(a, ElementState::Running)], me).await;
    let error = unfinished.err().context("an end in no final state")?;
    ensure!(
        matches!(error.downcast_ref(), Some(StoreError::Refused { .. })),
        "{error:?}"
    );
    Ok(())
}

pub(crate) async fn facts_replace_those_with_the_same_key(place: &Place) -> Result<()> {
    create_all(place, &["a", "b"]).await?;
    let of = ids(place, ExecuteOn::Device).await?;
    let facts = async |name: &str| -> Result<Vec<FactRow>> {
        let device = of.get(name).copied().unwrap_or_default();
        Ok(place.store.facts(EntityType::Device, device, None, 10).await?)
    };
    let (_, [a, b]) = two_run(place, "first").await?;
    let with = |number: u64, facts: Vec<NewFact>| ElementEnd {
        facts,
        ..end(number, ElementState::Successful)
    };
    let twice = vec![
        fact(of["a"], "version", json!("4.30")),
        fact(of["a"], "serial", json!({"x": [1, null]})),
        fact(of["a"], "version", json!("4.31")),
    ];
    let ends = [
        with(a, twice),
        with(b, vec![fact(of["b"], "version", json!("4.29"))]),
    ];
    ensure!(finish(place, &ends, None).await?.len() == 2);
    let found = facts("a").await?;
    let known: Vec<(&str, &Value, u64)> = found
        .iter()
        .map(|fact| (&*fact.key, &fact.value, fact.element))
        .collect();
    ensure!(
        known
            == [
                ("serial", &json!({"x": [1, null]}), a),
                ("version", &json!("4.31"), a)
            ],
        "{known:?}"
    );
    // The facts of an element that ended before, and of another attempt, do not count.
    let late = [with(a, vec![fact(of["a"], "version", json!("late"))])];
    ensure!(finish(place, &late, None).await?.is_empty() && facts("a").await? == found);

    let (_, [again, _]) = two_run(place, "second").await?;
    finish(
        place,
        &[with(again, vec![fact(of["a"], "version", json!("4.32"))])],
        None,
    )
    .await?;
    let newer = facts("a").await?;
    ensure!(
        newer[0] == found[0] && newer[1].value == json!("4.32") && newer[1].element == again,
        "{newer:?}"
    );
    ensure!(newer[1].at > found[1].at);
    ensure!(facts("b").await?[0].value == json!("4.29") && facts("nobody").await?.is_empty());
    Ok(())
}

pub(crate) async fn huge_and_strange_texts_come_back(place: &Place) -> Result<()> {
    create_all(place, &["a", "b"]).await?;
    let (execution, [a, b]) = two_run(place, "first").await?;
    let strange = "a\u{0}b\u{1f600}\u{ffff}\"\\u0000{$1}";
    let huge = ElementEnd {
        message: Some(strange.repeat(1000)),
        data: json!({"output": "x\"\u{0}".repeat(256 << 10), "numbers": [1e308, -0.1, u64::MAX]}).into(),
        facts: vec![fact(
            ids(place, ExecuteOn::Device).await?["a"],
            "k\u{0}",
            json!(strange),
        )],
        ..end(a, ElementState::Successful)
    };
    let other = ElementEnd {
        number: b,
        facts: Vec::new(),
        ..huge.clone()
    };
    ensure!(finish(place, &[huge.clone(), other], None).await?.len() == 2);
    for number in [a, b] {
        let detail = place.store.element(number).await?.context("the element")?;
        ensure!(
            lockstep_store::JsonText::from(detail.data) == huge.data,
            "the data is another one"
        );
        // As in all texts about a message.
        let expected = strange.replace('\0', "\u{fffd}").repeat(1000);
        ensure!(detail.row.message == Some(expected), "the message is another one");
    }
    let device = ids(place, ExecuteOn::Device).await?["a"];
    let facts = place.store.facts(EntityType::Device, device, None, 10).await?;
    ensure!(
        facts[0].key == "k\u{fffd}" && facts[0].value == json!(strange),
        "{facts:?}"
    );
    ensure!(elements(place, execution).await?.len() == 2);
    Ok(())
}

pub(crate) async fn what_runs_is_renewed_and_told_to_stop(place: &Place) -> Result<()> {
    create_all(place, &["a", "b", "c"]).await?;
    let started = start(place, "first", ExecuteOn::Device).await?;
    let all: Vec<u64> = numbers(place, started.number).await?.into_iter().collect();
    let me = owner("worker");
    for (number, time) in [
        (all[0], Duration::from_secs(5)),
        (all[1], LONG),
        (all[2], NO_TIME),
    ] {
        ensure!(claim(&*place.store, &[number].into(), me, time).await? == [number]);
    }
    let renewed = place.store.renew_elements(me, LONG).await?;
    // The time of the third one is over.
    ensure!(renewed.held == all[..2] && renewed.stop.is_empty(), "{renewed:?}");
    let renewed_until = format!(
        "SELECT name FROM lease WHERE {} > {} ORDER BY name",
        place.probe.earlier("until", 4),
        place.probe.time(place.store.now().await?)
    );
    ensure!(place.probe.texts(&renewed_until).await? == ["device/a", "device/b"]);
    ensure!(
        place
            .store
            .renew_elements(owner("other"), LONG)
            .await?
            .held
            .is_empty()
    );
    for (halt, stops) in [
        (Halt::TooManyFailed, false),
        (Halt::CanaryFailed, false),
        (Halt::ParentFailed, false),
        (Halt::Deadline, true),
        (Halt::Cancelled, true),
    ] {
        change!(place.store, |executions| {
            let mut row = executions
                .lock(execution_id("first"))
                .await?
                .context("the execution")?;
            row.halt = Some(halt);
            executions.update(&row).await?;
        });
        let renewed = place.store.renew_elements(me, LONG).await?;
        let stop = all[..2].iter().map(|number| StoppedElement {
            number: *number,
            halt,
        });
        let expected: Vec<StoppedElement> = if stops { stop.collect() } else { Vec::new() };
        ensure!(
            renewed.held == all[..2] && renewed.stop == expected,
            "{renewed:?}"
        );
    }
    Ok(())
}

pub(crate) async fn an_element_whose_worker_is_lost_is_queued_again(place: &Place) -> Result<()> {
    create_all(place, &["a", "b"]).await?;
    let started = start(place, "first", ExecuteOn::Device).await?;
    let all: Vec<u64> = numbers(place, started.number).await?.into_iter().collect();
    let [lost, next] = ["lost", "next"].map(owner);
    ensure!(claim(&*place.store, &[all[0]].into(), lost, NO_TIME).await?.len() == 1);
    ensure!(claim(&*place.store, &[all[1]].into(), lost, LONG).await?.len() == 1);
    let expired = change!(place.store, |executions| executions.expired(10).await?);
    ensure!(expired.len() == 1, "{expired:?}");
    ensure!((expired[0].number, expired[0].execution, expired[0].attempt) == (all[0], started.number, 1));
    ensure!(expired[0].provider == "ping" && expired[0].halt.is_none());

    // Another attempt, and what is not over, stay.
    let asked = [(all[0], 1), (all[0], 2), (all[1], 1)];
    let requeued = change!(place.store, |executions| executions.requeue(&asked, LONG).await?);
    ensure!(requeued == [device_lane(all[0])], "{requeued:?}");
    let again = change!(place.store, |executions| executions.requeue(&asked, LONG).await?);
    ensure!(again.is_empty());
    let rows = elements(place, started.number).await?;
    ensure!(rows[0].state == ElementState::Pending && rows[0].attempts == 1 && rows[0].waits_for.is_none());

    // The stale worker ends nothing more, whether the element runs again or not.
    let stale = end(all[0], ElementState::Successful);
    ensure!(
        finish(place, std::slice::from_ref(&stale), Some(lost))
            .await?
            .is_empty()
    );
    ensure!(claim(&*place.store, &[all[0]].into(), next, LONG).await?.len() == 1);
    ensure!(finish(place, &[stale], Some(lost)).await?.is_empty());
    ensure!(place.store.renew_elements(lost, LONG).await?.held == [all[1]]);
    let second = ElementEnd {
        attempt: 2,
        ..end(all[0], ElementState::Successful)
    };
    ensure!(finish(place, &[second], Some(next)).await?.len() == 1);
    Ok(())
}

pub(crate) async fn a_lost_message_is_overdue_later_and_later(place: &Place) -> Result<()> {
    create_all(place, &["a", "b"]).await?;
    let new = new_execution("first", ExecuteOn::Device);
    let id = execution_id("first");
    let started = change!(place.store, |executions| {
        executions
            .start(
                id,
                &new,
                &ElementSource::All,
                DEVICES,
                1,
                &CapScope::Overall,
                NO_TIME,
            )
            .await?
    });
    let first = elements(place, started.number).await?[0].number;
    let grace = Duration::from_mins(1);
    for minutes in [1_i64, 2, 4, 8, 16, 16] {
        let overdue = change!(place.store, |executions| executions.overdue(10, grace).await?);
        // The other one waits for its turn.
        ensure!(overdue == [device_lane(first)], "{minutes}: {overdue:?}");
        let none = change!(place.store, |executions| executions.overdue(10, grace).await?);
        ensure!(none.is_empty());
        let now = place.store.now().await?;
        for (time, expected) in [
            (now + SignedDuration::from_mins(minutes), true),
            (
                now + SignedDuration::from_mins(minutes) - SignedDuration::from_secs(30),
                false,
            ),
        ] {
            let due = format!(
                "SELECT name FROM element WHERE due_at <= {}",
                place.probe.time(time)
            );
            ensure!(
                place.probe.texts(&due).await?.len() == usize::from(expected),
                "{minutes}"
            );
        }
        let back = format!(
            "UPDATE element SET due_at = {} WHERE due_at IS NOT NULL",
            place.probe.earlier("due_at", minutes)
        );
        place.probe.texts(&back).await?;
    }
    // What runs is not overdue.
    claim(&*place.store, &[first].into(), owner("worker"), LONG).await?;
    let overdue = change!(place.store, |executions| executions.overdue(10, grace).await?);
    ensure!(overdue.is_empty());
    Ok(())
}

/// The row of an execution, as a transaction changes it.
async fn updated(place: &Place, name: &str, change: impl FnOnce(&mut ExecutionRow)) -> Result<ExecutionRow> {
    let id = execution_id(name);
    Ok(change!(place.store, |executions| {
        let mut row = executions.lock(id).await?.context("the execution")?;
        change(&mut row);
        executions.update(&row).await?;
        executions
            .lock_numbers(&[row.number, 999_999].into())
            .await?
            .pop()
            .context("the execution")?
    }))
}

pub(crate) async fn what_has_not_begun_is_skipped_in_chunks(place: &Place) -> Result<()> {
    create_all(place, &["a", "b", "c", "d"]).await?;
    for (name, halt, state) in [
        ("first", Halt::Cancelled, ElementState::Aborted),
        ("second", Halt::Deadline, ElementState::Filtered),
        ("third", Halt::TooManyFailed, ElementState::Filtered),
    ] {
        let new = new_execution(name, ExecuteOn::Device);
        let id = execution_id(name);
        let started = change!(place.store, |executions| {
            executions
                .start(
                    id,
                    &new,
                    &ElementSource::All,
                    DEVICES,
                    2,
                    &CapScope::Overall,
                    LONG,
                )
                .await?
        });
        let all: Vec<u64> = numbers(place, started.number).await?.into_iter().collect();
        change!(place.store, |executions| {
            let begun = [lockstep_store::BeginElement {
                number: all[0],
                fence: None,
                others: Vec::new(),
            }];
            executions.begin(&begun, owner("worker"), "worker", LONG).await?;
        });
        for expected in [2, 1, 0] {
            let skipped = change!(place.store, |executions| {
                executions
                    .skip_unstarted(started.number, halt, "by anna", 2)
                    .await?
            });
            ensure!(skipped == expected, "{skipped}");
        }
        let rows = elements(place, started.number).await?;
        ensure!(rows[0].state == ElementState::Running && rows[0].ended_at.is_none());
        for row in &rows[1..] {
            ensure!(
                row.state == state && row.reason.as_deref() == Some(halt.as_str()),
                "{row:?}"
            );
            ensure!(
                row.message.as_deref() == Some("by anna")
                    && row.waits_for.is_none()
                    && row.ended_at.is_some()
            );
        }
        let announced = change!(place.store, |executions| executions.unannounced(None, 10).await?);
        let mut skipped: Vec<u64> = announced.iter().map(|row| row.number).collect();
        skipped.sort_unstable();
        ensure!(skipped == all[1..], "{skipped:?}");
        change!(place.store, |executions| executions.announced(&skipped).await?);
    }
    Ok(())
}

pub(crate) async fn an_execution_is_changed_and_found_when_it_is_neglected(place: &Place) -> Result<()> {
    create_all(place, &["a", "b"]).await?;
    let later = at() + SignedDuration::from_hours(1);
    let due = NewExecution {
        deadline_at: Some(later),
        ..new_execution("due", ExecuteOn::Device)
    };
    start_of(place, &due, &ElementSource::All).await?;
    start(place, "halted", ExecuteOn::Device).await?;
    start(place, "complete", ExecuteOn::Device).await?;
    start(place, "running", ExecuteOn::Device).await?;
    let neglected = async |now| -> Result<Vec<String>> {
        let rows = change!(place.store, |executions| executions.neglected(now, 10).await?);
        Ok(rows
            .into_iter()
            .map(|row| row.request.identity.id.into())
            .collect())
    };
    ensure!(neglected(at()).await?.is_empty());
    ensure!(neglected(later).await? == ["due"]);
    let row = updated(place, "halted", |row| {
        row.halt = Some(Halt::CanaryFailed);
        row.paused = true;
        row.in_canary = true;
    })
    .await?;
    ensure!(
        row.halt == Some(Halt::CanaryFailed) && row.paused && row.in_canary,
        "{row:?}"
    );
    updated(place, "complete", |row| {
        row.counts = ElementCounts {
            done: 1,
            skipped: 1,
            ..row.counts
        };
    })
    .await?;
    ensure!(neglected(at()).await? == ["halted", "complete"]);
    let halted = updated(place, "halted", |_| {}).await?.number;
    change!(place.store, |executions| {
        executions
            .skip_unstarted(halted, Halt::CanaryFailed, "", 10)
            .await?
    });
    // Halted for its deadline, it is not found for that again.
    updated(place, "due", |row| row.halt = Some(Halt::Deadline)).await?;
    ensure!(neglected(later).await? == ["due", "complete"]);
    let row = updated(place, "complete", |row| {
        row.state = ExecutionState::Successful;
        row.reason = Some("because".to_owned());
        row.started_at = Some(at());
        row.ended_at = Some(later);
    })
    .await?;
    ensure!(
        row.state == ExecutionState::Successful && row.reason.as_deref() == Some("because"),
        "{row:?}"
    );
    ensure!(row.started_at == Some(at()) && row.ended_at == Some(later));
    let expected = ElementCounts {
        elements: 2,
        done: 1,
        failed: 0,
        skipped: 1,
    };
    ensure!(row.counts == expected, "{row:?}");
    ensure!(neglected(later).await? == ["due"]);

    let unknown = change!(place.store, |executions| executions
        .lock(execution_id("unknown"))
        .await?);
    ensure!(unknown.is_none());
    let nothing = change!(place.store, |executions| executions
        .lock_numbers(&BTreeSet::new())
        .await?);
    ensure!(nothing.is_empty());
    let of = change!(place.store, |executions| executions
        .executions_of(&BTreeSet::from([999_999]))
        .await?);
    ensure!(of.is_empty());
    Ok(())
}

pub(crate) async fn an_end_is_announced_once(place: &Place) -> Result<()> {
    create_all(place, &["a", "b"]).await?;
    let (_, [a, b]) = two_run(place, "first").await?;
    let unannounced = async |elements: Option<&BTreeSet<u64>>, limit| -> Result<Vec<u64>> {
        let rows = change!(place.store, |executions| executions
            .unannounced(elements, limit)
            .await?);
        Ok(rows.into_iter().map(|row| row.number).collect())
    };
    let both = BTreeSet::from([a, b]);
    ensure!(unannounced(Some(&both), 10).await?.is_empty(), "they run");
    finish(
        place,
        &[end(a, ElementState::Successful), end(b, ElementState::Failed)],
        None,
    )
    .await?;
    // Whoever ended them has time to announce them.
    ensure!(unannounced(None, 10).await?.is_empty());
    ensure!(unannounced(Some(&both), 1).await? == [a]);
    ensure!(unannounced(Some(&both), 10).await? == [a, b]);
    change!(place.store, |executions| executions
        .announced(&[a, 999_999])
        .await?);
    ensure!(unannounced(Some(&both), 10).await? == [b]);
    let over = format!(
        "UPDATE element SET due_at = {} WHERE due_at IS NOT NULL",
        place.probe.earlier("due_at", 10)
    );
    place.probe.texts(&over).await?;
    ensure!(unannounced(None, 10).await? == [b]);
    change!(place.store, |executions| executions.announced(&[b]).await?);
    ensure!(unannounced(None, 10).await?.is_empty());
    Ok(())
}
