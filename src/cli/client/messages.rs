//! Messages, and what followed from them.

use lockstep_protocol::rest::{ExplanationView, MessageMatches};

use super::Client;

impl Client {
    /// The processed messages with this id, of one source and sender or of all.
    ///
    /// # Errors
    /// If there is none, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn messages(
        &self,
        id: &str,
        source: Option<&str>,
        by: Option<&str>,
    ) -> anyhow::Result<MessageMatches> {
        self.get(&["messages", id], &named(source, by)).await
    }

    /// How one thing led to the next.
    ///
    /// # Errors
    /// If nothing or more than one message has this id, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn explain(
        &self,
        id: &str,
        of: Option<&str>,
        source: Option<&str>,
        by: Option<&str>,
    ) -> anyhow::Result<ExplanationView> {
        let mut query = named(source, by);
        query.extend(of.map(|of| ("of", of.to_owned())));
        self.get(&["explain", id], &query).await
    }
}

fn named(source: Option<&str>, by: Option<&str>) -> Vec<(&'static str, String)> {
    let pairs = [("source", source), ("by", by)];
    let given = pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?.to_owned())));
    given.collect()
}
