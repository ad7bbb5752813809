//! Changes in NetBox, from the webhook or the change log to the device.

use std::os::unix::process::ExitStatusExt;

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use lockstep_clock::{Clock, SystemClock};
use lockstep_simulators::netbox::{Change, Flavor, Inventory};
use lockstep_testbed::{free_port, wait};
use serde_json::{Value, json};
use sha2::Sha512;

use crate::observed::Shown;
use crate::system::http::Server;
use crate::system::{Ground, PATIENCE, Process, Scene};

const SECRET: &str = "a-secret-of-netbox";
const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";

/// A NetBox, and `lockstep up` with it as a source.
struct Site {
    scene: Scene,
    netbox: Inventory,
    gateway: String,
}

/// A running `lockstep up`.
struct Up {
    process: Process,
    gateway: Server,
    console: Server,
    authorization: String,
}

impl Site {
    async fn new() -> Result<Self> {
        Ok(Self {
            scene: Scene::new(Ground::Embedded).await?,
            netbox: Inventory::start(Flavor::NetBox, TOKEN).await?,
            gateway: format!("127.0.0.1:{}", free_port()?),
        })
    }

    fn start(&self, more: &[(&str, &str)]) -> Result<Process> {
        let url = self.netbox.url();
        let mut environment = vec![
            ("LOCKSTEP__SOURCES__MAIN__SYSTEM", "netbox"),
            ("LOCKSTEP__SOURCES__MAIN__WEBHOOK_SECRET", SECRET),
            ("LOCKSTEP__SOURCES__MAIN__URL", &url),
            ("LOCKSTEP__SOURCES__MAIN__TOKEN", TOKEN),
            ("LOCKSTEP__SOURCES__MAIN__ALLOW_TOKEN_WITHOUT_TLS", "true"),
            ("LOCKSTEP__SOURCES__MAIN__POLL_EVERY", "1s"),
            ("LOCKSTEP__SOURCES__MAIN__DEFAULT_TYPE", "ACCESS"),
        ];
        environment.extend(more);
        let arguments = ["up", "--listen", "127.0.0.1:0", "--gateway-listen", &self.gateway];
        self.scene.run(&arguments, &environment)
    }

    async fn up(&self) -> Result<Up> {
        let file = self.scene.folder().join("lockstep-data/console.json");
        // That of a process that was killed.
        if file.exists() {
            std::fs::remove_file(&file)?;
        }
        let process = self.start(&[])?;
        let address = wait::until("the console's address", PATIENCE, async || {
            std::fs::read(&file).map_err(|error| error.to_string())
        });
        let address: Value = serde_json::from_slice(&address.await?)?;
        let text = |key: &str| address[key].as_str().map(str::to_owned).context("no address");
        Ok(Up {
            process,
            gateway: Server(self.gateway.clone()),
            console: Server(text("url")?),
            authorization: format!("authorization: Bearer {}\r\n", text("token")?),
        })
    }

    /// The number of polls so far: each reads the change log.
    fn polls(&self) -> usize {
        let seen = self.netbox.seen();
        seen.iter()
            .filter(|seen| seen.target.contains("time_after"))
            .count()
    }

    /// Waits until two more polls have ended.
    async fn polled_again(&self) -> Result<()> {
        let before = self.polls();
        let polled = wait::until("two more polls", PATIENCE, async || match self.polls() {
            polls if polls >= before + 3 => Ok(()),
            polls => Err(format!("{polls} polls, {before} before")),
        });
        Ok(polled.await?)
    }
}

impl Up {
    async fn webhook(&self, body: &str) -> Result<Value> {
        let mut mac = Hmac::<Sha512>::new_from_slice(SECRET.as_bytes())?;
        mac.update(body.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let headers = format!("content-type: application/json\r\nx-hook-signature: {signature}\r\n");
        let (status, answer) = self
            .gateway
            .ask("POST", "/webhooks/netbox/main", &headers, body)
            .await?;
        ensure!(status == 202, "{status} {answer}");
        Ok(answer)
    }

    async fn device(&self, hostname: &str) -> Result<Option<Value>> {
        let path = format!("/v1/devices/{hostname}");
        let (status, device) = self.console.ask("GET", &path, &self.authorization, "").await?;
        Ok((status == 200).then_some(device))
    }

    /// Waits until a device has this desired generation: it is raised by each effect on its flag.
    async fn generation(&self, hostname: &str, expected: i64) -> Result<()> {
        let reached = wait::until("the generation of the device", PATIENCE, async || {
            let device = self.device(hostname).await.map_err(|error| error.to_string())?;
            let generation = device
                .as_ref()
                .and_then(|device| device["desired_generation"].as_i64());
            (generation == Some(expected))
                .then_some(())
                .ok_or_else(|| format!("{device:?}"))
        });
        Ok(reached.await?)
    }

    /// The desired generation of a device, as soon as it is there.
    async fn appeared(&self, hostname: &str) -> Result<i64> {
        let appeared = wait::until("the device", PATIENCE, async || {
            let device = self.device(hostname).await.map_err(|error| error.to_string())?;
            let generation = device.and_then(|device| device["desired_generation"].as_i64());
            generation.ok_or_else(|| "there is no device".to_owned())
        });
        Ok(appeared.await?)
    }

    async fn dead_letters(&self) -> Result<Vec<Value>> {
        let (status, list) = self
            .console
            .ask("GET", "/v1/dead", &self.authorization, "")
            .await?;
        ensure!(status == 200, "{status} {list}");
        Ok(list["dead_letters"].as_array().cloned().unwrap_or_default())
    }
}

fn minutes_ago(minutes: i64) -> String {
    let time: Timestamp = SystemClock.now() - SignedDuration::from_mins(minutes);
    format!("{time:.6}")
}

fn new_device(name: &str) -> Change {
    Change {
        action: "create",
        object_type: "dcim.device",
        path: "dcim/devices",
        object: json!({
            "id": 12, "name": name, "role": {"id": 2, "slug": "access"}, "status": {"value": "active"},
            "site": {"id": 1, "slug": "berlin"}, "serial": "JPE12", "tags": [], "custom_fields": {},
        }),
        before: Value::Null,
        after: json!({"name": name, "role": 2, "status": "active", "site": 1, "serial": "JPE12"}),
        request: "request of the device".to_owned(),
        user: "anna",
    }
}

fn new_description(request: &str, description: &str) -> Change {
    let flat = |description: &str| json!({"name": "Ethernet1", "device": 12, "description": description, "enabled": true});
    Change {
        action: "update",
        object_type: "dcim.interface",
        path: "dcim/interfaces",
        object: json!({
            "id": 501, "name": "Ethernet1", "device": {"id": 12, "name": "sw1"}, "description": description, "enabled": true,
        }),
        before: flat("before"),
        after: flat(description),
        request: request.to_owned(),
        user: "anna",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_has_one_effect_whether_webhook_poll_or_both_bring_it() -> Result<()> {
    let site = Site::new().await?;
    // What was there before the first poll is not read.
    site.netbox
        .change(&new_description("long ago", "old"), &minutes_ago(60));
    let up = site.up().await?;
    up.process
        .prints("the change log is read from its newest change on")
        .await?;
    // The webhook is lost: only the log has the device. Each change is older than webhooks may be, and not older than what is read again.
    site.netbox.change(&new_device("sw1"), &minutes_ago(8));
    let new = up.appeared("sw1").await.context("the poll brings the device")?;
    let device = up.device("sw1").await?.context("no device")?;
    ensure!(
        device["serial"] == "JPE12" && device["groups"] == json!(["site_berlin"]),
        "{device}"
    );
    ensure!(device["state"] == "MANAGED", "{device}");

    // Both: the webhook comes first, and twice.
    let webhook = site
        .netbox
        .change(&new_description("both", "printer"), &minutes_ago(7));
    let mut body: Value = serde_json::from_str(&webhook.body)?;
    body["timestamp"] = minutes_ago(0).into();
    let body = body.to_string();
    let first = up.webhook(&body).await?;
    let again = up.webhook(&body).await?;
    ensure!(first == again, "{first} {again}");
    up.generation("sw1", new + 1)
        .await
        .context("the webhook flags the device")?;
    site.polled_again().await?;
    up.generation("sw1", new + 1)
        .await
        .context("the poll knows the change")?;

    // The poll comes first, and the webhook late: it is ignored for its age.
    let late = site
        .netbox
        .change(&new_description("late", "scanner"), &minutes_ago(6));
    up.generation("sw1", new + 2)
        .await
        .context("the poll brings the change")?;
    let answer = up.webhook(&late.body).await?;
    ensure!(
        answer["ignored"]
            .as_str()
            .is_some_and(|why| why.contains("webhook_max_age")),
        "{answer}"
    );
    // Even with a new time, it is the same message.
    let mut body: Value = serde_json::from_str(&late.body)?;
    body["timestamp"] = minutes_ago(0).into();
    let answer = up.webhook(&body.to_string()).await?;
    let id = answer["messages"][0]["id"].as_str().context("no id")?;
    let path = format!("/v1/messages?source=/webhooks/netbox/main&id={id}&wait=60");
    let (status, outcome) = up.console.ask("GET", &path, &up.authorization, "").await?;
    ensure!(
        status == 200 && outcome["by"] == "webhook:netbox",
        "{status} {outcome}"
    );
    site.polled_again().await?;
    up.generation("sw1", new + 2).await?;
    ensure!(
        up.dead_letters().await?.is_empty(),
        "{:?}",
        up.dead_letters().await?
    );

    let shown = Shown::of(&site.gateway).await?;
    let missed = shown.value("lockstep_source_changes_missed_total{source=\"main\"}");
    ensure!(missed == Some(2.0), "{missed:?}");
    up.process.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_is_killed_before_it_keeps_its_place_has_one_effect() -> Result<()> {
    let site = Site::new().await?;
    site.netbox
        .change(&new_description("long ago", "old"), &minutes_ago(60));
    let up = site.up().await?;
    up.process
        .prints("the change log is read from its newest change on")
        .await?;
    site.netbox.change(&new_device("sw1"), &minutes_ago(8));
    let new = up.appeared("sw1").await?;
    up.process.stop().await?;

    site.netbox
        .change(&new_description("killed", "printer"), &minutes_ago(7));
    let mut killed = site.start(&[("LOCKSTEP_FAIL_POINT", "source-read:1:kill")])?;
    let status = killed.ended().await?;
    ensure!(status.signal() == Some(9), "{status}");

    let up = site.up().await?;
    up.generation("sw1", new + 1).await?;
    site.polled_again().await?;
    up.generation("sw1", new + 1).await?;
    ensure!(up.dead_letters().await?.is_empty());
    up.process.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_refuses_the_token_is_named_and_polled_again() -> Result<()> {
    let site = Site::new().await?;
    site.netbox
        .change(&new_description("long ago", "old"), &minutes_ago(60));
    site.netbox.set_token("another");
    let up = site.up().await?;
    up.process.prints("refused the token (403)").await?;
    let shown = Shown::of(&site.gateway).await?;
    let failed = shown.value("lockstep_source_polls_total{source=\"main\",outcome=\"failed\"}");
    ensure!(failed.is_some_and(|failed| failed >= 1.0), "{failed:?}");
    ensure!(!up.process.log()?.contains(TOKEN), "the token is in the log");
    site.netbox.set_token(TOKEN);
    site.netbox.change(&new_device("sw1"), &minutes_ago(10));
    up.process
        .prints("the change log is read from its newest change on")
        .await?;
    up.process.stop().await
}
