use std::collections::BTreeSet;

use async_trait::async_trait;
use lockstep_protocol::Hostname;
use rusqlite::Connection;

use super::connection::Lent;
use super::error::Failure;
use super::{SqliteStore, cause, dead_letters, device, inbox, migrate, related};
use crate::{BatchStore, BatchTransaction, Facts, Keys, StoreError, merged};

#[async_trait]
impl BatchStore for SqliteStore {
    async fn begin(&self, keys: &Keys) -> Result<(Facts, Box<dyn BatchTransaction>), StoreError> {
        const OPERATION: &str = "begin a batch";
        let lent = Lent::from(&self.writer, OPERATION).await?;
        let asked = keys.hostnames.clone();
        let keys = keys.clone();
        let facts = lent
            .run(OPERATION, move |connection| begin(connection, &keys))
            .await?;
        let transaction = Transaction {
            lent,
            asked,
            known: facts.devices().map(|device| device.hostname.clone()).collect(),
        };
        Ok((facts, Box::new(transaction)))
    }
}

fn begin(connection: &mut Connection, keys: &Keys) -> Result<Facts, Failure> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    migrate::check(connection)?;
    let mut facts = Facts::default();
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
    dead_letters::know(connection, keys, &mut facts)?;
    Ok(facts)
}

/// An open transaction. Dropping it closes its connection, which rolls back.
struct Transaction {
    lent: Lent,
    /// The devices that were looked up.
    asked: BTreeSet<Hostname>,
    /// Those of them that are there.
    known: BTreeSet<Hostname>,
}

#[async_trait]
impl BatchTransaction for Transaction {
    async fn commit(self: Box<Self>, facts: &Facts) -> Result<(), StoreError> {
        merged::check_created(facts, &self.asked, &self.known)?;
        let facts = facts.clone();
        self.lent
            .run("commit a batch", move |connection| write(connection, &facts))
            .await?;
        self.lent.give_back();
        Ok(())
    }
}

fn write(connection: &mut Connection, facts: &Facts) -> Result<(), Failure> {
    inbox::insert(connection, facts)?;
    let causes = cause::insert(connection, facts)?;
    related::write_groups(connection, facts)?;
    device::write(connection, facts, &causes)?;
    related::write_members(connection, facts)?;
    related::write_interfaces(connection, facts)?;
    related::write_links(connection, facts)?;
    related::write_clients(connection, facts)?;
    dead_letters::write(connection, facts)?;
    connection.execute_batch("COMMIT")?;
    Ok(())
}
