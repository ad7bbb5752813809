//! The printed tables: rows with a goal, and the CPU time of each contender.

use std::fmt;

use serde::Serialize;

use crate::allocations::Allocations;

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
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) lockstep: f64,
    pub(crate) against: &'static str,
    pub(crate) other: f64,
    /// The ratio or the difference.
    pub(crate) figure: f64,
    pub(crate) goal: Goal,
    pub(crate) reached: bool,
}

impl Row {
    pub(crate) fn new(
        what: impl Into<String>,
        unit: &'static str,
        lockstep: f64,
        (against, other): (&'static str, f64),
        goal: Goal,
    ) -> Self {
        let (figure, reached) = match goal {
            Goal::Times(least) => (lockstep / other, lockstep / other >= least),
            Goal::AtMost(most) => (lockstep / other, lockstep / other <= most),
            Goal::Plus(most) => (lockstep - other, lockstep - other <= most),
        };
        Self {
            what: what.into(),
            unit,
            lockstep,
            against,
            other,
            figure,
            goal,
            reached,
        }
    }
}

/// The CPU time of one contender, in microseconds per message.
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
        writeln!(f, "| what | Lockstep | against | figure | goal | |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | --- |")?;
        for row in &self.rows {
            let Row {
                what,
                unit,
                lockstep,
                against,
                other,
                figure,
                ..
            } = row;
            let (figure, goal) = match row.goal {
                Goal::Times(least) => (format!("{figure:.2} ×"), format!("≥ {least} ×")),
                Goal::AtMost(most) => (format!("{figure:.2} ×"), format!("≤ {most} ×")),
                Goal::Plus(most) => (format!("{figure:+.1} {unit}"), format!("≤ +{most} {unit}")),
            };
            let places = usize::from(*unit == "ms");
            let reached = if row.reached { "reached" } else { "missed" };
            writeln!(
                f,
                "| {what} | {lockstep:.places$} {unit} | {against} {other:.places$} {unit} | {figure} | {goal} | {reached} |"
            )?;
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
            "| who | msg/s (lowest–highest) | batch | worker µs/msg | broker µs/msg | database µs/msg |"
        )?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
        for row in &self.cpu {
            let CpuRow {
                who,
                rate,
                lowest,
                highest,
                batch,
                worker,
                broker,
                database,
            } = row;
            writeln!(
                f,
                "| {who} | {rate:.0} ({lowest:.0}–{highest:.0}) | {batch:.0} | {worker:.0} | {broker:.0} | {database:.0} |"
            )?;
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

/// The median; of an even number of values, the mean of the two in the middle.
pub(crate) fn median(mut all: Vec<f64>) -> f64 {
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
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn a_goal_is_a_share_or_a_surplus() {
        let share = Row::new("rate", "msg/s", 9.0, ("bare", 10.0), Goal::Times(0.9));
        assert!(share.reached, "{share:?}");
        let cost = Row::new("flags", "ms", 12.0, ("bare", 10.0), Goal::AtMost(1.1));
        assert!(!cost.reached, "{cost:?}");
        let surplus = Row::new("p50", "ms", 8.0, ("bare", 4.0), Goal::Plus(3.0));
        assert!(!surplus.reached, "{surplus:?}");
    }
}
