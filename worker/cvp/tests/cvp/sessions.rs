use std::sync::Arc;

use futures_util::future::join_all;
use lockstep_cvp::{Credentials, CvpError};
use lockstep_simulators::cvp::{Credential, Endpoint, Fault, Injection, Scenario, Version};

use crate::scene::{Scene, Trust, client, id, start};

#[tokio::test]
async fn sixty_four_requests_with_an_expired_session_cause_one_login() {
    for version in [Version::SEED, Version::OnPremises(2016, 1, 2)] {
        let scene = Scene::new(Scenario::many(64, 100).version(version)).await;
        scene.client.tasks("Pending", 0, 10).await.unwrap();
        assert_eq!(scene.simulator.logins(), 1);
        for round in 2..=4 {
            scene.simulator.expire_sessions();
            let asks = (0..64).map(|number| {
                let client = scene.client.clone();
                tokio::spawn(async move { client.task(&id(&format!("{}", 1000 + number))).await })
            });
            for answer in join_all(asks).await {
                assert!(answer.unwrap().unwrap().is_some());
            }
            assert_eq!(scene.simulator.logins(), round, "{version}");
        }
        assert!(
            scene.simulator.peak_concurrency() <= 32,
            "{}",
            scene.simulator.peak_concurrency()
        );
    }
}

#[tokio::test]
async fn an_expired_session_does_not_cancel_twice() {
    let scene = Scene::new(Scenario::many(1, 100)).await;
    scene.client.tasks("Pending", 0, 10).await.unwrap();
    scene.simulator.expire_sessions();
    let answer = scene.client.cancel(&id("1000")).await.unwrap();
    assert_eq!(answer, "Task cancellation triggered successfully");
    assert_eq!(scene.simulator.cancelled(), ["1000"]);
}

#[tokio::test]
async fn each_kind_of_logout_leads_to_a_new_login() {
    for fault in [Fault::LoggedOut, Fault::Redirect, Fault::Status(401)] {
        let scene = Scene::new(Scenario::many(1, 100)).await;
        scene
            .simulator
            .inject(Injection::new(Endpoint::Task, fault.clone()).times(1));
        assert!(
            scene.client.task(&id("1000")).await.unwrap().is_some(),
            "{fault:?}"
        );
        assert_eq!(scene.simulator.logins(), 2, "{fault:?}");
        // If each new session is rejected at once, logging in again does not help.
        scene
            .simulator
            .inject(Injection::new(Endpoint::Task, fault.clone()));
        let error = scene.client.task(&id("1000")).await.unwrap_err();
        assert!(matches!(error, CvpError::Unauthorized { .. }), "{error}");
        assert_eq!(scene.simulator.count(Endpoint::Task), 5, "{fault:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_never_shown() {
    let simulator = start(Scenario::many(1, 100), 3).await;
    let client = Arc::new(client(&simulator, &Trust::Simulator, |options| {
        options.credentials = Credentials::Password {
            username: "cvpadmin".to_owned(),
            password: "hush".into(),
        };
    }));
    let asks = (0..64).map(|_| client.tasks("Pending", 0, 10));
    for answer in join_all(asks).await {
        let error = answer.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, CvpError::LoginRefused { .. }), "{text}");
        assert!(
            text.contains("check the user, the password or the token"),
            "{text}"
        );
        assert!(!text.contains("hush"), "{text}");
    }
    assert_eq!(simulator.count(Endpoint::Login), 1);
    assert!(!format!("{client:?}").contains("hush"));
}

#[tokio::test]
async fn tokens_work_on_premises_and_in_the_cloud() {
    for (version, cloud, prefix) in [
        (Version::SEED, false, "/web/"),
        (Version::Cvaas, true, "/cvpservice/"),
    ] {
        let token = |text: &str| Credentials::Token(text.into());
        let simulator = start(Scenario::many(2, 100).version(version), 1).await;
        let client = |text: &str| {
            client(&simulator, &Trust::Simulator, |options| {
                options.credentials = token(text);
                options.cloud = cloud;
            })
        };
        let good = client("simulated-token");
        assert_eq!(good.tasks("Pending", 0, 10).await.unwrap().tasks.len(), 2);
        good.version().await.unwrap();
        good.log_out().await;
        let requests = simulator.requests();
        assert!(
            requests
                .iter()
                .all(|request| request.credential == Credential::Bearer),
            "{requests:?}"
        );
        assert!(
            requests.iter().any(|request| request.path.starts_with(prefix)),
            "{requests:?}"
        );
        assert_eq!(simulator.count(Endpoint::Info), usize::from(!cloud));
        assert_eq!(simulator.count(Endpoint::Logout), 0);

        let error = client("hush").tasks("Pending", 0, 10).await.unwrap_err();
        assert!(matches!(error, CvpError::LoginRefused { .. }), "{error}");
        assert!(!error.to_string().contains("hush"));
    }
}

#[tokio::test]
async fn a_logout_ends_the_session() {
    let scene = Scene::new(Scenario::many(1, 100)).await;
    scene.client.log_out().await;
    assert_eq!(scene.simulator.requests().len(), 0, "there was none");
    scene.client.tasks("Pending", 0, 10).await.unwrap();
    assert_eq!(scene.simulator.open_sessions(), 1);
    scene.client.log_out().await;
    assert_eq!(scene.simulator.open_sessions(), 0);
}

#[tokio::test]
async fn an_untrusted_certificate_is_reported_with_a_remedy() {
    let simulator = start(Scenario::many(1, 100), 2).await;
    let error = client(&simulator, &Trust::Others, |_| {})
        .tasks("Pending", 0, 10)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, CvpError::Certificate { .. }), "{error:?}");
    assert!(text.contains("--ca-file") && text.contains("127.0.0.1"), "{text}");
    assert_eq!(simulator.requests().len(), 0, "nothing was sent");
    let client = client(&simulator, &Trust::Anyone, |_| {});
    assert_eq!(client.tasks("Pending", 0, 10).await.unwrap().tasks.len(), 1);
}
