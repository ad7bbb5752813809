//! Tracks which deliveries of a channel are acknowledged, and decides which acknowledgement frames to send. Pure.

use std::collections::BTreeMap;

/// Consecutive delivery tags, both ends included. A batch is always one range: a channel has one consumer, its tags count
/// up from 1, and batches are formed in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TagRange {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// Acknowledgement frames to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frames {
    /// One frame for all tags up to this one (`multiple`).
    UpTo(u64),
    /// One frame for each of these tags.
    Each(TagRange),
}

/// Keeps settled ranges until all earlier ones are settled, so that one frame acknowledges many deliveries.
///
/// The broker closes a channel on which a tag is acknowledged twice. Therefore multiple and single acknowledgements never
/// overlap: tags below the first abandoned range are acknowledged by `UpTo`, tags above it one by one.
#[derive(Debug, Default)]
pub(super) struct AckTracker {
    /// All tags up to this one are acknowledged.
    floor: u64,
    /// Settled ranges above the floor that are not acknowledged yet: first tag → last tag.
    waiting: BTreeMap<u64, u64>,
    /// The first tag of the first range that will never be settled. Ranges above it cannot wait for it.
    abandoned: Option<u64>,
}

impl AckTracker {
    /// Notes that a range is settled, and returns the frames to send.
    pub(super) fn settle(&mut self, range: TagRange) -> Option<Frames> {
        if self.abandoned.is_some_and(|abandoned| range.first > abandoned) {
            return Some(Frames::Each(range));
        }
        self.waiting.insert(range.first, range.last);
        let before = self.floor;
        while let Some(last) = self.waiting.remove(&(self.floor + 1)) {
            self.floor = last;
        }
        (self.floor > before).then_some(Frames::UpTo(self.floor))
    }

    /// Notes that a range will never be settled, and returns the frames for the ranges that waited for it.
    pub(super) fn abandon(&mut self, range: TagRange) -> Vec<Frames> {
        if self.abandoned.is_none_or(|abandoned| range.first < abandoned) {
            self.abandoned = Some(range.first);
        }
        self.waiting
            .split_off(&range.first)
            .into_iter()
            .map(|(first, last)| Frames::Each(TagRange { first, last }))
            .collect()
    }

    /// Returns the frames for all settled ranges that still wait; called when the channel ends.
    pub(super) fn finish(&mut self) -> Vec<Frames> {
        self.abandon(TagRange {
            first: self.floor + 1,
            last: self.floor + 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, last: u64) -> TagRange {
        TagRange { first, last }
    }

    fn each(first: u64, last: u64) -> Frames {
        Frames::Each(range(first, last))
    }

    #[test]
    fn one_frame_acknowledges_all_settled_ranges() {
        let table: &[(&[TagRange], &[Option<Frames>])] = &[
            (&[range(1, 1)], &[Some(Frames::UpTo(1))]),
            (
                &[range(1, 5), range(6, 6), range(7, 9)],
                &[
                    Some(Frames::UpTo(5)),
                    Some(Frames::UpTo(6)),
                    Some(Frames::UpTo(9)),
                ],
            ),
            (
                &[range(6, 9), range(10, 10), range(1, 5), range(11, 12)],
                &[None, None, Some(Frames::UpTo(10)), Some(Frames::UpTo(12))],
            ),
            (
                &[range(4, 4), range(2, 2), range(1, 1), range(3, 3)],
                &[None, None, Some(Frames::UpTo(2)), Some(Frames::UpTo(4))],
            ),
        ];
        for (settled, expected) in table {
            let mut tracker = AckTracker::default();
            let frames: Vec<_> = settled.iter().map(|range| tracker.settle(*range)).collect();
            assert_eq!(&frames, expected, "{settled:?}");
        }
    }

    #[test]
    fn ranges_after_an_abandoned_one_are_acknowledged_tag_by_tag() {
        let mut tracker = AckTracker::default();
        assert_eq!(tracker.settle(range(1, 2)), Some(Frames::UpTo(2)));
        assert_eq!(tracker.settle(range(9, 10)), None);
        assert_eq!(tracker.settle(range(5, 6)), None);
        // 3–4 is still being processed, 7–8 is abandoned.
        assert_eq!(tracker.abandon(range(7, 8)), [each(9, 10)]);
        assert_eq!(tracker.settle(range(11, 12)), Some(each(11, 12)));
        assert_eq!(tracker.settle(range(3, 4)), Some(Frames::UpTo(6)));
        assert_eq!(tracker.abandon(range(13, 13)), []);
        assert_eq!(tracker.settle(range(14, 14)), Some(each(14, 14)));
    }

    #[test]
    fn an_earlier_abandoned_range_lowers_the_boundary() {
        let mut tracker = AckTracker::default();
        assert_eq!(tracker.settle(range(3, 4)), None);
        assert_eq!(tracker.abandon(range(5, 5)), []);
        assert_eq!(tracker.abandon(range(1, 1)), [each(3, 4)]);
        assert_eq!(tracker.settle(range(2, 2)), Some(each(2, 2)));
    }

    #[test]
    fn finishing_acknowledges_only_settled_ranges() {
        let mut tracker = AckTracker::default();
        assert_eq!(tracker.settle(range(1, 3)), Some(Frames::UpTo(3)));
        assert_eq!(tracker.settle(range(7, 9)), None);
        assert_eq!(tracker.finish(), [each(7, 9)]);
        assert_eq!(tracker.finish(), []);
    }

    /// In any order of events, each settled tag is acknowledged exactly once, and no other tag is.
    #[test]
    fn every_settled_tag_is_acknowledged_once() {
        for seed in 0..2000_u64 {
            let mut random = seed;
            let mut next = |below: u64| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 33) % below
            };
            let mut ranges = Vec::new();
            let mut first = 1;
            while first < 20 {
                let last = first + next(3);
                ranges.push(range(first, last));
                first = last + 1;
            }
            let mut tracker = AckTracker::default();
            let (mut settled, mut acknowledged) = (Vec::new(), Vec::new());
            let mut floor = 0;
            let mut acknowledge = |frames: Frames| match frames {
                Frames::UpTo(tag) => {
                    acknowledged.extend(floor + 1..=tag);
                    floor = tag;
                }
                Frames::Each(range) => acknowledged.extend(range.first..=range.last),
            };
            while !ranges.is_empty() {
                let taken = ranges.remove(usize::try_from(next(ranges.len() as u64)).unwrap());
                if next(5) == 0 {
                    tracker.abandon(taken).into_iter().for_each(&mut acknowledge);
                } else {
                    settled.extend(taken.first..=taken.last);
                    tracker.settle(taken).into_iter().for_each(&mut acknowledge);
                }
            }
            tracker.finish().into_iter().for_each(&mut acknowledge);
            settled.sort_unstable();
            acknowledged.sort_unstable();
            assert_eq!(acknowledged, settled, "seed {seed}");
        }
    }
}
