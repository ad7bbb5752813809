//! Which deliveries of one channel are settled, and what to tell the broker: pure bookkeeping.

use std::collections::BTreeMap;

/// Consecutive delivery tags, both ends included. A batch is always one run: a channel has one consumer, its tags count
/// up from 1, and batches are cut off in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// What to acknowledge now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frames {
    /// All up to this tag, in one frame.
    UpTo(u64),
    /// These, each in a frame of its own.
    Each(Run),
}

/// Keeps settled runs until all before them are settled too, so that one frame settles many.
///
/// The broker closes a channel on which a tag is acknowledged twice. Two regions keep single and multiple acknowledgements
/// apart: below the first abandoned run everything is acknowledged by `UpTo`, above it tag by tag; a tag is in one of
/// them, and told once.
#[derive(Debug, Default)]
pub(super) struct AckTracker {
    /// All tags up to here are acknowledged.
    floor: u64,
    /// Settled runs above the floor, not acknowledged yet: first tag → last tag.
    waiting: BTreeMap<u64, u64>,
    /// The first tag whose batch will never be settled. Nothing above it can wait for all before it.
    abandoned: Option<u64>,
}

impl AckTracker {
    /// The run is settled; says what to acknowledge.
    pub(super) fn settle(&mut self, run: Run) -> Option<Frames> {
        if self.abandoned.is_some_and(|abandoned| run.first > abandoned) {
            return Some(Frames::Each(run));
        }
        self.waiting.insert(run.first, run.last);
        let before = self.floor;
        while let Some(last) = self.waiting.remove(&(self.floor + 1)) {
            self.floor = last;
        }
        (self.floor > before).then_some(Frames::UpTo(self.floor))
    }

    /// The run will never be settled; says what to acknowledge because it had waited for it.
    pub(super) fn abandon(&mut self, run: Run) -> Vec<Frames> {
        if self.abandoned.is_none_or(|abandoned| run.first < abandoned) {
            self.abandoned = Some(run.first);
        }
        self.waiting
            .split_off(&run.first)
            .into_iter()
            .map(|(first, last)| Frames::Each(Run { first, last }))
            .collect()
    }

    /// Nothing will be settled any more; says what to acknowledge of what had waited.
    pub(super) fn finish(&mut self) -> Vec<Frames> {
        self.abandon(Run {
            first: self.floor + 1,
            last: self.floor + 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: u64, last: u64) -> Run {
        Run { first, last }
    }

    fn each(first: u64, last: u64) -> Frames {
        Frames::Each(run(first, last))
    }

    #[test]
    fn one_frame_settles_all_that_waited() {
        let table: &[(&[Run], &[Option<Frames>])] = &[
            (&[run(1, 1)], &[Some(Frames::UpTo(1))]),
            (
                &[run(1, 5), run(6, 6), run(7, 9)],
                &[
                    Some(Frames::UpTo(5)),
                    Some(Frames::UpTo(6)),
                    Some(Frames::UpTo(9)),
                ],
            ),
            (
                &[run(6, 9), run(10, 10), run(1, 5), run(11, 12)],
                &[None, None, Some(Frames::UpTo(10)), Some(Frames::UpTo(12))],
            ),
            (
                &[run(4, 4), run(2, 2), run(1, 1), run(3, 3)],
                &[None, None, Some(Frames::UpTo(2)), Some(Frames::UpTo(4))],
            ),
        ];
        for (settled, expected) in table {
            let mut tracker = AckTracker::default();
            let frames: Vec<_> = settled.iter().map(|run| tracker.settle(*run)).collect();
            assert_eq!(&frames, expected, "{settled:?}");
        }
    }

    #[test]
    fn what_waits_for_an_abandoned_run_is_told_one_by_one() {
        let mut tracker = AckTracker::default();
        assert_eq!(tracker.settle(run(1, 2)), Some(Frames::UpTo(2)));
        assert_eq!(tracker.settle(run(9, 10)), None);
        assert_eq!(tracker.settle(run(5, 6)), None);
        // 3–4 is under way, 7–8 is given up.
        assert_eq!(tracker.abandon(run(7, 8)), [each(9, 10)]);
        assert_eq!(tracker.settle(run(11, 12)), Some(each(11, 12)));
        assert_eq!(tracker.settle(run(3, 4)), Some(Frames::UpTo(6)));
        assert_eq!(tracker.abandon(run(13, 13)), []);
        assert_eq!(tracker.settle(run(14, 14)), Some(each(14, 14)));
    }

    #[test]
    fn an_earlier_abandoned_run_comes_first() {
        let mut tracker = AckTracker::default();
        assert_eq!(tracker.settle(run(3, 4)), None);
        assert_eq!(tracker.abandon(run(5, 5)), []);
        assert_eq!(tracker.abandon(run(1, 1)), [each(3, 4)]);
        assert_eq!(tracker.settle(run(2, 2)), Some(each(2, 2)));
    }

    #[test]
    fn finishing_leaves_out_what_is_not_settled() {
        let mut tracker = AckTracker::default();
        assert_eq!(tracker.settle(run(1, 3)), Some(Frames::UpTo(3)));
        assert_eq!(tracker.settle(run(7, 9)), None);
        assert_eq!(tracker.finish(), [each(7, 9)]);
        assert_eq!(tracker.finish(), []);
    }

    /// Whatever the order, each settled tag is told exactly once and no other.
    #[test]
    fn every_settled_tag_is_told_once() {
        for seed in 0..2000_u64 {
            let mut random = seed;
            let mut next = |below: u64| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 33) % below
            };
            let mut runs = Vec::new();
            let mut first = 1;
            while first < 20 {
                let last = first + next(3);
                runs.push(run(first, last));
                first = last + 1;
            }
            let mut tracker = AckTracker::default();
            let (mut settled, mut told) = (Vec::new(), Vec::new());
            let mut floor = 0;
            let mut tell = |frames: Frames| match frames {
                Frames::UpTo(tag) => {
                    told.extend(floor + 1..=tag);
                    floor = tag;
                }
                Frames::Each(run) => told.extend(run.first..=run.last),
            };
            while !runs.is_empty() {
                let taken = runs.remove(usize::try_from(next(runs.len() as u64)).unwrap());
                if next(5) == 0 {
                    tracker.abandon(taken).into_iter().for_each(&mut tell);
                } else {
                    settled.extend(taken.first..=taken.last);
                    tracker.settle(taken).into_iter().for_each(&mut tell);
                }
            }
            tracker.finish().into_iter().for_each(&mut tell);
            settled.sort_unstable();
            told.sort_unstable();
            assert_eq!(told, settled, "seed {seed}");
        }
    }
}
