//! The style sheet and the script of the pages, which are part of the program.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use lockstep_protocol::Digest;

/// Browsers ask each time whether it is still the same, so that a new version of the console is used at once.
const CACHE: &str = "no-cache";

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        include_str!("../../web/assets/console.css"),
        "text/css; charset=utf-8",
    )
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        include_str!("../../web/assets/console.js"),
        "text/javascript; charset=utf-8",
    )
});

struct Asset {
    text: &'static str,
    media_type: &'static str,
    /// With its quotation marks.
    tag: String,
}

impl Asset {
    fn new(text: &'static str, media_type: &'static str) -> Self {
        let tag = format!("\"{}\"", Digest::of_bytes(text.as_bytes()));
        Self {
            text,
            media_type,
            tag,
        }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let known = headers.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
        let head = [(ETAG, self.tag.as_str()), (CACHE_CONTROL, CACHE)];
        if known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == self.tag)) {
            return (StatusCode::NOT_MODIFIED, head).into_response();
        }
        (head, [(CONTENT_TYPE, self.media_type)], self.text).into_response()
    }
}

/// `GET /assets/console.css`. It needs no token: it is the same for everybody.
pub(super) async fn style(headers: HeaderMap) -> Response {
    STYLE.answer(&headers)
}

/// `GET /assets/console.js`. It needs no token: it is the same for everybody.
pub(super) async fn script(headers: HeaderMap) -> Response {
    SCRIPT.answer(&headers)
}
