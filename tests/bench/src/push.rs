//! Measures a push to a large settings repository: fetched, compared, examined and flagged, against git alone.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lockstep_clock::{Clock, SystemClock};
use lockstep_git::{Git, Mirror, Remote};
use lockstep_intent::RepositoryKind;
use lockstep_protocol::events::RepositoryChanged;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Envelope, Source as MessageSource, WorkResult};
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_testbed::Repository;
use lockstep_worker::repositories::{RepositoryRunner, Source};
use lockstep_worker::runtime::{Attempt, HeldLeases, RunContext, RunEnd, Runner};

use crate::rounds::{Side, alternate};
use crate::scene::Host;
use crate::table::{Goal, Row, Table};

/// Number of files in the repository.
const FILES: u32 = 50_000;
/// Number of devices in the fleet. Each push here concerns all of them.
const DEVICES: u32 = 10_000;
/// Longer than a push takes.
const LEASE: Duration = Duration::from_mins(5);

/// Measures both after each push, each with its own clone.
pub(crate) async fn measure(host: &Host, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let origin = Repository::init(&folder.path().join("origin"))?;
    origin.git_with(&["fast-import", "--quiet", "--force"], first(FILES).as_bytes())?;
    let scene = host.scene(DEVICES).await?;
    let store = PostgresStore::connect(PostgresOptions::new(scene.schema.url()))?;
    let url = origin.path().to_str().context("UTF-8")?;
    let mirror = Mirror::new(
        Git::new("git", Duration::from_mins(2)),
        Remote::new(url, "main")?,
        folder.path().join("settings.git"),
    );
    let kind = RepositoryKind::Settings;
    let types = Arc::default();
    let source = Source { kind, mirror, types };
    let runner = RepositoryRunner::new([source], store.clone(), Arc::new(SystemClock));
    let bare = folder.path().join("bare.git");
    origin.git(&[
        "clone",
        "--quiet",
        "--mirror",
        url,
        bare.to_str().context("UTF-8")?,
    ])?;
    // The first look reads everything, and is not what is measured.
    push(&store, &runner, &tip(&origin)?).await?;

    let (mut pushed, mut turn) = (0, 0);
    let runs = alternate("push", rounds, &Side::BOTH, async |side| {
        // Both measure the same push.
        let round = turn / 2 + 1;
        turn += 1;
        if pushed < round {
            origin.git_with(&["fast-import", "--quiet", "--force"], next(round).as_bytes())?;
            pushed = round;
        }
        let took = match side {
            Side::Baseline => git_alone(&bare)?,
            Side::Lockstep => push(&store, &runner, &tip(&origin)?).await?,
        };
        Ok(took.as_secs_f64() * 1e3)
    })
    .await?;
    table.rows.push(Row::new(
        "a push to a repository of 50,000 files: fetched, compared, 10,000 devices flagged",
        "ms",
        runs.of(Side::Lockstep),
        ("git fetch, git ls-tree", runs.of(Side::Baseline)),
        Goal::Plus(1000.0),
    ));
    Ok(())
}

fn tip(origin: &Repository) -> anyhow::Result<String> {
    Ok(origin.git(&["rev-parse", "main"])?.trim().to_owned())
}

/// One message through the runner of the lane.
async fn push(
    store: &Arc<PostgresStore>,
    runner: &RepositoryRunner,
    after: &str,
) -> anyhow::Result<Duration> {
    let event = RepositoryChanged {
        repository: "settings".to_owned().try_into()?,
        branch: "main".to_owned(),
        before: "0".repeat(40).parse()?,
        after: after.parse()?,
        forced: false,
        paths: None,
    };
    let source = MessageSource::try_from("urn:lockstep:bench".to_owned())?;
    let now = SystemClock.now();
    let attempt = Attempt::first(Lane::Repositories, Envelope::new(source, now, event), None, now);
    let began = Instant::now();
    let attempts = [attempt];
    let leases = HeldLeases::acquire(store.clone(), runner.leases(&attempts), LEASE, Duration::ZERO);
    let leases = leases.await?.context("nobody else is here")?;
    let deadline = tokio::time::Instant::now() + LEASE;
    let context = RunContext::new(&leases, &**store, deadline);
    let ends = runner.run(&context, &attempts).await;
    drop(context);
    leases.release().await;
    let took = began.elapsed();
    let [RunEnd::Committed(row)] = &ends[..] else {
        anyhow::bail!("{ends:?}");
    };
    let WorkResult::EventApplied(applied) = &*row.result else {
        anyhow::bail!("{row:?}");
    };
    ensure!(
        applied.truncated,
        "only {} devices were flagged",
        applied.devices.len()
    );
    Ok(took)
}

/// The unavoidable part: fetches and lists the tree.
fn git_alone(bare: &std::path::Path) -> anyhow::Result<Duration> {
    let began = Instant::now();
    for arguments in [
        &["fetch", "--quiet"][..],
        &["ls-tree", "-r", "-z", "--full-tree", "main"],
    ] {
        let output = Command::new("git")
            .arg("--git-dir")
            .arg(bare)
            .args(arguments)
            .output()?;
        ensure!(output.status.success(), "git {arguments:?}");
    }
    Ok(began.elapsed())
}

/// The first commit, as input of `git fast-import`.
fn first(files: u32) -> String {
    let header = "blob\nmark :1\ndata 16\ndns_servers: []\n\ncommit refs/heads/main\ncommitter n <n@example.org> 1 +0000\ndata 1\nx\n";
    let lines = (0..files).map(|number| format!("M 100644 :1 devices/host{number}/base_system.yml\n"));
    let global = "M 100644 :1 global/base_system.yml\n".to_owned();
    std::iter::once(header.to_owned())
        .chain(lines)
        .chain([global])
        .collect()
}

/// A commit that changes one file, which concerns all devices.
fn next(number: u32) -> String {
    let content = format!("cli_append_str: \"{number}\"\n");
    let length = content.len();
    format!(
        "commit refs/heads/main\ncommitter n <n@example.org> {number} +0000\ndata 1\nx\nfrom refs/heads/main^0\n\
         M 100644 inline global/base_system.yml\ndata {length}\n{content}\n"
    )
}
