use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::session::Session;

/// What the page of the login shows.
#[derive(Clone, Debug, Default)]
pub(super) struct LoginPage<'a> {
    /// Why the login was refused.
    pub(super) problem: Option<&'a str>,
    /// Where the browser goes after the login: a path of the console.
    pub(super) next: &'a str,
}

/// The page of the login.
pub(super) fn show(status: StatusCode, page: &LoginPage<'_>) -> Response {
    let problem = page.problem.map_or_else(String::new, |problem| {
        format!("<p role=\"alert\">{}</p>", escaped(problem))
    });
    let form = format!(
        "{problem}<form method=\"post\" action=\"/login\"><input type=\"hidden\" name=\"next\" value=\"{}\">\
         <label>Token <input type=\"password\" name=\"token\" autocomplete=\"current-password\" required autofocus></label> \
         <button>Log in</button></form>",
        escaped(page.next)
    );
    document(status, "Log in", &form)
}

/// The page that ends a session.
pub(super) fn logout(session: &Session) -> Response {
    let form = format!(
        "<p>{} is logged in until {:.0} at the latest.</p><form method=\"post\" action=\"/logout\">\
         <input type=\"hidden\" name=\"{}\" value=\"{}\"><button>Log out</button></form>",
        escaped(&session.principal),
        session.expires,
        Session::CSRF_FIELD,
        session.csrf
    );
    document(StatusCode::OK, "Log out", &form)
}

fn document(status: StatusCode, title: &str, form: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title} - Lockstep</title></head><body><main><h1>{title}</h1>{form}</main></body></html>"
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ];
    (status, headers, html).into_response()
}

/// A text in HTML, also as the value of an attribute in quotation marks.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_stays_text() {
        assert_eq!(
            escaped(r#""><script>alert('1 & 2')</script>"#),
            "&quot;&gt;&lt;script&gt;alert(&#39;1 &amp; 2&#39;)&lt;/script&gt;"
        );
    }
}
