use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::results::MAX_DEVICES;
use lockstep_protocol::{DeviceState, DeviceType, Hostname};
use lockstep_store::{Attributes, DeviceEffect, DeviceQuery, DeviceSelector, Lease};

use super::leases::{LONG, acquire};
use super::repositories::{device, flag, flags, named, revision};
use super::{
    Place, at, create_all, devices, hostname, keys, messages, messages_with_causes, unsynchronize, work,
};

pub(crate) fn of_kind(name: &str, device_type: DeviceType, platform: Option<&str>) -> DeviceEffect {
    DeviceEffect::Create {
        hostname: hostname(name),
        attributes: Attributes {
            platform: platform.map(str::to_owned),
            ..Attributes::of(device_type)
        },
        state: DeviceState::Managed,
        version: None,
    }
}

async fn fleet(place: &Place) -> Result<()> {
    let made = [
        of_kind("a1", DeviceType::ACCESS, Some("eos")),
        of_kind("a2", DeviceType::ACCESS, Some("junos")),
        of_kind("a3", DeviceType::ACCESS, None),
        of_kind("c1", DeviceType::CORE, Some("eos")),
        of_kind("d1", DeviceType::DIST, Some("eos")),
        of_kind("d2", DeviceType::DIST, Some("junos")),
    ];
    let names = ["a1", "a2", "a3", "c1", "d1", "d2"];
    Ok(work(place, &keys("fleet", names), devices(made)).await?)
}

async fn generations(place: &Place) -> Result<BTreeMap<String, i64>> {
    let all = DeviceQuery {
        limit: 100,
        ..DeviceQuery::default()
    };
    let devices = place.store.devices(&all).await?;
    Ok(devices
        .into_iter()
        .map(|device| (device.hostname.to_string(), device.sync.desired))
        .collect())
}

fn pairs(all: &[(DeviceType, &str)]) -> BTreeSet<(DeviceType, String)> {
    all.iter()
        .map(|(kind, platform)| (kind.clone(), (*platform).to_owned()))
        .collect()
}

fn ending_in(end: char) -> DeviceSelector {
    DeviceSelector {
        predicate: Some(Arc::new(move |name: &Hostname| name.as_str().ends_with(end))),
        ..DeviceSelector::default()
    }
}

/// Each matching device is raised by one, however often it matches; the others stay unchanged.
pub(crate) async fn devices_are_flagged_by_what_they_are(place: &Place) -> Result<()> {
    fleet(place).await?;
    let lease = acquire(place, LONG).await?;
    let types = |types: &[DeviceType]| DeviceSelector {
        device_types: types.iter().cloned().collect(),
        ..DeviceSelector::default()
    };
    let platforms = |all: &[(DeviceType, &str)]| DeviceSelector {
        platforms: pairs(all),
        ..DeviceSelector::default()
    };
    let whole = |platform: &str| DeviceSelector {
        whole_platforms: [platform.to_owned()].into(),
        ..DeviceSelector::default()
    };
    let union = DeviceSelector {
        device_types: [DeviceType::ACCESS].into(),
        platforms: pairs(&[(DeviceType::ACCESS, "eos"), (DeviceType::CORE, "eos")]),
        whole_platforms: ["eos".to_owned()].into(),
        hostnames: ["a1", "d1", "nope"].into_iter().map(hostname).collect(),
        ..ending_in('1')
    };
    let table: [(&str, DeviceSelector, &[&str], &[&str]); 11] = [
        ("a name", named(["a1", "nope"]), &["a1"], &["nope"]),
        (
            "names",
            named(["d2", "a1", "c0", "zz"]),
            &["a1", "d2"],
            &["c0", "zz"],
        ),
        ("a type", types(&[DeviceType::ACCESS]), &["a1", "a2", "a3"], &[]),
        (
            "types",
            types(&[DeviceType::CORE, DeviceType::DIST]),
            &["c1", "d1", "d2"],
            &[],
        ),
        ("a type of nobody", types(&[DeviceType::FIREWALL]), &[], &[]),
        (
            "a type on a platform",
            platforms(&[(DeviceType::ACCESS, "eos")]),
            &["a1"],
            &[],
        ),
        (
            "pairs are pairs",
            platforms(&[(DeviceType::ACCESS, "eos"), (DeviceType::DIST, "junos")]),
            &["a1", "d2"],
            &[],
        ),
        ("a whole platform", whole("eos"), &["a1", "c1", "d1"], &[]),
        ("platforms are case-sensitive", whole("EOS"), &[], &[]),
        ("a choice", ending_in('2'), &["a2", "d2"], &[]),
        ("a union", union, &["a1", "a2", "a3", "c1", "d1"], &["nope"]),
    ];
    for (what, selector, expected, unknown) in table {
        let before = generations(place).await?;
        let revision = revision(&*place.store).await?;
        let flagged = flag(&*place.store, flags(&lease, revision, what, selector)).await?;
        let names: Vec<&str> = flagged.devices.iter().map(Hostname::as_str).collect();
        ensure!(names == expected, "{what}: {flagged:?}");
        ensure!(flagged.concerned == expected.len() as u64, "{what}: {flagged:?}");
        // Devices begin with generation 1, synchronized.
        let flips = expected.iter().filter(|name| before[**name] == 1).count();
        ensure!(flagged.flipped == flips as u64, "{what}: {flagged:?}");
        let unknown: BTreeSet<Hostname> = unknown.iter().copied().map(hostname).collect();
        ensure!(flagged.unknown_hostnames == unknown, "{what}: {flagged:?}");
        let mut raised = before;
        for name in expected {
            *raised.entry((*name).to_owned()).or_default() += 1;
        }
        ensure!(generations(place).await? == raised, "{what}");
    }
    Ok(())
}

pub(crate) async fn flag_as(
    place: &Place,
    lease: &Lease,
    id: &str,
    selector: DeviceSelector,
    hours: u64,
) -> Result<()> {
    let revision = revision(&*place.store).await?;
    let mut refresh = flags(lease, revision, id, selector);
    refresh.change.at = at() + Duration::from_hours(hours);
    if let Some((cause, _)) = &mut refresh.flags {
        cause.at = refresh.change.at;
    }
    flag(&*place.store, refresh).await?;
    Ok(())
}

pub(crate) async fn the_first_cause_starts_the_clock_and_the_newest_32_stay_open(
    place: &Place,
) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let lease = acquire(place, LONG).await?;
    work(place, &keys("event", ["sw2"]), devices([unsynchronize("sw2")])).await?;
    let mut pushes = Vec::new();
    for number in 1..=40 {
        let id = format!("push {number}");
        // Alternately by name and by type: both keep the limit.
        let selector = if number % 2 == 0 {
            named(["sw1", "sw2"])
        } else {
            DeviceSelector {
                device_types: [DeviceType::ACCESS].into(),
                ..DeviceSelector::default()
            }
        };
        flag_as(place, &lease, &id, selector, number).await?;
        pushes.push(id);
        if ![1, 31, 32, 33, 40].contains(&number) {
            continue;
        }
        let began = Duration::from_hours(1);
        for (name, before, since) in [("sw1", vec![], at() + began), ("sw2", vec!["event"], at())] {
            let device = device(place, name).await?;
            ensure!(
                device.sync.since == Some(since),
                "{name} after {number}: {device:?}"
            );
            let all: Vec<&str> = before
                .into_iter()
                .chain(pushes.iter().map(String::as_str))
                .collect();
            let open = messages(place, &device).await?;
            ensure!(
                open == all[all.len().saturating_sub(32)..],
                "{name} after {number}: {open:?}"
            );
        }
    }
    let events = messages_with_causes(place).await?;
    ensure!(
        events.len() == 41,
        "one row per cause, however many devices it flags: {events:?}"
    );
    Ok(())
}

pub(crate) async fn the_first_thousand_are_named_and_all_are_counted(place: &Place) -> Result<()> {
    let mut names: Vec<String> = (0..2996).map(|n| format!("sw-{n}")).collect();
    // Locales sort these names differently.
    names.extend(["SW-A", "Sw-B", "sw.1", "sw1"].map(str::to_owned));
    create_all(place, &names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    names.sort_unstable();
    let lease = acquire(place, LONG).await?;
    let by_type = || DeviceSelector {
        device_types: [DeviceType::ACCESS].into(),
        ..DeviceSelector::default()
    };
    let predicate = DeviceSelector {
        predicate: Some(Arc::new(|_| true)),
        ..DeviceSelector::default()
    };
    let by_name = named(names.iter().map(String::as_str));
    for (number, selector) in (0..).zip([by_type(), predicate, by_name]) {
        let flagged = flag(
            &*place.store,
            flags(&lease, number, &number.to_string(), selector),
        )
        .await?;
        ensure!(flagged.concerned == 3000, "{}", flagged.concerned);
        let flips = if number == 0 { 3000 } else { 0 };
        ensure!(flagged.flipped == flips, "{}", flagged.flipped);
        let listed: Vec<&str> = flagged.devices.iter().map(Hostname::as_str).collect();
        ensure!(listed == names[..MAX_DEVICES]);
    }
    let raised = place.probe.texts(
        "SELECT CAST(count(*) AS text) FROM device WHERE desired_generation = 4 AND synced_generation = 1",
    );
    ensure!(raised.await? == ["3000"]);
    Ok(())
}
