use lockstep_cvp::gate::{ChangeControlPolicy, TaskDiffPolicy};
use lockstep_cvp::sweep::SweepOptions;
use lockstep_simulators::cvp::{ConfigDiff, Endpoint, Fault, Injection, Scenario, Version};

use crate::scene::{Scene, live};

#[tokio::test]
async fn a_release_without_change_controls_is_swept_only_if_configured() {
    let scene = Scene::new(Scenario::many(4, 50).version(Version::OnPremises(2020, 3, 0))).await;
    let (summary, outcomes) = scene.sweep(live()).await;
    assert_eq!(summary.unwrap().cancelled, 0);
    assert!(
        outcomes.of("1001").contains("change-controls-unreadable"),
        "{}",
        outcomes.of("1001")
    );

    let mut options = live();
    options.policy.change_controls = ChangeControlPolicy::Unavailable;
    let (summary, _) = scene.sweep(options).await;
    assert_eq!(summary.unwrap().cancelled, 2);
    assert!(
        scene.simulator.count(Endpoint::DiffSummary) <= 4,
        "twice for each of two at once, and no more"
    );
}

#[tokio::test]
async fn a_release_without_differences_of_tasks_is_swept_unless_they_are_required() {
    let scene = Scene::new(Scenario::many(4, 50).tuned(|knobs| knobs.per_task_diff = false)).await;
    let mut options = live();
    options.policy.task_diff = TaskDiffPolicy::Required;
    let (summary, _) = scene.sweep(options).await;
    assert_eq!(summary.unwrap().reasons["task-diff-absent"], 2);
    let (summary, _) = scene.sweep(live()).await;
    assert_eq!(summary.unwrap().cancelled, 2);
}

#[tokio::test]
async fn a_single_not_found_does_not_make_the_differences_absent() {
    let scene = Scene::new(Scenario::many(2, 100).edited(|world| {
        world.task_mut("1000").diff = Some(ConfigDiff::default());
    }))
    .await;
    for spared in 0..3 {
        scene.simulator.inject(
            Injection::new(Endpoint::DiffSummary, Fault::Status(404))
                .after(spared)
                .times(1),
        );
        let (_, outcomes) = scene
            .sweep(SweepOptions {
                dry_run: true,
                ..live()
            })
            .await;
        assert!(
            outcomes.of("1000").contains("task-diff"),
            "{}",
            outcomes.of("1000")
        );
    }
}

#[tokio::test]
async fn without_network_provisioning_nothing_is_cancelled() {
    let scene = Scene::new(Scenario::many(4, 50).version(Version::OnPremises(2025, 2, 0))).await;
    let (summary, outcomes) = scene.sweep(live()).await;
    assert_eq!(summary.unwrap().kept, 4);
    assert_eq!(outcomes.of("1001"), "kept: compliance-unreadable");
    assert!(
        outcomes.0["1001"]
            .outcome
            .answer()
            .is_some_and(|error| !error.is_empty())
    );
}
