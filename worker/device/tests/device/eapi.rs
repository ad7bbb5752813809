use anyhow::Result;
use lockstep_device::eapi::{EapiDriver, EapiOptions};
use lockstep_device::{DeviceDriver, DeviceError, Format, Output, Retryability};
use lockstep_simulators::fleet::{Behaviour, Device, Options};

use crate::scene::{LONG, SHORT, Scene, client, commands, credentials};

#[tokio::test]
async fn commands_are_answered_in_their_order() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Healthy]).await?;
    let mut device = scene.open(0, LONG).await?;
    let outputs = device
        .run(&commands(&["show version", "show hostname"]), Format::Json)
        .await?;
    let Output::Json(version) = &outputs[0].output else {
        panic!("{outputs:?}");
    };
    assert_eq!(version["serialNumber"], "SIM00000001");
    assert_eq!(outputs[1].command.as_str(), "show hostname");
    let text = device.run(&commands(&["show hostname"]), Format::Text).await?;
    assert!(
        matches!(&text[0].output, Output::Text(text) if text.contains("leaf00001")),
        "{text:?}"
    );
    let configuration = device.running_configuration().await?;
    assert_eq!(
        configuration,
        scene.fleet.edit(0, |device| device.running_configuration())
    );
    assert!(device.is_reusable());
    assert_eq!(scene.fleet.connections(0), 1, "the TCP connection is kept");
    Ok(())
}

#[tokio::test]
async fn a_refused_command_is_named_and_the_connection_stays() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Healthy]).await?;
    let mut device = scene.open(0, LONG).await?;
    let texts = ["show version", "show nothing", "show hostname"];
    let error = device.run(&commands(&texts), Format::Json).await.unwrap_err();
    let DeviceError::Refused {
        command,
        code,
        completed,
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(
        (command.as_str(), *code, completed.len()),
        ("show nothing", 1002, 1)
    );
    assert!(error.may_have_run());
    assert!(device.is_reusable());
    let unconverted = scene.run(0, LONG, "show tech-support").await.unwrap_err();
    assert!(unconverted.is_unconverted(), "{unconverted:?}");
    Ok(())
}

#[tokio::test]
async fn each_fault_of_a_device_has_its_error() -> Result<()> {
    use Retryability::{Permanent, Transient};
    // behaviour; text of the error, retryability, whether commands may have run
    let table = [
        (Behaviour::Silent, "did not answer within", Transient, true),
        (
            Behaviour::RejectsLogin,
            "refuses the credentials of the user \"admin\"",
            Permanent,
            false,
        ),
        (Behaviour::Status(503), "HTTP status 503", Transient, true),
        (Behaviour::Status(404), "HTTP status 404", Permanent, true),
        (Behaviour::Status(302), "HTTP status 302", Permanent, true),
        (Behaviour::Garbage, "cannot be read", Permanent, true),
        (Behaviour::Truncated, "cannot be read", Permanent, true),
        (Behaviour::LosesAnswer, "closed the connection", Transient, true),
    ];
    let behaviours = table.map(|(behaviour, ..)| behaviour);
    let scene = Scene::new(&behaviours).await?;
    for (index, (behaviour, text, retryability, may_have_run)) in table.into_iter().enumerate() {
        let timeout = if behaviour == Behaviour::Silent {
            SHORT
        } else {
            LONG
        };
        let mut device = scene.open(index, timeout).await?;
        let error = device
            .run(&commands(&["show version"]), Format::Json)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(text), "{behaviour:?}: {error}");
        assert_eq!(error.retryability(), retryability, "{error}");
        assert_eq!(error.may_have_run(), may_have_run, "{error}");
        assert!(!device.is_reusable(), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn an_unreachable_device_ran_nothing() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Healthy]).await?;
    scene.fleet.take_down(0).await;
    let error = scene.run(0, LONG, "show version").await.unwrap_err();
    assert!(matches!(error, DeviceError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(!error.may_have_run());
    scene.fleet.bring_up(0).await?;
    scene.run(0, LONG, "show version").await?;
    Ok(())
}

#[tokio::test]
async fn a_device_whose_certificate_is_not_trusted_gets_no_password() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Healthy]).await?;
    let other = Scene::new(&[]).await?;
    let authority = reqwest::Certificate::from_pem(other.fleet.ca_pem().as_bytes())?;
    let driver = EapiDriver::new(client(&[authority])?, EapiOptions::default());
    let mut device = driver.open(&scene.address(0), &credentials()).await?;
    let error = device.running_configuration().await.unwrap_err();
    assert!(matches!(error, DeviceError::Certificate { .. }), "{error:?}");
    assert_eq!(scene.fleet.requests(), 0);
    Ok(())
}

#[tokio::test]
async fn bytes_that_are_not_utf8_are_shown() -> Result<()> {
    let mut device = Device::numbered(1).with(Behaviour::Latin1);
    device.ports[0].description = "café".to_owned();
    let scene = Scene::of(vec![device], Options::default()).await?;
    let configuration = scene.open(0, LONG).await?.running_configuration().await?;
    assert!(
        configuration.contains("description caf\\xe9\n"),
        "{configuration}"
    );
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_kept() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Floods(4 << 20)]).await?;
    let options = EapiOptions {
        max_answer: 1 << 20,
        ..EapiOptions::default()
    };
    let driver = EapiDriver::new(scene.http.clone(), options);
    let mut device = driver.open(&scene.address(0), &credentials()).await?;
    let error = device.running_configuration().await.unwrap_err();
    assert_eq!(error, DeviceError::TooLarge { limit: 1 << 20 });
    Ok(())
}

#[tokio::test]
async fn enable_may_ask_for_a_password() -> Result<()> {
    let options = Options {
        enable_password: Some("hush".to_owned()),
        ..Options::default()
    };
    let scene = Scene::of(vec![Device::numbered(1)], options).await?;
    let error = scene.run(0, LONG, "show version").await.unwrap_err();
    assert!(error.to_string().contains("refuses \"enable\""), "{error}");
    let mut credentials = credentials();
    credentials.enable_password = Some("hush".into());
    let mut device = scene.driver(LONG).open(&scene.address(0), &credentials).await?;
    device.running_configuration().await?;
    assert!(!format!("{device:?}").contains("hush"));
    Ok(())
}

#[tokio::test]
async fn a_request_that_was_dropped_leaves_the_connection_unusable() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Silent]).await?;
    let mut device = scene.open(0, LONG).await?;
    assert!(
        tokio::time::timeout(SHORT, device.running_configuration())
            .await
            .is_err()
    );
    assert!(!device.is_reusable());
    Ok(())
}
