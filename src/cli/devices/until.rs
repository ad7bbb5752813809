use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use lockstep_clock::{Clock, SystemClock};

/// The forms of a time that people write.
const FORMS: &str = "write 2026-03-01T08:00:00Z, 2026-03-01T08:00 or 2026-03-01 (its beginning), today 18:00, tomorrow, tomorrow 18:00, \
    friday, friday 18:00 or 18:00 (the next one), all in the local time zone without an offset; or a time from now such as 2h, +90m or 3d";

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// The time in the future that an option names.
///
/// # Errors
/// If it has none of the forms, or is not in the future; the error lists the forms.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    time(text, &SystemClock.now().to_zoned(TimeZone::system()))
}

fn time(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let found = moment(text.trim(), now).ok_or_else(|| FORMS.to_owned())?;
    if found > now.timestamp() {
        return Ok(found);
    }
    let local = found.to_zoned(now.time_zone().clone());
    Err(format!(
        "{} is not in the future; {FORMS}",
        local.strftime("%Y-%m-%d %H:%M %Z")
    ))
}

fn moment(text: &str, now: &Zoned) -> Option<Timestamp> {
    let local = |date: Date, time: Time| {
        let zoned = date.to_datetime(time).to_zoned(now.time_zone().clone());
        zoned.ok().map(|zoned| zoned.timestamp())
    };
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let (day, time) = match text.split_once(char::is_whitespace) {
        Some((day, time)) => (day, Some(time.trim_start())),
        None => (text, None),
    };
    let day = day.to_lowercase();
    let clock = |time: Option<&str>| time.map_or(Some(Time::midnight()), of_day);
    match day.as_str() {
        "today" => return local(now.date(), of_day(time?)?),
        "tomorrow" => return local(now.date().tomorrow().ok()?, clock(time)?),
        _ => {}
    }
    // The first day from today on, of these days, on which the time is in the future.
    let next = |is_wanted: &dyn Fn(Date) -> bool, time: Time| {
        let days = (0..=7).filter_map(|days| now.date().checked_add(Span::new().days(days)).ok());
        let moments = days
            .filter(|date| is_wanted(*date))
            .filter_map(|date| local(date, time));
        moments.into_iter().find(|moment| *moment > now.timestamp())
    };
    if let Some(weekday) = weekday(&day) {
        return next(&|date| date.weekday() == weekday, clock(time)?);
    }
    if let Some(time) = of_day(text) {
        return next(&|_| true, time);
    }
    if let Ok(span) = text.parse::<Span>() {
        let then = now.checked_add(span).ok()?;
        return Some(then.timestamp());
    }
    if text.contains(':') {
        let at = text.parse::<DateTime>().ok()?;
        return local(at.date(), at.time());
    }
    local(text.parse::<Date>().ok()?, Time::midnight())
}

/// A day of the week, whose name may be cut after three letters.
fn weekday(text: &str) -> Option<Weekday> {
    let fits = |name: &str| text.len() >= 3 && name.starts_with(text);
    WEEKDAYS
        .into_iter()
        .find_map(|(name, weekday)| fits(name).then_some(weekday))
}

/// A time of day, such as 18:00 or 8:30.
fn of_day(text: &str) -> Option<Time> {
    let (hour, rest) = text.split_once(':')?;
    let (minute, second) = rest.split_once(':').unwrap_or((rest, "0"));
    let number = |text: &str| -> Option<i8> {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_number)
    };
    let minute = number(minute).filter(|_| minute.len() == 2)?;
    Time::new(number(hour)?, minute, number(second)?, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        // A Friday.
        "2026-02-27T10:30:00+01:00[Europe/Stockholm]".parse().unwrap()
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, expected) in [
            ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00Z"),
            ("2026-03-01T08:00:00+01:00", "2026-03-01T07:00:00Z"),
            ("2026-03-01T08:00", "2026-03-01T07:00:00Z"),
            ("2026-03-01 08:00", "2026-03-01T07:00:00Z"),
            ("2026-03-01", "2026-02-28T23:00:00Z"),
            ("2026-07-01", "2026-06-30T22:00:00Z"),
            ("today 18:00", "2026-02-27T17:00:00Z"),
            ("tomorrow", "2026-02-27T23:00:00Z"),
            ("Tomorrow", "2026-02-27T23:00:00Z"),
            ("tomorrow 18:00", "2026-02-28T17:00:00Z"),
            ("tomorrow  8:05", "2026-02-28T07:05:00Z"),
            ("monday", "2026-03-01T23:00:00Z"),
            ("Mon 7:30", "2026-03-02T06:30:00Z"),
            ("friday", "2026-03-05T23:00:00Z"),
            ("friday 18:00", "2026-02-27T17:00:00Z"),
            ("fri 10:00", "2026-03-06T09:00:00Z"),
            ("18:00", "2026-02-27T17:00:00Z"),
            ("10:30", "2026-02-28T09:30:00Z"),
            ("09:00:30", "2026-02-28T08:00:30Z"),
            // Summer time begins on that day; 2:30 does not exist.
            ("2026-03-29T02:30", "2026-03-29T01:30:00Z"),
            ("4h", "2026-02-27T13:30:00Z"),
            ("2h", "2026-02-27T11:30:00Z"),
            ("+90m", "2026-02-27T11:00:00Z"),
            ("1h 30m", "2026-02-27T11:00:00Z"),
            ("3d", "2026-03-02T09:30:00Z"),
        ] {
            assert_eq!(time(text, &now()).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_forms() {
        for text in [
            "",
            "someday",
            "fr",
            "fridayish",
            "2",
            "tomorrow evening",
            "tomorrow 25:00",
            "18:5",
            "today",
            "2026-13-01",
            "2026-02-30T08:00",
            "9999999y",
        ] {
            let error = time(text, &now()).unwrap_err();
            assert!(
                error.contains("2026-03-01") && error.starts_with("write"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn the_past_is_refused_in_the_local_time() {
        for (text, said) in [
            ("-2h", "2026-02-27 08:30 CET"),
            ("0s", "2026-02-27 10:30 CET"),
            ("today 8:00", "2026-02-27 08:00 CET"),
            ("2026-02-27", "2026-02-27 00:00 CET"),
            ("2026-02-27T09:00:00Z", "2026-02-27 10:00 CET"),
            ("2025-07-01T00:00:00Z", "2025-07-01 02:00 CEST"),
        ] {
            let error = time(text, &now()).unwrap_err();
            assert!(
                error.starts_with(&format!("{said} is not in the future; write")),
                "{text}: {error}"
            );
        }
    }
}
