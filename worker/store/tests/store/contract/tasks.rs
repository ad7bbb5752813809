use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use lockstep_protocol::commands::{ExecuteOn, TaskReference};
use lockstep_store::{Keys, NewSchedule, NewTask, SavedRow};
use serde_json::json;

use super::executions::{change, new_execution};
use super::{Place, at};

fn task(name: &str) -> NewTask {
    NewTask {
        name: name.to_owned(),
        description: Some("asks the devices".to_owned()),
        provider: "ping".to_owned(),
        arguments: json!({"count": 3, "nul": "a\u{0}b", "large": 1e300}),
        pre_tasks: vec!["check it".to_owned()],
        post_tasks: vec!["look again".to_owned(), "say so".to_owned()],
        run_input_json_schema: Some(json!({"type": "object", "x-display": "a\u{0}b"})),
        run_input_ui_schema: Some(json!({"type": "VerticalLayout"})),
        at: at(),
        by: Some("anna".to_owned()),
    }
}

fn schedule(name: &str, next_at: Option<Timestamp>) -> NewSchedule {
    NewSchedule {
        name: name.to_owned(),
        cron: "0 3 * * *".to_owned(),
        time_zone: "Europe/Stockholm".to_owned(),
        request: new_execution("any", ExecuteOn::Device).requested,
        enabled: next_at.is_some(),
        next_at,
        at: at(),
        by: Some("anna".to_owned()),
    }
}

#[expect(clippy::too_many_lines, reason = "the history of one task")]
pub(crate) async fn a_task_is_found_by_number_and_name_and_replaced(place: &Place) -> Result<()> {
    let first = task("ping all");
    let saved = change!(place.store, |executions| executions.save_task(&first).await?);
    ensure!(saved.created && saved.changed, "{saved:?}");
    let found = place
        .store
        .task(&TaskReference::from("ping all"))
        .await?
        .context("the task")?;
    ensure!(
        found.number == saved.number && found.saved_at == at(),
        "{found:?}"
    );
    ensure!(
        (&found.name, &found.description, &found.provider)
            == (&first.name, &first.description, &first.provider)
    );
    ensure!(
        found.arguments == first.arguments && found.saved_by == first.by,
        "{found:?}"
    );
    let by_number = place.other.task(&TaskReference::Number(saved.number)).await?;
    ensure!(by_number.as_ref() == Some(&found));
    ensure!(
        place
            .store
            .task(&TaskReference::from("Ping all"))
            .await?
            .is_none()
    );
    ensure!(
        place
            .store
            .task(&TaskReference::Number(saved.number + 1))
            .await?
            .is_none()
    );

    // Its pre- and post-tasks are parts of it.
    for (pre_tasks, post_tasks) in [
        (Vec::new(), first.post_tasks.clone()),
        (first.pre_tasks.clone(), Vec::new()),
        (first.pre_tasks.clone(), first.post_tasks.clone()),
    ] {
        let task = NewTask {
            pre_tasks,
            post_tasks,
            ..first.clone()
        };
        let again = change!(place.store, |executions| executions.save_task(&task).await?);
        ensure!(again.changed && !again.created, "{again:?}");
        let found = place.store.task(&TaskReference::from("ping all")).await?;
        let found = found.context("the task")?;
        let lists = (found.pre_tasks, found.post_tasks);
        ensure!(lists == (task.pre_tasks, task.post_tasks), "{lists:?}");
    }

    // So are its arguments of a run, and their form.
    for (json_schema, ui_schema) in [
        (None, first.run_input_ui_schema.clone()),
        (None, None),
        (
            first.run_input_json_schema.clone(),
            first.run_input_ui_schema.clone(),
        ),
    ] {
        let task = NewTask {
            run_input_json_schema: json_schema,
            run_input_ui_schema: ui_schema,
            ..first.clone()
        };
        let again = change!(place.store, |executions| executions.save_task(&task).await?);
        ensure!(again.changed && !again.created, "{again:?}");
        let found = place.store.task(&TaskReference::from("ping all")).await?;
        let found = found.context("the task")?;
        let schemas = (found.run_input_json_schema, found.run_input_ui_schema);
        ensure!(
            schemas == (task.run_input_json_schema, task.run_input_ui_schema),
            "{schemas:?}"
        );
    }

    // The same again is no change, and the other time and sender are not written.
    let same = NewTask {
        by: None,
        ..first.clone()
    };
    let other = NewTask {
        arguments: json!(null),
        description: None,
        by: Some("bert".to_owned()),
        ..first
    };
    for (task, changed) in [(&same, false), (&other, true)] {
        let again = change!(place.store, |executions| executions.save_task(task).await?);
        let expected = SavedRow {
            number: saved.number,
            created: false,
            changed,
        };
        ensure!(again == expected, "{again:?}");
        let inside = change!(place.store, |executions| {
            executions.task(&TaskReference::from("ping all")).await?
        });
        let inside = inside.context("the task")?;
        let by = if changed { "bert" } else { "anna" };
        ensure!(inside.saved_by.as_deref() == Some(by), "{inside:?}");
        ensure!(inside.arguments.is_null() == changed, "{inside:?}");
    }

    for existed in [true, false] {
        let deleted = change!(place.store, |executions| executions
            .delete_task("ping all")
            .await?);
        ensure!(deleted == existed);
    }
    ensure!(
        place
            .store
            .task(&TaskReference::Number(saved.number))
            .await?
            .is_none()
    );
    Ok(())
}

pub(crate) async fn tasks_and_schedules_are_listed_by_name_in_pages(place: &Place) -> Result<()> {
    for name in ["b", "Z", "ä", "a"] {
        change!(place.store, |executions| {
            executions.save_task(&task(name)).await?;
            executions.save_schedule(&schedule(name, None)).await?
        });
    }
    for (after, limit, expected) in [
        (None, 3, vec!["Z", "a", "b"]),
        (Some("b"), 3, vec!["ä"]),
        (Some("Z"), 1, vec!["a"]),
        (Some("ä"), 9, vec![]),
    ] {
        let tasks = place.store.tasks(after, limit).await?;
        let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
        ensure!(names == expected, "{after:?}: {names:?}");
        let schedules = place.store.schedules(after, limit).await?;
        let names: Vec<&str> = schedules.iter().map(|schedule| schedule.name.as_str()).collect();
        ensure!(names == expected, "{after:?}: {names:?}");
    }
    Ok(())
}

pub(crate) async fn a_schedule_is_due_once_for_one_transaction(place: &Place) -> Result<()> {
    let now = at() + SignedDuration::from_hours(1);
    let next = now + SignedDuration::from_hours(24);
    for (name, next_at) in [
        ("second", Some(now)),
        ("first", Some(at())),
        ("later", Some(next)),
        ("off", None),
    ] {
        let saved = change!(place.store, |executions| {
            executions.save_schedule(&schedule(name, next_at)).await?
        });
        ensure!(saved.created);
    }
    let (facts, mut transaction) = place.store.begin(&[], &Keys::default()).await?;
    let due = transaction.executions().due_schedules(now, 10).await?;
    let names: Vec<&str> = due.iter().map(|schedule| schedule.name.as_str()).collect();
    ensure!(names == ["first", "second"], "{names:?}");
    let [first, second] = &due[..] else { unreachable!() };
    ensure!(first.request == schedule("any", None).request && first.last_at.is_none());
    ensure!(first.next_at == Some(at()) && first.enabled && first.saved_by.as_deref() == Some("anna"));
    // What did not fire keeps the time when it fired last.
    let mut executions = transaction.executions();
    executions
        .advance_schedule(first.number, Some(at()), Some(next))
        .await?;
    executions.advance_schedule(second.number, None, None).await?;
    drop(executions);
    transaction.commit(&facts).await?;

    let due = change!(place.store, |executions| executions
        .due_schedules(now, 10)
        .await?);
    ensure!(due.is_empty(), "{due:?}");
    let schedules = place.store.schedules(None, 10).await?;
    let of = |name: &str| {
        schedules
            .iter()
            .find(|schedule| schedule.name == name)
            .context("the schedule")
    };
    ensure!(of("first")?.last_at == Some(at()) && of("first")?.next_at == Some(next));
    ensure!(of("second")?.last_at.is_none() && of("second")?.next_at.is_none());

    // Saved again without a change, it keeps its times; switched off, it has none.
    let same = schedule("first", Some(now));
    let off = NewSchedule {
        enabled: false,
        ..same.clone()
    };
    for (schedule, changed, next_at) in [(same, false, Some(next)), (off, true, None)] {
        let saved = change!(place.store, |executions| executions
            .save_schedule(&schedule)
            .await?);
        ensure!((saved.created, saved.changed) == (false, changed), "{saved:?}");
        let found = place
            .store
            .schedules(Some("a"), 1)
            .await?
            .pop()
            .context("the schedule")?;
        ensure!(
            found.next_at == next_at && found.last_at == Some(at()),
            "{found:?}"
        );
    }
    for existed in [true, false] {
        let deleted = change!(place.store, |executions| executions
            .delete_schedule("first")
            .await?);
        ensure!(deleted == existed);
    }
    Ok(())
}

/// Only PostgreSQL has two transactions at once; on SQLite the second one waits for the first.
pub(crate) async fn schedules_that_another_transaction_holds_are_left_out(place: &Place) -> Result<()> {
    change!(place.store, |executions| {
        executions.save_schedule(&schedule("nightly", Some(at()))).await?
    });
    let take = async |store: &dyn super::Store| -> Result<usize> {
        Ok(change!(store, |executions| {
            let due = executions.due_schedules(at(), 10).await?;
            tokio::task::yield_now().await;
            for schedule in &due {
                executions
                    .advance_schedule(schedule.number, Some(at()), None)
                    .await?;
            }
            due.len()
        }))
    };
    let taken = tokio::try_join!(take(&*place.store), take(&*place.other))?;
    ensure!(taken.0 + taken.1 == 1, "{taken:?}");
    Ok(())
}
