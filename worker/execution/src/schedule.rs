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
mod tests;
