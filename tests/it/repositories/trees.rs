//! Large trees, and trees with paths that try to leave the repository.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use lockstep_protocol::commands::RepositoryAcceptRequested;
use serde_json::json;

use super::{Site, push, push_to, repository_name};
use crate::system::Ground;
use crate::system::load::envelope;

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

/// A tree with hostile paths: nothing is written outside the data folder, and the lane goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_tree_is_read_without_side_effects() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    let written = site.scene.folder().join("written-by-hostile-tree");
    let stream = format!(
        "commit refs/heads/main\ncommitter n <n@example.org> 1 +0000\ndata 1\nx\nfrom refs/heads/main^0\n\
         M 100755 inline .git-hooks/post-checkout\ndata <<END\n#!/bin/sh\ntouch {0}\nEND\n\
         M 120000 inline devices/dist1/inside.txt\ndata 15\nbase_system.yml\n\
         M 160000 1111111111111111111111111111111111111111 devices/core1/module\n\
         M 100644 inline \"devices/fw1/\\377\\376 name\\nwith newline\"\ndata 4\n\0\0\u{1}x\n\
         M 100644 inline .gitmodules\ndata <<END\n[submodule \"x\"]\n\tpath = devices/core1/module\n\turl = ext::sh -c touch% {0}\nEND\n",
        written.display()
    );
    site.settings
        .git_with(&["fast-import", "--quiet", "--force"], stream.as_bytes())?;
    // The name of a branch looks like an option of git.
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
    ensure!(!written.exists());

    // A settings file that links out of the tree is reported with its path.
    let stream = "commit refs/heads/main\ncommitter n <n@example.org> 1 +0000\ndata 1\nx\nfrom refs/heads/main^0\n\
         M 120000 inline devices/dist1/outside.yml\ndata 11\n/etc/passwd\n";
    site.settings
        .git_with(&["fast-import", "--quiet", "--force"], stream.as_bytes())?;
    let tip = site.settings.git(&["rev-parse", "main"])?.trim().to_owned();
    let message = push(&tip)?;
    site.publish(std::slice::from_ref(&message)).await?;
    let rejection = site.rejection(&message).await?;
    ensure!(
        rejection["place"]
            .as_str()
            .is_some_and(|place| place.starts_with("devices/dist1/outside.yml")),
        "{rejection}"
    );
    ensure!(!rejection.to_string().contains("root:"), "{rejection}");
    worker.stop().await
}
