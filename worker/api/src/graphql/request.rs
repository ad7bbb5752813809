//! Runs the requests of one sender, whichever way they came.

use std::sync::Arc;

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationType};
use async_graphql::{ErrorExtensionValues, Request, Response, ServerError};
use axum::http::HeaderMap;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use lockstep_http::Operator;
use tokio::time::Instant;

use super::document::{self, DocumentError};
use crate::access::Client;
use crate::context::Shared;

/// The code of errors in the text of a request.
const INVALID_QUERY: &str = "invalid-query";
/// The header of the trace context, which messages carry on.
const TRACEPARENT: &str = "traceparent";

/// Runs requests for the holder of a token.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    pub(super) shared: Arc<Shared>,
    pub(super) operator: Operator,
    /// From where they come.
    client: Client,
    /// The headers of the HTTP request: those of a trace.
    trace: HeaderMap,
}

/// When mutations stop to wait for outcomes, so that the answer says what was published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(pub(super) Instant);

/// The headers of a trace.
#[derive(Clone, Debug)]
pub(super) struct Trace(pub(super) HeaderMap);

/// A request that may be run.
struct Prepared {
    request: Request,
    kind: OperationType,
    ends: Instant,
}

impl Requests {
    pub(super) fn new(shared: Arc<Shared>, operator: Operator, client: Client, headers: &HeaderMap) -> Self {
        let trace = headers.get_all(TRACEPARENT).iter();
        let trace = trace.map(|value| (axum::http::HeaderName::from_static(TRACEPARENT), value.clone()));
        Self {
            shared,
            operator,
            client,
            trace: trace.collect(),
        }
    }

    /// Answers a query or a mutation.
    pub(super) async fn execute(&self, request: Request) -> Response {
        match self.prepare(request) {
            Ok(prepared) => self.run(prepared).await,
            Err(error) => Response::from_errors(vec![error]),
        }
    }

    /// Answers a subscription as long as it goes on, or a query or a mutation once.
    pub(super) fn stream(&self, request: Request) -> BoxStream<'static, Response> {
        match self.prepare(request) {
            Err(error) => once(Response::from_errors(vec![error])),
            Ok(prepared) if prepared.kind == OperationType::Subscription => {
                let answers = self.shared.graphql.0.execute_stream(prepared.request);
                answers.map(with_codes).boxed()
            }
            Ok(prepared) => {
                let requests = self.clone();
                stream::once(async move { requests.run(prepared).await }).boxed()
            }
        }
    }

    /// Checks what a request costs, and gives it what fields need.
    fn prepare(&self, mut request: Request) -> Result<Prepared, ServerError> {
        let refused =
            |error: DocumentError| coded(ServerError::new(error.to_string(), None), "query-too-large");
        document::check_text(&request.query).map_err(refused)?;
        let name = request.operation_name.clone();
        let parsed = request
            .parsed_query()
            .map_err(|error| coded(error, INVALID_QUERY))?;
        document::check(parsed).map_err(refused)?;
        let kind = kind(parsed, name.as_deref());
        let limits = &self.shared.limits;
        let now = Instant::now();
        // A mutation waits for outcomes, and has time left then to read what it returns.
        let (waits, ends) = match kind {
            OperationType::Mutation => (
                now + limits.longest_wait,
                now + limits.longest_wait + limits.request_timeout / 2,
            ),
            OperationType::Query | OperationType::Subscription => (now, now + limits.request_timeout),
        };
        let request = request
            .data(Arc::clone(&self.shared))
            .data(self.operator.clone())
            .data(self.client.clone())
            .data(Deadline(waits))
            .data(Trace(self.trace.clone()));
        Ok(Prepared { request, kind, ends })
    }

    async fn run(&self, prepared: Prepared) -> Response {
        let running = self.shared.graphql.0.execute(prepared.request);
        if let Ok(response) = tokio::time::timeout_at(prepared.ends, running).await {
            return with_codes(response);
        }
        let error = ServerError::new(
            "the request took too long; ask for less, and look at what its mutations did before sending it again",
            None,
        );
        Response::from_errors(vec![coded(error, "timeout")])
    }
}

/// The kind of the operation that is asked for. Where none can be chosen, execution says so.
fn kind(document: &ExecutableDocument, name: Option<&str>) -> OperationType {
    let found = match &document.operations {
        DocumentOperations::Single(operation) => Some(operation),
        DocumentOperations::Multiple(all) => match name {
            Some(name) => all.get(name),
            None => all.values().next().filter(|_| all.len() == 1),
        },
    };
    found.map_or(OperationType::Query, |operation| operation.node.ty)
}

fn once(response: Response) -> BoxStream<'static, Response> {
    stream::once(std::future::ready(response)).boxed()
}

/// Gives each error that has none a code: those of validation.
fn with_codes(mut response: Response) -> Response {
    for error in &mut response.errors {
        let code = error.extensions.as_ref().and_then(|all| all.get("code"));
        if code.is_none() {
            set_code(error, INVALID_QUERY);
        }
    }
    response
}

pub(super) fn coded(mut error: ServerError, code: &str) -> ServerError {
    set_code(&mut error, code);
    error
}

fn set_code(error: &mut ServerError, code: &str) {
    let extensions = error.extensions.get_or_insert_with(ErrorExtensionValues::default);
    extensions.set("code", code);
}
