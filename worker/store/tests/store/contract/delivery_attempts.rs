use anyhow::{Result, ensure};
use lockstep_store::{Completion, DeliveryAttempt, InboxRow, InboxState, Keys};

use super::{Place, key, row};

fn attempt(id: &str, redrive_count: u32) -> DeliveryAttempt {
    DeliveryAttempt {
        message: key(id),
        redrive_count,
    }
}

pub(crate) async fn attempts_are_counted_until_they_are_cleared(place: &Place) -> Result<()> {
    let (one, two) = (attempt("1", 0), attempt("2", 0));
    ensure!(place.store.unfinished(std::slice::from_ref(&one)).await? == [Some(0)]);
    place.store.record(&[one.clone(), two.clone()]).await?;
    place.other.record(std::slice::from_ref(&one)).await?;
    let asked = [two.clone(), attempt("3", 0), one.clone(), one.clone()];
    ensure!(place.store.unfinished(&asked).await? == [Some(1), Some(0), Some(2), Some(2)]);
    place.store.clear(&[one.clone(), attempt("3", 0)]).await?;
    ensure!(place.other.unfinished(&[one, two]).await? == [Some(0), Some(1)]);
    Ok(())
}

pub(crate) async fn a_completed_message_has_no_attempts_until_it_is_requeued(place: &Place) -> Result<()> {
    let first = attempt("1", 0);
    place.store.record(std::slice::from_ref(&first)).await?;
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

pub(crate) async fn many_record_the_same_attempts_at_once(place: &Place) -> Result<()> {
    let attempts: Vec<DeliveryAttempt> = (0..50).map(|number| attempt(&number.to_string(), 0)).collect();
    let mut backwards = attempts.clone();
    backwards.reverse();
    for _ in 0..5 {
        let (one, other) = tokio::join!(place.store.record(&attempts), place.other.record(&backwards));
        one?;
        other?;
    }
    ensure!(place.store.unfinished(&attempts).await? == vec![Some(10); 50]);
    Ok(())
}
