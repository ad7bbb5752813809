//! Follow-ups: the outbox.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use lockstep_protocol::commands::RepositoryRefreshRequested;
use lockstep_protocol::results::DeadLetterAction;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Envelope, Kind, Message};
use lockstep_store::{
    Completion, Effects, FollowUp, FollowUpKey, FollowUpRequest, FollowUpTarget, Keys, Origin, ReplyAddress,
    SettleDeadLetters,
};

use super::leases::LONG;
use super::{Place, Store, at, key, message, row};

const REPUBLISH_AFTER: Duration = Duration::from_mins(15);

fn work(lane: Lane) -> FollowUpRequest {
    let body = RepositoryRefreshRequested {
        repository: "settings".to_owned().try_into().expect("a name"),
    };
    FollowUpRequest {
        message: Message::from(body),
        subject: Some("sw1".to_owned()),
        target: FollowUpTarget::Lane(lane),
        delay: None,
        lease: None,
    }
}

fn result() -> FollowUpRequest {
    FollowUpRequest {
        message: Message::Result(row(message("any")).result.into_result()),
        target: FollowUpTarget::Requester,
        ..work(Lane::Devices)
    }
}

/// Commits a message that causes work.
pub(crate) async fn cause_work(store: &dyn Store, id: &str) -> Result<()> {
    cause_in(store, id, vec![work(Lane::Devices), work(Lane::Cvp)]).await
}

/// Commits a message that causes these.
async fn cause(place: &Place, id: &str, follow_ups: Vec<FollowUpRequest>) -> Result<()> {
    cause_in(&*place.store, id, follow_ups).await
}

async fn cause_in(store: &dyn Store, id: &str, follow_ups: Vec<FollowUpRequest>) -> Result<()> {
    let identity = message(id);
    let reply = ReplyAddress {
        queue: Some("lockstep.reply.netbox.1".to_owned()),
        correlation_id: Some("request 7".to_owned()),
    };
    let origin = Origin {
        identity: &identity,
        kind: Kind::TaskRequested,
        actor: Some("netbox"),
        at: store.now().await?,
        reply: Some(&reply),
    };
    let effects = Effects {
        follow_ups,
        ..Effects::default()
    };
    ensure!(effects.have_follow_ups());
    let (mut facts, transaction) = store.begin(&[], &Keys::default()).await?;
    facts.absorb(effects, &origin);
    facts.record(lockstep_store::InboxRow {
        follow_ups: true,
        ..row(identity.clone())
    });
    Ok(transaction.commit(&facts).await?)
}

async fn unpublished(place: &Place, id: &str) -> Result<Vec<FollowUp>> {
    Ok(place.store.unpublished(&key(id), None, 100).await?)
}

/// Lets so much time pass for all follow-ups.
async fn pass(place: &Place, minutes: i64) -> Result<()> {
    let (earlier, table) = (
        place.probe.earlier("due_at", minutes),
        ["follow_up", "dead_letter"],
    );
    for table in table {
        let update = format!("UPDATE {table} SET due_at = {earlier}");
        place.probe.texts(&update).await?;
    }
    Ok(())
}

async fn overdue(place: &Place) -> Result<Vec<FollowUpKey>> {
    let claimed = place.store.claim_overdue(100).await?;
    Ok(claimed.into_iter().map(|follow_up| follow_up.key).collect())
}

async fn rows(place: &Place) -> Result<usize> {
    Ok(place.probe.texts("SELECT id FROM follow_up").await?.len())
}

async fn only(place: &Place, id: &str) -> Result<FollowUp> {
    unpublished(place, id).await?.pop().context("a follow-up")
}

pub(crate) async fn a_message_and_its_follow_ups_commit_together(place: &Place) -> Result<()> {
    cause(place, "1", vec![work(Lane::Devices), result(), work(Lane::Cvp)]).await?;
    cause(place, "2", vec![work(Lane::Devices)]).await?;
    let found = unpublished(place, "1").await?;
    let lanes: Vec<Option<&str>> = found.iter().map(|follow_up| follow_up.lane.as_deref()).collect();
    ensure!(lanes == [Some("devices"), None, Some("cvp")], "{found:?}");
    ensure!(
        place
            .store
            .outcome(&key("1"))
            .await?
            .is_some_and(|row| row.follow_ups)
    );
    let first = &found[0];
    ensure!(first.actor.as_deref() == Some("netbox") && first.published == 0 && first.redrive_count == 0);
    let envelope = Envelope::decode(&first.body)
        .map_err(|error| anyhow::anyhow!("{error:?}"))?
        .envelope;
    ensure!(envelope.identity.id == key("1").derive(Kind::RepositoryRefreshRequested, 0));
    ensure!(first.properties.message_id.as_deref() == Some(envelope.identity.id.to_string().as_str()));
    ensure!(envelope.subject.as_deref() == Some("sw1"));
    ensure!(envelope.causationid == Some(message("1").to_string()));
    let asked = &found[1].properties;
    ensure!(asked.reply_to.as_deref() == Some("lockstep.reply.netbox.1"));
    ensure!(asked.correlation_id.as_deref() == Some("request 7"));
    ensure!(unpublished(place, "2").await?.len() == 1 && unpublished(place, "3").await?.is_empty());
    ensure!(
        place.store.unpublished(&key("1"), None, 2).await?.len() == 2,
        "in pages"
    );

    // Rolled back, nothing is there.
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    let identity = message("4");
    let origin = Origin {
        identity: &identity,
        kind: Kind::TaskRequested,
        actor: None,
        at: at(),
        reply: None,
    };
    let effects = Effects {
        follow_ups: vec![work(Lane::Devices)],
        ..Effects::default()
    };
    facts.absorb(effects, &origin);
    drop(transaction);
    ensure!(unpublished(place, "4").await?.is_empty());
    Ok(())
}

pub(crate) async fn a_published_follow_up_is_due_again_later_and_later(place: &Place) -> Result<()> {
    cause(place, "1", vec![work(Lane::Devices)]).await?;
    let follow_up = only(place, "1").await?;
    ensure!(overdue(place).await?.is_empty(), "its publisher has a minute");
    pass(place, 2).await?;
    ensure!(overdue(place).await? == [follow_up.key], "the publisher crashed");
    ensure!(overdue(place).await?.is_empty(), "it is claimed");

    place
        .store
        .mark_published(std::slice::from_ref(&follow_up), REPUBLISH_AFTER)
        .await?;
    ensure!(unpublished(place, "1").await?.is_empty());
    for (minutes, due) in [(14, false), (2, true)] {
        pass(place, minutes).await?;
        ensure!(
            overdue(place).await?.is_empty() != due,
            "after {minutes} more minutes"
        );
    }
    let again = FollowUp {
        published: 1,
        ..follow_up
    };
    place.store.mark_published(&[again], REPUBLISH_AFTER).await?;
    for (minutes, due) in [(16, false), (13, false), (2, true)] {
        pass(place, minutes).await?;
        ensure!(
            overdue(place).await?.is_empty() != due,
            "after {minutes} more minutes"
        );
    }
    Ok(())
}

pub(crate) async fn a_follow_up_ends_when_its_message_is_processed(place: &Place) -> Result<()> {
    cause(place, "1", vec![work(Lane::Devices), work(Lane::Devices)]).await?;
    let found = unpublished(place, "1").await?;
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    facts.record(Completion {
        follow_up: Some(found[0].key),
        ..Completion::from(row(message("processed")))
    });
    transaction.commit(&facts).await?;
    let left: Vec<FollowUpKey> = unpublished(place, "1")
        .await?
        .into_iter()
        .map(|left| left.key)
        .collect();
    ensure!(left == [found[1].key]);
    // Whoever published it meanwhile finds nothing to move on.
    place.store.mark_published(&found, REPUBLISH_AFTER).await?;
    ensure!(rows(place).await? == 1);
    Ok(())
}

pub(crate) async fn a_result_ends_when_the_broker_confirmed_it(place: &Place) -> Result<()> {
    cause(place, "1", vec![result()]).await?;
    let follow_up = only(place, "1").await?;
    pass(place, 2).await?;
    ensure!(overdue(place).await? == [follow_up.key]);
    place.store.mark_published(&[follow_up], REPUBLISH_AFTER).await?;
    ensure!(rows(place).await? == 0);
    Ok(())
}

pub(crate) async fn a_delayed_follow_up_is_not_published_before_its_time(place: &Place) -> Result<()> {
    let delayed = FollowUpRequest {
        delay: Some(Duration::from_mins(10)),
        ..work(Lane::Devices)
    };
    cause(place, "1", vec![delayed]).await?;
    ensure!(unpublished(place, "1").await?.is_empty(), "not at once");
    pass(place, 9).await?;
    ensure!(overdue(place).await?.is_empty());
    pass(place, 2).await?;
    ensure!(overdue(place).await?.len() == 1);
    Ok(())
}

pub(crate) async fn what_waits_changes_its_row(place: &Place) -> Result<()> {
    cause(place, "1", vec![work(Lane::Devices)]).await?;
    let follow_up = only(place, "1").await?;
    place
        .store
        .mark_published(std::slice::from_ref(&follow_up), REPUBLISH_AFTER)
        .await?;
    let until = place.store.now().await? + Duration::from_mins(3);
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    facts.postpone_follow_up(follow_up.key, until);
    transaction.commit(&facts).await?;
    pass(place, 2).await?;
    ensure!(overdue(place).await?.is_empty());
    pass(place, 2).await?;
    ensure!(
        overdue(place).await? == [follow_up.key],
        "sooner than it would be republished"
    );
    Ok(())
}

pub(crate) async fn a_follow_up_under_a_held_lease_is_not_due(place: &Place) -> Result<()> {
    let leased = FollowUpRequest {
        lease: Some("device/sw1".to_owned()),
        ..work(Lane::Devices)
    };
    cause(place, "1", vec![leased]).await?;
    pass(place, 2).await?;
    let lease = place.store.acquire("device/sw1", LONG).await?.context("free")?;
    ensure!(overdue(place).await?.is_empty(), "it is being processed");
    place.store.release(&lease).await?;
    ensure!(overdue(place).await?.len() == 1);
    Ok(())
}

pub(crate) async fn follow_ups_of_a_lane_are_made_due(place: &Place) -> Result<()> {
    cause(place, "1", vec![work(Lane::Devices), work(Lane::Cvp)]).await?;
    let found = unpublished(place, "1").await?;
    place.store.mark_published(&found, REPUBLISH_AFTER).await?;
    cause(place, "2", vec![work(Lane::Devices)]).await?;
    ensure!(
        place.store.make_due(&[Lane::Devices, Lane::Events]).await? == 1,
        "one was published"
    );
    ensure!(overdue(place).await? == [found[0].key]);
    Ok(())
}

/// Ten dead letters that a command requeued.
pub(crate) async fn a_requeued_dead_letter_is_its_own_follow_up(place: &Place) -> Result<()> {
    for id in 0..10 {
        super::dead_letter_writing::dead(place, &id.to_string()).await?;
    }
    let numbers: Vec<u64> = (1..=10).collect();
    let identity = message("requeue");
    let origin = Origin {
        identity: &identity,
        kind: Kind::DeadLetterRequeueRequested,
        actor: Some("netbox"),
        at: place.store.now().await?,
        reply: None,
    };
    let effects = Effects {
        dead_letters: Some(SettleDeadLetters {
            action: DeadLetterAction::Requeued,
            numbers: numbers.clone(),
        }),
        ..Effects::default()
    };
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    facts.absorb(effects, &origin);
    transaction.commit(&facts).await?;
    ensure!(rows(place).await? == 0, "nothing is copied");
    let found = unpublished(place, "requeue").await?;
    let keys: Vec<FollowUpKey> = numbers.into_iter().map(FollowUpKey::DeadLetter).collect();
    ensure!(found.iter().map(|found| found.key).collect::<Vec<_>>() == keys);
    place.store.mark_published(&found[..4], REPUBLISH_AFTER).await?;
    ensure!(
        unpublished(place, "requeue").await?.len() == 6,
        "a redelivery goes on"
    );
    pass(place, 2).await?;
    ensure!(overdue(place).await? == keys[4..]);
    ensure!(place.store.make_due(&[Lane::Events]).await? == 4);
    ensure!(overdue(place).await? == keys[..4]);
    Ok(())
}

/// Dead letters, and behind them messages.
pub(crate) async fn a_page_begins_behind_the_one_before_it(place: &Place) -> Result<()> {
    for id in 0..3 {
        super::dead_letter_writing::dead(place, &id.to_string()).await?;
    }
    let effects = Effects {
        dead_letters: Some(SettleDeadLetters {
            action: DeadLetterAction::Requeued,
            numbers: vec![1, 2, 3],
        }),
        follow_ups: (0..3).map(|_| work(Lane::Devices)).collect(),
        ..Effects::default()
    };
    let identity = message("both");
    let origin = Origin {
        identity: &identity,
        kind: Kind::DeadLetterRequeueRequested,
        actor: Some("netbox"),
        at: place.store.now().await?,
        reply: None,
    };
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    facts.absorb(effects, &origin);
    transaction.commit(&facts).await?;
    let (mut after, mut pages) = (None, Vec::new());
    loop {
        // Nothing is marked: a page begins behind what was returned, published or not.
        let page = place.store.unpublished(&key("both"), after, 2).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        pages.push(page.into_iter().map(|row| row.key).collect::<Vec<_>>());
    }
    let [first, second, third, fourth] = &pages[..] else {
        anyhow::bail!("{pages:?}");
    };
    ensure!(
        *first == [FollowUpKey::DeadLetter(1), FollowUpKey::DeadLetter(2)],
        "{pages:?}"
    );
    ensure!(*second == [FollowUpKey::DeadLetter(3)], "{pages:?}");
    let mut messages = third.iter().chain(fourth);
    ensure!((third.len(), fourth.len()) == (2, 1), "{pages:?}");
    ensure!(
        messages.all(|key| matches!(key, FollowUpKey::Message(_))),
        "{pages:?}"
    );
    // Those that are published are not in a page either.
    let all = place.store.unpublished(&key("both"), None, 100).await?;
    place.store.mark_published(&all[..1], REPUBLISH_AFTER).await?;
    let left = place.store.unpublished(&key("both"), None, 100).await?;
    ensure!(
        left.first()
            .is_some_and(|row| row.key == FollowUpKey::DeadLetter(2)),
        "{left:?}"
    );
    Ok(())
}

pub(crate) async fn two_that_claim_at_once_claim_each_follow_up_once(place: &Place) -> Result<()> {
    let many = (0..300).map(|_| work(Lane::Devices)).collect();
    cause(place, "1", many).await?;
    pass(place, 2).await?;
    let claims = (0..10).map(async |number: usize| {
        let store = if number.is_multiple_of(2) {
            &place.store
        } else {
            &place.other
        };
        store.claim_overdue(32).await
    });
    let mut claimed: Vec<FollowUpKey> = try_join_all(claims)
        .await?
        .into_iter()
        .flatten()
        .map(|follow_up| follow_up.key)
        .collect();
    claimed.extend(overdue(place).await?);
    let all = claimed.len();
    claimed.sort_unstable();
    claimed.dedup();
    ensure!(
        claimed.len() == all && all == 300,
        "{all} claimed, {} different",
        claimed.len()
    );
    Ok(())
}
