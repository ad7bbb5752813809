//! Decides whether a lane takes messages for new without reading their inbox rows.
//!
//! The unique key of the inbox finds a duplicate, too, but only at the commit, which then has to be repeated with reading. That is
//! cheaper as long as duplicates are rare. They come together, such as after a sender lost its connection.

use std::sync::atomic::{AtomicU32, Ordering};

use lockstep_store::Keys;

use super::poison::Checked;

/// For so many transactions after a duplicate, inbox rows are read.
const READ_AFTER_DUPLICATE: u32 = 32;

/// Whether a lane found a duplicate a short time ago.
#[derive(Debug, Default)]
pub(super) struct RecentDuplicates {
    /// For how many more transactions inbox rows are read.
    read: AtomicU32,
}

impl RecentDuplicates {
    /// Whether the next transaction takes these messages for new.
    pub(super) fn assume_new(&self, checked: &[&Checked<'_>], keys: &Keys) -> bool {
        let read = self
            .read
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |read| read.checked_sub(1));
        read.is_err() && checked.iter().all(|checked| is_probably_new(checked)) && !have_reuse(keys)
    }

    /// A transaction that took its messages for new failed because of a concurrent or an earlier one.
    pub(super) fn found(&self) {
        self.read.store(READ_AFTER_DUPLICATE, Ordering::Relaxed);
    }
}

/// Whether nothing says that the message was here before.
fn is_probably_new(checked: &Checked<'_>) -> bool {
    let message = checked.message;
    !message.redelivered && message.redrive_count == 0 && message.attempt <= 1 && checked.start.is_none()
}

/// Whether one of these messages reuses the identity of another one. Then it must be known what the first of them was.
fn have_reuse(keys: &Keys) -> bool {
    let others = keys.messages.iter().skip(1);
    keys.messages
        .iter()
        .zip(others)
        .any(|((one, _), (other, _))| one == other)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use lockstep_bus::{Delivery, Properties};
    use lockstep_protocol::Digest;
    use lockstep_protocol::topology::Lane;
    use lockstep_store::{AttemptStart, DeliveryAttempt};

    use super::*;
    use crate::runtime::authority::Authority;
    use crate::runtime::intake::{Received, receive};
    use crate::runtime::poison::PoisonCheck;

    fn message() -> Received {
        let delivery = Delivery {
            body: "{}".into(),
            properties: Properties::default(),
            exchange: String::new(),
            routing_key: String::new(),
            redelivered: false,
        };
        receive(
            delivery,
            Some(Lane::Events),
            &Authority::default(),
            Timestamp::UNIX_EPOCH,
        )
    }

    fn assumed(duplicates: &RecentDuplicates, message: &Received, start: Option<AttemptStart>) -> bool {
        let checked = Checked {
            message,
            check: PoisonCheck::Shared,
            start,
        };
        duplicates.assume_new(&[&checked], &Keys::default())
    }

    #[test]
    fn only_first_deliveries_of_first_attempts_are_taken_for_new() {
        let duplicates = RecentDuplicates::default();
        assert!(assumed(&duplicates, &message(), None));
        let again: [fn(&mut Received); 3] = [
            |message| message.redelivered = true,
            |message| message.redrive_count = 1,
            |message| message.attempt = 2,
        ];
        for (case, change) in again.into_iter().enumerate() {
            let mut message = message();
            change(&mut message);
            assert!(!assumed(&duplicates, &message, None), "case {case}");
        }
        let start = AttemptStart {
            attempt: DeliveryAttempt {
                message: message().key,
                redrive_count: 0,
            },
            unfinished: 0,
        };
        assert!(!assumed(&duplicates, &message(), Some(start)));
    }

    #[test]
    fn one_that_was_here_before_makes_the_whole_batch_read() {
        let (new, mut old) = (message(), message());
        old.redelivered = true;
        let checked = [&new, &old].map(|message| Checked {
            message,
            check: PoisonCheck::Shared,
            start: None,
        });
        let duplicates = RecentDuplicates::default();
        assert!(!duplicates.assume_new(&[&checked[0], &checked[1]], &Keys::default()));
    }

    #[test]
    fn a_reuse_of_an_identity_within_a_batch_is_read() {
        let checked_message = message();
        let checked = Checked {
            message: &checked_message,
            check: PoisonCheck::Shared,
            start: None,
        };
        let (key, digest) = checked_message.key_and_digest();
        let mut keys = Keys::default();
        keys.messages.extend([(key.clone(), digest)]);
        let duplicates = RecentDuplicates::default();
        assert!(duplicates.assume_new(&[&checked], &keys));
        keys.messages.extend([(key, Digest::of_bytes(b"other content"))]);
        assert!(!duplicates.assume_new(&[&checked], &keys));
    }

    #[test]
    fn after_a_duplicate_rows_are_read_for_a_while() {
        let duplicates = RecentDuplicates::default();
        let message = message();
        for _ in 0..2 {
            duplicates.found();
            for _ in 0..READ_AFTER_DUPLICATE {
                assert!(!assumed(&duplicates, &message, None));
            }
            assert!(assumed(&duplicates, &message, None));
        }
    }
}
