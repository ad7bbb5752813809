//! The whole life of an execution, for tests of what its statements cost.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementOutcome, ElementState, ExecutionState, Level};
use lockstep_store::{
    CapScope, ElementEnd, ElementOwner, ElementQuery, ElementSource, EntityResultQuery, ExecutionQuery,
    ExecutionReference, Halt, JournalEntry, UnitLevels,
};
use serde_json::json;
use uuid::Uuid;

use super::executions::{
    DEVICES, LONG, change, claim, end, entity_result, execution_id, group, new_execution, owner,
};
use super::{Store, at, hostname};

/// The whole life of an execution on all devices, with every statement that workers and the console repeat.
pub(crate) async fn live(store: &dyn Store, name: &str) -> Result<()> {
    let (id, new, me) = (
        execution_id(name),
        new_execution(name, ExecuteOn::Device),
        owner(name),
    );
    let overall = BTreeSet::from([CapScope::Overall, CapScope::Group("core".to_owned())]);
    let started = change!(store, |executions| {
        executions
            .start(
                id,
                &new,
                &ElementSource::All,
                DEVICES,
                30,
                &CapScope::Execution(1),
                LONG,
            )
            .await?
    });
    let query = ElementQuery {
        execution: started.number,
        limit: 100,
        ..ElementQuery::default()
    };
    let rows = store.elements(&query).await?;
    let all: BTreeSet<u64> = rows.iter().map(|row| row.number).collect();
    let begun: BTreeSet<u64> = all.iter().copied().take(all.len() - 1).collect();
    change!(store, |executions| {
        executions.lock_caps(&overall).await?;
        executions.running(&overall).await?;
        executions.waiting(10).await?;
    });
    ensure!(claim(store, &begun, me, LONG).await?.len() == begun.len());
    run_cycle(store, started.number, *begun.first().context("an element")?, me).await?;
    ensure!(store.renew_elements(me, LONG).await?.held.len() == begun.len());
    let ends: Vec<ElementEnd> = begun
        .iter()
        .map(|number| end(*number, ElementState::Failed))
        .collect();
    change!(store, |executions| {
        let of = executions.executions_of(&begun).await?;
        let mut rows = executions.lock_numbers(&of).await?;
        let ended = executions
            .finish(&ends, Some(me), &BTreeSet::from([group("core")]), LONG)
            .await?;
        ensure!(ended.len() == begun.len());
        let row = rows.first_mut().context("the execution")?;
        row.counts.failed = ended.len() as u64;
        row.halt = Some(Halt::TooManyFailed);
        executions.update(row).await?;
        executions.release(&CapScope::Overall, 3, LONG).await?;
    });
    change!(store, |executions| {
        ensure!(executions.unannounced(Some(&begun), 100).await?.len() == begun.len());
        executions
            .announced(&begun.iter().copied().collect::<Vec<_>>())
            .await?;
        executions.unannounced(None, 100).await?;
        executions.expired(10).await?;
        executions.requeue(&[(started.number, 1)], LONG).await?;
        executions.overdue(10, LONG).await?;
        ensure!(executions.neglected(at(), 10).await?.len() == 1);
        ensure!(
            executions
                .skip_unstarted(started.number, Halt::TooManyFailed, "", 10)
                .await?
                == 1
        );
        let mut row = executions.lock(id).await?.context("the execution")?;
        row.counts.skipped = 1;
        row.state = ExecutionState::Failed;
        row.ended_at = Some(at());
        executions.update(&row).await?;
    });
    look(store, &id, &query, &begun).await
}

/// What a worker reads and writes beside elements.
async fn run_cycle(store: &dyn Store, execution: u64, element: u64, owner: ElementOwner) -> Result<()> {
    let levels = UnitLevels {
        above: Some(0),
        interfaces: true,
        clients: true,
        item: false,
    };
    let unit = store.unit(element, levels).await?;
    let device = unit.entities.first().context("a device")?;
    let entry = JournalEntry {
        element,
        stage: 0,
        level: Level::Device,
        entity: device.id,
        pre_run: false,
        result: Some(entity_result(Level::Device, device.id, ElementState::Failed)),
        facts: vec![("version".to_owned(), json!("4.31"))],
    };
    ensure!(
        store
            .write_journal(owner, std::slice::from_ref(&entry))
            .await?
            .is_empty()
    );
    ensure!(store.journal(element, 0).await? == [entry]);
    ensure!(store.results_of(element).await?.is_empty());
    for (level, of) in [
        (Level::Device, None),
        (Level::NornirDevice, Some(1)),
        (Level::Interface, Some(1)),
    ] {
        let query = EntityResultQuery {
            execution,
            phase: 0,
            level,
            of,
            after: None,
            limit: 10,
        };
        ensure!(store.entity_results(&query).await?.is_empty());
    }
    change!(store, |executions| {
        let scope = CapScope::Execution(execution);
        executions.begin_stage(execution, 1, 1, &scope, LONG).await?;
    });
    Ok(())
}

/// What the console reads.
async fn look(store: &dyn Store, id: &Uuid, query: &ElementQuery, ended: &BTreeSet<u64>) -> Result<()> {
    let failed = ElementQuery {
        outcome: Some(ElementOutcome::Failed),
        ..query.clone()
    };
    ensure!(store.elements(&failed).await?.len() == ended.len());
    for (state, task, name) in [
        (None, None, None),
        (Some(ExecutionState::Failed), None, None),
        (None, Some("ping all".to_owned()), None),
        (None, None, Some(hostname("sw7"))),
    ] {
        let query = ExecutionQuery {
            state,
            task,
            hostname: name,
            parent: None,
            before: None,
            limit: 5,
        };
        ensure!(!store.executions(&query).await?.is_empty());
    }
    ensure!(
        store
            .element(*ended.iter().next().context("an element")?)
            .await?
            .is_some()
    );
    ensure!(store.execution(&ExecutionReference::Id(*id)).await?.is_some());
    Ok(())
}
