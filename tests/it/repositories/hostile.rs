//! Commits that are made to cost much: each is refused with a short result or examined within its bounds, the lane goes on, and the
//! worker can be stopped in the middle.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::events::InventoryImported;
use serde_json::json;

use super::{Site, push};
use crate::system::Ground;
use crate::system::load::envelope;

/// The most memory of a worker in a debug build, in bytes. Without bounds it is gigabytes.
const MOST_MEMORY: u64 = 900 * 1024 * 1024;
/// The most bytes of a rejection.
const MOST_RESULT: usize = 100 * 1024;

const HEAD: &str =
    "commit refs/heads/main\ncommitter n <n@example.org> 1 +0000\ndata 1\nx\nfrom refs/heads/main^0\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_commit_is_refused_in_short_and_the_lane_goes_on() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    let accepted = site.settings.git(&["rev-parse", "HEAD"])?.trim().to_owned();
    let blob = |content: &str| format!("blob\nmark :1\ndata {}\n{content}\n", content.len());
    let files = |mode: u32, count: usize| {
        let line = |number| format!("M {mode} :1 devices/host{number}/a.yml\n");
        (0..count).map(line).collect::<String>()
    };
    let most = 4 * 1024 * 1024 - 100;
    let table = [
        (
            blob(&format!("a: !{} x", "t".repeat(most))),
            files(100_644, 1000),
            "unknown tag !tt",
        ),
        (
            blob(&format!("? {}\n: 1", "k".repeat(most))),
            files(100_644, 400),
            "a text has",
        ),
        (
            blob(&"#".repeat(9_000_000)),
            files(100_644, 1000),
            "more than the limit of 4194304",
        ),
        (
            blob(&"x".repeat(9_000_000)),
            files(120_000, 20),
            "more than the limit of 4096",
        ),
    ];
    for (blob, files, expected) in table {
        let stream = format!("{blob}{HEAD}{files}");
        site.settings
            .git_with(&["fast-import", "--quiet", "--force"], stream.as_bytes())?;
        let message = push(site.settings.git(&["rev-parse", "main"])?.trim())?;
        site.publish(std::slice::from_ref(&message)).await?;
        let rejection = site.rejection(&message).await?;
        let text = rejection.to_string();
        ensure!(
            rejection["code"] == "invalid-intent" && text.len() < MOST_RESULT,
            "{} bytes",
            text.len()
        );
        ensure!(text.contains(expected), "{expected}: {rejection}");
        site.settings.git(&["update-ref", "refs/heads/main", &accepted])?;
    }
    ensure!(
        worker.peak_memory()? < MOST_MEMORY,
        "{} bytes",
        worker.peak_memory()?
    );

    // A tree of ten billion paths in ten objects.
    let file = site.settings.git_with(&["hash-object", "-w", "--stdin"], b"x")?;
    let mut tree = site.settings.git_with(
        &["mktree"],
        format!("100644 blob {}\tf\n", file.trim()).as_bytes(),
    )?;
    for _ in 0..10 {
        let entry = |number| format!("040000 tree {}\taccess{number}\n", tree.trim());
        let entries: String = (0..10).map(entry).collect();
        tree = site.settings.git_with(&["mktree"], entries.as_bytes())?;
    }
    let commit = site
        .settings
        .git(&["commit-tree", tree.trim(), "-p", &accepted, "-m", "x"])?;
    site.settings
        .git(&["update-ref", "refs/heads/main", commit.trim()])?;
    let message = push(commit.trim())?;
    site.publish(std::slice::from_ref(&message)).await?;
    let rejection = site.rejection(&message).await?;
    let reason = rejection["reason"].as_str().context("a reason")?;
    ensure!(
        reason.contains("the paths of the tree have more than the limit"),
        "{rejection}"
    );
    ensure!(
        worker.peak_memory()? < MOST_MEMORY,
        "{} bytes",
        worker.peak_memory()?
    );
    ensure!(
        worker.log()?.len() < 8 * MOST_RESULT,
        "{} bytes of log",
        worker.log()?.len()
    );
    site.ensure_flags(&[]).await?;

    site.settings.git(&["update-ref", "refs/heads/main", &accepted])?;
    site.settings.git(&["reset", "-q", "--hard"])?;
    site.settings
        .write("access/base_system.yml", b"ntp_servers: []\n")?;
    let repaired = push(&site.settings.commit("repairs it")?)?;
    site.publish(std::slice::from_ref(&repaired)).await?;
    let outcome = site.outcome(&repaired).await?;
    ensure!(outcome["devices"] == json!(["access1", "access2"]), "{outcome}");
    worker.stop().await
}

/// The examination alone takes minutes in a debug build.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_stopped_in_the_middle_of_an_examination() -> Result<()> {
    let site = Site::new(Ground::Servers).await?;
    let servers = "- {host: 192.0.2.1}\n".repeat(50_000);
    for number in 0..80 {
        let text = format!("# {number}\nntp_servers:\n{servers}");
        site.settings
            .write(format!("access/{number}.yml"), text.as_bytes())?;
    }
    let message = push(&site.settings.commit("large")?)?;
    let worker = site.worker(&[("LOCKSTEP__LOG__FILTER", "info,lockstep_worker=debug")])?;
    site.publish(std::slice::from_ref(&message)).await?;
    worker.prints("examine").await?;
    worker.stop().await?;
    let inbox = site.scene.oracle().records.inbox().await?;
    ensure!(
        !inbox.contains_key(&message.identity),
        "the examination was not interrupted"
    );
    Ok(())
}

/// Each match takes as many steps as may be. Their devices are flagged, and other lanes go on meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn regexes_that_take_too_many_steps_flag_their_devices_and_hold_up_no_other_lane() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    let hostname = |number: usize| format!("{}-{number:02}", "a".repeat(40));
    let devices: Vec<_> = (0..20)
        .map(|number| json!({"hostname": hostname(number), "device_type": "FIREWALL", "synchronized": true}))
        .collect();
    let fleet: InventoryImported = serde_json::from_value(json!({"devices": devices}))?;
    let imported = envelope(fleet);
    site.publish(std::slice::from_ref(&imported)).await?;
    site.outcome(&imported).await?;
    let mut groups = String::from("groups:\n");
    for number in 0..5 {
        writeln!(
            groups,
            "- group: {{name: G{number}, regex: '(?:(a|aa)+)+\\1-b$', group_priority: 9}}"
        )?;
    }
    groups.push_str("- group: {name: EDGE, regex: access, group_priority: 10}\n");
    site.settings.write("global/groups.yml", groups.as_bytes())?;
    site.settings.write("groups/G0/x.yml", b"")?;
    let message = push(&site.settings.commit("slow groups")?)?;
    let event = envelope(serde_json::from_value::<
        lockstep_protocol::events::InterfaceUpdated,
    >(
        json!({"hostname": "new1", "interfaces": [{"name": "Ethernet1"}], "kind": "configuration"}),
    )?);
    site.publish(&[message.clone(), event.clone()]).await?;
    site.outcome(&event).await?;
    let outcome = site.outcome(&message).await?;
    // All devices of the types of `global/`, and those whose group is unknown.
    ensure!(outcome["flipped"] == 4 + 20, "{outcome}");
    worker.stop().await
}
