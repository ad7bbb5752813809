//! Workers that are killed in the middle of a sweep, between any two requests to CloudVision and any two commits.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::results::CvpTaskAction;
use lockstep_simulators::cvp::{Endpoint, Scenario};

use rustix::process::Signal;

use super::{Site, set};

/// The empty task whose requests are held.
const TASK: &str = "1811";

/// The worker is killed while CloudVision has this request about the task, the `nth` one, and has not processed it. It is processed after that.
async fn killed_during(endpoint: Endpoint, subject: Option<&str>, nth: usize) -> Result<()> {
    let scenario = Scenario::seed().tuned(|knobs| knobs.cancel_delay = Duration::from_millis(300));
    let site = Site::new(scenario).await?;
    let hold = site.simulator.hold(endpoint, subject);
    hold.let_pass(nth - 1);
    let first = site.worker()?;
    site.request(false).await?;
    hold.arrived(nth).await;
    first.signal(Signal::KILL)?;
    drop(hold);
    let second = site.worker()?;
    site.ended(1).await?;
    let told = site.told().await?;
    let empty = set(["1811", "1810", "1809"]);
    ensure!(
        told.with(CvpTaskAction::Cancelled) == empty && told.tasks.len() == 14,
        "{told:?}"
    );
    ensure!(
        set(site.simulator.cancelled()) == empty,
        "{:?}",
        site.simulator.cancelled()
    );
    ensure!(
        site.cancels().values().all(|count| *count == 1),
        "{:?}",
        site.cancels()
    );
    second.stop().await
}

macro_rules! killed_during {
    ($($name:ident: $endpoint:ident $subject:expr, $nth:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() -> Result<()> {
            killed_during(Endpoint::$endpoint, $subject, $nth).await
        }
    )*};
}

const DEVICE: Option<&str> = Some("fc:9b:59:6a:83:8c");

killed_during! {
    killed_while_the_tasks_are_listed: Tasks None, 1;
    killed_before_a_former_attempt_is_looked_for: Task Some(TASK), 1;
    killed_in_the_first_reading: Compliance DEVICE, 1;
    killed_before_the_note: Note Some(TASK), 1;
    killed_in_the_second_reading: Task Some(TASK), 2;
    killed_in_the_second_check: Compliance DEVICE, 2;
    killed_at_the_cancel: Cancel Some(TASK), 1;
    killed_before_the_cancel_is_confirmed: Task Some(TASK), 3;
    killed_at_the_last_look: Compliance DEVICE, 3;
}

/// The worker is killed at this fail point, the `count`-th time that it passes it.
async fn killed_at(point: &str, count: usize) -> Result<()> {
    let site = Site::new(Scenario::seed()).await?;
    let point = format!("{point}:{count}:kill");
    let mut first = site.worker_with(&[("LOCKSTEP_FAIL_POINT", &point)])?;
    site.request(false).await?;
    first.ended().await?;
    let second = site.worker()?;
    site.ended(1).await?;
    let told = site.told().await?;
    let empty = set(["1811", "1810", "1809"]);
    ensure!(
        told.with(CvpTaskAction::Cancelled) == empty && told.tasks.len() == 14,
        "{told:?}"
    );
    ensure!(
        site.cancels().values().all(|count| *count == 1),
        "{:?}",
        site.cancels()
    );
    second.stop().await
}

macro_rules! at_point {
    ($($name:ident: $point:literal, $count:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() -> Result<()> {
            killed_at($point, $count).await
        }
    )*};
}

at_point! {
    killed_before_the_execution_is_stored: "after-received", 1;
    killed_after_the_execution_is_stored: "after-commit", 1;
    killed_when_the_listing_is_claimed: "after-claim", 1;
    killed_when_the_tasks_are_listed: "element-ran", 1;
    killed_when_the_list_is_stored: "after-finish", 1;
    killed_when_tasks_are_claimed: "after-claim", 2;
    killed_when_a_task_is_settled: "element-ran", 4;
    killed_when_tasks_are_stored: "after-finish", 2;
}
