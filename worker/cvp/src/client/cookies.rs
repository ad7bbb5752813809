use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};

/// The cookies of a session. Each is sent only to paths that it allows, as in a browser.
#[derive(Clone, Debug, Default)]
pub(super) struct Cookies(Vec<Cookie>);

#[derive(Clone)]
struct Cookie {
    pair: String,
    path: String,
}

impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cookie")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Cookies {
    /// The cookies that an answer sets.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(SET_COOKIE).into_iter();
        Self(
            lines
                .filter_map(|line| Cookie::parse(line.to_str().ok()?))
                .collect(),
        )
    }

    /// Whether a session cookie is among them.
    pub(super) fn hold_session(&self) -> bool {
        let names = ["access_token=", "session_id="];
        let holds = |cookie: &Cookie| names.iter().any(|name| cookie.pair.starts_with(name));
        self.0.iter().any(holds)
    }

    /// The cookie header for a request to this path; `None` if no cookie allows the path.
    pub(super) fn header(&self, path: &str) -> Option<HeaderValue> {
        let fitting = self.0.iter().filter(|cookie| path.starts_with(&cookie.path));
        let pairs: Vec<&str> = fitting.map(|cookie| cookie.pair.as_str()).collect();
        if pairs.is_empty() {
            return None;
        }
        let mut header = HeaderValue::from_str(&pairs.join("; ")).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

impl Cookie {
    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(';').map(str::trim);
        let pair = parts.next().filter(|pair| pair.contains('='))?;
        let path = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.eq_ignore_ascii_case("path").then_some(value)
        });
        Some(Self {
            pair: pair.to_owned(),
            path: path.unwrap_or("/").to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_sent_only_to_their_paths() {
        let mut headers = HeaderMap::new();
        for line in [
            "session_id=hush1; Path=/web/",
            "access_token=hush2; Path=/; Secure; HttpOnly",
            "nonsense",
        ] {
            headers.append(SET_COOKIE, HeaderValue::from_static(line));
        }
        let cookies = Cookies::of(&headers);
        assert!(cookies.hold_session());
        assert_eq!(
            cookies.header("/web/task").unwrap(),
            "session_id=hush1; access_token=hush2"
        );
        assert_eq!(cookies.header("/api/x").unwrap(), "access_token=hush2");
        assert!(!format!("{cookies:?} {:?}", cookies.header("/api/x")).contains("hush"));
        assert!(Cookies::default().header("/").is_none());
    }
}
