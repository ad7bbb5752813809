//! Commits with a timer: they are confirmed, aborted, or rolled back by the device.

use std::time::Duration;

use anyhow::Result;
use lockstep_simulators::fleet::{Change, Dialect, Fault, ForeignSession, Injection, Reason, Totals, When};

use crate::client::Scene;

const MINUTE: Duration = Duration::from_mins(1);

/// A device with a session that changes its name, committed with a timer of five minutes.
async fn committed() -> Result<Scene> {
    let scene = Scene::start().await?;
    scene.load("job1", "hostname x").await?;
    scene.session("job1", "commit timer 00:05:00").await?;
    Ok(scene)
}

async fn hostname(scene: &Scene) -> Result<String> {
    let answer = scene.run(&["show hostname"]).await?.remove(0);
    Ok(answer["hostname"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_confirmed_commit_stays() -> Result<()> {
    let scene = committed().await?;
    assert_eq!(hostname(&scene).await?, "x");
    scene.fleet.advance(4 * MINUTE);
    scene.session("job1", "commit").await?;
    scene.fleet.advance(60 * MINUTE);
    assert_eq!(hostname(&scene).await?, "x");
    let (code, _) = scene.refused(&["configure session job1 commit"]).await?;
    assert_eq!(code, 1000, "it cannot be confirmed twice");
    let expected = Totals {
        commits: 1,
        confirms: 1,
        ..Totals::default()
    };
    assert_eq!(scene.fleet.totals(0), expected);
    Ok(())
}

#[tokio::test]
async fn a_commit_that_is_not_confirmed_is_rolled_back() -> Result<()> {
    let scene = committed().await?;
    let before = scene.fleet.changes(0).len();
    scene.fleet.advance(5 * MINUTE);
    assert_eq!(hostname(&scene).await?, "leaf00001");
    let rolled_back = scene.fleet.changes(0).remove(before);
    assert_eq!(rolled_back.change, Change::RolledBack(Reason::Timer));
    assert_eq!(rolled_back.session.as_deref(), Some("job1"));
    assert_eq!(rolled_back.at, 5 * MINUTE);
    let (code, _) = scene.refused(&["configure session job1 commit"]).await?;
    assert_eq!(code, 1000, "it is over");
    Ok(())
}

#[tokio::test]
async fn aborting_a_commit_rolls_it_back_at_once() -> Result<()> {
    let scene = committed().await?;
    scene.session("job1", "abort").await?;
    assert_eq!(hostname(&scene).await?, "leaf00001");
    assert!(scene.fleet.sessions(0).is_empty());
    Ok(())
}

#[tokio::test]
async fn a_restart_rolls_back_and_forgets_sessions() -> Result<()> {
    let scene = committed().await?;
    scene.run(&["configure session other", "hostname y"]).await?;
    assert!(
        scene.run(&["reload now"]).await.is_err(),
        "the connection is closed"
    );
    assert_eq!(hostname(&scene).await?, "leaf00001");
    assert!(scene.fleet.sessions(0).is_empty());
    assert_eq!(scene.fleet.totals(0).rollbacks, 1);
    assert_eq!(scene.run(&["show version"]).await?[0]["uptime"], 0.0);

    let connections = scene.fleet.connections(0);
    scene.run(&["configure", "hostname z", "write memory"]).await?;
    scene.fleet.restart(0).await?;
    assert_eq!(hostname(&scene).await?, "z", "it was saved");
    assert_eq!(
        scene.fleet.connections(0),
        connections + 1,
        "the old one is closed"
    );
    Ok(())
}

#[tokio::test]
async fn both_dialects_show_when_the_timer_is_over() -> Result<()> {
    let scene = committed().await?;
    let detail = "show configuration sessions detail";
    let answer = scene.run(&[detail, "show version"]).await?;
    assert_eq!(answer[0]["sessions"]["job1"]["state"], "pendingCommitTimer");
    let uptime = answer[1]["uptime"].as_f64().unwrap_or_default();
    assert_eq!(answer[0]["sessions"]["job1"]["commitBy"], uptime + 300.0);

    scene.fleet.tune(0, |knobs| knobs.dialect = Dialect::Since432);
    let answer = scene.run(&[detail, "show configuration sessions"]).await?;
    assert_eq!(answer[0]["sessions"]["job1"]["state"], "committed");
    assert_eq!(answer[0]["commitTimerSessionName"], "job1");
    assert_eq!(answer[0]["commitTimerExpireTime"], uptime + 300.0);
    assert!(answer[1].get("commitTimerSessionName").is_none());
    let text = scene.text(detail).await?;
    assert!(text.contains("in 0:05:00"), "{text}");

    scene.session("job1", "commit").await?;
    let answer = scene.run(&[detail]).await?;
    assert!(answer[0].get("commitTimerSessionName").is_none());
    Ok(())
}

#[tokio::test]
async fn no_other_session_is_committed_while_a_timer_runs() -> Result<()> {
    let scene = Scene::start().await?;
    let foreign = ForeignSession {
        commands: vec!["hostname theirs".to_owned()],
        timer: Some(MINUTE),
        ..ForeignSession::new("theirs")
    };
    scene.fleet.open_session(0, &foreign)?;
    scene.load("ours", "hostname x").await?;
    let (code, error) = scene
        .refused(&["configure session ours commit timer 00:05:00"])
        .await?;
    assert_eq!(code, 1000);
    assert!(error.contains("theirs"), "{error}");
    scene.fleet.advance(MINUTE);
    scene.session("ours", "commit timer 00:05:00").await
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_commit() -> Result<()> {
    let scene = Scene::start().await?;
    scene.load("job1", "hostname x").await?;
    scene.fleet.inject(
        0,
        Injection::after("configure session * commit timer *", Fault::Lost).times(1),
    );
    assert!(scene.session("job1", "commit timer 00:05:00").await.is_err());
    assert_eq!(hostname(&scene).await?, "x");
    Ok(())
}

#[tokio::test]
async fn a_device_that_becomes_unreachable_rolls_back_alone() -> Result<()> {
    let scene = Scene::start().await?;
    scene.load("job1", "hostname x").await?;
    let injection = Injection::after("configure session * commit timer *", Fault::Unreachable);
    scene.fleet.inject(0, injection.times(1));
    assert!(scene.session("job1", "commit timer 00:05:00").await.is_err());
    assert!(scene.session("job1", "commit").await.is_err());
    scene.fleet.advance(5 * MINUTE);
    assert_eq!(scene.fleet.totals(0).rollbacks, 1);
    scene
        .fleet
        .behave(0, lockstep_simulators::fleet::Behaviour::Healthy);
    assert_eq!(hostname(&scene).await?, "leaf00001");
    Ok(())
}

#[tokio::test]
async fn a_held_confirmation_can_be_too_late() -> Result<()> {
    let scene = committed().await?;
    let hold = scene.fleet.hold(0, "configure session * commit", When::Before);
    let confirm = scene.refused(&["configure session job1 commit"]);
    let release = async {
        hold.arrived(1).await;
        scene.fleet.advance(5 * MINUTE);
        drop(hold);
    };
    let (confirmed, ()) = tokio::join!(confirm, release);
    assert_eq!(confirmed?.0, 1000);
    assert_eq!(hostname(&scene).await?, "leaf00001");
    Ok(())
}

#[tokio::test]
async fn a_device_can_refuse_a_commit_or_revert_it_after_the_confirmation() -> Result<()> {
    let scene = Scene::start().await?;
    scene.load("job1", "hostname x").await?;
    scene
        .fleet
        .tune(0, |knobs| knobs.refuses_commit = Some("No space".to_owned()));
    let (code, error) = scene.refused(&["configure session job1 commit"]).await?;
    assert_eq!((code, error.as_str()), (1000, "No space"));
    scene.fleet.tune(0, |knobs| {
        knobs.refuses_commit = None;
        knobs.reverts_after = Some(MINUTE);
    });
    scene.session("job1", "commit timer 00:05:00").await?;
    scene.session("job1", "commit").await?;
    assert_eq!(hostname(&scene).await?, "x");
    scene.fleet.advance(MINUTE);
    assert_eq!(hostname(&scene).await?, "leaf00001");
    let last = scene.fleet.changes(0).pop().map(|change| change.change);
    assert_eq!(last, Some(Change::RolledBack(Reason::Device)));
    Ok(())
}

#[tokio::test]
async fn a_fault_can_change_or_restart_a_device_in_the_middle() -> Result<()> {
    let scene = committed().await?;
    let changed = Fault::Configured(vec!["hostname by-hand".to_owned()]);
    scene
        .fleet
        .inject(0, Injection::before("configure session * commit", changed));
    scene.session("job1", "commit").await?;
    assert_eq!(hostname(&scene).await?, "by-hand");
    scene
        .fleet
        .inject(0, Injection::before("show hostname", Fault::Restarts).times(1));
    assert!(hostname(&scene).await.is_err());
    assert_eq!(hostname(&scene).await?, "leaf00001", "nobody saved the other one");
    Ok(())
}
