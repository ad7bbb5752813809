//! Dead letters in the transaction of a batch: created, requeued, processed again, dropped.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use lockstep_protocol::commands::{DeadLetterSelection, MAX_DEAD_LETTERS};
use lockstep_protocol::results::{DeadLetterAction, MessageRejected};
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Code, Kind, WorkResult};
use lockstep_store::{
    Completion, DeadLetter, DeadLetterSelector, DeadLetterState, Effects, Facts, FollowUpKey, InboxRow,
    InboxState, Keys, MessageProperties, NewDeadLetter, Origin, SettleDeadLetters,
};

use super::{Place, at, key, message, row};

fn dead_row(id: &str, redrive_count: u32) -> InboxRow {
    InboxRow {
        state: InboxState::Dead,
        redrive_count,
        result: WorkResult::MessageRejected(MessageRejected {
            code: Code::UnknownDevice,
            reason: "no device \"ä\u{0}\"".to_owned(),
            place: Some("$.data.hostname".to_owned()),
            message_type: None,
            refused: false,
        })
        .into(),
        ..row(message(id))
    }
}

fn dead_letter(id: &str, redrive_count: u32) -> NewDeadLetter {
    NewDeadLetter {
        identity: message(id),
        redrive_count,
        lane: Lane::Events,
        kind: "lockstep.interface.updated".to_owned(),
        subject: Some("sw1".to_owned()),
        actor: Some("netbox".to_owned()),
        code: Code::UnknownDevice,
        reason: "no device is named sw1".to_owned(),
        place: Some("$.data.hostname".to_owned()),
        attempts: 3,
        first_at: at(),
        dead_lettered_at: at(),
        body: Bytes::from_static(b"\x00\xff any bytes"),
        properties: MessageProperties {
            message_id: Some(id.to_owned()),
            reply_to: Some("lockstep.reply.netbox.1".to_owned()),
            ..MessageProperties::default()
        },
    }
}

pub(super) fn completion(id: &str, redrive_count: u32, requeued: Option<u64>) -> Completion {
    Completion {
        row: dead_row(id, redrive_count),
        dead_letter: Some(dead_letter(id, redrive_count)),
        follow_up: requeued.map(FollowUpKey::DeadLetter),
        audit: None,
    }
}

/// Commits a dead-lettered message.
pub(crate) async fn dead(place: &Place, id: &str) -> Result<()> {
    end(place, completion(id, 0, None)).await
}

async fn end(place: &Place, completion: Completion) -> Result<()> {
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    facts.record(completion);
    Ok(transaction.commit(&facts).await?)
}

/// Settles the dead letters that a command selects, and returns their numbers.
async fn settle(
    place: &Place,
    request: &str,
    dead_letters: DeadLetterSelector,
    action: DeadLetterAction,
) -> Result<Vec<u64>> {
    let keys = Keys {
        dead_letters: [dead_letters.clone()].into(),
        ..Keys::default()
    };
    let (mut facts, transaction) = place.store.begin(&[], &keys).await?;
    let numbers: Vec<u64> = match &dead_letters {
        DeadLetterSelector::One(number) => {
            let dead = facts.dead_letter(*number) == Some(DeadLetterState::Dead);
            dead.then_some(*number).into_iter().collect()
        }
        DeadLetterSelector::Matching(_) | DeadLetterSelector::Requeueable(_) => {
            facts.matching(&dead_letters).collect()
        }
    };
    absorb(&mut facts, request, action, numbers.clone());
    transaction.commit(&facts).await?;
    Ok(numbers)
}

fn absorb(facts: &mut Facts, request: &str, action: DeadLetterAction, numbers: Vec<u64>) {
    let identity = message(request);
    let from = Origin {
        identity: &identity,
        kind: Kind::DeadLetterRequeueRequested,
        actor: Some("netbox"),
        at: at(),
        reply: None,
    };
    let effects = Effects {
        dead_letters: Some(SettleDeadLetters { action, numbers }),
        ..Effects::default()
    };
    facts.absorb(effects, &from);
    facts.record(row(identity.clone()));
}

async fn stored(place: &Place, number: u64) -> Result<DeadLetter> {
    place.store.dead_letter(number).await?.context("the letter")
}

pub(crate) async fn a_dead_letter_commits_with_its_row_and_comes_back_as_it_was(place: &Place) -> Result<()> {
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    facts.record(completion("1", 0, None));
    drop(transaction);
    ensure!(
        place.store.dead_letter(1).await?.is_none(),
        "nothing was committed"
    );

    end(place, completion("1", 0, None)).await?;
    let numbers = place
        .probe
        .texts("SELECT CAST(number AS text) FROM dead_letter")
        .await?;
    let number = numbers.first().context("a number")?.parse()?;
    let DeadLetter {
        head,
        body,
        properties,
    } = stored(place, number).await?;
    let original = dead_letter("1", 0);
    ensure!(body == original.body && properties == original.properties);
    ensure!(
        head.state == DeadLetterState::Dead && head.settled_at.is_none(),
        "{head:?}"
    );
    ensure!((head.identity, head.redrive_count) == (original.identity, 0));
    ensure!((head.code.as_str(), head.attempts) == ("unknown-device", 3));
    ensure!((head.first_at, head.dead_lettered_at, head.bytes) == (at(), at(), original.body.len() as u64));
    Ok(())
}

pub(crate) async fn the_same_dead_lettering_has_one_row(place: &Place) -> Result<()> {
    end(place, completion("1", 0, None)).await?;
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    facts.write_dead_letter(dead_letter("1", 0));
    facts.write_dead_letter(dead_letter("1", 0));
    transaction.commit(&facts).await?;
    ensure!(
        place
            .probe
            .texts("SELECT CAST(number AS text) FROM dead_letter")
            .await?
            .len()
            == 1
    );
    Ok(())
}

async fn only_number(place: &Place, state: &str) -> Result<u64> {
    let query = format!("SELECT CAST(number AS text) FROM dead_letter WHERE state = '{state}'");
    let numbers = place.probe.texts(&query).await?;
    ensure!(numbers.len() == 1, "{numbers:?}");
    Ok(numbers[0].parse()?)
}

pub(crate) async fn a_requeued_message_takes_the_place_of_its_dead_row(place: &Place) -> Result<()> {
    end(place, completion("1", 0, None)).await?;
    let number = only_number(place, "dead").await?;
    let settled = settle(
        place,
        "command",
        DeadLetterSelector::One(number),
        DeadLetterAction::Requeued,
    )
    .await?;
    ensure!(settled == [number]);
    let head = stored(place, number).await?.head;
    ensure!(head.state == DeadLetterState::Requeued && head.settled_by.as_deref() == Some("netbox"));
    let published = place.store.unpublished(&key("command"), None, 10).await?;
    ensure!(published.len() == 1 && published[0].key == FollowUpKey::DeadLetter(number));
    ensure!(published[0].redrive_count == 1 && published[0].body == dead_letter("1", 0).body);

    // It is dead-lettered again, with the next redrive count.
    end(place, completion("1", 1, Some(number))).await?;
    let found = place.store.outcome(&key("1")).await?.context("the row")?;
    ensure!((found.state, found.redrive_count) == (InboxState::Dead, 1));
    ensure!(stored(place, number).await?.head.state == DeadLetterState::Processed);
    ensure!(
        place
            .store
            .unpublished(&key("command"), None, 10)
            .await?
            .is_empty()
    );
    let second = only_number(place, "dead").await?;
    ensure!(second != number && stored(place, second).await?.head.redrive_count == 1);

    // It is applied at last; after that no row replaces it.
    settle(
        place,
        "again",
        DeadLetterSelector::One(second),
        DeadLetterAction::Requeued,
    )
    .await?;
    let applied = InboxRow {
        redrive_count: 2,
        ..row(message("1"))
    };
    let last = Completion {
        follow_up: Some(FollowUpKey::DeadLetter(second)),
        ..Completion::from(applied.clone())
    };
    end(place, last).await?;
    ensure!(place.store.outcome(&key("1")).await? == Some(applied));
    ensure!(
        end(place, completion("1", 3, None)).await.is_err(),
        "an applied message cannot be dead-lettered"
    );
    Ok(())
}

pub(crate) async fn what_was_settled_is_not_settled_again(place: &Place) -> Result<()> {
    end(place, completion("1", 0, None)).await?;
    let number = only_number(place, "dead").await?;
    settle(
        place,
        "drop",
        DeadLetterSelector::One(number),
        DeadLetterAction::Dropped,
    )
    .await?;
    ensure!(
        settle(
            place,
            "late",
            DeadLetterSelector::One(number),
            DeadLetterAction::Requeued
        )
        .await?
        .is_empty()
    );
    // Not even by a command that did not look.
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    absorb(&mut facts, "blind", DeadLetterAction::Requeued, vec![number]);
    transaction.commit(&facts).await?;
    ensure!(stored(place, number).await?.head.state == DeadLetterState::Dropped);
    ensure!(place.store.unpublished(&key("blind"), None, 10).await?.is_empty());
    Ok(())
}

pub(crate) async fn a_selection_takes_what_matches_up_to_its_number(place: &Place) -> Result<()> {
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    for id in 0..6 {
        let mut completion = completion(&id.to_string(), 0, None);
        let dead_letter = completion.dead_letter.as_mut().context("a letter")?;
        match id {
            1 => dead_letter.code = Code::Crashed,
            2 => dead_letter.lane = Lane::Repositories,
            3 => "lockstep.device.removed".clone_into(&mut dead_letter.kind),
            _ => {}
        }
        facts.record(completion);
    }
    transaction.commit(&facts).await?;
    let numbers: Vec<u64> = place
        .probe
        .texts("SELECT CAST(number AS text) FROM dead_letter ORDER BY number")
        .await?
        .iter()
        .map(|number| Ok(number.parse()?))
        .collect::<Result<_>>()?;
    let selection = DeadLetterSelection {
        up_to: numbers[4],
        code: Some(Code::UnknownDevice),
        lane: Some(Lane::Events),
        message_type: Some("lockstep.interface.updated".to_owned()),
    };
    let dead_letters = DeadLetterSelector::Matching(selection.clone());
    let settled = settle(place, "all", dead_letters.clone(), DeadLetterAction::Requeued).await?;
    let plain: Vec<u64> = settled
        .iter()
        .map(|number| numbers.iter().position(|other| other == number))
        .map(|place| place.map_or(u64::MAX, |place| place as u64))
        .collect();
    ensure!(plain.len() == 2 && !plain.contains(&u64::MAX), "{plain:?}");
    ensure!(settled.iter().all(|number| *number <= selection.up_to));
    ensure!(
        settle(place, "again", dead_letters, DeadLetterAction::Requeued)
            .await?
            .is_empty()
    );
    Ok(())
}

pub(crate) async fn a_selection_is_one_longer_than_a_command_settles(place: &Place) -> Result<()> {
    let most = MAX_DEAD_LETTERS as usize;
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    for id in 0..most + 2 {
        facts.write_dead_letter(dead_letter(&id.to_string(), 0));
    }
    transaction.commit(&facts).await?;
    let everything = DeadLetterSelection {
        up_to: u64::MAX,
        code: None,
        lane: None,
        message_type: None,
    };
    let everything = DeadLetterSelector::Matching(everything);
    let keys = Keys {
        dead_letters: [everything.clone()].into(),
        ..Keys::default()
    };
    let (facts, _transaction) = place.store.begin(&[], &keys).await?;
    ensure!(facts.matching(&everything).count() == most + 1);
    Ok(())
}

pub(crate) async fn what_is_final_is_not_requeueable(place: &Place) -> Result<()> {
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    facts.write_dead_letter(dead_letter("1", 0));
    facts.write_dead_letter(NewDeadLetter {
        code: Code::TooLarge,
        ..dead_letter("2", 0)
    });
    facts.write_dead_letter(NewDeadLetter {
        code: Code::NotAllowed,
        ..dead_letter("3", 0)
    });
    transaction.commit(&facts).await?;
    let everything = DeadLetterSelection {
        up_to: u64::MAX,
        code: None,
        lane: None,
        message_type: None,
    };
    let all = DeadLetterSelector::Matching(everything.clone());
    let requeueable = DeadLetterSelector::Requeueable(everything);
    let keys = Keys {
        dead_letters: [
            all.clone(),
            requeueable.clone(),
            DeadLetterSelector::One(1),
            DeadLetterSelector::One(2),
            DeadLetterSelector::One(3),
        ]
        .into(),
        ..Keys::default()
    };
    let (facts, _transaction) = place.store.begin(&[], &keys).await?;
    ensure!(facts.matching(&all).eq([1, 2, 3]));
    ensure!(facts.matching(&requeueable).eq([1]));
    ensure!(facts.final_code(1).is_none() && facts.final_code(2) == Some(Code::TooLarge));
    ensure!(facts.final_code(3) == Some(Code::NotAllowed));
    Ok(())
}

pub(crate) async fn unsettled_dead_letters_are_counted(place: &Place) -> Result<()> {
    for id in ["1", "2", "3"] {
        end(place, completion(id, 0, None)).await?;
    }
    ensure!(place.store.summary().await?.dead_letters == 3);
    let settled = settle(
        place,
        "drop",
        DeadLetterSelector::One(1),
        DeadLetterAction::Dropped,
    )
    .await?;
    ensure!(settled == [1]);
    ensure!(place.store.summary().await?.dead_letters == 2);
    Ok(())
}
