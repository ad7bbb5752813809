use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::reader::Reader;

/// The most that a cap may be: as many elements as one execution has.
const MOST: u32 = 100_000;

/// `[executions]`: how many elements run at once, on all workers together. All workers should have the same values.
#[derive(Debug)]
pub(crate) struct ExecutionsConfig {
    /// Of all executions. Without it there is no such limit.
    pub(crate) at_once: Option<NonZeroU32>,
    /// Of each provider, by its name.
    pub(crate) at_once_per_provider: BTreeMap<String, NonZeroU32>,
    /// Of each group of devices, by its name.
    pub(crate) at_once_per_group: BTreeMap<String, NonZeroU32>,
    /// How long an element may run.
    pub(crate) element_timeout: Duration,
}

impl ExecutionsConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        let bounds = Duration::from_secs(1)..=Duration::from_hours(24);
        Self {
            at_once: cap(reader, "executions.at_once"),
            at_once_per_provider: caps(reader, "executions.at_once_per_provider"),
            at_once_per_group: caps(reader, "executions.at_once_per_group"),
            element_timeout: reader.duration(
                "executions.element_timeout",
                Duration::from_mins(5),
                bounds,
                "",
            ),
        }
    }
}

fn caps(reader: &mut Reader, section: &str) -> BTreeMap<String, NonZeroU32> {
    let mut caps = BTreeMap::new();
    for name in reader.named(section, &[]) {
        let cap = cap(reader, &format!("{section}.{name}"));
        reader.show_named(section, &name, &[]);
        caps.extend(cap.map(|cap| (name, cap)));
    }
    caps
}

fn cap(reader: &mut Reader, key: &str) -> Option<NonZeroU32> {
    reader.optional_number(key, 1..=MOST).and_then(NonZeroU32::new)
}
