use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use lockstep_protocol::Hostname;

use super::cause::{self, CauseIds};
use super::delivery_attempt::Counted;
use super::flag::Selected;
use super::lock_watch::LockWatch;
use super::session::Session;
use super::sql::Planned;
use super::{device, history, inbox, lease, management_domain, related, repository, write};
use crate::error_class::ErrorClass;
use crate::execution_table::Changes;
use crate::{
    Facts, Flagged, NewCause, StoreError, Transaction, audit, dead_letter_table, device_name_table,
    follow_up_table, group_table, merged, sync_table,
};

/// The statements of `commit`, which a session prepares before its first use.
pub(super) const STATEMENTS: [&str; 12] = [
    cause::INSERT,
    related::UPSERT_GROUPS,
    device::INSERT,
    history::INSERT,
    device::DESCRIBE,
    device::FLAG,
    device::CONTROL,
    related::UPSERT_INTERFACES,
    related::UPSERT_LINKS,
    related::UPSERT_CLIENTS,
    inbox::INSERT,
    inbox::INSERT_ALIKE,
];

const OPERATION: &str = "commit a transaction";

/// An open transaction. Dropping it closes its session, and the server rolls back.
pub(super) struct OpenTransaction {
    pub(super) session: Session,
    /// The device names among the keys.
    pub(super) requested: BTreeSet<Hostname>,
    /// Those names that have a device.
    pub(super) existing: BTreeSet<Hostname>,
    pub(super) cause_ids: Arc<CauseIds>,
    /// The devices to be flagged. `None` if the keys select none, or all leases are lost.
    pub(super) selected: Option<Selected>,
    /// The attempts that began with it.
    pub(super) counted: Option<Counted>,
    pub(super) locks: Arc<LockWatch>,
}

#[async_trait]
impl Transaction for OpenTransaction {
    async fn flag(&mut self, cause: &NewCause) -> Result<Flagged, StoreError> {
        match &self.selected {
            Some(selected) => selected.flag(&self.session, &self.cause_ids, cause).await,
            None => {
                Err(ErrorClass::Refused
                    .error("flag devices", "no devices were selected, or the lease is lost"))
            }
        }
    }

    fn executions(&mut self) -> Box<dyn crate::ExecutionTransaction + '_> {
        Box::new(Changes(Planned::new(&self.session)))
    }

    async fn commit(self: Box<Self>, facts: &Facts) -> Result<(), StoreError> {
        let locks = self.locks.clone();
        locks.during(OPERATION, self.write(facts)).await
    }
}

impl OpenTransaction {
    async fn write(self: Box<Self>, facts: &Facts) -> Result<(), StoreError> {
        merged::check_names(facts, &self.requested, &self.existing)?;
        if let Some(counted) = self.counted {
            counted.give_back().await?;
        }
        let session = self.session;
        let cause_ids = self.cause_ids.assign(&session, facts.new_causes().len()).await?;
        repository::write(&session, facts).await?;
        if facts.change_hostnames() {
            device_name_table::change(&Planned::new(&session), facts).await?;
        }
        let mut writes = Vec::with_capacity(STATEMENTS.len());
        writes.extend(cause::insert(facts, &cause_ids));
        writes.extend(related::groups(facts));
        writes.extend(device::insert(facts, &cause_ids));
        writes.extend(history::insert(facts, &cause_ids));
        writes.extend(device::update(facts, &cause_ids));
        writes.extend(device::control(facts));
        writes.extend(device::set_data(facts));
        if facts.change_members() {
            write::send(OPERATION, &session, &writes).await?;
            writes.clear();
            group_table::write(&Planned::new(&session), facts).await?;
        }
        writes.extend(related::interfaces(facts));
        writes.extend(related::links(facts));
        writes.extend(related::clients(facts));
        writes.extend(management_domain::write(facts));
        if facts.change_hostnames() {
            write::send(OPERATION, &session, &writes).await?;
            writes.clear();
            device_name_table::remember(&session, facts).await?;
        }
        if facts.change_syncs() {
            write::send(OPERATION, &session, &writes).await?;
            writes.clear();
            sync_table::write(&Planned::new(&session), facts).await?;
        }
        if facts.change_dead_letters() {
            write::send(OPERATION, &session, &writes).await?;
            writes.clear();
            dead_letter_table::write(&session, facts).await?;
        }
        if !facts.new_audit().is_empty() {
            audit::write(&session, facts).await?;
        }
        writes.extend(inbox::insert(facts, &cause_ids));
        if facts.change_follow_ups() {
            write::send(OPERATION, &session, &writes).await?;
            writes.clear();
            follow_up_table::write(&session, facts).await?;
        }
        lease::release(OPERATION, &session, facts).await?;
        write::commit(session, &writes).await
    }
}
