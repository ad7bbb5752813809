use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_store::{AttemptStart, Completion, DeliveryAttempt, InboxRow, InboxState, Keys};
use tokio::time::timeout;

use super::{Place, create_all, key, keys, row};

/// Long enough for calls that do not wait, short for calls that do.
const MOMENT: Duration = Duration::from_millis(200);

fn attempt(id: &str, redrive_count: u32) -> DeliveryAttempt {
    DeliveryAttempt {
        message: key(id),
        redrive_count,
    }
}

fn start(id: &str, unfinished: u32) -> AttemptStart {
    AttemptStart {
        attempt: attempt(id, 0),
        unfinished,
    }
}

pub(crate) async fn attempts_are_counted_until_they_are_cleared(place: &Place) -> Result<()> {
    let (one, two) = (attempt("1", 0), attempt("2", 0));
    ensure!(place.store.unfinished(std::slice::from_ref(&one)).await? == [Some(0)]);
    place.store.record(&[start("1", 0), start("2", 0)].into()).await?;
    place.other.record(&[start("1", 1)].into()).await?;
    let asked = [two.clone(), attempt("3", 0), one.clone(), one.clone()];
    ensure!(place.store.unfinished(&asked).await? == [Some(1), Some(0), Some(2), Some(2)]);
    place.store.clear(&[one.clone(), attempt("3", 0)].into()).await?;
    ensure!(place.other.unfinished(&[one, two]).await? == [Some(0), Some(1)]);
    Ok(())
}

pub(crate) async fn a_completed_message_has_no_attempts_until_it_is_requeued(place: &Place) -> Result<()> {
    let first = attempt("1", 0);
    place.store.record(&[start("1", 0)].into()).await?;
    let dead = InboxRow {
        state: InboxState::Dead,
        ..row(first.message.identity.clone())
    };
    let (mut facts, transaction) = place.store.begin(&[], &Keys::default()).await?;
    facts.record(Completion::from(dead));
    transaction.commit(&facts).await?;
    let asked = [first, attempt("1", 1)];
    ensure!(place.store.unfinished(&asked).await? == [None, Some(0)]);
    Ok(())
}

/// A repetition, whose first answer was lost, counts nothing twice, and gives back nothing twice.
pub(crate) async fn a_start_is_recorded_and_given_back_once(place: &Place) -> Result<()> {
    let one = attempt("1", 0);
    for unfinished in 0..3 {
        for _ in 0..2 {
            place.store.record(&[start("1", unfinished)].into()).await?;
        }
    }
    for _ in 0..2 {
        place
            .store
            .give_back(&[start("1", 2), start("2", 0)].into())
            .await?;
    }
    ensure!(place.other.unfinished(&[one, attempt("2", 0)]).await? == [Some(2), Some(0)]);
    Ok(())
}

pub(crate) async fn the_start_of_a_transaction_is_counted_until_it_commits(place: &Place) -> Result<()> {
    let keys = Keys {
        starts: [start("1", 0), start("2", 3)].into(),
        ..Keys::default()
    };
    let (_, transaction) = place.store.begin(&[], &keys).await?;
    let asked = [attempt("1", 0), attempt("2", 0)];
    ensure!(
        place.other.unfinished(&asked).await? == [Some(1), Some(4)],
        "while it is open"
    );
    drop(transaction);
    ensure!(place.other.unfinished(&asked).await? == [Some(1), Some(4)]);
    let (facts, transaction) = place.store.begin(&[], &keys).await?;
    transaction.commit(&facts).await?;
    ensure!(place.other.unfinished(&asked).await? == [Some(0), Some(3)]);
    Ok(())
}

pub(crate) async fn a_transaction_that_waits_for_a_lock_has_not_begun(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let (_, holder) = place.store.begin(&[], &keys("2", ["sw1"])).await?;
    let waiting = Keys {
        starts: [start("1", 0)].into(),
        ..keys("3", ["sw1"])
    };
    let mut second = place.other.begin(&[], &waiting);
    ensure!(timeout(MOMENT, &mut second).await.is_err(), "it did not wait");
    ensure!(place.store.unfinished(&[attempt("1", 0)]).await? == [Some(0)]);
    drop(holder);
    let (_, _transaction) = second.await?;
    ensure!(place.store.unfinished(&[attempt("1", 0)]).await? == [Some(1)]);
    Ok(())
}

pub(crate) async fn many_record_the_same_attempts_at_once(place: &Place) -> Result<()> {
    let attempts: Vec<DeliveryAttempt> = (0..50).map(|number| attempt(&number.to_string(), 0)).collect();
    for unfinished in 0..5 {
        let starts: BTreeSet<AttemptStart> = attempts
            .iter()
            .map(|attempt| AttemptStart {
                attempt: attempt.clone(),
                unfinished,
            })
            .collect();
        let (one, other, third) = tokio::join!(
            place.store.record(&starts),
            place.other.record(&starts),
            place.other.give_back(&starts)
        );
        one.and(other).and(third)?;
        place.store.record(&starts).await?;
    }
    ensure!(place.store.unfinished(&attempts).await? == vec![Some(5); 50]);
    Ok(())
}
