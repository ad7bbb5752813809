use std::time::Duration;

use lockstep_worker::retention::Keep;

use super::reader::Reader;

const DAY: Duration = Duration::from_hours(24);
const MOST: Duration = Duration::from_hours(24 * 3650);

/// `[retention]`
#[derive(Debug)]
pub(crate) struct RetentionConfig {
    /// How long to pause between two rounds.
    pub(crate) every: Duration,
    /// How long things are kept.
    pub(crate) keep: Keep,
}

impl RetentionConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        let every = Duration::from_secs(1)..=7 * DAY;
        let why = "a message may wait for days in a queue, and one that is delivered again after its row is gone is worked again";
        Self {
            every: reader.duration("retention.every", Duration::from_hours(1), every, None),
            keep: Keep {
                inbox: reader.duration("retention.inbox", 30 * DAY, Keep::LEAST_INBOX..=MOST, Some(why)),
                causes: reader.duration("retention.causes", 30 * DAY, DAY..=MOST, None),
                dead_letters: reader.duration("retention.dead_letters", 90 * DAY, DAY..=MOST, None),
            },
        }
    }
}
