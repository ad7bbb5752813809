//! Durations as people write them.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];

/// Reads a duration, such as "30d" or "1m 30s". A day has 24 hours; months and years are refused.
pub(crate) fn read(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(duration).ok()
}

/// The duration in the largest unit of which it is a whole number. [`read`] can read it again.
pub(super) fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_nanos() > 0 {
        return format!("{}ms", duration.as_millis());
    }
    let fits = UNITS
        .into_iter()
        .find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    fits.map_or_else(
        || "0s".to_owned(),
        |(unit, name)| format!("{}{name}", seconds / unit),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_duration_can_be_read_again() {
        let table = [
            ("30d", 2_592_000, "30d"),
            ("2w", 1_209_600, "14d"),
            ("48h", 172_800, "2d"),
            ("36h", 129_600, "36h"),
            ("1m 30s", 90, "90s"),
            ("90 seconds", 90, "90s"),
            ("P1D", 86_400, "1d"),
            ("0s", 0, "0s"),
        ];
        for (text, seconds, again) in table {
            let duration = read(text);
            assert_eq!(duration, Some(Duration::from_secs(seconds)), "{text}");
            assert_eq!(shown(duration.unwrap_or_default()), again, "{text}");
            assert_eq!(read(again), duration, "{text}");
        }
        assert_eq!(shown(Duration::from_millis(1500)), "1500ms");
        for text in ["", "30", "d", "-3d", "1 month", "1y", "soon"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
