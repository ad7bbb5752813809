//! When schedules fire: cron expressions in time zones.

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan};
use thiserror::Error;

/// How old a missed instant may be to fire nevertheless.
const CATCH_UP: SignedDuration = SignedDuration::from_hours(1);

/// A schedule whose next instant is further away never fires: February 29th of the right weekday comes within 40 years.
const HORIZON_YEARS: i64 = 50;

/// When a schedule fires: a cron expression of five fields, read in a time zone.
///
/// The clocks of a time zone change. A time that does not exist because they go forward fires at the first instant after the
/// gap. One that exists twice because they go back fires once, the first time. An expression whose hours are `*` follows the minutes
/// as they pass: it fires as often as in any other hour.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
    /// Whether it fires in every hour.
    hourly: bool,
}

/// Why there is no such schedule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// The expression has another number of fields.
    #[error(
        "{expression:?} has {fields} fields; a cron expression has five: minute, hour, day of the month, month, weekday"
    )]
    Fields {
        /// The expression.
        expression: String,
        /// How many fields it has.
        fields: usize,
    },
    /// A field cannot be read.
    #[error("{expression:?} is not a cron expression: {reason}")]
    Expression {
        /// The expression.
        expression: String,
        /// What is wrong.
        reason: String,
    },
    /// The time zone is not in the database.
    #[error("{0:?} is not a time zone; use a name of the IANA database, such as Europe/Stockholm, or UTC")]
    UnknownTimeZone(String),
    /// No instant matches.
    #[error("{0:?} never fires: there is no such day")]
    NeverFires(String),
}

/// What a schedule does at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The instant that it fires for.
    pub fires: Option<Timestamp>,
    /// The oldest instant that it missed, if it does not fire for that one.
    pub missed: Option<Timestamp>,
    /// When it fires next. `None`: never again.
    pub next_at: Option<Timestamp>,
}

impl Schedule {
    /// Reads a cron expression of five fields: minute, hour, day of the month, month and weekday, each with `*`, lists, ranges, steps
    /// and English names. As in cron, a day matches by either day if both are given. `L` is the last day of the month, `FRI#2` its
    /// second Friday.
    ///
    /// # Errors
    /// The expression cannot be read, the time zone is unknown, or no instant ever matches.
    pub fn new(expression: &str, time_zone: &str, now: Timestamp) -> Result<Self, ScheduleError> {
        let fields: Vec<&str> = expression.split_whitespace().collect();
        if fields.len() != 5 {
            return Err(ScheduleError::Fields {
                expression: expression.to_owned(),
                fields: fields.len(),
            });
        }
        let refused = |reason: String| ScheduleError::Expression {
            expression: expression.to_owned(),
            reason,
        };
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(expression).map_err(|error| refused(reason(error)))?;
        let schedule = Self {
            cron,
            zone: zone(time_zone)?,
            hourly: fields[1] == "*",
        };
        match schedule.next(now) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::NeverFires(expression.to_owned())),
        }
    }

    /// The next instant after `after`. `None` if there is none within 50 years.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let found = if self.hourly {
            self.next_of_each_hour(after)
        } else {
            self.next_of_day(after)
        }?;
        let horizon = after
            .to_zoned(TimeZone::UTC)
            .checked_add(HORIZON_YEARS.years())
            .ok()?;
        (found <= horizon.timestamp()).then_some(found)
    }

    /// What to do at `now` if it is to fire at `next_at`: of all instants until now, only the newest fires, if it is at most one
    /// hour old.
    pub fn due(&self, next_at: Timestamp, now: Timestamp) -> Due {
        if next_at > now {
            return Due {
                fires: None,
                missed: None,
                next_at: Some(next_at),
            };
        }
        let oldest = now.saturating_sub(CATCH_UP).unwrap_or(Timestamp::MIN);
        let mut fires = (next_at >= oldest).then_some(next_at);
        // A nanosecond before: an instant that is exactly one hour old fires.
        let before = oldest
            .saturating_sub(SignedDuration::from_nanos(1))
            .unwrap_or(Timestamp::MIN);
        let mut next = self.next(next_at.max(before));
        while let Some(instant) = next.filter(|instant| *instant <= now) {
            fires = Some(instant);
            next = self.next(instant);
        }
        Due {
            fires,
            missed: Some(next_at).filter(|missed| fires != Some(*missed)),
            next_at: next,
        }
    }

    /// The next instant, by the clock on the wall: each time that it shows counts once.
    fn next_of_day(&self, after: Timestamp) -> Option<Timestamp> {
        let mut shown = self.zone.to_datetime(after);
        loop {
            shown = self.cron.find_next_occurrence(&shown, false).ok()?;
            let instant = self.instant(shown)?;
            // Times of the gap, and those that the clock shows for the second time, are over.
            if instant > after {
                return Some(instant);
            }
        }
    }

    /// The instant at which the clock shows this time first, or passes over it.
    fn instant(&self, shown: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(shown);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok(),
            AmbiguousOffset::Gap { before, .. } => {
                // With the offset of before, the time is in the gap or after it: the change is the last one until then.
                let inside = before.to_timestamp(shown).ok()?;
                let until = inside.checked_add(SignedDuration::from_nanos(1)).ok()?;
                let change = self.zone.preceding(until).next()?;
                Some(change.timestamp())
            }
        }
    }

    /// The next instant, by the minutes as they pass: between two changes of the clock, the offset is the same.
    fn next_of_each_hour(&self, after: Timestamp) -> Option<Timestamp> {
        let mut offset = self.zone.to_offset(after);
        let mut shown = offset.to_datetime(after);
        let mut inclusive = false;
        for change in self.zone.following(after) {
            let next = self.cron.find_next_occurrence(&shown, inclusive).ok()?;
            let instant = offset.to_timestamp(next).ok()?;
            if instant < change.timestamp() {
                return Some(instant);
            }
            offset = change.offset();
            shown = offset.to_datetime(change.timestamp());
            inclusive = true;
        }
        let next = self.cron.find_next_occurrence(&shown, inclusive).ok()?;
        offset.to_timestamp(next).ok()
    }
}

/// The time zone with this name: of the system's database, else of the one that is part of the program.
fn zone(name: &str) -> Result<TimeZone, ScheduleError> {
    let found = jiff::tz::db()
        .get(name)
        .or_else(|_| TimeZoneDatabase::bundled().get(name));
    found.map_err(|_| ScheduleError::UnknownTimeZone(name.to_owned()))
}

fn reason(error: CronError) -> String {
    match error {
        CronError::InvalidPattern(reason)
        | CronError::IllegalCharacters(reason)
        | CronError::ComponentError(reason) => reason,
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const STOCKHOLM: &str = "Europe/Stockholm";
    const NEW_YORK: &str = "America/New_York";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn schedule(expression: &str, time_zone: &str) -> Schedule {
        Schedule::new(expression, time_zone, at("2026-01-01T00:00Z")).unwrap()
    }

    /// The next instants after `after`, as the clocks of the zone show them, with their offset in hours.
    fn next(expression: &str, time_zone: &str, after: &str, count: usize) -> Vec<String> {
        let schedule = schedule(expression, time_zone);
        let mut instant = at(after);
        (0..count)
            .map(|_| {
                instant = schedule.next(instant).unwrap();
                let shown = instant.to_zoned(schedule.zone.clone());
                shown.strftime("%Y-%m-%d %H:%M %z").to_string()
            })
            .collect()
    }

    #[test]
    fn months_end_and_years_leap() {
        let table = [
            ("0 0 31 * *", "2026-01-31T00:00Z", "2026-03-31 00:00 +0000"),
            ("0 0 L * *", "2026-01-31T00:00Z", "2026-02-28 00:00 +0000"),
            ("0 0 * * FRI#2", "2026-01-01T00:00Z", "2026-01-09 00:00 +0000"),
            ("0 0 29 2 +MON", "2026-01-01T00:00Z", "2044-02-29 00:00 +0000"),
            ("0 0 29 2 *", "2026-01-01T00:00Z", "2028-02-29 00:00 +0000"),
            // 2100 is no leap year.
            ("0 0 29 2 *", "2096-03-01T00:00Z", "2104-02-29 00:00 +0000"),
            ("59 23 31 12 *", "2026-12-31T23:59Z", "2027-12-31 23:59 +0000"),
            ("*/15 * * * *", "2026-01-01T23:45Z", "2026-01-02 00:00 +0000"),
            ("0 6 * * 1-5", "2026-01-02T06:00Z", "2026-01-05 06:00 +0000"),
            ("0 6 * * MON-FRI", "2026-01-02T06:00Z", "2026-01-05 06:00 +0000"),
            ("0 6 * jan,jul 7", "2026-01-26T00:00Z", "2026-07-05 06:00 +0000"),
            // Either day counts if both are given.
            ("0 0 13 * 5", "2026-02-01T00:00Z", "2026-02-06 00:00 +0000"),
            // Not the instant itself, and not a fraction of a second after it.
            ("0 0 1 1 *", "2026-01-01T00:00:00.5Z", "2027-01-01 00:00 +0000"),
            ("0 0 1 1 *", "2025-12-31T23:59:59.999Z", "2026-01-01 00:00 +0000"),
        ];
        for (expression, after, expected) in table {
            assert_eq!(
                next(expression, "UTC", after, 1),
                [expected],
                "{expression} {after}"
            );
        }
    }

    #[test]
    fn times_that_the_clocks_pass_over_fire_after_the_gap() {
        // Clocks go from 02:00 to 03:00.
        let expected = [
            "2026-03-28 02:30 +0100",
            "2026-03-29 03:00 +0200",
            "2026-03-30 02:30 +0200",
        ];
        assert_eq!(next("30 2 * * *", STOCKHOLM, "2026-03-27T12:00Z", 3), expected);
        let expected = [
            "2026-03-07 02:30 -0500",
            "2026-03-08 03:00 -0400",
            "2026-03-09 02:30 -0400",
        ];
        assert_eq!(next("30 2 * * *", NEW_YORK, "2026-03-06T12:00Z", 3), expected);
        // All times of the gap, and the one after it, are one instant.
        let expected = [
            "2026-03-29 01:40 +0100",
            "2026-03-29 03:00 +0200",
            "2026-03-29 03:20 +0200",
        ];
        assert_eq!(
            next("*/20 1-3 * * *", STOCKHOLM, "2026-03-29T00:30Z", 3),
            expected
        );
        // The first and the last minute of the gap, and the one before it.
        for (expression, expected) in [
            ("59 1 * * *", "01:59 +0100"),
            ("0 2 * * *", "03:00 +0200"),
            ("59 2 * * *", "03:00 +0200"),
        ] {
            let found = next(expression, STOCKHOLM, "2026-03-28T12:00Z", 1);
            assert_eq!(found, [format!("2026-03-29 {expected}")], "{expression}");
        }
        // The gap is at midnight.
        let expected = ["2026-09-06 01:00 -0300", "2026-09-07 00:00 -0300"];
        assert_eq!(
            next("0 0 * * *", "America/Santiago", "2026-09-05T12:00Z", 2),
            expected
        );
        // The gap is a whole day.
        let expected = [
            "2011-12-29 12:00 -1000",
            "2011-12-31 00:00 +1400",
            "2011-12-31 12:00 +1400",
        ];
        assert_eq!(
            next("0 12 * * *", "Pacific/Apia", "2011-12-29T12:00Z", 3),
            expected
        );
    }

    #[test]
    fn times_that_the_clocks_show_twice_fire_once() {
        // Clocks go from 03:00 to 02:00.
        let expected = [
            "2026-10-24 02:30 +0200",
            "2026-10-25 02:30 +0200",
            "2026-10-26 02:30 +0100",
        ];
        assert_eq!(next("30 2 * * *", STOCKHOLM, "2026-10-23T12:00Z", 3), expected);
        // From 02:00 to 01:00.
        let expected = [
            "2026-10-31 01:30 -0400",
            "2026-11-01 01:30 -0400",
            "2026-11-02 01:30 -0500",
        ];
        assert_eq!(next("30 1 * * *", NEW_YORK, "2026-10-30T12:00Z", 3), expected);
        let expected = [
            "2026-10-25 02:00 +0200",
            "2026-10-25 02:30 +0200",
            "2026-10-25 03:00 +0100",
        ];
        assert_eq!(
            next("*/30 2-3 * * *", STOCKHOLM, "2026-10-24T12:00Z", 3),
            expected
        );
        // From within the hour that is shown for the second time.
        assert_eq!(
            next("30 2 * * *", STOCKHOLM, "2026-10-25T01:10Z", 1),
            ["2026-10-26 02:30 +0100"]
        );
    }

    #[test]
    fn schedules_of_each_hour_do_not_notice_the_clocks() {
        let expected = [
            "2026-03-29 01:30 +0100",
            "2026-03-29 03:30 +0200",
            "2026-03-29 04:30 +0200",
        ];
        assert_eq!(next("30 * * * *", STOCKHOLM, "2026-03-29T00:00Z", 3), expected);
        let expected = [
            "2026-10-25 02:30 +0200",
            "2026-10-25 02:30 +0100",
            "2026-10-25 03:30 +0100",
        ];
        assert_eq!(next("30 * * * *", STOCKHOLM, "2026-10-25T00:00Z", 3), expected);
        let expected = [
            "2026-10-25 02:50 +0200",
            "2026-10-25 02:00 +0100",
            "2026-10-25 02:10 +0100",
        ];
        assert_eq!(next("*/10 * * * *", STOCKHOLM, "2026-10-25T00:45Z", 3), expected);
        // The day that follows is another one.
        let expected = ["2026-10-25 23:30 +0100", "2027-10-25 00:30 +0200"];
        assert_eq!(next("30 * 25 10 *", STOCKHOLM, "2026-10-25T21:45Z", 2), expected);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let new = |expression: &str, zone: &str| Schedule::new(expression, zone, at("2026-01-01T00:00Z"));
        let table = [
            ("", "has 0 fields"),
            ("* * * *", "has 4 fields"),
            ("0 * * * * *", "has 6 fields"),
            ("@daily", "has 1 fields"),
            ("60 * * * *", "60"),
            ("* 24 * * *", "24"),
            ("* * 0 * *", "0"),
            ("* * * 13 *", "13"),
            ("* * * * 8", "8"),
            ("x * * * *", "'X'"),
            ("5-1 * * * *", "ange"),
            ("*/0 * * * *", "tep"),
            ("0 0 30 2 *", "never fires"),
            ("0 0 31 4,6,9,11 *", "never fires"),
        ];
        for (expression, text) in table {
            let error = new(expression, "UTC").unwrap_err().to_string();
            assert!(
                error.contains(text) && error.contains(&format!("{expression:?}")),
                "{error}"
            );
        }
        for zone in [
            "Europe/Atlantis",
            "",
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "../../etc/localtime",
        ] {
            let error = new("* * * * *", zone).unwrap_err();
            assert_eq!(error, ScheduleError::UnknownTimeZone(zone.to_owned()));
        }
    }

    #[test]
    fn time_zones_are_part_of_the_program() {
        for name in [STOCKHOLM, NEW_YORK, "UTC"] {
            assert!(TimeZoneDatabase::bundled().get(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn of_missed_instants_the_newest_fires_if_it_is_recent() {
        let (hourly, minutely, daily) = ("0 */1 * * *", "* * * * *", "0 6 * * *");
        // expression, to fire at, now; fires for, missed, next
        let table = [
            (daily, "02T06:00", "02T05:59", None, None, "02T06:00"),
            (daily, "02T06:00", "02T06:00", Some("02T06:00"), None, "03T06:00"),
            (daily, "02T06:00", "02T07:00", Some("02T06:00"), None, "03T06:00"),
            (daily, "02T06:00", "02T07:01", None, Some("02T06:00"), "03T06:00"),
            (
                daily,
                "02T06:00",
                "05T06:10",
                Some("05T06:00"),
                Some("02T06:00"),
                "06T06:00",
            ),
            (daily, "02T06:00", "05T08:00", None, Some("02T06:00"), "06T06:00"),
            (
                hourly,
                "02T06:00",
                "02T09:59",
                Some("02T09:00"),
                Some("02T06:00"),
                "02T10:00",
            ),
            (
                hourly,
                "02T06:00",
                "02T07:00",
                Some("02T07:00"),
                Some("02T06:00"),
                "02T08:00",
            ),
            (
                minutely,
                "02T06:00",
                "09T06:00",
                Some("09T06:00"),
                Some("02T06:00"),
                "09T06:01",
            ),
        ];
        let full = |text: &str| at(&format!("2026-01-{text}Z"));
        for (expression, next_at, now, fires, missed, next) in table {
            let due = schedule(expression, "UTC").due(full(next_at), full(now));
            let expected = Due {
                fires: fires.map(full),
                missed: missed.map(full),
                next_at: Some(full(next)),
            };
            assert_eq!(due, expected, "{expression} {next_at} {now}");
        }
    }

    /// Whatever the expression: it is an error, or its instants grow, are whole minutes, and none of them is passed over.
    #[test]
    fn instants_grow_and_none_is_passed_over() {
        let mut rng = StdRng::seed_from_u64(13);
        let zones = [
            "UTC",
            STOCKHOLM,
            NEW_YORK,
            "Australia/Lord_Howe",
            "Africa/Casablanca",
        ];
        let fields = [
            "*", "*/7", "0", "1-3", "2,30", "30", "29", "2", "*/2", "7", "L", "15W", "-", "99", "1-", "/2",
            "ä",
        ];
        let mut valid = 0;
        for _ in 0..20_000 {
            let expression = [(); 5]
                .map(|()| fields[rng.random_range(0..fields.len())])
                .join(" ");
            let begin = rng.random_range(1_760_000_000..1_830_000_000_i64);
            let begin = Timestamp::from_second(begin).unwrap();
            let Ok(schedule) = Schedule::new(&expression, zones[rng.random_range(0..zones.len())], begin)
            else {
                continue;
            };
            valid += 1;
            let first = schedule.next(begin).unwrap();
            let second = schedule.next(first).unwrap();
            assert!(
                begin < first && first < second,
                "{expression}: {begin} {first} {second}"
            );
            assert_eq!(first.as_second() % 60, 0, "{expression}: {first}");
            let between = rng.random_range(first.as_second()..second.as_second());
            let between = Timestamp::from_second(between).unwrap();
            assert_eq!(schedule.next(between), Some(second), "{expression}: {between}");
        }
        assert!(valid > 100, "{valid}");
    }
}
