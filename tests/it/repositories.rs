//! Pushes to settings and templates: exactly the right devices are flagged, whatever git, forges, workers and operators do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use lockstep_bus::Bus;
use lockstep_protocol::commands::{RepositoryAcceptRequested, RepositoryRefreshRequested};
use lockstep_protocol::events::{InventoryImported, RepositoryChanged};
use lockstep_protocol::{Envelope, Identity, RepositoryName};
use lockstep_testbed::{Repository, wait};
use serde_json::{Value, json};

use crate::system::load::{envelope, outgoing};
use crate::system::{Ground, PATIENCE, Process, Scene};

/// A place with two repositories and a small fleet.
struct Site {
    scene: Scene,
    settings: Repository,
    templates: Repository,
}

/// Hostname, type and platform.
const FLEET: [(&str, &str, &str); 6] = [
    ("access1", "ACCESS", "eos"),
    ("access2", "ACCESS", "junos"),
    ("dist1", "DIST", "eos"),
    ("core1", "CORE", "eos"),
    ("fw1", "FIREWALL", "eos"),
    ("new1", "UNKNOWN", "eos"),
];

const NOWHERE: &str = "0000000000000000000000000000000000000000";

impl Site {
    async fn new(ground: Ground) -> Result<Self> {
        let scene = Scene::new(ground).await?;
        let settings = Repository::init(&scene.folder().join("origin/settings"))?;
        let templates = Repository::init(&scene.folder().join("origin/templates"))?;
        for folder in ["global", "access", "dist", "core", "devices/dist1"] {
            settings.write(format!("{folder}/base_system.yml"), b"dns_servers: []\n")?;
        }
        let groups = "groups:\n  - group: {name: EDGE, regex: access, group_priority: 10}\n";
        settings.write("global/groups.yml", groups.as_bytes())?;
        settings.commit("settings")?;
        templates.write(
            "eos/mapping.yml",
            b"ACCESS: {entrypoint: access.j2, dependencies: [base.j2]}\n",
        )?;
        templates.write("eos/access.j2", b"hostname {{ hostname }}\n")?;
        templates.commit("templates")?;
        let site = Self {
            scene,
            settings,
            templates,
        };
        let devices: Vec<Value> = FLEET
            .iter()
            .map(|(hostname, kind, platform)| {
                json!({"hostname": hostname, "device_type": kind, "platform": platform, "state": "MANAGED", "synchronized": true})
            })
            .collect();
        let fleet: InventoryImported = serde_json::from_value(json!({"devices": devices}))?;
        site.publish(&[envelope(fleet)]).await?;
        Ok(site)
    }

    /// With both tips accepted, so that flags are those of what comes.
    async fn accepted(ground: Ground) -> Result<(Self, Process)> {
        let site = Self::new(ground).await?;
        let worker = site.worker(&[])?;
        for (name, repository) in [("settings", &site.settings), ("templates", &site.templates)] {
            let commit = repository.git(&["rev-parse", "HEAD"])?.trim().parse()?;
            let repository = repository_name(name);
            let accept = envelope(RepositoryAcceptRequested { repository, commit });
            site.publish(std::slice::from_ref(&accept)).await?;
            let outcome = site.outcome(&accept).await?;
            ensure!(
                outcome["outcome"] == "applied" && outcome["flipped"] == 0,
                "{outcome}"
            );
        }
        Ok((site, worker))
    }

    fn environment(&self) -> Vec<(String, String)> {
        let url = |name: &str| {
            self.scene
                .folder()
                .join("origin")
                .join(name)
                .display()
                .to_string()
        };
        let pairs = [
            ("SETTINGS__URL", url("settings")),
            ("TEMPLATES__URL", url("templates")),
            ("POLL_SECONDS", "3600".to_owned()),
            ("DEBOUNCE_MS", "50".to_owned()),
        ];
        pairs
            .into_iter()
            .map(|(key, value)| (format!("LOCKSTEP__REPOSITORIES__{key}"), value))
            .collect()
    }

    /// Starts a worker with a data folder of its own.
    fn worker(&self, more: &[(&str, &str)]) -> Result<Process> {
        let environment = self.environment();
        let mut all: Vec<(&str, &str)> = environment
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        all.extend(more);
        self.scene.worker(&all)
    }

    async fn publish(&self, messages: &[Envelope]) -> Result<()> {
        let bus: Arc<dyn Bus> = self.scene.bus().await?;
        bus.publish(messages.iter().map(outgoing).collect()).await?;
        bus.close().await;
        Ok(())
    }

    async fn record(&self, identity: &Identity) -> Result<(String, Value)> {
        let records = self.scene.oracle().records;
        let found = wait::until("the message to be worked", PATIENCE, async || {
            match records.inbox().await {
                Ok(mut inbox) => inbox.remove(identity).ok_or_else(|| "it is not".to_owned()),
                Err(error) => Err(format!("{error:#}")),
            }
        });
        let record = found.await?;
        Ok((record.state, record.result))
    }

    /// What was answered to a message that was applied.
    async fn outcome(&self, message: &Envelope) -> Result<Value> {
        let (state, result) = self.record(&message.identity).await?;
        ensure!(state == "applied", "{result}");
        Ok(result)
    }

    /// What was answered to a message that died.
    async fn death(&self, message: &Envelope) -> Result<Value> {
        let (state, result) = self.record(&message.identity).await?;
        ensure!(state == "dead", "{result}");
        Ok(result)
    }

    /// How often each device was flagged, less those that never were.
    async fn flags(&self) -> Result<BTreeMap<String, i64>> {
        let devices = self.scene.oracle().records.devices().await?;
        let flagged = devices
            .into_iter()
            .map(|(hostname, generations)| (hostname.to_string(), generations.desired - generations.synced));
        Ok(flagged.filter(|(_, flags)| *flags > 0).collect())
    }

    async fn ensure_flags(&self, expected: &[(&str, i64)]) -> Result<()> {
        let flags = self.flags().await?;
        let expected: BTreeMap<String, i64> = expected
            .iter()
            .map(|(hostname, flags)| ((*hostname).to_owned(), *flags))
            .collect();
        ensure!(flags == expected, "{flags:?} instead of {expected:?}");
        Ok(())
    }
}

fn repository_name(name: &str) -> RepositoryName {
    name.to_owned().try_into().expect("it is a name")
}

fn push_to(repository: &str, branch: &str, after: &str) -> Result<Envelope> {
    Ok(envelope(RepositoryChanged {
        repository: repository_name(repository),
        branch: branch.to_owned(),
        before: NOWHERE.parse()?,
        after: after.parse()?,
        forced: false,
        paths: None,
    }))
}

fn push(after: &str) -> Result<Envelope> {
    push_to("settings", "main", after)
}

fn refresh(repository: &str) -> Envelope {
    let repository = repository_name(repository);
    envelope(RepositoryRefreshRequested { repository })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_flags_whom_it_concerns_and_the_result_says_at_which_commit() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    // (files, who is flagged by it, unknown hostnames)
    let table: [(&[&str], &[&str], &[&str]); 8] = [
        (&["access/x.yml"], &["access1", "access2"], &[]),
        (&["fabric/x.yml"], &["core1", "dist1"], &[]),
        (&["global/README"], &["access1", "access2", "core1", "dist1"], &[]),
        (
            &["devices/dist1/x.yml", "devices/fw1/x.yml"],
            &["dist1", "fw1"],
            &[],
        ),
        (&["devices/gone1/x.yml"], &[], &["gone1"]),
        (&["groups/EDGE/x.yml"], &["access1", "access2"], &[]),
        (&["README.md"], &[], &[]),
        (&["devices/core1/\u{e4} b\nc.txt"], &["core1"], &[]),
    ];
    let mut flags: BTreeMap<&str, i64> = BTreeMap::new();
    for (files, concerned, unknown) in table {
        for file in files {
            site.settings.write(file, b"")?;
        }
        let commit = site.settings.commit("change")?;
        let message = push(&commit)?;
        site.publish(std::slice::from_ref(&message)).await?;
        let outcome = site.outcome(&message).await?;
        ensure!(outcome["outcome"] == "applied", "{files:?}: {outcome}");
        ensure!(outcome["commit"] == commit.as_str(), "{files:?}: {outcome}");
        ensure!(outcome["devices"] == json!(concerned), "{files:?}: {outcome}");
        let unknown_hostnames = outcome.get("unknown_hostnames").cloned().unwrap_or(json!([]));
        ensure!(unknown_hostnames == json!(unknown), "{files:?}: {outcome}");
        for hostname in concerned {
            *flags.entry(hostname).or_default() += 1;
        }
        let expected: Vec<(&str, i64)> = flags
            .iter()
            .map(|(hostname, flags)| (*hostname, *flags))
            .collect();
        site.ensure_flags(&expected)
            .await
            .with_context(|| format!("{files:?}"))?;
    }
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_flags_the_types_that_are_rendered_from_it() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    site.templates.write("eos/base.j2", b"ntp\n")?;
    let commit = site.templates.commit("base")?;
    let message = push_to("templates", "main", &commit)?;
    site.publish(std::slice::from_ref(&message)).await?;
    let outcome = site.outcome(&message).await?;
    ensure!(outcome["devices"] == json!(["access1"]), "{outcome}");
    site.ensure_flags(&[("access1", 1)]).await?;

    site.templates
        .write("eos/mapping.yml", b"DIST: {entrypoint: access.j2}\n")?;
    let commit = site.templates.commit("mapping")?;
    let message = push_to("templates", "main", &commit)?;
    site.publish(std::slice::from_ref(&message)).await?;
    let outcome = site.outcome(&message).await?;
    ensure!(outcome["devices"] == json!(["access1", "dist1"]), "{outcome}");
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_look_flags_everybody_and_accepting_spares_them() -> Result<()> {
    let site = Site::new(Ground::Servers).await?;
    let worker = site.worker(&[])?;
    let first = refresh("settings");
    site.publish(std::slice::from_ref(&first)).await?;
    let outcome = site.outcome(&first).await?;
    ensure!(outcome["flipped"] == 4, "{outcome}");
    let second = refresh("settings");
    site.publish(std::slice::from_ref(&second)).await?;
    let outcome = site.outcome(&second).await?;
    ensure!(
        outcome["outcome"] == "ignored" && outcome["reason"] == "unchanged",
        "{outcome}"
    );
    site.ensure_flags(&[("access1", 1), ("access2", 1), ("core1", 1), ("dist1", 1)])
        .await?;

    let nowhere = envelope(RepositoryAcceptRequested {
        repository: repository_name("templates"),
        commit: "ab".repeat(20).parse()?,
    });
    let unknown = refresh("configuration");
    site.publish(&[nowhere.clone(), unknown.clone()]).await?;
    let death = site.death(&nowhere).await?;
    ensure!(death["code"] == "unknown-commit", "{death}");
    let death = site.death(&unknown).await?;
    ensure!(death["code"] == "unknown-repository", "{death}");
    ensure!(
        death["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("settings, templates")),
        "{death}"
    );
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_commit_moves_nothing_and_the_next_good_one_flags_all_since() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    site.settings
        .write("access/base_system.yml", b"dns_servers: [{host: 192.0.2.1}]\n")?;
    site.settings
        .write("devices/dist1/base_system.yml", b"dns_servers:\n  - {host: [\n")?;
    let broken = push(&site.settings.commit("breaks dist1")?)?;
    site.publish(std::slice::from_ref(&broken)).await?;
    let death = site.death(&broken).await?;
    ensure!(death["code"] == "invalid-intent", "{death}");
    let place = death["place"].as_str().context("a place")?;
    ensure!(place.starts_with("devices/dist1/base_system.yml:"), "{death}");
    site.ensure_flags(&[]).await?;

    // Back to what it was: dist1 is as accepted, but the access devices never got their flag.
    site.settings
        .write("devices/dist1/base_system.yml", b"dns_servers: []\n")?;
    let commit = site.settings.commit("repairs dist1")?;
    let repaired = push(&commit)?;
    site.publish(std::slice::from_ref(&repaired)).await?;
    let outcome = site.outcome(&repaired).await?;
    ensure!(outcome["devices"] == json!(["access1", "access2"]), "{outcome}");
    ensure!(outcome["commit"] == commit.as_str(), "{outcome}");
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_one_round_and_two_workers_in_the_wrong_order_flag_once() -> Result<()> {
    let (site, first) = Site::accepted(Ground::Servers).await?;
    let second = site.worker(&[("LOCKSTEP__DATA_DIR", "second-data")])?;
    let mut messages = Vec::new();
    for number in 0..20 {
        site.settings
            .write("access/x.txt", format!("{number}").as_bytes())?;
        messages.push(push(&site.settings.commit("access")?)?);
    }
    let tip = site.settings.git(&["rev-parse", "HEAD"])?.trim().to_owned();
    messages.reverse();
    site.publish(&messages).await?;
    let mut applied = 0;
    for message in &messages {
        let outcome = site.outcome(message).await?;
        ensure!(outcome["commit"] == tip.as_str(), "{outcome}");
        match outcome["outcome"].as_str() {
            Some("applied") => applied += 1,
            _ => ensure!(
                matches!(outcome["reason"].as_str(), Some("coalesced" | "unchanged")),
                "{outcome}"
            ),
        }
    }
    ensure!(applied == 1, "{applied} rounds");
    site.ensure_flags(&[("access1", 1), ("access2", 1)]).await?;
    first.stop().await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_force_push_flags_what_differs_though_the_only_clone_is_lost() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    worker.stop().await?;
    std::fs::remove_dir_all(site.scene.folder().join("lockstep-data/repositories"))?;
    site.settings.write("core/x.yml", b"")?;
    site.settings.git(&["add", "--all"])?;
    site.settings
        .git(&["commit", "-q", "--amend", "-m", "rewritten"])?;
    site.settings
        .git(&["reflog", "expire", "--expire=now", "--all"])?;
    site.settings.git(&["gc", "-q", "--prune=now"])?;
    let commit = site.settings.git(&["rev-parse", "HEAD"])?.trim().to_owned();
    let message = push(&commit)?;
    site.publish(std::slice::from_ref(&message)).await?;
    let worker = site.worker(&[])?;
    let outcome = site.outcome(&message).await?;
    ensure!(outcome["devices"] == json!(["core1"]), "{outcome}");
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_concerns_nobody_is_ignored_with_a_reason() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    let tip = site.settings.git(&["rev-parse", "HEAD"])?.trim().to_owned();
    let table = [
        (push_to("settings", "feature", &tip)?, "other-branch"),
        (push(NOWHERE)?, "branch-deleted"),
        (push(&tip)?, "unchanged"),
    ];
    for (message, reason) in table {
        site.publish(std::slice::from_ref(&message)).await?;
        let outcome = site.outcome(&message).await?;
        ensure!(
            outcome["outcome"] == "ignored" && outcome["reason"] == reason,
            "{outcome}"
        );
    }
    site.ensure_flags(&[]).await?;
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_not_there_yet_is_waited_for_but_not_forever() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    // Nobody ever sees this one: it was pushed over.
    let gone = push(&"ab".repeat(20))?;
    site.publish(std::slice::from_ref(&gone)).await?;
    let outcome = site.outcome(&gone).await?;
    ensure!(outcome["reason"] == "unchanged", "{outcome}");

    // This one comes late.
    site.settings.git(&["checkout", "-q", "-b", "late"])?;
    site.settings.write("core/x.yml", b"")?;
    let late = site.settings.commit("late")?;
    let message = push(&late)?;
    site.publish(std::slice::from_ref(&message)).await?;
    wait::until("the worker to miss it", PATIENCE, async || {
        let log = worker.log().map_err(|error| format!("{error:#}"))?;
        let missed = log.contains(message.identity.id.as_str());
        if missed { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await?;
    site.settings.git(&["branch", "-qf", "main", "late"])?;
    let outcome = site.outcome(&message).await?;
    ensure!(
        outcome["commit"] == late.as_str() && outcome["devices"] == json!(["core1"]),
        "{outcome}"
    );
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_never_came_is_made_up_for() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    worker.stop().await?;
    let watching = [("LOCKSTEP__REPOSITORIES__POLL_SECONDS", "1")];
    let first = site.worker(&watching)?;
    let second = site.worker(&[watching[0], ("LOCKSTEP__DATA_DIR", "second-data")])?;
    site.settings.write("core/x.yml", b"")?;
    site.settings.commit("nobody says so")?;
    wait::until("the flag", PATIENCE, async || {
        site.ensure_flags(&[("core1", 1)])
            .await
            .map_err(|error| format!("{error:#}"))
    })
    .await?;
    // And back again: the same tip a second time is no duplicate.
    site.settings.git(&["reset", "-q", "--hard", "HEAD~1"])?;
    wait::until("the second flag", PATIENCE, async || {
        site.ensure_flags(&[("core1", 2)])
            .await
            .map_err(|error| format!("{error:#}"))
    })
    .await?;
    first.stop().await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn accepting_an_older_commit_flags_what_came_since() -> Result<()> {
    let site = Site::new(Ground::Servers).await?;
    let older = site.settings.git(&["rev-parse", "HEAD"])?.trim().parse()?;
    site.settings.write("core/x.yml", b"")?;
    let tip = site.settings.commit("since")?;
    let worker = site.worker(&[("LOCKSTEP__REPOSITORIES__POLL_SECONDS", "1")])?;
    let accept = envelope(RepositoryAcceptRequested {
        repository: repository_name("settings"),
        commit: older,
    });
    site.publish(std::slice::from_ref(&accept)).await?;
    site.outcome(&accept).await?;
    wait::until("the flag", PATIENCE, async || {
        site.ensure_flags(&[("core1", 1)])
            .await
            .map_err(|error| format!("{error:#}"))
    })
    .await?;
    let look = push(&tip)?;
    site.publish(std::slice::from_ref(&look)).await?;
    let outcome = site.outcome(&look).await?;
    ensure!(outcome["reason"] == "unchanged", "{outcome}");
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_that_vanished_ends_with_the_dead_and_the_other_one_goes_on() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    let origin = site.scene.folder().join("origin/settings");
    std::fs::rename(&origin, origin.with_extension("away"))?;
    let lost = refresh("settings");
    site.templates.write("eos/access.j2", b"x")?;
    let message = push_to("templates", "main", &site.templates.commit("x")?)?;
    site.publish(&[lost.clone(), message.clone()]).await?;
    let outcome = site.outcome(&message).await?;
    ensure!(outcome["devices"] == json!(["access1"]), "{outcome}");
    let death = site.death(&lost).await?;
    ensure!(death["code"] == "attempts-exhausted", "{death}");
    ensure!(
        death["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("git ")),
        "{death}"
    );

    std::fs::rename(origin.with_extension("away"), &origin)?;
    site.settings.git(&["branch", "-qm", "main", "other"])?;
    let nameless = refresh("settings");
    site.publish(std::slice::from_ref(&nameless)).await?;
    let death = site.death(&nameless).await?;
    ensure!(death["code"] == "unknown-branch", "{death}");
    worker.stop().await
}

/// 50,000 files, and then 10,000 commits in one push, the last of which concerns one device.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_files_and_ten_thousand_commits_are_one_push() -> Result<()> {
    let site = Site::new(Ground::Servers).await?;
    let mut stream = String::from("blob\nmark :1\ndata 16\ndns_servers: []\n\n");
    let commit = |stream: &mut String, mark: usize, from: &str| {
        write!(
            stream,
            "commit refs/heads/main\nmark :{mark}\ncommitter n <n@example.org> {mark} +0000\ndata 1\nx\n{from}"
        )
    };
    commit(&mut stream, 2, "")?;
    for number in 0..50_000 {
        writeln!(stream, "M 100644 :1 devices/host{number}/base_system.yml")?;
    }
    writeln!(stream, "M 100644 :1 devices/dist1/x.yml")?;
    for mark in 3..10_003 {
        commit(&mut stream, mark, "")?;
        writeln!(stream, "M 100644 inline core/count.txt\ndata 5\n{mark:05}")?;
    }
    site.settings
        .git_with(&["fast-import", "--quiet", "--force"], stream.as_bytes())?;
    let history = site.settings.git(&["rev-list", "--reverse", "main"])?;
    let history: Vec<&str> = history.lines().collect();
    ensure!(history.len() == 10_001, "{}", history.len());
    let worker = site.worker(&[])?;
    let accept = envelope(RepositoryAcceptRequested {
        repository: repository_name("settings"),
        commit: history[0].parse()?,
    });
    site.publish(std::slice::from_ref(&accept)).await?;
    site.outcome(&accept).await?;
    let message = push(history[10_000])?;
    site.publish(std::slice::from_ref(&message)).await?;
    let outcome = site.outcome(&message).await?;
    ensure!(outcome["devices"] == json!(["core1"]), "{outcome}");
    worker.stop().await
}

/// A tree that wants out: nothing is written outside the data folder, and the lane goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_tree_is_read_and_nothing_else() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    let witness = site.scene.folder().join("witness");
    let stream = format!(
        "commit refs/heads/main\ncommitter n <n@example.org> 1 +0000\ndata 1\nx\nfrom refs/heads/main^0\n\
         M 100755 inline .git-hooks/post-checkout\ndata <<END\n#!/bin/sh\ntouch {0}\nEND\n\
         M 120000 inline devices/dist1/inside.txt\ndata 15\nbase_system.yml\n\
         M 160000 1111111111111111111111111111111111111111 devices/core1/module\n\
         M 100644 inline \"devices/fw1/\\377\\376 name\\nwith newline\"\ndata 4\n\0\0\u{1}x\n\
         M 100644 inline .gitmodules\ndata <<END\n[submodule \"x\"]\n\tpath = devices/core1/module\n\turl = ext::sh -c touch% {0}\nEND\n",
        witness.display()
    );
    site.settings
        .git_with(&["fast-import", "--quiet", "--force"], stream.as_bytes())?;
    // A branch that looks like an option.
    site.settings
        .git(&["update-ref", "refs/heads/-oProxyCommand=x", "main"])?;
    let tip = site.settings.git(&["rev-parse", "main"])?.trim().to_owned();
    let message = push(&tip)?;
    site.publish(&[message.clone(), push_to("settings", "-oProxyCommand=x", &tip)?])
        .await?;
    let outcome = site.outcome(&message).await?;
    ensure!(
        outcome["devices"] == json!(["core1", "dist1", "fw1"]),
        "{outcome}"
    );
    ensure!(!witness.exists());

    // A settings file that is a link out of the tree is a problem with its name.
    let stream = "commit refs/heads/main\ncommitter n <n@example.org> 1 +0000\ndata 1\nx\nfrom refs/heads/main^0\n\
         M 120000 inline devices/dist1/outside.yml\ndata 11\n/etc/passwd\n";
    site.settings
        .git_with(&["fast-import", "--quiet", "--force"], stream.as_bytes())?;
    let tip = site.settings.git(&["rev-parse", "main"])?.trim().to_owned();
    let message = push(&tip)?;
    site.publish(std::slice::from_ref(&message)).await?;
    let death = site.death(&message).await?;
    ensure!(
        death["place"]
            .as_str()
            .is_some_and(|place| place.starts_with("devices/dist1/outside.yml")),
        "{death}"
    );
    ensure!(!death.to_string().contains("root:"), "{death}");
    worker.stop().await
}

/// Kills the worker at a point while it works a push, and lets another one finish.
async fn killed_at(ground: Ground, point: &str) -> Result<()> {
    let site = Site::new(ground).await?;
    let messages = [refresh("settings"), refresh("templates")];
    site.publish(&messages).await?;
    let mut first = site.worker(&[("LOCKSTEP_FAIL_POINT", &format!("{point}:2:kill"))])?;
    let status = first.ended().await?;
    ensure!(
        status.signal() == Some(9),
        "it ended with {status}: {}",
        first.log()?
    );
    let second = site.worker(&[])?;
    for message in &messages {
        let outcome = site.outcome(message).await?;
        ensure!(outcome["outcome"] == "applied", "{outcome}");
    }
    // Both may have been worked before it began.
    wait::until("the second worker to start", PATIENCE, async || {
        let log = second.log().map_err(|error| format!("{error:#}"))?;
        if log.contains("worker started") {
            Ok(())
        } else {
            Err("not yet".to_owned())
        }
    })
    .await?;
    // Settings concern four of them, templates one of these.
    site.ensure_flags(&[("access1", 2), ("access2", 1), ("core1", 1), ("dist1", 1)])
        .await?;
    second.stop().await
}

macro_rules! killed_at {
    ($($name:ident: $point:literal),* $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn on_servers() -> anyhow::Result<()> {
                super::killed_at(super::Ground::Servers, $point).await
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() -> anyhow::Result<()> {
                super::killed_at(super::Ground::Embedded, $point).await
            }
        }
    )*};
}

killed_at! {
    killed_after_received: "after-received",
    killed_after_inbox: "after-inbox",
    killed_after_commit: "after-commit",
    killed_after_publish: "after-publish",
    killed_after_confirm: "after-confirm",
    killed_before_ack: "before-ack",
}
