//! The alarm and the operator's hand: monitoring plugins, states with an end, and imports from other systems.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use lockstep_testbed::wait;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::devices::{INTERFACE_UPDATED, Installation, SW1_UPDATED, printed};
use crate::system::PATIENCE;

/// Three devices: one synchronized, one not, one that an inventory imports as UNMANAGED.
const FLEET: &str = "
- {hostname: sw1, device_type: ACCESS, synchronized: true, groups: [campus]}
- {hostname: sw2, device_type: DIST, synchronized: true}
- {hostname: sw3, device_type: CORE, state: UNMANAGED, note: 'line card | on its way'}
";

/// Runs a plugin, which ends with this code, prints nothing on stderr, and one line that begins so.
async fn plugin(installation: &Installation, line: &str, code: i32, first: &str) -> Result<Vec<String>> {
    let arguments: Vec<&str> = line.split(' ').collect();
    let output = installation.types(&arguments).await?;
    let shown = printed(&output);
    ensure!(
        output.status.code() == Some(code),
        "{line}: {} {shown}",
        output.status
    );
    ensure!(output.stderr.is_empty(), "{line}: {shown}");
    ensure!(shown.starts_with(first), "{line}: {shown}");
    let lines: Vec<String> = shown.lines().map(str::to_owned).collect();
    ensure!(
        lines.iter().skip(1).all(|line| !line.contains('|')),
        "{line}: {shown}"
    );
    Ok(lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_tell_how_old_flags_and_states_are() -> Result<()> {
    let installation = Installation::embedded().await?;
    let check = async |line: &str, code, first: &str| plugin(&installation, line, code, first).await;
    let empty = check(
        "check sync-age",
        0,
        "SYNC-AGE OK - 0 of 0 MANAGED devices unsynchronized | ",
    )
    .await?;
    ensure!(empty.len() == 1, "{empty:?}");

    installation.write("fleet.yml", FLEET)?;
    installation.ends(&["devices", "import", "fleet.yml"], 0).await?;
    let none = check(
        "check sync-age",
        0,
        "SYNC-AGE OK - 0 of 2 MANAGED devices unsynchronized | ",
    )
    .await?;
    ensure!(
        none[0].ends_with(
            "| oldest=0s;1800;3600;0 unsynchronized=0;;;0;2 over_warning=0;;;0;2 over_critical=0;;;0;2"
        ),
        "{none:?}"
    );
    installation.publish(INTERFACE_UPDATED, SW1_UPDATED).await?;
    let young = check(
        "check sync-age",
        0,
        "SYNC-AGE OK - 1 of 2 MANAGED devices unsynchronized, the oldest is sw1",
    )
    .await?;
    ensure!(young[1].contains("causes: interface_updated"), "{young:?}");
    for (line, code, first) in [
        (
            "check sync-age --warning 0s --critical 1h",
            1,
            "SYNC-AGE WARNING - 1 of 2",
        ),
        (
            "check sync-age --warning 0s --critical 0s",
            2,
            "SYNC-AGE CRITICAL - 1 of 2",
        ),
        (
            "check sync-age --critical 0s --warning 0s --group campus",
            2,
            "SYNC-AGE CRITICAL - 1 of 1",
        ),
        (
            "check sync-age --critical 0s --warning 0s --type DIST",
            0,
            "SYNC-AGE OK - 0 of 1",
        ),
        (
            "check unmanaged-age",
            0,
            "UNMANAGED-AGE OK - 1 of 3 devices UNMANAGED, the oldest is sw3",
        ),
        (
            "check unmanaged-age --warning 0s",
            1,
            "UNMANAGED-AGE WARNING - 1 of 3",
        ),
        (
            "check unmanaged-age --warning 0s --critical 0s",
            2,
            "UNMANAGED-AGE CRITICAL - 1 of 3",
        ),
    ] {
        let lines = check(line, code, first).await?;
        ensure!(
            lines.len() == 1 || lines[1].starts_with("sw"),
            "{line}: {lines:?}"
        );
    }
    let unmanaged = check("check unmanaged-age", 0, "UNMANAGED-AGE OK").await?;
    ensure!(
        unmanaged[1].ends_with("note: line card / on its way"),
        "{unmanaged:?}"
    );

    let output = installation.types(&["check", "sync-age", "--json"]).await?;
    let report: Value = serde_json::from_slice(&output.stdout).with_context(|| printed(&output))?;
    ensure!(
        report["status"] == "OK" && report["performance"][0]["label"] == "oldest",
        "{report}"
    );
    installation.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_with_a_plugin_is_unknown() -> Result<()> {
    let installation = Installation::embedded().await?;
    for (line, first) in [
        (
            "check sync-age --group campsu",
            "SYNC-AGE UNKNOWN - no device matches --group campsu",
        ),
        (
            "check sync-age --type LEAF",
            "SYNC-AGE UNKNOWN - no device matches --type LEAF",
        ),
        (
            "check sync-age --warning 2h",
            "SYNC-AGE UNKNOWN - --warning is larger than --critical",
        ),
        (
            "check sync-age --warning soon",
            "CHECK UNKNOWN - invalid value 'soon' for '--warning <AGE>'",
        ),
        ("check", "CHECK UNKNOWN - "),
        (
            "check sync-agee",
            "CHECK UNKNOWN - unrecognized subcommand 'sync-agee'",
        ),
        (
            "--url http://127.0.0.1:1 --token x check unmanaged-age",
            "UNMANAGED-AGE UNKNOWN - cannot connect to http://127.0.0.1:1",
        ),
        ("--url here --token x check sync-age", "SYNC-AGE UNKNOWN - "),
    ] {
        plugin(&installation, line, 3, first).await?;
    }
    installation.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_state_is_an_alarm_and_no_action() -> Result<()> {
    let installation = Installation::embedded().await?;
    installation.write("fleet.yml", FLEET)?;
    installation.ends(&["devices", "import", "fleet.yml"], 0).await?;
    let set = [
        "devices",
        "set-state",
        "sw1",
        "UNMANAGED",
        "--note",
        "new power supply",
        "--until",
    ];
    let with = |until: &'static str| [&set[..], &[until]].concat();
    let past = installation.ends(&with("2020-01-01"), 2).await?;
    ensure!(past.contains("is not in the future"), "{past}");
    installation.ends(&with("tomorrow 18:00"), 0).await?;
    let listed = installation.ends(&["devices", "list"], 0).await?;
    ensure!(
        listed.contains("sw1 UNMANAGED until ") && listed.contains(": new power supply"),
        "{listed}"
    );
    plugin(&installation, "check unmanaged-age", 0, "UNMANAGED-AGE OK").await?;

    installation.ends(&with("1s"), 0).await?;
    wait::until("the end of the state", PATIENCE, async || {
        let first = "UNMANAGED-AGE WARNING - 2 of 3 devices UNMANAGED";
        let lines = plugin(&installation, "check unmanaged-age", 1, first).await;
        lines.map(drop).map_err(|error| format!("{error:#}"))
    })
    .await?;
    let lines = plugin(&installation, "check unmanaged-age", 1, "UNMANAGED-AGE WARNING").await?;
    ensure!(
        lines[0].contains("the state should have ended of sw1") && lines[0].contains("expired=1;;;0;3"),
        "{lines:?}"
    );
    ensure!(
        lines
            .iter()
            .any(|line| line.starts_with("sw1: UNMANAGED for ") && line.ends_with("note: new power supply")),
        "{lines:?}"
    );
    let shown = installation.ends(&["devices", "show", "sw1"], 0).await?;
    ensure!(
        shown.contains("UNMANAGED") && shown.contains("(passed)"),
        "the state stays: {shown}"
    );
    let doctor = installation.ends(&["doctor", "--json"], 0).await?;
    ensure!(
        doctor.contains("1 device in a state that should have ended: sw1"),
        "{doctor}"
    );
    installation
        .ends(&["devices", "set-state", "sw1", "MANAGED"], 0)
        .await?;
    plugin(&installation, "check unmanaged-age", 0, "UNMANAGED-AGE OK").await?;
    installation.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_of_cnaas_nms_is_imported_as_a_whole_or_not_at_all() -> Result<()> {
    let installation = Installation::embedded().await?;
    let device = |hostname: &str, state: &str, synchronized: Value| {
        json!({
            "id": 1, "hostname": hostname, "site_id": null, "management_ip": "10.100.3.101", "serial": "", "ztp_mac": null,
            "platform": "eos", "vendor": "Arista", "model": "veos", "os_version": "4.22", "synchronized": synchronized, "state": state,
            "device_type": "DIST", "confhash": null, "last_seen": "2020-01-01T00:00:00", "port": null,
        })
    };
    let dump = |devices: &[Value]| json!({"status": "success", "data": {"devices": devices}}).to_string();
    let good = [
        device("d1", "MANAGED", json!(true)),
        device("d2", "DHCP_BOOT", json!(null)),
    ];
    installation.write("good.json", &dump(&good))?;
    installation.write(
        "bad.json",
        &dump(&[good[0].clone(), device("d3", "BROKEN", json!(true))]),
    )?;
    let refused = installation
        .ends(&["devices", "import", "bad.json", "--from", "cnaas"], 1)
        .await?;
    ensure!(
        refused.contains("bad.json: $.data.devices[1] (d3): state: is \"BROKEN\", must be one of UNKNOWN"),
        "{refused}"
    );
    ensure!(installation.list().await?.is_empty(), "nothing half done");
    let import = ["devices", "import", "good.json", "--from", "cnaas"];
    let imported = installation.ends(&import, 0).await?;
    ensure!(imported.contains("imported 2 devices"), "{imported}");
    let first = installation.list().await?;
    ensure!(
        first[0]["synchronized"] == true && first[1]["synchronized"] == false,
        "{first:?}"
    );
    ensure!(
        first[1]["state"] == "DHCP_BOOT" && first[0]["device_type"] == "DIST",
        "{first:?}"
    );
    installation.ends(&import, 0).await?;
    ensure!(
        installation.list().await? == first,
        "a second import changes nothing"
    );
    for (line, said) in [
        ("devices import --from cnaas", "name the FILE to import"),
        (
            "devices import good.json --from cnaas --default-type ACCESS",
            "--default-type needs --from nornir or --from cvp",
        ),
        (
            "devices import good.json --cluster oslo",
            "--cluster needs --from cvp",
        ),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let printed = installation.ends(&arguments, 2).await?;
        ensure!(printed.contains(said), "{line}: {printed}");
    }
    installation.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_needs_a_terminal_or_yes() -> Result<()> {
    let installation = Installation::embedded().await?;
    installation.write("fleet.yml", FLEET)?;
    installation.ends(&["devices", "import", "fleet.yml"], 0).await?;
    let refused = installation.ends(&["devices", "remove", "sw1"], 2).await?;
    ensure!(refused.contains("cannot be undone; add --yes"), "{refused}");

    // `script` runs it with a terminal.
    let line = format!("{} devices remove sw1", env!("CARGO_BIN_EXE_lockstep"));
    let mut command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir(installation.scene.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command
        .kill_on_drop(true)
        .spawn()
        .context("cannot start script")?;
    let mut answers = child.stdin.take().context("no stdin")?;
    answers.write_all(b"n\n").await?;
    let output = child.wait_with_output().await?;
    let asked = printed(&output);
    for said in [
        "this removes sw1 with 0 interfaces and 0 links",
        "it has no neighbours by links",
        "Remove sw1? [y/N]",
        "nothing was changed",
    ] {
        ensure!(asked.contains(said), "{said}: {asked}");
    }
    ensure!(output.status.code() == Some(1), "{asked}");
    ensure!(installation.list().await?.len() == 3);
    drop(answers);
    installation.stop().await
}

#[cfg(feature = "simulators")]
mod cvp {
    use lockstep_simulators::cvp::{CvpSimulator, Options, Scenario};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn devices_of_a_cloudvision_are_imported_with_the_types_that_are_named() -> Result<()> {
        let installation = Installation::embedded().await?;
        let simulator = CvpSimulator::start(Scenario::seed(), Options::default()).await?;
        let folder = installation.scene.folder();
        std::fs::write(folder.join("ca.pem"), simulator.ca_pem())?;
        let host = simulator.addresses()[0].to_string();
        let run = async |line: &str| -> Result<(Option<i32>, String)> {
            let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
            command.env_clear().current_dir(folder).args(line.split(' '));
            command.envs([
                ("LOCKSTEP__CVP__OSLO__HOSTS", host.as_str()),
                ("LOCKSTEP__CVP__OSLO__USERNAME", "cvpadmin"),
                ("LOCKSTEP__CVP__OSLO__PASSWORD", "simulated"),
                ("LOCKSTEP__CVP__OSLO__CA_FILE", "ca.pem"),
            ]);
            let output = command.output().await?;
            Ok((output.status.code(), printed(&output)))
        };
        let (code, refused) = run("devices import --from cvp --cluster oslo").await?;
        ensure!(
            code == Some(1) && refused.contains("has no type; set one"),
            "{code:?} {refused}"
        );
        ensure!(installation.list().await?.is_empty());

        let (code, imported) = run("devices import --from cvp --default-type ACCESS --json").await?;
        ensure!(code == Some(0), "{imported}");
        let first = installation.list().await?;
        ensure!(!first.is_empty(), "{imported}");
        for device in &first {
            ensure!(
                device["device_type"] == "ACCESS" && device["platform"] == "eos",
                "{device}"
            );
            ensure!(
                device["os_version"] == "4.28.3M" && !device["serial"].is_null(),
                "{device}"
            );
        }
        // Devices that exist keep their type, and a second import changes nothing.
        let (code, again) = run("devices import --from cvp --default-type DIST").await?;
        ensure!(code == Some(0) && installation.list().await? == first, "{again}");
        let hostname = first[0]["hostname"].as_str().context("a hostname")?;
        installation.write("types.yml", &format!("{hostname}: CORE\n"))?;
        let (code, typed) = run("devices import types.yml --from cvp").await?;
        ensure!(code == Some(0), "{typed}");
        ensure!(installation.list().await?[0]["device_type"] == "CORE", "{typed}");
        installation.stop().await
    }
}
