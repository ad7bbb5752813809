//! Gives the logins of workers and consoles their rights, and checks them.

use tokio_postgres::{Client, Error};

use super::PostgresStore;
use super::access::{DatabaseRole, Question, excess, grants, needed};
use crate::StoreError;

/// The logins of an installation are recognized by the name of the one that migrates: it ends in this.
const MIGRATE: &str = "-migrate";

const LOGIN_EXISTS: &str = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)";

/// If the current user is `PREFIX-migrate`, gives the existing ones of `PREFIX-worker` and `PREFIX-console` exactly the rights of
/// their roles, in one transaction. Returns the names of those.
pub(super) async fn apply(client: &Client) -> Result<Vec<String>, Error> {
    let row = client
        .query_one("SELECT current_user::text, current_schema()::text", &[])
        .await?;
    let (user, schema): (String, Option<String>) = (row.get(0), row.get(1));
    let (Some(prefix), Some(schema)) = (user.strip_suffix(MIGRATE), schema) else {
        return Ok(Vec::new());
    };
    let (mut names, mut statements) = (Vec::new(), Vec::new());
    for role in [DatabaseRole::Worker, DatabaseRole::Console] {
        let login = role.login(prefix);
        if client.query_one(LOGIN_EXISTS, &[&login]).await?.get(0) {
            statements.extend(grants(role, &login, &schema));
            names.push(login);
        }
    }
    if !names.is_empty() {
        let transaction = format!("BEGIN; {}; COMMIT", statements.join("; "));
        client.batch_execute(&transaction).await?;
    }
    Ok(names)
}

/// What a login may do, compared with the rights of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseAccess {
    /// The name of the login.
    pub login: String,
    /// Whether the server checks nothing for it.
    pub is_superuser: bool,
    /// Whether it owns a table of the schema, or the schema, and so may change it.
    pub is_owner: bool,
    /// The privileges that it lacks.
    pub lacking: Vec<String>,
    /// The privileges that the role does not need.
    pub excess: Vec<String>,
    /// Whether the connection is encrypted.
    pub is_encrypted: bool,
}

const LOGIN: &str = "\
    SELECT current_user::text, \
        (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), \
        EXISTS (SELECT FROM pg_namespace WHERE nspname = current_schema() AND pg_has_role(nspowner, 'USAGE')) \
            OR EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('inbox') AND pg_has_role(relowner, 'USAGE')), \
        has_schema_privilege(current_schema(), 'CREATE'), \
        coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)";

/// A missing object has no privileges.
const HAS: &str = "\
    SELECT coalesce(CASE about \
        WHEN 'column' THEN has_column_privilege(object, column_name, privilege) \
        WHEN 'any column' THEN has_any_column_privilege(object, privilege) \
        WHEN 'sequence' THEN has_sequence_privilege(object, privilege) \
        ELSE has_table_privilege(object, privilege) END, false) \
    FROM (SELECT about, to_regclass(name)::oid AS object, column_name, privilege, place \
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY \
            AS asked (about, name, column_name, privilege, place)) AS found \
    ORDER BY place";

impl PostgresStore {
    /// Compares the rights of the configured login with those of a role.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn access(&self, role: DatabaseRole) -> Result<DatabaseAccess, StoreError> {
        let rows = self.rows("read the login", LOGIN, &[]).await?;
        let row = rows.first().ok_or_else(|| StoreError::Corrupt {
            what: "the login".to_owned(),
            reason: "the store did not answer".to_owned(),
        })?;
        let needed = needed(role);
        let has_needed = self.has(&needed).await?;
        let lacking = needed.iter().zip(&has_needed).filter(|(_, has)| !**has);
        let mut access = DatabaseAccess {
            login: row.get(0),
            is_superuser: row.get(1),
            is_owner: row.get(2),
            lacking: lacking.map(|(question, _)| question.to_string()).collect(),
            excess: Vec::new(),
            is_encrypted: row.get(4),
        };
        let excess = excess(role);
        let has_excess = self.has(&excess).await?;
        let too_much = excess.iter().zip(&has_excess).filter(|(_, has)| **has);
        access.excess = too_much.map(|(question, _)| question.to_string()).collect();
        if row.get(3) {
            access.excess.push("CREATE in the schema".to_owned());
        }
        Ok(access)
    }

    async fn has(&self, questions: &[Question]) -> Result<Vec<bool>, StoreError> {
        let about: Vec<&str> = questions.iter().map(|one| one.about.as_str()).collect();
        let objects: Vec<&str> = questions.iter().map(|one| one.object).collect();
        let columns: Vec<&str> = questions.iter().map(|one| one.column).collect();
        let privileges: Vec<&str> = questions.iter().map(|one| one.privilege).collect();
        let rows = self
            .rows("read rights", HAS, &[&about, &objects, &columns, &privileges])
            .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}
