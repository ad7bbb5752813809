//! Checks the store: reachable, with the schema of this version, the rights of the role, and the same time.

use jiff::Timestamp;
use lockstep_clock::{Clock, SystemClock};
use lockstep_store::StoreError;
use lockstep_store::postgres::{DatabaseAccess, DatabaseRole};
use reqwest::Url;
use secrecy::ExposeSecret;

use super::exposure::{is_here, requires_tls};
use super::finding::Findings;
use crate::config::{Config, StoreUrl};
use crate::roles;

const CHECK: &str = "store";
const RIGHTS: &str = "database rights";

/// The largest accepted difference between clocks. Leases use only the database's clock; messages and ages of sync flags also use
/// this machine's.
const SKEW_MS: i64 = 2_000;

pub(super) async fn examine(config: &Config, role: DatabaseRole, findings: &mut Findings) {
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
    if let Ok(Some(store)) = roles::postgres(config) {
        match store.access(role).await {
            Ok(access) => {
                encryption(&config.store.url, &access, findings);
                rights(role, &access, findings);
            }
            Err(error) => {
                let error = anyhow::Error::new(error);
                findings.unknown(RIGHTS, format!("{error:#}"), "try again");
            }
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

/// Whether somebody on the way can read along, or answer in place of the database.
fn encryption(url: &StoreUrl, access: &DatabaseAccess, findings: &mut Findings) {
    let StoreUrl::Postgres(text) = url else { return };
    let Ok(parsed) = Url::parse(text.expose_secret()) else {
        return;
    };
    let said = match (access.is_encrypted, requires_tls(&parsed)) {
        _ if is_here(&parsed) => return,
        (true, true) => return,
        (true, false) => format!("{url} uses TLS, but its sslmode would also accept a connection without it"),
        (false, _) => format!("{url} is used without TLS"),
    };
    findings.warning(CHECK, said, "add sslmode=verify-full to store.url");
}

fn rights(role: DatabaseRole, access: &DatabaseAccess, findings: &mut Findings) {
    let login = &access.login;
    let use_own = format!(
        "run `lockstep doctor --setup-database`, then `lockstep migrate` as its login for migrate, and use its login for a {role}"
    );
    let may = match access {
        _ if !access.lacking.is_empty() => {
            let lacking = access.lacking.join(", ");
            return findings.failed(
                RIGHTS,
                format!("{login:?} lacks {lacking}"),
                format!("{use_own}; run `lockstep migrate` again after each upgrade"),
            );
        }
        _ if access.is_superuser => "is a superuser".to_owned(),
        _ if access.is_owner => "owns the schema, and so may change and drop it".to_owned(),
        _ if !access.excess.is_empty() => format!("also has {}", access.excess.join(", ")),
        _ => return findings.ok(RIGHTS, format!("{login:?} has exactly the rights of a {role}")),
    };
    findings.warning(
        RIGHTS,
        format!("{login:?} {may}, which a {role} does not need"),
        use_own,
    );
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
    use super::super::finding::State;
    use super::*;

    #[test]
    fn more_rights_than_needed_are_a_warning_and_fewer_a_failure() {
        let exact = DatabaseAccess {
            login: "lockstep-worker".to_owned(),
            is_superuser: false,
            is_owner: false,
            lacking: Vec::new(),
            excess: Vec::new(),
            is_encrypted: false,
        };
        let superuser = DatabaseAccess {
            is_superuser: true,
            ..exact.clone()
        };
        let owner = DatabaseAccess {
            is_owner: true,
            ..exact.clone()
        };
        let excess = DatabaseAccess {
            excess: vec!["TRUNCATE device".to_owned()],
            ..exact.clone()
        };
        let lacking = DatabaseAccess {
            lacking: vec!["INSERT inbox".to_owned()],
            ..excess.clone()
        };
        let table = [
            (exact, State::Ok, "exactly"),
            (superuser, State::Warning, "superuser"),
            (owner, State::Warning, "owns the schema"),
            (excess, State::Warning, "TRUNCATE device"),
            (lacking, State::Failed, "lacks INSERT inbox"),
        ];
        for (access, state, said) in table {
            let mut findings = Findings::default();
            rights(DatabaseRole::Worker, &access, &mut findings);
            assert_eq!(findings.worst(), state, "{access:?}");
            assert!(findings.lines()[0].contains(said), "{:?}", findings.lines());
        }
    }

    #[test]
    fn a_connection_without_tls_is_a_warning_unless_it_stays_on_this_machine() {
        let table = [
            ("postgres://u:p@h/d", false, 1),
            ("postgres://u:p@h/d", true, 1),
            ("postgres://u:p@h/d?sslmode=verify-full", true, 0),
            ("postgres://u:p@127.0.0.1/d", false, 0),
            ("postgres://u:p@[::1]/d", false, 0),
        ];
        for (url, is_encrypted, expected) in table {
            let access = DatabaseAccess {
                login: "u".to_owned(),
                is_superuser: false,
                is_owner: false,
                lacking: Vec::new(),
                excess: Vec::new(),
                is_encrypted,
            };
            let mut findings = Findings::default();
            encryption(&StoreUrl::Postgres(url.to_owned().into()), &access, &mut findings);
            let lines = findings.lines();
            // One line counts the findings.
            let warnings = lines.iter().filter(|line| line.starts_with("warning")).count();
            assert_eq!(warnings, expected, "{url}: {lines:?}");
            assert!(lines.iter().all(|line| !line.contains(":p@")), "{lines:?}");
        }
    }

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
