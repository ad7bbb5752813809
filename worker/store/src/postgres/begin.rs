use std::borrow::Cow;

use async_trait::async_trait;
use futures_util::future::OptionFuture;
use lockstep_protocol::Hostname;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Statement};

use super::PostgresStore;
use super::commit::OpenTransaction;
use super::delivery_attempt::Counted;
use super::flag::{Candidates, Selected};
use super::message_columns::MessageColumns;
use super::microseconds::Microseconds;
use super::session::Session;
use super::{cause, device, fleet, group, inbox, lease, management_domain, related, repository};
use crate::error_class::ErrorClass;
use crate::neighbor::Neighbor;
use crate::{
    Facts, Keys, Lease, StoreError, Transaction, UnitOfWork, access_limits, column, dead_letter_table,
    sync_table,
};

pub(super) const OPERATION: &str = "begin a transaction";

/// How often a transaction begins at most. Each time but the first, somebody renamed or linked devices after the time before, or the
/// devices have former names, neighbours of those, or both.
const BEGINNINGS: usize = 6;

/// Runs after the locks, so that the time is later than that of every transaction that held them before.
const NOW: &str = "SELECT clock_timestamp()";

/// The statements of `begin`, which a session prepares before its first use.
pub(super) const STATEMENTS: [&str; 7] = [
    device::LOCK,
    NOW,
    inbox::SELECT,
    related::SELECT_MACS,
    related::SELECT_SERIALS,
    related::SELECT_LINKS,
    cause::NEXT_BLOCK,
];

macro_rules! begin {
    () => {
        "BEGIN ISOLATION LEVEL READ COMMITTED"
    };
}

const BEGIN: &str = begin!();

#[async_trait]
impl UnitOfWork for PostgresStore {
    async fn begin(
        &self,
        leases: &[Lease],
        keys: &Keys,
    ) -> Result<(Facts, Box<dyn Transaction>), StoreError> {
        self.locks.during(OPERATION, self.open(leases, keys)).await
    }
}

impl PostgresStore {
    /// Begins again with what the facts lead to, as long as they lead to more: further devices must be locked in one order with the
    /// others.
    async fn open(&self, leases: &[Lease], keys: &Keys) -> Result<(Facts, Box<dyn Transaction>), StoreError> {
        let session = self.session(OPERATION).await?;
        let candidates = match &keys.flag {
            Some(selector) => Some(Candidates::find(&session, selector).await?),
            None => None,
        };
        let mut keys = Cow::Borrowed(keys);
        for _ in 0..BEGINNINGS {
            // Before the locks, because it reads all interfaces.
            let neighbors = related::neighbors(OPERATION, &session, &keys.neighbors_of).await?;
            let mut facts = Facts::default();
            for Neighbor { of, hostname } in neighbors {
                facts.add_neighbor_by_configuration(of, hostname);
            }
            if !keys.neighbors_of.is_empty()
                && let Some(further) = keys.further(&facts)
            {
                keys = Cow::Owned(further);
            }
            let selected = self
                .lock_and_read(&session, leases, &keys, candidates.as_ref(), &mut facts)
                .await?;
            if let Some(further) = keys.further(&facts) {
                session
                    .answer(OPERATION, session.batch_execute("ROLLBACK"))
                    .await?;
                keys = Cow::Owned(further);
                continue;
            }
            let transaction = OpenTransaction {
                session,
                existing: facts.devices().map(|device| device.hostname.clone()).collect(),
                cause_ids: self.cause_ids.clone(),
                selected,
                counted: Counted::record(&self.attempts, &keys.starts).await?,
                locks: self.locks.clone(),
                requested: keys.into_owned().hostnames,
            };
            return Ok((facts, Box::new(transaction)));
        }
        let reason = "devices are renamed or linked faster than they can be locked";
        Err(ErrorClass::Conflict.error(OPERATION, reason))
    }

    /// Begins a transaction, and locks and reads what the keys name.
    async fn lock_and_read(
        &self,
        session: &Session,
        leases: &[Lease],
        keys: &Keys,
        candidates: Option<&Candidates<'_>>,
        facts: &mut Facts,
    ) -> Result<Option<Selected>, StoreError> {
        let mut selected = None;
        let is_run = !leases.is_empty()
            || !keys.repositories.is_empty()
            || keys.flag.is_some()
            || keys.group_rules
            || keys.new_group_rules.is_some();
        if is_run {
            session.answer(OPERATION, session.batch_execute(BEGIN)).await?;
            let primaries = group::lock(session, keys, &self.group_rules, facts).await?;
            lease::hold(OPERATION, session, leases, facts).await?;
            // If all leases are lost, nothing will be written, so no further locks are taken.
            if leases.is_empty() || leases.iter().any(|lease| facts.holds(lease)) {
                repository::lock(session, &keys.repositories, facts).await?;
                group::write_primaries(session, &primaries).await?;
                if let Some(candidates) = candidates {
                    selected = Some(candidates.lock(session).await?);
                }
            } else if keys.new_group_rules.is_some() {
                // They were written before the leases were found to be lost.
                let again = session.batch_execute(concat!("ROLLBACK; ", begin!()));
                session.answer(OPERATION, again).await?;
            }
        }
        self.read(session, keys, is_run, facts).await?;
        Ok(selected)
    }

    /// Sends `BEGIN`, unless a transaction is open, and all reads at once. The devices are locked first: every transaction that
    /// had locked them has committed before the other statements run, so those read the newest rows.
    async fn read(
        &self,
        session: &Session,
        keys: &Keys,
        is_open: bool,
        facts: &mut Facts,
    ) -> Result<(), StoreError> {
        let statements =
            futures_util::future::try_join_all(STATEMENTS.map(|sql| session.prepare_cached(sql)));
        let statements = session.answer(OPERATION, statements).await?;
        let [
            lock,
            now,
            select_inbox,
            select_macs,
            select_serials,
            select_links,
            next_block,
        ] = &statements[..]
        else {
            unreachable!("as many are prepared as there are");
        };
        let hostnames: Vec<&str> = keys.hostnames.iter().map(Hostname::as_str).collect();
        let messages: MessageColumns = keys.known_messages().collect();
        let macs: Vec<&str> = keys.macs.iter().map(lockstep_protocol::Mac::as_str).collect();
        let serials: Vec<&str> = keys
            .serials
            .iter()
            .map(lockstep_protocol::Serial::as_str)
            .collect();
        let with_links = keys.devices_with_links().into_iter();
        let with_links: Vec<&str> = with_links.map(Hostname::as_str).collect();

        // The futures are polled in this order, so the statements are sent in this order.
        let batch = async {
            tokio::try_join!(
                biased;
                async {
                    let begin = (!is_open).then(|| session.batch_execute(BEGIN));
                    OptionFuture::from(begin).await.unwrap_or(Ok(()))
                },
                query_keys(session, lock, &hostnames, [&hostnames]),
                session.query_one(now, &[]),
                query_keys(session, select_inbox, &messages.ids, messages.parameters()),
                query_keys(session, select_macs, &macs, [&macs]),
                query_keys(session, select_serials, &serials, [&serials]),
                query_keys(session, select_links, &with_links, [&with_links]),
                async {
                    // Fetched early, so that the commit rarely has to fetch ids.
                    let short = self.cause_ids.short_of(keys.messages.len());
                    let block = short.then(|| session.query_one(next_block, &[]));
                    OptionFuture::from(block).await.transpose()
                },
            )
        };
        let ((), devices, now, messages, macs, serials, links, block) =
            session.answer(OPERATION, Box::pin(batch)).await?;
        facts.set_time(now.get::<_, Microseconds>(0).0);
        if let Some(block) = block {
            self.cause_ids.add_block(block.get(0));
        }
        for row in &devices {
            facts.add_device(device::read(row)?);
        }
        for row in &messages {
            facts.add_message(inbox::read(row)?);
        }
        let reuses = keys.reuses(facts);
        let reuses = MessageColumns::from_iter(&reuses);
        if !reuses.ids.is_empty() {
            let parameters = reuses.parameters();
            for row in &session.rows_for(OPERATION, inbox::SELECT, &parameters).await? {
                facts.add_message(inbox::read(row)?);
            }
        }
        related::read_facts(&macs, &serials, &links, facts)?;
        self.read_rare(session, keys, facts).await?;
        access_limits::read_facts(session, keys, facts).await?;
        sync_table::read_facts(session, keys, facts).await?;
        dead_letter_table::read_facts(session, keys, facts).await
    }
}

impl PostgresStore {
    /// Reads what few batches ask for: other spellings of hostnames that no device has, former hostnames, what inventories say about
    /// devices, management domains, and open causes.
    async fn read_rare(&self, session: &Session, keys: &Keys, facts: &mut Facts) -> Result<(), StoreError> {
        let missing = keys.hostnames.iter().filter(|name| facts.device(name).is_none());
        let folded: Vec<String> = missing.map(Hostname::folded).collect();
        if !folded.is_empty() {
            let rows = session
                .rows_for(OPERATION, related::SELECT_SPELLINGS, &[&folded])
                .await?;
            related::read_spellings(&rows, facts)?;
        }
        if !keys.data_of.is_empty() {
            let hostnames: Vec<&str> = keys.data_of.iter().map(Hostname::as_str).collect();
            for row in session
                .rows_for(OPERATION, related::SELECT_DATA, &[&hostnames])
                .await?
            {
                let hostname = column::name("device.hostname", row.get(0))?;
                facts.add_data(&hostname, column::read_data(row.get(1))?);
            }
        }
        if !keys.management_domains.is_empty() {
            management_domain::lock(OPERATION, session, &keys.management_domains, facts).await?;
        }
        if !keys.causes_of.is_empty() {
            let hostnames: Vec<&str> = keys.causes_of.iter().map(Hostname::as_str).collect();
            let rows = session
                .rows_for(OPERATION, related::SELECT_CAUSES, &[&hostnames])
                .await?;
            for row in rows {
                let hostname = column::name("device.hostname", row.get(0))?;
                facts.add_open_cause(hostname, fleet::cause(&row)?);
            }
        }
        Ok(())
    }
}

/// Sends the query on the first poll. Without keys, no query is sent.
async fn query_keys<const N: usize>(
    session: &Session,
    statement: &Statement,
    keys: &[&str],
    parameters: [&(dyn ToSql + Sync); N],
) -> Result<Vec<Row>, Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    session.query(statement, &parameters).await
}
