//! The follow-ups that a batch causes, finishes, and postpones.

use jiff::Timestamp;

use super::{Facts, Origin};
use crate::{FollowUpKey, FollowUpRequest, NewFollowUp};

/// The changes of follow-ups.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FollowUpFacts {
    new: Vec<NewFollowUp>,
    finished: Vec<FollowUpKey>,
    postponed: Vec<(FollowUpKey, Timestamp)>,
}

impl Facts {
    /// Adds the follow-ups that a message causes.
    pub(super) fn cause_follow_ups(&mut self, requests: Vec<FollowUpRequest>, from: &Origin<'_>) {
        let rows = requests.into_iter().enumerate();
        let rows = rows.map(|(index, request)| NewFollowUp::of(request, index, from));
        self.follow_ups.new.extend(rows);
    }

    /// Records that the message of a follow-up is processed.
    pub(super) fn finish_follow_up(&mut self, key: FollowUpKey) {
        self.follow_ups.finished.push(key);
    }

    /// Postpones a follow-up until this time. Its message waits in the store, not in the broker.
    pub fn postpone_follow_up(&mut self, key: FollowUpKey, until: Timestamp) {
        self.follow_ups.postponed.push((key, until));
    }

    /// Follow-ups to be written.
    pub fn new_follow_ups(&self) -> &[NewFollowUp] {
        &self.follow_ups.new
    }

    /// Follow-ups whose messages are processed now.
    pub fn finished_follow_ups(&self) -> &[FollowUpKey] {
        &self.follow_ups.finished
    }

    /// Follow-ups that are postponed, with the time.
    pub fn postponed_follow_ups(&self) -> &[(FollowUpKey, Timestamp)] {
        &self.follow_ups.postponed
    }

    /// Whether the batch writes to the table of follow-ups.
    pub(crate) fn change_follow_ups(&self) -> bool {
        let FollowUpFacts {
            new,
            finished,
            postponed,
        } = &self.follow_ups;
        !(new.is_empty() && finished.is_empty() && postponed.is_empty())
    }
}
