//! Cookies of the console. Pure.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

use super::origin;

/// A cookie: browsers send it back only over TLS, only to this host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookie {
    /// Its name, which begins with `__Host-`.
    pub(super) name: &'static str,
    /// Its name where the browser runs on the same machine and there may be no TLS.
    pub(super) local_name: &'static str,
}

impl Cookie {
    /// The value in the cookies of a request. The name without TLS counts only on this machine.
    pub(super) fn of(self, headers: &HeaderMap) -> Option<&str> {
        let cookies = headers.get_all(COOKIE).iter();
        let mut pairs = cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let name = self.name(headers);
        pairs.find_map(|(found, value)| (found == name).then_some(value))
    }

    /// The value of `Set-Cookie` for this value, which lasts so long. An empty value and no time remove the cookie.
    pub(super) fn set(self, headers: &HeaderMap, value: &str, lasts: Duration) -> String {
        let secure = if origin::is_local(headers) { "" } else { "; Secure" };
        format!(
            "{}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
            self.name(headers),
            lasts.as_secs()
        )
    }

    fn name(self, headers: &HeaderMap) -> &'static str {
        if origin::is_local(headers) {
            self.local_name
        } else {
            self.name
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE_OF_TEST: Cookie = Cookie {
        name: "__Host-lockstep",
        local_name: "lockstep",
    };

    fn headers(host: &str, cookies: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("host", host.parse().unwrap());
        for cookie in cookies {
            headers.append(COOKIE, cookie.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_cookie_without_tls_counts_on_this_machine_only() {
        for (host, cookies, expected) in [
            ("localhost:8910", vec!["lockstep=a"], Some("a")),
            ("localhost:8910", vec!["x=1; lockstep=a", "y=2"], Some("a")),
            ("localhost:8910", vec!["__Host-lockstep=a"], None),
            ("lockstep.example.org", vec!["__Host-lockstep=a"], Some("a")),
            ("lockstep.example.org", vec!["lockstep=a"], None),
            ("lockstep.example.org", vec![], None),
        ] {
            let headers = headers(host, &cookies);
            assert_eq!(COOKIE_OF_TEST.of(&headers), expected, "{host} {cookies:?}");
        }
        let set = |host| COOKIE_OF_TEST.set(&headers(host, &[]), "a", Duration::from_mins(1));
        assert_eq!(
            set("localhost:8910"),
            "lockstep=a; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"
        );
        assert_eq!(
            set("lockstep.example.org"),
            "__Host-lockstep=a; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
        );
    }
}
