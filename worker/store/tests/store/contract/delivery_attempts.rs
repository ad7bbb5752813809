use anyhow::{Result, ensure};
use lockstep_store::{Completion, DeliveryAttempt, InboxRow, InboxState, Keys};

use super::{Place, message, row};

fn start(id: &str, redrive_count: u32) -> DeliveryAttempt {
    DeliveryAttempt {
        identity: message(id),
        redrive_count,
    }
}

pub(crate) async fn delivery_attempts_are_counted_until_they_are_forgotten(place: &Place) -> Result<()> {
    let (one, two) = (start("1", 0), start("2", 0));
    ensure!(place.store.begun(std::slice::from_ref(&one)).await? == [Some(0)]);
    place.store.note(&[one.clone(), two.clone()]).await?;
    place.other.note(std::slice::from_ref(&one)).await?;
    let asked = [two.clone(), start("3", 0), one.clone(), one.clone()];
    ensure!(place.store.begun(&asked).await? == [Some(1), Some(0), Some(2), Some(2)]);
    place.store.forget(&[one.clone(), start("3", 0)]).await?;
    ensure!(place.other.begun(&[one, two]).await? == [Some(0), Some(1)]);
    Ok(())
}

pub(crate) async fn a_processed_message_counts_no_attempts_until_it_is_requeued(place: &Place) -> Result<()> {
    let first = start("1", 0);
    place.store.note(std::slice::from_ref(&first)).await?;
    let dead = InboxRow {
        state: InboxState::Dead,
        ..row(first.identity.clone())
    };
    let (mut facts, transaction) = place.store.begin(&Keys::default()).await?;
    facts.record(Completion::from(dead));
    transaction.commit(&facts).await?;
    let asked = [first, start("1", 1)];
    ensure!(place.store.begun(&asked).await? == [None, Some(0)]);
    Ok(())
}

pub(crate) async fn the_same_delivery_attempt_is_recorded_concurrently(place: &Place) -> Result<()> {
    let starts: Vec<DeliveryAttempt> = (0..50).map(|number| start(&number.to_string(), 0)).collect();
    let mut backwards = starts.clone();
    backwards.reverse();
    for _ in 0..5 {
        let (one, other) = tokio::join!(place.store.note(&starts), place.other.note(&backwards));
        one?;
        other?;
    }
    ensure!(place.store.begun(&starts).await? == vec![Some(10); 50]);
    Ok(())
}
