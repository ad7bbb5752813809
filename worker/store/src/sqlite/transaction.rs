use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use lockstep_protocol::{Hostname, MessageKey};
use rusqlite::Connection;

use super::connection::PooledConnection;
use super::error::Failure;
use super::{
    SqliteStore, cause, delivery_attempt, device, flag, history, inbox, lease, management_domain, migrate,
    related, repository,
};
use crate::error_class::ErrorClass;
use crate::execution_table::Changes;
use crate::{
    AttemptStart, DeviceSelector, Facts, Flagged, Keys, Lease, NewCause, StoreError, Transaction, UnitOfWork,
    access_limits, audit, dead_letter_table, device_name_table, follow_up_table, group_table, merged,
    sync_table,
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
        let leases_of = leases;
        let pooled = PooledConnection::from(&self.writer, BEGIN).await?;
        let (requested, leases) = (keys.clone(), leases.to_vec());
        let (mut facts, requested) = pooled
            .run(BEGIN, move |connection| begin(connection, &leases, requested))
            .await?;
        dead_letter_table::read_facts(&pooled, keys, &mut facts).await?;
        access_limits::read_facts(&pooled, keys, &mut facts).await?;
        sync_table::read_facts(&pooled, keys, &mut facts).await?;
        if let Some(new) = keys
            .new_group_rules
            .as_ref()
            .filter(|_| is_held(leases_of, &facts))
        {
            let primaries = group_table::replace(&pooled, new).await?;
            group_table::write_primaries(&pooled, &primaries).await?;
        } else if keys.group_rules
            && let Some(rules) = self.group_rules.read(&pooled).await?
        {
            facts.set_group_rules(rules);
        }
        let transaction = OpenTransaction {
            pooled,
            requested,
            existing: facts.devices().map(|device| device.hostname.clone()).collect(),
            selector: keys.flag.clone(),
            starts: keys.starts.clone(),
        };
        Ok((facts, Box::new(transaction)))
    }
}

/// If all leases are lost, nothing will be written.
fn is_held(leases: &[Lease], facts: &Facts) -> bool {
    leases.is_empty() || leases.iter().any(|lease| facts.holds(lease))
}

/// Returns the facts, and the names of the devices that they are about.
fn begin(
    connection: &mut Connection,
    leases: &[Lease],
    mut keys: Keys,
) -> Result<(Facts, BTreeSet<Hostname>), Failure> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    migrate::check(connection)?;
    if !keys.starts.is_empty() {
        // There is one writer at a time, so they are committed before the transaction itself. Of another process that comes in
        // between, what follows sees all.
        delivery_attempt::record(connection, &keys.starts)?;
        connection.execute_batch("COMMIT; BEGIN IMMEDIATE")?;
    }
    loop {
        let facts = read(connection, leases, &keys)?;
        match keys.further(&facts) {
            None => return Ok((facts, keys.hostnames)),
            // There is one writer, so this ends: what the keys lead to does not change.
            Some(further) => keys = further,
        }
    }
}

fn read(connection: &Connection, leases: &[Lease], keys: &Keys) -> Result<Facts, Failure> {
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
        merged::check_names(facts, &self.requested, &self.existing)?;
        let changes = Arc::new(facts.clone());
        let Self { pooled, starts, .. } = *self;
        let change_hostnames = facts.change_hostnames();
        if change_hostnames {
            device_name_table::change(&pooled, facts).await?;
        }
        if facts.change_dead_letters() {
            dead_letter_table::write(&pooled, facts).await?;
        }
        if facts.change_follow_ups() {
            follow_up_table::write(&pooled, facts).await?;
        }
        if facts.change_syncs() {
            sync_table::write(&pooled, facts).await?;
        }
        if !facts.new_audit().is_empty() {
            audit::write(&pooled, facts).await?;
        }
        let change_members = facts.change_members();
        if change_members {
            let (changes, starts) = (changes.clone(), starts.clone());
            pooled
                .run(COMMIT, move |connection| {
                    write_devices(connection, &changes, &starts)
                })
                .await?;
            group_table::write(&pooled, facts).await?;
        }
        pooled
            .run(COMMIT, move |connection| {
                if !change_members {
                    write_devices(connection, &changes, &starts)?;
                }
                write_rest(connection, &changes)?;
                if !change_hostnames {
                    connection.execute_batch("COMMIT")?;
                }
                Ok(())
            })
            .await?;
        if change_hostnames {
            device_name_table::remember(&pooled, facts).await?;
            pooled
                .run(COMMIT, |connection| Ok(connection.execute_batch("COMMIT")?))
                .await?;
        }
        pooled.give_back();
        Ok(())
    }
}

/// Writes what memberships in groups refer to, and what comes before.
fn write_devices(
    connection: &Connection,
    facts: &Facts,
    starts: &BTreeSet<AttemptStart>,
) -> Result<(), Failure> {
    delivery_attempt::give_back(connection, starts)?;
    repository::write(connection, facts)?;
    let causes = cause::insert(connection, facts.new_causes())?;
    related::write_groups(connection, facts)?;
    history::write_of_existing(connection, facts, &causes)?;
    device::write(connection, facts, &causes)?;
    history::write_of_new(connection, facts, &causes)
}

/// Writes what comes after memberships in groups.
fn write_rest(connection: &Connection, facts: &Facts) -> Result<(), Failure> {
    related::write_interfaces(connection, facts)?;
    related::write_links(connection, facts)?;
    related::write_clients(connection, facts)?;
    management_domain::write(connection, facts)?;
    inbox::insert(connection, facts)?;
    lease::release(connection, facts)
}
