//! Inventories as an operator imports them: Nornir's, and again and again.

use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, ensure};
#[cfg(feature = "simulators")]
use lockstep_simulators::fleet::{Device, FleetSimulator, Options};
#[cfg(feature = "simulators")]
use serde_json::{Value, json};

use crate::devices::{Installation, printed};
use crate::system::{Ground, Scene};
#[cfg(feature = "simulators")]
use crate::system::{Process, shell};

/// A version of an inventory, as Kubernetes mounts it: `current` is a link to the folder that counts, and is replaced by a rename.
fn publish(folder: &Path, version: &str, hosts: &str) -> Result<()> {
    let place = folder.join(version);
    std::fs::create_dir(&place)?;
    std::fs::write(place.join("hosts.yaml"), hosts)?;
    symlink(version, folder.join("new"))?;
    Ok(std::fs::rename(folder.join("new"), folder.join("current"))?)
}

const IMPORT: [&str; 9] = [
    "devices",
    "import",
    "current",
    "--from",
    "nornir",
    "--default-type",
    "ACCESS",
    "--every",
    "1s",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_is_imported_again_when_it_changed_and_keeps_its_last_good_state() -> Result<()> {
    let installation = Installation::embedded().await?;
    let folder = installation.scene.folder().to_owned();
    publish(&folder, "v1", "sw1: {data: {x: 1}}\nsw2:\n")?;
    let import = installation.scene.run(&IMPORT, &[])?;
    import.prints("imported 2 devices and 0 interfaces").await?;

    publish(&folder, "v2", "sw1: {data: {x: 1}\nsw3:\n")?;
    import.prints("trying again").await?;
    publish(&folder, "v3", "sw1: {data: {x: 1}}\nsw2:\n")?;
    import
        .prints("the inventory is valid again, and as it was imported")
        .await?;

    publish(&folder, "v4", "sw1: {data: {x: 2}}\nsw3:\nsw4:\n")?;
    import.prints("imported 3 devices and 0 interfaces").await?;
    import
        .prints("1 device in Lockstep and not in this inventory: sw2; ")
        .await?;
    let log = import.stop_and_log().await?;
    ensure!(log.matches("trying again").count() == 1, "{log}");
    ensure!(
        log.matches("imported ").count() == 2,
        "the restored file was not imported: {log}"
    );

    let names: Vec<String> = installation
        .list()
        .await?
        .iter()
        .map(|device| device["hostname"].to_string())
        .collect();
    ensure!(names == ["\"sw1\"", "\"sw2\"", "\"sw3\"", "\"sw4\""], "{names:?}");
    let shown = installation.ends(&["devices", "show", "sw1"], 0).await?;
    ensure!(shown.contains("x: 2"), "{shown}");

    // A process that begins says what the inventory no longer has.
    let import = installation.scene.run(&IMPORT, &[])?;
    import
        .prints("1 device in Lockstep and not in this inventory: sw2; ")
        .await?;
    import.stop().await?;
    installation.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_import_goes_on_after_the_console_was_down() -> Result<()> {
    let scene = Scene::new(Ground::Embedded).await?;
    let folder = scene.folder().to_owned();
    let up = scene.worker(&[])?;
    publish(&folder, "v1", "sw1:\n")?;
    let import = scene.run(&IMPORT, &[])?;
    import.prints("imported 1 device and 0 interfaces").await?;
    up.stop().await?;
    publish(&folder, "v2", "sw1:\nsw2:\n")?;
    import.prints("trying again").await?;
    let up = scene.worker(&[])?;
    import.prints("imported 2 devices and 0 interfaces").await?;
    let log = import.stop_and_log().await?;
    ensure!(log.matches("trying again").count() == 1, "{log}");
    up.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_is_checked_and_wrong_usage_is_not_repeated() -> Result<()> {
    let installation = Installation::embedded().await?;
    for (every, expected) in [
        ("0s", "from 1s to 1d"),
        ("2d", "from 1s to 1d"),
        ("soon", "from 1s to 1d"),
    ] {
        let printed = installation
            .ends(&["devices", "import", "x", "--every", every], 2)
            .await?;
        ensure!(printed.contains(expected), "{printed}");
    }
    let wrong = [
        "devices",
        "import",
        "x",
        "--default-type",
        "ACCESS",
        "--every",
        "1s",
    ];
    let printed_of_wrong = printed(&installation.types(&wrong).await?);
    ensure!(
        printed_of_wrong.contains("--default-type needs --from nornir"),
        "{printed_of_wrong}"
    );
    installation.stop().await
}

/// The host is reached by its name and by the port of its connection options; the management address and the usual port would not do.
#[cfg(feature = "simulators")]
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_reaches_a_host_of_nornir_by_its_name_and_port() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options {
        listen: "127.0.0.1:0".parse()?,
        ..Options::default()
    };
    let fleet = FleetSimulator::start(vec![Device::numbered(1)], options.clone()).await?;
    let port = fleet.addresses().first().context("no device")?.port();
    let config = format!(
        "[devices]\nport = 1\ninsecure = true\n[devices.credentials.default]\nusername = \"{}\"\npassword = \"{}\"\n",
        options.username, options.password
    );
    crate::executions_cli::private(folder.path(), "lockstep.toml", &config)?;
    let hosts = format!(
        "leaf1:\n  hostname: localhost\n  port: 22\n  password: not-that-one\n  platform: eos\n  data: {{device_type: ACCESS, site: lund}}\n  \
         connection_options:\n    napalm: {{port: {port}, extras: {{optional_args: {{transport: https, secret: hidden}}}}}}\n"
    );
    std::fs::write(folder.path().join("hosts.yaml"), hosts)?;
    let task = "name: where\nprovider: template_facts\narguments:\n  run_on: DEVICE\n  facts_key: where\n  template: \
                '{\"site\": \"{{ device.data.site }}\", \"transport\": \
                \"{{ device.data.connection_options.napalm.extras.optional_args.transport }}\"}'\n";
    std::fs::write(folder.path().join("where.yml"), task)?;
    std::fs::write(
        folder.path().join("reachable.yml"),
        "name: reachable\nprovider: ping\n",
    )?;
    let arguments = ["up", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"];
    let up = Process::start(folder.path(), &arguments, &[])?;
    up.prints("lockstep is up").await?;
    shell(
        folder.path(),
        "lockstep devices import . --from nornir && lockstep tasks save reachable.yml && lockstep tasks save where.yml \
            && lockstep tasks run reachable --host leaf1 --wait && lockstep tasks run where --host leaf1 --wait \
            && lockstep devices show leaf1 --json > shown.json && lockstep devices facts leaf1 --json > facts.json",
    )?;
    let shown = std::fs::read_to_string(folder.path().join("shown.json"))?;
    ensure!(
        !shown.contains("not-that-one") && !shown.contains("hidden"),
        "{shown}"
    );
    let shown: Value = serde_json::from_str(&shown)?;
    let data = &shown["surroundings"]["data"];
    ensure!(
        data["management_port"] == json!(port) && data["management_host"] == "localhost",
        "{shown}"
    );
    ensure!(
        data["connection_options"]["napalm"]["hostname"] == "localhost",
        "{shown}"
    );
    ensure!(fleet.connections(0) > 0, "the device was not reached");
    let facts = std::fs::read_to_string(folder.path().join("facts.json"))?;
    ensure!(facts.contains("lund") && facts.contains("https"), "{facts}");
    up.stop().await
}
