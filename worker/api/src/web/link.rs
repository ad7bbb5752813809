//! Addresses of pages.

use form_urlencoded::Serializer;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All that is not plain in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A text as a segment of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A path with these parameters.
pub(super) fn with<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    let query = query.finish();
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}

/// The path of the next page: the parameters of this one, with another place to begin.
pub(super) fn next(path: &str, pairs: &[(String, String)], key: &str, value: &str) -> String {
    let kept = pairs.iter().filter(|(name, _)| name != key && name != "sent");
    let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
    with(path, kept.chain([(key, value)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_within_their_segment() {
        for (text, expected) in [
            ("sw1.example", "sw1.example"),
            ("a/b?c#d", "a%2Fb%3Fc%23d"),
            ("ä b", "%C3%A4%20b"),
        ] {
            assert_eq!(segment(text), expected);
        }
    }

    #[test]
    fn the_next_page_keeps_the_filters_and_begins_elsewhere() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            pairs.iter().map(owned).collect()
        };
        let pairs = pairs(&[
            ("state", "MANAGED"),
            ("after", "sw1"),
            ("sent", "x"),
            ("group", ""),
        ]);
        let path = next("/devices", &pairs, "after", "a&b");
        assert_eq!(path, "/devices?state=MANAGED&after=a%26b");
        assert_eq!(with("/devices", []), "/devices");
    }
}
