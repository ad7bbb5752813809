//! Checks the outcome of every fault test with executions: each element ended in exactly one way, the counts of the execution are those of
//! its elements and of its result, one result tells its end, and at least one result tells the end of each element. It reads the rows
//! without the code under test, and prints its counts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_bus::{Acknowledge, Bus, ConsumeOptions};
use lockstep_protocol::results::{ElementFinished, ExecutionFinished};
use lockstep_protocol::topology::Queue;
use lockstep_protocol::{Envelope, Message, MessageId, WorkResult};
use lockstep_testbed::Schema;
use lockstep_testbed::wait::{self, Progress};
use tokio_postgres::Client;

use super::PATIENCE;

/// The row of an execution.
#[derive(Clone, Debug)]
pub(crate) struct ExecutionRecord {
    pub(crate) number: i64,
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) counts: OutcomeCounts,
    ended: bool,
}

/// How many elements an execution has, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutcomeCounts {
    pub(crate) elements: i64,
    pub(crate) done: i64,
    pub(crate) failed: i64,
    pub(crate) skipped: i64,
}

/// The row of an element.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ElementRecord {
    pub(crate) execution: i64,
    pub(crate) kind: String,
    pub(crate) entity: i64,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) outcome: String,
    pub(crate) reason: Option<String>,
    pub(crate) attempts: i32,
    pub(crate) waits_for: Option<String>,
    pub(crate) worker: Option<String>,
}

/// The executions of a scene, as its database has them.
pub(crate) struct ExecutionOracle {
    client: Client,
}

/// Results about one thing: with each, how often it was published.
type Published<T> = BTreeMap<MessageId, (T, usize)>;

/// The results about executions.
#[derive(Debug, Default)]
struct Told {
    /// By execution, kind of entity and id.
    elements: BTreeMap<(String, String, i64), Published<ElementFinished>>,
    executions: BTreeMap<String, Published<ExecutionFinished>>,
}

const EXECUTIONS: &str = "SELECT number, id, state, reason, elements, done, failed, skipped, ended_at IS NOT NULL \
    FROM execution ORDER BY number";
const ELEMENTS: &str = "SELECT execution, entity_type, entity_id, name, state, outcome, reason, attempts, waits_for, worker \
    FROM element ORDER BY number";

impl ExecutionOracle {
    pub(crate) async fn of(schema: &Schema) -> Result<Self> {
        let client = schema.connect().await?;
        Ok(Self { client })
    }

    /// All executions, by number.
    pub(crate) async fn executions(&self) -> Result<Vec<ExecutionRecord>> {
        let rows = self.client.query(EXECUTIONS, &[]).await?;
        let record = |row: &tokio_postgres::Row| ExecutionRecord {
            number: row.get(0),
            id: row.get(1),
            state: row.get(2),
            reason: row.get(3),
            counts: OutcomeCounts {
                elements: row.get(4),
                done: row.get(5),
                failed: row.get(6),
                skipped: row.get(7),
            },
            ended: row.get(8),
        };
        Ok(rows.iter().map(record).collect())
    }

    /// All elements, by number.
    pub(crate) async fn elements(&self) -> Result<Vec<ElementRecord>> {
        let rows = self.client.query(ELEMENTS, &[]).await?;
        let record = |row: &tokio_postgres::Row| ElementRecord {
            execution: row.get(0),
            kind: row.get(1),
            entity: row.get(2),
            name: row.get(3),
            state: row.get(4),
            outcome: row.get(5),
            reason: row.get(6),
            attempts: row.get(7),
            waits_for: row.get(8),
            worker: row.get(9),
        };
        Ok(rows.iter().map(record).collect())
    }

    /// Waits until at least this number of elements ended, as long as elements end.
    pub(crate) async fn ended_at_least(&self, count: usize) -> Result<()> {
        self.growing(
            &format!("{count} elements to end"),
            "SELECT count(*) FROM element WHERE outcome <> 'open'",
            count,
        )
        .await
    }

    /// Waits until this number of executions ended, as long as elements end.
    pub(crate) async fn all_ended(&self, executions: usize) -> Result<()> {
        let elements = "SELECT count(*) FROM element WHERE outcome <> 'open'";
        let ended = "SELECT count(*) FROM execution WHERE ended_at IS NOT NULL";
        wait::while_growing(
            &format!("{executions} executions to end"),
            PATIENCE,
            async || match (self.count(elements).await, self.count(ended).await) {
                (Ok(_), Ok(ended)) if ended == executions => Ok(()),
                (Ok(elements), Ok(ended)) => Err(Progress {
                    count: elements + ended,
                    state: format!("{ended} executions and {elements} elements ended"),
                }),
                (Err(error), _) | (_, Err(error)) => Err(Progress {
                    count: 0,
                    state: format!("{error:#}"),
                }),
            },
        )
        .await?;
        Ok(())
    }

    async fn growing(&self, what: &str, select: &str, count: usize) -> Result<()> {
        wait::while_growing(what, PATIENCE, async || match self.count(select).await {
            Ok(found) if found >= count => Ok(()),
            Ok(found) => Err(Progress {
                count: found,
                state: format!("{found} of {count}"),
            }),
            Err(error) => Err(Progress {
                count: 0,
                state: format!("{error:#}"),
            }),
        })
        .await?;
        Ok(())
    }

    /// The number that this statement selects.
    pub(crate) async fn count(&self, select: &str) -> Result<usize> {
        let count: i64 = self.client.query_one(select, &[]).await?.get(0);
        Ok(usize::try_from(count)?)
    }

    /// Waits until this statement selects zero.
    pub(crate) async fn none(&self, what: &str, select: &str) -> Result<()> {
        wait::until(what, PATIENCE, async || match self.count(select).await {
            Ok(0) => Ok(()),
            Ok(found) => Err(format!("{found} are left")),
            Err(error) => Err(format!("{error:#}")),
        })
        .await?;
        Ok(())
    }

    /// Checks all executions, which must have ended, and every result about them outside of reply queues. Returns the executions.
    #[expect(clippy::print_stdout, reason = "fault tests print their counts")]
    pub(crate) async fn check(&self, bus: &dyn Bus) -> Result<Vec<ExecutionRecord>> {
        let executions = self.executions().await?;
        let elements = self.elements().await?;
        for execution in &executions {
            let its = elements
                .iter()
                .filter(|element| element.execution == execution.number);
            check_rows(execution, &its.collect::<Vec<_>>())?;
        }
        // Who was killed before it announced an end is followed by the periodic task.
        self.none(
            "all ends to be announced",
            "SELECT count(*) FROM element WHERE due_at IS NOT NULL",
        )
        .await?;
        let held = "SELECT count(*) FROM lease WHERE name LIKE 'device/%' AND until > clock_timestamp()";
        ensure!(self.count(held).await? == 0, "a device is held by nobody");
        let lost = "SELECT count(*) FROM dead_letter";
        ensure!(self.count(lost).await? == 0, "a message was dead-lettered");

        let told = Told::read(&executions, &elements, bus).await?;
        told.check(&executions, &elements)?;
        for execution in &executions {
            let ExecutionRecord {
                number,
                state,
                counts,
                reason,
                ..
            } = execution;
            println!("execution {number}: {state} {reason:?} {counts:?}");
        }
        println!("{}", told.summary());
        Ok(executions)
    }
}

/// The counts of the execution are those of its elements, and each element ended in one way.
fn check_rows(execution: &ExecutionRecord, elements: &[&ElementRecord]) -> Result<()> {
    let is_final = !["PENDING", "RUNNING"].contains(&execution.state.as_str());
    ensure!(execution.ended && is_final, "it did not end: {execution:?}");
    let mut found = OutcomeCounts::default();
    let mut entities = BTreeSet::new();
    for element in elements {
        found.elements += 1;
        match element.outcome.as_str() {
            "done" => found.done += 1,
            "failed" => found.failed += 1,
            "skipped" => found.skipped += 1,
            _ => anyhow::bail!("it did not end: {element:?}"),
        }
        ensure!(element.waits_for.is_none(), "it still waits: {element:?}");
        ensure!(
            entities.insert((&element.kind, element.entity)),
            "its entity has another element: {element:?}"
        );
        ensure!(
            element.outcome == "skipped" || element.attempts > 0,
            "it ended and never began: {element:?}"
        );
        ensure!(
            element.outcome == "done" || element.reason.is_some(),
            "no reason: {element:?}"
        );
    }
    ensure!(
        found == execution.counts,
        "the elements are {found:?}: {execution:?}"
    );
    Ok(())
}

impl Told {
    /// Reads results until each end has one, and then all further ones.
    async fn read(executions: &[ExecutionRecord], elements: &[ElementRecord], bus: &dyn Bus) -> Result<Self> {
        let options = ConsumeOptions {
            prefetch: 1000,
            acknowledge: Acknowledge::InOrder,
        };
        let mut consumer = bus.consume(Queue::Results, options).await?;
        let mut told = Self::default();
        loop {
            let complete = told.executions.len() >= executions.len() && told.elements.len() >= elements.len();
            let patience = if complete {
                Duration::from_millis(500)
            } else {
                PATIENCE
            };
            let batch = match tokio::time::timeout(patience, consumer.take(1000)).await {
                Ok(batch) => batch.context("the bus was closed")?,
                Err(_) => break,
            };
            for delivery in &batch.deliveries {
                let result = Envelope::decode(&delivery.body)
                    .context("a result cannot be read")?
                    .envelope;
                told.add(result);
            }
            batch.receipt.ack().await;
        }
        consumer.close().await;
        Ok(told)
    }

    fn add(&mut self, result: Envelope) {
        let id = result.identity.id;
        match result.message {
            Message::Result(WorkResult::ElementFinished(finished)) => {
                let entity = i64::try_from(finished.entity).unwrap_or(i64::MAX);
                let kind = finished.entity_type.as_str().to_owned();
                let key = (finished.execution.to_string(), kind, entity);
                let told = self.elements.entry(key).or_default();
                told.entry(id).or_insert((finished, 0)).1 += 1;
            }
            Message::Result(WorkResult::ExecutionFinished(finished)) => {
                let told = self.executions.entry(finished.execution.to_string()).or_default();
                told.entry(id).or_insert((finished, 0)).1 += 1;
            }
            _ => {}
        }
    }

    /// Each end is told by one message, which may come several times, and it says what the row says.
    fn check(&self, executions: &[ExecutionRecord], elements: &[ElementRecord]) -> Result<()> {
        ensure!(
            self.executions.len() == executions.len() && self.elements.len() == elements.len(),
            "{} of {} executions and {} of {} elements have results",
            self.executions.len(),
            executions.len(),
            self.elements.len(),
            elements.len()
        );
        let mut ids = BTreeMap::new();
        for execution in executions {
            ids.insert(execution.number, &execution.id);
            let finished = one(self.executions.get(&execution.id)).with_context(|| execution.id.clone())?;
            let counts = OutcomeCounts {
                elements: execution.counts.elements,
                done: i64::try_from(finished.done)?,
                failed: i64::try_from(finished.failed)?,
                skipped: i64::try_from(finished.skipped)?,
            };
            ensure!(
                counts == execution.counts && finished.state.as_str() == execution.state,
                "{finished:?} about {execution:?}"
            );
        }
        for element in elements {
            let id = ids.get(&element.execution).context("an execution")?;
            let finished = one(self
                .elements
                .get(&((*id).clone(), element.kind.clone(), element.entity)))
            .with_context(|| format!("{element:?}"))?;
            let outcome = serde_json::to_value(finished.outcome)?;
            ensure!(
                finished.state.as_str() == element.state
                    && outcome == element.outcome.as_str()
                    && finished.reason == element.reason,
                "{finished:?} about {element:?}"
            );
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let elements = self.elements.values().flat_map(BTreeMap::values);
        let executions = self.executions.values().flat_map(BTreeMap::values);
        format!(
            "results: {} about {} elements, {} about {} executions",
            elements.map(|(_, times)| times).sum::<usize>(),
            self.elements.len(),
            executions.map(|(_, times)| times).sum::<usize>(),
            self.executions.len()
        )
    }
}

/// The only result, which may have come several times.
fn one<T>(told: Option<&Published<T>>) -> Result<&T> {
    let told = told.context("no result")?;
    ensure!(told.len() == 1, "{} results with different ids", told.len());
    let (result, _) = told.values().next().context("no result")?;
    Ok(result)
}
