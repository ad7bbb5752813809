//! Webhooks of a forge, from the HTTP request to the outcome of the message.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, KeyInit, Mac};
use lockstep_testbed::{free_port, wait};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::observed::Shown;
use crate::system::http::Server;
use crate::system::{Ground, Load, PATIENCE, Process, Scene};

const SECRET: &str = "a-secret-of-the-forge";

impl Server {
    /// The request of a GitHub push, signed with this secret.
    async fn push(&self, delivery: &str, secret: &str, body: &str) -> Result<(u16, Value)> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
        mac.update(body.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let headers = format!(
            "content-type: application/json\r\nx-github-event: push\r\nx-github-delivery: {delivery}\r\n\
             x-hub-signature-256: sha256={signature}\r\n"
        );
        self.ask("POST", "/webhooks/github/settings", &headers, body)
            .await
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    command.current_dir(folder).args([
        "-c",
        "user.name=Mona",
        "-c",
        "user.email=mona@example.org",
        "-c",
        "init.defaultBranch=main",
    ]);
    let output = command.args(arguments).output().context("git is needed")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {arguments:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Makes a repository with one commit and returns that commit.
fn settings(folder: &Path) -> Result<String> {
    std::fs::create_dir_all(folder.join("global"))?;
    std::fs::write(folder.join("global/base_system.yml"), "ntp_servers: []\n")?;
    git(folder, &["init", "--quiet"])?;
    git(folder, &["add", "."])?;
    git(folder, &["commit", "--quiet", "--message", "Begin"])?;
    git(folder, &["rev-parse", "HEAD"])
}

/// A running `lockstep up` with a repository, a gateway and a console.
async fn up(scene: &Scene, repository: &Path) -> Result<(Process, Server, Server, String)> {
    let gateway = format!("127.0.0.1:{}", free_port()?);
    let repository = repository.display().to_string();
    let process = scene.run(
        &["up", "--listen", "127.0.0.1:0", "--gateway-listen", &gateway],
        &[
            ("LOCKSTEP__REPOSITORIES__SETTINGS__URL", &repository),
            ("LOCKSTEP__REPOSITORIES__SETTINGS__WEBHOOK_SECRET", SECRET),
        ],
    )?;
    let file = scene.folder().join("lockstep-data/console.json");
    let address_file = wait::until("the console's address", PATIENCE, async || {
        std::fs::read(&file).map_err(|error| error.to_string())
    });
    let address_file: Value = serde_json::from_slice(&address_file.await?)?;
    let text = |key: &str| {
        address_file[key]
            .as_str()
            .map(str::to_owned)
            .context("no address")
    };
    Ok((process, Server(gateway), Server(text("url")?), text("token")?))
}

fn push_of(commit: &str) -> String {
    let before = "0".repeat(40);
    let push =
        json!({"ref": "refs/heads/main", "before": before, "after": commit, "forced": false, "commits": []});
    push.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_webhooks_are_counted_and_a_few_logged_with_the_address() -> Result<()> {
    let scene = Scene::new(Ground::Embedded).await?;
    let repository = scene.folder().join("settings");
    let push = push_of(&settings(&repository)?);
    let (process, gateway, _, _) = up(&scene, &repository).await?;
    for delivery in 0..30 {
        let delivery = delivery.to_string();
        let (status, problem) = gateway.push(&delivery, "another secret", &push).await?;
        ensure!(status == 401, "{status} {problem}");
    }
    let shown = Shown::of(&gateway.0).await?;
    let counted = shown.value("lockstep_webhooks_refused_total{forge=\"github\",reason=\"unauthenticated\"}");
    ensure!(counted == Some(30.0), "{counted:?}");
    let log = process.log()?;
    let lines = log.lines().filter(|line| line.contains("refused a webhook"));
    let lines: Vec<&str> = lines.filter(|line| line.contains("127.0.0.1")).collect();
    // Ten a minute; on a slow machine, a second minute may have begun.
    ensure!((10..=20).contains(&lines.len()), "{log}");
    process.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_push_is_processed_and_a_forged_one_is_rejected() -> Result<()> {
    let scene = Scene::new(Ground::Embedded).await?;
    let repository = scene.folder().join("settings");
    let commit = settings(&repository)?;
    let (process, gateway, console, token) = up(&scene, &repository).await?;

    let push = push_of(&commit);
    let (status, problem) = gateway.push("1", "another secret", &push).await?;
    ensure!(status == 401, "{status} {problem}");
    let (status, first) = gateway.push("1", SECRET, &push).await?;
    ensure!(status == 202, "{status} {first}");
    let (status, again) = gateway.push("1", SECRET, &push).await?;
    ensure!((status, &again) == (202, &first), "{status} {again}");

    let message = &first["messages"][0];
    let id = message["id"].as_str().context("no id")?;
    ensure!(message["source"] == "/webhooks/github/settings", "{first}");
    let path = format!("/v1/messages?source=/webhooks/github/settings&id={id}&wait=60");
    let authorization = format!("authorization: Bearer {token}\r\n");
    let (status, outcome) = console.ask("GET", &path, &authorization, "").await?;
    ensure!(status == 200, "{status} {outcome}");
    ensure!(outcome["type"] == "lockstep.repository.changed", "{outcome}");
    ensure!(outcome["by"] == "webhook:github", "{outcome}");

    let (status, ready) = gateway.ask("GET", "/readyz", "", "").await?;
    ensure!(status == 200, "{status} {ready}");
    process.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_separate_gateway_passes_pushes_to_workers_through_the_broker() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let repository = scene.folder().join("settings");
    let commit = settings(&repository)?;
    let (gateway, console) = (
        format!("127.0.0.1:{}", free_port()?),
        format!("127.0.0.1:{}", free_port()?),
    );
    let repository = repository.display().to_string();
    let processes = [
        scene.run(
            &["gateway", "--listen", &gateway],
            &[
                ("LOCKSTEP__REPOSITORIES__SETTINGS__URL", &repository),
                ("LOCKSTEP__REPOSITORIES__SETTINGS__WEBHOOK_SECRET", SECRET),
                ("LOCKSTEP__GATEWAY__TOKENS__0__NAME", "netbox"),
                ("LOCKSTEP__GATEWAY__TOKENS__0__TOKEN", "a-token-of-netbox"),
                ("LOCKSTEP__GATEWAY__TOKENS__0__TYPES", "lockstep.interface.*"),
            ],
        )?,
        scene.run(
            &["console", "--listen", &console],
            &[
                ("LOCKSTEP__CONSOLE__TOKENS__0__NAME", "alice"),
                ("LOCKSTEP__CONSOLE__TOKENS__0__TOKEN", "a-token-of-alice"),
            ],
        )?,
        scene.worker(&[("LOCKSTEP__REPOSITORIES__SETTINGS__URL", &repository)])?,
    ];
    let (gateway, console) = (Server(gateway), Server(console));
    for server in [&gateway, &console] {
        wait::until("the server to be ready", PATIENCE, async || {
            match server.ask("GET", "/readyz", "", "").await {
                Ok((200, _)) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await?;
    }
    let (status, accepted) = gateway.push("1", SECRET, &push_of(&commit)).await?;
    ensure!(status == 202, "{status} {accepted}");
    let id = accepted["messages"][0]["id"].as_str().context("no id")?;
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "urn:example:netbox", "type": "lockstep.interface.updated",
        "data": {"hostname": "sw1", "kind": "status", "interfaces": [{"name": "Ethernet1"}]},
    });
    let headers = "authorization: Bearer a-token-of-netbox\r\ncontent-type: application/cloudevents+json\r\n";
    let (status, accepted) = gateway
        .ask("POST", "/v1/events", headers, &event.to_string())
        .await?;
    ensure!(status == 202, "{status} {accepted}");

    for (source, id, by) in [
        ("/webhooks/github/settings", id, "webhook:github"),
        ("urn:example:netbox", "1", "netbox"),
    ] {
        let path = format!("/v1/messages?source={source}&id={id}&by={by}&wait=60");
        let authorization = "authorization: Bearer a-token-of-alice\r\n";
        let (status, outcome) = console.ask("GET", &path, authorization, "").await?;
        ensure!(status == 200 && outcome["by"] == by, "{status} {outcome}");
    }
    for process in processes {
        process.stop().await?;
    }
    Ok(())
}

/// Two workers process pushes; for each push, one worker is killed at another step. Each push flags once.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_flag_once_while_one_of_two_workers_is_killed() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let repository = scene.folder().join("settings");
    settings(&repository)?;
    let url = repository.display().to_string();
    let gateway = format!("127.0.0.1:{}", free_port()?);
    let serving = scene.run(
        &["gateway", "--listen", &gateway],
        &[
            ("LOCKSTEP__REPOSITORIES__SETTINGS__URL", &url),
            ("LOCKSTEP__REPOSITORIES__SETTINGS__WEBHOOK_SECRET", SECRET),
        ],
    )?;
    let gateway = Server(gateway);
    wait::until("the gateway to be ready", PATIENCE, async || {
        match gateway.ask("GET", "/readyz", "", "").await {
            Ok((200, _)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    let fleet = Load {
        devices: 2,
        events: 0,
    };
    let bus = scene.bus().await?;
    fleet.publish(&*bus).await?;
    bus.close().await;
    let worker = |more: &[(&str, &str)]| {
        let mut environment = vec![
            ("LOCKSTEP__REPOSITORIES__SETTINGS__URL", url.as_str()),
            ("LOCKSTEP__REPOSITORIES__DEBOUNCE_MS", "0"),
        ];
        environment.extend(more);
        scene.worker(&environment)
    };
    let mut doomed = worker(&[
        ("LOCKSTEP__DATA_DIR", "doomed-data"),
        ("LOCKSTEP__WORKER__LANES", "repositories"),
        ("LOCKSTEP_FAIL_POINT", "after-commit:3:kill"),
    ])?;
    let other = worker(&[])?;

    let records = scene.oracle().records;
    for number in 0..12 {
        std::fs::create_dir_all(repository.join("access"))?;
        std::fs::write(repository.join("access/count.txt"), number.to_string())?;
        git(&repository, &["add", "."])?;
        git(&repository, &["commit", "--quiet", "--message", "Count"])?;
        let commit = git(&repository, &["rev-parse", "HEAD"])?;
        let (status, accepted) = gateway
            .push(&number.to_string(), SECRET, &push_of(&commit))
            .await?;
        ensure!(status == 202, "{status} {accepted}");
        let identity = serde_json::from_value(accepted["messages"][0].clone())?;
        let record = wait::until("the push to be processed", PATIENCE, async || {
            match records.inbox().await {
                Ok(mut inbox) => inbox.remove(&identity).ok_or_else(|| "no inbox row".to_owned()),
                Err(error) => Err(format!("{error:#}")),
            }
        })
        .await?;
        ensure!(record.state == "applied", "{record:?}");
        ensure!(record.result["outcome"] == "applied", "{record:?}");
        ensure!(record.result["commit"] == commit.as_str(), "{record:?}");
    }
    let status = doomed.ended().await?;
    ensure!(
        status.signal() == Some(9),
        "the worker ended with {status}: {}",
        doomed.log()?
    );
    for (hostname, generations) in records.devices().await? {
        let flags = generations.desired - generations.synced;
        ensure!(flags == 12, "{hostname} was flagged {flags} times by 12 pushes");
    }
    other.stop().await?;
    serving.stop().await
}
