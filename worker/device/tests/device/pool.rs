use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use lockstep_device::{CredentialSource, Credentials, DeviceError, DevicePool, PoolOptions};
use lockstep_simulators::fleet::Behaviour;

use crate::scene::{Keyring, LONG, SHORT, Scene, credentials};

fn pool(scene: &Scene, keyring: &Arc<Keyring>, options: PoolOptions) -> DevicePool {
    DevicePool::new(Arc::new(scene.driver(LONG)), keyring.clone(), options)
}

#[tokio::test]
async fn credentials_are_those_of_the_moment() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Healthy]).await?;
    let keyring = Keyring::new(Some(credentials()));
    let pool = pool(&scene, &keyring, PoolOptions::default());
    let address = scene.address(0);
    pool.get("leaf00001", &[], &address)
        .await?
        .running_configuration()
        .await?;

    scene.fleet.set_password("rotated");
    let mut connection = pool.get("leaf00001", &[], &address).await?;
    let error = connection.running_configuration().await.unwrap_err();
    assert!(matches!(error, DeviceError::Authentication { .. }), "{error:?}");
    drop(connection);

    keyring.set(Some(Credentials::new("admin", "rotated")));
    pool.get("leaf00001", &[], &address)
        .await?
        .running_configuration()
        .await?;
    keyring.set(None);
    let none = pool.get("leaf00001", &[], &address).await.unwrap_err();
    assert_eq!(none, DeviceError::NoCredentials);
    Ok(())
}

#[tokio::test]
async fn credentials_may_be_those_of_a_group() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Healthy]).await?;
    let pool = DevicePool::new(
        Arc::new(scene.driver(LONG)),
        Arc::new(OfOneGroup),
        PoolOptions::default(),
    );
    let (address, groups) = (scene.address(0), ["berlin".to_owned()]);
    let none = pool.get("leaf00001", &[], &address).await.unwrap_err();
    assert_eq!(none, DeviceError::NoCredentials);
    pool.get("leaf00001", &groups, &address)
        .await?
        .running_configuration()
        .await?;
    Ok(())
}

/// Has credentials for the devices of one group.
#[derive(Debug)]
struct OfOneGroup;

impl CredentialSource for OfOneGroup {
    fn credentials(&self, _: &str, groups: &[String]) -> Option<Arc<Credentials>> {
        let is_member = groups.iter().any(|group| group == "berlin");
        is_member.then(|| Arc::new(credentials()))
    }
}

#[tokio::test]
async fn a_device_has_a_bounded_number_of_connections() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Healthy, Behaviour::Healthy]).await?;
    let keyring = Keyring::new(Some(credentials()));
    let options = PoolOptions {
        per_device: 1,
        wait: SHORT,
        ..PoolOptions::default()
    };
    let pool = pool(&scene, &keyring, options);
    let first = pool.get("leaf00001", &[], &scene.address(0)).await?;
    let error = pool.get("leaf00001", &[], &scene.address(0)).await.unwrap_err();
    assert!(
        error.to_string().contains("all 1 connections to it are in use"),
        "{error}"
    );
    pool.get("leaf00002", &[], &scene.address(1))
        .await?
        .running_configuration()
        .await?;
    drop(first);
    pool.get("leaf00001", &[], &scene.address(0))
        .await?
        .running_configuration()
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_broken_or_old_connection_is_not_used_again() -> Result<()> {
    let scene = Scene::new(&[Behaviour::LosesAnswer]).await?;
    let keyring = Keyring::new(Some(credentials()));
    let options = PoolOptions {
        max_idle: Duration::ZERO,
        ..PoolOptions::default()
    };
    let pool = pool(&scene, &keyring, options);
    let address = scene.address(0);
    let mut connection = pool.get("leaf00001", &[], &address).await?;
    assert!(connection.running_configuration().await.is_err());
    assert!(!connection.is_reusable());
    drop(connection);
    scene.fleet.behave(0, Behaviour::Healthy);
    for _ in 0..2 {
        let mut connection = pool.get("leaf00001", &[], &address).await?;
        assert!(connection.is_reusable(), "it is a new one");
        connection.running_configuration().await?;
    }
    Ok(())
}

#[tokio::test]
async fn idle_connections_to_many_devices_are_given_up() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Healthy; 6]).await?;
    let keyring = Keyring::new(Some(credentials()));
    let options = PoolOptions {
        max_devices: 3,
        ..PoolOptions::default()
    };
    let pool = pool(&scene, &keyring, options);
    let kept = pool.get("leaf00001", &[], &scene.address(0)).await?;
    for device in 1..6 {
        let mut connection = pool
            .get(&format!("leaf0000{}", device + 1), &[], &scene.address(device))
            .await?;
        connection.running_configuration().await?;
    }
    assert!(pool.devices() <= 3, "{}", pool.devices());
    drop(kept);
    Ok(())
}
