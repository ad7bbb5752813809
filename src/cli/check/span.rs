//! Ages as people write and read them. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::read_duration;

/// Units of ages in seconds, the largest first.
const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];

/// Reads an age, such as "30m" or "1d 12h".
///
/// # Errors
/// If it is none; the error has an example.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    read_duration(text).ok_or_else(|| "write an age such as 30m, 1h 30m or 7d".to_owned())
}

/// An age in its two largest units: `2h 5m`.
pub(super) fn shown(seconds: u64) -> String {
    let mut rest = seconds;
    let parts = UNITS.map(|(unit, name)| {
        let count = rest / unit;
        rest %= unit;
        (count, name)
    });
    let first = parts.iter().position(|(count, _)| *count > 0);
    let first = first.unwrap_or(UNITS.len() - 1);
    let shown = parts.iter().skip(first).take(2);
    let shown: Vec<String> = shown
        .enumerate()
        .filter(|(index, (count, _))| *index == 0 || *count > 0)
        .map(|(_, (count, name))| format!("{count}{name}"))
        .collect();
    shown.join(" ")
}

/// How many seconds there are from one time to another; none if that is the earlier one.
pub(super) fn between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_its_two_largest_units() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (303, "5m 3s"),
            (7500, "2h 5m"),
            (7203, "2h"),
            (90_000, "1d 1h"),
            (86_400 * 400 + 59, "400d"),
        ] {
            assert_eq!(shown(seconds), expected);
        }
    }

    #[test]
    fn ages_are_read_as_people_write_them() {
        for (text, seconds) in [("30m", 1800), ("1h 30m", 5400), ("7d", 604_800), ("1w", 604_800)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "30", "soon", "-1h", "1 month"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
