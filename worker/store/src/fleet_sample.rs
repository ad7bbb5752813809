//! How many devices are synchronized over time, on both databases: points of a minute and of an hour.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::DeviceState;

use super::sql::{Row, SqlDatabase};
use super::{StoreError, column, device_counts};

const READ: &str = "read samples of the fleet";
const WRITE: &str = "write a sample of the fleet";

const NOW: &str = "SELECT {now}";

const HAS: &str = "SELECT 1 FROM fleet_sample WHERE seconds = $1 AND at = $2";

/// Another process may have been first.
const INSERT: &str = "\
    INSERT INTO fleet_sample (seconds, at, synchronized, unsynchronized) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";

const RANGE: &str = "\
    SELECT at, synchronized, unsynchronized FROM fleet_sample WHERE seconds = $1 AND at >= $2 ORDER BY at";

/// How far apart samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleInterval {
    /// A sample of each minute.
    Minute,
    /// The first sample of each hour.
    Hour,
}

/// How many MANAGED devices there were at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetSample {
    /// The beginning of its minute or hour, by the store's clock.
    pub at: Timestamp,
    /// Devices that were synchronized.
    pub synchronized: u64,
    /// Devices that were not.
    pub unsynchronized: u64,
}

/// Samples of a time until now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetSamples {
    /// Now, by the store's clock.
    pub now: Timestamp,
    /// The oldest first. A minute or an hour without a sample is absent.
    pub samples: Vec<FleetSample>,
}

/// Keeps how many devices are synchronized.
#[async_trait]
pub trait FleetTrend: Debug + Send + Sync + 'static {
    /// Counts the MANAGED devices, unless that was done in this minute. Says whether it did. Reads all devices: one process calls it.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn sample_fleet(&self) -> Result<bool, StoreError>;

    /// The samples of the last so many seconds.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn fleet_samples(&self, interval: SampleInterval, seconds: u32)
    -> Result<FleetSamples, StoreError>;
}

impl SampleInterval {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Minute, Self::Hour];

    /// Its length in seconds.
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }

    /// The beginning of the interval that a time is in.
    fn beginning(self, time: Timestamp) -> Timestamp {
        let second = time.as_second();
        let beginning = second - second.rem_euclid(i64::from(self.seconds()));
        // A time of a store is far from the limits.
        Timestamp::from_second(beginning).unwrap_or(time)
    }
}

#[async_trait]
impl<D: SqlDatabase> FleetTrend for D {
    async fn sample_fleet(&self) -> Result<bool, StoreError> {
        let now = now(self).await?;
        let minute = SampleInterval::Minute;
        let wanted = vec![minute.seconds().into(), minute.beginning(now).into()];
        if !self.read(READ, HAS, wanted).await?.is_empty() {
            return Ok(false);
        }
        let counts = device_counts::read(self).await?;
        let managed = counts.iter().filter(|count| count.state == DeviceState::Managed);
        let (devices, unsynchronized) = managed.fold((0, 0), |(devices, unsynchronized), count| {
            (devices + count.devices, unsynchronized + count.unsynchronized)
        });
        let row = |interval: SampleInterval| {
            vec![
                interval.seconds().into(),
                interval.beginning(now).into(),
                (devices - unsynchronized).into(),
                unsynchronized.into(),
            ]
        };
        let transaction = self.write(WRITE).await?;
        let rows = SampleInterval::ALL.map(row).into();
        let written = transaction.execute_each(WRITE, INSERT, rows).await?;
        transaction.commit(WRITE).await?;
        Ok(written > 0)
    }

    async fn fleet_samples(
        &self,
        interval: SampleInterval,
        seconds: u32,
    ) -> Result<FleetSamples, StoreError> {
        let now = now(self).await?;
        let since = now - std::time::Duration::from_secs(seconds.into());
        let wanted = vec![interval.seconds().into(), since.into()];
        let rows = self.read(READ, RANGE, wanted).await?;
        let samples = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(FleetSamples { now, samples })
    }
}

async fn now(database: &impl SqlDatabase) -> Result<Timestamp, StoreError> {
    let rows = database.read(READ, NOW, Vec::new()).await?;
    let row = rows.first().ok_or_else(|| StoreError::Corrupt {
        what: "the clock of the store".to_owned(),
        reason: "it returned no row".to_owned(),
    })?;
    row.time("the clock of the store", 0)
}

fn read(row: &Row) -> Result<FleetSample, StoreError> {
    Ok(FleetSample {
        at: row.time("fleet_sample.at", 0)?,
        synchronized: column::count(row.integer("fleet_sample.synchronized", 1)?),
        unsynchronized: column::count(row.integer("fleet_sample.unsynchronized", 2)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::sql::query_plan;

    #[test]
    fn a_range_is_one_of_the_key() {
        for statement in [HAS, RANGE] {
            let plan = query_plan(statement);
            assert_eq!(plan.len(), 1, "{plan:?}");
            assert!(
                plan[0].contains("SEARCH fleet_sample USING PRIMARY KEY (seconds=? AND at"),
                "{plan:?}"
            );
        }
    }

    #[test]
    fn an_interval_begins_at_a_whole_minute_or_hour() {
        let time: Timestamp = "2026-02-03T04:05:06.7Z".parse().unwrap();
        for (interval, expected) in [
            (SampleInterval::Minute, "2026-02-03T04:05:00Z"),
            (SampleInterval::Hour, "2026-02-03T04:00:00Z"),
        ] {
            assert_eq!(interval.beginning(time), expected.parse().unwrap());
        }
    }
}
