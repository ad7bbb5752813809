//! Subscriptions by server-sent events: GraphQL over SSE, with a connection for each operation.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::Request;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use lockstep_http::{GoesOn, ProblemResponse};

use super::request::Requests;

/// How often a comment is sent if nothing else is, so that proxies keep the connection and a client that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Answers a request by an event `next` for each answer, then an event `complete`. When the console stops, the stream ends without
/// it, and the client connects again.
///
/// # Errors
/// Too many streams are open.
pub(super) fn respond(requests: &Requests, request: Request) -> Result<Response, ProblemResponse> {
    let shared = Arc::clone(&requests.shared);
    let place = shared.streams.place()?;
    let answers = requests.stream(request).map(|answer| {
        let data =
            serde_json::to_string(&answer).expect("answers have string keys and no failing serializers");
        Event::default().event("next").data(data)
    });
    let complete = stream::once(std::future::ready(Event::default().event("complete").data("")));
    let events = answers
        .chain(complete)
        .take_until(shared.stop.clone().cancelled_owned())
        .map(move |event| {
            // Given back when the client is gone, too.
            let _place = &place;
            Ok::<_, Infallible>(event)
        });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    response.extensions_mut().insert(GoesOn);
    Ok(response)
}
