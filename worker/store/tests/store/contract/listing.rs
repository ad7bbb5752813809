use std::collections::{BTreeSet, HashMap};

use anyhow::{Result, bail, ensure};
use lockstep_protocol::{DeviceState, DeviceType, GroupName};
use lockstep_store::{Attributes, CauseId, DeviceEffect, DeviceQuery};

use super::{Place, create, create_all, devices, hostname, keys, message, unsynchronize, work};

async fn names(place: &Place, query: DeviceQuery) -> Result<Vec<String>> {
    let devices = place.store.devices(&query).await?;
    Ok(devices
        .into_iter()
        .map(|device| device.hostname.to_string())
        .collect())
}

pub(crate) async fn pages_go_through_all_devices_in_order_of_bytes(place: &Place) -> Result<()> {
    let mut expected: Vec<String> = (0..2496).map(|n| format!("sw-{n}")).collect();
    // Locales sort these names differently.
    expected.extend(["SW-A", "Sw-B", "sw.1", "sw1"].map(str::to_owned));
    create_all(place, &expected.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    expected.sort_unstable();

    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = names(
            place,
            DeviceQuery {
                after,
                limit: 400,
                ..DeviceQuery::default()
            },
        )
        .await?;
        let Some(last) = page.last() else {
            break;
        };
        ensure!(page.len() <= 400);
        after = Some(hostname(last));
        found.extend(page);
    }
    ensure!(found == expected);
    ensure!(
        names(place, DeviceQuery::default()).await?.is_empty(),
        "a limit of none"
    );
    Ok(())
}

pub(crate) async fn filters_choose_devices(place: &Place) -> Result<()> {
    create_all(place, &["a", "b", "c"]).await?;
    let group = GroupName::try_from("Lund".to_owned())?;
    let core = DeviceEffect::Create {
        hostname: hostname("d"),
        attributes: Attributes::of(DeviceType::CORE),
        state: DeviceState::Unmanaged,
        version: None,
    };
    let join = |name| DeviceEffect::Join {
        hostname: hostname(name),
        groups: BTreeSet::from([group.clone()]),
    };
    let effects = devices([core, join("b"), join("d"), unsynchronize("b"), unsynchronize("c")]);
    work(place, &keys("2", ["a", "b", "c", "d"]), effects).await?;

    let all = DeviceQuery {
        limit: 10,
        ..DeviceQuery::default()
    };
    let table = [
        (all.clone(), vec!["a", "b", "c", "d"]),
        (
            DeviceQuery {
                synchronized: Some(true),
                ..all.clone()
            },
            vec!["a", "d"],
        ),
        (
            DeviceQuery {
                synchronized: Some(false),
                ..all.clone()
            },
            vec!["b", "c"],
        ),
        (
            DeviceQuery {
                state: Some(DeviceState::Unmanaged),
                ..all.clone()
            },
            vec!["d"],
        ),
        (
            DeviceQuery {
                device_type: Some(DeviceType::ACCESS),
                ..all.clone()
            },
            vec!["a", "b", "c"],
        ),
        (
            DeviceQuery {
                group: Some(group.clone()),
                ..all.clone()
            },
            vec!["b", "d"],
        ),
        (
            DeviceQuery {
                group: Some(group),
                synchronized: Some(false),
                ..all.clone()
            },
            vec!["b"],
        ),
        (
            DeviceQuery {
                after: Some(hostname("b")),
                limit: 1,
                ..all
            },
            vec!["c"],
        ),
    ];
    for (query, expected) in table {
        let found = names(place, query.clone()).await?;
        ensure!(found == expected, "{query:?}: {found:?}");
        if query.after.is_none() {
            let count = place.store.count_devices(&query).await?;
            ensure!(count == expected.len() as u64, "{query:?}: {count}");
        }
    }
    Ok(())
}

/// The first page of a filter is read in another way than later ones.
pub(crate) async fn pages_of_a_filter_follow_each_other_and_are_counted(place: &Place) -> Result<()> {
    create_all(place, &["a", "b", "c", "d", "e"]).await?;
    let flags = devices(["a", "c", "d", "e"].map(unsynchronize));
    work(place, &keys("2", ["a", "c", "d", "e"]), flags).await?;
    let mut query = DeviceQuery {
        synchronized: Some(false),
        limit: 2,
        ..DeviceQuery::default()
    };
    for expected in [&["a", "c"][..], &["d", "e"], &[]] {
        let page = names(place, query.clone()).await?;
        ensure!(page == expected, "{query:?}: {page:?}");
        let count = place.store.count_devices(&query).await?;
        ensure!(
            count == 4,
            "neither the page nor its limit changes the count: {count}"
        );
        query.after = page.last().map(|name| hostname(name));
    }
    Ok(())
}

pub(crate) async fn one_device_is_found_by_name(place: &Place) -> Result<()> {
    work(
        place,
        &keys("1", ["sw1"]),
        devices([create("sw1"), unsynchronize("sw1")]),
    )
    .await?;
    let all = DeviceQuery {
        limit: 10,
        ..DeviceQuery::default()
    };
    let found = place.store.device(&hostname("sw1")).await?;
    ensure!(found.as_ref() == place.store.devices(&all).await?.first());
    ensure!(
        place.store.device(&hostname("SW1")).await?.is_none(),
        "hostnames differ by case"
    );
    Ok(())
}

pub(crate) async fn groups_and_causes_of_many_devices_are_read_at_once(place: &Place) -> Result<()> {
    create_all(place, &["a", "b", "c"]).await?;
    let group = |name: &str| GroupName::try_from(name.to_owned());
    let (lund, umea) = (group("Lund")?, group("Umeå")?);
    let join = |name, groups: &[&GroupName]| DeviceEffect::Join {
        hostname: hostname(name),
        groups: groups.iter().copied().cloned().collect(),
    };
    let effects = devices([
        join("a", &[&umea, &lund]),
        join("b", &[&lund]),
        unsynchronize("a"),
        unsynchronize("b"),
    ]);
    work(place, &keys("2", ["a", "b", "c"]), effects).await?;
    work(place, &keys("3", ["b"]), devices([unsynchronize("b")])).await?;

    let all = DeviceQuery {
        limit: 10,
        ..DeviceQuery::default()
    };
    let found = place.store.devices(&all).await?;
    let [a, b, c] = &found[..] else { bail!("{found:?}") };
    let groups = place.store.groups_of(&[c.id, b.id, a.id]).await?;
    let expected = HashMap::from([(a.id, vec![lund.clone(), umea]), (b.id, vec![lund])]);
    ensure!(groups == expected, "{groups:?}");
    ensure!(place.store.groups_of(&[]).await?.is_empty());

    ensure!(a.open_causes == b.open_causes[..1] && b.open_causes.len() == 2);
    let causes = place.store.causes(&b.open_causes).await?;
    ensure!(
        causes.len() == 2 && causes[&b.open_causes[1]].identity == message("3"),
        "{causes:?}"
    );
    let unknown = place.store.causes(&[CauseId(i64::MAX), a.open_causes[0]]).await?;
    ensure!(unknown.keys().eq(&a.open_causes), "{unknown:?}");
    ensure!(place.store.causes(&[]).await?.is_empty());
    Ok(())
}
