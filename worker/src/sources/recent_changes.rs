use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_protocol::MessageId;

/// The most changes that are remembered. Of more, the oldest are read and looked up again.
const MOST: usize = 100_000;

/// The changes that this process published or found to need nothing, as long as they are read again.
#[derive(Debug, Default)]
pub(super) struct RecentChanges(BTreeMap<MessageId, Timestamp>);

impl RecentChanges {
    pub(super) fn contains(&self, id: &MessageId) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn insert(&mut self, id: MessageId, at: Timestamp) {
        if self.0.len() < MOST {
            self.0.insert(id, at);
        }
    }

    /// Forgets the changes before this time, which are not read again.
    pub(super) fn forget_before(&mut self, time: Timestamp) {
        self.0.retain(|_, at| *at >= time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_remembered_until_they_are_not_read_again() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let id = |text: &str| MessageId::try_from(text.to_owned()).unwrap();
        let mut recent = RecentChanges::default();
        recent.insert(id("a"), at(1));
        recent.insert(id("b"), at(2));
        recent.forget_before(at(2));
        assert!(!recent.contains(&id("a")) && recent.contains(&id("b")));
    }
}
