//! Metrics of HTTP servers.

use std::time::Duration;

use crate::families::{HTTP_CLOSED, HTTP_REQUEST_SECONDS, HTTP_REQUESTS, WEBHOOKS_REFUSED};

/// Counts a request. `route` is the template of the route, never the requested path, which would be an unbounded label.
pub fn answered(server: &'static str, route: &str, status: u16, duration: Duration) {
    let route = if route.is_empty() { "none" } else { route };
    HTTP_REQUESTS
        .counter([server.to_owned(), route.to_owned(), status.to_string()])
        .increment(1);
    HTTP_REQUEST_SECONDS
        .histogram([server.to_owned(), route.to_owned()])
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
    use crate::scrape::shown;

    #[test]
    fn requests_are_counted_by_the_template_of_their_route() {
        let text = shown(|| {
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
}
