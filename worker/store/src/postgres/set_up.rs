//! Sets up the logins of an installation, and the ownership of its schema, in one transaction. It may run again at any time.

use deadpool_postgres::{ClientWrapper, Object};
use secrecy::{ExposeSecret, SecretString};

use super::PostgresStore;
use super::access::{DatabaseRole, OBJECTS};
use super::error::{classify, unavailable};
use super::quote::{identifier, table, text};
use crate::StoreError;
use crate::error_class::ErrorClass;

const OPERATION: &str = "set up the database";

/// One set-up at a time, because concurrent changes of one object fail. The number is "lockstep" in ASCII.
const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(7813573191660758384)";

/// The administrator may be a superuser, and must not run what somebody else has put into the schema.
const SEARCH_NO_SCHEMA: &str = "SET LOCAL search_path = pg_catalog";

const LOGIN: &str = "\
    SELECT rolcanlogin AND NOT (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls) \
    FROM pg_roles WHERE rolname = $1";

const PLACE: &str = "\
    SELECT current_database()::text, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)";

const IS_MEMBER: &str = "SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = $1";

const SCHEMA_OWNER: &str = "SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = $1";

const OTHER_OWNER: &str = "\
    SELECT relname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace \
    WHERE nspname = $1 AND relname = ANY($2) AND relkind IN ('r', 'S') AND pg_get_userbyid(relowner) <> $3 ORDER BY relname";

/// What a step did to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It did not exist.
    Made,
    /// It was different.
    Changed,
    /// It already matched.
    Kept,
}

/// A running set-up. Dropping it changes nothing.
#[derive(Debug)]
pub struct DatabaseSetUp {
    session: ClientWrapper,
    prefix: String,
    database: String,
    schema: String,
    /// Whether the administrator must be a member of the owner for the set-up, and only for it. A superuser need not.
    joins: bool,
}

impl PostgresStore {
    /// Begins a set-up of the logins with this prefix. The administrator must be a superuser, or own the database and be allowed to
    /// create roles.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn begin_set_up(&self, prefix: &str) -> Result<DatabaseSetUp, StoreError> {
        let session = self
            .pool
            .get()
            .await
            .map_err(|error| unavailable(OPERATION, error))?;
        let session = Object::take(session);
        let begun = async {
            session.batch_execute(BEGIN).await?;
            session.query_one(PLACE, &[]).await
        };
        let place = begun.await.map_err(|error| classify(OPERATION, error))?;
        let is_superuser: bool = place.get(1);
        let mut set_up = DatabaseSetUp {
            database: place.get(0),
            schema: String::new(),
            prefix: prefix.to_owned(),
            session,
            joins: false,
        };
        let is_member = set_up
            .query(IS_MEMBER, &set_up.name(DatabaseRole::Migrate))
            .await?;
        set_up.joins = !is_superuser && is_member != Some(true);
        if is_member.is_some() {
            set_up.join().await?;
        }
        set_up.schema = set_up.first_schema().await?;
        set_up.execute(SEARCH_NO_SCHEMA).await?;
        Ok(set_up)
    }
}

impl DatabaseSetUp {
    /// The name of the login of a role.
    pub fn name(&self, role: DatabaseRole) -> String {
        role.login(&self.prefix)
    }

    /// Whether the login of a role exists.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn exists(&self, role: DatabaseRole) -> Result<bool, StoreError> {
        Ok(self.query(LOGIN, &self.name(role)).await?.is_some())
    }

    /// Creates a login without rights, or takes the attributes that it should not have. Sets the password if there is one.
    /// Only its SCRAM verifier leaves this process, so that no log of the server contains the password.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn login(
        &self,
        role: DatabaseRole,
        password: Option<&SecretString>,
    ) -> Result<Change, StoreError> {
        let login = self.name(role);
        let name = identifier(&login);
        let change = match self.query(LOGIN, &login).await? {
            None => {
                self.execute(&format!("CREATE ROLE {name} LOGIN")).await?;
                Change::Made
            }
            Some(true) => Change::Kept,
            Some(false) => {
                self.execute(&format!(
                    "ALTER ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
                ))
                .await?;
                Change::Changed
            }
        };
        if let Some(password) = password {
            let verifier = postgres_protocol::password::scram_sha_256(password.expose_secret().as_bytes());
            self.execute(&format!("ALTER ROLE {name} PASSWORD {}", text(&verifier)))
                .await?;
        }
        Ok(change)
    }

    /// Lets only the logins connect to the database, and gives the schema to the one that migrates. Returns the steps. They need the
    /// logins of all roles.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn secure(&self) -> Result<Vec<(String, Change)>, StoreError> {
        let logins: Vec<String> = DatabaseRole::ALL.iter().map(|role| self.name(*role)).collect();
        let database_change = self.reserve(&logins).await?;
        let owner = self.name(DatabaseRole::Migrate);
        self.join().await?;
        let schema_change = self.own(&owner, &self.schema).await?;
        let only = format!("database {}, for {} only", self.database, logins.join(", "));
        Ok(vec![
            (only, database_change),
            (format!("schema {}, owned by {owner}", self.schema), schema_change),
        ])
    }

    /// Lets only these logins connect to the database, besides its owner and superusers.
    async fn reserve(&self, logins: &[String]) -> Result<Change, StoreError> {
        const ANYBODY_MAY: &str =
            "SELECT has_database_privilege($1, current_database(), 'CONNECT, TEMPORARY, CREATE')";
        const MAY_CONNECT: &str = "SELECT has_database_privilege($1, current_database(), 'CONNECT')";
        let database = identifier(&self.database);
        let mut statements = Vec::new();
        if self.query(ANYBODY_MAY, "public").await? == Some(true) {
            statements.push(format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC"));
        }
        for login in logins {
            if !statements.is_empty() || self.query(MAY_CONNECT, login).await? != Some(true) {
                let name = identifier(login);
                statements.push(format!("GRANT CONNECT ON DATABASE {database} TO {name}"));
            }
        }
        self.change(&statements).await
    }

    /// Makes this login the owner of the schema and of what Lockstep has in it, and takes the rights of everybody else to the schema.
    /// [`migrate`](crate::Schema::migrate) as this login gives workers and consoles theirs.
    async fn own(&self, login: &str, schema: &str) -> Result<Change, StoreError> {
        const ANYBODY_MAY: &str = "SELECT has_schema_privilege('public', $1, 'USAGE, CREATE')";
        let (owner, in_schema) = (identifier(login), identifier(schema));
        let mut statements = Vec::new();
        if self.query(ANYBODY_MAY, schema).await? == Some(true) {
            statements.push(format!("REVOKE ALL ON SCHEMA {in_schema} FROM PUBLIC"));
        }
        let names: Vec<&str> = OBJECTS.iter().map(|object| object.name).collect();
        let found = async {
            let owners = self.session.query(SCHEMA_OWNER, &[&schema]).await?;
            let others = self
                .session
                .query(OTHER_OWNER, &[&schema, &names, &login])
                .await?;
            Ok((owners, others))
        };
        let (owners, others) = found.await.map_err(|error| classify(OPERATION, error))?;
        if owners.iter().all(|row| row.get::<_, String>(0) != login) {
            statements.push(format!("ALTER SCHEMA {in_schema} OWNER TO {owner}"));
        }
        statements.extend(others.iter().map(|row| {
            let place = table(schema, row.get(0));
            format!("ALTER TABLE {place} OWNER TO {owner}")
        }));
        self.change(&statements).await
    }

    /// Commits everything.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn commit(self) -> Result<(), StoreError> {
        if self.joins {
            let owner = identifier(&self.name(DatabaseRole::Migrate));
            self.execute(&format!("REVOKE {owner} FROM CURRENT_USER")).await?;
        }
        self.execute("COMMIT").await
    }

    /// Without the membership, an administrator who is no superuser neither sees the schema of the owner nor can give it away.
    async fn join(&self) -> Result<(), StoreError> {
        if !self.joins {
            return Ok(());
        }
        let owner = identifier(&self.name(DatabaseRole::Migrate));
        self.execute(&format!("GRANT {owner} TO CURRENT_USER")).await
    }

    /// The schema that sessions with the configured address use.
    async fn first_schema(&self) -> Result<String, StoreError> {
        // The server has computed the path before the membership, and computes it anew only if it is set.
        const SET_AGAIN: &str = "SELECT set_config('search_path', current_setting('search_path'), true)";
        let row = async {
            self.session.batch_execute(SET_AGAIN).await?;
            self.session.query_one("SELECT current_schema()::text", &[]).await
        };
        let row = row.await;
        let row = row.map_err(|error| classify(OPERATION, error))?;
        row.get::<_, Option<String>>(0).ok_or_else(|| {
            ErrorClass::Refused.error(
                OPERATION,
                "no schema of the search path exists in the database; create it first",
            )
        })
    }

    async fn change(&self, statements: &[String]) -> Result<Change, StoreError> {
        if statements.is_empty() {
            return Ok(Change::Kept);
        }
        self.execute(&statements.join("; ")).await?;
        Ok(Change::Changed)
    }

    async fn query(&self, sql: &str, name: &str) -> Result<Option<bool>, StoreError> {
        let row = self.session.query_opt(sql, &[&name]).await;
        let row = row.map_err(|error| classify(OPERATION, error))?;
        Ok(row.and_then(|row| row.get(0)))
    }

    async fn execute(&self, statement: &str) -> Result<(), StoreError> {
        let executed = self.session.batch_execute(statement).await;
        executed.map_err(|error| classify(OPERATION, error))
    }
}
