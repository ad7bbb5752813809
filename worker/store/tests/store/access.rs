//! The rights at the database: the contract runs with those of a worker, and these tests with what each role must not do.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::{AccessLimits, EntityType, Hostname};
use lockstep_store::postgres::{
    Change, DatabaseRole, DatabaseSetUp, OBJECTS, PostgresOptions, PostgresStore, Privilege,
};
use lockstep_store::{
    AccessTokens as _, AuditActor, AuditLog as _, DeadLetterCountQuery, DeadLetterQuery, DeadLetters as _,
    DeviceQuery, ElementQuery, ExecutionQuery, ExecutionReference, Executions as _, Fleet as _,
    FleetTrend as _, Inbox as _, Leases as _, LoginSession, LoginSessions as _, NewAccessToken,
    NewAuditEntry, OidcLogin, OidcLoginOutcome, OidcLogins as _, Repositories as _, Rotation, RunCycle as _,
    SampleInterval, Schema as _, SecretDigest, Stats as _, StoreError, Tasks as _, UnitOfWork as _,
};
use lockstep_testbed::{Database, Schema};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::contract::keys;
use crate::contract::leases::LONG;

/// A migrated schema, and what a login may do with it.
struct Installation {
    schema: Schema,
}

impl Installation {
    async fn new() -> Result<Self> {
        let schema = lockstep_testbed::schema().await?;
        let migrated = store(&schema.url_as("migrate"))?.migrate().await?;
        ensure!(
            migrated.granted == ["test-worker", "test-console"],
            "{migrated:?}"
        );
        Ok(Self { schema })
    }

    fn store(&self, role: &str) -> Result<std::sync::Arc<PostgresStore>> {
        store(&self.schema.url_as(role))
    }

    /// The error of a statement as this role; none if it succeeds.
    async fn refuses(&self, role: &str, statement: &str) -> Result<Option<SqlState>> {
        let (client, connection) = tokio_postgres::connect(&self.schema.url_as(role), NoTls).await?;
        let connection = tokio::spawn(connection);
        let result = client.batch_execute(&format!("BEGIN; {statement}")).await;
        drop(client);
        connection.await??;
        match result {
            Ok(()) => Ok(None),
            Err(error) => Ok(Some(error.code().context(error.to_string())?.clone())),
        }
    }
}

fn store(url: &str) -> Result<std::sync::Arc<PostgresStore>> {
    Ok(PostgresStore::connect(PostgresOptions::new(url))?)
}

#[tokio::test]
async fn every_table_and_sequence_has_rights() -> Result<()> {
    let installation = Installation::new().await?;
    let client = installation.schema.connect().await?;
    let found = "SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND (relkind = 'r' \
        OR relkind = 'S' AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'i'))";
    let found = client.query(found, &[]).await?;
    let found: BTreeSet<String> = found.iter().map(|row| row.get(0)).collect();
    let known = OBJECTS.iter().map(|object| object.name.to_owned()).collect();
    ensure!(
        found == known,
        "worker/store/src/postgres/access.rs must name exactly these: {found:?}"
    );
    Ok(())
}

#[test]
fn the_table_in_the_readme_equals_that_of_the_code() {
    let readme = include_str!("../../../../docker/README.md");
    let cell = |privileges: &[Privilege]| match privileges {
        [] => "—".to_owned(),
        _ => privileges
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    };
    let missing: Vec<String> = OBJECTS
        .iter()
        .map(|object| {
            format!(
                "| `{}` | {} | {} |",
                object.name,
                cell(object.worker),
                cell(object.console)
            )
        })
        .filter(|row| !readme.contains(row))
        .collect();
    assert!(
        missing.is_empty(),
        "docker/README.md lacks\n{}",
        missing.join("\n")
    );
}

#[tokio::test]
async fn a_console_reads_all_that_its_api_shows_and_writes_only_who_may_use_it() -> Result<()> {
    let installation = Installation::new().await?;
    let console = installation.store("console")?;
    console.ping().await?;
    let hostname: Hostname = "sw1".parse().map_err(anyhow::Error::msg)?;
    let devices = DeviceQuery {
        limit: 10,
        group: Some("core".to_owned().try_into()?),
        ..DeviceQuery::default()
    };
    console.devices(&devices).await?;
    console.device(&hostname).await?;
    console.groups_of(&[lockstep_store::DeviceId(1)]).await?;
    console.causes(&[lockstep_store::CauseId(1)]).await?;
    console.outcome(&crate::contract::key("1")).await?;
    console.tasks(None, 10).await?;
    console.schedules(None, 10).await?;
    let executions = ExecutionQuery {
        hostname: Some(hostname.clone()),
        limit: 10,
        ..ExecutionQuery::default()
    };
    console.executions(&executions).await?;
    console.count_executions(&executions).await?;
    console.execution(&ExecutionReference::Number(1)).await?;
    console.elements(&ElementQuery::default()).await?;
    console.element(1).await?;
    console.facts(EntityType::Device, 1, None, 10).await?;
    console.checks(EntityType::Device, 1, None, 10).await?;
    console.attributes(EntityType::Device, 1).await?;
    console.results_of(1).await?;
    console.stopped().await?;
    console.repositories().await?;
    console.dead_letters(&DeadLetterQuery::default()).await?;
    console
        .dead_letter_totals(&DeadLetterCountQuery::default())
        .await?;
    console.dead_letter(1).await?;
    console.summary().await?;

    console_writes(&console).await?;

    let begun = console.begin(&[], &keys("1", ["sw1"])).await.map(drop);
    ensure!(matches!(begun, Err(StoreError::Unavailable { .. })), "{begun:?}");
    let acquired = console.acquire("retention", LONG).await;
    ensure!(
        matches!(acquired, Err(StoreError::Unavailable { .. })),
        "{acquired:?}"
    );
    for statement in [
        "INSERT INTO inbox (source, id, kind, digest, state, at, result_type, result) VALUES ('s', 'i', 'k', '', 'applied', now(), 't', '')",
        "UPDATE device SET state = 'UNMANAGED'",
        "UPDATE dead_letter SET state = 'dropped'",
        "DELETE FROM dead_letter",
        "SELECT FROM device FOR UPDATE",
        "SELECT nextval('cause_block')",
        "SELECT listing FROM repository",
        "SELECT * FROM lease",
        "SELECT body FROM follow_up",
        "LOCK TABLE device IN EXCLUSIVE MODE",
        "CREATE TABLE mine (id integer)",
        "UPDATE audit SET reason = ''",
        "DELETE FROM audit",
        "UPDATE access_token SET role = 'admin'",
        "DELETE FROM access_token",
        "UPDATE access_binding SET device_groups = '[]'",
        "UPDATE session SET principal = 'root'",
    ] {
        let refused = installation.refuses("console", statement).await?;
        ensure!(
            refused == Some(SqlState::INSUFFICIENT_PRIVILEGE),
            "{statement}: {refused:?}"
        );
    }
    Ok(())
}

/// What a console writes: tokens, sessions, and entries of the audit.
async fn console_writes(console: &PostgresStore) -> Result<()> {
    let now = console.now().await?;
    let secret = |byte| SecretDigest {
        prefix: "lockstep_1".to_owned(),
        digest: [byte; 32],
    };
    let token = NewAccessToken {
        name: "ci".to_owned(),
        person: "alice".to_owned(),
        role: lockstep_protocol::Role::Viewer,
        reads: Vec::new(),
        sources: Vec::new(),
        limits: AccessLimits::default(),
        secret: secret(1),
        at: now,
        by: "root".to_owned(),
        expires_at: None,
    };
    ensure!(console.create_access_token(&token).await?);
    let rotation = Rotation {
        secret: secret(2),
        at: now,
        former_until: now,
        expires_at: None,
    };
    ensure!(console.rotate_access_token("ci", &rotation).await?);
    console.access_token_used("ci", now).await?;
    ensure!(console.revoke_access_token("ci", now).await?);
    let session = LoginSession {
        digest: [3; 32],
        principal: "alice".to_owned(),
        token: Some("ci".to_owned()),
        role: None,
        begun_at: now,
        used_at: now,
        expires_at: now,
        address: None,
        reads: Vec::new(),
        limits: AccessLimits::default(),
    };
    console.begin_login_session(&session).await?;
    console
        .login_session_used([3; 32], now + std::time::Duration::from_secs(1))
        .await?;
    ensure!(console.end_login_session([3; 32]).await?);
    ensure!(console.end_login_sessions_of("alice").await? == 0);
    for byte in [4, 5] {
        let login = OidcLogin {
            state: [byte; 32],
            state_until: now,
            issuer: "https://id.example.org".to_owned(),
            subject: "7".to_owned(),
            principal: "alice".to_owned(),
            role: lockstep_protocol::Role::Operator,
            limits: AccessLimits::default(),
            at: now,
            expires_at: now,
        };
        let outcome = console.record_oidc_login(&login).await?;
        ensure!(outcome == OidcLoginOutcome::Accepted, "{outcome:?}");
    }
    ensure!(console.release_oidc_principal("alice").await?);
    let entry = NewAuditEntry {
        kind: lockstep_protocol::AuditKind::TokenCreated,
        actor: AuditActor::default(),
        message: None,
        message_type: None,
        subject: Some("ci".to_owned()),
        reason: None,
        detail: None,
    };
    console.audit(&[entry]).await?;
    console.fleet_samples(SampleInterval::Hour, 3600).await?;
    Ok(())
}

#[tokio::test]
async fn a_worker_changes_neither_the_schema_nor_what_it_only_adds_to() -> Result<()> {
    let installation = Installation::new().await?;
    for statement in [
        "CREATE TABLE mine (id integer)",
        "ALTER TABLE device ADD COLUMN mine integer",
        "DROP TABLE inbox",
        "TRUNCATE inbox",
        "CREATE INDEX ON inbox (at)",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE TRIGGER mine BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "DELETE FROM interface",
        "DELETE FROM lease",
        "DELETE FROM repository",
        "DELETE FROM client",
        "UPDATE device_history SET note = ''",
        "UPDATE element SET name = ''",
        "UPDATE inbox SET result = ''",
        "UPDATE cause SET actor = 'somebody else'",
        "UPDATE dead_letter SET body = ''",
        "UPDATE follow_up SET body = ''",
        "UPDATE audit SET reason = ''",
        "INSERT INTO access_token (name) VALUES ('mine')",
        "UPDATE access_binding SET device_groups = '[]'",
        "SELECT principal FROM session",
        "UPDATE lease SET name = 'retention'",
        "UPDATE schema_compatibility SET oldest = 99",
        "INSERT INTO schema_compatibility VALUES (99)",
        "DELETE FROM refinery_schema_history",
        "SET SESSION AUTHORIZATION \"test-migrate\"",
    ] {
        let refused = installation.refuses("worker", statement).await?;
        ensure!(
            refused == Some(SqlState::INSUFFICIENT_PRIVILEGE),
            "{statement}: {refused:?}"
        );
    }
    let migrated = installation.store("worker")?.migrate().await;
    ensure!(
        matches!(migrated, Err(StoreError::Unavailable { .. })),
        "{migrated:?}"
    );
    Ok(())
}

/// A right alone does not tell which rows: the database does, whatever a worker runs.
#[tokio::test]
async fn only_entries_of_the_audit_that_are_old_can_be_deleted() -> Result<()> {
    let installation = Installation::new().await?;
    let console = installation.store("console")?;
    console_writes(&console).await?;
    let owner = installation.schema.connect().await?;
    let (worker, connection) = tokio_postgres::connect(&installation.schema.url_as("worker"), NoTls).await?;
    tokio::spawn(connection);
    for (age, deleted) in [("0", 0), ("23 hours", 0), ("25 hours", 1)] {
        let grow_old = format!("UPDATE audit SET at = clock_timestamp() - interval '{age}'");
        ensure!(owner.execute(&grow_old, &[]).await? == 1);
        let found = worker.execute("DELETE FROM audit", &[]).await?;
        ensure!(found == deleted, "{age}: {found}");
    }
    Ok(())
}

#[tokio::test]
async fn differences_from_the_rights_of_a_role_are_found_and_migrate_reverts_them() -> Result<()> {
    let installation = Installation::new().await?;
    let worker = installation.store("worker")?;
    let access = worker.access(DatabaseRole::Worker).await?;
    ensure!(
        !access.is_superuser && !access.is_owner && access.lacking.is_empty() && access.excess.is_empty(),
        "{access:?}"
    );
    let client = installation.schema.connect().await?;
    client
        .batch_execute(
            "REVOKE DELETE ON inbox FROM \"test-worker\"; REVOKE UPDATE (fence) ON lease FROM \"test-worker\"; \
             GRANT TRUNCATE ON device TO \"test-worker\"; GRANT UPDATE (body) ON dead_letter TO \"test-worker\"; \
             GRANT UPDATE ON follow_up TO \"test-worker\"",
        )
        .await?;
    let access = worker.access(DatabaseRole::Worker).await?;
    ensure!(
        access.lacking == ["UPDATE lease.fence", "DELETE inbox"]
            || access.lacking == ["DELETE inbox", "UPDATE lease.fence"],
        "{access:?}"
    );
    ensure!(
        access.excess == ["TRUNCATE device", "UPDATE follow_up"],
        "{access:?}"
    );

    installation.store("migrate")?.migrate().await?;
    let access = worker.access(DatabaseRole::Worker).await?;
    ensure!(
        access.lacking.is_empty() && access.excess.is_empty(),
        "{access:?}"
    );
    let body = installation
        .refuses("worker", "UPDATE dead_letter SET body = ''")
        .await?;
    ensure!(body == Some(SqlState::INSUFFICIENT_PRIVILEGE), "{body:?}");

    let as_console = worker.access(DatabaseRole::Console).await?;
    ensure!(
        as_console.excess.iter().any(|one| one == "INSERT inbox"),
        "{as_console:?}"
    );
    let owner = installation
        .store("migrate")?
        .access(DatabaseRole::Worker)
        .await?;
    ensure!(
        owner.is_owner && !owner.is_superuser && owner.lacking.is_empty(),
        "{owner:?}"
    );
    let superuser = store(&installation.schema.url())?
        .access(DatabaseRole::Worker)
        .await?;
    ensure!(superuser.is_superuser, "{superuser:?}");
    Ok(())
}

/// Of a program whose migrations know fewer tables.
#[tokio::test]
async fn an_older_program_leaves_the_rights_in_a_newer_schema_alone() -> Result<()> {
    let installation = Installation::new().await?;
    let client = installation.schema.connect().await?;
    client
        .batch_execute(
            "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES (999, 'newer', '2026-01-02T03:04:05Z', '7'); \
             GRANT UPDATE (result) ON inbox TO \"test-worker\"",
        )
        .await?;
    let migrated = installation.store("migrate")?.migrate().await?;
    ensure!(
        migrated.granted.is_empty() && migrated.version == 999,
        "{migrated:?}"
    );
    let refused = installation
        .refuses("worker", "UPDATE inbox SET result = ''")
        .await?;
    ensure!(refused.is_none(), "{refused:?}");
    Ok(())
}

const PREFIX: &str = "lock'step\"";

/// All steps of a set-up.
async fn steps(set_up: &DatabaseSetUp) -> Result<Vec<(String, Change)>> {
    let mut steps = Vec::new();
    for role in DatabaseRole::ALL {
        let password = format!("secret of {role}").into();
        steps.push((set_up.name(*role), set_up.login(*role, Some(&password)).await?));
    }
    steps.extend(set_up.secure().await?);
    Ok(steps)
}

fn changed(steps: &[(String, Change)]) -> Vec<&str> {
    let changed = steps.iter().filter(|(_, change)| *change != Change::Kept);
    changed.map(|(what, _)| what.as_str()).collect()
}

/// Also by an administrator who is no superuser, as in a database service, and with a schema that somebody else has made.
#[tokio::test]
async fn private_a_set_up_is_repeatable_and_takes_over_what_exists() -> Result<()> {
    let database = Database::start().await?;
    let (client, connection) = tokio_postgres::connect(&database.url(), NoTls).await?;
    tokio::spawn(connection);
    client
        .batch_execute("CREATE ROLE administrator LOGIN CREATEROLE PASSWORD 'x'")
        .await?;
    client
        .batch_execute("CREATE DATABASE lockstep OWNER administrator")
        .await?;
    let address = |login: &str| {
        database
            .url()
            .replace("lockstep@", &format!("{login}@"))
            .replace("/postgres", "/lockstep")
    };
    let administrator = store(&address("administrator"))?;
    // An installation with one login for everything.
    administrator.migrate().await?;

    let set_up = administrator.begin_set_up(PREFIX).await?;
    let dry = steps(&set_up).await?;
    ensure!(dry.iter().all(|(_, change)| *change != Change::Kept), "{dry:?}");
    drop(set_up);
    let set_up = administrator.begin_set_up(PREFIX).await?;
    ensure!(
        !set_up.exists(DatabaseRole::Worker).await?,
        "a set-up that was dropped changed something"
    );
    let first = steps(&set_up).await?;
    ensure!(changed(&first) == changed(&dry), "{first:?}");
    set_up.commit().await?;
    let set_up = administrator.begin_set_up(PREFIX).await?;
    let second = steps(&set_up).await?;
    ensure!(changed(&second).is_empty(), "{second:?}");
    set_up.commit().await?;

    let owner = store(&address("lock'step%22-migrate"))?;
    let migrated = owner.migrate().await?;
    ensure!(
        migrated.granted.len() == 2 && migrated.applied.is_empty(),
        "{migrated:?}"
    );
    for role in ["worker", "console"] {
        let login = store(&address(&format!("lock'step%22-{role}")))?;
        login.ping().await?;
        let role = if role == "worker" {
            DatabaseRole::Worker
        } else {
            DatabaseRole::Console
        };
        let access = login.access(role).await?;
        ensure!(
            access.lacking.is_empty() && access.excess.is_empty() && !access.is_owner,
            "{access:?}"
        );
    }
    // The server keeps verifiers only, and lets nobody else connect.
    let rows = client
        .query(
            "SELECT rolpassword FROM pg_authid WHERE rolname LIKE 'lock%step%'",
            &[],
        )
        .await?;
    let verifiers: Vec<Option<String>> = rows.iter().map(|row| row.get(0)).collect();
    ensure!(
        verifiers
            .iter()
            .filter(|one| one
                .as_ref()
                .is_some_and(|text| text.starts_with("SCRAM-SHA-256$")))
            .count()
            == 3,
        "{verifiers:?}"
    );
    client.batch_execute("CREATE ROLE stranger LOGIN").await?;
    let refused = tokio_postgres::connect(&address("stranger"), NoTls).await.err();
    let code = refused.as_ref().and_then(|error| error.code());
    ensure!(code == Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{refused:?}");
    Ok(())
}
