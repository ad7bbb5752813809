use async_trait::async_trait;
use uuid::Uuid;

use super::held::{hold, is_running};
use super::{READ, WRITE};
use crate::sql::{Row, SqlDatabase, SqlTransaction, Value};
use crate::{
    DeviceId, RunningElement, StoreError, SyncBinding, SyncDiff, SyncIntent, SyncRuns, SyncState,
    SyncedDevice, column,
};

/// The binding of an element, with its device. `$since` says since when the device is unsynchronized.
macro_rules! binding {
    ($since:expr) => {
        concat!(
            "SELECT sync_element.element, sync_element.execution, sync_element.device_id, sync_element.generation, \
                sync_element.settings_commit, sync_element.templates_commit, sync_element.approved, sync_element.restores, \
                device.hostname, device.state, device.desired_generation, device.synced_generation, ",
            $since,
            ", device.configuration_hash, intent.element, intent.session, intent.generation, intent.configuration_hash, intent.at \
             FROM sync_element JOIN device ON device.id = sync_element.device_id \
                LEFT JOIN sync_intent AS intent ON intent.device_id = device.id \
             WHERE sync_element.element = $1"
        )
    };
}
pub(crate) use binding;

/// The one read of a sync that differs between the databases.
pub(crate) trait ReadBinding: SqlDatabase {
    /// The statement, by [`binding`].
    const BINDING: &'static str;
}

const PREVIOUS: &str = "SELECT previous FROM sync_element WHERE element = $1";

const WRITE_DIFF: &str = "\
    UPDATE sync_element SET diff = $2, masked = $3, hash = $4, score = CAST(CAST($5 AS text) AS double precision), rendered = $6 \
    WHERE element = $1";

const WRITE_INTENT: &str = "\
    INSERT INTO sync_intent (device_id, element, session, generation, at) \
    SELECT device_id, element, CAST($2 AS text), generation, {now} FROM sync_element WHERE element = $1 \
    ON CONFLICT (device_id) DO UPDATE SET element = excluded.element, session = excluded.session, \
        generation = excluded.generation, configuration_hash = NULL, at = excluded.at";

const WRITE_PREVIOUS: &str = "UPDATE sync_element SET previous = $2 WHERE element = $1";

const COMPLETE_INTENT: &str = "UPDATE sync_intent SET configuration_hash = $2 WHERE element = $1 \
    AND device_id = (SELECT device_id FROM sync_element WHERE sync_element.element = $1)";

const REMOVE_INTENT: &str = "\
    DELETE FROM sync_intent WHERE device_id = (SELECT device_id FROM sync_element WHERE sync_element.element = $1)";

const KEY: &str = "SELECT key FROM sync_key";

const INSERT_KEY: &str = "\
    INSERT INTO sync_key (key) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM sync_key) ON CONFLICT DO NOTHING";

#[async_trait]
impl<D: ReadBinding> SyncRuns for D {
    async fn binding(&self, element: u64) -> Result<Option<(SyncBinding, SyncedDevice)>, StoreError> {
        let rows = self.read(READ, D::BINDING, vec![element.into()]).await?;
        rows.first().map(read_binding).transpose()
    }

    async fn previous_configuration(&self, element: u64) -> Result<Option<String>, StoreError> {
        let rows = self.read(READ, PREVIOUS, vec![element.into()]).await?;
        let previous = rows
            .first()
            .map(|row| row.optional_text("sync_element.previous", 0));
        Ok(previous.transpose()?.flatten())
    }

    async fn is_running(&self, run: &RunningElement) -> Result<bool, StoreError> {
        is_running(self, run).await
    }

    async fn write_diff(&self, run: &RunningElement, diff: &SyncDiff) -> Result<bool, StoreError> {
        let Some(transaction) = hold(self, run).await? else {
            return Ok(false);
        };
        let parameters = vec![
            run.element.into(),
            diff.text.as_str().into(),
            diff.masked.as_str().into(),
            diff.hash.as_str().into(),
            diff.score.to_string().into(),
            diff.rendered.as_deref().into(),
        ];
        execute(&*transaction, WRITE_DIFF, parameters).await?;
        transaction.commit(WRITE).await?;
        Ok(true)
    }

    async fn write_intent(
        &self,
        run: &RunningElement,
        session: &str,
        previous: &str,
    ) -> Result<bool, StoreError> {
        let Some(transaction) = hold(self, run).await? else {
            return Ok(false);
        };
        let element = || run.element.into();
        execute(&*transaction, WRITE_INTENT, vec![element(), session.into()]).await?;
        execute(&*transaction, WRITE_PREVIOUS, vec![element(), previous.into()]).await?;
        transaction.commit(WRITE).await?;
        Ok(true)
    }

    async fn complete_intent(
        &self,
        run: &RunningElement,
        configuration_hash: &str,
    ) -> Result<bool, StoreError> {
        let Some(transaction) = hold(self, run).await? else {
            return Ok(false);
        };
        let parameters = vec![run.element.into(), configuration_hash.into()];
        let completed = execute(&*transaction, COMPLETE_INTENT, parameters).await?;
        transaction.commit(WRITE).await?;
        Ok(completed > 0)
    }

    async fn remove_intent(&self, run: &RunningElement) -> Result<bool, StoreError> {
        let Some(transaction) = hold(self, run).await? else {
            return Ok(false);
        };
        execute(&*transaction, REMOVE_INTENT, vec![run.element.into()]).await?;
        transaction.commit(WRITE).await?;
        Ok(true)
    }

    async fn diff_key(&self) -> Result<[u8; 32], StoreError> {
        if let Some(key) = read_key(self).await? {
            return Ok(key);
        }
        // 244 of its bits are random.
        let key = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        let transaction = self.write(WRITE).await?;
        execute(&*transaction, INSERT_KEY, vec![Value::Bytes(key.into())]).await?;
        transaction.commit(WRITE).await?;
        let missing = || StoreError::Corrupt {
            what: "sync_key".to_owned(),
            reason: "it is not there after it was written".to_owned(),
        };
        // That of the worker which was first.
        read_key(self).await?.ok_or_else(missing)
    }
}

async fn read_key<D: SqlDatabase>(database: &D) -> Result<Option<[u8; 32]>, StoreError> {
    let rows = database.read(READ, KEY, Vec::new()).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let key = row.bytes("sync_key.key", 0)?;
    let key = key[..].try_into().map_err(|_| StoreError::Corrupt {
        what: "sync_key.key".to_owned(),
        reason: format!("{} bytes where 32 are expected", key.len()),
    })?;
    Ok(Some(key))
}

async fn execute(
    transaction: &dyn SqlTransaction,
    statement: &'static str,
    parameters: Vec<Value>,
) -> Result<u64, StoreError> {
    transaction.execute_each(WRITE, statement, vec![parameters]).await
}

fn read_binding(row: &Row) -> Result<(SyncBinding, SyncedDevice), StoreError> {
    let commit = |what, index| column::optional_name(what, row.optional_text(what, index)?);
    let binding = SyncBinding {
        element: row.number("sync_element.element", 0)?,
        execution: row.number("sync_element.execution", 1)?,
        device: DeviceId(row.integer("sync_element.device_id", 2)?),
        generation: row.integer("sync_element.generation", 3)?,
        settings: commit("sync_element.settings_commit", 4)?,
        templates: commit("sync_element.templates_commit", 5)?,
        approved: row.optional_text("sync_element.approved", 6)?,
        restores: row.optional_number("sync_element.restores", 7)?,
    };
    let device = SyncedDevice {
        hostname: column::name("device.hostname", row.text("device.hostname", 8)?)?,
        state: column::word("device.state", &row.text("device.state", 9)?)?,
        sync: SyncState {
            desired: row.integer("device.desired_generation", 10)?,
            synced: row.integer("device.synced_generation", 11)?,
            since: row.optional_time("device.unsynchronized_since", 12)?,
        },
        configuration_hash: row.optional_text("device.configuration_hash", 13)?,
        intent: read_intent(row)?,
    };
    Ok((binding, device))
}

fn read_intent(row: &Row) -> Result<Option<SyncIntent>, StoreError> {
    let Some(element) = row.optional_number("sync_intent.element", 14)? else {
        return Ok(None);
    };
    Ok(Some(SyncIntent {
        element,
        session: row.text("sync_intent.session", 15)?,
        generation: row.integer("sync_intent.generation", 16)?,
        configuration_hash: row.optional_text("sync_intent.configuration_hash", 17)?,
        at: row.time("sync_intent.at", 18)?,
    }))
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    binding!("device.unsynchronized_since"),
    PREVIOUS,
    WRITE_DIFF,
    WRITE_INTENT,
    WRITE_PREVIOUS,
    COMPLETE_INTENT,
    REMOVE_INTENT,
];
