use std::collections::BTreeSet;

use async_trait::async_trait;
use lockstep_protocol::Hostname;
use rusqlite::Connection;

use super::connection::Lent;
use super::error::Failure;
use super::{SqliteStore, cause, device, flag, inbox, lease, migrate, related, repository};
use crate::error_class::ErrorClass;
use crate::{
    DeviceSelector, Facts, Flagged, Keys, Lease, NewCause, StoreError, Transaction, UnitOfWork,
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
        let lent = Lent::from(&self.writer, BEGIN).await?;
        let (asked, leases) = (keys.clone(), leases.to_vec());
        let mut facts = lent
            .run(BEGIN, move |connection| begin(connection, &leases, &asked))
            .await?;
        dead_letter_table::know(&lent, keys, &mut facts).await?;
        let transaction = OpenTransaction {
            lent,
            asked: keys.hostnames.clone(),
            known: facts.devices().map(|device| device.hostname.clone()).collect(),
            selector: keys.flag.clone(),
        };
        Ok((facts, Box::new(transaction)))
    }
}

fn begin(connection: &mut Connection, leases: &[Lease], keys: &Keys) -> Result<Facts, Failure> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    migrate::check(connection)?;
    let mut facts = Facts::default();
    for held in leases {
        if lease::holds(connection, held)? {
            facts.know_lease(held.clone());
        }
    }
    for name in &keys.repositories {
        if let Some(row) = repository::find(connection, name)? {
            facts.know_repository(row);
        }
    }
    for hostname in &keys.hostnames {
        if let Some(row) = device::find(connection, hostname)? {
            facts.know_device(row);
        }
    }
    for identity in &keys.identities {
        if let Some(row) = inbox::find(connection, identity)? {
            facts.know_message(row);
        }
    }
    related::know(connection, keys, &mut facts)?;
    Ok(facts)
}

/// An open transaction. Dropping it closes its connection, which rolls back.
struct OpenTransaction {
    lent: Lent,
    /// The devices that were looked up.
    asked: BTreeSet<Hostname>,
    /// Those of them that exist.
    known: BTreeSet<Hostname>,
    /// The devices to be flagged by what they are.
    selector: Option<DeviceSelector>,
}

#[async_trait]
impl Transaction for OpenTransaction {
    async fn flag(&mut self, cause: &NewCause) -> Result<Flagged, StoreError> {
        const OPERATION: &str = "flag devices";
        let Some(selector) = self.selector.clone() else {
            return Err(ErrorClass::Refused.error(OPERATION, "no devices were selected"));
        };
        let cause = cause.clone();
        self.lent
            .run(OPERATION, move |connection| {
                flag::flag(connection, &selector, &cause)
            })
            .await
    }

    async fn commit(self: Box<Self>, facts: &Facts) -> Result<(), StoreError> {
        merged::check_created(facts, &self.asked, &self.known)?;
        let changes = facts.clone();
        let lent = self.lent;
        if facts.change_dead_letters() {
            dead_letter_table::write(&lent, facts).await?;
        }
        if facts.change_follow_ups() {
            follow_up_table::write(&lent, facts).await?;
        }
        lent.run(COMMIT, move |connection| write(connection, &changes))
            .await?;
        lent.give_back();
        Ok(())
    }
}

fn write(connection: &mut Connection, facts: &Facts) -> Result<(), Failure> {
    repository::write(connection, facts)?;
    let causes = cause::insert(connection, facts.new_causes())?;
    related::write_groups(connection, facts)?;
    device::write(connection, facts, &causes)?;
    related::write_members(connection, facts)?;
    related::write_interfaces(connection, facts)?;
    related::write_links(connection, facts)?;
    related::write_clients(connection, facts)?;
    inbox::insert(connection, facts)?;
    lease::release(connection, facts)?;
    connection.execute_batch("COMMIT")?;
    Ok(())
}
