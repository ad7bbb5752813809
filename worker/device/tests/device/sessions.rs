//! Configuration sessions of simulated devices, in both dialects.

use std::time::Duration;

use anyhow::Result;
use lockstep_device::eapi::{EapiDriver, EapiOptions};
use lockstep_device::{
    ConfigurationSessions, DeviceConnection, DeviceDriver, DeviceError, SessionName, SessionState,
};
use lockstep_simulators::fleet::{
    Behaviour, Change, Device, Dialect, Fault, ForeignSession, Injection, Options, Time, Totals,
};

use crate::scene::{LONG, Scene, credentials};

const FIVE_MINUTES: Duration = Duration::from_mins(5);

const RENDERED: &str = "! rendered
hostname leaf-1
!
vlan 200
   name servers
!
interface Ethernet1
   description uplink
   switchport access vlan 200
!
end
";

/// One device whose time passes by hand, in a dialect.
async fn scene(dialect: Dialect) -> Result<Scene> {
    let options = Options {
        time: Time::StandsStill,
        ..Options::default()
    };
    let scene = Scene::of(vec![Device::numbered(1)], options).await?;
    scene.fleet.tune(0, |knobs| knobs.dialect = dialect);
    Ok(scene)
}

async fn in_both_dialects(check: impl AsyncFn(Scene) -> Result<()>) -> Result<()> {
    for dialect in [Dialect::UpTo431, Dialect::Since432] {
        check(scene(dialect).await?).await?;
    }
    Ok(())
}

fn sessions(connection: &mut Box<dyn DeviceConnection>) -> &mut dyn ConfigurationSessions {
    connection.sessions().expect("eAPI has sessions")
}

fn session(name: &str) -> SessionName {
    SessionName::new(name).expect("the name of a session")
}

/// Names and states of the sessions that have not ended.
async fn pending(sessions: &mut dyn ConfigurationSessions) -> Result<Vec<(String, SessionState)>> {
    let pending = sessions.pending().await?;
    Ok(pending
        .into_iter()
        .map(|session| (session.name, session.state))
        .collect())
}

#[tokio::test]
async fn a_configuration_is_loaded_compared_committed_and_confirmed() -> Result<()> {
    in_both_dialects(async |scene| {
        let before = scene.fleet.running_configuration(0);
        let mut connection = scene.open(0, LONG).await?;
        let sessions = sessions(&mut connection);
        let name = session("lockstep-1");
        sessions.load(&name, RENDERED).await?;
        assert_eq!(
            pending(sessions).await?,
            [("lockstep-1".to_owned(), SessionState::Pending)]
        );
        let difference = sessions.difference(&name).await?;
        assert!(difference.starts_with("@@ "), "{difference}");
        assert!(difference.contains("+hostname leaf-1\n"), "{difference}");
        assert!(!difference.contains("lockstep-1"), "{difference}");
        assert_eq!(scene.fleet.running_configuration(0), before);

        sessions.commit(&name, FIVE_MINUTES).await?;
        scene.fleet.advance(Duration::from_mins(4));
        let listed = sessions.pending().await?;
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].state, SessionState::PendingTimer);
        assert_eq!(listed[0].user.as_deref(), Some("admin"));
        assert_eq!(listed[0].age, Some(Duration::from_mins(4)));
        assert!(listed[0].rolls_back_at.is_some());

        sessions.confirm(&name).await?;
        assert_eq!(pending(sessions).await?, []);
        scene.fleet.advance(FIVE_MINUTES);
        let after = connection.running_configuration().await?;
        assert!(after.contains("hostname leaf-1\n"), "{after}");
        let saved = scene.fleet.startup_configuration(0);
        assert!(saved.contains("hostname leaf-1\n"), "a restart keeps it: {saved}");
        let totals = scene.fleet.totals(0);
        let expected = Totals {
            commits: 1,
            confirms: 1,
            ..Totals::default()
        };
        assert_eq!(totals, expected);
        assert!(connection.is_reusable());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_a_device_shows_makes_no_difference() -> Result<()> {
    let scene = scene(Dialect::Since432).await?;
    let mut connection = scene.open(0, LONG).await?;
    let shown = connection.running_configuration().await?;
    let sessions = sessions(&mut connection);
    let name = session("lockstep-1");
    sessions.load(&name, &shown).await?;
    assert_eq!(sessions.difference(&name).await?, "");
    sessions.abort(name.as_str()).await?;
    assert_eq!(pending(sessions).await?, []);
    Ok(())
}

#[tokio::test]
async fn texts_and_certificates_reach_the_device_as_they_are() -> Result<()> {
    const TEXTS: &str = "hostname leaf-1
interface Ethernet1
   !! two lines
   !! of a comment
   mtu 9000
banner login
  *** keep out ***
!! no comment
commit
hostname other
EOF
management api http-commands
   protocol https certificate
-----BEGIN CERTIFICATE-----
MIIBhTCCASugAwIBAgIQIRi6zePL6mKjOipn
-----END CERTIFICATE-----
EOF
-----BEGIN PRIVATE KEY-----
MHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5C
-----END PRIVATE KEY-----
EOF
   no shutdown
end
";
    let scene = scene(Dialect::UpTo431).await?;
    let mut connection = scene.open(0, LONG).await?;
    let name = session("lockstep-1");
    let sessions = sessions(&mut connection);
    sessions.load(&name, TEXTS).await?;
    sessions.commit(&name, FIVE_MINUTES).await?;
    sessions.confirm(&name).await?;
    let running = connection.running_configuration().await?;
    let (_, banner) = TEXTS.split_once("banner login\n").expect("a banner");
    let (banner, rest) = banner.split_once("EOF\n").expect("its end");
    let (_, certificate) = rest.split_once("certificate\n").expect("a certificate");
    let (certificate, _) = certificate.split_once("   no shutdown").expect("its end");
    for text in [
        format!("banner login\n{banner}EOF\n"),
        format!("protocol https certificate\n{certificate}"),
        "   !! two lines\n   !! of a comment\n   mtu 9000\n".to_owned(),
        "\nhostname leaf-1\n".to_owned(),
    ] {
        assert!(running.contains(&text), "{text}\n---\n{running}");
    }
    Ok(())
}

#[tokio::test]
async fn a_configuration_of_thousands_of_lines_is_one_request() -> Result<()> {
    let scene = scene(Dialect::Since432).await?;
    let vlans: Vec<String> = (2..4000)
        .map(|vlan| format!("vlan {vlan}\n   name servers-{vlan}\n"))
        .collect();
    let vlans = vlans.concat();
    assert!(vlans.len() > 100 << 10);
    let mut connection = scene.open(0, LONG).await?;
    let name = session("lockstep-1");
    let sessions = sessions(&mut connection);
    sessions.load(&name, &vlans).await?;
    assert_eq!(scene.fleet.requests(), 1);
    let difference = sessions.difference(&name).await?;
    assert!(difference.contains("+   name servers-3999\n"));
    Ok(())
}

#[tokio::test]
async fn a_commit_that_nobody_confirms_is_rolled_back_by_the_device() -> Result<()> {
    in_both_dialects(async |scene| {
        let before = scene.fleet.running_configuration(0);
        let mut connection = scene.open(0, LONG).await?;
        let sessions = sessions(&mut connection);
        let name = session("lockstep-1");
        sessions.load(&name, RENDERED).await?;
        sessions.commit(&name, FIVE_MINUTES).await?;
        scene.fleet.advance(FIVE_MINUTES);
        assert_eq!(pending(sessions).await?, []);
        let error = sessions.confirm(&name).await.unwrap_err();
        let expected = DeviceError::NotPending {
            session: "lockstep-1".to_owned(),
        };
        assert_eq!(error, expected);
        assert_eq!(scene.fleet.running_configuration(0), before);
        let commands = scene.fleet.commands(0);
        let confirmed = commands.contains(&"configure session lockstep-1 commit".to_owned());
        assert!(!confirmed, "it would commit without a timer");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_session_that_was_never_committed_cannot_be_confirmed() -> Result<()> {
    in_both_dialects(async |scene| {
        let before = scene.fleet.running_configuration(0);
        let mut connection = scene.open(0, LONG).await?;
        let sessions = sessions(&mut connection);
        let name = session("lockstep-1");
        sessions.load(&name, RENDERED).await?;
        let error = sessions.confirm(&name).await.unwrap_err();
        assert!(matches!(error, DeviceError::NotPending { .. }), "{error:?}");
        assert_eq!(scene.fleet.running_configuration(0), before);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_aborted_commit_is_rolled_back_at_once() -> Result<()> {
    in_both_dialects(async |scene| {
        let before = scene.fleet.running_configuration(0);
        let mut connection = scene.open(0, LONG).await?;
        let sessions = sessions(&mut connection);
        let name = session("lockstep-1");
        sessions.load(&name, RENDERED).await?;
        sessions.commit(&name, FIVE_MINUTES).await?;
        sessions.abort("lockstep-1").await?;
        assert_eq!(scene.fleet.running_configuration(0), before);
        for absent in ["lockstep-1", "another", "two words", "a|b"] {
            let error = sessions.abort(absent).await.unwrap_err();
            let session = absent.to_owned();
            assert_eq!(error, DeviceError::NotPending { session });
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_line_that_cannot_be_loaded_is_named_and_leaves_no_session() -> Result<()> {
    let scene = scene(Dialect::Since432).await?;
    let refused = vec!["username * secret **".to_owned()];
    scene.fleet.tune(0, |knobs| knobs.refused = refused);
    let mut connection = scene.open(0, LONG).await?;
    let sessions = sessions(&mut connection);
    let name = session("lockstep-1");
    let text = format!("{RENDERED}username ada secret 0 hunter2\n");
    let error = sessions.load(&name, &text).await.unwrap_err();
    let DeviceError::Line { line, beginning, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!((*line, beginning.as_str()), (12, "username ada …"));
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    assert!(!error.may_have_run());
    assert_eq!(pending(sessions).await?, []);

    let requests = scene.fleet.requests();
    let error = sessions.load(&name, "hostname a\ncommit\n").await.unwrap_err();
    let text = "line 2 of the configuration (\"commit\")";
    assert!(error.to_string().contains(text), "{error}");
    for empty in ["", "!\nend\n"] {
        let error = sessions.load(&name, empty).await.unwrap_err();
        assert_eq!(error, DeviceError::EmptyConfiguration);
    }
    assert_eq!(scene.fleet.requests(), requests, "nothing was sent");
    assert!(connection.is_reusable());
    Ok(())
}

#[tokio::test]
async fn a_load_whose_answer_is_lost_leaves_no_session() -> Result<()> {
    let scene = scene(Dialect::UpTo431).await?;
    scene
        .fleet
        .inject(0, Injection::after("hostname *", Fault::Lost).times(1));
    let mut connection = scene.open(0, LONG).await?;
    let sessions = sessions(&mut connection);
    let error = sessions.load(&session("lockstep-1"), RENDERED).await.unwrap_err();
    assert!(matches!(error, DeviceError::Interrupted { .. }), "{error:?}");
    assert_eq!(scene.fleet.sessions(0), []);
    assert_eq!(scene.fleet.totals(0).aborts, 1);
    Ok(())
}

#[tokio::test]
async fn an_unreachable_device_is_not_asked_to_abort() -> Result<()> {
    let scene = scene(Dialect::UpTo431).await?;
    scene.fleet.take_down(0).await;
    let mut connection = scene.open(0, LONG).await?;
    let error = sessions(&mut connection)
        .load(&session("lockstep-1"), RENDERED)
        .await
        .unwrap_err();
    assert!(matches!(error, DeviceError::Unreachable { .. }), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_device_with_all_its_sessions_open_names_them() -> Result<()> {
    let scene = scene(Dialect::UpTo431).await?;
    for name in ["a", "b", "c", "d", "lockstep-0"] {
        scene.fleet.open_session(0, &ForeignSession::new(name)).unwrap();
    }
    let mut connection = scene.open(0, LONG).await?;
    let sessions = sessions(&mut connection);
    let error = sessions.load(&session("lockstep-1"), RENDERED).await.unwrap_err();
    let DeviceError::TooManySessions { sessions: open } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(open.join(" "), "a b c d lockstep-0");
    assert!(!error.may_have_run());
    sessions.abort("a").await?;
    sessions.load(&session("lockstep-1"), RENDERED).await?;
    Ok(())
}

#[tokio::test]
async fn a_commit_waits_for_one_of_somebody_else() -> Result<()> {
    in_both_dialects(async |scene| {
        let foreign = ForeignSession {
            commands: vec!["hostname mine".to_owned()],
            timer: Some(FIVE_MINUTES),
            ..ForeignSession::new("friday")
        };
        scene.fleet.open_session(0, &foreign).unwrap();
        let mut connection = scene.open(0, LONG).await?;
        let sessions = sessions(&mut connection);
        let name = session("lockstep-1");
        sessions.load(&name, RENDERED).await?;
        let error = sessions.commit(&name, FIVE_MINUTES).await.unwrap_err();
        let expected = DeviceError::SessionInUse {
            session: "friday".to_owned(),
            user: Some("alice".to_owned()),
        };
        assert_eq!(error, expected);
        assert!(!error.may_have_run());
        assert_eq!(
            pending(sessions).await?,
            [
                ("friday".to_owned(), SessionState::PendingTimer),
                ("lockstep-1".to_owned(), SessionState::Pending)
            ]
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_locked_configuration_is_told() -> Result<()> {
    let scene = scene(Dialect::Since432).await?;
    let reason = "Unable to run this command (configuration lock held by user ada on vty3)";
    for command in ["configure session *", "configure session * commit timer *"] {
        let refused = Fault::Refused(reason.to_owned());
        scene.fleet.inject(0, Injection::before(command, refused));
    }
    let mut connection = scene.open(0, LONG).await?;
    let sessions = sessions(&mut connection);
    let name = session("lockstep-1");
    for error in [
        sessions.load(&name, RENDERED).await.unwrap_err(),
        sessions.commit(&name, FIVE_MINUTES).await.unwrap_err(),
    ] {
        assert!(matches!(error, DeviceError::Locked { .. }), "{error:?}");
        assert!(error.to_string().contains("held by user ada"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_refused_commit_leaves_the_session_as_it_is() -> Result<()> {
    let scene = scene(Dialect::Since432).await?;
    let reason = "hardware resources exceeded".to_owned();
    scene.fleet.tune(0, |knobs| knobs.refuses_commit = Some(reason));
    let mut connection = scene.open(0, LONG).await?;
    let sessions = sessions(&mut connection);
    let name = session("lockstep-1");
    sessions.load(&name, RENDERED).await?;
    let error = sessions.commit(&name, FIVE_MINUTES).await.unwrap_err();
    assert!(matches!(error, DeviceError::Refused { .. }), "{error:?}");
    assert!(
        error.to_string().contains("hardware resources exceeded"),
        "{error}"
    );
    assert!(!error.may_have_run());
    let expected = [("lockstep-1".to_owned(), SessionState::Pending)];
    assert_eq!(pending(sessions).await?, expected);

    sessions.abort("lockstep-1").await?;
    let error = sessions.commit(&name, FIVE_MINUTES).await.unwrap_err();
    assert!(matches!(error, DeviceError::NotPending { .. }), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn pending_sessions_tell_what_a_lost_answer_hides() -> Result<()> {
    in_both_dialects(async |scene| {
        for command in ["configure session * commit timer *", "configure session * commit"] {
            let lost = Injection::after(command, Fault::Lost).times(1);
            scene.fleet.inject(0, lost);
        }
        let mut connection = scene.open(0, LONG).await?;
        let sessions = sessions(&mut connection);
        let name = session("lockstep-1");
        sessions.load(&name, RENDERED).await?;
        let error = sessions.commit(&name, FIVE_MINUTES).await.unwrap_err();
        assert!(error.may_have_run(), "{error:?}");
        let expected = [("lockstep-1".to_owned(), SessionState::PendingTimer)];
        assert_eq!(pending(sessions).await?, expected);
        let error = sessions.confirm(&name).await.unwrap_err();
        assert!(error.may_have_run(), "{error:?}");
        assert_eq!(pending(sessions).await?, []);
        let error = sessions.confirm(&name).await.unwrap_err();
        assert!(matches!(error, DeviceError::NotPending { .. }), "{error:?}");
        let running = connection.running_configuration().await?;
        assert!(running.contains("hostname leaf-1\n"), "{running}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_confirmed_commit_that_is_not_saved_is_told() -> Result<()> {
    let scene = scene(Dialect::Since432).await?;
    let full = Fault::Refused("No space left on device".to_owned());
    scene.fleet.inject(0, Injection::before("write memory", full));
    let mut connection = scene.open(0, LONG).await?;
    let sessions = sessions(&mut connection);
    let name = session("lockstep-1");
    sessions.load(&name, RENDERED).await?;
    sessions.commit(&name, FIVE_MINUTES).await?;
    let error = sessions.confirm(&name).await.unwrap_err();
    assert!(matches!(error, DeviceError::NotSaved { .. }), "{error:?}");
    assert!(error.to_string().contains("No space left on device"), "{error}");
    assert_eq!(scene.fleet.totals(0).confirms, 1);
    let changes = scene.fleet.changes(0);
    assert!(!changes.iter().any(|change| change.change == Change::Saved));
    Ok(())
}

#[tokio::test]
async fn requests_and_differences_are_bounded() -> Result<()> {
    let scene = scene(Dialect::Since432).await?;
    let options = EapiOptions {
        max_request: 2 << 10,
        max_answer: 4 << 10,
        ..EapiOptions::default()
    };
    let driver = EapiDriver::new(scene.http.clone(), options);
    let mut connection = driver.open(&scene.address(0), &credentials()).await?;
    let sessions = sessions(&mut connection);
    let name = session("lockstep-1");
    let long = format!("hostname {}\n", "x".repeat(3 << 10));
    let error = sessions.load(&name, &long).await.unwrap_err();
    assert_eq!(error, DeviceError::RequestTooLarge { limit: 2 << 10 });
    assert_eq!(scene.fleet.requests(), 0);
    sessions.load(&name, RENDERED).await?;
    scene.fleet.behave(0, Behaviour::Floods(8 << 10));
    let error = sessions.difference(&name).await.unwrap_err();
    assert_eq!(error, DeviceError::TooLarge { limit: 4 << 10 });
    Ok(())
}
