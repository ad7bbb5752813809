//! In which form a request is answered.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// One answer, as servers gave it before GraphQL had a media type.
    Json,
    /// One answer.
    GraphqlResponse,
    /// Answers as they come, as server-sent events.
    EventStream,
}

impl Media {
    const ALL: [Self; 3] = [Self::Json, Self::GraphqlResponse, Self::EventStream];

    /// The media type.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::GraphqlResponse => "application/graphql-response+json",
            Self::EventStream => "text/event-stream",
        }
    }

    /// The form that the client likes best, and of equal ones the first that it names. JSON, if it does not say.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut ranges = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|range| !range.is_empty())
            .peekable();
        if ranges.peek().is_none() {
            return Some(Self::Json);
        }
        let mut best: Option<(f32, Self)> = None;
        for range in ranges {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
            let quality = quality.unwrap_or(1.0);
            let Some(media) = Self::matching(name).filter(|_| quality > 0.0) else {
                continue;
            };
            if best.is_none_or(|(before, _)| quality > before) {
                best = Some((quality, media));
            }
        }
        best.map(|(_, media)| media)
    }

    fn matching(name: &str) -> Option<Self> {
        if ["*/*", "application/*"].contains(&name) {
            return Some(Self::Json);
        }
        let named = |media: &Self| media.as_str().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_says_in_which_form_it_is_answered() {
        use Media::{EventStream, GraphqlResponse, Json};
        let table: [(&[&'static str], Option<Media>); 12] = [
            (&[], Some(Json)),
            (&[""], Some(Json)),
            (&["*/*"], Some(Json)),
            (&["application/json"], Some(Json)),
            (&["application/graphql-response+json"], Some(GraphqlResponse)),
            (&["text/event-stream"], Some(EventStream)),
            (
                &["application/graphql-response+json, application/json;q=0.9, text/event-stream"],
                Some(GraphqlResponse),
            ),
            (
                &["application/json;q=0.1", "text/event-stream;q=0.5"],
                Some(EventStream),
            ),
            (&["text/html, application/json; charset=utf-8"], Some(Json)),
            (&["text/html"], None),
            (&["application/json;q=0"], None),
            (&["TEXT/EVENT-STREAM"], Some(EventStream)),
        ];
        for (values, expected) in table {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ACCEPT, value.parse().unwrap());
            }
            assert_eq!(Media::of(&headers), expected, "{values:?}");
        }
    }
}
