//! Management domains, by messages in any order.

use anyhow::{Context, Result, ensure};
use lockstep_store::{
    DeviceEffect, Effects, Keys, ManagementDomain, ManagementDomainChange, ManagementDomainRow, Records,
    StoreError,
};

use super::device_names::{rename_all, version};
use super::retention::{expire, young};
use super::{Place, at, create_all, devices, hostname, keys, work};

/// A domain with all it can have, of these devices.
pub(crate) fn domain(id: u64, one: &str, other: &str) -> ManagementDomain {
    ManagementDomain {
        id,
        devices: [hostname(one), hostname(other)],
        addresses: ["10.0.6.2".parse().ok(), "2001:db8::3".parse().ok()],
        ipv4_gateway: Some("10.0.6.1/24".to_owned()),
        ipv6_gateway: Some("2001:db8::1/64".to_owned()),
        vlan: Some(600),
        description: Some("Lund \"ä\"".to_owned()),
        esi_mac: Some("00:00:00:00:06:00".to_owned()),
    }
}

/// A message that sets or removes a domain.
pub(crate) fn changed(id: u64, domain: Option<ManagementDomain>, by: &str) -> Effects {
    Effects {
        management_domains: vec![ManagementDomainChange {
            id,
            domain,
            version: version(by),
        }],
        ..Effects::default()
    }
}

fn asking(id: &str, domain: u64, hostnames: &[&str]) -> Keys {
    Keys {
        management_domains: [domain].into(),
        ..keys(id, hostnames.iter().copied())
    }
}

async fn known(place: &Place, id: u64) -> Result<Option<ManagementDomainRow>> {
    let (facts, transaction) = place.store.begin(&[], &asking("read", id, &[])).await?;
    drop(transaction);
    Ok(facts.management_domain(id).cloned())
}

pub(crate) async fn the_newest_message_about_a_domain_counts(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2", "sw3"]).await?;
    ensure!(known(place, 4).await?.is_none());
    let bare = ManagementDomain {
        addresses: [None, None],
        ipv4_gateway: None,
        ipv6_gateway: None,
        vlan: None,
        description: None,
        esi_mac: None,
        ..domain(4, "sw3", "sw1")
    };
    let (first, second) = (Some(domain(4, "sw1", "sw2")), Some(bare));
    for (index, (said, by, expected, newest)) in [
        (first.clone(), "2", first.clone(), "2"),
        (second.clone(), "4", second.clone(), "4"),
        (first.clone(), "3", second.clone(), "4"),
        (None, "5", None, "5"),
        (second.clone(), "4", None, "5"),
        (first.clone(), "6", first.clone(), "6"),
    ]
    .into_iter()
    .enumerate()
    {
        let asked = asking(&format!("message {index}"), 4, &["sw1", "sw2", "sw3"]);
        work(place, &asked, changed(4, said, by)).await?;
        let expected = ManagementDomainRow {
            domain: expected,
            version: Some(version(newest)),
            stored: true,
            changed: false,
        };
        let row = known(place, 4).await?.context("a row")?;
        ensure!(row == expected, "{index}: {row:?}");
        let removed = "SELECT 'removed' FROM management_domain WHERE removed_at IS NOT NULL AND NOT present";
        let removed = place.probe.texts(removed).await?;
        ensure!(removed.is_empty() == expected.domain.is_some(), "{index}");
    }
    // A removal that comes before what it removes.
    work(place, &asking("unknown", 5, &[]), changed(5, None, "9")).await?;
    ensure!(known(place, 5).await?.is_some_and(|row| row.domain.is_none()));
    Ok(())
}

pub(crate) async fn a_domain_keeps_its_renamed_devices_and_goes_with_removed_ones(
    place: &Place,
) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let set = changed(4, Some(domain(4, "sw1", "sw2")), "2");
    work(place, &asking("set", 4, &["sw1", "sw2"]), set).await?;
    rename_all(place, "rename", &[("sw1", "new1")]).await?;
    let row = known(place, 4).await?.context("a row")?;
    ensure!(row.domain == Some(domain(4, "new1", "sw2")), "{row:?}");
    // In one batch with a change of the domain by the former name.
    let effects = Effects {
        devices: vec![super::device_names::rename("sw2", "new2", "7")],
        ..changed(4, Some(domain(4, "new1", "new2")), "7")
    };
    work(place, &asking("both", 4, &["new1", "sw2", "new2"]), effects).await?;
    let row = known(place, 4).await?.context("a row")?;
    ensure!(row.domain == Some(domain(4, "new1", "new2")), "{row:?}");
    let remove = DeviceEffect::Remove {
        hostname: hostname("new1"),
        version: version("8"),
    };
    work(place, &keys("remove", ["new1"]), devices([remove])).await?;
    ensure!(known(place, 4).await?.is_none());
    Ok(())
}

pub(crate) async fn a_domain_of_nobody_is_refused(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    for id in ["2", "3"] {
        let refused = work(
            place,
            &asking(id, 4, &["sw1"]),
            changed(4, Some(domain(4, "sw1", "nobody")), id),
        )
        .await;
        ensure!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    }
    ensure!(known(place, 4).await?.is_none());
    Ok(())
}

/// The message that changes the domain flags who served it before.
pub(crate) async fn the_devices_of_a_stored_domain_are_read_and_locked(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2", "sw3"]).await?;
    let set = changed(4, Some(domain(4, "sw1", "sw2")), "2");
    work(place, &asking("set", 4, &["sw1", "sw2"]), set).await?;
    let (facts, transaction) = place.store.begin(&[], &asking("3", 4, &["sw3"])).await?;
    drop(transaction);
    for name in ["sw1", "sw2", "sw3"] {
        ensure!(facts.device(&hostname(name)).is_some(), "{name}");
    }
    Ok(())
}

pub(crate) async fn removed_domains_go_when_they_are_old(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    for id in 1..=6 {
        let domain = (id == 6).then(|| domain(6, "sw1", "sw2"));
        let by = id.to_string();
        work(place, &asking(&by, id, &["sw1", "sw2"]), changed(id, domain, &by)).await?;
    }
    let set = format!(
        "UPDATE management_domain SET removed_at = CASE WHEN id < 3 THEN {} ELSE {} END WHERE removed_at IS NOT NULL",
        place.probe.time(young()),
        place.probe.time(at())
    );
    place.probe.texts(&set).await?;
    let (deleted, chunks) = expire(place, &Records::RemovedManagementDomains, 2).await?;
    ensure!((deleted, chunks) == (3, 2), "{deleted} in {chunks}");
    let left = "SELECT CAST(id AS text) FROM management_domain ORDER BY id";
    ensure!(place.probe.texts(left).await? == ["1", "2", "6"]);
    Ok(())
}
