//! Reads the environment variables that `testbed` and the tests share.

use anyhow::Context;

/// AMQP URL of the broker that the tests of a run share; each makes its own virtual host there.
pub const AMQP_URL: &str = "LOCKSTEP_TEST_AMQP_URL";
/// HTTP URL of that broker's management API, with user and password; by default port 15672 on the host of [`AMQP_URL`].
pub const MANAGEMENT_URL: &str = "LOCKSTEP_TEST_MANAGEMENT_URL";
/// URL of the database that the tests of a run share; each makes its own schema there.
pub const DATABASE_URL: &str = "LOCKSTEP_TEST_DATABASE_URL";
/// A folder with another Debian, whose RabbitMQ is used; made by `tests/testbed/rabbitmq-4`.
pub const RABBITMQ_ROOT: &str = "LOCKSTEP_TEST_RABBITMQ_ROOT";
/// Image of the broker, used if a Docker engine is available; it must have the management plugin.
pub const RABBITMQ_IMAGE: &str = "LOCKSTEP_TEST_RABBITMQ_IMAGE";
/// Image of the database, used if a Docker engine is available.
pub const POSTGRES_IMAGE: &str = "LOCKSTEP_TEST_POSTGRES_IMAGE";

/// Duration of the soak, in seconds.
pub const SOAK_SECONDS: &str = "LOCKSTEP_SOAK_SECONDS";
/// Random seed of the soak.
pub const SOAK_SEED: &str = "LOCKSTEP_SOAK_SEED";

/// The value of a variable; empty counts as unset.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests' environment is no part of the program's configuration"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The value of a variable that `tests/run` sets.
///
/// # Errors
///
/// The variable is unset; the message says what to run.
pub fn required(name: &str) -> anyhow::Result<String> {
    variable(name).with_context(|| {
        format!("{name} is not set: run `tests/run`, which starts a broker and a database first")
    })
}
