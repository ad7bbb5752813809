use std::collections::BTreeSet;

use async_trait::async_trait;
use lockstep_protocol::{Hostname, MessageKey};
use rusqlite::Connection;

use super::connection::PooledConnection;
use super::error::Failure;
use super::{
    SqliteStore, cause, delivery_attempt, device, flag, history, inbox, lease, migrate, related, repository,
};
use crate::error_class::ErrorClass;
use crate::execution_table::Changes;
use crate::{
    AttemptStart, DeviceSelector, Facts, Flagged, Keys, Lease, NewCause, StoreError, Transaction, UnitOfWork,
    dead_letter_table, follow_up_table, merged,
};

const BEGIN: &str = "begin a transaction";
const COMMIT: &str = "commit a transaction";

#[async_trait]
impl UnitOfWork for SqliteStore {
    async fn begin(
        &self,
        leases: &[Lease],
        keys: &Keys,
    ) -> Result<(Facts, Box<dyn Transaction>), StoreError> {
        let pooled = PooledConnection::from(&self.writer, BEGIN).await?;
        let (requested, leases) = (keys.clone(), leases.to_vec());
        let mut facts = pooled
            .run(BEGIN, move |connection| begin(connection, &leases, &requested))
            .await?;
        dead_letter_table::read_facts(&pooled, keys, &mut facts).await?;
        let transaction = OpenTransaction {
            pooled,
            requested: keys.hostnames.clone(),
            existing: facts.devices().map(|device| device.hostname.clone()).collect(),
            selector: keys.flag.clone(),
            starts: keys.starts.clone(),
        };
        Ok((facts, Box::new(transaction)))
    }
}

fn begin(connection: &mut Connection, leases: &[Lease], keys: &Keys) -> Result<Facts, Failure> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    migrate::check(connection)?;
    if !keys.starts.is_empty() {
        // There is one writer at a time, so they are committed before the transaction itself. Of another process that comes in
        // between, what follows sees all.
        delivery_attempt::record(connection, &keys.starts)?;
        connection.execute_batch("COMMIT; BEGIN IMMEDIATE")?;
    }
    let mut facts = Facts::default();
    for held in leases {
        if lease::holds(connection, held)? {
            facts.add_lease(held.clone());
        }
    }
    for name in &keys.repositories {
        if let Some(row) = repository::find(connection, name)? {
            facts.add_repository(row);
        }
    }
    for hostname in &keys.hostnames {
        if let Some(row) = device::find(connection, hostname)? {
            facts.add_device(row);
        }
    }
    let add = |message: &MessageKey, facts: &mut Facts| -> Result<(), Failure> {
        if let Some(row) = inbox::find(connection, message)? {
            facts.add_message(row);
        }
        Ok(())
    };
    for message in keys.known_messages() {
        add(message, &mut facts)?;
    }
    for reuse in &keys.reuses(&facts) {
        add(reuse, &mut facts)?;
    }
    related::read_facts(connection, keys, &mut facts)?;
    Ok(facts)
}

/// An open transaction. Dropping it closes its connection, which rolls back.
struct OpenTransaction {
    pooled: PooledConnection,
    /// The device names among the keys.
    requested: BTreeSet<Hostname>,
    /// Those names that have a device.
    existing: BTreeSet<Hostname>,
    /// The devices to be flagged. `None` if the keys select none.
    selector: Option<DeviceSelector>,
    /// The attempts that began with it.
    starts: BTreeSet<AttemptStart>,
}

#[async_trait]
impl Transaction for OpenTransaction {
    async fn flag(&mut self, cause: &NewCause) -> Result<Flagged, StoreError> {
        const OPERATION: &str = "flag devices";
        let Some(selector) = self.selector.clone() else {
            return Err(ErrorClass::Refused.error(OPERATION, "no devices were selected"));
        };
        let cause = cause.clone();
        self.pooled
            .run(OPERATION, move |connection| {
                flag::flag(connection, &selector, &cause)
            })
            .await
    }

    fn executions(&mut self) -> Box<dyn crate::ExecutionTransaction + '_> {
        Box::new(Changes(&self.pooled))
    }

    async fn commit(self: Box<Self>, facts: &Facts) -> Result<(), StoreError> {
        merged::check_created(facts, &self.requested, &self.existing)?;
        let changes = facts.clone();
        let Self { pooled, starts, .. } = *self;
        if facts.change_dead_letters() {
            dead_letter_table::write(&pooled, facts).await?;
        }
        if facts.change_follow_ups() {
            follow_up_table::write(&pooled, facts).await?;
        }
        pooled
            .run(COMMIT, move |connection| write(connection, &changes, &starts))
            .await?;
        pooled.give_back();
        Ok(())
    }
}

fn write(connection: &mut Connection, facts: &Facts, starts: &BTreeSet<AttemptStart>) -> Result<(), Failure> {
    delivery_attempt::give_back(connection, starts)?;
    repository::write(connection, facts)?;
    let causes = cause::insert(connection, facts.new_causes())?;
    related::write_groups(connection, facts)?;
    history::write_of_existing(connection, facts, &causes)?;
    device::write(connection, facts, &causes)?;
    history::write_of_new(connection, facts, &causes)?;
    related::write_members(connection, facts)?;
    related::write_interfaces(connection, facts)?;
    related::write_links(connection, facts)?;
    related::write_clients(connection, facts)?;
    inbox::insert(connection, facts)?;
    lease::release(connection, facts)?;
    connection.execute_batch("COMMIT")?;
    Ok(())
}
