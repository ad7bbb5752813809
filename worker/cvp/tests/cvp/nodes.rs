use std::time::Duration;

use lockstep_cvp::CvpError;
use lockstep_simulators::cvp::{Endpoint, NodeMode, Scenario};

use crate::scene::{Scene, live};

/// A fault of a node.
#[derive(Clone, Copy, Debug)]
enum NodeFault {
    Down,
    Hangs,
    Html,
}

async fn break_node(scene: &Scene, node: usize, fault: NodeFault) {
    match fault {
        NodeFault::Down => scene.simulator.take_down(node).await,
        NodeFault::Hangs => scene.simulator.set_mode(node, NodeMode::Hangs),
        NodeFault::Html => scene.simulator.set_mode(node, NodeMode::AnswersHtml),
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
async fn one_node_of_three_may_fail_from_the_start() {
    for fault in [NodeFault::Down, NodeFault::Hangs, NodeFault::Html] {
        let scene = scene(10).await;
        break_node(&scene, 0, fault).await;
        let (summary, _) = scene.sweep(live()).await;
        assert_eq!(summary.unwrap().cancelled, 5, "{fault:?}");
        let requests = scene.simulator.requests();
        let requests_to_it = requests.iter().filter(|request| request.node == 0).count();
        assert!(
            requests_to_it <= 1,
            "{fault:?}: only one request goes to the failing node: {requests_to_it}"
        );
    }
}

#[tokio::test]
async fn a_node_may_fail_during_a_sweep() {
    for fault in [NodeFault::Down, NodeFault::Hangs, NodeFault::Html] {
        let scene = scene(20).await;
        let hold = scene.simulator.hold(Endpoint::Compliance, None);
        let sweep = scene.sweep(live());
        let break_node = async {
            hold.arrived(1).await;
            break_node(&scene, 0, fault).await;
            drop(hold);
        };
        let ((summary, outcomes), ()) = futures_util::join!(sweep, break_node);
        let summary = summary.unwrap();
        // A cancel may lose its answer; the task is read at the next node then.
        assert_eq!(summary.cancelled, 10, "{fault:?} {summary:?} {:?}", outcomes.0);
        assert_eq!(scene.simulator.cancelled().len(), 10, "{fault:?}");
    }
}

#[tokio::test]
async fn without_a_working_node_each_node_is_reported_with_its_error() {
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
        text.contains("cannot connect") && text.contains("is that of CloudVision"),
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
