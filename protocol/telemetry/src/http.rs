//! Metrics of HTTP servers. All series of a server exist with the value zero from its start, so that the first failure is an
//! increase.

use std::sync::Arc;
use std::time::Duration;

use metrics::SharedString;

use crate::families::{HTTP_CLOSED, HTTP_REQUEST_SECONDS, HTTP_REQUESTS, WEBHOOKS_REFUSED};

/// The statuses of the routes that take messages and show what is stored.
const STATUSES: &[u16] = &[
    200, 202, 400, 401, 403, 404, 405, 408, 413, 415, 429, 500, 502, 503,
];
/// The statuses of the routes for probes, metrics and documents, and of paths without a route.
const PROBE_STATUSES: &[u16] = &[200, 404, 405, 429, 500, 503];
/// Why a server closes a connection.
const CLOSED: &[&str] = &[
    "head",
    "idle",
    "response",
    "replaced",
    "refused",
    "unclear-request",
];
/// Why a webhook is refused.
const REFUSED: &[&str] = &["unauthenticated", "invalid"];

/// Makes the series of a server exist that belong to no route.
pub fn begin_server(server: &'static str) {
    begin_route(server, "");
    for reason in CLOSED {
        HTTP_CLOSED.counter([server, *reason]).absolute(0);
    }
}

/// Makes the series of a route exist; `route` is its template.
pub fn begin_route(server: &'static str, route: &str) {
    let takes_messages = route.starts_with("/v1/") || route.starts_with("/webhooks/");
    let statuses = if takes_messages { STATUSES } else { PROBE_STATUSES };
    let route = shown(route);
    for status in statuses {
        HTTP_REQUESTS
            .counter([server.to_owned(), route.to_owned(), status.to_string()])
            .absolute(0);
    }
    // A histogram exists when it is first asked for.
    let _ = HTTP_REQUEST_SECONDS.histogram([server.to_owned(), route.to_owned()]);
}

/// Makes the series of the forges exist whose webhooks a server takes.
pub fn begin_webhooks(forges: impl IntoIterator<Item = &'static str>) {
    for forge in forges {
        for reason in REFUSED {
            WEBHOOKS_REFUSED.counter([forge, *reason]).absolute(0);
        }
    }
}

/// The route as a label value.
fn shown(route: &str) -> &str {
    if route.is_empty() { "none" } else { route }
}

/// The status as a label value, without a copy for those of every day.
fn label(status: u16) -> SharedString {
    match status {
        200 => "200".into(),
        202 => "202".into(),
        400 => "400".into(),
        401 => "401".into(),
        404 => "404".into(),
        other => other.to_string().into(),
    }
}

/// Counts a request. `route` is the template of the route, never the requested path, which would be an unbounded label.
pub fn answered(server: &'static str, route: &str, status: u16, duration: Duration) {
    let route: Arc<str> = shown(route).into();
    let labels: [SharedString; 3] = [server.into(), route.clone().into(), label(status)];
    HTTP_REQUESTS.counter(labels).increment(1);
    let labels: [SharedString; 2] = [server.into(), route.into()];
    HTTP_REQUEST_SECONDS
        .histogram(labels)
        .record(duration.as_secs_f64());
}

/// Counts a connection that the server closed or refused, for a reason of its own: the turn in which the client took too long
/// (`idle`, `head`, `response`), `replaced` by another, `refused`, or an `unclear-request`.
pub fn connection_closed(server: &'static str, reason: &'static str) {
    HTTP_CLOSED
        .counter([server.to_owned(), reason.to_owned()])
        .increment(1);
}

/// Counts a webhook that was refused; `reason` is `unauthenticated` or `invalid`.
pub fn webhook_refused(forge: &'static str, reason: &'static str) {
    WEBHOOKS_REFUSED
        .counter([forge.to_owned(), reason.to_owned()])
        .increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrape;

    #[test]
    fn requests_are_counted_by_the_template_of_their_route() {
        let text = scrape::shown(|| {
            answered("console", "/v1/devices/{hostname}", 200, Duration::from_millis(1));
            answered("console", "", 404, Duration::from_millis(1));
        });
        for line in [
            "lockstep_http_requests_total{server=\"console\",route=\"/v1/devices/{hostname}\",status=\"200\"} 1",
            "lockstep_http_requests_total{server=\"console\",route=\"none\",status=\"404\"} 1",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_series_of_a_server_exist_from_the_start() {
        let text = scrape::shown(|| {
            begin_server("gateway");
            begin_route("gateway", "/v1/events");
            begin_webhooks(["github"]);
        });
        for line in [
            "lockstep_http_requests_total{server=\"gateway\",route=\"/v1/events\",status=\"503\"} 0",
            "lockstep_http_requests_total{server=\"gateway\",route=\"none\",status=\"404\"} 0",
            "lockstep_http_request_seconds_count{server=\"gateway\",route=\"/v1/events\"} 0",
            "lockstep_http_connections_closed_total{server=\"gateway\",reason=\"refused\"} 0",
            "lockstep_webhooks_refused_total{forge=\"github\",reason=\"invalid\"} 0",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }
}
