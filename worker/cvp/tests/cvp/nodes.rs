use std::time::Duration;

use lockstep_cvp::CvpError;
use lockstep_simulators::cvp::{Endpoint, NodeMode, Scenario};

use crate::scene::{Scene, acting};

/// What may be wrong with a node.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Down,
    Hangs,
    Html,
}

async fn spoil(scene: &Scene, node: usize, wrong: Wrong) {
    match wrong {
        Wrong::Down => scene.simulator.take_down(node).await,
        Wrong::Hangs => scene.simulator.set_mode(node, NodeMode::Hangs),
        Wrong::Html => scene.simulator.set_mode(node, NodeMode::AnswersHtml),
    }
}

async fn scene(tasks: usize) -> Scene {
    Scene::with(Scenario::many(tasks, 50), 3, |options| {
        options.timeout = Duration::from_millis(300);
        options.login_timeout = Duration::from_millis(300);
    })
    .await
}

#[tokio::test]
async fn one_node_of_three_may_be_wrong_from_the_start() {
    for wrong in [Wrong::Down, Wrong::Hangs, Wrong::Html] {
        let scene = scene(10).await;
        spoil(&scene, 0, wrong).await;
        let (summary, _) = scene.sweep(acting()).await;
        assert_eq!(summary.unwrap().cancelled, 5, "{wrong:?}");
        let requests = scene.simulator.requests();
        let strays = requests.iter().filter(|request| request.node == 0).count();
        assert!(strays <= 1, "{wrong:?}: it is tried once, then left: {strays}");
    }
}

#[tokio::test]
async fn a_node_may_go_wrong_in_the_middle() {
    for wrong in [Wrong::Down, Wrong::Hangs, Wrong::Html] {
        let scene = scene(20).await;
        let hold = scene.simulator.hold(Endpoint::Compliance, None);
        let sweep = scene.sweep(acting());
        let spoil = async {
            hold.arrived(1).await;
            spoil(&scene, 0, wrong).await;
            drop(hold);
        };
        let ((summary, ends), ()) = futures_util::join!(sweep, spoil);
        let summary = summary.unwrap();
        // A cancel could be cut off; it is looked into on the next node.
        assert_eq!(summary.cancelled, 10, "{wrong:?} {summary:?} {:?}", ends.0);
        assert_eq!(scene.simulator.cancelled().len(), 10, "{wrong:?}");
    }
}

#[tokio::test]
async fn without_any_node_each_is_told_with_what_is_wrong() {
    let scene = scene(1).await;
    scene.simulator.take_down(0).await;
    scene.simulator.take_down(1).await;
    scene.simulator.set_mode(2, NodeMode::AnswersHtml);
    let error = scene.client.tasks("Pending", 0, 10).await.unwrap_err();
    let text = error.to_string();
    let CvpError::NoNode { failures } = error else {
        panic!("{text}")
    };
    assert_eq!(failures.len(), 3);
    for address in scene.simulator.addresses() {
        assert!(text.contains(&address.to_string()), "{text}");
    }
    assert!(
        text.contains("cannot connect") && text.contains("is this CloudVision?"),
        "{text}"
    );
}

#[tokio::test]
async fn a_node_that_comes_back_is_used_when_the_others_fail() {
    let scene = scene(1).await;
    scene.simulator.take_down(0).await;
    scene.client.tasks("Pending", 0, 10).await.unwrap();
    scene.simulator.bring_up(0).await.unwrap();
    scene.simulator.take_down(1).await;
    scene.simulator.take_down(2).await;
    scene.client.tasks("Pending", 0, 10).await.unwrap();
    let requests = scene.simulator.requests();
    assert_eq!(requests.last().unwrap().node, 0);
}
