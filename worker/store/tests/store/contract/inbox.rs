use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::results::MessageRejected;
use lockstep_protocol::{Code, Digest, Identity, Kind, MessageKey, WorkResult};
use lockstep_store::{InboxRow, InboxState, Keys, Origin, StoreError};
use tokio::sync::Barrier;
use tokio::time::timeout;

use super::{
    Place, Store, at, create_all, devices, hostname, key, keys, message, received, row, unsynchronize,
};

async fn remember(place: &Place, row: InboxRow) -> Result<(), StoreError> {
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    facts.record(row);
    transaction.commit(&facts).await
}

fn rejected(identity: Identity, state: InboxState) -> InboxRow {
    InboxRow {
        state,
        actor: None,
        subject: Some("sw1".to_owned()),
        result: WorkResult::MessageRejected(MessageRejected {
            code: Code::InvalidJson,
            reason: "it says \"ä\u{0}\" in $.data".to_owned(),
            place: Some("$.data".to_owned()),
            message_type: None,
            refused: state == InboxState::Refused,
        })
        .into(),
        ..row(identity)
    }
}

pub(crate) async fn a_row_comes_back_as_it_was(place: &Place) -> Result<()> {
    let rejected = [
        rejected(message("2"), InboxState::Dead),
        rejected(message("3"), InboxState::Refused),
    ];
    for row in [row(message("1"))].into_iter().chain(rejected) {
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
        messages: [received("1"), received("2")].into(),
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
        messages: [received("1")].into(),
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
        actor: actor.map(Into::into),
        ..rejected(message("1"), state)
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
        messages: rows.iter().map(|row| (row.key(), row.digest)).collect(),
        ..Keys::default()
    };
    let (facts, _transaction) = place.other.begin(&[], &asked).await?;
    for row in &rows {
        ensure!(facts.message(&row.key()).map(AsRef::as_ref) == Some(row));
    }
    ensure!(place.store.outcome(&key("2")).await?.is_none());
    Ok(())
}

/// Whoever comes second repeats its transaction, and then reads the first one's row: its result is the same.
pub(crate) async fn a_row_derived_from_content_is_written_once(place: &Place) -> Result<()> {
    let undecodable = Identity::of_undecodable(b"nonsense");
    let reused = message("1").of_reuse(&Digest::of_bytes(b"other"));
    for identity in [undecodable, reused, message("1")] {
        remember(place, rejected(identity.clone(), InboxState::Dead)).await?;
        let later = InboxRow {
            subject: Some("later".to_owned()),
            ..rejected(identity.clone(), InboxState::Dead)
        };
        let key = later.key();
        let again = remember(place, later).await;
        ensure!(again.is_err_and(|error| error.is_conflict()), "{key:?}");
        let found = place.store.outcome(&key).await?.context("the row")?;
        ensure!(
            found == rejected(identity, InboxState::Dead),
            "the first row must stay: {found:?}"
        );
    }
    Ok(())
}

/// With a message whose identity another one has, in the store or in the same batch, the row of its rejection is read.
pub(crate) async fn the_row_of_a_reused_identity_is_read_with_the_message(place: &Place) -> Result<()> {
    let (one, other) = (row(message("1")).digest, Digest::of_bytes(b"other"));
    let reuse = InboxRow {
        digest: other,
        actor: key("1").actor,
        ..rejected(message("1").of_reuse(&other), InboxState::Dead)
    };
    remember(place, reuse.clone()).await?;
    let read = async |digests: &[Digest]| {
        let messages = digests.iter().map(|digest| (key("1"), *digest));
        let asked = Keys {
            messages: messages.collect(),
            ..Keys::default()
        };
        let (facts, _transaction) = place.store.begin(&[], &asked).await?;
        Ok::<_, StoreError>(facts.message(&reuse.key()).map(AsRef::as_ref) == Some(&reuse))
    };
    ensure!(!read(&[other]).await?, "nobody else has the identity");
    ensure!(read(&[one, other]).await?, "both are in one batch");
    remember(place, row(message("1"))).await?;
    ensure!(read(&[other]).await?, "another one was processed before");
    ensure!(!read(&[one]).await?);
    Ok(())
}

/// Takes the message for new, with an effect; whether that was a conflict.
async fn taken_for_new(place: &Place, messages: &[(MessageKey, Digest)]) -> Result<bool, StoreError> {
    let asked = Keys {
        messages: messages.iter().cloned().collect(),
        hostnames: [hostname("sw1")].into(),
        assume_new: true,
        ..Keys::default()
    };
    let (mut facts, transaction) = place.store.begin(&[], &asked).await?;
    for (key, digest) in messages {
        if facts.message(key).is_some() {
            return Ok(true);
        }
        let from = Origin {
            identity: &key.identity,
            kind: Kind::InterfaceUpdated,
            actor: key.actor.as_deref(),
            at: at(),
            reply: None,
        };
        facts.absorb(devices([unsynchronize("sw1")]), &from);
        facts.record(InboxRow {
            digest: *digest,
            ..row(key.identity.clone())
        });
    }
    match transaction.commit(&facts).await {
        Ok(()) => Ok(false),
        Err(error) if error.is_conflict() => Ok(true),
        Err(error) => Err(error),
    }
}

pub(crate) async fn a_message_that_is_wrongly_taken_for_new_is_a_conflict(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    ensure!(!taken_for_new(place, &[received("1")]).await?);
    let reuse = (key("1"), Digest::of_bytes(b"other"));
    for again in [&[received("1")][..], &[received("2"), received("1")], &[reuse]] {
        ensure!(taken_for_new(place, again).await?, "{again:?}");
    }
    let device = place.store.device(&hostname("sw1")).await?.context("sw1")?;
    ensure!(device.sync.desired == 2, "effects of a conflict stay: {device:?}");
    ensure!(
        place.store.outcome(&key("2")).await?.is_none(),
        "a neighbour stays"
    );
    // Without that, the row is read.
    let asked = keys("1", ["sw1"]);
    let (facts, _transaction) = place.store.begin(&[], &asked).await?;
    ensure!(facts.message(&key("1")).map(AsRef::as_ref) == Some(&row(message("1"))));
    Ok(())
}

pub(crate) async fn one_of_two_that_take_the_same_message_for_new_commits(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let same = [received("1")];
    let (one, other) = tokio::try_join!(taken_for_new(place, &same), taken_for_new(place, &same))?;
    ensure!(one != other, "{one} {other}");
    let device = place.store.device(&hostname("sw1")).await?.context("sw1")?;
    ensure!(device.sync.desired == 2, "{device:?}");
    Ok(())
}

/// What a result is made from: the row that was recorded is the one that a later delivery reads.
pub(crate) async fn what_is_recorded_is_what_is_read_again(place: &Place) -> Result<()> {
    let odd = InboxRow {
        at: "2026-02-03T04:05:06.123456789Z".parse()?,
        kind: "a\0b".into(),
        subject: Some("sw1\0".to_owned()),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        ..row(message("1"))
    };
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    let recorded = facts.record(odd);
    ensure!(facts.message(&recorded.key()) == Some(&recorded));
    transaction.commit(&facts).await?;
    let found = place.store.outcome(&recorded.key()).await?.context("the row")?;
    ensure!(found == *recorded, "{found:?} is not {recorded:?}");
    Ok(())
}
