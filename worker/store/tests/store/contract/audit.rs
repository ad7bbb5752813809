use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::AuditKind;
use lockstep_store::{AuditActor, AuditEntry, AuditQuery, NewAuditEntry, Records};

use super::{Place, key};

fn entry(kind: AuditKind, principal: &str, subject: &str) -> NewAuditEntry {
    NewAuditEntry {
        kind,
        actor: AuditActor {
            principal: Some(principal.to_owned()),
            token: Some("ci".to_owned()),
            address: Some("192.0.2.1".to_owned()),
            agent: Some("test/1".to_owned()),
        },
        message: Some(key("1").identity),
        message_type: Some("lockstep.sync.requested".to_owned()),
        subject: Some(subject.to_owned()),
        reason: Some("because".to_owned()),
        detail: None,
    }
}

fn all() -> AuditQuery {
    AuditQuery {
        before: None,
        since: None,
        until: None,
        principal: None,
        kind: None,
        subject: None,
        limit: 100,
    }
}

async fn subjects(place: &Place, query: &AuditQuery) -> Result<Vec<String>> {
    let entries = place.other.audit_entries(query).await?;
    let subject = |found: AuditEntry| found.entry.subject.unwrap_or_default();
    Ok(entries.into_iter().map(subject).collect())
}

pub(crate) async fn entries_are_added_together_and_read_by_page(place: &Place) -> Result<()> {
    let (command, login) = (AuditKind::Command, AuditKind::Login);
    let entries = [
        entry(command, "alice", "1"),
        entry(login, "alice", "2"),
        entry(command, "bob", "3"),
        NewAuditEntry {
            actor: AuditActor::default(),
            message: None,
            message_type: None,
            reason: None,
            ..entry(AuditKind::LoginFailed, "", "4")
        },
    ];
    place.store.audit(&[]).await?;
    place.store.audit(&entries).await?;
    let found = place.other.audit_entries(&all()).await?;
    let written: Vec<&NewAuditEntry> = found.iter().rev().map(|found| &found.entry).collect();
    ensure!(written == entries.iter().collect::<Vec<_>>(), "{found:?}");
    let second = found[2].number;
    let since = found[1].at;
    for (query, expected) in [
        (all(), vec!["4", "3", "2", "1"]),
        (AuditQuery { limit: 1, ..all() }, vec!["4"]),
        (
            AuditQuery {
                before: Some(second),
                ..all()
            },
            vec!["1"],
        ),
        (
            AuditQuery {
                since: Some(since + Duration::from_hours(1)),
                ..all()
            },
            vec![],
        ),
        (
            AuditQuery {
                principal: Some("alice".to_owned()),
                ..all()
            },
            vec!["2", "1"],
        ),
        (
            AuditQuery {
                kind: Some(command),
                ..all()
            },
            vec!["3", "1"],
        ),
        (
            AuditQuery {
                principal: Some("alice".to_owned()),
                kind: Some(command),
                ..all()
            },
            vec!["1"],
        ),
        (
            AuditQuery {
                until: Some(since - Duration::from_hours(1)),
                ..all()
            },
            vec![],
        ),
        (
            AuditQuery {
                subject: Some("2".to_owned()),
                until: Some(since + Duration::from_hours(1)),
                ..all()
            },
            vec!["2"],
        ),
        (
            AuditQuery {
                principal: Some("alice".to_owned()),
                kind: Some(login),
                subject: Some("2".to_owned()),
                ..all()
            },
            vec!["2"],
        ),
        (
            AuditQuery {
                kind: Some(command),
                subject: Some("2".to_owned()),
                ..all()
            },
            vec![],
        ),
    ] {
        let found = subjects(place, &query).await?;
        ensure!(found == expected, "{query:?}: {found:?}");
    }
    Ok(())
}

pub(crate) async fn long_texts_are_cut_and_nul_is_replaced(place: &Place) -> Result<()> {
    let long = NewAuditEntry {
        detail: Some("x".repeat(100_000)),
        ..entry(AuditKind::Command, "alice", "a\0b")
    };
    place.store.audit(&[long]).await?;
    let found = place.other.audit_entries(&all()).await?;
    let detail = found[0].entry.detail.as_deref().unwrap_or_default();
    ensure!(detail.len() == 1000, "{}", detail.len());
    ensure!(found[0].entry.subject.as_deref() == Some("a\u{fffd}b"));
    Ok(())
}

pub(crate) async fn entries_expire_by_their_age(place: &Place) -> Result<()> {
    place
        .store
        .audit(&[
            entry(AuditKind::Command, "alice", "1"),
            entry(AuditKind::Login, "alice", "2"),
        ])
        .await?;
    let now = place.store.now().await?;
    let (hour, before) = (Duration::from_hours(1), [(false, 0), (true, 2)]);
    for (later, deleted) in before {
        let before = if later { now + hour } else { now - hour };
        let expired = place.store.expire(&Records::Audit, before, 0, 10).await?;
        ensure!(expired.deleted == deleted, "{later}: {expired:?}");
    }
    ensure!(subjects(place, &all()).await?.is_empty());
    Ok(())
}
