use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// How to reach a PostgreSQL, and how long to wait for it.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database?…` with the parameters of libpq. `options=-csearch_path%3Dname`
    /// chooses a schema. `sslmode` is `disable`, `prefer` (the default), `require` or `verify-full`; wherever TLS is
    /// used, the server's certificate and name are verified, against the system's authorities or `sslrootcert`.
    pub url: SecretString,
    /// The certificate authorities to trust, in PEM, instead of the system's. `sslrootcert` in the URL overrides it.
    pub ca_file: Option<PathBuf>,
    /// The application name of the sessions, which the server shows.
    pub application_name: String,
    /// The maximum number of sessions. While messages are redelivered, at most two more count their delivery attempts.
    pub sessions: usize,
    /// The time limit for connecting.
    pub connect_timeout: Duration,
    /// The time limit for each wait of a statement for a lock.
    pub lock_timeout: Duration,
    /// The time limit for one statement.
    pub statement_timeout: Duration,
    /// How long the server keeps a session that is idle in a transaction. A transaction never waits for its program: between two
    /// statements are some milliseconds of decisions. A program that is frozen or cut off keeps its locks for so long.
    pub idle_in_transaction_timeout: Duration,
}

impl PostgresOptions {
    /// Options for this URL, with default limits.
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            ca_file: None,
            application_name: "lockstep".to_owned(),
            sessions: 16,
            connect_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            idle_in_transaction_timeout: Duration::from_secs(5),
        }
    }

    /// The time limit for the answers to a group of statements. The server's own limits end earlier, so if this one is exceeded,
    /// the connection is broken.
    pub(super) fn answer_timeout(&self) -> Duration {
        2 * self.statement_timeout + self.lock_timeout
    }
}
