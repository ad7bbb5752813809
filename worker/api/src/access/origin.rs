use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a request that changes something comes from a page of this console, as far as the browser says so. A client that says
/// nothing is no browser of today.
pub(super) fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text(&FETCH_SITE).is_none_or(|site| matches!(site, "same-origin" | "none"));
    let origin = text(&ORIGIN).is_none_or(|origin| {
        let host = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"));
        host.is_some() && host == text(&HOST)
    });
    site && origin
}

/// Whether the browser reached the console on its own machine, where there may be no TLS.
pub(super) fn is_local(headers: &HeaderMap) -> bool {
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn requests_of_other_pages_are_known_by_their_headers() {
        let host = ("host", "lockstep.example.org");
        for (pairs, expected) in [
            (vec![host], true),
            (vec![host, ("sec-fetch-site", "same-origin")], true),
            (vec![host, ("sec-fetch-site", "none")], true),
            (vec![host, ("sec-fetch-site", "same-site")], false),
            (vec![host, ("sec-fetch-site", "cross-site")], false),
            (vec![host, ("origin", "https://lockstep.example.org")], true),
            (vec![host, ("origin", "https://lockstep.example.org:8443")], false),
            (vec![host, ("origin", "https://evil.example.org")], false),
            (vec![host, ("origin", "null")], false),
            (vec![("origin", "https://lockstep.example.org")], false),
            (
                vec![
                    host,
                    ("sec-fetch-site", "same-origin"),
                    ("origin", "https://evil.example.org"),
                ],
                false,
            ),
        ] {
            assert_eq!(is_own(&headers(&pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_console_on_this_machine_is_known_by_its_name() {
        for (host, expected) in [
            ("localhost", true),
            ("localhost:8910", true),
            ("127.0.0.1:8910", true),
            ("[::1]:8910", true),
            ("[::1]", true),
            ("localhost.example.org", false),
            ("127.0.0.1.example.org:8910", false),
            ("lockstep:8910", false),
            ("", false),
        ] {
            assert_eq!(is_local(&headers(&[("host", host)])), expected, "{host}");
        }
    }
}
