//! Configuration sessions: they are loaded, compared, committed, aborted and listed.

use anyhow::Result;
use lockstep_simulators::fleet::{Change, ForeignSession, Totals};
use serde_json::json;

use crate::client::Scene;

const RENDERED: &str = "!
hostname leaf-1
!
interface Ethernet2
   switchport   access vlan 200
   description  uplink
!
vlan 200
   name servers
!
interface Ethernet1
   no switchport
   ip address 10.0.0.1/31
!
end
";

const DIFFERENCE: &str = "--- system:/running-config
+++ session:/job1-session-config
@@ -1,21 +1,17 @@
-hostname leaf00001
+hostname leaf-1
+!
+vlan 200
+   name servers
 !
 interface Ethernet1
-   description server 1
-   switchport access vlan 101
+   ip address 10.0.0.1/31
+   no switchport
 !
 interface Ethernet2
-   description server 2
-   switchport access vlan 102
+   description uplink
+   switchport access vlan 200
 !
 interface Ethernet3
-   description server 3
-   switchport access vlan 103
 !
 interface Ethernet4
-   description server 4
-   switchport access vlan 104
-!
-management api http-commands
-   no shutdown
 !
";

#[tokio::test]
async fn a_session_replaces_the_whole_configuration_when_it_is_committed() -> Result<()> {
    let scene = Scene::start().await?;
    let before = scene.fleet.running_configuration(0);
    scene.load("job1", RENDERED).await?;
    assert_eq!(scene.difference("job1").await?, DIFFERENCE);
    assert_eq!(scene.fleet.running_configuration(0), before);
    scene.session("job1", "commit").await?;

    let after = scene.text("show running-config").await?;
    assert_eq!(after, scene.fleet.running_configuration(0));
    assert_ne!(after, RENDERED, "a device normalises what it gets");
    assert!(after.contains("! device: leaf-1 "), "{after}");
    assert_eq!(scene.run(&["show hostname"]).await?[0]["hostname"], "leaf-1");
    scene.load("job2", &after).await?;
    assert_eq!(
        scene.difference("job2").await?,
        "",
        "what a device shows changes nothing"
    );
    let tree = scene.run(&["show running-config"]).await?.remove(0);
    assert!(
        tree["cmds"]["vlan 200"]["cmds"].get("name servers").is_some(),
        "{tree}"
    );

    let saved = scene.text("show startup-config").await?;
    assert!(saved.contains("hostname leaf00001"), "nobody saved it: {saved}");
    scene.run(&["copy running-config startup-config"]).await?;
    assert!(
        scene
            .text("show startup-config")
            .await?
            .contains("hostname leaf-1")
    );
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_entered_again_goes_on() -> Result<()> {
    let scene = Scene::start().await?;
    scene
        .run(&["configure session x", "interface Ethernet1", "description first"])
        .await?;
    scene
        .run(&[
            "configure session x",
            "interface Ethernet1",
            "mtu 9000",
            "exit",
            "exit",
        ])
        .await?;
    let shown = scene
        .run(&["configure session x", "show session-config"])
        .await?
        .remove(1);
    let port = &shown["cmds"]["interface Ethernet1"]["cmds"];
    for line in ["description first", "mtu 9000", "switchport access vlan 101"] {
        assert!(port.get(line).is_some(), "{line}: {port}");
    }
    scene.run(&["configure session x", "abort"]).await?;
    let (code, error) = scene.refused(&["show session-config named x diffs"]).await?;
    assert_eq!((code, error.as_str()), (1000, "Session x does not exist"));
    Ok(())
}

#[tokio::test]
async fn pending_sessions_are_listed_in_json_and_as_text() -> Result<()> {
    let scene = Scene::start().await?;
    scene.fleet.open_session(0, &ForeignSession::new("friday"))?;
    scene.run(&["configure session ours", "hostname x"]).await?;
    for command in [
        "show configuration sessions",
        "show configuration sessions detail",
    ] {
        let answer = scene.run(&[command]).await?.remove(0);
        let sessions = &answer["sessions"];
        assert_eq!(sessions["friday"]["state"], "pending");
        assert_eq!(sessions["friday"]["instances"]["1000"]["user"], "alice");
        assert_eq!(sessions["ours"]["instances"]["1001"]["user"], "admin");
        assert_eq!(answer["maxOpenSessions"], 5);
        let text = scene.text(command).await?;
        assert!(text.contains("friday"), "{text}");
    }
    let commands = scene.fleet.commands(0);
    assert!(
        commands.contains(&"configure session ours".to_owned()),
        "{commands:?}"
    );
    assert!(!commands.contains(&"hostname x".to_owned()), "{commands:?}");
    let open = scene.fleet.sessions(0);
    assert_eq!((open[0].user.as_str(), open[0].age.as_secs()), ("alice", 3600));
    Ok(())
}

#[tokio::test]
async fn a_sixth_pending_session_is_refused() -> Result<()> {
    let scene = Scene::start().await?;
    for number in 1..=5 {
        scene
            .run(&[&format!("configure session s{number}"), "hostname x"])
            .await?;
    }
    let (code, error) = scene.refused(&["configure session s6"]).await?;
    assert_eq!(code, 1000);
    assert!(error.starts_with("Maximum number of pending sessions"), "{error}");
    scene.session("s1", "abort").await?;
    scene.run(&["configure session s6"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_committed_session_is_neither_entered_nor_committed_again() -> Result<()> {
    let scene = Scene::start().await?;
    scene.load("job1", RENDERED).await?;
    scene.session("job1", "commit").await?;
    for command in [
        "configure session job1",
        "configure session job1 commit",
        "configure session job1 abort",
    ] {
        let (code, error) = scene.refused(&[command]).await?;
        assert_eq!(code, 1000, "{command}: {error}");
    }
    let expected = Totals {
        commits: 1,
        ..Totals::default()
    };
    assert_eq!(scene.fleet.totals(0), expected);
    Ok(())
}

#[tokio::test]
async fn a_line_that_a_device_does_not_know_is_refused_and_those_before_stay() -> Result<()> {
    let scene = Scene::start().await?;
    scene
        .fleet
        .tune(0, |knobs| knobs.refused.push("ip helper-address **".to_owned()));
    let (code, error) = scene
        .refused(&[
            "configure session x",
            "hostname y",
            "interface Vlan10",
            "ip helper-address 10.0.0.1",
        ])
        .await?;
    assert_eq!((code, error.as_str()), (1002, "Invalid input (at token 0: 'ip')"));
    let (code, _) = scene.refused(&["configure session x", "{% if left %}"]).await?;
    assert_eq!(code, 1002);
    assert!(scene.difference("x").await?.contains("+hostname y"));
    Ok(())
}

#[tokio::test]
async fn banners_certificates_and_comments_are_lines_after_a_command() -> Result<()> {
    let scene = Scene::start().await?;
    let commands = json!([
        "enable",
        "configure session x",
        {"cmd": "banner login", "input": "Welcome\n!! end\nend\nEOF"},
        "management api http-commands",
        {"cmd": "protocol https certificate", "input": "CERT\nEOF\nKEY\nEOF\n"},
        "router bgp 65000",
        {"cmd": "comment", "input": "two\nlines"},
        "router-id 10.0.0.1",
        "commit",
    ]);
    let answer = scene.send("json", commands).await?;
    assert!(answer["result"].is_array(), "{answer}");
    let running = scene.fleet.running_configuration(0);
    for lines in [
        "!\nbanner login\nWelcome\n!! end\nend\nEOF\n!\n",
        "   protocol https certificate\nCERT\nEOF\nKEY\nEOF\n",
        "router bgp 65000\n   !! two\n   !! lines\n   router-id 10.0.0.1\n",
    ] {
        assert!(running.contains(lines), "{lines}: {running}");
    }
    let (code, _) = scene.refused(&["configure session y", "banner motd"]).await?;
    assert_eq!(code, 1000, "the lines are missing");
    Ok(())
}

#[tokio::test]
async fn commands_without_indentation_find_their_sections() -> Result<()> {
    let scene = Scene::start().await?;
    scene.load("x", RENDERED).await?;
    let stripped: Vec<&str> = RENDERED
        .lines()
        .map(str::trim)
        .filter(|line| *line != "!")
        .collect();
    scene.load("y", &stripped.join("\n")).await?;
    let (x, y) = (scene.difference("x").await?, scene.difference("y").await?);
    assert_eq!(x, y.replace("session:/y", "session:/x"));
    Ok(())
}

#[tokio::test]
async fn a_device_is_configured_without_a_session_too() -> Result<()> {
    let scene = Scene::start().await?;
    scene
        .run(&["configure", "interface Ethernet1", "description by hand", "end"])
        .await?;
    assert!(
        scene
            .fleet
            .running_configuration(0)
            .contains("description by hand")
    );
    scene
        .fleet
        .change_by_hand(0, &["interface Ethernet1", "   no description"])?;
    let changes = scene.fleet.changes(0);
    let users: Vec<&str> = changes.iter().map(|change| change.user.as_str()).collect();
    assert_eq!(users, ["admin", "console"]);
    assert!(changes.iter().all(|change| change.change == Change::Configured));
    let (code, _) = scene.refused(&["configure", "exit", "hostname x"]).await?;
    assert_eq!(code, 1002, "outside of the configuration");
    Ok(())
}
