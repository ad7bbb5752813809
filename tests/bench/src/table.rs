//! The printed tables: rows with a goal, and what each contender used.

use std::fmt;

use serde::Serialize;

use crate::allocations::Allocations;
use crate::meter::Measured;

/// The goal of a figure, relative to the other contender's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Goal {
    /// Lowest allowed ratio of ours to the other's.
    Times(f64),
    /// Highest allowed ratio of ours to the other's.
    AtMost(f64),
    /// Highest allowed difference between ours and the other's.
    Plus(f64),
    /// Highest allowed value of ours.
    Below(f64),
    /// The ratio has no goal.
    None,
}

impl Goal {
    fn figure(self, ours: f64, other: f64) -> f64 {
        match self {
            Self::Plus(_) => ours - other,
            Self::Below(_) => ours,
            Self::Times(_) | Self::AtMost(_) | Self::None => ours / other,
        }
    }

    fn reached(self, figure: f64) -> Option<bool> {
        match self {
            Self::Times(least) => Some(figure >= least),
            Self::AtMost(most) | Self::Plus(most) | Self::Below(most) => Some(figure <= most),
            Self::None => None,
        }
    }
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    /// The median of our rounds.
    pub(crate) lockstep: f64,
    pub(crate) against: &'static str,
    /// The median of the other's rounds.
    pub(crate) other: f64,
    /// The median of the ratios or differences within each round.
    pub(crate) figure: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
    pub(crate) goal: Goal,
    /// Absent without a goal.
    pub(crate) reached: Option<bool>,
    /// What both measured in each round: ours, the other's.
    pub(crate) rounds: Vec<(f64, f64)>,
}

impl Row {
    /// Compares what both measured in the same round. One value of the other stands for all rounds.
    pub(crate) fn new(
        what: impl Into<String>,
        unit: &'static str,
        ours: &[f64],
        (against, others): (&'static str, &[f64]),
        goal: Goal,
    ) -> Self {
        let rounds: Vec<(f64, f64)> = ours.iter().copied().zip(others.iter().copied().cycle()).collect();
        let figures = || rounds.iter().map(|(ours, other)| goal.figure(*ours, *other));
        let figure = median(figures());
        Self {
            what: what.into(),
            unit,
            lockstep: median(ours.iter().copied()),
            against,
            other: median(others.iter().copied()),
            figure,
            lowest: figures().fold(f64::INFINITY, f64::min),
            highest: figures().fold(f64::NEG_INFINITY, f64::max),
            goal,
            reached: goal.reached(figure),
            rounds,
        }
    }
}

/// What one contender used, per message; times in microseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CpuRow {
    pub(crate) who: &'static str,
    pub(crate) rate: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
    pub(crate) batch: f64,
    pub(crate) worker: f64,
    pub(crate) broker: f64,
    pub(crate) database: f64,
    /// Bytes of the write-ahead log; absent without a database.
    pub(crate) wal: Option<f64>,
    /// Allocations of the worker; absent if they are not counted.
    pub(crate) allocations: Option<f64>,
    /// Bytes that they asked for.
    pub(crate) allocated: Option<f64>,
}

impl CpuRow {
    /// The medians of these runs.
    pub(crate) fn new(who: &'static str, runs: &[Measured]) -> Self {
        let middle = |of: &dyn Fn(&Measured) -> f64| median(runs.iter().map(of));
        let rates = || runs.iter().map(Measured::rate);
        let optional = |of: &dyn Fn(&Measured) -> Option<f64>| {
            let all: Option<Vec<f64>> = runs.iter().map(of).collect();
            all.map(median)
        };
        let allocated = Measured::allocated_per_message;
        Self {
            who,
            rate: median(rates()),
            lowest: rates().fold(f64::INFINITY, f64::min),
            highest: rates().fold(0.0, f64::max),
            batch: middle(&|run| f64::from(run.messages) / f64::from(run.batches.max(1))),
            worker: middle(&|run| run.per_message(|cpu| cpu.worker)),
            broker: middle(&|run| run.per_message(|cpu| cpu.broker)),
            database: middle(&|run| run.per_message(|cpu| cpu.database)),
            wal: optional(&Measured::wal_per_message),
            allocations: optional(&|run| Some(allocated(run)?.0)),
            allocated: optional(&|run| Some(allocated(run)?.1)),
        }
    }
}

/// What the worker allocates for one message.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AllocationRow {
    pub(crate) what: &'static str,
    pub(crate) allocations: f64,
    pub(crate) bytes: f64,
}

impl AllocationRow {
    pub(crate) fn new(what: &'static str, allocations: Allocations, messages: u32) -> Self {
        // Far fewer than 2^53.
        #[expect(clippy::cast_precision_loss, reason = "the numbers are small enough")]
        let each = |all: usize| all as f64 / f64::from(messages);
        Self {
            what,
            allocations: each(allocations.count),
            bytes: each(allocations.bytes),
        }
    }
}

/// All measurements.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    pub(crate) cpu: Vec<CpuRow>,
    pub(crate) allocations: Vec<AllocationRow>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| what | Lockstep | against | figure | lowest–highest | goal | |"
        )?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: | --- |")?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        self.write_cpu(f)?;
        self.write_allocations(f)
    }
}

impl Table {
    fn write_cpu(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cpu.is_empty() {
            return Ok(());
        }
        writeln!(f)?;
        writeln!(
            f,
            "| who | msg/s (lowest–highest) | batch | worker µs/msg | broker µs/msg | database µs/msg | WAL B/msg | allocations/msg | allocated B/msg |"
        )?;
        writeln!(
            f,
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
        )?;
        for row in &self.cpu {
            writeln!(f, "{row}")?;
        }
        Ok(())
    }

    fn write_allocations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.allocations.is_empty() {
            return Ok(());
        }
        writeln!(f)?;
        writeln!(f, "| the worker, per message | allocations | bytes |")?;
        writeln!(f, "| --- | ---: | ---: |")?;
        for AllocationRow {
            what,
            allocations,
            bytes,
        } in &self.allocations
        {
            writeln!(f, "| {what} | {allocations:.1} | {bytes:.0} |")?;
        }
        Ok(())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            unit,
            lockstep,
            against,
            other,
            ..
        } = self;
        let figure = |figure: f64| match self.goal {
            Goal::Plus(_) => format!("{figure:+.1} {unit}"),
            Goal::Below(_) => format!("{figure:.1} {unit}"),
            Goal::Times(_) | Goal::AtMost(_) | Goal::None => format!("{figure:.2} ×"),
        };
        let spread = match self.rounds.len() {
            0 | 1 => String::new(),
            _ => format!("{} – {}", figure(self.lowest), figure(self.highest)),
        };
        let goal = match self.goal {
            Goal::Times(least) => format!("≥ {least} ×"),
            Goal::AtMost(most) => format!("≤ {most} ×"),
            Goal::Plus(most) => format!("≤ +{most} {unit}"),
            Goal::Below(most) => format!("≤ {most} {unit}"),
            Goal::None => String::new(),
        };
        let reached = match self.reached {
            Some(true) => "reached",
            Some(false) => "missed",
            None => "",
        };
        let figure = figure(self.figure);
        let places = usize::from(*unit == "ms");
        write!(
            f,
            "| {what} | {lockstep:.places$} {unit} | {against} {other:.places$} {unit} | {figure} | {spread} | {goal} | {reached} |"
        )
    }
}

impl fmt::Display for CpuRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            who,
            rate,
            lowest,
            highest,
            batch,
            worker,
            broker,
            database,
            wal,
            allocations,
            allocated,
        } = self;
        let [wal, allocations, allocated] = [wal, allocations, allocated].map(|figure| optional(*figure));
        write!(
            f,
            "| {who} | {rate:.0} ({lowest:.0}–{highest:.0}) | {batch:.0} | {worker:.0} | {broker:.0} | {database:.0} | {wal} | {allocations} | {allocated} |"
        )
    }
}

fn optional(figure: Option<f64>) -> String {
    figure.map_or_else(String::new, |figure| format!("{figure:.0}"))
}

/// The median; of an even number of values, the mean of the two in the middle.
pub(crate) fn median(all: impl IntoIterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = all.into_iter().collect();
    all.sort_unstable_by(f64::total_cmp);
    let middle = all.len() / 2;
    if all.is_empty() {
        f64::NAN
    } else if all.len().is_multiple_of(2) {
        f64::midpoint(all[middle - 1], all[middle])
    } else {
        all[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median([]).is_nan());
    }

    #[test]
    fn a_goal_is_a_share_or_a_surplus() {
        for (ours, goal, reached) in [
            (9.0, Goal::Times(0.9), Some(true)),
            (8.9, Goal::Times(0.9), Some(false)),
            (12.0, Goal::AtMost(1.1), Some(false)),
            (13.0, Goal::Plus(3.0), Some(true)),
            (14.0, Goal::Plus(3.0), Some(false)),
            (13.0, Goal::Below(13.0), Some(true)),
            (13.1, Goal::Below(13.0), Some(false)),
            (1.0, Goal::None, None),
        ] {
            let row = Row::new("what", "ms", &[ours], ("bare", &[10.0]), goal);
            assert_eq!(row.reached, reached, "{row:?}");
        }
    }

    #[test]
    fn figures_are_compared_within_their_round() {
        // The machine was half as fast in the second round.
        let row = Row::new(
            "what",
            "/s",
            &[8.0, 4.0, 9.0],
            ("bare", &[10.0, 5.0, 10.0]),
            Goal::Times(0.9),
        );
        assert!((row.figure - 0.8).abs() < 1e-9 && (row.lowest - 0.8).abs() < 1e-9);
        assert!((row.highest - 0.9).abs() < 1e-9);
        let row = Row::new("what", "/s", &[8.0, 4.0], ("ideal", &[10.0]), Goal::Times(0.9));
        assert_eq!(row.rounds, [(8.0, 10.0), (4.0, 10.0)]);
        assert_eq!(
            row.to_string(),
            "| what | 6 /s | ideal 10 /s | 0.60 × | 0.40 × – 0.80 × | ≥ 0.9 × | missed |"
        );
    }
}
