//! Counted starts of runs: what counts, what forgets, and who runs alone.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::{Code, Envelope, MessageKey};
use lockstep_store::{AttemptStart, DeliveryAttempt, DeliveryAttempts};
use lockstep_testbed::wait;
use lockstep_worker::runtime::{ProcessingError, RunEnd};

use tokio::sync::Semaphore;

use super::scripted::{Place, Run, Scripted, message, options};
use super::{all_applied, gated};
use crate::system::load::dead;
use crate::system::{PATIENCE, Sent};

/// Long enough for a run that may begin, short for one that may not.
const MOMENT: Duration = Duration::from_millis(300);

fn attempt(place: &Place, message: &Envelope) -> DeliveryAttempt {
    DeliveryAttempt {
        message: MessageKey {
            identity: message.identity.clone(),
            actor: Some(place.bus.user().into()),
        },
        redrive_count: 0,
    }
}

/// Records that so many attempts at a message began without an end.
async fn begun(place: &Place, message: &Envelope, times: u32) -> Result<()> {
    let start = AttemptStart {
        attempt: attempt(place, message),
        unfinished: times - 1,
    };
    Ok(place.store.record(&[start].into()).await?)
}

async fn unfinished(place: &Place, message: &Envelope) -> Result<Option<u32>> {
    Ok(place.store.unfinished(&[attempt(place, message)]).await?[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postponement_forgets_no_attempt_and_spends_none() -> Result<()> {
    let place = Place::new().await?;
    let message = message("a");
    begun(&place, &message, 3).await?;
    let gate = Arc::new(Semaphore::new(0));
    let opened = gate.clone();
    let runner = Scripted::new(move |run: Run| {
        let gate = opened.clone();
        async move {
            if run.number < 3 {
                return vec![RunEnd::Failed(ProcessingError::later("somebody else has it"))];
            }
            gate.acquire().await.expect("it is never closed").forget();
            run.applied()
        }
    });
    place.publish([&message]).await?;
    let worker = place.work(&(runner.clone() as _), options());
    wait::until("the run after the postponements", PATIENCE, async || {
        runner.runs().len() == 4
    })
    .await?;
    ensure!(
        unfinished(&place, &message).await? == Some(4),
        "three attempts before, and the one under way"
    );
    gate.add_permits(1);
    let sent = all_applied([&message]);
    place.oracle().processed(&sent).await?;
    worker.stop().await?;
    place.oracle().check(&sent, &*place.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_five_attempts_without_an_end_no_run_begins() -> Result<()> {
    let place = Place::new().await?;
    let message = message("a");
    begun(&place, &message, 5).await?;
    let runner = Scripted::new(async |run: Run| run.applied());
    place.publish([&message]).await?;
    let worker = place.work(&(runner.clone() as _), options());
    let sent: Sent = [(message.identity.clone(), dead(Code::Crashed))].into();
    place.oracle().processed(&sent).await?;
    worker.stop().await?;
    ensure!(runner.runs().is_empty());
    place.oracle().check(&sent, &*place.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_run_gives_its_start_back() -> Result<()> {
    let place = Place::new().await?;
    let message = message("a");
    let runner = Scripted::new(async |_| std::future::pending().await);
    place.publish([&message]).await?;
    let worker = place.work(&(runner.clone() as _), options());
    runner.running(1).await?;
    ensure!(unfinished(&place, &message).await? == Some(1));
    worker.abandon.cancel();
    worker.ended().await?;
    ensure!(unfinished(&place, &message).await? == Some(0));
    Ok(())
}

/// Else a message in flight would be counted whenever another one kills the worker.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_may_crash_its_worker_runs_alone() -> Result<()> {
    let place = Place::new().await?;
    let (before, isolated, after) = (message("before"), message("isolated"), message("after"));
    begun(&place, &isolated, 2).await?;
    let (runner, gate) = gated();
    let worker = place.work(&(runner.clone() as _), options());
    place.publish([&before]).await?;
    runner.running(1).await?;
    for (message, begun) in [(&isolated, 1), (&after, 2)] {
        place.publish([message]).await?;
        let more = wait::until("another run", MOMENT, async || runner.runs().len() > begun).await;
        ensure!(more.is_err(), "{:?}", runner.sizes());
        if begun == 1 {
            gate.add_permits(1);
            wait::until("the isolated to run", PATIENCE, async || runner.runs().len() == 2).await?;
        }
    }
    gate.add_permits(10);
    let sent = all_applied([&before, &isolated, &after]);
    place.oracle().processed(&sent).await?;
    worker.stop().await?;
    let order: Vec<String> = runner.sizes().into_iter().map(|(key, _)| key).collect();
    ensure!(order == ["before", "isolated", "after"], "{order:?}");
    place.oracle().check(&sent, &*place.bus).await
}
