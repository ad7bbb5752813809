use anyhow::Result;
use lockstep_simulators::cvp::{Credential, Endpoint, Options, Scenario, Version};
use serde_json::{Value, json};

use crate::client::{Client, PENDING, start};

#[tokio::test]
async fn requests_without_a_session_are_refused() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::new(&simulator, 0)?;
    assert_eq!(client.get(PENDING).await?.status, 401);
    assert_eq!(client.get("/api/v1/rest/").await?.status, 401);
    let wrong = json!({"userId": "cvpadmin", "password": "wrong"});
    let answer = client.post("/web/login/authenticate.do", wrong).await?.json()?;
    assert_eq!(
        answer,
        json!({"errorCode": "112498", "errorMessage": "Unauthorized User"})
    );
    assert_eq!(simulator.logins(), 0);
    Ok(())
}

#[tokio::test]
async fn header_cookie_and_bearer_all_carry_the_session() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::new(&simulator, 0)?;
    let session = client.login().await?;
    let ways = [
        ("app_session_id", session.clone(), Credential::SessionHeader),
        ("cookie", format!("access_token={session}"), Credential::Cookie),
        ("cookie", format!("session_id={session}"), Credential::Cookie),
        ("authorization", format!("Bearer {session}"), Credential::Bearer),
    ];
    for (name, value, credential) in ways {
        let client = client.clone().with(name, &value)?;
        assert_eq!(client.list(PENDING).await?.len(), 14, "{name}");
        assert_eq!(
            simulator.requests().last().map(|it| it.credential),
            Some(credential)
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_token_of_a_service_account_needs_no_login() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let bearer = format!("Bearer {}", Options::default().token);
    let client = Client::new(&simulator, 0)?.with("authorization", &bearer)?;
    assert_eq!(client.get("/api/v1/rest/").await?.json()?, json!({}));
    assert_eq!(client.list(PENDING).await?.len(), 14);
    simulator.expire_sessions();
    assert_eq!(client.list(PENDING).await?.len(), 14);
    assert_eq!(simulator.logins(), 0);
    Ok(())
}

#[tokio::test]
async fn sessions_end_when_told_to_and_after_their_requests() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    simulator.expire_sessions();
    assert_eq!(client.get(PENDING).await?.status, 401);

    simulator.tune(|knobs| knobs.session_requests = Some(2));
    let client = Client::logged_in(&simulator).await?;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(client.get(PENDING).await?.status);
    }
    assert_eq!(statuses, [200, 200, 401]);
    assert_eq!(simulator.logins(), 2);
    Ok(())
}

#[tokio::test]
async fn logging_out_ends_the_session() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    let answer = client.post("/web/login/logout.do", Value::Null).await?.json()?;
    assert_eq!(answer, json!({"data": "success"}));
    assert_eq!(
        (client.get(PENDING).await?.status, simulator.open_sessions()),
        (401, 0)
    );
    Ok(())
}

#[tokio::test]
async fn cookies_have_the_path_of_their_release() -> Result<()> {
    let old = Scenario::seed().version(Version::OnPremises(2018, 1, 0));
    let table = [
        (Scenario::seed(), "access_token", "Path=/;"),
        (old, "session_id", "Path=/web/"),
    ];
    let Options {
        username, password, ..
    } = Options::default();
    for (scenario, name, path) in table {
        let simulator = start(scenario).await?;
        let client = Client::new(&simulator, 0)?;
        let body = json!({"userId": username, "password": password});
        let reply = client.post("/web/login/authenticate.do", body).await?;
        let cookie = reply.header("set-cookie")[0];
        assert!(cookie.starts_with(name) && cookie.contains(path), "{cookie}");
    }
    Ok(())
}

#[tokio::test]
async fn basic_authentication_works_below_the_other_prefix_alone() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    // cvpadmin:simulated
    let client = Client::new(&simulator, 0)?.with("authorization", "Basic Y3ZwYWRtaW46c2ltdWxhdGVk")?;
    let answer = client
        .post("/cvpservice/login/authenticate.do", Value::Null)
        .await?
        .json()?;
    assert!(answer["sessionId"].is_string());
    let answer = client
        .post("/web/login/authenticate.do", Value::Null)
        .await?
        .json()?;
    assert_eq!(answer["errorCode"], "112498");
    Ok(())
}

#[tokio::test]
async fn the_log_records_everything_except_passwords() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    client.cancel("1811").await?;
    let requests = simulator.requests();
    let (login, cancel) = (&requests[0], &requests[1]);
    assert_eq!((login.endpoint, &login.body), (Endpoint::Login, &Value::Null));
    assert_eq!(
        (cancel.endpoint, cancel.subject.as_deref()),
        (Endpoint::Cancel, Some("1811"))
    );
    assert_eq!(
        (&cancel.body, cancel.status),
        (&json!({"data": ["1811"]}), Some(200))
    );
    assert!(!format!("{requests:?}").contains(&Options::default().password));
    Ok(())
}
