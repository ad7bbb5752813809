//! Checks the store: reachable, with the schema of this version, and with the same time.

use jiff::Timestamp;
use lockstep_clock::{Clock, SystemClock};
use lockstep_store::StoreError;

use super::finding::Findings;
use crate::config::Config;
use crate::roles;

const CHECK: &str = "store";

/// The largest accepted difference between clocks. Leases use only the database's clock; messages and ages of sync flags also use
/// this machine's.
const SKEW_MS: i64 = 2_000;

pub(super) async fn examine(config: &Config, findings: &mut Findings) {
    let schema = match roles::schema(config) {
        Ok(schema) => schema,
        Err(error) => return findings.failed(CHECK, format!("{error:#}"), "correct store.url"),
    };
    let url = &config.store.url;
    match schema.ping().await {
        Ok(()) => findings.ok(CHECK, format!("{url} has the schema of this version")),
        // Without the right schema the clock cannot be compared.
        Err(StoreError::SchemaVersion { found, needed }) => {
            let advice = if found < needed {
                "run `lockstep migrate`"
            } else {
                "run the newer version of Lockstep that migrated the store"
            };
            let versions = format!("{url} has schema version {found}, this program needs {needed}");
            return findings.failed(CHECK, versions, advice);
        }
        Err(error) => {
            let error = anyhow::Error::new(error);
            return findings.failed(
                CHECK,
                format!("{url}: {error:#}"),
                "start the database, and check host, user, password and database name in store.url",
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

/// Compares another clock with this machine's, which was read before and after it.
pub(super) fn clock(
    check: &'static str,
    theirs: Timestamp,
    before: Timestamp,
    after: Timestamp,
    findings: &mut Findings,
) {
    let skew = skew_ms(theirs, before, after);
    if skew.abs() <= SKEW_MS {
        findings.ok(check, "agrees with this machine's clock");
    } else {
        let (seconds, word) = (skew.abs() / 1000, if skew > 0 { "ahead of" } else { "behind" });
        findings.warning(
            check,
            format!("is {seconds} s {word} this machine's clock"),
            "use the same time servers for both; ages of sync flags and times of causes are wrong by this difference",
        );
    }
}

/// By how much the other clock is ahead of ours, at least.
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
    fn a_slow_response_is_not_a_clock_skew() {
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
