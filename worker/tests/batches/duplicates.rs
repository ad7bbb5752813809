//! Messages are taken for new until a duplicate is found, and take effect once all the same.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use lockstep_protocol::Envelope;

use crate::counted_store::Begun;
use crate::scene::{Ground, Scene, id, on_both, update};

/// How many messages the results are for, and how many there are for each.
fn counts(results: &BTreeMap<String, Vec<Vec<u8>>>) -> (usize, Vec<usize>) {
    let mut numbers: Vec<usize> = results.values().map(Vec::len).collect();
    numbers.dedup();
    (results.len(), numbers)
}

fn all_results_are_the_same(results: &BTreeMap<String, Vec<Vec<u8>>>) -> Result<()> {
    for (id, results) in results {
        ensure!(
            results.iter().all(|result| *result == results[0]),
            "the results of {id} differ"
        );
    }
    Ok(())
}

/// All in one batch: the facts of the batch know the first of two.
async fn within_a_batch(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let messages: Vec<Envelope> = (0..8).map(update).collect();
    scene.publish(messages.iter().chain(&messages)).await?;
    let worker = scene.worker(100);
    let results = scene.results(16).await?;
    worker.stop().await?;
    assert_eq!(counts(&results), (8, vec![2]));
    all_results_are_the_same(&results)?;
    assert_eq!(scene.flags().await?, [1; 8]);
    let begun = scene.store.take_begun();
    assert!(begun[0].assumes_new, "{begun:?}");
    Ok(())
}

/// One after the other, in batches of their own: the second one finds the row of the first by its key, and then reads it.
async fn in_two_batches(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let message = update(0);
    let worker = scene.worker(100);
    scene.publish([&message]).await?;
    let mut results = scene.results(1).await?;
    let alone = |assumes_new| Begun {
        messages: 1,
        assumes_new,
    };
    assert_eq!(scene.store.take_begun(), [alone(true)]);

    scene.publish([&message]).await?;
    for (id, again) in scene.results(1).await? {
        results.entry(id).or_default().extend(again);
    }
    assert_eq!(scene.store.take_begun(), [alone(true), alone(false)]);
    assert_eq!(counts(&results), (1, vec![2]));
    all_results_are_the_same(&results)?;
    assert_eq!(scene.flags().await?[0], 1);

    // From now on it reads, for a while.
    scene.publish([&update(0)]).await?;
    scene.results(1).await?;
    assert_eq!(scene.store.take_begun(), [alone(false)]);
    worker.stop().await
}

/// The new messages of a batch with a duplicate are processed like others.
async fn among_new_messages(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let worker = scene.worker(100);
    let old = update(0);
    scene.publish([&old]).await?;
    scene.results(1).await?;
    worker.stop().await?;
    let new: Vec<Envelope> = (0..8).map(update).collect();
    scene
        .publish(new[..4].iter().chain([&old]).chain(&new[4..]))
        .await?;
    let worker = scene.worker(100);
    let results = scene.results(9).await?;
    worker.stop().await?;
    assert_eq!(counts(&results), (9, vec![1]));
    assert_eq!(scene.flags().await?, [2, 1, 1, 1, 1, 1, 1, 1]);
    Ok(())
}

/// A worker that knows nothing meets the messages of another one.
async fn after_a_restart(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let messages: Vec<Envelope> = (0..8).map(update).collect();
    let mut results = BTreeMap::<String, Vec<Vec<u8>>>::new();
    for _ in 0..3 {
        let worker = scene.worker(100);
        scene.publish(&messages).await?;
        for (id, again) in scene.results(8).await? {
            results.entry(id).or_default().extend(again);
        }
        worker.stop().await?;
    }
    assert_eq!(counts(&results), (8, vec![3]));
    all_results_are_the_same(&results)?;
    assert_eq!(scene.flags().await?, [1; 8]);
    Ok(())
}

/// Two workers that take a message and its duplicate at the same time.
async fn across_two_workers(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let workers = [scene.worker(4), scene.worker(4)];
    let messages: Vec<Envelope> = (0..200).map(update).collect();
    for neighbours in messages.chunks(4) {
        scene.publish(neighbours.iter().chain(neighbours)).await?;
    }
    let results = scene.results(400).await?;
    for worker in workers {
        worker.stop().await?;
    }
    assert_eq!(counts(&results), (200, vec![2]));
    all_results_are_the_same(&results)?;
    assert_eq!(scene.flags().await?, [25; 8]);
    Ok(())
}

/// The same identity with other content, in one batch and later.
async fn a_reuse_of_an_identity(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let first = update(0);
    let mut forged = update(1);
    forged.identity = first.identity.clone();
    let mut later = update(2);
    later.identity = first.identity.clone();
    scene.publish([&first, &forged, &forged]).await?;
    let worker = scene.worker(100);
    let mut results = scene.results(3).await?;
    worker.stop().await?;
    let worker = scene.worker(100);
    scene.publish([&later, &forged, &first]).await?;
    for (id, again) in scene.results(3).await? {
        results.entry(id).or_default().extend(again);
    }
    worker.stop().await?;
    let mut of_identity = results.remove(&id(&first)).unwrap_or_default();
    of_identity.sort();
    of_identity.dedup();
    let refused = |result: &&Vec<u8>| String::from_utf8_lossy(result).contains("id-reused");
    assert_eq!(
        (of_identity.len(), of_identity.iter().filter(refused).count()),
        (3, 2),
        "{of_identity:?}"
    );
    assert_eq!(scene.flags().await?, [1, 0, 0, 0, 0, 0, 0, 0]);
    Ok(())
}

/// Every message of many batches is a duplicate: few transactions are repeated.
async fn a_storm_of_duplicates(ground: Ground) -> Result<()> {
    const BATCHES: usize = 80;
    let scene = Scene::new(ground).await?;
    let messages: Vec<Envelope> = (0..BATCHES * 4).map(update).collect();
    let worker = scene.worker(4);
    scene.publish(&messages).await?;
    let first = scene.results(messages.len()).await?;
    worker.stop().await?;
    let begun = scene.store.take_begun();
    assert!(begun.iter().all(|begun| begun.assumes_new), "{begun:?}");

    scene.publish(&messages).await?;
    let worker = scene.worker(4);
    let again = scene.results(messages.len()).await?;
    worker.stop().await?;
    assert_eq!(first, again);
    assert_eq!(scene.flags().await?, [i64::try_from(messages.len() / 8)?; 8]);
    let begun = scene.store.take_begun();
    let in_vain = begun.iter().filter(|begun| begun.assumes_new).count();
    let batches = begun.len() - in_vain;
    // One repetition for each 32 batches that read.
    let most = batches.div_ceil(32);
    assert!(
        (1..=most).contains(&in_vain),
        "{in_vain} repetitions in {batches} batches"
    );
    Ok(())
}

on_both! {
    within_a_batch
    in_two_batches
    among_new_messages
    after_a_restart
    across_two_workers
    a_reuse_of_an_identity
    a_storm_of_duplicates
}
