use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::{AuditKind, AuditOutcome};
use lockstep_store::{
    AuditActor, AuditDecision, AuditEntry, AuditQuery, Completion, InboxState, Keys, NewAuditDecision,
    NewAuditEntry, Records,
};

use super::{Place, key, message, row};

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
        limit: 100,
        ..AuditQuery::default()
    }
}

/// What a worker decides about the message with this id.
fn decided(id: &str, state: InboxState, code: Option<&str>) -> NewAuditDecision {
    NewAuditDecision {
        entry: NewAuditEntry {
            actor: AuditActor {
                principal: Some("carol".to_owned()),
                ..AuditActor::default()
            },
            message: Some(key(id).identity),
            ..entry(AuditKind::Command, "carol", id)
        },
        decision: AuditDecision {
            state,
            code: code.map(Into::into),
            broker_user: Some("netbox".into()),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        },
    }
}

/// The completion of a message with this id, and its entry.
fn completion(id: &str, state: InboxState, code: Option<&str>) -> Completion {
    Completion {
        audit: Some(Box::new(decided(id, state, code))),
        ..row(message(id)).into()
    }
}

pub(crate) async fn a_decision_is_written_with_the_inbox_row_of_its_command_or_not_at_all(
    place: &Place,
) -> Result<()> {
    let (applied, refused) = (InboxState::Applied, InboxState::Refused);
    let code = Some("not-allowed");
    place
        .store
        .audit(&[entry(AuditKind::Command, "carol", "asked")])
        .await?;
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    facts.record(completion("1", applied, None));
    facts.record(completion("2", refused, code));
    facts.record(row(message("event")));
    transaction.commit(&facts).await?;
    let found = place.other.audit_entries(&all()).await?;
    let written: Vec<(NewAuditEntry, Option<AuditDecision>)> = found
        .into_iter()
        .rev()
        .map(|found| (found.entry, found.decision))
        .collect();
    let expected: Vec<(NewAuditEntry, Option<AuditDecision>)> =
        [decided("1", applied, None), decided("2", refused, code)]
            .map(|new| (new.entry, Some(new.decision)))
            .into();
    ensure!(written[1..] == expected, "{written:?}");
    ensure!(written[0].1.is_none(), "{written:?}");

    // A rollback, and a transaction whose message another one recorded first.
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    facts.record(completion("3", applied, None));
    drop(transaction);
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    facts.record(completion("1", applied, None));
    ensure!(transaction.commit(&facts).await.is_err());
    ensure!(place.other.audit_entries(&all()).await?.len() == 3);

    let of_message = AuditQuery {
        message: Some("1".to_owned()),
        ..all()
    };
    // The entry of the console is about the same message.
    ensure!(subjects(place, &of_message).await? == ["1", "asked"]);
    for (outcome, expected) in [
        (AuditOutcome::Asked, "asked"),
        (AuditOutcome::Applied, "1"),
        (AuditOutcome::Refused, "2"),
    ] {
        let query = AuditQuery {
            outcome: Some(outcome),
            principal: Some("carol".to_owned()),
            ..all()
        };
        ensure!(subjects(place, &query).await? == [expected], "{outcome}");
    }
    Ok(())
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
    let two_days_ago = format!("UPDATE audit SET at = {}", place.probe.earlier("at", 2 * 24 * 60));
    place.probe.texts(&two_days_ago).await?;
    let now = place.store.now().await?;
    for (days, deleted) in [(3, 0), (1, 2)] {
        let before = now - Duration::from_hours(24 * days) - Duration::from_hours(1);
        let expired = place.store.expire(&Records::Audit, before, 0, 10).await?;
        ensure!(expired.deleted == deleted, "{days}: {expired:?}");
    }
    ensure!(subjects(place, &all()).await?.is_empty());
    Ok(())
}
