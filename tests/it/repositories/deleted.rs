//! A queue is deleted with a push in it.

use anyhow::{Result, ensure};
use lockstep_testbed::wait;

use super::{Site, push};
use crate::reconcile::{declaring, delete_and_wait, started};
use crate::system::{Ground, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn a_push_in_a_deleted_queue_is_detected_again() -> Result<()> {
    const QUEUE: &str = "lockstep.lane.repositories";
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    worker.stop().await?;
    let declaring = declaring(&site.scene).await?;
    let with = |more: [(&'static str, &'static str); 2]| -> Vec<(&str, &str)> {
        let declaring = declaring
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        declaring.chain(more).collect()
    };
    // This worker reconciles but does not consume the lane.
    let lanes = ("LOCKSTEP__WORKER__LANES", "events,commands");
    let other = site.worker(&with([lanes, ("LOCKSTEP__DATA_DIR", "other-data")]))?;
    site.settings.write("core/x.yml", b"")?;
    let message = push(&site.settings.commit("lost")?)?;
    site.publish(std::slice::from_ref(&message)).await?;
    let vhost = &site.scene.servers()?.vhost;
    wait::until("the push to be in its queue", PATIENCE, async || {
        vhost
            .queue(QUEUE)
            .await
            .is_ok_and(|queue| queue.is_some_and(|queue| queue.ready == 1))
    })
    .await?;
    started(&other).await?;
    delete_and_wait(&site.scene, QUEUE).await?;

    let lanes = ("LOCKSTEP__WORKER__LANES", "repositories");
    let worker = site.worker(&with([lanes, ("LOCKSTEP__REPOSITORIES__POLL_SECONDS", "1")]))?;
    wait::until("the flag", PATIENCE, async || {
        site.ensure_flags(&[("core1", 1)])
            .await
            .map_err(|error| format!("{error:#}"))
    })
    .await?;
    let inbox = site.scene.oracle().records.inbox().await?;
    ensure!(
        !inbox.contains_key(&message.identity),
        "the push was not lost: {inbox:?}"
    );
    worker.stop().await?;
    other.stop().await
}
