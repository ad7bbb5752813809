//! Fakes of bus, store and clock. The bus records what is published; the store returns what a test put into it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
pub(crate) use lockstep_bus::fake::{FakeBus, FakeMode};
use lockstep_protocol::commands::{ExecuteOn, TaskReference, TaskSaveRequested};
use lockstep_protocol::rest::{ProviderView, RuleView, TaskForm, TaskProblem, TaskView};
use lockstep_protocol::{
    DeviceState, DeviceType, EntityType, GroupName, Hostname, MessageId, MessageKey, RepositoryName, Source,
    SyncTarget,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::fake_access::FakeAccess;
use crate::fake_entities::FakeEntities;
use crate::{Providers, SyncRules};
use lockstep_clock::Clock;
use lockstep_store::{
    AgeQuery, Ages, Attributes, CauseId, CauseRow, CheckRow, DeadLetter, DeadLetterCountQuery,
    DeadLetterQuery, DeadLetterSummary, DeadLetterTotals, DeadLetters, Device, DeviceCount, DeviceId,
    DeviceQuery, ElementDetail, ElementOwner, ElementQuery, ElementRow, EntityResult, EntityResultQuery,
    ExecutionQuery, ExecutionReference, ExecutionRow, Executions, FactRow, Fleet, FleetSample, FleetSamples,
    FleetTrend, Group, GroupQuery, GroupRules, HistoryEntry, HistoryPosition, Inbox, InboxRow, JournalEntry,
    Lifecycle, MessageRow, Messages, Migrated, NamedEntities, PlanApproval, RenewedElements, Repositories,
    RepositoryFailure, RepositoryFailures, RepositoryRow, RunCycle, SampleInterval, ScheduleRow, Schema,
    Sessions, Stats, StopRow, StoreError, Summary, Surroundings, SyncElement, SyncElementQuery, SyncPlans,
    SyncState, SyncedTo, TaskRow, Tasks, UnitEntities, UnitLevels,
};

#[derive(Debug, Default)]
pub(crate) struct FakeStore {
    pub(crate) unavailable: AtomicBool,
    /// The operations that were asked for so far.
    pub(crate) calls: Mutex<Vec<&'static str>>,
    pub(crate) entities: FakeEntities,
    pub(crate) access: FakeAccess,
    pub(crate) rows: Mutex<HashMap<MessageKey, InboxRow>>,
    pub(crate) devices: Mutex<Vec<Device>>,
    pub(crate) groups: Mutex<HashMap<DeviceId, Vec<GroupName>>>,
    /// Ordered by name.
    pub(crate) known_groups: Mutex<Vec<Group>>,
    pub(crate) causes: Mutex<HashMap<CauseId, CauseRow>>,
    pub(crate) ages: Mutex<Option<Ages>>,
    /// The oldest first.
    pub(crate) samples: Mutex<Vec<FleetSample>>,
    /// The queries for ages so far.
    pub(crate) age_queries: Mutex<Vec<AgeQuery>>,
    pub(crate) surroundings: Mutex<Surroundings>,
    /// Newest first.
    pub(crate) history: Mutex<Vec<HistoryEntry>>,
    pub(crate) repositories: Mutex<Vec<RepositoryRow>>,
    pub(crate) failures: Mutex<Vec<RepositoryFailure>>,
    pub(crate) dead_letters: Mutex<Vec<DeadLetter>>,
    /// The queries for dead letters so far.
    pub(crate) queries: Mutex<Vec<DeadLetterQuery>>,
    pub(crate) counts: Mutex<DeadLetterTotals>,
    /// Ordered by name.
    pub(crate) tasks: Mutex<Vec<TaskRow>>,
    /// Ordered by name.
    pub(crate) schedules: Mutex<Vec<ScheduleRow>>,
    /// Ordered by number.
    pub(crate) executions: Mutex<Vec<ExecutionRow>>,
    /// Ordered by number.
    pub(crate) elements: Mutex<Vec<ElementDetail>>,
    pub(crate) facts: Mutex<Vec<FactRow>>,
    pub(crate) checks: Mutex<Vec<CheckRow>>,
    /// The results of entities with the numbers of their executions, ordered by entity.
    pub(crate) results: Mutex<Vec<(u64, EntityResult)>>,
    /// The elements of syncs with the numbers of their executions, ordered by number.
    pub(crate) syncs: Mutex<Vec<(u64, SyncElement)>>,
    /// Ordered by plan and time.
    pub(crate) approvals: Mutex<Vec<PlanApproval>>,
    /// The ids of entities by kind and name.
    pub(crate) names: Mutex<HashMap<(ExecuteOn, String), u64>>,
    pub(crate) stop: Mutex<Option<StopRow>>,
    /// How often one execution was read.
    pub(crate) execution_reads: AtomicUsize,
    /// Notified by each read of an outcome.
    pub(crate) outcome_read: Notify,
}

impl FakeStore {
    pub(crate) fn check(&self, operation: &'static str) -> Result<(), StoreError> {
        self.calls.lock().unwrap().push(operation);
        if self.unavailable.load(Ordering::SeqCst) {
            let source = "secret address of the database".into();
            return Err(StoreError::Unavailable { operation, source });
        }
        Ok(())
    }
}

#[async_trait]
impl Inbox for FakeStore {
    async fn outcome(&self, message: &MessageKey) -> Result<Option<InboxRow>, StoreError> {
        self.check("outcome")?;
        let row = self.rows.lock().unwrap().get(message).cloned();
        self.outcome_read.notify_one();
        Ok(row)
    }
}

#[async_trait]
impl Messages for FakeStore {
    async fn messages(
        &self,
        id: &MessageId,
        source: Option<&Source>,
        limit: u32,
    ) -> Result<Vec<MessageRow>, StoreError> {
        self.check("messages")?;
        let rows = self.rows.lock().unwrap();
        let found = rows.values().filter(|row| {
            row.identity.id == *id && source.is_none_or(|source| row.identity.source == *source)
        });
        let mut found: Vec<MessageRow> = found.map(message_row).collect();
        found.sort_by_key(|row| (row.identity.source.as_str().to_owned(), row.actor.clone()));
        found.truncate(limit as usize);
        Ok(found)
    }

    async fn dead_letters_of(
        &self,
        message: &MessageKey,
        limit: u32,
    ) -> Result<Vec<DeadLetterSummary>, StoreError> {
        self.check("dead_letters_of")?;
        let dead_letters = self.dead_letters.lock().unwrap();
        let heads = dead_letters.iter().map(|dead_letter| &dead_letter.head);
        let found = heads.filter(|head| head.identity == message.identity);
        Ok(found.take(limit as usize).cloned().collect())
    }

    async fn causes_of_message(&self, message: &MessageKey, limit: u32) -> Result<Vec<CauseId>, StoreError> {
        self.check("causes_of_message")?;
        let causes = self.causes.lock().unwrap();
        let found = causes.iter().filter(|(_, row)| row.identity == message.identity);
        Ok(found.map(|(id, _)| *id).take(limit as usize).collect())
    }
}

/// A processed message as it is found by its id.
fn message_row(row: &InboxRow) -> MessageRow {
    MessageRow {
        identity: row.identity.clone(),
        actor: row.actor.clone(),
        kind: row.kind.to_string(),
        state: row.state,
        at: row.at,
        subject: row.subject.clone(),
        redrive_count: row.redrive_count,
        trace_id: row.trace_id.clone(),
        result: row.result.clone(),
    }
}

#[async_trait]
impl FleetTrend for FakeStore {
    async fn sample_fleet(&self) -> Result<bool, StoreError> {
        unreachable!("a console takes no samples")
    }

    async fn fleet_samples(
        &self,
        interval: SampleInterval,
        seconds: u32,
    ) -> Result<FleetSamples, StoreError> {
        self.check("fleet_samples")?;
        let now = FixedClock.now();
        let since = now - std::time::Duration::from_secs(seconds.into());
        let mut samples = self.samples.lock().unwrap().clone();
        samples.retain(|sample| {
            sample.at >= since && sample.at.as_second() % i64::from(interval.seconds()) == 0
        });
        Ok(FleetSamples { now, samples })
    }
}

#[async_trait]
impl Fleet for FakeStore {
    async fn devices(&self, query: &DeviceQuery) -> Result<Vec<Device>, StoreError> {
        self.check("devices")?;
        let groups = self.groups.lock().unwrap();
        let matches = |device: &&Device| {
            query
                .synchronized
                .is_none_or(|wanted| device.sync.synchronized() == wanted)
                && query.state.is_none_or(|wanted| device.lifecycle.state == wanted)
                && query
                    .device_type
                    .as_ref()
                    .is_none_or(|wanted| device.attributes.device_type == *wanted)
                && query.group.as_ref().is_none_or(|wanted| {
                    groups
                        .get(&device.id)
                        .is_some_and(|groups| groups.contains(wanted))
                })
                && query.after.as_ref().is_none_or(|after| device.hostname > *after)
        };
        let devices = self.devices.lock().unwrap();
        Ok(devices
            .iter()
            .filter(matches)
            .take(query.limit as usize)
            .cloned()
            .collect())
    }

    async fn count_devices(&self, query: &DeviceQuery) -> Result<u64, StoreError> {
        let all = DeviceQuery {
            after: None,
            limit: u32::MAX,
            ..query.clone()
        };
        Ok(self.devices(&all).await?.len() as u64)
    }

    async fn device(&self, hostname: &Hostname) -> Result<Option<Device>, StoreError> {
        self.check("device")?;
        let devices = self.devices.lock().unwrap();
        Ok(devices
            .iter()
            .find(|device| device.hostname == *hostname)
            .cloned())
    }

    async fn devices_by_id(&self, ids: &[DeviceId]) -> Result<Vec<Device>, StoreError> {
        self.check("devices")?;
        let devices = self.devices.lock().unwrap();
        let found = devices.iter().filter(|device| ids.contains(&device.id));
        Ok(found.cloned().collect())
    }

    async fn groups_of(&self, devices: &[DeviceId]) -> Result<HashMap<DeviceId, Vec<GroupName>>, StoreError> {
        self.check("groups")?;
        let mut groups = self.groups.lock().unwrap().clone();
        groups.retain(|device, _| devices.contains(device));
        Ok(groups)
    }

    async fn groups(&self, query: &GroupQuery) -> Result<Vec<Group>, StoreError> {
        self.check("groups")?;
        let groups = self.known_groups.lock().unwrap();
        let rest = groups
            .iter()
            .filter(|group| query.after.as_ref().is_none_or(|after| group.name > *after));
        Ok(rest.take(query.limit as usize).cloned().collect())
    }

    async fn group(&self, name: &GroupName) -> Result<Option<Group>, StoreError> {
        self.check("group")?;
        let groups = self.known_groups.lock().unwrap();
        Ok(groups.iter().find(|group| group.name == *name).cloned())
    }

    async fn causes(&self, ids: &[CauseId]) -> Result<HashMap<CauseId, CauseRow>, StoreError> {
        self.check("causes")?;
        let mut causes = self.causes.lock().unwrap().clone();
        causes.retain(|id, _| ids.contains(id));
        for row in causes.values_mut() {
            row.detail = None;
        }
        Ok(causes)
    }

    async fn ages(&self, query: &AgeQuery) -> Result<Ages, StoreError> {
        self.check("ages")?;
        self.age_queries.lock().unwrap().push(query.clone());
        Ok(self.ages.lock().unwrap().clone().expect("the ages of a test"))
    }

    async fn surroundings(&self, hostname: &Hostname) -> Result<Option<Surroundings>, StoreError> {
        self.check("surroundings")?;
        let device = self.device(hostname).await?;
        let surroundings = self.surroundings.lock().unwrap().clone();
        Ok(device.map(|_| surroundings))
    }

    async fn device_counts(&self) -> Result<Vec<DeviceCount>, StoreError> {
        self.check("device_counts")?;
        let mut counts: BTreeMap<(DeviceType, DeviceState), (u64, u64)> = BTreeMap::new();
        for device in self.devices.lock().unwrap().iter() {
            let key = (device.attributes.device_type.clone(), device.lifecycle.state);
            let (devices, unsynchronized) = counts.entry(key).or_default();
            *devices += 1;
            *unsynchronized += u64::from(!device.sync.synchronized());
        }
        let counts = counts.into_iter();
        let counts = counts.map(|((device_type, state), (devices, unsynchronized))| DeviceCount {
            device_type,
            state,
            devices,
            unsynchronized,
        });
        Ok(counts.collect())
    }

    async fn detailed_causes(&self, ids: &[CauseId]) -> Result<HashMap<CauseId, CauseRow>, StoreError> {
        self.check("causes")?;
        let mut causes = self.causes.lock().unwrap().clone();
        causes.retain(|id, _| ids.contains(id));
        Ok(causes)
    }

    async fn history(
        &self,
        _device: &Device,
        before: Option<HistoryPosition>,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        self.check("history")?;
        let history = self.history.lock().unwrap();
        let rest = history
            .iter()
            .filter(|entry| before.is_none_or(|before| entry.position < before));
        Ok(rest.take(limit as usize).cloned().collect())
    }
}

#[async_trait]
impl RepositoryFailures for FakeStore {
    async fn failures(&self) -> Result<Vec<RepositoryFailure>, StoreError> {
        self.check("failures")?;
        Ok(self.failures.lock().unwrap().clone())
    }

    async fn failed(&self, _name: &RepositoryName, _reason: &str) -> Result<(), StoreError> {
        unreachable!("the console fetches nothing")
    }

    async fn recovered(&self, _name: &RepositoryName) -> Result<(), StoreError> {
        unreachable!("the console fetches nothing")
    }
}

#[async_trait]
impl Repositories for FakeStore {
    async fn repositories(&self) -> Result<Vec<RepositoryRow>, StoreError> {
        self.check("repositories")?;
        Ok(self.repositories.lock().unwrap().clone())
    }

    async fn repository(&self, _name: &RepositoryName) -> Result<Option<RepositoryRow>, StoreError> {
        unreachable!("the console lists all repositories")
    }

    async fn listing(&self, _name: &RepositoryName) -> Result<Option<Vec<u8>>, StoreError> {
        unreachable!("the console shows no listing")
    }

    async fn hostnames(&self) -> Result<Vec<Hostname>, StoreError> {
        unreachable!("the console matches no groups")
    }

    async fn group_rules(&self) -> Result<Option<GroupRules>, StoreError> {
        unreachable!("the console matches no groups")
    }
}

#[async_trait]
impl DeadLetters for FakeStore {
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetterSummary>, StoreError> {
        self.check("dead_letters")?;
        self.queries.lock().unwrap().push(query.clone());
        let dead_letters = self.dead_letters.lock().unwrap();
        let summaries = dead_letters
            .iter()
            .rev()
            .map(|dead_letter| dead_letter.head.clone());
        Ok(summaries
            .filter(|summary| query.before.is_none_or(|before| summary.number < before))
            .take(query.limit as usize)
            .collect())
    }

    async fn count_dead_letters(&self, _query: &DeadLetterQuery) -> Result<u64, StoreError> {
        self.check("count_dead_letters")?;
        Ok(self.dead_letters.lock().unwrap().len() as u64)
    }

    async fn dead_letter_totals(&self, query: &DeadLetterCountQuery) -> Result<DeadLetterTotals, StoreError> {
        self.check("dead_letter_totals")?;
        let mut counts = self.counts.lock().unwrap().clone();
        counts
            .groups
            .retain(|group| query.code.as_ref().is_none_or(|code| group.code == *code));
        Ok(counts)
    }

    async fn dead_letter(&self, number: u64) -> Result<Option<DeadLetter>, StoreError> {
        self.check("dead_letter")?;
        let dead_letters = self.dead_letters.lock().unwrap();
        Ok(dead_letters
            .iter()
            .find(|dead_letter| dead_letter.head.number == number)
            .cloned())
    }
}

#[async_trait]
impl Tasks for FakeStore {
    async fn tasks(&self, after: Option<&str>, limit: u32) -> Result<Vec<TaskRow>, StoreError> {
        self.check("tasks")?;
        let tasks = self.tasks.lock().unwrap();
        let rest = tasks.iter().filter(|task| Some(task.name.as_str()) > after);
        Ok(rest.take(limit as usize).cloned().collect())
    }

    async fn task(&self, reference: &TaskReference) -> Result<Option<TaskRow>, StoreError> {
        self.check("task")?;
        let tasks = self.tasks.lock().unwrap();
        let mut tasks = tasks.iter();
        let found = tasks.find(|task| match reference {
            TaskReference::Number(number) => task.number == *number,
            TaskReference::Name(name) => task.name == *name,
        });
        Ok(found.cloned())
    }

    async fn schedules(&self, after: Option<&str>, limit: u32) -> Result<Vec<ScheduleRow>, StoreError> {
        self.check("schedules")?;
        let schedules = self.schedules.lock().unwrap();
        let rest = schedules
            .iter()
            .filter(|schedule| Some(schedule.name.as_str()) > after);
        Ok(rest.take(limit as usize).cloned().collect())
    }
}

#[async_trait]
impl Executions for FakeStore {
    async fn executions(&self, query: &ExecutionQuery) -> Result<Vec<ExecutionRow>, StoreError> {
        self.check("executions")?;
        let elements = self.elements.lock().unwrap();
        let touches = |execution: u64, hostname: &Hostname| {
            let mut rows = elements.iter().map(|element| &element.row);
            rows.any(|row| row.execution == execution && row.hostname.as_ref() == Some(hostname))
        };
        let matches = |execution: &&ExecutionRow| {
            query.state.is_none_or(|wanted| execution.state == wanted)
                && query
                    .task
                    .as_ref()
                    .is_none_or(|wanted| execution.request.task == *wanted)
                && query
                    .hostname
                    .as_ref()
                    .is_none_or(|wanted| touches(execution.number, wanted))
                && query.before.is_none_or(|before| execution.number < before)
                && (query.parent.is_none()
                    || query.parent == execution.request.parent.map(|parent| parent.execution))
        };
        let executions = self.executions.lock().unwrap();
        let newest_first = executions.iter().rev().filter(matches);
        Ok(newest_first.take(query.limit as usize).cloned().collect())
    }

    async fn count_executions(&self, query: &ExecutionQuery) -> Result<u64, StoreError> {
        let all = ExecutionQuery {
            before: None,
            limit: u32::MAX,
            ..query.clone()
        };
        Ok(self.executions(&all).await?.len() as u64)
    }

    async fn execution(&self, reference: &ExecutionReference) -> Result<Option<ExecutionRow>, StoreError> {
        self.execution_reads.fetch_add(1, Ordering::SeqCst);
        self.check("execution")?;
        let executions = self.executions.lock().unwrap();
        let mut executions = executions.iter();
        let found = executions.find(|execution| match reference {
            ExecutionReference::Number(number) => execution.number == *number,
            ExecutionReference::Id(id) => execution.id == *id,
        });
        Ok(found.cloned())
    }

    async fn elements(&self, query: &ElementQuery) -> Result<Vec<ElementRow>, StoreError> {
        self.check("elements")?;
        let elements = self.elements.lock().unwrap();
        let rows = elements.iter().map(|element| &element.row).filter(|row| {
            row.execution == query.execution
                && query
                    .outcome
                    .is_none_or(|wanted| row.state.outcome() == Some(wanted))
                && (!query.open || row.state.outcome().is_none())
                && Some(row.number) > query.after
        });
        Ok(rows.take(query.limit as usize).cloned().collect())
    }

    async fn element(&self, number: u64) -> Result<Option<ElementDetail>, StoreError> {
        self.check("element")?;
        let elements = self.elements.lock().unwrap();
        Ok(elements
            .iter()
            .find(|element| element.row.number == number)
            .cloned())
    }

    async fn named(&self, kind: ExecuteOn, names: &[String]) -> Result<NamedEntities, StoreError> {
        self.check("named")?;
        let known = self.names.lock().unwrap();
        let of = |name: &String| known.get(&(kind, name.clone())).copied();
        Ok(NamedEntities {
            ids: names.iter().filter_map(of).collect(),
            unknown: names.iter().filter(|name| of(name).is_none()).cloned().collect(),
        })
    }

    async fn names(&self, kind: ExecuteOn, ids: &BTreeSet<u64>) -> Result<BTreeMap<u64, String>, StoreError> {
        self.check("names")?;
        let known = self.names.lock().unwrap();
        let of_kind = known
            .iter()
            .filter(|((other, _), id)| *other == kind && ids.contains(id));
        Ok(of_kind.map(|((_, name), id)| (*id, name.clone())).collect())
    }

    async fn stopped(&self) -> Result<Option<StopRow>, StoreError> {
        self.check("stopped")?;
        Ok(self.stop.lock().unwrap().clone())
    }

    async fn renew_elements(
        &self,
        _owner: ElementOwner,
        _time: std::time::Duration,
    ) -> Result<RenewedElements, StoreError> {
        unreachable!("the console runs no elements")
    }
}

#[async_trait]
impl SyncPlans for FakeStore {
    async fn sync_elements(&self, query: &SyncElementQuery) -> Result<Vec<SyncElement>, StoreError> {
        self.check("sync_elements")?;
        let syncs = self.syncs.lock().unwrap();
        let matches = |execution: u64, element: &SyncElement| {
            execution == query.execution
                && query
                    .hostname
                    .as_ref()
                    .is_none_or(|hostname| *hostname == element.hostname)
                && query.after.is_none_or(|after| element.number > after)
        };
        let found = syncs
            .iter()
            .filter(|(execution, element)| matches(*execution, element));
        let read = found.take(query.limit as usize).map(|(_, element)| {
            let mut element = element.clone();
            if !query.whole {
                (element.diff, element.rendered, element.previous) = (None, None, None);
            }
            element
        });
        Ok(read.collect())
    }

    async fn synced_to(&self, elements: &[u64]) -> Result<HashMap<u64, SyncedTo>, StoreError> {
        self.check("synced_to")?;
        let syncs = self.syncs.lock().unwrap();
        let found = syncs
            .iter()
            .filter(|(_, element)| elements.contains(&element.number));
        let to = found.map(|(_, element)| {
            let to = SyncedTo {
                generation: element.generation,
                settings: element.settings.clone(),
                templates: element.templates.clone(),
            };
            (element.number, to)
        });
        Ok(to.collect())
    }

    async fn approvals(&self, plans: &BTreeSet<u64>) -> Result<Vec<PlanApproval>, StoreError> {
        self.check("approvals")?;
        let approvals = self.approvals.lock().unwrap();
        let found = approvals.iter().filter(|approval| plans.contains(&approval.plan));
        Ok(found.cloned().collect())
    }
}

#[async_trait]
impl RunCycle for FakeStore {
    async fn unit(&self, _element: u64, _levels: UnitLevels) -> Result<UnitEntities, StoreError> {
        unreachable!("the console runs no elements")
    }

    async fn entity_results(&self, query: &EntityResultQuery) -> Result<Vec<EntityResult>, StoreError> {
        self.check("entity_results")?;
        let results = self.results.lock().unwrap();
        let rows = results.iter().filter(|(execution, row)| {
            *execution == query.execution
                && (row.phase, row.level) == (query.phase, query.level)
                && query.of.is_none_or(|of| row.parent == Some(of))
                && Some(row.entity) > query.after
        });
        Ok(rows
            .map(|(_, row)| row.clone())
            .take(query.limit as usize)
            .collect())
    }

    async fn results_of(&self, _element: u64) -> Result<Vec<EntityResult>, StoreError> {
        unreachable!("the console runs no elements")
    }

    async fn facts(
        &self,
        _entity_type: EntityType,
        _entity: u64,
        key: Option<&str>,
        limit: u32,
    ) -> Result<Vec<FactRow>, StoreError> {
        self.check("facts")?;
        let facts = self.facts.lock().unwrap();
        let rows = facts.iter().filter(|row| key.is_none_or(|key| row.key == key));
        Ok(rows.take(limit as usize).cloned().collect())
    }

    async fn checks(
        &self,
        _entity_type: EntityType,
        _entity: u64,
        key: Option<&str>,
        limit: u32,
    ) -> Result<Vec<CheckRow>, StoreError> {
        self.check("checks")?;
        let checks = self.checks.lock().unwrap();
        let rows = checks.iter().filter(|row| key.is_none_or(|key| row.key == key));
        Ok(rows.take(limit as usize).cloned().collect())
    }

    async fn checks_below(
        &self,
        _entity_type: EntityType,
        _entity: u64,
        _below: EntityType,
        _key: &str,
    ) -> Result<Vec<(String, Option<CheckRow>)>, StoreError> {
        unreachable!("the console runs no elements")
    }

    async fn attributes(&self, _entity_type: EntityType, _entity: u64) -> Result<Option<Value>, StoreError> {
        unreachable!("the console runs no elements")
    }

    async fn write_journal(
        &self,
        _owner: ElementOwner,
        _entries: &[JournalEntry],
    ) -> Result<Vec<u64>, StoreError> {
        unreachable!("the console runs no elements")
    }

    async fn journal(&self, _element: u64, _stage: u16) -> Result<Vec<JournalEntry>, StoreError> {
        unreachable!("the console runs no elements")
    }
}

/// Knows one provider, whose tasks have no arguments.
#[derive(Debug)]
pub(crate) struct FakeProviders;

impl Providers for FakeProviders {
    fn list(&self) -> Vec<ProviderView> {
        let view = json!({
            "name": "ping", "short_description": "Asks devices for an answer", "description": "", "provider_type": "CHECK",
            "run_on": "DEVICE", "run_on_strict": false, "run_on_all_if_empty": false, "repeatable": true,
            "json_schema": {"type": "object", "additionalProperties": false}, "run_input_json_schema": true,
        });
        vec![serde_json::from_value(view).unwrap()]
    }

    fn problems(&self, task: &TaskSaveRequested) -> Vec<TaskProblem> {
        let problem = |place: &str, reason: &str| TaskProblem {
            place: place.to_owned(),
            reason: reason.to_owned(),
        };
        if task.provider != "ping" {
            return vec![problem("$.provider", "no provider has this name")];
        }
        let names = task.arguments.as_object().into_iter().flat_map(|all| all.keys());
        names
            .map(|name| problem(&format!("$.arguments.{name}"), "is not an argument"))
            .collect()
    }

    /// Arguments have what the schema requires, and no other problem.
    fn run_problems(&self, form: &TaskForm, arguments: &Value) -> Vec<TaskProblem> {
        let required = form.run_input_json_schema["required"]
            .as_array()
            .into_iter()
            .flatten();
        let missing = required
            .filter_map(Value::as_str)
            .filter(|name| arguments.get(name).is_none());
        missing
            .map(|name| TaskProblem {
                place: "$.arguments".to_owned(),
                reason: format!("{name:?} is a required property"),
            })
            .collect()
    }

    /// The form of a run is that of the task, and none for other providers.
    fn form(&self, task: TaskView) -> Result<TaskForm, TaskProblem> {
        if task.provider != "ping" {
            return Err(TaskProblem {
                place: "$.provider".to_owned(),
                reason: "no provider has this name".to_owned(),
            });
        }
        Ok(TaskForm {
            number: task.number,
            name: task.name,
            provider: task.provider,
            arguments: task.arguments,
            json_schema: json!({"type": "object"}),
            ui_schema: None,
            run_input_json_schema: task.run_input_json_schema.unwrap_or_default(),
            run_input_ui_schema: task.run_input_ui_schema,
        })
    }
}

#[async_trait]
impl Stats for FakeStore {
    async fn summary(&self) -> Result<Summary, StoreError> {
        self.check("summarize the fleet")?;
        Ok(Summary::default())
    }

    fn sessions(&self) -> Sessions {
        Sessions::default()
    }
}

#[async_trait]
impl Schema for FakeStore {
    async fn migrate(&self) -> Result<Migrated, StoreError> {
        Ok(Migrated {
            version: 1,
            known: 1,
            applied: Vec::new(),
            granted: Vec::new(),
        })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.check("ping")
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.check("now")?;
        Ok(FixedClock.now())
    }
}

/// Contacts MANAGED devices, and knows the types of CNaaS NMS.
#[derive(Debug)]
pub(crate) struct FakeSyncRules;

impl SyncRules for FakeSyncRules {
    fn selects(
        &self,
        target: &SyncTarget,
        resync: bool,
        state: DeviceState,
        synchronized: bool,
    ) -> Result<(), String> {
        if state != DeviceState::Managed {
            return Err(format!("state {state}"));
        }
        if synchronized && !resync && !matches!(target, SyncTarget::Hostname(_)) {
            return Err("synchronized".to_owned());
        }
        Ok(())
    }

    fn rules(&self, kind: &str, cause: &str) -> Vec<RuleView> {
        vec![RuleView {
            event: format!("what {kind} tells"),
            devices: format!("those that get {cause}"),
        }]
    }

    fn knows(&self, device_type: &DeviceType) -> Result<(), String> {
        if *device_type == DeviceType::ACCESS {
            Ok(())
        } else {
            Err("ACCESS".to_owned())
        }
    }
}

/// A clock that always shows the same time.
#[derive(Debug)]
pub(crate) struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        "2026-02-03T04:05:06.789Z".parse().unwrap()
    }
}

pub(crate) fn device(id: i64, hostname: &str, synchronized: bool) -> Device {
    Device {
        id: DeviceId(id),
        hostname: hostname.parse().unwrap(),
        attributes: Attributes::of(DeviceType::ACCESS),
        lifecycle: Lifecycle {
            state: DeviceState::Managed,
            note: None,
            until: None,
            version: None,
            since: None,
        },
        sync: SyncState {
            desired: if synchronized { 1 } else { 2 },
            ..SyncState::SYNCHRONIZED
        },
        marked: None,
        primary_group: None,
        checked_at: None,
        open_causes: Vec::new(),
    }
}
