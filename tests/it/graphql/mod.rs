//! Clients that others wrote run the calls of the console's GraphQL, beside `lockstep up`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::system::{Process, shell};

/// Packages of Python, each client in an environment of its own.
const GQL: &str = "gql[aiohttp,websockets]==4.4.0";
const CODEGEN: &str = "ariadne-codegen==0.19.0";
/// Packages of npm that run on the node of Debian 12.
const NPM: [&str; 5] = [
    "graphql@16.11.0",
    "graphql-request@7.4.0",
    "graphql-sse@2.6.1",
    "graphql-ws@5.16.2",
    "ws@8.18.3",
];

/// A running `lockstep up` with the device `sw1` and the task `reach`, both with the number 1.
struct Up {
    folder: tempfile::TempDir,
    process: Process,
    url: String,
    token: String,
}

impl Up {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let arguments = ["up", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"];
        let process = Process::start(folder.path(), &arguments, &[])?;
        process.prints("lockstep is up").await?;
        std::fs::write(
            folder.path().join("fleet.yml"),
            "- {hostname: sw1, device_type: ACCESS, platform: eos}\n",
        )?;
        std::fs::write(
            folder.path().join("reach.yml"),
            "{name: reach, provider: command, arguments: {commands: [show version]}}\n",
        )?;
        shell(
            folder.path(),
            "lockstep devices import fleet.yml && lockstep tasks save reach.yml",
        )?;
        let console = std::fs::read_to_string(folder.path().join("lockstep-data/console.json"))?;
        let console: Value = serde_json::from_str(&console)?;
        let text = |key: &str| Some(console[key].as_str()?.to_owned());
        Ok(Self {
            url: text("url").context("no address")?,
            token: text("token").context("no token")?,
            folder,
            process,
        })
    }

    /// Runs a client, which knows address and token by its environment, and returns the JSON that it prints.
    async fn run(&self, command: &mut Command) -> Result<Value> {
        command
            .current_dir(self.folder.path())
            .env("LOCKSTEP_URL", self.url.trim_end_matches('/'))
            .env("LOCKSTEP_TOKEN", &self.token);
        let mut command = std::mem::replace(command, Command::new("true"));
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{printed}{errors}");
        serde_json::from_str(&printed).with_context(|| format!("{printed}{errors}"))
    }
}

fn python(packages: &[&str]) -> Result<std::path::PathBuf> {
    lockstep_testbed::python_with(Path::new(env!("CARGO_TARGET_TMPDIR")), packages)
}

/// What every client finds: the call of neops word for word, the same call again by its key, the error of wrong arguments, and the
/// progress of the execution to its end.
fn check(found: &Value) -> Result<()> {
    let execution = &found["execution"];
    ensure!(
        execution["neopsTask"]["id"] == "1" && execution["neopsTask"]["name"] == "reach",
        "{found}"
    );
    ensure!(execution["id"] == "1", "{found}");
    ensure!(found["repeated"][0] == found["repeated"][1], "{found}");
    ensure!(
        found["error"]["code"] == "invalid-arguments"
            && found["error"]["place"] == "taskArguments.timeout_seconds",
        "{found}"
    );
    for states in found["subscriptions"].as_array().context("no subscription")? {
        let states = states.as_array().context("no states")?;
        let last = states.last().and_then(Value::as_str).context("no state")?;
        ensure!(
            ["SUCCESSFUL", "FAILED", "PARTIAL_FAILED"].contains(&last),
            "the last one is final: {found}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn gql_of_python_runs_the_call_of_neops_and_follows_the_execution() -> Result<()> {
    let python = python(&[GQL])?;
    let up = Up::start().await?;
    std::fs::write(up.folder.path().join("client.py"), include_str!("client.py"))?;
    let found = up.run(Command::new(python).arg("client.py")).await?;
    check(&found)?;
    up.process.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_javascript_run_the_call_of_neops_and_follow_the_execution() -> Result<()> {
    let modules = lockstep_testbed::node_with(Path::new(env!("CARGO_TARGET_TMPDIR")), &NPM)?;
    let up = Up::start().await?;
    std::os::unix::fs::symlink(modules, up.folder.path().join("node_modules"))?;
    std::fs::write(up.folder.path().join("client.mjs"), include_str!("client.mjs"))?;
    let found = up.run(Command::new("node").arg("client.mjs")).await?;
    check(&found)?;
    up.process.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_generated_from_the_committed_schema_runs_the_call() -> Result<()> {
    let python = python(&[CODEGEN])?;
    let up = Up::start().await?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(
        root.join("worker/api/graphql/schema.graphql"),
        up.folder.path().join("schema.graphql"),
    )?;
    for (name, text) in [
        ("queries.graphql", include_str!("queries.graphql")),
        ("pyproject.toml", include_str!("codegen.toml")),
        ("generated.py", include_str!("generated.py")),
    ] {
        std::fs::write(up.folder.path().join(name), text)?;
    }
    let generate = Command::new(&python)
        .args(["-m", "ariadne_codegen"])
        .current_dir(up.folder.path())
        .output()?;
    ensure!(
        generate.status.success(),
        "{}{}",
        String::from_utf8_lossy(&generate.stdout),
        String::from_utf8_lossy(&generate.stderr)
    );
    let found = up.run(Command::new(python).arg("generated.py")).await?;
    ensure!(
        found["name"] == "reach" && found["id"] == "1" && found["aborted"].is_string(),
        "{found}"
    );
    up.process.stop().await
}
