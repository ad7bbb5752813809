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
        "*", "*/7", "0", "1-3", "2,30", "30", "29", "2", "*/2", "7", "L", "15W", "-", "99", "1-", "/2", "ä",
    ];
    let mut valid = 0;
    for _ in 0..20_000 {
        let expression = [(); 5]
            .map(|()| fields[rng.random_range(0..fields.len())])
            .join(" ");
        let begin = rng.random_range(1_760_000_000..1_830_000_000_i64);
        let begin = Timestamp::from_second(begin).unwrap();
        let Ok(schedule) = Schedule::new(&expression, zones[rng.random_range(0..zones.len())], begin) else {
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
