use anyhow::Result;
use lockstep_simulators::cvp::{CvpSimulator, Options, Scenario, Version};
use serde_json::json;

use crate::client::{CHANGE_CONTROLS, CHECK, Client, EMPTY, PENDING, SUMMARY, start};

async fn release(year: u16, release: u8) -> Result<(CvpSimulator, Client)> {
    let simulator = start(Scenario::seed().version(Version::OnPremises(year, release, 0))).await?;
    let client = Client::logged_in(&simulator).await?;
    Ok((simulator, client))
}

#[tokio::test]
async fn each_release_says_which_it_is() -> Result<()> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    for prefix in ["/web", "/cvpservice"] {
        let answer = client
            .get(&format!("{prefix}/cvpInfo/getCvpInfo.do"))
            .await?
            .json()?;
        assert_eq!(answer, json!({"version": "2022.2.4"}));
    }
    Ok(())
}

#[tokio::test]
async fn an_old_release_says_no_with_200_and_lacks_the_newer_interfaces() -> Result<()> {
    let (simulator, client) = release(2018, 1).await?;
    assert_eq!(
        client.get("/web/nothing.do").await?.json()?["errorCode"],
        "MNF404"
    );
    assert_eq!(client.get(CHANGE_CONTROLS).await?.status, 404);
    assert_eq!(
        client.post(SUMMARY, json!({"task_id": "1811"})).await?.status,
        404
    );
    let search = "searchTopology.do?queryParam=leaf1&startIndex=0&endIndex=0";
    let new = client
        .get(&format!("/web/provisioning/v3/{search}"))
        .await?
        .json()?;
    assert_eq!(new["errorCode"], "MNF404");
    let old = client.get(&format!("/web/provisioning/{search}")).await?.json()?;
    assert_eq!(old["netElementList"][0]["modelName"], "");
    simulator.expire_sessions();
    assert_eq!(client.get(PENDING).await?.json()?["errorCode"], "112498");
    let bearer = format!("Bearer {}", Options::default().token);
    let token = Client::new(&simulator, 0)?.with("authorization", &bearer)?;
    assert_eq!(token.get(PENDING).await?.json()?["errorCode"], "112498");
    Ok(())
}

#[tokio::test]
async fn a_newer_release_says_no_with_an_http_error() -> Result<()> {
    let (_simulator, client) = release(2021, 2).await?;
    let reply = client.get("/web/nothing.do").await?;
    assert!(reply.status == 404 && reply.text.contains("<html>"));
    assert_eq!(client.get(CHANGE_CONTROLS).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn new_installations_since_2025_2_have_no_provisioning() -> Result<()> {
    let (simulator, client) = release(2025, 2).await?;
    let check = json!({"nodeId": EMPTY, "nodeType": "netelement"});
    assert_eq!(client.post(CHECK, check).await?.status, 404);
    assert_eq!(client.list(PENDING).await?.len(), 14);
    assert_eq!(
        client.post(SUMMARY, json!({"task_id": "1811"})).await?.status,
        200
    );
    simulator.tune(|knobs| knobs.provisioning = true);
    assert_eq!(client.check(EMPTY).await?["complianceCode"], "0000");
    Ok(())
}

#[tokio::test]
async fn cvaas_knows_tokens_and_its_own_prefix_only() -> Result<()> {
    let simulator = start(Scenario::seed().version(Version::Cvaas)).await?;
    let client = Client::new(&simulator, 0)?;
    assert!(client.login().await.is_err());
    let client = client.with("cookie", &format!("access_token={}", Options::default().token))?;
    assert_eq!(client.get(PENDING).await?.status, 404);
    assert_eq!(
        client.list(&PENDING.replace("/web", "/cvpservice")).await?.len(),
        14
    );
    Ok(())
}
