use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, EntityType, ExecutionState};
use lockstep_store::{
    BeginElement, CapScope, ElementOwner, ElementSource, ExecutionReference, HeldBack, Keys, QueuedElement,
    StartedExecution, StopRow,
};

use super::executions::{
    DEVICES, LONG, NO_TIME, change, claim, elements, end, execution_id, finish, fleet, group, ids,
    new_execution, numbers, owner, start,
};
use super::{Place, Store, at, create_all, hostname};

fn scopes<const N: usize>(scopes: [CapScope; N]) -> BTreeSet<CapScope> {
    scopes.into()
}

/// The fleet with two devices more, and an execution on all four.
async fn four(place: &Place, name: &str) -> Result<StartedExecution> {
    fleet(place).await?;
    create_all(place, &["c", "d"]).await?;
    start(place, name, ExecuteOn::Device).await
}

async fn running(place: &Place, scope: CapScope) -> Result<u32> {
    let scopes = scopes([scope.clone()]);
    let counts = change!(place.store, |executions| executions.running(&scopes).await?);
    Ok(counts[&scope])
}

pub(crate) async fn a_candidate_has_what_is_needed_to_run_it(place: &Place) -> Result<()> {
    fleet(place).await?;
    place
        .probe
        .texts("UPDATE device SET management_ip = '10.0.0.7', platform = 'eos', \
                data = '{\"management_host\":\"a.example.org\",\"management_port\":8443}' WHERE hostname = 'a'")
        .await?;
    let groups = start(place, "groups", ExecuteOn::Group).await?;
    let devices = start(place, "devices", ExecuteOn::Device).await?;
    let mut asked = numbers(place, groups.number).await?;
    asked.extend(numbers(place, devices.number).await?);
    asked.insert(999_999);
    let found = change!(place.store, |executions| executions.candidates(&asked).await?);
    ensure!(found.elements.len() == 4, "{found:?}");
    ensure!(found.elements.is_sorted_by_key(|element| element.number));
    let of: Vec<u64> = found.executions.iter().map(|row| row.number).collect();
    ensure!(of == [groups.number, devices.number], "{of:?}");
    let device_ids = ids(place, ExecuteOn::Device).await?;
    let a = found
        .elements
        .iter()
        .find(|element| element.name == "a")
        .context("the device")?;
    ensure!(a.entity_type == EntityType::Device && a.entity == device_ids["a"] && a.attempts == 0);
    let device = a.device.as_ref().context("the device")?;
    ensure!(
        device.id == device_ids["a"] && device.hostname == hostname("a"),
        "{device:?}"
    );
    ensure!(device.management_ip == Some("10.0.0.7".parse()?) && device.platform.as_deref() == Some("eos"));
    let endpoint = (device.endpoint.host.as_deref(), device.endpoint.port.as_deref());
    ensure!(endpoint == (Some("a.example.org"), Some("8443")), "{endpoint:?}");
    ensure!(device.groups == [group("campus"), group("core")], "{device:?}");
    let b = found
        .elements
        .iter()
        .find(|element| element.name == "b")
        .context("the device")?;
    let device = b.device.as_ref().context("the device")?;
    ensure!(
        device.management_ip.is_none() && device.groups == [group("campus")],
        "{device:?}"
    );
    ensure!(
        found
            .elements
            .iter()
            .filter(|element| element.device.is_none())
            .count()
            == 2
    );

    ensure!(place.store.summary().await?.due_work == 4, "all are due");

    // What runs or ended is no candidate.
    let owner = owner("worker");
    ensure!(
        claim(&*place.store, &[a.number, b.number].into(), owner, LONG)
            .await?
            .len()
            == 2
    );
    finish(place, &[end(b.number, ElementState::Successful)], Some(owner)).await?;
    ensure!(
        place.store.summary().await?.due_work == 3,
        "one runs, one has ended"
    );
    let found = change!(place.store, |executions| executions.candidates(&asked).await?);
    ensure!(found.elements.len() == 2, "{found:?}");
    let nothing = change!(place.store, |executions| executions
        .candidates(&BTreeSet::new())
        .await?);
    ensure!(nothing == lockstep_store::Candidates::default());
    Ok(())
}

pub(crate) async fn what_begins_is_counted_in_its_scopes_until_its_time_is_over(place: &Place) -> Result<()> {
    let started = four(place, "devices").await?;
    let other = start(place, "groups", ExecuteOn::Group).await?;
    let all = elements(place, started.number).await?;
    let owner = owner("worker");
    change!(place.store, |executions| {
        let begun = [&all[3], &all[0], &all[1]].map(|element| BeginElement {
            number: element.number,
            fence: None,
            others: Vec::new(),
        });
        executions.begin(&begun, owner, "worker-1", LONG).await?;
    });
    let lost = numbers(place, other.number).await?;
    ensure!(claim(&*place.store, &lost, owner, NO_TIME).await?.len() == 2);
    let asked = scopes([
        CapScope::Stop,
        CapScope::Overall,
        CapScope::Provider("ping".to_owned()),
        CapScope::Provider("command".to_owned()),
        CapScope::Group("campus".to_owned()),
        CapScope::Group("core".to_owned()),
        CapScope::Group("nobody".to_owned()),
        CapScope::Execution(started.number),
        CapScope::Execution(other.number),
        CapScope::Device("a".to_owned()),
        CapScope::Device("b".to_owned()),
    ]);
    let counted = change!(place.store, |executions| executions.running(&asked).await?);
    let of = |counted: &BTreeMap<CapScope, u32>| -> Vec<(String, u32)> {
        counted
            .iter()
            .map(|(scope, count)| (scope.to_string(), *count))
            .collect()
    };
    let expected = [
        ("stop", 0),
        ("overall", 3),
        ("provider/command", 0),
        ("provider/ping", 3),
        ("group/campus", 2),
        ("group/core", 1),
        ("group/nobody", 0),
        (&*format!("execution/{}", started.number), 3),
        (&*format!("execution/{}", other.number), 0),
        ("device/a", 1),
        ("device/b", 1),
    ];
    ensure!(
        of(&counted) == expected.map(|(scope, count)| (scope.to_owned(), count)),
        "{counted:?}"
    );
    let queued = change!(place.store, |executions| executions.queued(&asked).await?);
    let some = queued
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(scope, count)| (scope.to_string(), *count));
    let some: Vec<(String, u32)> = some.collect();
    let expected = [
        ("overall", 1),
        ("provider/ping", 1),
        (&*format!("execution/{}", started.number), 1),
    ];
    ensure!(
        some == expected.map(|(scope, count)| (scope.to_owned(), count)),
        "{some:?}"
    );

    let rows = elements(place, started.number).await?;
    ensure!(rows[0].state == ElementState::Running && rows[0].attempts == 1 && rows[0].started_at.is_some());
    ensure!(rows[2].state == ElementState::Pending && rows[2].attempts == 0 && rows[2].started_at.is_none());
    for (number, state) in [
        (started.number, ExecutionState::Running),
        (
            start(place, "late", ExecuteOn::Global).await?.number,
            ExecutionState::Pending,
        ),
    ] {
        let reference = ExecutionReference::Number(number);
        let row = place
            .store
            .execution(&reference)
            .await?
            .context("the execution")?;
        ensure!(
            row.state == state && row.started_at.is_some() == (state == ExecutionState::Running),
            "{row:?}"
        );
    }
    Ok(())
}

pub(crate) async fn what_waits_is_released_in_order(place: &Place) -> Result<()> {
    let started = four(place, "devices").await?;
    let all: Vec<u64> = numbers(place, started.number).await?.into_iter().collect();
    let device = CapScope::Device("a".to_owned());
    change!(place.store, |executions| {
        let held = |number: &u64, waits_for: CapScope| HeldBack {
            number: *number,
            waits_for,
        };
        let held = [
            held(&all[2], CapScope::Overall),
            held(&all[3], device.clone()),
            held(&all[0], CapScope::Overall),
            held(&all[1], CapScope::Overall),
        ];
        executions.hold_back(&held).await?;
    });
    let waiting = async || -> Result<Vec<(String, u32)>> {
        let waiting = change!(place.store, |executions| executions.waiting(10).await?);
        Ok(waiting
            .into_iter()
            .map(|(scope, count)| (scope.to_string(), count))
            .collect())
    };
    ensure!(waiting().await? == [("overall".to_owned(), 3), ("device/a".to_owned(), 1)]);
    let release = async |scope: &CapScope, limit: u32| -> Result<Vec<u64>> {
        let released = change!(place.store, |executions| executions
            .release(scope, limit, LONG)
            .await?);
        Ok(released.into_iter().map(|element| element.number).collect())
    };
    ensure!(release(&CapScope::Overall, 2).await? == all[..2]);
    ensure!(
        release(&CapScope::Provider("ping".to_owned()), 2)
            .await?
            .is_empty()
    );
    ensure!(waiting().await? == [("overall".to_owned(), 1), ("device/a".to_owned(), 1)]);

    // Elements of a paused and of a halted execution stay.
    for paused in [true, false] {
        change!(place.store, |executions| {
            let mut row = executions
                .lock(execution_id("devices"))
                .await?
                .context("the execution")?;
            row.paused = paused;
            executions.update(&row).await?;
        });
        let released = release(&device, 9).await?;
        ensure!(
            released == if paused { vec![] } else { vec![all[3]] },
            "{released:?}"
        );
    }
    change!(place.store, |executions| {
        let mut row = executions
            .lock(execution_id("devices"))
            .await?
            .context("the execution")?;
        row.halt = Some(lockstep_store::Halt::Deadline);
        executions.update(&row).await?;
    });
    ensure!(release(&CapScope::Overall, 2).await?.is_empty());
    ensure!(elements(place, started.number).await?[2].waits_for == Some(CapScope::Overall));
    Ok(())
}

pub(crate) async fn many_devices_release_one_element_each(place: &Place) -> Result<()> {
    let started = four(place, "devices").await?;
    let all: Vec<u64> = numbers(place, started.number).await?.into_iter().collect();
    let [a, b, c] = ["a", "b", "c"].map(|hostname| CapScope::Device(hostname.to_owned()));
    let on_device = [(1, &a), (0, &a), (2, &b), (3, &b)];
    change!(place.store, |executions| {
        let held = on_device.map(|(element, device)| HeldBack {
            number: all[element],
            waits_for: device.clone(),
        });
        executions.hold_back(&held).await?;
    });
    let release = async |scopes: &[&CapScope]| -> Result<Vec<u64>> {
        let scopes = scopes.iter().copied().cloned().collect();
        let released = change!(place.store, |executions| executions
            .release_one_each(&scopes, LONG)
            .await?);
        let number = |element: QueuedElement| element.number;
        Ok(released.into_iter().map(number).collect())
    };
    ensure!(release(&[]).await?.is_empty());
    ensure!(release(&[&c]).await?.is_empty(), "nothing waits for it");
    ensure!(
        release(&[&a, &b, &c]).await? == [all[0], all[2]],
        "the oldest of each"
    );
    let waiting = elements(place, started.number).await?;
    let waiting: Vec<_> = waiting.into_iter().map(|element| element.waits_for).collect();
    ensure!(
        waiting == [None, Some(a.clone()), None, Some(b.clone())],
        "{waiting:?}"
    );

    // Elements of a paused execution stay.
    for (paused, expected) in [(true, vec![]), (false, vec![all[1]])] {
        change!(place.store, |executions| {
            let row = executions.lock(execution_id("devices")).await?;
            let mut row = row.context("the execution")?;
            row.paused = paused;
            executions.update(&row).await?;
        });
        ensure!(release(&[&a]).await? == expected);
    }
    Ok(())
}

pub(crate) async fn one_element_at_a_time_runs_on_a_device(place: &Place) -> Result<()> {
    fleet(place).await?;
    let [first, second] = ["first", "second"].map(owner);
    let mut one = numbers(place, start(place, "one", ExecuteOn::Device).await?.number).await?;
    one.extend(numbers(place, start(place, "also", ExecuteOn::Device).await?.number).await?);
    let two = numbers(place, start(place, "two", ExecuteOn::Device).await?.number).await?;
    let begun = claim(&*place.store, &one, first, LONG).await?;
    // One of each device.
    ensure!(begun.len() == 2, "{begun:?}");
    ensure!(claim(&*place.other, &two, second, LONG).await?.is_empty());
    let ended = finish(place, &[end(begun[0], ElementState::Successful)], Some(first)).await?;
    ensure!(
        ended[0].frees
            == [
                CapScope::Device("a".to_owned()),
                CapScope::Group("core".to_owned())
            ],
        "{ended:?}"
    );
    ensure!(claim(&*place.other, &two, second, NO_TIME).await?.len() == 1);
    // The time of the second worker is over, and the device passes on.
    let all = [hostname("a"), hostname("b"), hostname("new")].into();
    let fences = change!(place.store, |executions| {
        executions.acquire_devices(&all, first, LONG).await?
    });
    ensure!(
        fences == BTreeMap::from([(hostname("a"), 3), (hostname("new"), 1)]),
        "{fences:?}"
    );
    Ok(())
}

pub(crate) async fn a_lease_that_passed_on_is_not_given_back(place: &Place) -> Result<()> {
    create_all(place, &["a"]).await?;
    let [stale, next] = ["stale", "next"].map(owner);
    let one = numbers(place, start(place, "one", ExecuteOn::Device).await?.number).await?;
    let two = numbers(place, start(place, "two", ExecuteOn::Device).await?.number).await?;
    let begun = claim(&*place.store, &one, stale, NO_TIME).await?;
    ensure!(claim(&*place.store, &two, next, LONG).await?.len() == 1);
    // Its element was not taken away yet, so its end counts.
    let ended = finish(place, &[end(begun[0], ElementState::Successful)], Some(stale)).await?;
    ensure!(ended.len() == 1, "{ended:?}");
    let fences = change!(place.store, |executions| {
        executions
            .acquire_devices(&[hostname("a")].into(), stale, LONG)
            .await?
    });
    ensure!(fences.is_empty(), "{fences:?}");
    Ok(())
}

/// Claims as many elements as a cap on all of them allows; the others wait.
async fn claim_up_to(
    store: &dyn Store,
    cap: u32,
    asked: &BTreeSet<u64>,
    owner: ElementOwner,
    between: impl AsyncFnOnce(),
) -> Result<Vec<u64>> {
    let overall = scopes([CapScope::Overall]);
    Ok(change!(store, |executions| {
        executions.lock_caps(&overall).await?;
        let candidates = executions.candidates(asked).await?.elements;
        let running = executions.running(&overall).await?[&CapScope::Overall];
        between().await;
        let places = cap.saturating_sub(running) as usize;
        let numbers: Vec<u64> = candidates.iter().map(|element| element.number).collect();
        let (begun, held) = numbers.split_at(places.min(numbers.len()));
        let first: Vec<BeginElement> = begun
            .iter()
            .map(|number| BeginElement {
                number: *number,
                fence: None,
                others: Vec::new(),
            })
            .collect();
        let held: Vec<HeldBack> = held
            .iter()
            .map(|number| HeldBack {
                number: *number,
                waits_for: CapScope::Overall,
            })
            .collect();
        executions.begin(&first, owner, "worker", LONG).await?;
        executions.hold_back(&held).await?;
        begun.to_vec()
    }))
}

/// The first claim has counted and not begun yet when the second one comes.
pub(crate) async fn two_claims_at_once_never_exceed_a_cap(place: &Place) -> Result<()> {
    let started = four(place, "devices").await?;
    let all: Vec<u64> = numbers(place, started.number).await?.into_iter().collect();
    let (first, second): (BTreeSet<u64>, BTreeSet<u64>) = (
        all[..2].iter().copied().collect(),
        all[2..].iter().copied().collect(),
    );
    let no_wait = async || {};
    let mut later = Box::pin(claim_up_to(&*place.other, 2, &second, owner("second"), no_wait));
    let mut overtaken = false;
    let begun = claim_up_to(&*place.store, 2, &first, owner("first"), async || {
        overtaken = tokio::time::timeout(Duration::from_millis(300), &mut later)
            .await
            .is_ok();
    })
    .await?;
    ensure!(!overtaken, "the second claim did not wait for the first");
    ensure!(begun.len() == 2);
    ensure!(later.await?.is_empty());
    ensure!(running(place, CapScope::Overall).await? == 2);
    ensure!(elements(place, started.number).await?[3].waits_for == Some(CapScope::Overall));
    Ok(())
}

pub(crate) async fn a_stop_is_seen_by_every_claim(place: &Place) -> Result<()> {
    let row = StopRow {
        at: at(),
        by: Some("anna".to_owned()),
        note: Some("a fire".to_owned()),
    };
    let set = async |stop: Option<&StopRow>| -> Result<bool> {
        Ok(change!(place.store, |executions| executions
            .set_stop(stop)
            .await?))
    };
    ensure!(!set(None).await?);
    ensure!(set(Some(&row)).await?);
    // The first stop stays.
    let other = StopRow {
        by: None,
        ..row.clone()
    };
    ensure!(!set(Some(&other)).await?);
    ensure!(place.store.stopped().await? == Some(row.clone()));
    ensure!(change!(place.other, |executions| executions.stop().await?) == Some(row));
    ensure!(set(None).await? && !set(None).await?);
    ensure!(place.store.stopped().await?.is_none());

    // A stop waits for a claim under way, so that nothing begins after it.
    let (facts, mut claiming) = place.store.begin(&[], &Keys::default()).await?;
    ensure!(claiming.executions().stop().await?.is_none());
    let mut stopping = Box::pin(async {
        change!(place.other, |executions| executions
            .set_stop(Some(&other))
            .await?);
        anyhow::Ok(())
    });
    let early = tokio::time::timeout(Duration::from_millis(300), &mut stopping).await;
    ensure!(early.is_err(), "the stop did not wait");
    claiming.commit(&facts).await?;
    stopping.await?;
    ensure!(place.store.stopped().await? == Some(other));
    Ok(())
}

/// A worker: claims what is queued, and ends what it claimed, until all elements ended. Returns the numbers of those that it ended.
async fn run(store: &dyn Store, of: &[u64], cap: u32, owner: ElementOwner) -> Result<Vec<u64>> {
    let overall = scopes([CapScope::Overall]);
    let mut ended = Vec::new();
    loop {
        let mut open = Vec::new();
        for execution in of {
            let query = lockstep_store::ElementQuery {
                execution: *execution,
                open: true,
                limit: 1000,
                ..Default::default()
            };
            open.extend(store.elements(&query).await?);
        }
        if open.is_empty() {
            return Ok(ended);
        }
        let queued = open.iter().filter(|element| element.waits_for.is_none());
        let queued = queued.filter(|element| element.state == ElementState::Pending);
        let queued: BTreeSet<u64> = queued.map(|element| element.number).take(20).collect();
        let begun = claim_within(store, cap, &queued, owner).await?;
        let renewed = store.renew_elements(owner, LONG).await?;
        ensure!(renewed.held == begun, "{renewed:?} {begun:?}");
        let ends: Vec<_> = begun
            .iter()
            .map(|number| end(*number, ElementState::Successful))
            .collect();
        change!(store, |executions| {
            executions.lock_caps(&overall).await?;
            let running = executions.running(&overall).await?[&CapScope::Overall];
            ensure!(running <= cap, "{running} elements run at once");
            let of = executions.executions_of(&begun.iter().copied().collect()).await?;
            executions.lock_numbers(&of).await?;
            let finished = executions
                .finish(&ends, Some(owner), &BTreeSet::new(), LONG)
                .await?;
            ended.extend(finished.iter().map(|element| element.number));
            for scope in finished.into_iter().flat_map(|element| element.frees) {
                executions.release(&scope, 1, LONG).await?;
            }
            executions.release(&CapScope::Overall, cap, LONG).await?;
        });
    }
}

/// Claims as many elements as a cap allows, on devices that are free; the others wait.
async fn claim_within(
    store: &dyn Store,
    cap: u32,
    asked: &BTreeSet<u64>,
    owner: ElementOwner,
) -> Result<Vec<u64>> {
    let overall = scopes([CapScope::Overall]);
    Ok(change!(store, |executions| {
        executions.lock_caps(&overall).await?;
        let candidates = executions.candidates(asked).await?.elements;
        let running = executions.running(&overall).await?[&CapScope::Overall];
        let places = (cap.saturating_sub(running) as usize).min(candidates.len());
        let (within, over) = candidates.split_at(places);
        let of = |element: &lockstep_store::CandidateElement| {
            element
                .device
                .as_ref()
                .map(|device| device.hostname.clone())
                .context("a device")
        };
        let hostnames = within.iter().map(of).collect::<Result<_>>()?;
        let mut fences = executions.acquire_devices(&hostnames, owner, LONG).await?;
        let (mut begin, mut held) = (Vec::new(), Vec::new());
        for element in within {
            let (number, hostname) = (element.number, of(element)?);
            match fences.remove(&hostname) {
                Some(fence) => begin.push(BeginElement {
                    number,
                    fence: Some(fence),
                    others: Vec::new(),
                }),
                None => held.push(HeldBack {
                    number,
                    waits_for: CapScope::Device(hostname.to_string()),
                }),
            }
        }
        held.extend(over.iter().map(|element| HeldBack {
            number: element.number,
            waits_for: CapScope::Overall,
        }));
        executions.begin(&begin, owner, "worker", LONG).await?;
        executions.hold_back(&held).await?;
        begin.iter().map(|element| element.number).collect()
    }))
}

/// Claims, ends, renewals and releases do not wait for each other in a circle: the store would report a conflict. What waits for a
/// device or for a place is not forgotten: the run would not end.
pub(crate) async fn workers_at_once_end_every_element_once(place: &Place) -> Result<()> {
    let names: Vec<String> = (0..40).map(|number| format!("sw{number}")).collect();
    create_all(place, &names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let mut of = Vec::new();
    for name in ["first", "second", "third"] {
        let started = change!(place.store, |executions| {
            let new = new_execution(name, ExecuteOn::Device);
            let id = execution_id(name);
            executions
                .start(
                    id,
                    &new,
                    &ElementSource::All,
                    DEVICES,
                    30,
                    &CapScope::Overall,
                    LONG,
                )
                .await?
        });
        of.push(started.number);
    }
    let workers = (0..4).map(|worker| {
        let store = if worker % 2 == 0 {
            &place.store
        } else {
            &place.other
        };
        run(&**store, &of, 7, owner(&worker.to_string()))
    });
    let ended = tokio::time::timeout(Duration::from_mins(2), try_join_all(workers)).await??;
    let mut ended: Vec<u64> = ended.into_iter().flatten().collect();
    ended.sort_unstable();
    let mut all = Vec::new();
    for execution in of {
        for element in elements(place, execution).await? {
            ensure!(element.attempts == 1, "{element:?}");
            all.push(element.number);
        }
    }
    all.sort_unstable();
    ensure!(ended == all, "{ended:?}");
    Ok(())
}
