use lockstep_protocol::MessageKey;
use tokio_postgres::types::ToSql;

use crate::column;

/// The keys of messages as arrays: the first three parameters of a statement.
pub(super) struct MessageColumns<'a> {
    pub(super) sources: Vec<&'a str>,
    pub(super) ids: Vec<&'a str>,
    pub(super) actors: Vec<&'a str>,
}

impl<'a> FromIterator<&'a MessageKey> for MessageColumns<'a> {
    fn from_iter<I: IntoIterator<Item = &'a MessageKey>>(messages: I) -> Self {
        let mut columns = Self {
            sources: Vec::new(),
            ids: Vec::new(),
            actors: Vec::new(),
        };
        for MessageKey { identity, actor } in messages {
            columns.sources.push(identity.source.as_str());
            columns.ids.push(identity.id.as_str());
            columns.actors.push(column::key_actor(actor.as_deref()));
        }
        columns
    }
}

impl MessageColumns<'_> {
    pub(super) fn parameters(&self) -> [&(dyn ToSql + Sync); 3] {
        [&self.sources, &self.ids, &self.actors]
    }
}
