//! Decides which elements may begin, and how many.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use lockstep_protocol::commands::RunLimits;

/// How many elements run at once, on all workers together. Nothing is bounded by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// Of all elements.
    pub overall: Option<NonZeroU32>,
    /// Of the elements of a provider, by its name.
    pub providers: BTreeMap<String, NonZeroU32>,
    /// Of the elements on the devices of a group, by its name.
    pub groups: BTreeMap<String, NonZeroU32>,
}

/// How many elements may run at once in a scope, and how many run there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The most that may run at once.
    pub cap: u32,
    /// Those that run.
    pub running: u32,
}

/// An element that asks to begin. `S` names a scope, `H` says why an execution is halted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<S, H> {
    /// Why its execution begins nothing more.
    pub halt: Option<H>,
    /// What keeps it from beginning, whatever is free: the stop of all executions, or its own execution because that is paused.
    pub held: Option<S>,
    /// The scopes in which it takes a place, in the order in which it waits for them.
    pub scopes: Vec<S>,
    /// Its device, which runs one element at a time.
    pub device: Option<S>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission<S, H> {
    /// It may begin.
    Run,
    /// It waits until there is a place in this scope.
    Wait(S),
    /// It never begins, because its execution is halted.
    Skip(H),
}

/// Answers requests in their order. One that has to wait takes no place and does not hold up the next ones. Scopes without a limit
/// are not bounded.
pub fn admit<S: Ord + Clone, H: Clone>(
    requests: &[Request<S, H>],
    limits: &BTreeMap<S, Limit>,
) -> Vec<Admission<S, H>> {
    let mut free: BTreeMap<&S, u32> = limits
        .iter()
        .map(|(scope, limit)| (scope, limit.cap.saturating_sub(limit.running)))
        .collect();
    let mut devices: BTreeSet<&S> = BTreeSet::new();
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        let full = |scope: &&S| free.get(scope) == Some(&0);
        let busy = |device: &&S| devices.contains(device) || full(device);
        let answer = if let Some(halt) = &request.halt {
            Admission::Skip(halt.clone())
        } else if let Some(scope) = &request.held {
            Admission::Wait(scope.clone())
        } else if let Some(scope) = request.scopes.iter().find(full) {
            Admission::Wait(scope.clone())
        } else if let Some(device) = request.device.as_ref().filter(busy) {
            Admission::Wait(device.clone())
        } else {
            let taken: BTreeSet<&S> = request.scopes.iter().chain(&request.device).collect();
            for scope in taken {
                free.entry(scope).and_modify(|places| *places -= 1);
            }
            devices.extend(&request.device);
            Admission::Run
        };
        answers.push(answer);
    }
    answers
}

/// How far an execution is in the stage that its canary and its waves are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Staged {
    /// Whether it is in its canary.
    pub in_canary: bool,
    /// How many elements ended the stage.
    pub ended: u64,
    /// How many began and are parked: they have not ended, so nothing takes their places in the canary or in the wave.
    pub parked: u64,
}

/// How many elements of an execution may run at once by its own limits, if they bound it: those of the canary that have not ended, after
/// that those of the wave. `staged` is `None` in stages that these are not about.
pub fn execution_cap(limits: &RunLimits, staged: Option<Staged>) -> Option<u32> {
    let staged = staged.and_then(|staged| {
        let open = last_of_wave(limits, staged)?.saturating_sub(staged.ended + staged.parked);
        Some(u32::try_from(open).unwrap_or(u32::MAX))
    });
    staged
        .into_iter()
        .chain(limits.at_once.map(NonZeroU32::get))
        .min()
}

/// How many elements will have ended when the canary has, or the wave that runs. `None` if neither bounds the execution.
fn last_of_wave(limits: &RunLimits, staged: Staged) -> Option<u64> {
    let canary = limits.canary.map_or(0, |canary| u64::from(canary.get()));
    if staged.in_canary && canary > 0 {
        return Some(canary);
    }
    let wave = u64::from(limits.wave?.get());
    let waves = staged.ended.saturating_sub(canary) / wave;
    Some(canary.saturating_add((waves + 1).saturating_mul(wave)))
}

/// How many of the elements of a new execution are queued at once, and the scope that the others wait for, if there are others.
/// `caps` are those that apply to all of its elements; the first one of the smallest counts.
pub fn initially<S: Clone>(elements: u64, caps: &[(S, u32)]) -> (u64, Option<S>) {
    match caps.iter().min_by_key(|(_, cap)| *cap) {
        Some((scope, cap)) if u64::from(*cap) < elements => (u64::from(*cap), Some(scope.clone())),
        _ => (elements, None),
    }
}

/// How many of the elements that wait for a scope may be queued: as many as there will be places when all queued ones run.
pub fn releasable(limit: Limit, queued: u32, waiting: u32) -> u32 {
    let free = limit.cap.saturating_sub(limit.running).saturating_sub(queued);
    free.min(waiting)
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::Admission::{Run, Skip, Wait};
    use super::*;

    type Text = Request<&'static str, &'static str>;
    type Limits<'a> = &'a [(&'static str, Limit)];
    type SomeCaps = &'static [(&'static str, u32)];

    fn request(scopes: &[&'static str], device: &'static str) -> Text {
        Request {
            halt: None,
            held: None,
            scopes: scopes.to_vec(),
            device: Some(device),
        }
    }

    fn limit(cap: u32, running: u32) -> Limit {
        Limit { cap, running }
    }

    #[test]
    fn a_place_in_each_scope_is_needed() {
        // limits; requests, each with its answer
        let table: [(Limits<'_>, Vec<(Text, _)>); 6] = [
            (
                &[],
                vec![(request(&["all"], "a"), Run), (request(&["all"], "b"), Run)],
            ),
            (
                &[("all", limit(3, 2))],
                vec![
                    (request(&["all"], "a"), Run),
                    (request(&["all"], "b"), Wait("all")),
                ],
            ),
            // Who waits takes no place, also not in the scopes that have one.
            (
                &[("all", limit(1, 0)), ("site", limit(1, 1))],
                vec![
                    (request(&["all", "site"], "a"), Wait("site")),
                    (request(&["all"], "b"), Run),
                    (request(&["all"], "c"), Wait("all")),
                ],
            ),
            // A device runs one at a time, within the batch and as counted.
            (
                &[("c", limit(1, 1))],
                vec![
                    (request(&[], "a"), Run),
                    (request(&[], "a"), Wait("a")),
                    (request(&[], "b"), Run),
                    (request(&[], "c"), Wait("c")),
                ],
            ),
            // More may run than the cap after it was lowered.
            (
                &[("all", limit(2, 5))],
                vec![(request(&["all"], "a"), Wait("all"))],
            ),
            // A scope that is named twice is one place.
            (
                &[("site", limit(1, 0))],
                vec![
                    (request(&["site", "site"], "a"), Run),
                    (request(&["site"], "b"), Wait("site")),
                ],
            ),
        ];
        for (limits, rows) in table {
            let (requests, expected): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            let limits = limits.iter().copied().collect();
            assert_eq!(admit(&requests, &limits), expected, "{limits:?} {requests:?}");
        }
    }

    #[test]
    fn what_is_halted_or_held_takes_no_place() {
        let halted = Request {
            halt: Some("cancelled"),
            held: Some("stop"),
            ..request(&["all"], "a")
        };
        let held = Request {
            held: Some("stop"),
            ..request(&["all"], "a")
        };
        let limits = [("all", limit(1, 0))].into();
        let answers = admit(&[halted, held, request(&["all"], "a")], &limits);
        assert_eq!(answers, [Skip("cancelled"), Wait("stop"), Run]);
    }

    /// Workers that decide one after the other, as the locks of scopes make them, never exceed a cap, and no place stays free
    /// without need.
    #[test]
    fn caps_hold_and_places_are_used() {
        const SCOPES: [&str; 4] = ["all", "provider", "site", "execution"];
        const DEVICES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
        let mut rng = StdRng::seed_from_u64(13);
        for _ in 0..500 {
            let caps: BTreeMap<&str, u32> = SCOPES
                .into_iter()
                .map(|scope| (scope, rng.random_range(0..8)))
                .filter(|(_, cap)| *cap < 5)
                .collect();
            let mut running: Vec<Text> = Vec::new();
            for _ in 0..10 {
                let keep = rng.random_range(0..=running.len());
                running.truncate(keep);
                let count = |scope: &str, running: &[Text]| {
                    let occupies =
                        |request: &&Text| request.scopes.contains(&scope) || request.device == Some(scope);
                    u32::try_from(running.iter().filter(occupies).count()).unwrap()
                };
                let limits = caps.iter().map(|(scope, cap)| (*scope, *cap));
                let limits = limits.chain(DEVICES.map(|device| (device, 1)));
                let limits: BTreeMap<&str, Limit> = limits
                    .map(|(scope, cap)| (scope, limit(cap, count(scope, &running))))
                    .collect();
                let requests: Vec<Text> = (0..rng.random_range(0..12))
                    .map(|_| {
                        let scopes = SCOPES.into_iter().filter(|_| rng.random_bool(0.5));
                        let scopes: Vec<&str> = scopes.collect();
                        request(&scopes, DEVICES[rng.random_range(0..DEVICES.len())])
                    })
                    .collect();
                let answers = admit(&requests, &limits);
                let admitted = requests
                    .iter()
                    .zip(&answers)
                    .filter(|(_, answer)| **answer == Run);
                running.extend(admitted.map(|(request, _)| request.clone()));
                for (scope, limit) in &limits {
                    let now = count(scope, &running);
                    assert!(now <= limit.cap.max(limit.running), "{scope}: {now} of {limit:?}");
                }
                for answer in &answers {
                    if let Wait(scope) = answer {
                        assert!(count(scope, &running) >= limits[scope].cap, "{scope} has a place");
                    }
                }
            }
        }
    }

    #[test]
    fn the_smallest_cap_says_how_many_are_queued() {
        // elements, caps; how many are queued, what the others wait for
        let table: [(u64, SomeCaps, u64, Option<&str>); 7] = [
            (0, &[("all", 2)], 0, None),
            (5, &[], 5, None),
            (5, &[("all", 5)], 5, None),
            (5, &[("all", 4)], 4, Some("all")),
            (5, &[("own", 3), ("all", 2)], 2, Some("all")),
            (5, &[("own", 2), ("all", 2)], 2, Some("own")),
            (u64::MAX, &[("all", u32::MAX)], u64::from(u32::MAX), Some("all")),
        ];
        for (elements, caps, queued, scope) in table {
            assert_eq!(initially(elements, caps), (queued, scope), "{elements} {caps:?}");
        }
    }

    #[test]
    fn so_many_are_released_as_find_a_place() {
        // cap, running, queued, waiting, released
        let table = [
            (0, 0, 0, 9, 0),
            (4, 0, 0, 9, 4),
            (4, 1, 2, 9, 1),
            (4, 3, 3, 9, 0),
            (4, 9, 0, 9, 0),
            (4, 0, 0, 2, 2),
            (u32::MAX, u32::MAX, u32::MAX, u32::MAX, 0),
        ];
        for (cap, running, queued, waiting, released) in table {
            assert_eq!(releasable(limit(cap, running), queued, waiting), released);
        }
    }

    #[test]
    fn an_execution_in_its_canary_runs_what_is_left_of_it() {
        let limits = |canary: u32, at_once: u32| RunLimits {
            canary: NonZeroU32::new(canary),
            at_once: NonZeroU32::new(at_once),
            ..RunLimits::default()
        };
        // 0 is no limit; canary, at once, in the canary, ended
        let table = [
            (0, 0, false, 0, None),
            (0, 8, false, 3, Some(8)),
            (5, 0, true, 0, Some(5)),
            (5, 0, true, 3, Some(2)),
            (5, 0, true, 7, Some(0)),
            (5, 0, false, 5, None),
            (5, 2, true, 0, Some(2)),
            (5, 2, true, 4, Some(1)),
            (5, 2, false, 5, Some(2)),
            (5, 0, true, u64::MAX, Some(0)),
        ];
        for (canary, at_once, in_canary, ended, expected) in table {
            let staged = Staged {
                in_canary,
                ended,
                parked: 0,
            };
            let cap = execution_cap(&limits(canary, at_once), Some(staged));
            assert_eq!(cap, expected, "{canary} {at_once} {in_canary} {ended}");
        }
    }

    #[test]
    fn a_wave_begins_when_all_before_it_ended_and_nothing_takes_the_place_of_what_is_parked() {
        let limits = |canary: u32, wave: u32, at_once: u32| RunLimits {
            canary: NonZeroU32::new(canary),
            wave: NonZeroU32::new(wave),
            at_once: NonZeroU32::new(at_once),
            ..RunLimits::default()
        };
        // 0 is no limit; canary, wave, at once, in the canary, ended, parked
        let table = [
            ((0, 3, 0), (false, 0, 0), Some(3)),
            ((0, 3, 0), (false, 2, 0), Some(1)),
            ((0, 3, 0), (false, 2, 1), Some(0)),
            ((0, 3, 0), (false, 3, 0), Some(3)),
            ((0, 3, 0), (false, 4, 0), Some(2)),
            ((0, 3, 0), (false, u64::MAX, 0), Some(0)),
            ((2, 3, 0), (true, 0, 0), Some(2)),
            ((2, 3, 0), (true, 1, 1), Some(0)),
            ((2, 3, 0), (false, 2, 0), Some(3)),
            ((2, 3, 0), (false, 4, 0), Some(1)),
            ((2, 3, 0), (false, 5, 0), Some(3)),
            ((2, 3, 2), (false, 5, 0), Some(2)),
            ((2, 3, 2), (false, 5, 2), Some(1)),
            // What is parked takes no place where only the number at once is bounded.
            ((0, 0, 4), (false, 9, 3), Some(4)),
            ((2, 0, 0), (false, 2, 3), None),
        ];
        for ((canary, wave, at_once), (in_canary, ended, parked), expected) in table {
            let staged = Staged {
                in_canary,
                ended,
                parked,
            };
            let limits = limits(canary, wave, at_once);
            assert_eq!(
                execution_cap(&limits, Some(staged)),
                expected,
                "{limits:?} {staged:?}"
            );
            let of_other_stage = NonZeroU32::new(at_once).map(NonZeroU32::get);
            assert_eq!(execution_cap(&limits, None), of_other_stage);
        }
    }
}
