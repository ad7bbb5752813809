//! What the elements of syncs are bound to, and what their runs write.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{CommitId, DeviceState, ElementState, SyncTarget};
use lockstep_store::{
    DeviceEffect, ElementSource, NewExecution, PlanApproval, Records, RunningElement, SyncBinding, SyncBound,
    SyncDevices, SyncDiff, SyncElement, SyncElementQuery, SyncSource, SyncedDevice,
};

use super::broad_causes::hours;
use super::executions::{
    LONG, NO_TIME, change, claim, control, elements, end, execution_id, finish, fleet, new_execution, owner,
    start_of,
};
use super::leases::acquire;
use super::repositories::{change as refresh, fetched};
use super::selector::{flag_as, of_kind};
use super::{Place, at, create_all, devices, hostname, keys, unsynchronize, work};

fn commit(digit: char) -> CommitId {
    String::from(digit).repeat(40).parse().expect("a commit")
}

/// All MANAGED devices, also synchronized ones, bound to what is accepted.
fn all() -> SyncSource {
    SyncSource {
        devices: SyncDevices::Target {
            target: SyncTarget::All,
            synchronized: true,
        },
        bound: SyncBound::Accepted,
    }
}

fn bound(bound: SyncBound) -> SyncSource {
    SyncSource {
        devices: SyncDevices::Bound,
        bound,
    }
}

fn new_sync(name: &str) -> NewExecution {
    NewExecution {
        provider: "sync".to_owned(),
        ..new_execution(name, ExecuteOn::Device)
    }
}

/// Starts a sync. Returns its number, and the numbers of its elements by hostname.
async fn start(place: &Place, name: &str, source: SyncSource) -> Result<(u64, BTreeMap<String, u64>)> {
    let started = start_of(place, &new_sync(name), &ElementSource::Sync(source)).await?;
    let elements = elements(place, started.number).await?;
    ensure!(started.elements == elements.len() as u64, "{started:?}");
    let numbers = elements.into_iter().map(|element| (element.name, element.number));
    Ok((started.number, numbers.collect()))
}

async fn binding(place: &Place, element: u64) -> Result<(SyncBinding, SyncedDevice)> {
    place.other.binding(element).await?.context("a binding")
}

/// A worker runs the element.
async fn run(place: &Place, element: u64, name: &str) -> Result<RunningElement> {
    let owner = owner(name);
    let begun = claim(&*place.store, &[element].into(), owner, LONG).await?;
    ensure!(begun == [element], "{begun:?}");
    Ok(RunningElement {
        element,
        attempt: 1,
        owner,
    })
}

fn diff(text: &str) -> SyncDiff {
    SyncDiff {
        text: text.to_owned(),
        masked: text.replace("secret", "<hidden>"),
        hash: "d1ff".to_owned(),
        score: 2.5,
        rendered: None,
    }
}

async fn done(place: &Place, run: &RunningElement) -> Result<()> {
    let ends = [end(run.element, ElementState::Successful)];
    ensure!(finish(place, &ends, Some(run.owner)).await?.len() == 1);
    Ok(())
}

async fn listed(place: &Place, execution: u64, whole: bool) -> Result<Vec<SyncElement>> {
    let query = SyncElementQuery {
        execution,
        whole,
        limit: 100,
        ..SyncElementQuery::default()
    };
    Ok(place.other.sync_elements(&query).await?)
}

/// What lands after the elements were stored does not change what they are bound to.
pub(crate) async fn elements_are_bound_to_what_was_accepted(place: &Place) -> Result<()> {
    create_all(place, &["a", "b"]).await?;
    work(place, &keys("1", ["b"]), devices([unsynchronize("b")])).await?;
    let (_, before) = start(place, "before", all()).await?;
    let (bound, device) = binding(place, before["b"]).await?;
    ensure!((bound.settings, bound.templates) == (None, None));
    ensure!(bound.generation == 2 && bound.approved.is_none() && bound.restores.is_none());
    ensure!(device.hostname == hostname("b") && device.state == DeviceState::Managed);
    ensure!(
        (device.sync.desired, device.sync.synced) == (2, 1) && device.sync.since.is_some(),
        "{device:?}"
    );
    ensure!(device.configuration_hash.is_none() && device.intent.is_none());

    let lease = acquire(place, LONG).await?;
    let mut accepted = super::repositories::flags(&lease, 0, "2", lockstep_store::DeviceSelector::default());
    accepted.flags = None;
    refresh(&*place.store, &accepted).await?;
    let (number, after) = start(place, "after", all()).await?;
    work(
        place,
        &keys("3", ["a", "b"]),
        devices([unsynchronize("a"), unsynchronize("b")]),
    )
    .await?;
    let (bound, device) = binding(place, after["a"]).await?;
    ensure!((bound.settings, bound.templates) == (Some(commit('a')), None));
    ensure!((bound.execution, bound.element) == (number, after["a"]));
    ensure!((bound.generation, device.sync.desired) == (1, 2));
    ensure!(binding(place, before["b"]).await?.0.settings.is_none());
    let outdated: Vec<bool> = listed(place, number, false)
        .await?
        .iter()
        .map(|element| element.is_outdated)
        .collect();
    ensure!(outdated == [true, true]);
    refresh(&*place.store, &fetched(&lease, 1)).await?;

    // An element of another provider is bound to nothing.
    let other = start_of(
        place,
        &new_execution("other", ExecuteOn::Device),
        &ElementSource::All,
    )
    .await?;
    let first = elements(place, other.number).await?[0].number;
    ensure!(place.store.binding(first).await?.is_none());
    ensure!(listed(place, other.number, false).await?.is_empty());
    Ok(())
}

pub(crate) async fn each_device_is_an_element_of_its_own(place: &Place) -> Result<()> {
    fleet(place).await?;
    control(place, "a", &["b"]).await?;
    let (number, found) = start(place, "sync", all()).await?;
    ensure!(found.keys().collect::<Vec<_>>() == ["a", "b"]);
    let candidates = change!(place.store, |executions| {
        let numbers = found.values().copied().collect();
        executions.candidates(&numbers).await?
    });
    ensure!(
        candidates
            .elements
            .iter()
            .all(|element| element.others.is_empty())
    );
    let owner = owner("worker");
    let ends = [end(found["b"], ElementState::Failed)];
    claim(&*place.store, &[found["b"]].into(), owner, LONG).await?;
    finish(place, &ends, Some(owner)).await?;
    let again = SyncSource {
        devices: SyncDevices::FailedOf(number),
        bound: SyncBound::Accepted,
    };
    let (_, again) = start(place, "again", again).await?;
    ensure!(again.keys().collect::<Vec<_>>() == ["b"]);
    ensure!(binding(place, again["b"]).await?.1.hostname == hostname("b"));
    Ok(())
}

pub(crate) async fn a_plan_is_applied_to_the_devices_that_it_would_change(place: &Place) -> Result<()> {
    create_all(place, &["changes", "equal", "fails", "gone", "waits"]).await?;
    let (plan, looked) = start(place, "plan", all()).await?;
    for (name, text, state) in [
        ("changes", "+ secret", ElementState::Successful),
        ("equal", "", ElementState::Successful),
        ("fails", "+ x", ElementState::Failed),
        ("gone", "+ x", ElementState::Successful),
    ] {
        let run = run(place, looked[name], name).await?;
        ensure!(place.store.write_diff(&run, &diff(text)).await?);
        finish(place, &[end(run.element, state)], Some(run.owner)).await?;
    }
    let removed = DeviceEffect::Remove {
        hostname: hostname("gone"),
        version: lockstep_store::Version {
            time: at(),
            id: super::message("remove").id,
        },
    };
    work(place, &keys("remove", ["gone"]), devices([removed])).await?;
    ensure!(place.store.binding(looked["gone"]).await?.is_none());
    work(
        place,
        &keys("later", ["changes"]),
        devices([unsynchronize("changes")]),
    )
    .await?;

    let (apply, elements) = start(place, "apply", bound(SyncBound::Plan(plan))).await?;
    ensure!(elements.keys().collect::<Vec<_>>() == ["changes"], "{elements:?}");
    let (binding, device) = binding(place, elements["changes"]).await?;
    ensure!(binding.approved.as_deref() == Some("d1ff"));
    ensure!(
        (binding.generation, device.sync.desired) == (1, 2),
        "it is bound to what was looked at"
    );

    // The way back of what was pushed.
    let (_, none) = start(place, "nothing", bound(SyncBound::PreviousOf(apply))).await?;
    ensure!(none.is_empty());
    let run = run(place, elements["changes"], "apply").await?;
    ensure!(
        place
            .store
            .write_intent(&run, "lockstep-7", "hostname old\n")
            .await?
    );
    done(place, &run).await?;
    let (_, back) = start(place, "back", bound(SyncBound::PreviousOf(apply))).await?;
    let (binding, _) = self::binding(place, back["changes"]).await?;
    ensure!((binding.restores, binding.generation) == (Some(run.element), 2));
    ensure!(binding.settings.is_none() && binding.approved.is_none());
    let previous = place.other.previous_configuration(run.element).await?;
    ensure!(previous.as_deref() == Some("hostname old\n"));
    Ok(())
}

/// Another attempt, another worker, and a worker whose time is over write nothing.
pub(crate) async fn only_who_runs_an_element_writes_about_it(place: &Place) -> Result<()> {
    create_all(place, &["a", "b"]).await?;
    let (number, elements) = start(place, "sync", all()).await?;
    let waiting = RunningElement {
        element: elements["b"],
        attempt: 0,
        owner: owner("worker"),
    };
    let run = run(place, elements["a"], "worker").await?;
    let others = [
        RunningElement { attempt: 2, ..run },
        RunningElement {
            owner: owner("other"),
            ..run
        },
        waiting,
    ];
    for other in &others {
        ensure!(!place.store.is_running(other).await?, "{other:?}");
        ensure!(!place.store.write_diff(other, &diff("+ x")).await?);
        ensure!(!place.store.write_intent(other, "s", "x").await?);
        ensure!(!place.store.complete_intent(other, "hash").await?);
        ensure!(!place.store.remove_intent(other).await?);
    }
    ensure!(place.store.is_running(&run).await?);
    ensure!(!place.store.complete_intent(&run, "hash").await?, "there is none");
    ensure!(place.store.write_diff(&run, &diff("+ old")).await?);
    let whole = SyncDiff {
        rendered: Some("hostname new".to_owned()),
        ..diff("+ secret")
    };
    ensure!(place.store.write_diff(&run, &whole).await?);
    ensure!(place.store.write_intent(&run, "lockstep-1", "first").await?);
    ensure!(
        place
            .store
            .write_intent(&run, "lockstep-2", "hostname old")
            .await?
    );
    ensure!(place.store.complete_intent(&run, "5ha").await?);
    let intent = binding(place, run.element)
        .await?
        .1
        .intent
        .context("the intent")?;
    ensure!((intent.element, intent.session.as_str()) == (run.element, "lockstep-2"));
    ensure!((intent.generation, intent.configuration_hash.as_deref()) == (1, Some("5ha")));

    let found = listed(place, number, false).await?;
    let [first, second] = &found[..] else {
        anyhow::bail!("{found:?}")
    };
    ensure!((first.number, first.state) == (run.element, ElementState::Running));
    ensure!(first.masked.as_deref() == Some("+ <hidden>") && first.hash.as_deref() == Some("d1ff"));
    ensure!(first.score == Some(2.5) && first.diff.is_none() && first.rendered.is_none());
    ensure!(second.masked.is_none() && second.score.is_none() && !second.is_outdated);
    let whole = listed(place, number, true).await?;
    ensure!(whole[0].diff.as_deref() == Some("+ secret"));
    ensure!(whole[0].rendered.as_deref() == Some("hostname new"));
    ensure!(whole[0].previous.as_deref() == Some("hostname old"));
    let of_device = SyncElementQuery {
        execution: number,
        hostname: Some(hostname("b")),
        limit: 1,
        ..SyncElementQuery::default()
    };
    ensure!(place.store.sync_elements(&of_device).await? == found[1..]);
    let page = SyncElementQuery {
        hostname: None,
        after: Some(run.element),
        ..of_device
    };
    ensure!(place.store.sync_elements(&page).await? == found[1..]);

    ensure!(place.store.remove_intent(&run).await? && place.store.remove_intent(&run).await?);
    ensure!(binding(place, run.element).await?.1.intent.is_none());
    done(place, &run).await?;
    ensure!(!place.store.is_running(&run).await? && !place.store.write_diff(&run, &diff("+ y")).await?);

    let late = owner("late");
    claim(&*place.store, &[elements["b"]].into(), late, NO_TIME).await?;
    let late = RunningElement {
        element: elements["b"],
        attempt: 1,
        owner: late,
    };
    ensure!(!place.store.is_running(&late).await? && !place.store.write_intent(&late, "s", "x").await?);
    Ok(())
}

pub(crate) async fn a_run_sees_causes_by_type(place: &Place) -> Result<()> {
    let made = of_kind("a", lockstep_protocol::DeviceType::ACCESS, Some("eos"));
    work(place, &keys("create", ["a"]), devices([made])).await?;
    let lease = acquire(place, LONG).await?;
    let access = lockstep_store::DeviceSelector {
        device_types: [lockstep_protocol::DeviceType::ACCESS].into(),
        ..Default::default()
    };
    flag_as(place, &lease, "push", access, 3).await?;
    let (_, elements) = start(place, "sync", all()).await?;
    let (bound, device) = binding(place, elements["a"]).await?;
    ensure!((bound.generation, device.sync.desired, device.sync.synced) == (2, 2, 1));
    ensure!(device.sync.since == Some(hours(3)), "{:?}", device.sync);
    Ok(())
}

pub(crate) async fn the_key_of_hashes_is_made_once(place: &Place) -> Result<()> {
    let (one, other) = tokio::join!(place.store.diff_key(), place.other.diff_key());
    let (one, other) = (one?, other?);
    ensure!(one == other && one == place.store.diff_key().await?);
    ensure!(one != [0; 32]);
    Ok(())
}

pub(crate) async fn texts_go_before_their_executions(place: &Place) -> Result<()> {
    create_all(place, &["a"]).await?;
    let (number, elements) = start(place, "old", all()).await?;
    let run = run(place, elements["a"], "worker").await?;
    place.store.write_diff(&run, &diff("+ secret")).await?;
    place.store.write_intent(&run, "s", "hostname old").await?;
    done(place, &run).await?;
    let (young, _) = start(place, "young", all()).await?;
    let expire = async |records: &Records| {
        let before = at() + Duration::from_hours(24);
        place.store.expire(records, before, 0, 100).await
    };
    ensure!(
        expire(&Records::SyncTexts).await?.deleted == 0,
        "it has not ended"
    );
    let ended = format!(
        "UPDATE execution SET ended_at = {} WHERE number = {number}",
        place.probe.time(at())
    );
    place.probe.texts(&ended).await?;
    ensure!(expire(&Records::SyncTexts).await?.deleted == 1);
    ensure!(expire(&Records::SyncTexts).await?.next.is_none());
    let found = listed(place, number, true).await?;
    ensure!(found[0].diff.is_none() && found[0].previous.is_none());
    ensure!(found[0].masked.as_deref() == Some("+ <hidden>") && found[0].score == Some(2.5));
    expire(&Records::Executions).await?;
    ensure!(listed(place, number, true).await?.is_empty());
    ensure!(listed(place, young, false).await?.len() == 1);
    let old = lockstep_store::ExecutionReference::Id(execution_id("old"));
    ensure!(place.store.execution(&old).await?.is_none());
    Ok(())
}

pub(crate) async fn approvals_are_one_for_each_sender_and_go_with_their_plan(place: &Place) -> Result<()> {
    create_all(place, &["a"]).await?;
    let (plan, elements) = start(place, "plan", all()).await?;
    let (other, _) = start(place, "other", all()).await?;
    let approval = |plan, by: &str, hour: u64, note: Option<&str>| PlanApproval {
        plan,
        by: by.to_owned(),
        at: hours(hour),
        expires_at: hours(hour + 8),
        note: note.map(str::to_owned),
    };
    for approval in [
        approval(plan, "berta", 1, None),
        approval(other, "berta", 2, None),
        approval(plan, "anna", 3, Some("CHG-1")),
        approval(plan, "berta", 4, Some("again")),
    ] {
        change!(place.store, |executions| executions.approve(&approval).await?);
    }
    let expected = [
        approval(plan, "anna", 3, Some("CHG-1")),
        approval(plan, "berta", 4, Some("again")),
        approval(other, "berta", 2, None),
    ];
    let found = place.other.approvals(&[plan, other].into()).await?;
    ensure!(found == expected, "{found:?}");
    ensure!(place.other.approvals(&BTreeSet::new()).await?.is_empty());
    let withdrawn = change!(place.store, |executions| {
        let found = executions.approvals(plan).await?;
        ensure!(found == expected[..2], "{found:?}");
        (
            executions.withdraw_approval(plan, "anna").await?,
            executions.withdraw_approval(plan, "anna").await?,
        )
    });
    ensure!(withdrawn == (true, false));

    let run = run(place, elements["a"], "worker").await?;
    done(place, &run).await?;
    let ended = format!(
        "UPDATE execution SET ended_at = {} WHERE number = {plan}",
        place.probe.time(hours(1))
    );
    place.probe.texts(&ended).await?;
    let expired = place.store.expire(&Records::Executions, hours(2), 0, 100).await?;
    ensure!(expired.deleted > 0, "{expired:?}");
    let left = place.other.approvals(&[plan, other].into()).await?;
    ensure!(left == expected[2..], "{left:?}");
    Ok(())
}
