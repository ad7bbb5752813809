//! Times as people write them.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];

/// Reads a time, such as "30d" or "1m 30s"; a day has 24 hours, and nothing longer than weeks has a length.
pub(super) fn read(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(duration).ok()
}

/// The time in the largest unit of which it is a whole number, as it can be read again.
pub(super) fn shown(time: Duration) -> String {
    let seconds = time.as_secs();
    if time.subsec_nanos() > 0 {
        return format!("{}ms", time.as_millis());
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
    fn times_are_read_and_shown_alike() {
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
            let time = read(text);
            assert_eq!(time, Some(Duration::from_secs(seconds)), "{text}");
            assert_eq!(shown(time.unwrap_or_default()), again, "{text}");
            assert_eq!(read(again), time, "{text}");
        }
        assert_eq!(shown(Duration::from_millis(1500)), "1500ms");
        for text in ["", "30", "d", "-3d", "1 month", "1y", "soon"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
