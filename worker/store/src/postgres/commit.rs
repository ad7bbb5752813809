use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use lockstep_protocol::Hostname;

use super::cause::{self, CauseIds};
use super::session::Session;
use super::{dead_letters, device, inbox, related, write};
use crate::{BatchTransaction, Facts, StoreError, merged};

/// The statements of an ending, which a session prepares before it is used.
pub(super) const STATEMENTS: [&str; 13] = [
    inbox::INSERT,
    inbox::INSERT_DERIVED,
    cause::INSERT,
    related::UPSERT_GROUPS,
    device::INSERT,
    device::DESCRIBE,
    device::FLAG,
    related::DELETE_MEMBERS,
    related::INSERT_MEMBERS,
    related::UPSERT_INTERFACES,
    related::INSERT_LINKS,
    related::UPSERT_CLIENTS,
    dead_letters::INSERT,
];

/// An open transaction. Dropping it closes its session, and the server rolls back.
pub(super) struct Transaction {
    pub(super) session: Session,
    /// The devices that were looked up.
    pub(super) asked: BTreeSet<Hostname>,
    /// Those of them that are there.
    pub(super) known: BTreeSet<Hostname>,
    pub(super) cause_ids: Arc<CauseIds>,
}

#[async_trait]
impl BatchTransaction for Transaction {
    async fn commit(self: Box<Self>, facts: &Facts) -> Result<(), StoreError> {
        merged::check_created(facts, &self.asked, &self.known)?;
        let cause_ids = self.cause_ids.assign(&self.session, facts).await?;
        let mut writes = Vec::with_capacity(STATEMENTS.len());
        writes.extend(inbox::insert(facts));
        writes.extend(cause::insert(facts, &cause_ids));
        writes.extend(related::groups(facts));
        writes.extend(device::insert(facts, &cause_ids));
        writes.extend(device::update(facts, &cause_ids));
        writes.extend(related::members(facts));
        writes.extend(related::interfaces(facts));
        writes.extend(related::links(facts));
        writes.extend(related::clients(facts));
        writes.extend(dead_letters::writes(facts));
        write::commit(self.session, &writes).await
    }
}
