//! A gateway and a console whose connections are occupied, as processes with few file descriptors. Health, signed webhooks and events
//! with a token are served meanwhile.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, KeyInit, Mac};
use lockstep_testbed::{free_port, wait};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::{TcpSocket, TcpStream};

use crate::system::http::Server;
use crate::system::{Ground, PATIENCE, Process, Scene};

const SECRET: &str = "a-secret-of-the-forge-that-is-long-enough";
const TOKEN: &str = "a-token-of-the-inventory-that-is-long-enough";
/// How long a request may take while the servers are attacked. It takes milliseconds, or until the requests of the attackers are
/// answered: for a debug build on a busy machine, seconds.
const BOUND: Duration = Duration::from_secs(30);
/// The most resident memory of the process, in KiB. It is about a quarter.
const MEMORY: usize = 200 * 1024;

/// The default of many systems, here also the hard limit, so that it cannot be raised.
const OPEN_FILES: usize = 1024;

/// A running `lockstep up` with few file descriptors.
struct Attacked {
    process: Process,
    gateway: Server,
    console: Server,
    token: String,
    commit: String,
    served: AtomicU32,
    _scene: Scene,
}

impl Attacked {
    async fn start() -> Result<Self> {
        // The connections of the attackers need descriptors, too.
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        setrlimit(Resource::Nofile, raised)?;
        let scene = Scene::new(Ground::Embedded).await?;
        let repository = scene.folder().join("settings");
        let commit = settings(&repository)?;
        let gateway = format!("127.0.0.1:{}", free_port()?);
        let process = scene.run_with_open_files(
            OPEN_FILES,
            &["up", "--listen", "127.0.0.1:0", "--gateway-listen", &gateway],
            &[
                (
                    "LOCKSTEP__REPOSITORIES__SETTINGS__URL",
                    &repository.display().to_string(),
                ),
                ("LOCKSTEP__REPOSITORIES__SETTINGS__WEBHOOK_SECRET", SECRET),
                ("LOCKSTEP__GATEWAY__TOKENS__0__NAME", "inventory"),
                ("LOCKSTEP__GATEWAY__TOKENS__0__TOKEN", TOKEN),
                (
                    "LOCKSTEP__GATEWAY__TOKENS__0__TYPES",
                    "lockstep.interface.updated",
                ),
            ],
        )?;
        let file = scene.folder().join("lockstep-data/console.json");
        let address = wait::until("the console's address", PATIENCE, async || {
            std::fs::read(&file).map_err(|error| error.to_string())
        });
        let address: Value = serde_json::from_slice(&address.await?)?;
        let text = |key: &str| address[key].as_str().map(str::to_owned).context("no address");
        Ok(Self {
            process,
            gateway: Server(gateway),
            console: Server(text("url")?),
            token: text("token")?,
            commit,
            served: AtomicU32::new(0),
            _scene: scene,
        })
    }

    /// Health, a signed webhook with its fetch by git, and an event with a token are served within the bound.
    async fn serves_everybody(&self) -> Result<()> {
        let number = self.served.fetch_add(1, Ordering::Relaxed);
        for server in [&self.gateway, &self.console] {
            let (status, body) = timed("health", server.ask("GET", "/healthz", "", "")).await?;
            ensure!(status == 200, "{status} {body}");
        }
        let event =
            json!({"hostname": "sw1", "kind": "configuration", "interfaces": [{"name": "Ethernet1"}]});
        let headers = format!(
            "authorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\nce-specversion: 1.0\r\n\
             ce-id: {number}\r\nce-source: urn:example:inventory\r\nce-type: lockstep.interface.updated\r\n"
        );
        let body = event.to_string();
        let event = self.gateway.ask("POST", "/v1/events", &headers, &body);
        let (status, body) = timed("an event", event).await?;
        ensure!(status == 202, "{status} {body}");

        let push = json!({
            "ref": "refs/heads/main", "before": "0".repeat(40), "after": self.commit, "commits": [], "number": number
        });
        let push = push.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
        mac.update(push.as_bytes());
        let headers = format!(
            "content-type: application/json\r\nx-github-event: push\r\nx-github-delivery: 1\r\n\
             x-hub-signature-256: sha256={}\r\n",
            hex::encode(mac.finalize().into_bytes())
        );
        let webhook = self
            .gateway
            .ask("POST", "/webhooks/github/settings", &headers, &push);
        let (status, first) = timed("a webhook", webhook).await?;
        ensure!(status == 202, "{status} {first}");
        let id = first["messages"][0]["id"].as_str().context("no id")?;
        let path = format!("/v1/messages?source=/webhooks/github/settings&id={id}&wait=60");
        let authorization = format!("authorization: Bearer {}\r\n", self.token);
        let (status, outcome) = self.console.ask("GET", &path, &authorization, "").await?;
        ensure!(status == 200, "{status} {outcome}");
        ensure!(outcome["state"] == "applied", "{outcome}");
        Ok(())
    }

    /// Opens connections to a server, in turn from so many addresses of this machine, that each send as much of `sent` as the server
    /// takes, and read nothing.
    async fn occupy(
        server: &Server,
        connections: usize,
        addresses: u8,
        sent: &[u8],
    ) -> Result<Vec<TcpStream>> {
        let address: SocketAddr = server.0.trim_start_matches("http://").parse()?;
        let mut all = Vec::new();
        for (number, last) in (0..connections).zip((1..=addresses).cycle()) {
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(4096)?;
            socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
            let stream = socket
                .connect(address)
                .await
                .with_context(|| format!("connection {number}"))?;
            let mut rest = sent;
            while let Ok(written @ 1..) = stream.try_write(rest) {
                rest = &rest[written..];
            }
            all.push(stream);
        }
        Ok(all)
    }

    /// Occupies both servers with idle connections, one after the other.
    async fn withstands_idle_clients(self, addresses: u8) -> Result<()> {
        for server in [self.gateway.clone(), self.console.clone()] {
            self.withstands(&server, 1100, addresses, "").await?;
        }
        self.ends().await
    }

    /// The attack does not end by itself while everybody is served, and the process stays small.
    async fn withstands(&self, server: &Server, connections: usize, addresses: u8, sent: &str) -> Result<()> {
        let attackers = Self::occupy(server, connections, addresses, sent.as_bytes()).await?;
        for _ in 0..2 {
            self.serves_everybody().await?;
        }
        let memory = self.process.memory()?;
        ensure!(memory < MEMORY, "{memory} KiB");
        drop(attackers);
        Ok(())
    }

    async fn ends(self) -> Result<()> {
        let log = self.process.log()?;
        ensure!(!log.contains("cannot accept connections"), "{log}");
        let fewer = "the limit of open files allows fewer connections";
        ensure!(log.contains(fewer), "{log}");
        self.process.stop().await
    }
}

async fn timed<T>(what: &str, asked: impl Future<Output = Result<T>>) -> Result<T> {
    let begun = Instant::now();
    let answered = asked.await?;
    ensure!(begun.elapsed() < BOUND, "{what} took {:?}", begun.elapsed());
    Ok(answered)
}

/// Makes a repository with one commit and returns that commit.
fn settings(folder: &Path) -> Result<String> {
    std::fs::create_dir_all(folder.join("global"))?;
    std::fs::write(folder.join("global/base_system.yml"), "ntp_servers: []\n")?;
    let git = |arguments: &[&str]| -> Result<String> {
        let identity = ["-c", "user.name=Mona", "-c", "user.email=mona@example.org"];
        let mut command = Command::new("git");
        command.current_dir(folder).args(identity).args(arguments);
        let output = command.output().context("git is needed")?;
        ensure!(output.status.success(), "git {arguments:?}: {output:?}");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    git(&["init", "--quiet", "--initial-branch=main"])?;
    git(&["add", "."])?;
    git(&["commit", "--quiet", "--message", "Begin"])?;
    git(&["rev-parse", "HEAD"])
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_of_one_address_occupy_nothing() -> Result<()> {
    Attacked::start().await?.withstands_idle_clients(1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_of_many_addresses_occupy_nothing() -> Result<()> {
    Attacked::start().await?.withstands_idle_clients(10).await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_pipeline_and_never_read_occupy_nothing() -> Result<()> {
    // Many times what the buffers of a connection keep.
    let requests = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200);
    let attacked = Attacked::start().await?;
    attacked
        .withstands(&attacked.gateway, 1024, 10, &requests)
        .await?;
    attacked.ends().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_free_descriptors_serves_instead_of_idle_clients() -> Result<()> {
    let attacked = Attacked::start().await?;
    let health = async || {
        let (status, body) = timed("health", attacked.gateway.ask("GET", "/healthz", "", "")).await?;
        ensure!(status == 200, "{status} {body}");
        Ok(())
    };
    let attackers = Attacked::occupy(&attacked.gateway, 64, 2, b"").await?;
    // Connections are accepted in their order, so the attackers' are open when this is answered.
    health().await?;
    attacked.process.opens_no_more_files()?;
    for _ in 0..3 {
        health().await?;
    }
    drop(attackers);
    let log = attacked.process.log()?;
    let lines = log.matches("cannot accept connections").count();
    // Ten a minute; on a slow machine, a second minute may have begun.
    ensure!((1..=20).contains(&lines), "{log}");
    attacked.process.stop().await
}
