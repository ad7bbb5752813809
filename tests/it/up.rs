//! What `lockstep up` prints works as it is printed, and its tokens allow no more than is said.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lockstep_testbed::wait;

use crate::system::{PATIENCE, Process, shell};

/// A running `lockstep up` with one device, `sw1`.
struct Up {
    folder: tempfile::TempDir,
    process: Process,
}

impl Up {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let arguments = ["up", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"];
        let process = Process::start(folder.path(), &arguments, &[])?;
        process.prints("lockstep messages show").await?;
        std::fs::write(
            folder.path().join("fleet.yml"),
            "- {hostname: sw1, device_type: ACCESS, platform: eos, synchronized: true}\n",
        )?;
        shell(folder.path(), "lockstep devices import fleet.yml")?;
        Ok(Self { folder, process })
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The commands that it prints for programs: those that set variables, the one that sends an event, and the one that shows the
    /// outcome.
    fn commands(&self) -> Result<(String, String, String)> {
        let log = self.process.log()?;
        let (_, rest) = log
            .split_once("Your programs send events")
            .context("no example")?;
        let lines: Vec<&str> = rest
            .lines()
            .skip(1)
            .map_while(|line| line.strip_prefix("  "))
            .collect();
        let [gateway, token, curl, data, show] = lines[..] else {
            anyhow::bail!("{lines:?}");
        };
        Ok((
            format!("{gateway}\n{token}\n"),
            format!("{curl}\n{data}\n"),
            show.to_owned(),
        ))
    }

    async fn until_shown(&self, script: &str, expected: &str) -> Result<String> {
        let shown = wait::until("the outcome", PATIENCE, async || {
            match shell(self.folder(), script) {
                Ok(shown) if shown.contains(expected) => Ok(shown),
                Ok(other) => Err(other),
                Err(error) => Err(format!("{error:#}")),
            }
        });
        Ok(shown.await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_commands_send_an_event_that_is_applied() -> Result<()> {
    let up = Up::start().await?;
    let (variables, send, show) = up.commands()?;
    let answer = shell(up.folder(), &(variables + &send))?;
    ensure!(answer.contains("my-1"), "{answer}");
    let shown = up.until_shown(&show, "state").await?;
    ensure!(
        shown.contains("applied") && shown.contains("local-events"),
        "{shown}"
    );
    let listed = shell(up.folder(), "lockstep devices list --unsynchronized --json")?;
    let devices: serde_json::Value = serde_json::from_str(&listed)?;
    ensure!(devices[0]["hostname"] == "sw1", "{devices}");
    ensure!(devices[0]["causes"][0]["by"] == "local-events", "{devices}");
    up.process.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_program_of_the_documentation_works_with_what_is_printed() -> Result<()> {
    let up = Up::start().await?;
    let page = include_str!("../../producer/README.md");
    let (_, section) = page.split_once("\n## Events over HTTP\n").context("no section")?;
    let (_, program) = section.split_once("```python\n").context("no Python")?;
    let program = program.split("```").next().context("no end")?;
    std::fs::write(up.folder().join("program.py"), program)?;
    let (variables, _, _) = up.commands()?;
    let answer = shell(up.folder(), &(variables + "python3 program.py sw1"))?;
    let answer: serde_json::Value = serde_json::from_str(&answer)?;
    let (source, id) = (answer["source"].as_str(), answer["id"].as_str());
    let (source, id) = (source.context("no source")?, id.context("no id")?);
    let show = format!("lockstep messages show {id} --source {source} --by local-events");
    let shown = up.until_shown(&show, "state").await?;
    ensure!(shown.contains("1 sync flag changed"), "{shown}");
    up.process.stop().await
}

/// A kind of event, its data, and the devices that it flags, with the causes.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// Sent by curl as the documentation says, one after the other: each kind of event, and the causes that devices have for it.
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_event_flags_the_devices_that_the_rules_name() -> Result<()> {
    let up = Up::start().await?;
    let device = |name: &str| {
        format!("- {{hostname: {name}, device_type: DIST, platform: eos, synchronized: true}}\n")
    };
    let fleet = ["sw1", "sw2", "sw3", "sw4"].map(device).concat();
    std::fs::write(up.folder().join("fleet.yml"), fleet)?;
    shell(up.folder(), "lockstep devices import fleet.yml")?;
    let link = r#""a": {"hostname": "sw1", "interface": "E1"}, "b": {"hostname": "sw3", "interface": "E1"}"#;
    let (linked, moved) = (
        format!(r#"{{"action": "added", {link}}}"#),
        format!(r#"{{"action": "updated", {link}}}"#),
    );
    let (upgraded, domain) = (
        r#"{"hostname": "sw1", "os_version": "4.32.2F"}"#,
        r#"{"action": "added", "device_a": "sw1", "device_b": "sw3"}"#,
    );
    let provisioned = r#"{"hostname": "sw5", "device_type": "ACCESS", "platform": "eos", "neighbors":
        [{"interface": "E9", "neighbor_hostname": "sw4", "neighbor_interface": "E9"}]}"#;
    let table: [Case<'_>; 10] = [
        (
            "interface.updated",
            r#"{"hostname": "sw1", "kind": "configuration", "interfaces": [{"name": "E1"}]}"#,
            &[("sw1", "interface_updated")],
        ),
        ("device.upgraded", upgraded, &[("sw1", "firmware_upgrade")]),
        (
            "device.state-changed",
            r#"{"hostname": "sw2", "state": "UNMANAGED"}"#,
            &[("sw2", "was_unmanaged")],
        ),
        (
            "mgmtdomain.changed",
            domain,
            &[("sw1", "mgmtdomain_created"), ("sw3", "mgmtdomain_created")],
        ),
        (
            "linknet.changed",
            &linked,
            &[("sw1", "linknet_created"), ("sw3", "linknet_created")],
        ),
        (
            "linknet.changed",
            &moved,
            &[("sw1", "linknet_updated"), ("sw3", "linknet_updated")],
        ),
        (
            "device.provisioned",
            provisioned,
            &[("sw5", "device_init"), ("sw4", "linknet_created")],
        ),
        (
            "device.renamed",
            r#"{"hostname": "sw1", "new_hostname": "sw9"}"#,
            &[
                ("sw9", "device_name_change"),
                ("sw3", "linknet_neighbor_name_change"),
            ],
        ),
        (
            "device.removed",
            r#"{"hostname": "sw9"}"#,
            &[("sw3", "neighbor_deleted")],
        ),
        (
            "inventory.imported",
            r#"{"devices": [{"hostname": "sw6", "device_type": "ACCESS"}]}"#,
            &[("sw6", "inventory_imported")],
        ),
    ];
    let page = include_str!("../../producer/README.md");
    let (_, section) = page
        .split_once("With curl, in the binary mode:\n")
        .context("no section")?;
    let curl = section.split("```").nth(1).context("no example")?;
    let curl = curl.strip_prefix("sh\n").context("no shell")?;
    let (request, _) = curl.split_once("--data ").context("no data")?;
    let (variables, _, _) = up.commands()?;
    for (number, (kind, data, flagged)) in table.into_iter().enumerate() {
        let request = request.replace("lockstep.interface.updated", &format!("lockstep.{kind}"));
        let request = request.replace("4711", &format!("rule-{number}"));
        shell(up.folder(), &format!("{variables}{request}--data '{data}'"))?;
        for (hostname, cause) in flagged {
            up.until_shown(&format!("lockstep devices show {hostname} --json"), cause)
                .await
                .with_context(|| format!("lockstep.{kind}"))?;
        }
    }
    let listed = shell(up.folder(), "lockstep devices list --json")?;
    ensure!(!listed.contains("sw9"), "{listed}");
    up.process.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_works_at_its_server_only_and_the_other_one_says_so() -> Result<()> {
    let up = Up::start().await?;
    let (variables, _, _) = up.commands()?;
    let console = std::fs::read_to_string(up.folder().join("lockstep-data/console.json"))?;
    let console: serde_json::Value = serde_json::from_str(&console)?;
    let (url, token) = (console["url"].as_str(), console["token"].as_str());
    let (url, token) = (url.context("no address")?, token.context("no token")?);
    let variables = format!("{variables}CONSOLE={url}\nCONSOLE_TOKEN={token}\n");
    ensure!(
        !up.process.log()?.contains(token),
        "the token of the operator is not printed"
    );
    let command = r#"{"specversion": "1.0", "id": "1", "source": "urn:test", "type": "lockstep.device.state-requested", "data": {"hostname": "sw1", "state": "MANAGED"}}"#;
    // The address, the token, and what the answer contains.
    let table = [
        (
            "$LOCKSTEP_GATEWAY",
            "$CONSOLE_TOKEN",
            "unauthorized",
            "`gateway.tokens`",
        ),
        (
            "$CONSOLE",
            "$LOCKSTEP_EVENTS_TOKEN",
            "unauthorized",
            "`console.tokens`",
        ),
        (
            "$LOCKSTEP_GATEWAY",
            "$LOCKSTEP_EVENTS_TOKEN",
            "not-allowed",
            "send it to the console",
        ),
        ("$CONSOLE", "$CONSOLE_TOKEN", "urn:test", "\"id\""),
    ];
    for (address, token, code, hint) in table {
        let curl = format!(
            "curl -sS {address}/v1/events -H \"Authorization: Bearer {token}\" \
             -H 'Content-Type: application/cloudevents+json' --data '{command}'"
        );
        let answer = shell(up.folder(), &format!("{variables}{curl}"))?;
        ensure!(
            answer.contains(code) && answer.contains(hint),
            "{address} {token}: {answer}"
        );
    }
    up.process.stop().await
}
