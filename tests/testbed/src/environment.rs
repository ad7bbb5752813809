//! The environment variables between `testbed` and the tests, and the only place here that reads them.

use anyhow::Context;

/// AMQP URL of the broker that the tests of a run share; each makes its own virtual host there.
pub const AMQP_URL: &str = "LOCKSTEP_TEST_AMQP_URL";
/// HTTP URL of that broker's management, with user and password; by default port 15672 beside [`AMQP_URL`].
pub const MANAGEMENT_URL: &str = "LOCKSTEP_TEST_MANAGEMENT_URL";
/// URL of the database that the tests of a run share; each makes its own schema there.
pub const DATABASE_URL: &str = "LOCKSTEP_TEST_DATABASE_URL";
/// A folder with another Debian whose RabbitMQ is used, made by `tests/testbed/rabbitmq-4`.
pub const RABBITMQ_ROOT: &str = "LOCKSTEP_TEST_RABBITMQ_ROOT";
/// Image of the broker where a Docker engine answers; it must have the management plugin.
pub const RABBITMQ_IMAGE: &str = "LOCKSTEP_TEST_RABBITMQ_IMAGE";
/// Image of the database where a Docker engine answers.
pub const POSTGRES_IMAGE: &str = "LOCKSTEP_TEST_POSTGRES_IMAGE";

/// For how long the soak breaks things.
pub const SOAK_SECONDS: &str = "LOCKSTEP_SOAK_SECONDS";
/// What its random numbers begin with.
pub const SOAK_SEED: &str = "LOCKSTEP_SOAK_SEED";

/// The variable's value; empty counts as unset.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests' environment is no part of the program's configuration"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variable's value, which `tests/run` sets.
///
/// # Errors
///
/// It is unset: the message says what to run.
pub fn required(name: &str) -> anyhow::Result<String> {
    variable(name).with_context(|| {
        format!("{name} is not set: run `tests/run`, which starts a broker and a database first")
    })
}
