//! Which devices a push concerns, and what its result says.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::commands::RepositoryAcceptRequested;
use serde_json::json;

use super::{NOWHERE, Site, push, push_to, refresh, repository_name};
use crate::system::Ground;
use crate::system::load::envelope;

#[tokio::test(flavor = "multi_thread")]
async fn a_push_flags_the_devices_it_concerns_and_the_result_names_the_commit() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    // (files, flagged devices, unknown hostnames)
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
async fn a_template_flags_the_device_types_rendered_from_it() -> Result<()> {
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
async fn the_first_sync_flags_every_device_and_accepting_a_commit_flags_none() -> Result<()> {
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
    let rejection = site.rejection(&nowhere).await?;
    ensure!(rejection["code"] == "unknown-commit", "{rejection}");
    let rejection = site.rejection(&unknown).await?;
    ensure!(rejection["code"] == "unknown-repository", "{rejection}");
    ensure!(
        rejection["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("settings, templates")),
        "{rejection}"
    );
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_commit_changes_nothing_and_the_next_valid_one_flags_all_changes_since() -> Result<()> {
    let (site, worker) = Site::accepted(Ground::Servers).await?;
    site.settings
        .write("access/base_system.yml", b"dns_servers: [{host: 192.0.2.1}]\n")?;
    site.settings
        .write("devices/dist1/base_system.yml", b"dns_servers:\n  - {host: [\n")?;
    let broken = push(&site.settings.commit("breaks dist1")?)?;
    site.publish(std::slice::from_ref(&broken)).await?;
    let rejection = site.rejection(&broken).await?;
    ensure!(rejection["code"] == "invalid-intent", "{rejection}");
    let place = rejection["place"].as_str().context("a place")?;
    ensure!(place.starts_with("devices/dist1/base_system.yml:"), "{rejection}");
    site.ensure_flags(&[]).await?;

    // Reverted: dist1 is as accepted, but the access devices were not flagged yet.
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
async fn pushes_are_coalesced_and_two_workers_out_of_order_flag_once() -> Result<()> {
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
    ensure!(applied == 1, "{applied} pushes were applied");
    site.ensure_flags(&[("access1", 1), ("access2", 1)]).await?;
    first.stop().await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_concerns_no_device_is_ignored_with_a_reason() -> Result<()> {
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
