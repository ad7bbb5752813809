//! The contract on PostgreSQL, and tests of its sessions.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::DeviceType;
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_store::{
    AttemptStart, Attributes, DeadLetterCountQuery, DeadLetterQuery, DeadLetterState, DeadLetters as _,
    DeliveryAttempt, DeviceEffect, DeviceSelector, FollowUps as _, Inbox, Keys, Schema, StoreError,
    UnitOfWork as _,
};
use lockstep_testbed::{Database, FaultProxy, Mode, wait};
use tokio_postgres::Client;

use crate::contract::management_domains::{changed, domain};
use crate::contract::{
    Place, Probe, absorb, create, create_all, devices, hostname, key, keys, leases, message, repositories,
    row, undo, unsynchronize, work,
};

contract!(crate::postgres::open);

pub(crate) async fn open() -> Result<Place> {
    open_in(lockstep_testbed::schema().await?).await
}

async fn open_in(schema: lockstep_testbed::Schema) -> Result<Place> {
    let owner = || PostgresStore::connect(options(&schema.url_as("migrate")));
    let owners = [owner()?, owner()?];
    owners[0].migrate().await?;
    let worker = || PostgresStore::connect(options(&schema.url_as("worker")));
    Ok(Place {
        store: worker()?,
        other: worker()?,
        owners: owners.map(|owner| owner as _),
        probe: Box::new(schema.connect().await?),
        keep: Box::new(schema),
    })
}

pub(crate) fn options(url: &str) -> PostgresOptions {
    PostgresOptions {
        lock_timeout: Duration::from_secs(10),
        ..PostgresOptions::new(url)
    }
}

/// The address of the store for workers.
pub(crate) fn url(place: &Place) -> String {
    schema(place).url_as("worker")
}

/// The same through a proxy.
fn url_through(place: &Place, proxy: &FaultProxy) -> String {
    lockstep_testbed::Schema::through(&url(place), proxy.addr())
}

#[async_trait]
impl Probe for Client {
    async fn texts(&self, query: &str) -> Result<Vec<String>> {
        let rows = self.query(query, &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    fn time(&self, at: Timestamp) -> String {
        format!("timestamptz '{at}'")
    }

    fn blob(&self, bytes: &[u8]) -> String {
        format!("decode('{}', 'hex')", hex::encode(bytes))
    }

    fn earlier(&self, column: &str, minutes: i64) -> String {
        format!("{column} - interval '{minutes} minutes'")
    }

    fn causes(&self) -> &'static str {
        "(SELECT message_id, cause FROM cause UNION ALL SELECT id, cause FROM inbox WHERE cause_id IS NOT NULL) AS causes"
    }

    fn watch(&self, table: &str) -> Vec<String> {
        vec![
            "CREATE TABLE IF NOT EXISTS written (what text)".to_owned(),
            "CREATE OR REPLACE FUNCTION note_written() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS \
             $$BEGIN INSERT INTO written VALUES (TG_TABLE_NAME || ' ' || TG_OP); RETURN NULL; END$$"
                .to_owned(),
            format!(
                "CREATE TRIGGER note_written AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION note_written()"
            ),
        ]
    }

    fn undo(&self) -> &'static [(u32, &'static [&'static str])] {
        &[
            (18, UNDO_AUDIT),
            (17, undo::OIDC),
            (16, undo::FLEET_SAMPLES),
            (15, undo::TRACES),
            (14, undo::ACCESS),
            (13, &["DROP TABLE inventory_source"]),
            (12, undo::WORKFLOW),
            (11, undo::TASK_FORMS),
            (10, undo::PAGES),
            (9, undo::SYNC),
            (8, UNDO_RULES),
            (
                7,
                &[
                    "DROP TABLE broad_cause",
                    "ALTER TABLE inbox DROP COLUMN cause_id, DROP COLUMN cause, DROP COLUMN note",
                    "ALTER TABLE device DROP COLUMN broad_seen",
                    "ALTER TABLE repository ALTER COLUMN listing SET STORAGE EXTENDED",
                    "UPDATE schema_compatibility SET oldest = 6",
                ],
            ),
            (6, undo::RUN_CYCLE),
            (5, undo::EXECUTIONS),
            (
                4,
                &[
                    "DROP TABLE repository_failure",
                    "ALTER TABLE repository DROP COLUMN problem_since, DROP COLUMN warnings",
                ],
            ),
            (3, UNDO_DEVICES),
            (
                2,
                &[
                    "ALTER TABLE inbox DROP CONSTRAINT inbox_identity, ADD CONSTRAINT inbox_identity PRIMARY KEY (source, id), \
                 ALTER actor DROP NOT NULL, ALTER actor DROP DEFAULT",
                    "ALTER TABLE delivery_attempt DROP CONSTRAINT delivery_attempt_pkey, DROP COLUMN actor, \
                 ADD PRIMARY KEY (source, id, redrive_count)",
                    "DROP INDEX dead_letter_identity",
                    "ALTER TABLE dead_letter ADD CONSTRAINT dead_letter_identity UNIQUE (source, id, redrive_count)",
                    "UPDATE schema_compatibility SET oldest = 1",
                ],
            ),
        ]
    }
}

const UNDO_AUDIT: &[&str] = &[
    "DROP POLICY audit_read ON audit",
    "DROP POLICY audit_add ON audit",
    "DROP POLICY audit_expire ON audit",
    "ALTER TABLE audit DISABLE ROW LEVEL SECURITY",
    "DROP INDEX audit_message",
    "ALTER TABLE audit DROP COLUMN outcome, DROP COLUMN code, DROP COLUMN broker_user, DROP COLUMN trace_id",
];

const UNDO_RULES: &[&str] = &[
    "DROP TABLE former_hostname",
    "DROP TABLE device_history",
    "ALTER TABLE device DROP COLUMN state_since, DROP COLUMN primary_group",
    "ALTER TABLE linknet DROP COLUMN present, DROP COLUMN removed_at, DROP COLUMN version_time, DROP COLUMN version_id, \
        DROP COLUMN added_time, DROP COLUMN added_id",
    "ALTER TABLE cause DROP COLUMN detail",
    "ALTER TABLE inbox DROP COLUMN detail",
    "DROP TABLE group_rule_device, group_rules",
    "ALTER TABLE device_group DROP COLUMN regex, DROP COLUMN priority, DROP COLUMN position",
    "ALTER TABLE group_member DROP COLUMN listed, DROP COLUMN by_rule",
    "UPDATE schema_compatibility SET oldest = 7",
];

const UNDO_DEVICES: &[&str] = &[
    "ALTER TABLE device DROP COLUMN hostname_folded, DROP COLUMN marked_at, DROP COLUMN marked_by, DROP COLUMN marked_note",
    "ALTER TABLE cause DROP COLUMN note",
];

const KILL: &str = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
    WHERE application_name = 'lockstep' AND query_start IS NOT NULL AND pid <> pg_backend_pid() \
        AND EXISTS (SELECT FROM pg_locks WHERE pg_locks.pid = pg_stat_activity.pid \
            AND relation = to_regclass('device'))";

#[tokio::test]
async fn a_session_killed_in_a_transaction_rolls_back_and_the_pool_recovers() -> Result<()> {
    let place = open().await?;
    create_all(&place, &["sw1"]).await?;
    let (mut facts, transaction) = place.store.begin(&[], &keys("2", ["sw1"])).await?;
    absorb(&mut facts, "2", devices([unsynchronize("sw1")]));
    ensure!(place.probe.texts(KILL).await? == ["true"]);
    let lost = transaction.commit(&facts).await;
    ensure!(matches!(lost, Err(StoreError::Unavailable { .. })), "{lost:?}");
    ensure!(place.store.outcome(&key("2")).await?.is_none());
    work(&place, &keys("3", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    let device = place.store.device(&hostname("sw1")).await?.context("sw1")?;
    ensure!(device.sync.desired == 2);
    Ok(())
}

/// Nobody can lock a row that is not there yet: who comes second begins again, and reads what the first one wrote.
#[tokio::test]
async fn of_two_transactions_that_add_a_management_domain_one_is_repeated() -> Result<()> {
    let place = open().await?;
    create_all(&place, &["sw1", "sw2", "sw3", "sw4"]).await?;
    let asking = |id: &str, names: [&str; 2]| Keys {
        management_domains: [4].into(),
        ..keys(id, names)
    };
    let (mut older, slower) = place.store.begin(&[], &asking("older", ["sw1", "sw2"])).await?;
    let (mut newer, faster) = place.other.begin(&[], &asking("newer", ["sw3", "sw4"])).await?;
    absorb(
        &mut older,
        "older",
        changed(4, Some(domain(4, "sw1", "sw2")), "1"),
    );
    absorb(
        &mut newer,
        "newer",
        changed(4, Some(domain(4, "sw3", "sw4")), "2"),
    );
    faster.commit(&newer).await?;
    let lost = slower.commit(&older).await;
    ensure!(matches!(lost, Err(StoreError::Conflict { .. })), "{lost:?}");
    let again = changed(4, Some(domain(4, "sw1", "sw2")), "1");
    work(&place, &asking("older", ["sw1", "sw2"]), again).await?;
    let (facts, _transaction) = place.store.begin(&[], &asking("read", ["sw1", "sw2"])).await?;
    let row = facts.management_domain(4).context("a row")?;
    ensure!(row.domain == Some(domain(4, "sw3", "sw4")), "{row:?}");
    Ok(())
}

#[tokio::test]
async fn private_a_database_that_restarts_is_used_again() -> Result<()> {
    let mut database = Database::start().await?;
    let place = open_in(database.schema().await?).await?;
    create_all(&place, &["sw1"]).await?;
    database.kill().await?;
    let away = place.store.ping().await;
    ensure!(matches!(away, Err(StoreError::Unavailable { .. })), "{away:?}");
    let away = place.store.begin(&[], &Keys::default()).await.map(drop);
    ensure!(matches!(away, Err(StoreError::Unavailable { .. })), "{away:?}");
    database.restart().await?;
    wait::until("the store to be back", Duration::from_secs(40), async || {
        place.store.ping().await
    })
    .await?;
    work(&place, &keys("2", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    Ok(())
}

#[tokio::test]
async fn private_tls_is_verified_wherever_it_is_used() -> Result<()> {
    let database = Database::start_with_tls().await?;
    let url = database.tls_url().context("TLS")?;
    let ca_file = database.ca_file().context("TLS")?;
    let with_ca = PostgresOptions {
        ca_file: Some(ca_file.to_owned()),
        ..options(&url)
    };
    PostgresStore::connect(with_ca)?.migrate().await?;
    let in_url = format!("{url}&sslrootcert={}", ca_file.display());
    PostgresStore::connect(options(&in_url.replace("require", "verify-full")))?
        .ping()
        .await?;
    PostgresStore::connect(options(&url.replace("require", "disable")))?
        .ping()
        .await?;
    for mode in ["require", "verify-full", "prefer"] {
        // The system does not trust this authority.
        let refused = PostgresStore::connect(options(&url.replace("require", mode)))?
            .ping()
            .await;
        ensure!(
            matches!(refused, Err(StoreError::Unavailable { .. })),
            "{mode}: {refused:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_away_at_first_is_no_error() -> Result<()> {
    let store = PostgresStore::connect(PostgresOptions::new("postgres://u:secret@127.0.0.1:1/d"))?;
    let away = store.ping().await.unwrap_err();
    ensure!(matches!(away, StoreError::Unavailable { .. }), "{away:?}");
    ensure!(!format!("{away:?} {store:?}").contains("secret"));
    Ok(())
}

#[tokio::test]
async fn a_lock_is_not_waited_for_longer_than_allowed() -> Result<()> {
    let place = open().await?;
    create_all(&place, &["sw1"]).await?;
    let impatient = PostgresStore::connect(PostgresOptions {
        lock_timeout: Duration::from_millis(100),
        ..PostgresOptions::new(url(&place))
    })?;
    let (_, _first) = place.store.begin(&[], &keys("2", ["sw1"])).await?;
    let second = impatient.begin(&[], &keys("3", ["sw1"])).await.map(drop);
    ensure!(
        matches!(second, Err(StoreError::Unavailable { .. })),
        "{second:?}"
    );
    Ok(())
}

/// Two workers create the same device at the same time: one succeeds, the other one repeats and finds it.
#[tokio::test]
async fn a_device_made_twice_at_once_is_made_once() -> Result<()> {
    let place = open().await?;
    let (mut first_facts, first) = place.store.begin(&[], &keys("1", ["sw1"])).await?;
    let (mut second_facts, second) = place.other.begin(&[], &keys("2", ["sw1"])).await?;
    absorb(&mut first_facts, "1", devices([create("sw1")]));
    absorb(&mut second_facts, "2", devices([create("sw1")]));
    first.commit(&first_facts).await?;
    let repeat = second.commit(&second_facts).await;
    ensure!(matches!(repeat, Err(StoreError::Conflict { .. })), "{repeat:?}");
    let (facts, _transaction) = place.other.begin(&[], &keys("2", ["sw1"])).await?;
    ensure!(facts.device(&hostname("sw1")).is_some());
    Ok(())
}

#[tokio::test]
async fn nul_in_an_attribute_is_refused_without_affecting_others() -> Result<()> {
    let place = open().await?;
    create_all(&place, &["sw1"]).await?;
    let describe = DeviceEffect::Describe {
        hostname: hostname("sw1"),
        attributes: Attributes {
            vendor: Some("a\0b".to_owned()),
            ..Attributes::of(DeviceType::ACCESS)
        },
    };
    let refused = work(&place, &keys("2", ["sw1"]), devices([describe])).await;
    ensure!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    work(&place, &keys("3", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    Ok(())
}

/// A refused batch leaves no transaction open in its session, which the next batch uses.
#[tokio::test]
async fn one_session_goes_on_after_a_refusal_and_a_conflict() -> Result<()> {
    let place = open().await?;
    let store = PostgresStore::connect(PostgresOptions {
        sessions: 1,
        ..options(&url(&place))
    })?;
    let remember = async |store: &Arc<PostgresStore>| {
        let (mut facts, transaction) = store.begin(&[], &Keys::default()).await?;
        facts.record(row(message("1")));
        transaction.commit(&facts).await
    };
    remember(&store).await?;
    for _ in 0..3 {
        let conflict = remember(&store).await;
        ensure!(
            matches!(conflict, Err(StoreError::Conflict { .. })),
            "{conflict:?}"
        );
        ensure!(store.outcome(&key("1")).await?.is_some());
        store.ping().await?;
    }
    Ok(())
}

/// Else redelivered messages would wait for one another, or for ever where there is one session.
#[tokio::test]
async fn a_transaction_with_the_last_session_counts_its_attempts() -> Result<()> {
    let place = open().await?;
    let store = PostgresStore::connect(PostgresOptions {
        sessions: 1,
        ..options(&url(&place))
    })?;
    let attempt = DeliveryAttempt {
        message: key("1"),
        redrive_count: 0,
    };
    let start = AttemptStart {
        attempt: attempt.clone(),
        unfinished: 0,
    };
    let keys = Keys {
        starts: [start].into(),
        ..Keys::default()
    };
    let (facts, transaction) = store.begin(&[], &keys).await?;
    ensure!(place.store.unfinished(std::slice::from_ref(&attempt)).await? == [Some(1)]);
    transaction.commit(&facts).await?;
    ensure!(place.store.unfinished(&[attempt]).await? == [Some(0)]);
    Ok(())
}

/// Otherwise every event would write to that index too, and leave a dead entry in all other indexes.
#[tokio::test]
async fn no_index_holds_what_every_event_changes() -> Result<()> {
    let place = open().await?;
    let indexed = "SELECT DISTINCT attname::text FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey) \
        WHERE indrelid = to_regclass('device') ORDER BY 1";
    ensure!(
        place.probe.texts(indexed).await?
            == [
                "controller_id",
                "hostname",
                "hostname_folded",
                "id",
                "mac",
                "serial"
            ]
    );
    Ok(())
}

pub(crate) fn schema(place: &Place) -> &lockstep_testbed::Schema {
    place.keep.downcast_ref().expect("the schema")
}

/// Wherever the connection is cut, the inbox shows whether the batch was committed, and the counters agree.
#[tokio::test]
async fn a_connection_cut_anywhere_in_a_commit_leaves_all_or_nothing() -> Result<()> {
    let place = open().await?;
    create_all(&place, &["sw1"]).await?;
    let proxy = FaultProxy::to(schema(&place).addr()?).await?;
    let store = PostgresStore::connect(options(&url_through(&place, &proxy)))?;
    let mut raised = 1;
    let mut outcomes = [0, 0];
    for cut in (0..2400).step_by(150) {
        let id = format!("cut {cut}");
        let (mut facts, transaction) = store.begin(&[], &keys(&id, ["sw1"])).await?;
        absorb(&mut facts, &id, devices([unsynchronize("sw1")]));
        proxy.set(Mode::CutAfter(cut)).await?;
        let committed = transaction.commit(&facts).await;
        proxy.set(Mode::Pass).await?;
        let lost = matches!(committed, Err(StoreError::Unavailable { .. }));
        ensure!(lost || committed.is_ok(), "{committed:?}");
        // Sees the device only when the transaction has ended, this way or that.
        let (facts, transaction) = place.store.begin(&[], &keys(&id, ["sw1"])).await?;
        drop(transaction);
        let remembered = facts.message(&key(&id)).is_some();
        ensure!(remembered || lost, "committed, but without an inbox row");
        raised += i64::from(remembered);
        outcomes[usize::from(remembered)] += 1;
        let device = facts.device(&hostname("sw1")).context("sw1")?;
        ensure!(device.sync.desired == raised, "after {cut} bytes: {device:?}");
    }
    ensure!(
        outcomes[0] > 3 && outcomes[1] > 1,
        "all cuts were before the commit, or all after it: {outcomes:?}"
    );
    Ok(())
}

/// Wherever the connection is cut, a change is committed completely or not at all.
#[tokio::test]
async fn a_connection_cut_anywhere_in_a_change_leaves_all_or_nothing() -> Result<()> {
    let place = open().await?;
    create_all(&place, &["sw1"]).await?;
    let proxy = FaultProxy::to(schema(&place).addr()?).await?;
    let store = PostgresStore::connect(options(&url_through(&place, &proxy)))?;
    let lease = leases::acquire(&place, leases::LONG).await?;
    let all = || DeviceSelector {
        device_types: [DeviceType::ACCESS].into(),
        predicate: Some(Arc::new(|_| true)),
        ..DeviceSelector::default()
    };
    // Opens the sessions and prepares the statements, so that the cuts hit the transaction.
    repositories::flag(&*store, repositories::flags(&lease, 0, "first", all())).await?;
    let (mut revision, mut outcomes) = (1, [0, 0]);
    for cut in (0..9000).step_by(250) {
        let id = format!("cut {cut}");
        store.ping().await?;
        proxy.set(Mode::CutAfter(cut)).await?;
        let refresh = repositories::flags(&lease, revision, &id, all());
        let changed = repositories::change(&*store, &refresh).await;
        proxy.set(Mode::Pass).await?;
        let lost = matches!(changed, Err(StoreError::Unavailable { .. }));
        ensure!(
            lost || matches!(changed, Ok(repositories::Changed::Committed)),
            "{changed:?}"
        );
        // Sees the device only when the transaction has ended, this way or that.
        let (facts, transaction) = place.store.begin(&[], &keys(&id, ["sw1"])).await?;
        drop(transaction);
        let remembered = facts.message(&key(&id)).is_some();
        ensure!(remembered || lost, "committed, but without an inbox row");
        revision += i64::from(remembered);
        outcomes[usize::from(remembered)] += 1;
        let device = facts.device(&hostname("sw1")).context("sw1")?;
        ensure!(
            device.sync.desired == revision + 1,
            "after {cut} bytes, revision {revision}: {device:?}"
        );
        ensure!(repositories::revision(&*place.store).await? == revision);
        let causes = place.probe.texts("SELECT message_id FROM cause").await?;
        ensure!(
            causes.len() == usize::try_from(revision)?,
            "after {cut} bytes: {causes:?}"
        );
    }
    ensure!(
        outcomes[0] > 3 && outcomes[1] > 1,
        "all cuts were before the commit, or all after it: {outcomes:?}"
    );
    Ok(())
}

/// A change that began under the lease commits under it: the next owner acquires the lease afterwards, even if it has expired.
#[tokio::test]
async fn nobody_acquires_the_lease_while_a_change_commits() -> Result<()> {
    let place = open().await?;
    create_all(&place, &["sw1"]).await?;
    let lease = leases::acquire(&place, Duration::from_secs(2)).await?;
    let (_, batch) = place.store.begin(&[], &keys("event", ["sw1"])).await?;
    let store = place.store.clone();
    let refresh = repositories::flags(&lease, 0, "push", repositories::named(["sw1"]));
    let changing = tokio::spawn(async move { repositories::change(&*store, &refresh).await });
    let waits = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'lockstep' \
        AND EXISTS (SELECT FROM pg_locks WHERE pg_locks.pid = pg_stat_activity.pid AND relation = to_regclass('device'))";
    let seconds = Duration::from_secs(10);
    wait::until("the change to wait for the batch", seconds, async || {
        place.probe.texts(waits).await.is_ok_and(|found| found.len() == 1)
    })
    .await?;
    wait::until("the lease to expire", seconds, async || {
        let over = "SELECT name FROM lease WHERE until <= clock_timestamp()";
        place.probe.texts(over).await.is_ok_and(|found| found.len() == 1)
    })
    .await?;
    let mut next = place.other.acquire(&lease.name, leases::LONG);
    let moment = Duration::from_millis(200);
    ensure!(
        tokio::time::timeout(moment, &mut next).await.is_err(),
        "the lease was acquired before the commit"
    );
    drop(batch);
    ensure!(changing.await?? == repositories::Changed::Committed);
    ensure!(next.await?.context("the time is over")?.fence == lease.fence + 1);
    Ok(())
}

#[tokio::test]
async fn a_missing_answer_ends_in_a_timeout() -> Result<()> {
    let place = open().await?;
    create_all(&place, &["sw1"]).await?;
    let proxy = FaultProxy::to(schema(&place).addr()?).await?;
    let short = Duration::from_millis(300);
    let store = PostgresStore::connect(PostgresOptions {
        connect_timeout: short,
        lock_timeout: short,
        statement_timeout: short,
        ..PostgresOptions::new(url_through(&place, &proxy))
    })?;
    let (mut facts, transaction) = store.begin(&[], &keys("2", ["sw1"])).await?;
    absorb(&mut facts, "2", devices([unsynchronize("sw1")]));
    proxy.set(Mode::Blackhole).await?;
    let lost = transaction.commit(&facts).await;
    ensure!(matches!(lost, Err(StoreError::Unavailable { .. })), "{lost:?}");
    let away = store.ping().await;
    ensure!(matches!(away, Err(StoreError::Unavailable { .. })), "{away:?}");
    proxy.set(Mode::Pass).await?;
    wait::until("the store to be back", Duration::from_secs(40), async || {
        store.ping().await
    })
    .await?;
    Ok(())
}

/// A thousand settled dead letters per unsettled one.
const MANY_DEAD_LETTERS: &str = "\
    INSERT INTO dead_letter (source, id, redrive_count, lane, kind, code, reason, attempts, first_at, dead_lettered_at, body, properties, \
        state, settled_at, settled_by, request_source, request_id, due_at) \
    SELECT 'urn:test', n::text, 0, 'events', 'lockstep.x', 'crashed', '', 1, now(), now(), decode('00', 'hex'), '{}', \
        CASE n % 1000 WHEN 0 THEN 'dead' WHEN 1 THEN 'requeued' ELSE 'processed' END, now(), 'netbox', 'urn:test', (n / 10)::text, \
        CASE n % 1000 WHEN 1 THEN now() - interval '1 day' END \
    FROM generate_series(1, 100000) AS n";

#[tokio::test]
async fn queries_among_a_hundred_thousand_dead_letters_use_indexes() -> Result<()> {
    const QUERIES: usize = 6;
    // Enough executions for the server to change from custom plans to a generic plan.
    const ROUNDS: usize = 8;
    let place = open().await?;
    place.probe.texts(MANY_DEAD_LETTERS).await?;
    place.probe.texts("ANALYZE dead_letter").await?;
    let store = PostgresStore::connect(options(&url(&place)))?;
    let list = |state| DeadLetterQuery {
        state,
        code: Some("crashed".to_owned()),
        limit: 50,
        ..DeadLetterQuery::default()
    };
    let counts = DeadLetterCountQuery {
        limit: 10,
        ..DeadLetterCountQuery::default()
    };
    for _ in 0..ROUNDS {
        ensure!(store.dead_letters(&list(None)).await?.len() == 50);
        ensure!(
            store
                .dead_letters(&list(Some(DeadLetterState::Dead)))
                .await?
                .len()
                == 50
        );
        ensure!(store.dead_letter_totals(&counts).await?.total == 100);
        ensure!(store.dead_letter(77_777).await?.is_some());
        ensure!(store.unpublished(&key("100"), None, 50).await?.len() == 1);
        ensure!(store.claim_overdue(10).await?.len() == 10);
    }
    // Sessions report their statistics when they end. The planner reads indexes too.
    drop(store);
    let scans = format!(
        "SELECT CASE WHEN idx_scan >= {} THEN 'all' ELSE idx_scan::text END || ', ' || seq_tup_read \
         FROM pg_stat_user_tables WHERE relid = to_regclass('dead_letter')",
        QUERIES * ROUNDS
    );
    wait::until(
        "each query to be counted as an index scan, and none as a sequential scan",
        Duration::from_secs(30),
        async || match place.probe.texts(&scans).await {
            Ok(found) if found == ["all, 0"] => Ok(()),
            found => Err(format!("{found:?}")),
        },
    )
    .await?;
    Ok(())
}

/// However many rows exist, a pass with nothing to delete reads almost none of them.
#[tokio::test]
async fn a_pass_with_nothing_to_delete_uses_the_index() -> Result<()> {
    let place = open().await?;
    let client = schema(&place).connect().await?;
    let fill = "INSERT INTO inbox (source, id, kind, digest, state, at, result_type, result) \
        SELECT 'urn:test', number::text, 'x', '', 'applied', now() - number * interval '1 second', 'x', repeat('x', 200) \
        FROM generate_series(1, 50000) AS number";
    client.batch_execute(fill).await?;
    client.batch_execute("VACUUM ANALYZE inbox").await?;
    let plan = client
        .query(
            "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) SELECT EXISTS (SELECT FROM inbox WHERE at < now() - interval '30 days')",
            &[],
        )
        .await?;
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    ensure!(plan.concat().contains("inbox_at"), "{plan:#?}");
    Ok(())
}
