//! Links that are added and removed, by messages in any order.

use anyhow::{Context, Result, ensure};
use lockstep_protocol::InterfaceAddress;
use lockstep_store::{Keys, Link, LinkAddresses, LinkRow};

use super::device_names::{rename_all, version};
use super::related::{end, linked};
use super::{Place, create_all, hostname, keys, work};

fn link() -> Link {
    Link::between(end("sw1", "Ethernet1"), end("sw2", "Ethernet1"))
}

async fn known(place: &Place, of: &str) -> Result<LinkRow> {
    let asked = Keys {
        links_of: [hostname(of)].into(),
        ..Keys::default()
    };
    let (facts, transaction) = place.store.begin(&[], &asked).await?;
    drop(transaction);
    facts.link(&link()).cloned().context("a link")
}

/// The newest version is kept, also by a message without one; handlers compare it with theirs.
pub(crate) async fn a_removed_link_is_remembered_with_its_version(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let steps = [
        (true, Some("2"), Some("2")),
        (false, Some("4"), Some("4")),
        (true, None, Some("4")),
        (false, Some("5"), Some("5")),
        (false, Some("6"), Some("6")),
    ];
    for (index, (present, with, expected)) in steps.into_iter().enumerate() {
        let asked = Keys {
            links_of: [hostname("sw1"), hostname("sw2")].into(),
            ..keys(&format!("message {index}"), ["sw1", "sw2"])
        };
        work(place, &asked, linked(&link(), present, with.map(version))).await?;
        for name in ["sw1", "sw2"] {
            let row = known(place, name).await?;
            let expected = LinkRow {
                present,
                version: expected.map(version),
                added: Some(version("2")),
                addresses: [None, None],
                addressed: None,
                changed: false,
            };
            ensure!(row == expected, "{index} {name}: {row:?}");
        }
        let removed = place
            .probe
            .texts("SELECT 'removed' FROM linknet WHERE removed_at IS NOT NULL AND NOT present")
            .await?;
        ensure!(removed.is_empty() == present, "{index}: {removed:?}");
    }
    ensure!(place.probe.texts("SELECT 'link' FROM linknet").await?.len() == 1);
    Ok(())
}

/// In the order of the ends of the link, also after a device was renamed.
pub(crate) async fn a_link_has_the_addresses_of_the_newest_message_that_says_any(
    place: &Place,
) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let addresses = |first: &str, second: &str| -> LinkAddresses {
        [first, second].map(|text| InterfaceAddress::try_from(text.to_owned()).ok())
    };
    let (old, new) = (
        addresses("10.0.0.0/31", "10.0.0.1/31"),
        addresses("10.9.0.0/31", ""),
    );
    for (index, (with, said, expected, by)) in [
        ("2", None, [None, None], None),
        ("4", Some(new.clone()), new.clone(), Some("4")),
        ("3", Some(old.clone()), new.clone(), Some("4")),
        ("5", None, new.clone(), Some("4")),
        ("7", Some(old.clone()), old.clone(), Some("7")),
    ]
    .into_iter()
    .enumerate()
    {
        let asked = Keys {
            links_of: [hostname("sw1")].into(),
            ..keys(&format!("message {index}"), ["sw1", "sw2"])
        };
        let mut effects = linked(&link(), true, Some(version(with)));
        effects.links[0].addresses = said;
        work(place, &asked, effects).await?;
        for name in ["sw1", "sw2"] {
            let row = known(place, name).await?;
            ensure!(
                row.addresses == expected && row.addressed == by.map(version),
                "{index} {name}: {row:?}"
            );
        }
    }
    rename_all(place, "rename", &[("sw1", "zz1")]).await?;
    let asked = Keys {
        links_of: [hostname("sw2")].into(),
        ..keys("after", ["sw2", "zz1"])
    };
    let (facts, transaction) = place.store.begin(&[], &asked).await?;
    drop(transaction);
    let renamed = Link::between(end("zz1", "Ethernet1"), end("sw2", "Ethernet1"));
    ensure!(renamed.a().hostname == hostname("sw2"));
    let row = facts.link(&renamed).context("the link")?;
    ensure!(
        row.addresses == addresses("10.0.0.1/31", "10.0.0.0/31"),
        "{row:?}"
    );
    Ok(())
}

/// A message removes a link before an older one adds it: its interfaces are created for it.
pub(crate) async fn a_link_that_was_never_known_is_removed(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    work(
        place,
        &keys("1", ["sw1", "sw2"]),
        linked(&link(), false, Some(version("1"))),
    )
    .await?;
    let row = known(place, "sw1").await?;
    ensure!(!row.present && row.version == Some(version("1")), "{row:?}");
    // Both interfaces may be of one device.
    let own = Link::between(end("sw1", "Ethernet7"), end("sw1", "Ethernet8"));
    work(place, &keys("2", ["sw1"]), linked(&own, true, Some(version("2")))).await?;
    let asked = Keys {
        links_of: [hostname("sw1")].into(),
        ..keys("3", ["sw1"])
    };
    let (facts, transaction) = place.store.begin(&[], &asked).await?;
    drop(transaction);
    let name = hostname("sw1");
    let links: Vec<&Link> = facts.links_of(&name).collect();
    ensure!(links == [&own], "{links:?}");
    ensure!(
        facts.device(&hostname("sw2")).is_none(),
        "the end of a removed link"
    );
    Ok(())
}
