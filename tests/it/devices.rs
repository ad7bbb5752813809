//! Devices as an operator imports, exports and marks them, by the command line.

use std::fmt::Write;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use lockstep_testbed::{free_port, wait};
use serde_json::Value;

use crate::system::{Ground, PATIENCE, Process, Scene};

/// A running system and its operator.
pub(crate) struct Installation {
    pub(crate) scene: Scene,
    console: Vec<(&'static str, String)>,
    processes: Vec<Process>,
}

impl Installation {
    /// One process with embedded bus and SQLite.
    pub(crate) async fn embedded() -> Result<Self> {
        let scene = Scene::new(Ground::Embedded).await?;
        let up = scene.worker(&[])?;
        Self::ready(scene, Vec::new(), vec![up]).await
    }

    /// A console and two workers on servers.
    async fn with_two_workers() -> Result<Self> {
        let scene = Scene::new(Ground::Servers).await?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let console = scene.run(
            &["console"],
            &[
                ("LOCKSTEP__CONSOLE__LISTEN", &listen),
                ("LOCKSTEP__CONSOLE__TOKENS__0__NAME", "alice"),
                ("LOCKSTEP__CONSOLE__TOKENS__0__TOKEN", "a-token-of-alice"),
                ("LOCKSTEP__CONSOLE__TOKENS__0__TYPES", "*"),
            ],
        )?;
        let processes = vec![console, scene.worker(&[])?, scene.worker(&[])?];
        let client = vec![
            ("LOCKSTEP_URL", format!("http://{listen}")),
            ("LOCKSTEP_TOKEN", "a-token-of-alice".to_owned()),
        ];
        Self::ready(scene, client, processes).await
    }

    async fn ready(
        scene: Scene,
        console: Vec<(&'static str, String)>,
        processes: Vec<Process>,
    ) -> Result<Self> {
        let installation = Self {
            scene,
            console,
            processes,
        };
        wait::until("the console to answer", PATIENCE, async || {
            let listed = installation.types(&["devices", "list"]).await;
            let listed = listed.map_err(|error| error.to_string())?;
            if listed.status.success() {
                Ok(())
            } else {
                Err(printed(&listed))
            }
        })
        .await?;
        Ok(installation)
    }

    pub(crate) async fn stop(self) -> Result<()> {
        for process in self.processes {
            process.stop().await?;
        }
        Ok(())
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.scene.folder().join(name), text)?)
    }

    pub(crate) async fn types(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command
            .env_clear()
            .args(arguments)
            .current_dir(self.scene.folder());
        command.envs(self.console.iter().map(|(name, value)| (name, value)));
        Ok(tokio::task::spawn_blocking(move || command.output()).await??)
    }

    /// Runs a command that ends with this code, and returns what it prints.
    pub(crate) async fn ends(&self, arguments: &[&str], code: i32) -> Result<String> {
        let output = self.types(arguments).await?;
        let printed = printed(&output);
        ensure!(
            output.status.code() == Some(code),
            "{arguments:?}: {} {printed}",
            output.status
        );
        Ok(printed)
    }

    pub(crate) async fn list(&self) -> Result<Vec<Value>> {
        let output = self.types(&["devices", "list", "--json"]).await?;
        serde_json::from_slice(&output.stdout).context("the list of devices")
    }

    pub(crate) async fn publish(&self, kind: &str, data: &str) -> Result<String> {
        self.ends(&["publish", kind, "--wait", "--data", data], 0).await
    }
}

pub(crate) fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// An inventory of 500 devices, of which the last has this MAC address.
fn with_mac(prefix: &str, mac: &str) -> Result<String> {
    let mut text = String::new();
    for number in 0..499 {
        writeln!(text, "- {{hostname: {prefix}-{number}, device_type: ACCESS}}")?;
    }
    writeln!(
        text,
        "- {{hostname: {prefix}-last, device_type: ACCESS, mac: {mac:?}}}"
    )?;
    Ok(text)
}

pub(crate) const INTERFACE_UPDATED: &str = "lockstep.interface.updated";
pub(crate) const SW1_UPDATED: &str =
    r#"{"hostname": "sw1", "kind": "configuration", "interfaces": [{"name": "Ethernet1"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_imports_at_once_one_device_is_refused_however_the_race_ends() -> Result<()> {
    const ROUNDS: usize = 8;
    let installation = Installation::with_two_workers().await?;
    for round in 0..ROUNDS {
        let mac = format!("44:4c:a8:00:00:{round:02x}");
        let prefixes = [format!("a{round}"), format!("b{round}")];
        for prefix in &prefixes {
            installation.write(&format!("{prefix}.yml"), &with_mac(prefix, &mac)?)?;
        }
        let files = prefixes.each_ref().map(|prefix| format!("{prefix}.yml"));
        let lines = files.each_ref().map(|file| ["devices", "import", file]);
        let (a, b) = tokio::try_join!(installation.types(&lines[0]), installation.types(&lines[1]))?;
        let (winner, loser, refused) = match (a.status.code(), b.status.code()) {
            (Some(0), Some(1)) => (&prefixes[0], &prefixes[1], printed(&b)),
            (Some(1), Some(0)) => (&prefixes[1], &prefixes[0], printed(&a)),
            codes => anyhow::bail!("{codes:?}: {} {}", printed(&a), printed(&b)),
        };
        let reason = format!(
            "{loser}-last: identity-conflict: {loser}-last cannot have the MAC address {mac}, because it belongs to {winner}-last"
        );
        ensure!(refused.contains(&reason), "{reason}: {refused}");
        ensure!(refused.contains("imported 499 devices"), "{refused}");
        ensure!(refused.contains("1 device was not imported"), "{refused}");
    }
    ensure!(installation.list().await?.len() == ROUNDS * 999);
    installation.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_thousand_devices_is_refused_and_the_others_are_imported() -> Result<()> {
    let installation = Installation::embedded().await?;
    let mut text = String::new();
    for number in 0..2000 {
        let mac = if number == 1999 { 3 } else { number };
        writeln!(
            text,
            "- {{hostname: sw{number}, device_type: ACCESS, mac: \"444ca800{mac:04}\"}}"
        )?;
    }
    installation.write("fleet.yml", &text)?;
    for _ in 0..2 {
        let refused = installation
            .ends(&["devices", "import", "fleet.yml", "--json"], 1)
            .await?;
        let reason = "sw1999: identity-conflict: sw1999 cannot have the MAC address 44:4c:a8:00:00:03, because it belongs to sw3";
        ensure!(refused.contains(reason), "{refused}");
        ensure!(
            refused.contains("\"devices\": 1999") && refused.contains("\"rejected\": 1"),
            "{refused}"
        );
        ensure!(installation.list().await?.len() == 1999);
    }
    let dead = installation.ends(&["dead", "list"], 0).await?;
    ensure!(!dead.contains("inventory"), "no dead letter: {dead}");
    installation.stop().await
}

/// A device without what another system numbers and times anew.
fn comparable(mut devices: Vec<Value>) -> Vec<Value> {
    for device in &mut devices {
        let fields = device.as_object_mut().expect("a device");
        for name in [
            "id",
            "desired_generation",
            "synced_generation",
            "unsynchronized_since",
            "causes",
        ] {
            fields.remove(name);
        }
    }
    devices
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_can_be_imported() -> Result<()> {
    let installation = Installation::embedded().await?;
    let fleet = r#"
- {hostname: sw1, device_type: ACCESS, platform: eos, synchronized: true, mac: 444c.a800.0001, serial: S1, groups: [campus]}
- {hostname: sw2, device_type: DIST, management_ip: "2001:db8::2", vendor: Arista, model: "7280", os_version: "4.30"}
- {hostname: sw3, device_type: CORE, state: UNMANAGED, note: "räume: 'ä' \"😀\"", until: 2027-01-01T00:00:00Z}
"#;
    installation.write("fleet.yml", fleet)?;
    installation.ends(&["devices", "import", "fleet.yml"], 0).await?;
    installation.publish(INTERFACE_UPDATED, SW1_UPDATED).await?;
    let exported = installation.list().await?;
    ensure!(
        exported[2]["note"] == "räume: 'ä' \"😀\"" && !exported[2]["until"].is_null(),
        "{exported:?}"
    );
    let file = serde_json::to_string(&exported)?;

    // The same system: nothing changes.
    installation.write("list.json", &file)?;
    for option in ["--json", "--mark-synchronized"] {
        let again = installation
            .ends(&["devices", "import", "list.json", option], 0)
            .await?;
        ensure!(!again.contains("warning"), "{again}");
        ensure!(installation.list().await? == exported);
    }
    installation.stop().await?;

    let other = Installation::embedded().await?;
    other.write("list.json", &file)?;
    let printed = other.ends(&["devices", "import", "list.json"], 0).await?;
    ensure!(!printed.contains("warning"), "{printed}");
    let (imported, exported) = (comparable(other.list().await?), comparable(exported));
    ensure!(imported == exported, "{imported:?} {exported:?}");
    other.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_marks_what_was_looked_at() -> Result<()> {
    let installation = Installation::embedded().await?;
    let fleet = "- {hostname: sw1, device_type: ACCESS, synchronized: true}\n- {hostname: sw2, device_type: ACCESS}\n";
    installation.write("fleet.yml", fleet)?;
    installation.ends(&["devices", "import", "fleet.yml"], 0).await?;
    installation.publish(INTERFACE_UPDATED, SW1_UPDATED).await?;
    let flags = async || -> Result<Vec<bool>> {
        let devices = installation.list().await?;
        Ok(devices
            .iter()
            .map(|device| device["synchronized"] == true)
            .collect())
    };

    // An import closes no cause unless it is told to.
    installation.ends(&["devices", "import", "fleet.yml"], 0).await?;
    ensure!(flags().await? == [false, false]);
    let marked = installation
        .ends(&["devices", "import", "fleet.yml", "--mark-synchronized"], 0)
        .await?;
    ensure!(
        marked.contains("marked 1 device as synchronized, with all causes until then: sw1"),
        "{marked}"
    );
    ensure!(flags().await? == [true, false]);

    let mark = ["devices", "mark", "sw1"];
    let with = |more: &[&'static str]| [&mark[..], more].concat();
    installation
        .ends(&with(&["--unsynchronized", "--note", "changed by hand"]), 0)
        .await?;
    let shown = installation.ends(&["devices", "show", "sw1"], 0).await?;
    ensure!(
        shown.contains("marked_unsynchronized") && shown.contains("changed by hand"),
        "{shown}"
    );
    let seen = installation.list().await?[0]["desired_generation"].to_string();
    installation.publish(INTERFACE_UPDATED, SW1_UPDATED).await?;
    let late = ["--synchronized", "--note", "compared", "--generation", &seen];
    let late = installation.ends(&[&mark[..], &late[..]].concat(), 1).await?;
    let expected = format!(
        "generation-changed at $.data.generation: sw1 got 1 newer cause since generation {seen}: interface_updated by local"
    );
    ensure!(late.contains(&expected), "{late}");
    ensure!(flags().await? == [false, false]);

    let closed = installation
        .ends(&with(&["--synchronized", "--note", "compared"]), 0)
        .await?;
    ensure!(
        closed.contains("marked_unsynchronized") && closed.contains("1 sync flag changed"),
        "{closed}"
    );
    ensure!(flags().await? == [true, false]);
    let shown = installation.ends(&["devices", "show", "sw1"], 0).await?;
    ensure!(
        shown.contains("synchronized by local at ") && shown.contains(": compared"),
        "{shown}"
    );
    let table: [(&[&str], i32, &str); 4] = [
        (&["mark", "sw1"], 2, "--synchronized"),
        (&["mark", "sw1", "--synchronized"], 2, "--note"),
        (
            &["mark", "sw1", "--synchronized", "--unsynchronized", "--note", "x"],
            2,
            "cannot be used with",
        ),
        (&["mark", "SW1", "--unsynchronized"], 1, "did you mean sw1?"),
    ];
    for (line, code, expected) in table {
        let printed = installation.ends(&[&["devices"], line].concat(), code).await?;
        ensure!(printed.contains(expected), "{line:?}: {printed}");
    }
    installation.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_that_cannot_be_meant_is_refused() -> Result<()> {
    let installation = Installation::embedded().await?;
    installation.write("fleet.yml", "- {hostname: sw1, device_type: ACCESS}\n")?;
    installation.ends(&["devices", "import", "fleet.yml"], 0).await?;
    installation.write("empty.yml", "# nothing yet\n")?;
    installation.write("spelling.yml", "- {hostname: SW1, device_type: ACCESS}\n")?;
    let folder = installation.scene.folder().join("nornir");
    std::fs::create_dir(&folder)?;
    std::fs::write(
        folder.join("hosts.yaml"),
        "sw7: {groups: [a], data: {role: access}}\n",
    )?;
    std::fs::write(folder.join("groups.yaml"), "a: {groups: [b]}\nb: {groups: [a]}\n")?;
    let table: [(&[&str], &str); 3] = [
        (
            &["empty.yml"],
            "empty.yml holds no devices; expected a list such as",
        ),
        (
            &["spelling.yml"],
            "SW1 cannot be a device, because it differs from sw1 only in upper and lower case; write sw1",
        ),
        (&["nornir", "--from", "nornir"], "a → b → a"),
    ];
    for (line, expected) in table {
        let printed = installation
            .ends(&[&["devices", "import"], line].concat(), 1)
            .await?;
        ensure!(printed.contains(expected), "{line:?}: {printed}");
    }
    ensure!(installation.list().await?.len() == 1);
    let updated = SW1_UPDATED.replace("sw1", "SW1");
    let line = ["publish", INTERFACE_UPDATED, "--wait", "--data", &updated];
    let printed = installation.ends(&line, 1).await?;
    ensure!(printed.contains("did you mean sw1?"), "{printed}");
    installation.stop().await
}
