//! Messages that are found by their ids alone, with their causes and dead letters.

use anyhow::{Result, ensure};
use lockstep_protocol::{Identity, MessageId, MessageKey, Source};
use lockstep_store::{InboxRow, Keys, MessageRow, StoreError};

use super::dead_letter_writing::completion;
use super::{Place, create_all, devices, keys, message, row, unsynchronize, work};

fn source(text: &str) -> Source {
    Source::try_from(text.to_owned()).expect("a source")
}

fn of(from: &str, id: &str, actor: Option<&str>) -> InboxRow {
    let identity = Identity {
        source: source(from),
        ..message(id)
    };
    InboxRow {
        actor: actor.map(Into::into),
        subject: Some("sw1".to_owned()),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        ..row(identity)
    }
}

async fn remember(place: &Place, rows: &[InboxRow]) -> Result<(), StoreError> {
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    for row in rows {
        facts.record(row.clone());
    }
    transaction.commit(&facts).await
}

async fn found(place: &Place, id: &str, from: Option<&str>, limit: u32) -> Result<Vec<MessageRow>> {
    let id = MessageId::try_from(id.to_owned())?;
    let from = from.map(source);
    Ok(place.other.messages(&id, from.as_ref(), limit).await?)
}

pub(crate) async fn a_message_is_found_by_its_id_in_all_sources(place: &Place) -> Result<()> {
    ensure!(found(place, "1", None, 10).await?.is_empty());
    let rows = [
        of("urn:a", "1", None),
        of("urn:a", "1", Some("anna")),
        of("urn:b", "2", Some("anna")),
        of("urn:c", "1", Some("anna")),
    ];
    remember(place, &rows).await?;
    let keys = async |id: &str, from: Option<&str>, limit| -> Result<Vec<MessageKey>> {
        let found = found(place, id, from, limit).await?;
        Ok(found.iter().map(MessageRow::key).collect())
    };
    let [one, two, _, three] = rows.each_ref().map(InboxRow::key);
    ensure!(keys("1", None, 10).await? == [one.clone(), two.clone(), three.clone()]);
    ensure!(keys("1", None, 2).await? == [one.clone(), two.clone()]);
    ensure!(keys("1", Some("urn:a"), 10).await? == [one, two]);
    ensure!(keys("1", Some("urn:b"), 10).await?.is_empty());
    ensure!(keys("3", None, 10).await?.is_empty());
    let only = found(place, "2", None, 10).await?;
    ensure!(
        only[0].trace_id == rows[2].trace_id && only[0].subject == rows[2].subject,
        "{only:?}"
    );
    ensure!(only[0].result == rows[2].result && only[0].kind == "lockstep.interface.updated");
    Ok(())
}

pub(crate) async fn the_causes_of_a_message_are_found(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    work(place, &keys("1", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    work(
        place,
        &keys("2", ["sw1", "sw2"]),
        devices([unsynchronize("sw1"), unsynchronize("sw2")]),
    )
    .await?;
    for id in ["1", "2"] {
        let causes = place.other.causes_of_message(&super::key(id), 10).await?;
        ensure!(!causes.is_empty(), "message {id}");
        let rows = place.other.causes(&causes).await?;
        ensure!(rows.len() == causes.len(), "{rows:?}");
        ensure!(rows.values().all(|row| row.identity == message(id)), "{rows:?}");
    }
    let other = MessageKey {
        actor: Some("somebody".into()),
        ..super::key("1")
    };
    ensure!(place.other.causes_of_message(&other, 10).await?.is_empty());
    ensure!(place.other.causes_of_message(&super::key("2"), 1).await?.len() == 1);
    Ok(())
}

pub(crate) async fn the_dead_letters_of_a_message_are_found(place: &Place) -> Result<()> {
    for id in ["1", "2"] {
        let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
        facts.record(completion(id, 0, None));
        transaction.commit(&facts).await?;
    }
    let found = place.other.dead_letters_of(&super::key("2"), 10).await?;
    let [only] = &found[..] else {
        anyhow::bail!("{found:?}");
    };
    ensure!(only.identity == message("2") && only.attempts == 3, "{only:?}");
    let other = MessageKey {
        actor: None,
        ..super::key("2")
    };
    ensure!(place.other.dead_letters_of(&other, 10).await?.is_empty());
    Ok(())
}
