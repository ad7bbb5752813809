use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use lockstep_clock::{Clock, SystemClock};

/// The forms of a time that people write.
const FORMS: &str = "write 2026-03-01T08:00:00Z, 2026-03-01T08:00 or 2026-03-01 (its beginning; both in the local time zone), tomorrow, \
    or a time from now such as 2h, +90m or 3d";

/// The time that an option names.
///
/// # Errors
/// If it has none of the forms; the error lists them.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    time(text, &SystemClock.now().to_zoned(TimeZone::system()))
}

fn time(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let text = text.trim();
    let local = |time: DateTime| time.to_zoned(now.time_zone().clone()).ok();
    let found = if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    } else if text.eq_ignore_ascii_case("tomorrow") {
        now.tomorrow().ok().and_then(|day| day.start_of_day().ok())
    } else if let Ok(span) = text.parse::<Span>() {
        now.checked_add(span).ok().filter(|then| then > now)
    } else if text.contains([':']) {
        text.parse::<DateTime>().ok().and_then(local)
    } else {
        let day = text.parse::<Date>().ok();
        day.and_then(|day| local(day.to_datetime(jiff::civil::Time::midnight())))
    };
    found.map(|then| then.timestamp()).ok_or_else(|| FORMS.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now: Zoned = "2026-02-27T10:30:00+01:00[Europe/Stockholm]".parse().unwrap();
        for (text, expected) in [
            ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00Z"),
            ("2026-03-01T08:00:00+01:00", "2026-03-01T07:00:00Z"),
            ("2026-03-01T08:00", "2026-03-01T07:00:00Z"),
            ("2026-03-01 08:00", "2026-03-01T07:00:00Z"),
            ("2026-03-01", "2026-02-28T23:00:00Z"),
            ("2026-07-01", "2026-06-30T22:00:00Z"),
            ("tomorrow", "2026-02-27T23:00:00Z"),
            ("Tomorrow", "2026-02-27T23:00:00Z"),
            ("2h", "2026-02-27T11:30:00Z"),
            ("+90m", "2026-02-27T11:00:00Z"),
            ("1h 30m", "2026-02-27T11:00:00Z"),
            ("3d", "2026-03-02T09:30:00Z"),
        ] {
            assert_eq!(time(text, &now).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_forms() {
        let now: Zoned = "2026-02-27T10:30:00+01:00[Europe/Stockholm]".parse().unwrap();
        for text in [
            "",
            "friday",
            "2",
            "-2h",
            "0s",
            "2026-13-01",
            "2026-02-30T08:00",
            "9999999y",
        ] {
            let error = time(text, &now).unwrap_err();
            assert!(
                error.contains("2026-03-01") && error.contains("tomorrow"),
                "{text}: {error}"
            );
        }
    }
}
