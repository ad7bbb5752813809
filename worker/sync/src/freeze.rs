//! Freeze windows: when devices may not be changed, or when only. Pure.

use std::time::Duration;

use jiff::Timestamp;
use lockstep_execution::Schedule;

/// So many windows that follow one another are looked at, to find the time at which a device may be changed. Whoever waits for a later one
/// looks again then.
const MOST_CHANGES: usize = 100;

/// What a window does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WindowKind {
    /// Nothing is changed in it.
    #[default]
    Deny,
    /// What it applies to is changed only in it, or in another such window.
    Allow,
}

/// A window that comes again.
#[derive(Clone, Debug)]
pub struct FreezeWindow {
    /// Its name in the configuration.
    pub name: String,
    /// When it begins.
    pub begins: Schedule,
    /// How long it lasts.
    pub length: Duration,
    /// The groups whose devices it applies to. Empty: all devices.
    pub groups: Vec<String>,
    /// What it does.
    pub kind: WindowKind,
}

/// All windows of a site.
#[derive(Clone, Debug, Default)]
pub struct FreezeWindows(Vec<FreezeWindow>);

/// Whether a device may be changed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freeze {
    /// It may.
    Open,
    /// It may not.
    Closed {
        /// The name of the window that forbids it, or of the one that would allow it.
        window: String,
        /// What it does.
        kind: WindowKind,
        /// From when on it may.
        until: Timestamp,
    },
}

impl FreezeWindows {
    /// These windows.
    pub fn new(windows: Vec<FreezeWindow>) -> Self {
        Self(windows)
    }

    /// All of them.
    pub fn all(&self) -> &[FreezeWindow] {
        &self.0
    }

    /// Whether a device in these groups may be changed at a time. A window that denies wins over one that allows. If there are windows that
    /// allow, changes are possible only in one of them.
    pub fn at(&self, now: Timestamp, groups: &[String]) -> Freeze {
        let concerning: Vec<&FreezeWindow> = self.0.iter().filter(|window| window.concerns(groups)).collect();
        let Some((first, mut until)) = closed(&concerning, now) else {
            return Freeze::Open;
        };
        for _ in 0..MOST_CHANGES {
            match closed(&concerning, until) {
                Some((_, later)) if later > until => until = later,
                _ => break,
            }
        }
        Freeze::Closed {
            window: first.name.clone(),
            kind: first.kind,
            until,
        }
    }
}

/// The window that forbids a change at a time, and when to look again. `None` if a change is possible.
fn closed<'a>(windows: &[&'a FreezeWindow], at: Timestamp) -> Option<(&'a FreezeWindow, Timestamp)> {
    let of_kind = |kind: WindowKind| windows.iter().copied().filter(move |window| window.kind == kind);
    let denying = of_kind(WindowKind::Deny).filter_map(|window| Some((window, window.end(at)?)));
    if let Some(denied) = denying.max_by_key(|(_, end)| *end) {
        return Some(denied);
    }
    if of_kind(WindowKind::Allow).any(|window| window.end(at).is_some()) {
        return None;
    }
    let next = of_kind(WindowKind::Allow).filter_map(|window| Some((window, window.begins.next(at)?)));
    next.min_by_key(|(_, begin)| *begin)
}

impl FreezeWindow {
    fn concerns(&self, groups: &[String]) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|group| groups.contains(group))
    }

    /// When it ends, if it lasts at a time: it does from its beginning, and does not any more at its end.
    fn end(&self, at: Timestamp) -> Option<Timestamp> {
        let begin = self.begins.next(at.checked_sub(self.length).ok()?)?;
        // The first beginning that still lasts; one that overlaps goes on from there.
        (begin <= at).then(|| begin.saturating_add(self.length).unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(
        name: &str,
        cron: &str,
        zone: &str,
        hours: u64,
        kind: WindowKind,
        groups: &[&str],
    ) -> FreezeWindow {
        FreezeWindow {
            name: name.to_owned(),
            begins: Schedule::new(cron, zone, Timestamp::UNIX_EPOCH).unwrap(),
            length: Duration::from_secs(hours * 3600),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            kind,
        }
    }

    fn at(windows: &FreezeWindows, now: &str, groups: &[&str]) -> Option<(String, String)> {
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        match windows.at(now.parse().unwrap(), &groups) {
            Freeze::Open => None,
            Freeze::Closed { window, until, .. } => Some((window, until.to_string())),
        }
    }

    /// The windows, then: time, groups, the window that forbids it and until when.
    type Row = (
        &'static str,
        &'static [&'static str],
        Option<(&'static str, &'static str)>,
    );

    fn check(windows: Vec<FreezeWindow>, table: &[Row]) {
        let windows = FreezeWindows::new(windows);
        for (now, groups, expected) in table {
            let expected = expected.map(|(window, until)| (window.to_owned(), until.to_owned()));
            assert_eq!(at(&windows, now, groups), expected, "{now} {groups:?}");
        }
    }

    use WindowKind::{Allow, Deny};

    #[test]
    fn without_windows_everything_may_be_changed() {
        check(Vec::new(), &[("2026-11-30T08:00:00Z", &["core"], None)]);
    }

    #[test]
    fn a_window_denies_from_its_beginning_until_its_end_for_its_groups() {
        check(
            vec![window("exam", "0 8 * * MON", "UTC", 4, Deny, &["campus", "lab"])],
            &[
                // The 30th is a Monday.
                ("2026-11-30T07:59:59Z", &["campus"], None),
                (
                    "2026-11-30T08:00:00Z",
                    &["campus"],
                    Some(("exam", "2026-11-30T12:00:00Z")),
                ),
                (
                    "2026-11-30T11:59:59Z",
                    &["core", "lab"],
                    Some(("exam", "2026-11-30T12:00:00Z")),
                ),
                ("2026-11-30T12:00:00Z", &["campus"], None),
                ("2026-11-30T09:00:00Z", &["core"], None),
                ("2026-11-30T09:00:00Z", &[], None),
                ("2026-12-01T09:00:00Z", &["campus"], None),
            ],
        );
    }

    #[test]
    fn windows_that_overlap_or_follow_one_another_are_one() {
        check(
            vec![
                window("early", "0 8 * * *", "UTC", 2, Deny, &[]),
                window("late", "0 9 * * *", "UTC", 3, Deny, &[]),
                window("noon", "0 12 * * *", "UTC", 1, Deny, &[]),
            ],
            &[
                (
                    "2026-11-30T08:30:00Z",
                    &[],
                    Some(("early", "2026-11-30T13:00:00Z")),
                ),
                (
                    "2026-11-30T09:30:00Z",
                    &[],
                    Some(("late", "2026-11-30T13:00:00Z")),
                ),
                ("2026-11-30T13:00:00Z", &[], None),
            ],
        );
        // It begins again before it ends.
        check(
            vec![window("hourly", "0 * * * *", "UTC", 2, Deny, &[])],
            &[(
                "2026-11-30T08:30:00Z",
                &[],
                Some(("hourly", "2026-12-04T13:00:00Z")),
            )],
        );
    }

    #[test]
    fn if_windows_allow_changes_are_possible_only_in_them_and_a_denial_wins() {
        let windows = || {
            vec![
                window("night", "0 22 * * *", "UTC", 4, Allow, &["core"]),
                window("morning", "0 5 * * *", "UTC", 1, Allow, &["core"]),
                window("year-end", "0 0 24 12 *", "UTC", 24 * 8, Deny, &[]),
            ]
        };
        check(
            windows(),
            &[
                (
                    "2026-11-30T12:00:00Z",
                    &["core"],
                    Some(("night", "2026-11-30T22:00:00Z")),
                ),
                ("2026-11-30T22:00:00Z", &["core"], None),
                ("2026-12-01T01:59:59Z", &["core"], None),
                (
                    "2026-12-01T02:00:00Z",
                    &["core"],
                    Some(("morning", "2026-12-01T05:00:00Z")),
                ),
                ("2026-11-30T12:00:00Z", &["access"], None),
                // Open by a window that allows, and denied by another; when that one ends, it is in the middle of one that allows.
                (
                    "2026-12-24T23:00:00Z",
                    &["core"],
                    Some(("year-end", "2027-01-01T00:00:00Z")),
                ),
                (
                    "2026-12-25T12:00:00Z",
                    &["access"],
                    Some(("year-end", "2027-01-01T00:00:00Z")),
                ),
                ("2026-12-23T22:30:00Z", &["core"], None),
            ],
        );
        let mut ends_at_noon = windows();
        ends_at_noon.push(window("until-noon", "0 0 * * *", "UTC", 12, Deny, &["core"]));
        // The denial ends at noon, and the next window that allows begins at ten in the evening.
        check(
            ends_at_noon,
            &[(
                "2026-11-30T05:30:00Z",
                &["core"],
                Some(("until-noon", "2026-11-30T22:00:00Z")),
            )],
        );
    }

    #[test]
    fn windows_follow_the_clock_of_their_time_zone() {
        // In Stockholm, 02:30 does not exist on 2026-03-29, and comes twice on 2026-10-25.
        check(
            vec![window("night", "30 2 * * *", "Europe/Stockholm", 2, Deny, &[])],
            &[
                (
                    "2026-03-28T01:30:00Z",
                    &[],
                    Some(("night", "2026-03-28T03:30:00Z")),
                ),
                // The window begins at the first instant after the gap: 03:00, which is 01:00 UTC.
                ("2026-03-29T00:59:59Z", &[], None),
                (
                    "2026-03-29T01:00:00Z",
                    &[],
                    Some(("night", "2026-03-29T03:00:00Z")),
                ),
                (
                    "2026-03-30T00:30:00Z",
                    &[],
                    Some(("night", "2026-03-30T02:30:00Z")),
                ),
                // It begins when the clock shows 02:30 for the first time, lasts two hours, and does not begin again.
                ("2026-10-25T00:29:59Z", &[], None),
                (
                    "2026-10-25T00:30:00Z",
                    &[],
                    Some(("night", "2026-10-25T02:30:00Z")),
                ),
                (
                    "2026-10-25T01:30:00Z",
                    &[],
                    Some(("night", "2026-10-25T02:30:00Z")),
                ),
                ("2026-10-25T02:30:00Z", &[], None),
                (
                    "2026-10-26T01:30:00Z",
                    &[],
                    Some(("night", "2026-10-26T03:30:00Z")),
                ),
            ],
        );
    }
}
