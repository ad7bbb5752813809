//! Single tasks of a list, each settled by itself and possibly by several attempts.

use std::sync::Arc;
use std::time::Duration;

use super::fake::{Cancel, Fake};
use super::{EMPTY, live};
use crate::sweep::{Found, ListedTask, SharedControls, SweepOptions, TaskReport, TaskSweep, list};

fn options() -> SweepOptions {
    SweepOptions {
        author: "Lockstep, sweep 7".to_owned(),
        ..live()
    }
}

/// Lists tasks. Each task to be read is written and read again, as it is between two workers.
async fn listed(fake: &Arc<Fake>, options: &SweepOptions) -> (Vec<TaskReport>, Vec<ListedTask>) {
    let (mut kept, mut to_read) = (Vec::new(), Vec::new());
    for found in list(&fake.context(), options).await.unwrap() {
        match found {
            Found::Settled(report) => kept.push(report),
            Found::ToRead(task) => {
                let written = serde_json::to_value(&task).unwrap();
                to_read.push(serde_json::from_value(written).unwrap());
            }
        }
    }
    (kept, to_read)
}

fn sweep(fake: &Arc<Fake>, options: SweepOptions) -> TaskSweep {
    TaskSweep::new(&fake.context(), options, SharedControls::default(), true)
}

fn outcome(report: &TaskReport) -> String {
    let action = format!("{:?}", report.outcome.action()).to_lowercase();
    [vec![action], report.outcome.reasons()].concat().join(" ")
}

#[tokio::test(start_paused = true)]
async fn tasks_of_a_list_that_are_settled_by_themselves_end_as_in_a_sweep() {
    let fake = Arc::new(
        Fake::new(&[("1", EMPTY), ("2", "0001"), ("3", EMPTY)]).with(|world| {
            world.add("4", "3", EMPTY);
        }),
    );
    let (kept, to_read) = listed(&fake, &options()).await;
    let kept: Vec<String> = kept.iter().map(outcome).collect();
    assert_eq!(kept, ["kept not-compliant"]);
    let mut outcomes = Vec::new();
    for task in &to_read {
        let report = sweep(&fake, options()).settle(task).await;
        outcomes.push(format!("{} {}", report.task_id, outcome(&report)));
    }
    assert_eq!(
        outcomes,
        ["4 kept several-tasks", "3 kept several-tasks", "1 cancelled"]
    );
    let dry_run = SweepOptions {
        devices: Some(["leaf1".to_owned()].into()),
        ..SweepOptions::default()
    };
    fake.world().set_status("1", "Pending");
    let (kept, to_read) = listed(&fake, &dry_run).await;
    assert_eq!((kept.len(), to_read.len()), (0, 1));
    let report = sweep(&fake, dry_run).settle(&to_read[0]).await;
    assert_eq!(outcome(&report), "kept dry-run");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_interrupted_at_any_time_is_repeated_and_cancels_once() {
    for delay in [Duration::ZERO, Duration::from_secs(3)] {
        let mut interrupted = 0;
        for time in (0..5000).step_by(25) {
            let fake = Arc::new(Fake::new(&[("1", EMPTY)]).with(|world| {
                world.cancels.push_back(Cancel::Works(delay));
            }));
            let (_, to_read) = listed(&fake, &options()).await;
            let first = sweep(&fake, options());
            let first = tokio::time::timeout(Duration::from_millis(time), first.settle(&to_read[0])).await;
            interrupted += usize::from(first.is_err());
            let report = sweep(&fake, options()).settle(&to_read[0]).await;
            assert_eq!(outcome(&report), "cancelled", "{time} ms, {delay:?}");
            assert_eq!(fake.count("cancel"), 1, "{time} ms, {delay:?}");
        }
        assert!(interrupted > 20, "{interrupted}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_another_sweep_or_user_cancelled_is_gone() {
    for note in [
        None,
        Some("Lockstep, sweep 71: found empty"),
        Some("Lockstep, sweep 7"),
    ] {
        let fake = Arc::new(Fake::new(&[("1", EMPTY)]));
        let (_, to_read) = listed(&fake, &options()).await;
        fake.world().set_status("1", "Cancelled");
        let note = note.map(|note| ("1".to_owned(), note.to_owned()));
        fake.world().notes.extend(note);
        let report = sweep(&fake, options()).settle(&to_read[0]).await;
        assert_eq!(outcome(&report), "gone");
        assert_eq!((fake.count("note"), fake.count("cancel")), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_did_not_send_its_cancel_is_repeated_on_new_evidence() {
    let table = [(EMPTY, "cancelled", 1), ("0001", "kept not-compliant", 0)];
    for (code, expected, cancels) in table {
        let fake = Arc::new(Fake::new(&[("1", EMPTY)]));
        let (_, to_read) = listed(&fake, &options()).await;
        let note = "Lockstep, sweep 7: found empty".to_owned();
        fake.world().notes.insert("1".to_owned(), note);
        code.clone_into(&mut fake.world().devices.get_mut("1").unwrap().code);
        let report = sweep(&fake, options()).settle(&to_read[0]).await;
        assert_eq!(
            (outcome(&report).as_str(), fake.count("cancel")),
            (expected, cancels)
        );
    }
    // Without knowing what an earlier attempt did, nothing is cancelled.
    let fake = Arc::new(Fake::new(&[("1", EMPTY)]).failing("task", 0));
    let (_, to_read) = listed(&fake, &options()).await;
    let report = sweep(&fake, options()).settle(&to_read[0]).await;
    assert_eq!(
        (outcome(&report).as_str(), fake.count("cancel")),
        ("kept task-unreadable", 0)
    );
}
