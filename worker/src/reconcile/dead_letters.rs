use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_bus::{Bus, Outgoing};

use super::{Page, Repair, RepairError};
use crate::runtime::requeued;
use lockstep_clock::Clock;
use lockstep_store::{DeadLetter, DeadLetters};

/// Letters in one page: each may be 4 MiB.
const PAGE: u32 = 32;
/// After so many turns a letter is published again every so many turns, no more seldom.
const LONGEST: u64 = 64;

/// Dead letters that were requeued and not worked since: the copy that was published then is lost, or still waits. They are
/// published again, with the same identity and epoch, at growing intervals: the lane may stand still, and must not fill up.
#[derive(Debug)]
pub struct RequeuedDeadLetters {
    dead_letters: Arc<dyn DeadLetters>,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    turn: Duration,
    progress: Mutex<Progress>,
}

/// How far the pages came.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// When all letters were looked at last.
    looked: Option<Timestamp>,
    /// Since when they are being looked at, and up to which.
    looking: Option<(Timestamp, u64)>,
}

impl RequeuedDeadLetters {
    /// Published again first when a turn is over, then after two, four and so on.
    pub fn new(
        dead_letters: Arc<dyn DeadLetters>,
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        turn: Duration,
    ) -> Self {
        Self {
            dead_letters,
            bus,
            clock,
            turn,
            progress: Mutex::default(),
        }
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Repair for RequeuedDeadLetters {
    fn what(&self) -> &'static str {
        "dead-letter"
    }

    async fn page(&self) -> Result<Page, RepairError> {
        let Progress { looked, looking } = *self.progress();
        let (began, after) = looking.unwrap_or_else(|| (self.clock.now(), 0));
        let page = self.dead_letters.due(began - self.turn, after, PAGE).await?;
        let due = |dead_letter: &&DeadLetter| {
            let requeued = dead_letter.head.settled_at;
            requeued.is_none_or(|requeued| is_due(requeued, looked, began, self.turn))
        };
        let copies: Vec<Outgoing> = page.iter().filter(due).filter_map(requeued).collect();
        let repaired = copies.len() as u64;
        if repaired > 0 {
            self.bus.publish(copies).await?;
        }
        let last = page.last().filter(|_| page.len() == PAGE as usize);
        *self.progress() = match last {
            Some(dead_letter) => Progress {
                looked,
                looking: Some((began, dead_letter.head.number)),
            },
            None => Progress {
                looked: Some(began),
                looking: None,
            },
        };
        Ok(Page {
            repaired,
            more: last.is_some(),
        })
    }
}

/// Whether it is time for a letter that was requeued then, if all were looked at last at `looked`.
fn is_due(requeued: Timestamp, looked: Option<Timestamp>, now: Timestamp, turn: Duration) -> bool {
    looked.is_none_or(|looked| times(requeued, looked, turn) < times(requeued, now, turn))
}

/// How often a letter that was requeued then is to have been published again by now: after 1, 2, 4, … turns.
fn times(requeued: Timestamp, now: Timestamp, turn: Duration) -> u64 {
    let age = u128::try_from(now.duration_since(requeued).as_millis()).unwrap_or(0);
    let turns = u64::try_from(age / turn.as_millis().max(1)).unwrap_or(u64::MAX);
    if turns < LONGEST {
        u64::from(u64::BITS - turns.leading_zeros())
    } else {
        u64::from(LONGEST.ilog2()) + turns / LONGEST
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use lockstep_protocol::Identity;

    use super::*;
    use crate::reconcile::fakes::{FakeBus, FakeClock, FakeMode};
    use lockstep_store::{
        DeadLetterCountQuery, DeadLetterQuery, DeadLetterState, DeadLetterSummary, DeadLetterTotals,
        MessageProperties, StoreError,
    };

    #[derive(Debug, Default)]
    struct FakeDeadLetters(Mutex<BTreeMap<u64, DeadLetter>>);

    #[async_trait]
    impl DeadLetters for FakeDeadLetters {
        async fn dead_letters(&self, _query: &DeadLetterQuery) -> Result<Vec<DeadLetterSummary>, StoreError> {
            unreachable!("nobody lists")
        }

        async fn dead_letter_totals(
            &self,
            _query: &DeadLetterCountQuery,
        ) -> Result<DeadLetterTotals, StoreError> {
            unreachable!("nobody counts")
        }

        async fn dead_letter(&self, _number: u64) -> Result<Option<DeadLetter>, StoreError> {
            unreachable!("nobody looks")
        }

        async fn requeued_by(
            &self,
            _request: &Identity,
            _after: u64,
            _limit: u32,
        ) -> Result<Vec<DeadLetter>, StoreError> {
            unreachable!("nobody asks")
        }

        async fn due(
            &self,
            before: Timestamp,
            after: u64,
            limit: u32,
        ) -> Result<Vec<DeadLetter>, StoreError> {
            let dead_letters = self.0.lock().unwrap();
            let due = dead_letters
                .range(after + 1..)
                .map(|(_, dead_letter)| dead_letter.clone())
                .filter(|dead_letter| dead_letter.head.settled_at.is_some_and(|at| at < before));
            Ok(due.take(limit as usize).collect())
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn dead_letter(number: u64, requeued: i64) -> DeadLetter {
        dead_letter_of("events", number, requeued)
    }

    fn dead_letter_of(lane: &str, number: u64, requeued: i64) -> DeadLetter {
        DeadLetter {
            head: DeadLetterSummary {
                number,
                state: DeadLetterState::Requeued,
                settled_at: Some(at(requeued)),
                settled_by: None,
                identity: Identity::of_undecodable(&number.to_be_bytes()),
                redrive_count: 0,
                lane: lane.to_owned(),
                kind: String::new(),
                subject: None,
                actor: None,
                code: "unknown-device".to_owned(),
                reason: String::new(),
                place: None,
                attempts: 1,
                first_at: at(0),
                died_at: at(0),
                bytes: 0,
            },
            body: Bytes::new(),
            properties: MessageProperties {
                message_id: Some(number.to_string()),
                ..MessageProperties::default()
            },
        }
    }

    struct Scene {
        dead_letters: Arc<FakeDeadLetters>,
        bus: Arc<FakeBus>,
        clock: Arc<FakeClock>,
        repair: RequeuedDeadLetters,
    }

    fn scene(dead_letters: impl IntoIterator<Item = DeadLetter>) -> Scene {
        let dead_letters = dead_letters
            .into_iter()
            .map(|dead_letter| (dead_letter.head.number, dead_letter));
        let dead_letters = Arc::new(FakeDeadLetters(Mutex::new(dead_letters.collect())));
        let (bus, clock) = (Arc::<FakeBus>::default(), Arc::<FakeClock>::default());
        let turn = Duration::from_mins(1);
        let repair = RequeuedDeadLetters::new(dead_letters.clone(), bus.clone(), clock.clone(), turn);
        Scene {
            dead_letters,
            bus,
            clock,
            repair,
        }
    }

    impl Scene {
        async fn pass(&self) -> Result<u64, RepairError> {
            let mut repaired = 0;
            loop {
                let page = self.repair.page().await?;
                repaired += page.repaired;
                if !page.more {
                    return Ok(repaired);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_dead_letter_is_published_again_at_growing_intervals_until_it_is_worked() {
        let scene = scene([dead_letter(7, 0)]);
        let mut minutes = Vec::new();
        for minute in 0..200 {
            // Each pass a little late.
            scene.clock.set(at(minute * 60 + 2));
            if scene.pass().await.unwrap() > 0 {
                minutes.push(minute);
            }
        }
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 64, 128, 192]);
        scene.dead_letters.0.lock().unwrap().clear();
        scene.clock.set(at(1_000_000));
        assert_eq!(scene.pass().await.unwrap(), 0);
    }

    #[tokio::test]
    async fn whoever_takes_over_publishes_all_that_are_due_page_by_page() {
        let scene = scene(
            (1..=100)
                .map(|number| dead_letter(number, 0))
                .chain([dead_letter(101, 599)]),
        );
        scene.clock.set(at(600));
        assert_eq!(scene.pass().await.unwrap(), 100, "one is too young");
        let published = scene.bus.published();
        let mut ids: Vec<u64> = published
            .iter()
            .filter_map(|outgoing| outgoing.properties.message_id.as_ref()?.parse().ok())
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, (1..=100).collect::<Vec<u64>>());
    }

    #[tokio::test]
    async fn a_page_that_failed_is_done_again_and_the_ones_before_it_are_not() {
        let scene = scene((1..=100).map(|number| dead_letter(number, 0)));
        scene.clock.set(at(600));
        assert!(scene.repair.page().await.unwrap().more);
        scene.bus.set_mode(FakeMode::Closed);
        scene.repair.page().await.unwrap_err();
        scene.bus.set_mode(FakeMode::Confirm);
        scene.clock.set(at(660));
        assert_eq!(scene.pass().await.unwrap(), 68);
        assert_eq!(scene.bus.published().len(), 100);
    }

    #[tokio::test]
    async fn a_dead_letter_of_a_lane_that_only_newer_workers_know_is_left_to_them() {
        let scene = scene([dead_letter_of("newer", 1, 0), dead_letter(2, 0)]);
        scene.clock.set(at(600));
        assert_eq!(scene.pass().await.unwrap(), 1);
        let published = scene.bus.published();
        assert_eq!(published[0].properties.message_id.as_deref(), Some("2"));
        assert_eq!(published[0].properties.headers["lockstep-redrive-count"], "1");
    }
}
