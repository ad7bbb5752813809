//! The plot of unsynchronized devices over time. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use lockstep_http::ProblemResponse;
use lockstep_protocol::rest::{FleetHistory, FleetSampleView, HistoryPeriod};
use serde_json::{Value, json};

use super::{link, templates};

/// The size of the plot in its own units; the page stretches it.
const WIDTH: u32 = 720;
const HEIGHT: u32 = 160;
/// The parts of the time that have a label, and those of the table.
const LABELS: u32 = 4;
const LINES: u32 = 24;
/// A longer gap than this many intervals between two samples is shown as one.
const GAP: i64 = 3;

/// HTML of the plot, with its numbers as a table.
///
/// # Errors
/// The template does not fit: a mistake of this program.
pub(super) fn html(history: &FleetHistory) -> Result<String, ProblemResponse> {
    let top = top(history.samples.iter().map(|sample| sample.unsynchronized).max());
    let periods = HistoryPeriod::ALL.map(|period| {
        json!({
            "name": name(period),
            "path": format!("{}#trend", link::with("/", [("period", period.as_str())])),
            "is_chosen": period == history.period,
        })
    });
    let values = json!({
        "periods": periods,
        "of": name(history.period),
        "last": history.samples.last(),
        "most": history.samples.iter().map(|sample| sample.unsynchronized).max(),
        "scale": [top, top / 2, 0],
        "times": times(history),
        "width": WIDTH,
        "height": HEIGHT,
        "paths": paths(history, top),
        "table": table(history),
    });
    templates::render("trend.html", &values)
}

fn name(period: HistoryPeriod) -> &'static str {
    match period {
        HistoryPeriod::SixHours => "6 hours",
        HistoryPeriod::TwoDays => "2 days",
        HistoryPeriod::ThirtyDays => "30 days",
        HistoryPeriod::Year => "a year",
    }
}

/// The number at the top of the scale: even, and 2, 4 or 10 times a power of ten.
fn top(most: Option<u64>) -> u64 {
    let most = most.unwrap_or(0);
    let mut power: u64 = 1;
    loop {
        for factor in [2, 4, 10] {
            let top = power.saturating_mul(factor);
            if top >= most {
                return top;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// Where the labels are: at equal distances.
fn times(history: &FleetHistory) -> Vec<Value> {
    let format = match history.period {
        HistoryPeriod::SixHours => "%H:%M",
        HistoryPeriod::TwoDays => "%m-%d %H:%M",
        HistoryPeriod::ThirtyDays | HistoryPeriod::Year => "%Y-%m-%d",
    };
    let label = |index: u32| {
        let at = part(history, index, LABELS);
        json!({"text": at.strftime(format).to_string(), "at": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()})
    };
    (0..=LABELS).map(label).collect()
}

/// The time at a part of the period.
fn part(history: &FleetHistory, index: u32, of: u32) -> Timestamp {
    let (from, to) = (history.from.as_second(), history.to.as_second());
    let at = from + (to - from) * i64::from(index) / i64::from(of);
    Timestamp::from_second(at).unwrap_or(history.to)
}

/// The most unsynchronized devices of each column, from the left; of several samples in one column the worst, so that none is hidden.
fn columns(history: &FleetHistory) -> Vec<(u32, i64, u64)> {
    let (from, to) = (history.from.as_second(), history.to.as_second());
    let length = (to - from).max(1);
    let mut columns: Vec<(u32, i64, u64)> = Vec::new();
    for sample in &history.samples {
        let second = sample.at.as_second();
        let column = (second - from).clamp(0, length) * i64::from(WIDTH) / length;
        let column = u32::try_from(column).unwrap_or(WIDTH);
        match columns.last_mut() {
            Some((last, at, most)) if *last == column => {
                *at = second;
                *most = (*most).max(sample.unsynchronized);
            }
            _ => columns.push((column, second, sample.unsynchronized)),
        }
    }
    columns
}

/// The paths of the line and of the area below it, one of each between two gaps.
fn paths(history: &FleetHistory, top: u64) -> Vec<Value> {
    let longest = GAP * i64::from(history.every_seconds);
    let columns = columns(history);
    let runs = columns.chunk_by(|(_, before, _), (_, after, _)| after - before <= longest);
    let paths = runs.map(|run| {
        let mut line = String::new();
        for (column, _, most) in run {
            let word = if line.is_empty() { 'M' } else { 'L' };
            // Writing to a string cannot fail.
            let _ = write!(line, "{word}{column} {}", height(*most, top));
        }
        let first = run.first().map_or(0, |(column, ..)| *column);
        let last = run.last().map_or(0, |(column, ..)| *column);
        if first == last {
            // A single point has no length: one unit of it is seen.
            line.push_str("h1");
        }
        let area = format!("{line}V{HEIGHT}H{first}Z");
        json!({"line": line, "area": area})
    });
    paths.collect()
}

/// The distance of a number from the top of the plot.
fn height(number: u64, top: u64) -> u64 {
    let full = u64::from(HEIGHT);
    full - (number.saturating_mul(full) / top.max(1)).min(full)
}

/// The worst sample of each part of the time that has one, the newest first.
fn table(history: &FleetHistory) -> Vec<Value> {
    let worst = |index: u32| {
        let (from, to) = (part(history, index, LINES), part(history, index + 1, LINES));
        let is_last = index + 1 == LINES;
        let within = |sample: &&FleetSampleView| sample.at >= from && (sample.at < to || is_last);
        let samples = history.samples.iter().filter(within);
        samples.max_by_key(|sample| sample.unsynchronized)
    };
    let lines = (0..LINES).rev().filter_map(worst);
    lines.map(|sample| json!(sample)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(period: HistoryPeriod, every_seconds: u32, samples: &[(i64, u64)]) -> FleetHistory {
        let seconds = |second: i64| Timestamp::from_second(second).unwrap();
        FleetHistory {
            period,
            from: seconds(0),
            to: seconds(i64::from(period.seconds())),
            every_seconds,
            samples: samples
                .iter()
                .map(|(second, unsynchronized)| FleetSampleView {
                    at: seconds(*second),
                    synchronized: 5,
                    unsynchronized: *unsynchronized,
                })
                .collect(),
        }
    }

    #[test]
    fn the_scale_ends_above_the_most() {
        for (most, expected) in [
            (None, 2),
            (Some(0), 2),
            (Some(2), 2),
            (Some(3), 4),
            (Some(5), 10),
            (Some(11), 20),
            (Some(99_999), 100_000),
            (Some(u64::MAX), u64::MAX),
        ] {
            assert_eq!(top(most), expected, "{most:?}");
        }
    }

    #[test]
    fn a_gap_is_not_drawn_and_the_worst_of_a_column_is() {
        let of_six_hours = history(
            HistoryPeriod::SixHours,
            60,
            &[(0, 1), (60, 2), (120, 0), (7200, 4), (21_540, 0), (21_600, 0)],
        );
        let paths = paths(&of_six_hours, 4);
        let lines: Vec<&str> = paths.iter().filter_map(|path| path["line"].as_str()).collect();
        assert_eq!(lines, ["M0 120L2 80L4 160", "M240 0h1", "M718 160L720 160"]);
        assert_eq!(paths[0]["area"], "M0 120L2 80L4 160V160H0Z");
        let of_a_year = history(HistoryPeriod::Year, 3600, &[(0, 1), (3600, 3), (7200, 2)]);
        let columns = columns(&of_a_year);
        assert_eq!(columns, [(0, 7200, 3)]);
    }

    #[test]
    fn the_table_has_the_worst_of_each_part_newest_first() {
        let found = table(&history(
            HistoryPeriod::SixHours,
            60,
            &[(0, 1), (60, 7), (900, 2), (21_600, 3)],
        ));
        let found: Vec<&Value> = found.iter().map(|line| &line["unsynchronized"]).collect();
        assert_eq!(found, [3, 2, 7]);
    }

    #[test]
    fn a_fleet_without_samples_says_so() {
        let empty = html(&history(HistoryPeriod::TwoDays, 60, &[])).unwrap();
        assert!(
            empty.contains("No sample yet") && !empty.contains("<svg"),
            "{empty}"
        );
        let some = html(&history(HistoryPeriod::TwoDays, 60, &[(60, 1), (120, 12_345)])).unwrap();
        assert!(some.contains("<svg") && some.contains("role=\"img\""), "{some}");
        assert!(some.contains("aria-current=\"true\""), "{some}");
    }
}
