//! The store: reachable, of our version, and on our time.

use jiff::Timestamp;
use lockstep_clock::{Clock, SystemClock};
use lockstep_store::StoreError;

use super::finding::Findings;
use crate::config::Config;
use crate::roles;

const CHECK: &str = "store";

/// How far clocks may differ. Leases count on the database's clock alone; ours is in messages and in the age of flags.
const SKEW_MS: i64 = 2_000;

pub(super) async fn examine(config: &Config, findings: &mut Findings) {
    let schema = match roles::schema(config) {
        Ok(schema) => schema,
        Err(error) => return findings.failed(CHECK, format!("{error:#}"), "correct store.url"),
    };
    let url = &config.store.url;
    match schema.ping().await {
        Ok(()) => findings.ok(CHECK, format!("{url} has the schema of this version")),
        // It tells no time before its schema is ours.
        Err(StoreError::SchemaVersion { found, needed }) => {
            let advice = if found < needed {
                "run `lockstep migrate`"
            } else {
                "run the newer version of Lockstep that migrated it"
            };
            let said = format!("{url} has schema version {found}, this program needs {needed}");
            return findings.failed(CHECK, said, advice);
        }
        Err(error) => {
            let error = anyhow::Error::new(error);
            return findings.failed(
                CHECK,
                format!("{url}: {error:#}"),
                "start the database, and check host, user, password and database in store.url",
            );
        }
    }
    let before = SystemClock.now();
    match schema.now().await {
        Ok(theirs) => clock("database's clock", theirs, before, SystemClock.now(), findings),
        Err(error) => {
            let error = anyhow::Error::new(error);
            findings.unknown("database's clock", format!("{error:#}"), "try again");
        }
    }
}

/// Compares their clock with ours, read before and after theirs.
pub(super) fn clock(
    check: &'static str,
    theirs: Timestamp,
    before: Timestamp,
    after: Timestamp,
    findings: &mut Findings,
) {
    let skew = skew_ms(theirs, before, after);
    if skew.abs() <= SKEW_MS {
        findings.ok(check, "agrees with this machine's");
    } else {
        let (seconds, word) = (skew.abs() / 1000, if skew > 0 { "ahead of" } else { "behind" });
        findings.warning(
            check,
            format!("is {seconds} s {word} this machine's"),
            "let both follow the same time servers: ages of flags and times of causes are wrong by as much",
        );
    }
}

/// By how much theirs is ahead of ours, at least.
fn skew_ms(theirs: Timestamp, before: Timestamp, after: Timestamp) -> i64 {
    let (theirs, before, after) = (
        theirs.as_millisecond(),
        before.as_millisecond(),
        after.as_millisecond(),
    );
    if theirs < before {
        theirs - before
    } else {
        (theirs - after).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_is_no_skew() {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let table = [
            // theirs, before, after, skew
            (1000, 1000, 1000, 0),
            (5000, 1000, 9000, 0),
            (500, 1000, 9000, -500),
            (9500, 1000, 9000, 500),
        ];
        for (theirs, before, after, expected) in table {
            assert_eq!(skew_ms(at(theirs), at(before), at(after)), expected, "{theirs}");
        }
    }
}
