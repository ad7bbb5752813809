//! Serves the HTTP API: publishes what operators and services send, and shows what is stored.
//!
//! - Every request under `/v1` needs one of the configured [`Tokens`](lockstep_http::Tokens), which limits the types of
//!   messages it may publish.
//! - `POST /v1/events` takes events and commands in the CloudEvents HTTP binding, and answers 202 only after the broker
//!   confirmed them. `GET /v1/messages` returns their outcomes, `GET /v1/messages/{id}` finds messages by their ids alone.
//! - `GET /v1/explain/{id}` explains how a message led to causes, devices, executions and results.
//! - `GET /v1/devices` and `GET /v1/devices/{hostname}` show the fleet, `GET /v1/groups` its groups, `GET /v1/sync/selection` which devices a
//!   sync run would contact, `GET /v1/repositories` the accepted commits.
//! - `GET /v1/fleet/ages` tells how long devices have been unsynchronized or UNMANAGED, for an alarm.
//! - `GET /v1/fleet/history` tells how many devices were synchronized over time.
//! - `GET /v1/dead` and `GET /v1/dead/{number}` show dead letters, `GET /v1/dead/counts` counts them by lane, type and code.
//! - `GET /v1/providers`, `GET /v1/tasks` and `GET /v1/schedules` show what can run, `POST /v1/tasks/validate` tells what is wrong in a
//!   task.
//! - `GET /v1/executions`, `GET /v1/executions/{execution}/elements`, `GET /v1/executions/{execution}/results` and
//!   `GET /v1/elements/{number}` show what ran, on what, and with what result; `GET /v1/devices/{hostname}/facts` and `…/checks` what
//!   was found out about a device, and before.
//! - `GET /v1/executions/{execution}/devices` shows what a sync found on each device, `…/{hostname}/configuration` the whole texts.
//! - `POST /graphql` answers GraphQL: the same, and the calls of neops; subscriptions by server-sent events. `GET /graphql` is a WebSocket.
//! - `GET /` and the paths beside it are pages for browsers: `docs/reference/console.md`.
//! - `GET /healthz`, `GET /readyz`, `GET /metrics` and `GET /openapi.json` need no token.
//!
//! - `GET /v1/tokens` and `POST /v1/tokens…` manage stored tokens, `POST /v1/sessions/{name}/end` ends sessions, `GET /v1/audit` shows what people did.
//! - `GET` and `POST` of `/login` and `/logout` begin and end sessions of browsers, `GET /login/oidc` at an identity provider.
//!
//! The console has no state. It writes who may use it and what they did, and nothing else: only workers write domain state. Every error is a problem
//! (RFC 9457) with a stable code.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{MethodRouter, get, post};
use lockstep_http::{
    BodyLimiter, ConcurrencyLimiter, LogLimiter, ServeLimits, admit, routes, unknown_path, with_metrics,
};
use lockstep_telemetry::Scrape;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{IdentityProvider, StoredTokens, login, oidc};
use crate::context::{ConsoleContext, ConsoleLimits, Shared};
use crate::graphql::{self, Streams};
use crate::rest::{
    ages, audit, checks, dead_letters, device_history, devices, elements, events, executions, explanations,
    facts, fleet_history, groups, messages, problem, providers, repositories, results, schedules, selection,
    sessions, surroundings, sync_devices, tasks, tokens,
};
use crate::web::{self, Glance};
use crate::{openapi, probes};

/// The label of this server in metrics.
const SERVER: &str = "console";
/// Health checks and scrapes in flight at once. They have a limit of their own, so that other requests never block them.
const PROBE_LIMIT: usize = 64;

/// The HTTP API, ready to be served.
#[derive(Clone, Debug)]
pub struct Console {
    context: ConsoleContext,
    limits: ConsoleLimits,
    scrape: Option<Scrape>,
    /// What goes on beside requests: connections for subscriptions, and those who read executions for them.
    tasks: TaskTracker,
}

impl Console {
    /// A console with the default limits.
    pub fn new(context: ConsoleContext) -> Self {
        Self::with_limits(context, ConsoleLimits::default())
    }

    /// A console with these limits.
    pub fn with_limits(context: ConsoleContext, limits: ConsoleLimits) -> Self {
        Self {
            context,
            limits,
            scrape: None,
            tasks: TaskTracker::new(),
        }
    }

    /// Serves these metrics at `/metrics`; without them, that path is answered 404.
    #[must_use]
    pub fn with_metrics(self, scrape: Scrape) -> Self {
        Self {
            scrape: Some(scrape),
            ..self
        }
    }

    /// The routes. Requests that wait for an outcome are answered 503 when `stop` is cancelled.
    pub fn router(&self, stop: CancellationToken) -> Router {
        let limits = self.limits;
        let shared = Arc::new(Shared {
            context: self.context.clone(),
            limits,
            bodies: BodyLimiter::new(limits.held_bytes, limits.body_timeout),
            graphql: graphql::schema(),
            streams: Streams::new(limits.streams, self.tasks.clone()),
            stored: StoredTokens::new(
                self.context.access_tokens.clone(),
                self.context.tokens.source_owners(),
            ),
            refused_logins: LogLimiter::default(),
            provider: self.context.oidc.clone().map(IdentityProvider::new),
            glance: Glance::default(),
            stop,
        });
        let request_limiter = ConcurrencyLimiter::new(SERVER, limits.requests, limits.request_timeout);
        let outcome_limiter = ConcurrencyLimiter::new(
            SERVER,
            limits.waiting,
            limits.longest_wait + limits.request_timeout,
        );
        let graphql_limiter = ConcurrencyLimiter::new(
            SERVER,
            limits.requests,
            limits.longest_wait + limits.request_timeout,
        );
        let page_limiter = ConcurrencyLimiter::new(SERVER, limits.requests, limits.request_timeout);
        let probe_limiter = ConcurrencyLimiter::new(SERVER, PROBE_LIMIT, limits.request_timeout);
        let time_limiter = ConcurrencyLimiter::of_duration(SERVER, limits.request_timeout);

        let resources = routes(SERVER, resources())
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(request_limiter, admit));
        // Without a place: liveness is answered whatever else is asked for.
        let alive = routes(SERVER, [("/healthz", get(probes::alive))])
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(time_limiter, admit));
        let document = ("/openapi.json", get(openapi::serve));
        let probes = routes(SERVER, [("/readyz", get(probes::ready)), document]);
        let probes = with_metrics(SERVER, probes, self.scrape.clone())
            .fallback(unknown_path)
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(probe_limiter, admit));
        let outcomes = routes(SERVER, [("/v1/messages", get(messages::outcome))])
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(outcome_limiter, admit));
        let login_limiter = ConcurrencyLimiter::new(SERVER, limits.requests, limits.request_timeout);
        let sessions = [
            ("/login", get(login::page).post(login::begin)),
            ("/logout", get(login::end_page).post(login::end)),
        ];
        let sessions = routes(SERVER, sessions)
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(login_limiter, admit))
            .layer(map_response(web::secure));
        // With places of its own: a provider that is slow never blocks logins with tokens.
        let provider_limiter = ConcurrencyLimiter::new(SERVER, limits.requests, limits.request_timeout);
        let provider = [
            ("/login/oidc", get(oidc::login::begin)),
            ("/login/oidc/callback", get(oidc::login::complete)),
        ];
        let provider = routes(SERVER, provider)
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(provider_limiter, admit))
            .layer(map_response(web::secure));
        let graphql = routes(
            SERVER,
            [("/graphql", get(graphql::upgrade).post(graphql::answer))],
        )
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(from_fn_with_state(graphql_limiter, admit));
        let pages = routes(SERVER, web::routes())
            .method_not_allowed_fallback(web::wrong_method)
            .layer(from_fn_with_state(page_limiter, admit))
            .layer(map_response(web::secure));
        resources
            .merge(pages)
            .merge(outcomes)
            .merge(graphql)
            .merge(sessions)
            .merge(provider)
            .merge(alive)
            .merge(probes)
            .with_state(shared)
    }

    /// Serves until `stop` is cancelled. Requests in flight may then continue for [`ConsoleLimits::shutdown_timeout`].
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let limits = ServeLimits {
            connections: self.limits.connections,
            connections_per_address: self.limits.connections_per_address,
            shutdown_timeout: self.limits.shutdown_timeout,
            ..ServeLimits::default()
        };
        lockstep_http::serve(SERVER, listener, self.router(stop.clone()), limits, stop).await;
        self.tasks.close();
        if tokio::time::timeout(self.limits.shutdown_timeout, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("connections for subscriptions did not end within the shutdown timeout");
        }
    }
}

/// The routes for operators and services, without the one that waits for outcomes.
fn resources() -> [(&'static str, MethodRouter<Arc<Shared>>); 40] {
    // A task may have the name that the validation occupies.
    let named_validate =
        get(|operator, shared| tasks::show(operator, shared, Ok(Path("validate".to_owned()))));
    [
        ("/v1/events", post(events::publish)),
        ("/v1/messages/{id}", get(messages::find)),
        ("/v1/explain/{id}", get(explanations::explain)),
        ("/v1/devices", get(devices::list)),
        ("/v1/devices/{hostname}", get(devices::show)),
        ("/v1/devices/{hostname}/facts", get(facts::list)),
        ("/v1/devices/{hostname}/history", get(device_history::list)),
        ("/v1/devices/{hostname}/checks", get(checks::list)),
        ("/v1/devices/{hostname}/surroundings", get(surroundings::show)),
        ("/v1/fleet/ages", get(ages::show)),
        ("/v1/fleet/history", get(fleet_history::show)),
        ("/v1/dead", get(dead_letters::list)),
        ("/v1/dead/counts", get(dead_letters::counts)),
        ("/v1/dead/{number}", get(dead_letters::show)),
        ("/v1/groups", get(groups::list)),
        ("/v1/groups/{name}", get(groups::show)),
        ("/v1/sync/selection", get(selection::select)),
        ("/v1/repositories", get(repositories::list)),
        ("/v1/providers", get(providers::list)),
        ("/v1/providers/{name}", get(providers::show)),
        ("/v1/tasks", get(tasks::list)),
        ("/v1/tasks/validate", named_validate.post(tasks::validate)),
        ("/v1/tasks/{task}", get(tasks::show)),
        ("/v1/tasks/{task}/form", get(tasks::form)),
        ("/v1/schedules", get(schedules::list)),
        ("/v1/executions", get(executions::list)),
        ("/v1/executions/stopped", get(executions::stopped)),
        ("/v1/executions/{execution}", get(executions::show)),
        ("/v1/executions/{execution}/elements", get(elements::list)),
        ("/v1/executions/{execution}/results", get(results::list)),
        ("/v1/executions/{execution}/devices", get(sync_devices::list)),
        (
            "/v1/executions/{execution}/devices/{hostname}",
            get(sync_devices::show),
        ),
        (
            "/v1/executions/{execution}/devices/{hostname}/configuration",
            get(sync_devices::configuration),
        ),
        ("/v1/elements/{number}", get(elements::show)),
        ("/v1/tokens", get(tokens::list).post(tokens::create)),
        ("/v1/tokens/{name}", get(tokens::show)),
        ("/v1/tokens/{name}/rotate", post(tokens::rotate)),
        ("/v1/tokens/{name}/revoke", post(tokens::revoke)),
        ("/v1/sessions/{name}/end", post(sessions::end)),
        ("/v1/audit", get(audit::list)),
    ]
}

#[cfg(test)]
pub(crate) mod tests;
