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
    /// The certificate authorities to believe, in PEM, instead of the system's; `sslrootcert` of the URL goes first.
    pub ca_file: Option<PathBuf>,
    /// What the server shows as the name of the sessions.
    pub application_name: String,
    /// At most so many sessions.
    pub sessions: usize,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a statement may wait for one lock.
    pub lock_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How long the server keeps an open transaction from which it hears nothing.
    pub idle_in_transaction_timeout: Duration,
}

impl PostgresOptions {
    /// Options for this URL, with the usual times.
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            ca_file: None,
            application_name: "lockstep".to_owned(),
            sessions: 16,
            connect_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            idle_in_transaction_timeout: Duration::from_secs(30),
        }
    }

    /// How long a flight of statements may take until the network is taken for dead: the server gives up earlier.
    pub(super) fn answer_timeout(&self) -> Duration {
        2 * self.statement_timeout + self.lock_timeout
    }
}
