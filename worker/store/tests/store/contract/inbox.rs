use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::results::MessageRejected;
use lockstep_protocol::{Code, Digest, Identity, WorkResult};
use lockstep_store::{InboxRow, InboxState, Keys, StoreError};
use tokio::sync::Barrier;
use tokio::time::timeout;

use super::{Place, Store, key, message, row};

async fn remember(place: &Place, row: InboxRow) -> Result<(), StoreError> {
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    facts.record(row);
    transaction.commit(&facts).await
}

fn rejected(identity: Identity) -> InboxRow {
    InboxRow {
        state: InboxState::Dead,
        actor: None,
        subject: Some("sw1".to_owned()),
        result: WorkResult::MessageRejected(MessageRejected {
            code: Code::InvalidJson,
            reason: "it says \"ä\u{0}\" in $.data".to_owned(),
            place: Some("$.data".to_owned()),
            message_type: None,
        }),
        ..row(identity)
    }
}

pub(crate) async fn a_row_comes_back_as_it_was(place: &Place) -> Result<()> {
    for row in [row(message("1")), rejected(message("2"))] {
        remember(place, row.clone()).await?;
        let found = place.store.outcome(&row.key()).await?.context("the row")?;
        ensure!(found == row, "{found:?} is not {row:?}");
    }
    Ok(())
}

pub(crate) async fn an_unknown_message_has_no_outcome(place: &Place) -> Result<()> {
    ensure!(place.store.outcome(&key("1")).await?.is_none());
    Ok(())
}

pub(crate) async fn the_next_batch_knows_the_message(place: &Place) -> Result<()> {
    remember(place, row(message("1"))).await?;
    let asked = Keys {
        messages: [key("1"), key("2")].into(),
        ..Keys::default()
    };
    let (facts, _transaction) = place.other.begin(&[], &asked).await?;
    ensure!(facts.message(&key("1")).map(AsRef::as_ref) == Some(&row(message("1"))));
    ensure!(facts.message(&key("2")).is_none());
    Ok(())
}

/// The other one has to repeat, or finds the row in its facts if the store lets only one begin.
pub(crate) async fn one_of_two_transactions_with_the_same_message_commits(place: &Place) -> Result<()> {
    let asked = Keys {
        messages: [key("1")].into(),
        ..Keys::default()
    };
    let both_began = Barrier::new(2);
    let works = |store: Arc<dyn Store>| {
        let (asked, both_began) = (&asked, &both_began);
        async move {
            let (mut facts, transaction) = store.begin(&[], asked).await?;
            // A store that lets only one begin keeps the other one waiting elsewhere.
            let _ = timeout(Duration::from_millis(300), both_began.wait()).await;
            if facts.message(&key("1")).is_some() {
                return Ok(false);
            }
            facts.record(row(message("1")));
            match transaction.commit(&facts).await {
                Ok(()) => Ok(true),
                Err(error) if error.is_conflict() => Ok(false),
                Err(error) => Err(error),
            }
        }
    };
    let (one, other) = tokio::try_join!(works(place.store.clone()), works(place.other.clone()))?;
    ensure!(one != other, "{one} {other}");
    ensure!(place.probe.texts("SELECT id FROM inbox").await? == ["1"]);
    Ok(())
}

/// Two senders use the same identity: neither message stands for the other.
pub(crate) async fn each_sender_has_its_own_messages(place: &Place) -> Result<()> {
    let by = |actor: Option<&str>, state| InboxRow {
        actor: actor.map(str::to_owned),
        state,
        ..rejected(message("1"))
    };
    let rows = [
        by(Some("netbox"), InboxState::Dead),
        by(Some("mallory"), InboxState::Applied),
        by(None, InboxState::Dead),
    ];
    for row in &rows {
        remember(place, row.clone()).await?;
    }
    for row in &rows {
        ensure!(place.store.outcome(&row.key()).await?.as_ref() == Some(row));
    }
    let asked = Keys {
        messages: rows.iter().map(InboxRow::key).collect(),
        ..Keys::default()
    };
    let (facts, _transaction) = place.other.begin(&[], &asked).await?;
    for row in &rows {
        ensure!(facts.message(&row.key()).map(AsRef::as_ref) == Some(row));
    }
    ensure!(place.store.outcome(&key("2")).await?.is_none());
    Ok(())
}

pub(crate) async fn rows_derived_from_content_may_come_twice(place: &Place) -> Result<()> {
    let undecodable = Identity::of_undecodable(b"nonsense");
    let reused = message("1").of_reuse(&Digest::of_bytes(b"other"));
    for identity in [undecodable, reused] {
        remember(place, rejected(identity.clone())).await?;
        let later = InboxRow {
            subject: Some("later".to_owned()),
            ..rejected(identity.clone())
        };
        let key = later.key();
        remember(place, later).await?;
        let found = place.store.outcome(&key).await?.context("the row")?;
        ensure!(found == rejected(identity), "the first row must stay: {found:?}");
    }
    let own = remember(place, row(message("1"))).await;
    ensure!(own.is_ok());
    let again = remember(place, row(message("1"))).await;
    ensure!(again.is_err_and(|error| error.is_conflict()));
    Ok(())
}
