use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use lockstep_simulators::cvp::{CvpSimulator, NodeMode, Options, Scenario, StartError};

use crate::client::{Client, PENDING};

async fn three() -> Result<CvpSimulator> {
    let options = Options {
        nodes: 3,
        ..Options::default()
    };
    Ok(CvpSimulator::start(Scenario::seed(), options).await?)
}

#[tokio::test]
async fn nodes_have_one_port_and_one_state() -> Result<()> {
    let simulator = three().await?;
    let addresses = simulator.addresses();
    let ips: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    assert_eq!(ips, ["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    assert!(
        addresses
            .iter()
            .all(|address| address.port() == addresses[0].port())
    );

    let session = Client::new(&simulator, 0)?.login().await?;
    let third = Client::new(&simulator, 2)?.with("app_session_id", &session)?;
    third.cancel("1811").await?;
    let second = Client::new(&simulator, 1)?.with("app_session_id", &session)?;
    assert_eq!(second.list(PENDING).await?.len(), 13);
    let nodes: Vec<usize> = simulator.requests().iter().map(|request| request.node).collect();
    assert_eq!(nodes, [0, 2, 1]);
    Ok(())
}

#[tokio::test]
async fn a_node_that_is_down_refuses_and_comes_back() -> Result<()> {
    let simulator = three().await?;
    let client = Client::logged_in(&simulator).await?;
    simulator.take_down(0).await;
    assert!(client.get(PENDING).await.is_err());
    let refused = tokio::net::TcpStream::connect(simulator.addresses()[0]).await;
    assert!(refused.is_err());
    assert!(Client::new(&simulator, 1)?.login().await.is_ok());
    simulator.bring_up(0).await?;
    assert_eq!(client.list(PENDING).await?.len(), 14);
    Ok(())
}

#[tokio::test]
async fn a_node_that_hangs_or_starts_answers_nothing_useful() -> Result<()> {
    let simulator = three().await?;
    let client = Client::logged_in(&simulator).await?;
    simulator.set_mode(0, NodeMode::AnswersHtml);
    let reply = client.get(PENDING).await?;
    assert!(reply.status == 200 && reply.json().is_err());
    simulator.set_mode(0, NodeMode::Hangs);
    let hanging = tokio::time::timeout(Duration::from_millis(200), client.get(PENDING)).await;
    assert!(hanging.is_err());
    assert!(Client::new(&simulator, 1)?.login().await.is_ok());
    simulator.set_mode(0, NodeMode::Healthy);
    assert_eq!(client.list(PENDING).await?.len(), 14);
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() -> Result<()> {
    let first = CvpSimulator::start(Scenario::seed(), Options::default()).await?;
    let options = Options {
        listen: first.addresses()[0],
        ..Options::default()
    };
    match CvpSimulator::start(Scenario::seed(), options).await {
        Err(StartError::Listen { address, .. }) => assert_eq!(address, first.addresses()[0]),
        other => panic!("{other:?}"),
    }
    assert_eq!(first.addresses()[0].ip(), Ipv4Addr::LOCALHOST);
    Ok(())
}
