//! Metrics of HTTP servers.

use std::time::Duration;

use crate::families::{HTTP_REQUEST_SECONDS, HTTP_REQUESTS};

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
