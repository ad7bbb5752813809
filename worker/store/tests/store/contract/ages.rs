//! How old flags and states are, and what belongs to a device.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use lockstep_protocol::rest::AgeOf;
use lockstep_protocol::{DeviceState, DeviceType, GroupName, Kind};
use lockstep_store::{
    AgeQuery, AgedDevice, Ages, Attributes, ClientRow, DeviceCount, DeviceEffect, Effects, Hostnames, Link,
    LinkChange, LinkEnd, LinkedInterface, Origin, Surroundings,
};
use serde_json::json;

use super::leases::{LONG, acquire};
use super::management_domains::{changed, domain};
use super::selector::flag_as;
use super::{Place, at, create, create_all, devices, hostname, keys, mac, message, row, unsynchronize, work};

/// Processes one message as if so many minutes ago by the store's clock.
async fn ago(place: &Place, minutes: u64, id: &str, effects: Vec<DeviceEffect>) -> Result<()> {
    let at = place.store.now().await? - Duration::from_mins(minutes);
    let names: Vec<String> = effects
        .iter()
        .map(|effect| effect.hostname().to_string())
        .collect();
    let keys = keys(id, names.iter().map(String::as_str));
    let (mut facts, transaction) = place.store.begin(&[], &keys).await?;
    let identity = message(id);
    let from = Origin {
        identity: &identity,
        kind: Kind::DeviceStateChanged,
        actor: None,
        at,
        reply: None,
    };
    facts.absorb(devices(effects), &from);
    facts.record(row(identity));
    Ok(transaction.commit(&facts).await?)
}

fn moved(name: &str, state: DeviceState, until: Option<Timestamp>) -> DeviceEffect {
    DeviceEffect::Move {
        hostname: hostname(name),
        state,
        note: Some(format!("the note of {name}")),
        until,
        version: None,
    }
}

fn query(of: AgeOf) -> AgeQuery {
    AgeQuery {
        of,
        device_type: None,
        group: None,
        warning: Duration::from_mins(30),
        critical: Duration::from_hours(1),
        limit: 10,
    }
}

/// Hostnames with their ages in whole minutes.
fn named(list: &[AgedDevice], at: Timestamp) -> Vec<(&str, Option<i64>)> {
    let minutes = |since: Timestamp| at.duration_since(since).as_mins();
    list.iter()
        .map(|aged| (aged.device.hostname.as_str(), aged.since.map(minutes)))
        .collect()
}

/// The devices that match, that are in the state, that have an age, and that are over each threshold.
fn counts(ages: &Ages) -> [u64; 5] {
    [
        ages.matching,
        ages.in_state,
        ages.aged,
        ages.over_warning,
        ages.over_critical,
    ]
}

pub(crate) async fn a_synchronized_device_that_was_never_compared_is_as_old_as_its_state(
    place: &Place,
) -> Result<()> {
    create_all(place, &["fine", "flagged", "left", "back"]).await?;
    ago(place, 10, "flag", vec![unsynchronize("flagged")]).await?;
    ago(
        place,
        90,
        "left",
        vec![moved("left", DeviceState::Unmanaged, None)],
    )
    .await?;
    for (minutes, state) in [(90, DeviceState::Unmanaged), (40, DeviceState::Managed)] {
        ago(
            place,
            minutes,
            &format!("{minutes}"),
            vec![moved("back", state, None)],
        )
        .await?;
    }
    let ages = place.store.ages(&query(AgeOf::Unchecked)).await?;
    ensure!(ages.in_state == 3 && ages.aged == 2, "{ages:?}");
    let back = named(&ages.oldest, ages.at);
    ensure!(back.contains(&("back", Some(40))), "{back:?}");
    ensure!(
        !back.iter().any(|(name, _)| ["flagged", "left"].contains(name)),
        "{back:?}"
    );
    Ok(())
}

pub(crate) async fn managed_devices_are_as_old_as_their_flag(place: &Place) -> Result<()> {
    let of = AgeOf::Unsynchronized;
    let none = place.store.ages(&query(of)).await?;
    ensure!(
        counts(&none) == [0; 5] && none.oldest.is_empty() && none.expired == 0,
        "{none:?}"
    );

    create_all(place, &["fine", "young", "warned", "old", "left", "back"]).await?;
    for (minutes, name) in [
        (10, "young"),
        (31, "warned"),
        (90, "old"),
        (200, "left"),
        (300, "back"),
    ] {
        ago(place, minutes, &format!("flag {name}"), vec![unsynchronize(name)]).await?;
    }
    ago(place, 5, "again", vec![unsynchronize("old")]).await?;
    for name in ["left", "back"] {
        let away = moved(name, DeviceState::Unmanaged, None);
        ago(place, 150, &format!("away {name}"), vec![away]).await?;
    }
    ago(place, 20, "back", vec![moved("back", DeviceState::Managed, None)]).await?;

    let ages = place.store.ages(&query(of)).await?;
    ensure!(counts(&ages) == [6, 5, 4, 2, 1], "{ages:?}");
    let expected = [
        ("old", Some(90)),
        ("warned", Some(31)),
        ("back", Some(20)),
        ("young", Some(10)),
    ];
    ensure!(named(&ages.oldest, ages.at) == expected, "{:?}", ages.oldest);
    ensure!(ages.oldest[0].device.open_causes.len() == 2, "{:?}", ages.oldest);
    let two = AgeQuery {
        limit: 2,
        warning: Duration::ZERO,
        critical: Duration::MAX,
        ..query(of)
    };
    let ages = place.store.ages(&two).await?;
    ensure!(counts(&ages) == [6, 5, 4, 4, 0], "{ages:?}");
    ensure!(named(&ages.oldest, ages.at) == expected[..2], "{:?}", ages.oldest);
    Ok(())
}

pub(crate) async fn unmanaged_devices_are_as_old_as_their_state(place: &Place) -> Result<()> {
    let of = AgeOf::Unmanaged;
    create_all(place, &["managed", "young", "old", "older"]).await?;
    for (minutes, name) in [(40, "young"), (90, "old"), (100, "older")] {
        let away = moved(name, DeviceState::Unmanaged, None);
        ago(place, minutes, &format!("away {name}"), vec![away]).await?;
    }
    // Another note is no other state.
    ago(place, 1, "note", vec![moved("old", DeviceState::Unmanaged, None)]).await?;
    let ages = place.store.ages(&query(of)).await?;
    ensure!(counts(&ages) == [4, 3, 3, 3, 2], "{ages:?}");
    let expected = [("older", Some(100)), ("old", Some(90)), ("young", Some(40))];
    ensure!(named(&ages.oldest, ages.at) == expected, "{:?}", ages.oldest);
    let note = ages.oldest[0].device.lifecycle.note.as_deref();
    ensure!(note == Some("the note of older"), "{note:?}");
    let summary = place.store.summary().await?;
    let unmanaged = summary
        .devices
        .iter()
        .find(|found| found.state == DeviceState::Unmanaged);
    let since = unmanaged.context("a state")?.state_since;
    ensure!(since == ages.oldest[0].since, "{summary:?}");

    // As if it had moved before the store recorded when.
    place
        .probe
        .texts("UPDATE device SET state_since = NULL WHERE hostname = 'older'")
        .await?;
    let ages = place.store.ages(&query(of)).await?;
    ensure!(counts(&ages) == [4, 3, 3, 2, 1], "{ages:?}");
    let expected = [("old", Some(90)), ("young", Some(40)), ("older", Some(0))];
    ensure!(named(&ages.oldest, ages.at) == expected, "{:?}", ages.oldest);
    Ok(())
}

pub(crate) async fn what_should_have_ended_is_expired_in_any_state(place: &Place) -> Result<()> {
    create_all(place, &["a", "b", "c", "d"]).await?;
    let now = place.store.now().await?;
    let past = |minutes| Some(now - Duration::from_mins(minutes));
    let effects = vec![
        moved("a", DeviceState::Unmanaged, past(5)),
        moved("b", DeviceState::Init, past(50)),
        moved("c", DeviceState::Unmanaged, Some(now + Duration::from_hours(1))),
        moved("d", DeviceState::Unmanaged, None),
    ];
    ago(place, 120, "move", effects).await?;
    for of in [AgeOf::Unmanaged, AgeOf::Unsynchronized] {
        let ages = place.store.ages(&query(of)).await?;
        let age = (of == AgeOf::Unmanaged).then_some(120);
        let found = named(&ages.longest_expired, ages.at);
        ensure!(
            ages.expired == 2 && found == [("b", None), ("a", age)],
            "{ages:?}"
        );
    }
    let one = AgeQuery {
        limit: 1,
        ..query(AgeOf::Unmanaged)
    };
    let ages = place.store.ages(&one).await?;
    ensure!(ages.expired == 2 && ages.longest_expired.len() == 1, "{ages:?}");
    let summary = place.store.summary().await?;
    let expired = summary.devices.iter().map(|found| (found.state, found.expired));
    let expected = [(DeviceState::Init, 1), (DeviceState::Unmanaged, 1)];
    ensure!(expired.eq(expected), "{summary:?}");
    Ok(())
}

pub(crate) async fn filters_choose_whose_age_counts(place: &Place) -> Result<()> {
    let campus = GroupName::try_from("campus".to_owned())?;
    let core = DeviceEffect::Create {
        hostname: hostname("core"),
        attributes: Attributes::of(DeviceType::CORE),
        state: DeviceState::Managed,
        version: None,
    };
    let join = DeviceEffect::Join {
        hostname: hostname("core"),
        groups: BTreeSet::from([campus.clone()]),
    };
    ago(place, 200, "create", vec![create("access"), core, join]).await?;
    ago(
        place,
        90,
        "flag",
        vec![unsynchronize("access"), unsynchronize("core")],
    )
    .await?;
    let counted = place.store.device_counts().await?;
    let managed = |device_type| DeviceCount {
        device_type,
        state: DeviceState::Managed,
        devices: 1,
        unsynchronized: 1,
    };
    ensure!(
        counted == [managed(DeviceType::ACCESS), managed(DeviceType::CORE)],
        "{counted:?}"
    );
    let of_type = |device_type| AgeQuery {
        device_type: Some(device_type),
        ..query(AgeOf::Unsynchronized)
    };
    let of_group = |group| AgeQuery {
        group: Some(group),
        ..query(AgeOf::Unsynchronized)
    };
    for (query, expected) in [
        (of_type(DeviceType::ACCESS), vec![("access", Some(90))]),
        (of_type(DeviceType::DIST), vec![]),
        (of_group(campus), vec![("core", Some(90))]),
        (of_group(GroupName::try_from("nobody".to_owned())?), vec![]),
        (
            of_group(GroupName::try_from("DEFAULT".to_owned())?),
            vec![("access", Some(90)), ("core", Some(90))],
        ),
    ] {
        let ages = place.store.ages(&query).await?;
        ensure!(counts(&ages) == [expected.len() as u64; 5], "{query:?}: {ages:?}");
        ensure!(named(&ages.oldest, ages.at) == expected, "{query:?}: {ages:?}");
    }
    Ok(())
}

pub(crate) async fn broad_causes_start_the_clock(place: &Place) -> Result<()> {
    create_all(place, &["a", "b"]).await?;
    let lease = acquire(place, LONG).await?;
    let selector = lockstep_store::DeviceSelector {
        device_types: [DeviceType::ACCESS].into(),
        ..lockstep_store::DeviceSelector::default()
    };
    flag_as(place, &lease, "1", selector, 3).await?;
    ago(place, 10, "2", vec![unsynchronize("b")]).await?;
    let now = place.store.now().await?;
    let hours = |hours| at() + Duration::from_hours(hours);
    let exactly = AgeQuery {
        warning: now.duration_since(hours(3)).unsigned_abs(),
        critical: now.duration_since(hours(2)).unsigned_abs(),
        ..query(AgeOf::Unsynchronized)
    };
    let ages = place.store.ages(&exactly).await?;
    ensure!(counts(&ages) == [2, 2, 2, 2, 0], "{ages:?}");
    let since: Vec<_> = ages.oldest.iter().map(|aged| aged.since).collect();
    ensure!(since == [Some(hours(3)); 2], "{ages:?}");
    let causes: Vec<_> = ages
        .oldest
        .iter()
        .map(|aged| aged.device.open_causes.len())
        .collect();
    ensure!(causes == [1, 2], "{ages:?}");
    Ok(())
}

pub(crate) async fn what_belongs_to_a_device_and_where_its_links_lead(place: &Place) -> Result<()> {
    let read = async |name: &str| place.store.surroundings(&hostname(name)).await;
    ensure!(read("sw1").await?.is_none());
    create_all(place, &["sw1", "sw2", "sw3", "ap1"]).await?;
    ensure!(read("sw1").await? == Some(Surroundings::default()));
    let data = json!({"infra_ip": "10.199.1.1"});
    let data = data.as_object().cloned().context("an object")?;
    let end = |name: &str, port: &str| LinkEnd {
        hostname: hostname(name),
        interface: port.to_owned().try_into().expect("an interface"),
    };
    let link = |one, other, present| LinkChange {
        link: Link::between(one, other),
        present,
        version: None,
        addresses: None,
    };
    let mut effects = Effects {
        devices: vec![DeviceEffect::Describe {
            hostname: hostname("ap1"),
            attributes: Attributes {
                controller: Some(hostname("sw1")),
                ..Attributes::of(DeviceType::ACCESS)
            },
        }],
        links: vec![
            link(end("sw1", "e1"), end("sw3", "e1"), true),
            link(end("sw2", "e2"), end("sw1", "e2"), true),
            link(end("sw2", "e3"), end("sw1", "e3"), true),
            link(end("sw1", "e4"), end("sw1", "e5"), true),
            link(end("sw1", "e6"), end("ap1", "e1"), false),
        ],
        clients: vec![ClientRow {
            mac: mac("aa:bb:cc:00:00:01"),
            name: None,
            ip: None,
            interface: Some(end("sw1", "e7")),
            group: None,
        }],
        ..changed(4, Some(domain(4, "sw2", "sw1")), "2")
    };
    effects.links[1].addresses =
        Some(["10.0.0.0/31", "10.0.0.1/31"].map(|text| text.to_owned().try_into().ok()));
    effects.devices.push(DeviceEffect::SetData {
        hostname: hostname("sw1"),
        data: data.clone(),
    });
    work(place, &keys("2", ["ap1", "sw1"]), effects).await?;
    let linked = |interface: &str, address: Option<&str>, name: &str, port: &str, other: Option<&str>| {
        let [here, there] = [end("sw1", interface), end(name, port)];
        LinkedInterface {
            interface: here.interface,
            address: address.map(str::to_owned),
            neighbor: there.hostname,
            neighbor_interface: there.interface,
            neighbor_address: other.map(str::to_owned),
        }
    };
    let names = |names: &[&str]| Hostnames {
        count: names.len() as u64,
        first: names.iter().map(|name| hostname(name)).collect(),
    };
    let expected = Surroundings {
        interfaces: 7,
        clients: 1,
        links: 4,
        neighbors: names(&["sw2", "sw3"]),
        controlled: names(&["ap1"]),
        linked: vec![
            linked("e1", None, "sw3", "e1", None),
            linked("e2", Some("10.0.0.0/31"), "sw2", "e2", Some("10.0.0.1/31")),
            linked("e3", None, "sw2", "e3", None),
            linked("e4", None, "sw1", "e5", None),
            linked("e5", None, "sw1", "e4", None),
        ],
        management_domains: vec![domain(4, "sw2", "sw1")],
        data,
    };
    let found = read("sw1").await?;
    ensure!(found == Some(expected), "{found:?}");
    let found = read("sw3").await?.context("sw3")?;
    ensure!(
        (found.interfaces, found.links) == (1, 1) && found.neighbors == names(&["sw1"]),
        "{found:?}"
    );
    Ok(())
}
