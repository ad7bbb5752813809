use std::sync::Arc;

use async_graphql::Response as Answer;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use lockstep_http::{Operator, ProblemResponse};
use lockstep_protocol::envelope::MAX_BODY_BYTES;
use lockstep_protocol::rest::Problem;
use serde_json::json;

use super::event_stream;
use super::media::Media;
use super::request::Requests;
use crate::access::Client;
use crate::context::Shared;

/// `POST /graphql`: answers one request in JSON, or as server-sent events, which a subscription needs.
pub(crate) async fn answer(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, ProblemResponse> {
    let (parts, body) = request.into_parts();
    let media = Media::of(&parts.headers).ok_or_else(not_acceptable)?;
    check_json(&parts.headers)?;
    let buffered = shared.bodies.read(body, MAX_BODY_BYTES).await?;
    let request = read(&buffered.bytes)?;
    drop(buffered);
    let requests = Requests::new(shared, operator, Client::of(&parts), &parts.headers);
    match media {
        Media::EventStream => event_stream::respond(&requests, request),
        Media::Json | Media::GraphqlResponse => Ok(respond(&requests.execute(request).await, media)),
    }
}

/// One request. A list of them is refused: clients need several connections or one WebSocket instead.
fn read(body: &[u8]) -> Result<async_graphql::Request, ProblemResponse> {
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(ProblemResponse::bad_request(
            "batch-refused",
            "requests are not taken in batches",
            "send one request at a time, an object with the query",
        ));
    }
    let invalid = |detail: String| {
        ProblemResponse::bad_request(
            "invalid-request",
            "the body is not a request of GraphQL in JSON",
            detail,
        )
    };
    let request: async_graphql::Request =
        serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
    if request.query.is_empty() {
        return Err(invalid(
            "`query` is missing: send the text of the request there".to_owned(),
        ));
    }
    Ok(request)
}

fn check_json(headers: &HeaderMap) -> Result<(), ProblemResponse> {
    let sent = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = sent.and_then(|sent| sent.split(';').next()).map(str::trim);
    if media.is_some_and(|media| media.eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    Err(ProblemResponse::unsupported_media_type(
        "send the request as application/json",
    ))
}

fn not_acceptable() -> ProblemResponse {
    let detail = "accept application/json, application/graphql-response+json or text/event-stream";
    Problem::new(406, "not-acceptable", "no form of the answer is accepted")
        .with_detail(detail)
        .into()
}

/// The answer with its status: 400 if the request was not run at all.
fn respond(answer: &Answer, media: Media) -> Response {
    let (status, body) = if is_of_the_request(answer) {
        (
            StatusCode::BAD_REQUEST,
            json!({"errors": answer.errors}).to_string(),
        )
    } else {
        let body =
            serde_json::to_string(answer).expect("answers have string keys and no failing serializers");
        (StatusCode::OK, body)
    };
    let media = HeaderValue::from_static(media.as_str());
    (status, [(CONTENT_TYPE, media)], body).into_response()
}

/// Whether the errors are of the request and not of fields: there is no data then.
pub(super) fn is_of_the_request(answer: &Answer) -> bool {
    let of_request = |error: &async_graphql::ServerError| error.path.is_empty();
    answer.data == async_graphql::Value::Null
        && !answer.errors.is_empty()
        && answer.errors.iter().all(of_request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_is_read_and_others_are_refused_with_a_code() {
        let table = [
            (
                r#"{"query": "{a}", "variables": null, "operationName": null, "extensions": {}}"#,
                None,
            ),
            (r#" [{"query": "{a}"}]"#, Some("batch-refused")),
            (r#"{"query": 1}"#, Some("invalid-request")),
            (r#"{"variables": {}}"#, Some("invalid-request")),
            ("{", Some("invalid-request")),
            ("", Some("invalid-request")),
        ];
        for (body, expected) in table {
            let refused = read(body.as_bytes()).err();
            let code = refused.as_ref().map(|problem| problem.problem().code());
            assert_eq!(code, expected, "{body}");
        }
    }
}
