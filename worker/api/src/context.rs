use std::sync::Arc;
use std::time::Duration;

use lockstep_bus::{Bus, Outgoing};
use lockstep_clock::Clock;
use lockstep_http::{BodyLimiter, KnowsTokens, ProblemResponse, Tokens, confirmed};
use lockstep_store::{
    DeadLetters, Entities, Executions, Fleet, Inbox, Repositories, RunCycle, Schema, SyncPlans, Tasks,
};
use tokio_util::sync::CancellationToken;

use crate::graphql::{ConsoleSchema, Streams};
use crate::web::Glance;
use crate::{Providers, SyncRules};

/// The bus, the parts of the store and the tokens that the console uses.
#[derive(Clone, Debug)]
pub struct ConsoleContext {
    /// Publishes the messages of `POST /v1/events`.
    pub bus: Arc<dyn Bus>,
    /// Reads the outcomes of messages.
    pub inbox: Arc<dyn Inbox>,
    /// Reads devices.
    pub fleet: Arc<dyn Fleet>,
    /// Reads repositories.
    pub repositories: Arc<dyn Repositories>,
    /// Reads dead letters.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Reads tasks and schedules.
    pub tasks: Arc<dyn Tasks>,
    /// Reads executions, their elements, and facts.
    pub executions: Arc<dyn Executions>,
    /// Reads what belongs to entities, for many at once.
    pub entities: Arc<dyn Entities>,
    /// Reads results, facts and checks of entities.
    pub cycle: Arc<dyn RunCycle>,
    /// Reads what syncs planned and did.
    pub syncs: Arc<dyn SyncPlans>,
    /// The providers of this version.
    pub providers: Arc<dyn Providers>,
    /// Says which devices a sync run contacts.
    pub sync_rules: Arc<dyn SyncRules>,
    /// Pinged by `/readyz`.
    pub schema: Arc<dyn Schema>,
    /// Sets the AMQP timestamp of published messages.
    pub clock: Arc<dyn Clock>,
    /// Without a token, every request under `/v1` is answered 401.
    pub tokens: Tokens,
}

/// Timeouts and concurrency limits of the console.
#[derive(Clone, Copy, Debug)]
pub struct ConsoleLimits {
    /// The most time for the broker to confirm; then 503.
    pub publish_timeout: Duration,
    /// The most time for a request; one for an outcome may take `longest_wait` more.
    pub request_timeout: Duration,
    /// The most time that a request may ask to wait for an outcome.
    pub longest_wait: Duration,
    /// Requests in flight at once, without those for outcomes; more are answered 429.
    pub requests: usize,
    /// Requests for outcomes in flight at once; more are answered 429.
    pub waiting: usize,
    /// Connections and event streams for subscriptions of GraphQL that are open at once; more are answered 429.
    pub streams: usize,
    /// The most bytes of all bodies in memory together.
    pub held_bytes: usize,
    /// The most time for a body to arrive.
    pub body_timeout: Duration,
    /// The most open connections: more than requests may be in flight, so that one can always be closed for another.
    pub connections: usize,
    /// The most open connections of one address, which may be a proxy.
    pub connections_per_address: usize,
    /// How long requests in flight may continue after the console was stopped.
    pub shutdown_timeout: Duration,
}

impl Default for ConsoleLimits {
    fn default() -> Self {
        Self {
            publish_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            longest_wait: Duration::from_mins(1),
            requests: 256,
            waiting: 1024,
            streams: 256,
            held_bytes: 256 * 1024 * 1024,
            body_timeout: Duration::from_secs(20),
            connections: 2048,
            connections_per_address: 1536,
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// The state of all requests.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) context: ConsoleContext,
    pub(crate) limits: ConsoleLimits,
    pub(crate) bodies: BodyLimiter,
    pub(crate) graphql: ConsoleSchema,
    pub(crate) streams: Streams,
    pub(crate) glance: Glance,
    pub(crate) stop: CancellationToken,
}

impl Shared {
    /// Publishes messages, and returns after the broker confirmed all of them.
    ///
    /// # Errors
    /// The broker is unavailable or takes a message not, or did not confirm in time.
    pub(crate) async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), ProblemResponse> {
        confirmed(self.limits.publish_timeout, self.context.bus.publish(messages)).await
    }
}

impl KnowsTokens for Shared {
    const ACCEPTED: &'static str = "a token of `console.tokens` in the configuration, or the one that `lockstep up` writes to its data \
                                    folder; tokens of the gateway are not accepted here";

    fn tokens(&self) -> &Tokens {
        &self.context.tokens
    }
}
