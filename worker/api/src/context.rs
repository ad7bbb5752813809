use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use lockstep_bus::{Bus, Outgoing};
use lockstep_clock::Clock;
use lockstep_http::{
    BodyLimiter, KnowsTokens, LogLimiter, Operator, ProblemResponse, Receipt, Submission, Tokens, confirmed,
};
use lockstep_protocol::rest::Problem;
use lockstep_store::{
    AccessTokens, AuditLog, DeadLetters, Entities, Executions, Fleet, FleetTrend, Inbox, LoginSessions,
    Messages, NewAuditEntry, OidcLogins, Repositories, RunCycle, Schema, SyncPlans, Tasks,
};
use tokio_util::sync::CancellationToken;

use crate::access::audited::{self, MissingReason};
use crate::access::{AccessOptions, Client, IdentityProvider, OidcOptions, StoredTokens, session};
use crate::graphql::{ConsoleSchema, Streams};
use crate::rest::problem;
use crate::web::Glance;
use crate::{Providers, SyncRules};

/// The bus, the parts of the store and the tokens that the console uses.
#[derive(Clone, Debug)]
pub struct ConsoleContext {
    /// Publishes the messages of `POST /v1/events`.
    pub bus: Arc<dyn Bus>,
    /// Reads the outcomes of messages.
    pub inbox: Arc<dyn Inbox>,
    /// Finds messages by their ids.
    pub messages: Arc<dyn Messages>,
    /// Reads devices.
    pub fleet: Arc<dyn Fleet>,
    /// Reads how many devices were synchronized over time.
    pub fleet_trend: Arc<dyn FleetTrend>,
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
    /// Keeps tokens that administrators create.
    pub access_tokens: Arc<dyn AccessTokens>,
    /// Keeps sessions of browsers.
    pub login_sessions: Arc<dyn LoginSessions>,
    /// Keeps logins at the identity provider.
    pub oidc_logins: Arc<dyn OidcLogins>,
    /// The identity provider. Without one, people log in with tokens only.
    pub oidc: Option<OidcOptions>,
    /// Keeps what people did.
    pub audit: Arc<dyn AuditLog>,
    /// How the console checks what people do.
    pub access: AccessOptions,
    /// Pinged by `/readyz`.
    pub schema: Arc<dyn Schema>,
    /// Sets the AMQP timestamp of published messages.
    pub clock: Arc<dyn Clock>,
    /// The configured tokens.
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
    /// Connections and event streams for subscriptions of GraphQL and for pages that are open at once; more are answered 429.
    pub streams: usize,
    /// How long the client of a WebSocket may take to receive a message; then the connection ends.
    pub send_timeout: Duration,
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
            streams: 512,
            send_timeout: Duration::from_secs(10),
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
    pub(crate) stored: StoredTokens,
    /// Limits the entries about refused logins.
    pub(crate) refused_logins: LogLimiter,
    /// The identity provider, if there is one.
    pub(crate) provider: Option<IdentityProvider>,
    pub(crate) glance: Glance,
    pub(crate) stop: CancellationToken,
}

impl Shared {
    /// Publishes what a sender submitted, after the audit has its commands, and returns when the broker confirmed all of it.
    ///
    /// # Errors
    /// A dangerous command has no reason, the audit cannot be written, or as [`Shared::publish`].
    pub(crate) async fn submit(
        &self,
        operator: &Operator,
        client: &Client,
        submission: Submission,
    ) -> Result<Receipt, ProblemResponse> {
        let Submission {
            messages,
            commands,
            receipt,
        } = submission;
        let reason = client.reason()?;
        let requires_reasons = self.context.access.requires_reasons;
        let entry = |command| {
            audited::entry(command, client.actor(operator), reason, requires_reasons).map_err(refused)
        };
        let entries = commands.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        self.audit(&entries).await?;
        self.publish(messages).await?;
        Ok(receipt)
    }

    /// Whether the token of a connection that lasts was neither revoked nor expired meanwhile. While the store is away, it counts.
    pub(crate) async fn still_accepts(&self, operator: &Operator) -> bool {
        if self.context.tokens.named(operator.name()).is_some() {
            return true;
        }
        let found = self.stored.named(operator.name(), self.context.clock.now()).await;
        found.map_or(true, |token| token.is_some())
    }

    /// Adds entries to the audit.
    ///
    /// # Errors
    /// The store cannot be written.
    pub(crate) async fn audit(&self, entries: &[NewAuditEntry]) -> Result<(), ProblemResponse> {
        if entries.is_empty() {
            return Ok(());
        }
        self.context
            .audit
            .audit(entries)
            .await
            .map_err(problem::store_error)
    }

    /// Publishes messages, and returns after the broker confirmed all of them.
    ///
    /// # Errors
    /// The broker is unavailable or takes a message not, or did not confirm in time.
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), ProblemResponse> {
        confirmed(self.limits.publish_timeout, self.context.bus.publish(messages)).await
    }
}

impl KnowsTokens for Shared {
    const ACCEPTED: &'static str = "a token of `console.tokens` in the configuration, one that `lockstep tokens create` printed, or the one \
                                    that `lockstep up` writes to its data folder; tokens of the gateway are not accepted here";

    fn tokens(&self) -> &Tokens {
        &self.context.tokens
    }

    async fn stored(&self, secret: &str) -> Result<Option<Operator>, ProblemResponse> {
        let holder = self.stored.holder(secret, self.context.clock.now()).await;
        Ok(holder.map_err(problem::store_error)?.map(Operator::of))
    }

    async fn session(&self, parts: &Parts) -> Result<Option<Operator>, ProblemResponse> {
        session::operator(self, parts).await
    }
}

/// A dangerous command has no reason, and the configuration requires one.
fn refused(MissingReason(kind): MissingReason) -> ProblemResponse {
    Problem::new(400, "reason-required", "the command needs a reason")
        .with_detail(format!(
            "say why you send {kind}: with `--reason`, in the header `Lockstep-Reason`, or as its `note`"
        ))
        .with_place("$.data.note")
        .into()
}
