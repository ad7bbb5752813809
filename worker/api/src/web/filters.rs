//! The parameters of a list, as the page shows them and as its links keep them.

use std::fmt::Display;

use super::link;
use crate::rest::parameters::Parameters;

/// The filters of a list and the place where its page begins. Pages are named by the key of their last row.
#[derive(Clone, Debug)]
pub(super) struct Filters<'a> {
    path: &'a str,
    /// The parameter that says where a page begins: `after` or `before`.
    key: &'static str,
    pairs: Vec<(String, String)>,
}

impl<'a> Filters<'a> {
    /// Reads them before the list takes them, and lets a page have `limit` rows if it does not say.
    pub(super) fn of(parameters: &mut Parameters, path: &'a str, key: &'static str, limit: &str) -> Self {
        parameters.set_default("limit", limit);
        let pairs = parameters.pairs().to_vec();
        Self { path, key, pairs }
    }

    /// What a parameter says; empty if it is absent.
    pub(super) fn chosen(&self, name: &str) -> &str {
        let found = self.pairs.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The address of the page that begins behind this row.
    pub(super) fn next(&self, last: Option<impl Display>) -> Option<String> {
        last.map(|last| self.with(self.key, &last.to_string()))
    }

    /// The address of the first page, unless this is it.
    pub(super) fn first(&self) -> Option<String> {
        let is_later = !self.chosen(self.key).is_empty();
        is_later.then(|| self.with(self.key, ""))
    }

    /// The address of this page with another parameter.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        link::next(self.path, &self.pairs, name, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_the_filter() {
        let mut parameters = Parameters::of(&[("state", "RUNNING"), ("before", "7")]);
        let filters = Filters::of(&mut parameters, "/executions", "before", "50");
        assert_eq!(filters.chosen("limit"), "50");
        assert_eq!(filters.chosen("task"), "");
        assert_eq!(
            filters.next(Some(3)).as_deref(),
            Some("/executions?state=RUNNING&limit=50&before=3")
        );
        assert_eq!(filters.next(None::<u64>), None);
        assert_eq!(
            filters.first().as_deref(),
            Some("/executions?state=RUNNING&limit=50")
        );
        let mut parameters = Parameters::of(&[("limit", "20")]);
        assert_eq!(
            Filters::of(&mut parameters, "/executions", "before", "50").first(),
            None
        );
    }
}
