use std::num::NonZeroU32;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementOutcome, ElementState, ExecutionState};
use lockstep_store::{CapScope, ElementQuery, ElementSource, ExecutionQuery, Halt, NewExecution};

use super::executions::{
    LONG, change, claim, elements, end, execution_id, finish, fleet, ids, new_execution, owner, start_of,
};
use super::{Place, create_all, hostname};

pub(crate) async fn pages_of_elements_follow_each_other(place: &Place) -> Result<()> {
    let names: Vec<String> = (10..32).map(|number| format!("sw{number}")).collect();
    create_all(place, &names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let new = new_execution("first", ExecuteOn::Device);
    let started = start_of(place, &new, &ElementSource::All).await?;
    let noise = new_execution("second", ExecuteOn::Device);
    start_of(place, &noise, &ElementSource::All).await?;
    let all = elements(place, started.number).await?;
    // Every third one is done, every fourth of the others failed; one runs, and the last five are skipped.
    let ends = all.iter().enumerate().filter_map(|(index, element)| match index {
        16.. => None,
        _ if index % 3 == 0 => Some(end(element.number, ElementState::Successful)),
        _ if index % 4 == 0 => Some(end(element.number, ElementState::PrecheckFailed)),
        _ => None,
    });
    let ends: Vec<_> = ends.collect();
    let begun = ends.iter().map(|end| end.number).chain([all[1].number]).collect();
    claim(&*place.store, &begun, owner("worker"), LONG).await?;
    ensure!(finish(place, &ends, None).await?.len() == ends.len());
    change!(place.store, |executions| {
        let rest: Vec<_> = all[2..16]
            .iter()
            .map(|element| lockstep_store::HeldBack {
                number: element.number,
                waits_for: CapScope::Stop,
            })
            .collect();
        executions.hold_back(&rest).await?;
        executions
            .skip_unstarted(started.number, Halt::Cancelled, "by anna", 3)
            .await?
    });
    let after = elements(place, started.number).await?;
    ensure!(after.len() == all.len() && after.is_sorted_by_key(|element| element.number));
    let queries = [
        (None, false),
        (None, true),
        (Some(ElementOutcome::Done), false),
        (Some(ElementOutcome::Failed), false),
        (Some(ElementOutcome::Skipped), false),
        (Some(ElementOutcome::Done), true),
    ];
    for (outcome, open) in queries {
        let expected: Vec<u64> = after
            .iter()
            .filter(|element| match (outcome, open) {
                (None, false) => true,
                (None, true) => element.state.outcome().is_none(),
                (Some(_), true) => false,
                (Some(outcome), false) => element.state.outcome() == Some(outcome),
            })
            .map(|element| element.number)
            .collect();
        ensure!(
            open && outcome.is_some() || expected.len() >= 2,
            "{outcome:?} {open}: {expected:?}"
        );
        for limit in [1, 3, 100] {
            let (mut found, mut last) = (Vec::new(), None);
            loop {
                let query = ElementQuery {
                    execution: started.number,
                    outcome,
                    open,
                    after: last,
                    limit,
                };
                let page = place.other.elements(&query).await?;
                ensure!(page.len() <= limit as usize);
                found.extend(page.iter().map(|element| element.number));
                last = page.last().map(|element| element.number);
                if last.is_none() {
                    break;
                }
            }
            ensure!(found == expected, "{outcome:?} {open} {limit}: {found:?}");
        }
    }
    Ok(())
}

pub(crate) async fn filters_choose_executions(place: &Place) -> Result<()> {
    fleet(place).await?;
    let devices = ids(place, ExecuteOn::Device).await?;
    // Of six executions, the even ones are of another task, the first three are on `a`, and two ended.
    for index in 0..6 {
        let name = index.to_string();
        let mut new = new_execution(&name, ExecuteOn::Device);
        if index % 2 == 0 {
            new = NewExecution {
                task: "other".to_owned(),
                ..new
            };
        }
        new.requested.limits.canary = NonZeroU32::new(index);
        let device = if index < 3 { "a" } else { "b" };
        let source = ElementSource::Of {
            entity_type: ExecuteOn::Device,
            ids: vec![devices[device]],
        };
        ensure!(start_of(place, &new, &source).await?.elements == 1);
        if index == 1 || index == 4 {
            change!(place.store, |executions| {
                let mut row = executions
                    .lock(execution_id(&name))
                    .await?
                    .context("the execution")?;
                row.state = ExecutionState::Failed;
                row.ended_at = Some(place.store.now().await?);
                executions.update(&row).await?;
            });
        }
    }
    let query = ExecutionQuery {
        limit: 100,
        ..ExecutionQuery::default()
    };
    let task = |name: &str| Some(name.to_owned());
    let on = |name: &str| Some(hostname(name));
    let failed = Some(ExecutionState::Failed);
    let table = [
        (None, None, None, vec!["5", "4", "3", "2", "1", "0"]),
        (failed, None, None, vec!["4", "1"]),
        (Some(ExecutionState::Running), None, None, vec![]),
        (None, task("other"), None, vec!["4", "2", "0"]),
        (None, task("nothing"), None, vec![]),
        (None, None, on("a"), vec!["2", "1", "0"]),
        (None, None, on("nobody"), vec![]),
        (failed, task("other"), None, vec!["4"]),
        (failed, None, on("a"), vec!["1"]),
        (None, task("other"), on("a"), vec!["2", "0"]),
        (failed, task("other"), on("a"), vec![]),
    ];
    for (state, task, hostname, expected) in table {
        let query = ExecutionQuery {
            state,
            task,
            hostname,
            ..query.clone()
        };
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = ExecutionQuery {
                before,
                limit: 2,
                ..query.clone()
            };
            let rows = place.other.executions(&page).await?;
            ensure!(rows.len() <= 2);
            found.extend(rows.iter().map(|row| row.request.identity.id.as_str().to_owned()));
            before = rows.last().map(|row| row.number);
            if before.is_none() {
                break;
            }
        }
        ensure!(found == expected, "{query:?}: {found:?}");
        ensure!(
            place.store.count_executions(&query).await? == expected.len() as u64,
            "{query:?}"
        );
    }
    Ok(())
}
