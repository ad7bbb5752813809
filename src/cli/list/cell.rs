use std::cmp::Reverse;

use jiff::Timestamp;

/// A value in a list. Values of one column sort by themselves: absent ones last, the youngest age first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum Cell {
    Boolean(bool),
    Number(u64),
    Time(Timestamp),
    /// The time since then.
    Age(Reverse<Timestamp>),
    Text(String),
    /// An identifier of which the first characters usually suffice, such as that of a commit.
    Digest(String),
    Absent,
}

/// How many characters of a digest a table shows.
const DIGEST: usize = 12;

impl Cell {
    /// A text; absent if it is empty.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "columns pass references of many types"
    )]
    pub(in crate::cli) fn text(text: impl ToString) -> Self {
        let text = text.to_string();
        if text.is_empty() {
            Self::Absent
        } else {
            Self::Text(text)
        }
    }

    /// A text, if there is one.
    pub(in crate::cli) fn maybe(text: Option<impl ToString>) -> Self {
        text.map_or(Self::Absent, Self::text)
    }

    /// A number that is never negative.
    pub(in crate::cli) fn count(count: i64) -> Self {
        Self::Number(count.try_into().unwrap_or_default())
    }

    /// A time, if there is one.
    pub(in crate::cli) fn time(time: Option<Timestamp>) -> Self {
        time.map_or(Self::Absent, Self::Time)
    }

    /// The time since then, if it is known.
    pub(in crate::cli) fn age(since: Option<Timestamp>) -> Self {
        since.map_or(Self::Absent, |since| Self::Age(Reverse(since)))
    }

    /// For people.
    pub(super) fn shown(&self, now: Timestamp, in_full: bool) -> String {
        match self {
            Self::Boolean(true) => "yes".to_owned(),
            Self::Boolean(false) => "no".to_owned(),
            Self::Time(time) => format!("{time:.0}"),
            Self::Age(Reverse(since)) => age(*since, now),
            Self::Digest(digest) if !in_full => digest.chars().take(DIGEST).collect(),
            Self::Absent => "-".to_owned(),
            Self::Number(_) | Self::Text(_) | Self::Digest(_) => self.exact(now),
        }
    }

    /// For programs: times in full, ages in seconds, empty if absent.
    pub(super) fn exact(&self, now: Timestamp) -> String {
        match self {
            Self::Boolean(value) => value.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Time(time) => time.to_string(),
            Self::Age(Reverse(since)) => seconds(*since, now).to_string(),
            Self::Text(text) | Self::Digest(text) => text.clone(),
            Self::Absent => String::new(),
        }
    }
}

/// The age in the largest unit that is still precise enough.
fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = seconds(since, now);
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn seconds(since: Timestamp, now: Timestamp) -> i64 {
    now.as_second().saturating_sub(since.as_second()).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn ages_are_shown_in_the_largest_precise_unit() {
        for (seconds, expected) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7200, "2h"),
            (172_800, "2d"),
        ] {
            let cell = Cell::age(Some(at(1_000_000 - seconds)));
            assert_eq!(cell.shown(at(1_000_000), false), expected);
        }
        assert!(
            Cell::age(Some(Timestamp::MIN))
                .shown(Timestamp::MAX, false)
                .ends_with('d')
        );
    }

    #[test]
    fn people_and_programs_read_the_same_value() {
        let commit = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";
        for (cell, shown, exact) in [
            (Cell::Boolean(true), "yes", "true"),
            (Cell::Number(7), "7", "7"),
            (
                Cell::Time("2026-02-03T04:05:06.7Z".parse().unwrap()),
                "2026-02-03T04:05:06Z",
                "2026-02-03T04:05:06.7Z",
            ),
            (Cell::age(Some(at(0))), "1d", "90000"),
            (Cell::Digest(commit.to_owned()), "6113728f27ae", commit),
            (Cell::text(""), "-", ""),
            (Cell::maybe(None::<String>), "-", ""),
        ] {
            let day = at(90_000);
            let expected = if shown == "1d" { "25h" } else { shown };
            assert_eq!(cell.shown(day, false), expected);
            assert_eq!(cell.exact(day), exact);
        }
        assert_eq!(Cell::Digest(commit.to_owned()).shown(at(0), true), commit);
    }

    #[test]
    fn absent_values_sort_last_and_the_youngest_first() {
        let mut cells = [Cell::Absent, Cell::age(Some(at(1))), Cell::age(Some(at(2)))];
        cells.sort();
        assert_eq!(
            cells,
            [Cell::age(Some(at(2))), Cell::age(Some(at(1))), Cell::Absent]
        );
        assert!(Cell::Number(9) < Cell::Number(10));
    }
}
