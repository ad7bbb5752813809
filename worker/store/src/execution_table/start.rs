//! Stores an execution with its elements. The database resolves the entities, so that any number of elements is a few statements.

use std::time::Duration;

use lockstep_protocol::SyncTarget;
use lockstep_protocol::commands::ExecuteOn;
use uuid::Uuid;

use super::{READ, WRITE, execution, lift, milliseconds, numbers};
use crate::sql::{SqlSession, Value, rows};
use crate::{
    CapScope, DEFAULT_GROUP, ElementLevels, ElementSource, NewExecution, StartedExecution, StoreError,
    SyncBound, SyncDevices, SyncSource, sync_table,
};

/// The id of the fleet as an entity.
const FLEET: u64 = 0;
/// The most ids without an entity that are named.
const MOST_MISSING: usize = 20;

macro_rules! missing {
    ($table:literal) => {
        concat!(
            "SELECT id FROM {rows $1: id bigint} AS given WHERE NOT EXISTS (SELECT 1 FROM ",
            $table,
            " AS entity WHERE entity.id = given.id) ORDER BY id LIMIT 20"
        )
    };
}

#[expect(clippy::too_many_arguments, reason = "each is another part of one statement")]
pub(super) async fn start(
    session: &dyn SqlSession,
    id: Uuid,
    new: &NewExecution,
    source: &ElementSource,
    levels: ElementLevels,
    queued: u64,
    waits_for: &CapScope,
    grace: Duration,
) -> Result<StartedExecution, StoreError> {
    if let ElementSource::Of { entity_type, ids } = source {
        let missing = missing(session, *entity_type, ids).await?;
        if !missing.is_empty() {
            return Ok(StartedExecution {
                number: 0,
                elements: 0,
                stage_elements: 0,
                missing,
            });
        }
    }
    let number = execution::insert(session, id, new).await?;
    let waits_for = match waits_for {
        CapScope::Execution(0) => CapScope::Execution(number),
        other => other.clone(),
    };
    let lifting = Lifting {
        session,
        number,
        new,
        source,
        queued,
        waits_for,
        grace,
    };
    let run_on = new.run_on;
    let own_groups = levels.group_clients;
    let mut counts = Counts::default();
    for (statement, stage) in [
        (lift::fleet(run_on, source), levels.global),
        (lift::groups(run_on, source, own_groups), levels.groups),
        (lift::devices(run_on, source), levels.devices),
    ] {
        if let (Some(statement), Some(stage)) = (statement, stage) {
            let inserted = lifting.insert(statement, stage).await?;
            counts.elements += inserted;
            if stage == 0 {
                counts.in_first_stage += inserted;
            }
        }
    }
    lifting.write_targets().await?;
    if let ElementSource::Sync(sync) = source {
        sync_table::bind(session, number, sync.bound).await?;
    }
    let runs_on_clients = [levels.devices.is_some(), levels.groups.is_some() && own_groups];
    if runs_on_clients != [false, false] {
        counts.skipped = lifting.skip_clients(runs_on_clients).await?;
        counts.elements += counts.skipped;
    }
    if counts.elements > 0 {
        execution::count_elements(session, number, counts).await?;
    }
    Ok(StartedExecution {
        number,
        elements: counts.elements,
        stage_elements: counts.in_first_stage,
        missing: Vec::new(),
    })
}

/// How many elements a new execution has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) elements: u64,
    pub(super) in_first_stage: u64,
    /// Those that are skipped from the beginning.
    pub(super) skipped: u64,
}

/// A new execution whose elements are inserted.
struct Lifting<'a> {
    session: &'a dyn SqlSession,
    number: u64,
    new: &'a NewExecution,
    source: &'a ElementSource,
    queued: u64,
    waits_for: CapScope,
    grace: Duration,
}

impl Lifting<'_> {
    /// Inserts the elements of one kind. Returns how many.
    async fn insert(&self, statement: &'static str, stage: u16) -> Result<u64, StoreError> {
        let (queued, waits_for) = match stage {
            0 => (self.queued, self.waits_for.clone()),
            later => (0, CapScope::Stage(self.number, later)),
        };
        let parameters = vec![
            self.number.into(),
            self.targets(),
            queued.into(),
            waits_for.to_string().into(),
            milliseconds(self.grace),
            u32::from(stage).into(),
            self.new.lane.as_str().into(),
        ];
        self.session
            .execute_each(WRITE, statement, vec![parameters])
            .await
    }

    /// What the source says about the targets.
    fn targets(&self) -> Value {
        match self.source {
            ElementSource::Global | ElementSource::All => Value::Null,
            ElementSource::Of { ids, .. } => numbers(ids),
            ElementSource::FailedOf(failed) => (*failed).into(),
            ElementSource::Sync(sync) => sync_targets(sync),
        }
    }

    /// Writes the targets down, if an element does not run on all below it.
    async fn write_targets(&self) -> Result<(), StoreError> {
        let Some(statement) = lift::targets(self.new.run_on, self.source) else {
            return Ok(());
        };
        let of_groups = self.new.run_on == ExecuteOn::Client;
        let parameters = vec![self.number.into(), of_groups.into()];
        if !self
            .session
            .query(READ, lift::PARTLY, parameters)
            .await?
            .is_empty()
        {
            let parameters = vec![self.number.into(), self.targets()];
            self.session
                .execute_each(WRITE, statement, vec![parameters])
                .await?;
        }
        Ok(())
    }

    /// Inserts the clients that no element runs on. Returns how many.
    async fn skip_clients(&self, [of_interfaces, of_groups]: [bool; 2]) -> Result<u64, StoreError> {
        let Some(statement) = lift::clients(self.new.run_on, self.source) else {
            return Ok(0);
        };
        let parameters = vec![
            self.number.into(),
            self.targets(),
            of_interfaces.into(),
            of_groups.into(),
        ];
        self.session
            .execute_each(WRITE, statement, vec![parameters])
            .await
    }
}

/// What `devices_of_sync!` finds the devices by.
fn sync_targets(sync: &SyncSource) -> Value {
    match (&sync.devices, sync.bound) {
        (SyncDevices::Target { target, synchronized }, _) => {
            let (name, by_name) = match target {
                SyncTarget::All => (None, false),
                SyncTarget::Hostname(hostname) => (Some(hostname.as_str()), true),
                SyncTarget::DeviceType(device_type) => (Some(device_type.as_str()), false),
                SyncTarget::Group(group) => {
                    (Some(group.as_str()).filter(|name| *name != DEFAULT_GROUP), false)
                }
            };
            rows([vec![name.into(), (*synchronized || by_name).into()]])
        }
        (SyncDevices::FailedOf(number), _) => (*number).into(),
        (SyncDevices::Bound, SyncBound::Plan(number) | SyncBound::PreviousOf(number)) => number.into(),
        // No row is bound to accepted commits only.
        (SyncDevices::Bound, SyncBound::Accepted) => Value::Null,
    }
}

/// The ids that no entity of this kind has.
async fn missing(
    session: &dyn SqlSession,
    entity_type: ExecuteOn,
    ids: &[u64],
) -> Result<Vec<u64>, StoreError> {
    let statement = match entity_type {
        ExecuteOn::Global => {
            let others = ids.iter().copied().filter(|id| *id != FLEET);
            return Ok(others.take(MOST_MISSING).collect());
        }
        ExecuteOn::Group => missing!("device_group"),
        ExecuteOn::Device => missing!("device"),
        ExecuteOn::Interface => missing!("interface"),
        ExecuteOn::Client => missing!("client"),
    };
    let rows = session.query(READ, statement, vec![numbers(ids)]).await?;
    rows.iter().map(|row| row.number("id", 0)).collect()
}
