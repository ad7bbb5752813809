use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use lockstep_protocol::rest::DeviceView;
use lockstep_protocol::{Cause, CommitId, Kind, RepositoryName};
use lockstep_store::{
    Advance, Changed, DeviceQuery, DeviceSelector, Flagged, Flags, InboxRow, Lease, NewCause,
    RepositoryChange, RepositoryRow, StoreError,
};

use super::leases::{LONG, NO_TIME, acquire};
use super::{Place, Store, at, create_all, devices, hostname, keys, message, row, unsynchronize, work};

pub(crate) fn settings() -> RepositoryName {
    RepositoryName::try_from("settings".to_owned()).expect("a name")
}

fn commit(digit: char) -> CommitId {
    String::from(digit).repeat(40).parse().expect("a commit")
}

/// A sync that saw a commit and changes nothing else.
pub(crate) fn look(lease: &Lease, revision: i64) -> RepositoryChange {
    RepositoryChange {
        lease: lease.clone(),
        name: settings(),
        branch: "main".to_owned(),
        revision,
        seen: commit('a'),
        at: at(),
        problem: None,
        advance: None,
        completions: Arc::new(|_| Vec::new()),
    }
}

/// A sync that accepts a commit and flags devices, for one message.
pub(crate) fn flags(lease: &Lease, revision: i64, id: &str, selector: DeviceSelector) -> RepositoryChange {
    let inbox = row(message(id));
    RepositoryChange {
        advance: Some(Advance {
            commit: commit('a'),
            listing: Arc::new(b"listing".to_vec()),
            flags: Some(Flags {
                cause: cause(id, at()),
                selector,
            }),
        }),
        completions: Arc::new(move |_| vec![inbox.clone().into()]),
        ..look(lease, revision)
    }
}

fn cause(id: &str, at: Timestamp) -> NewCause {
    NewCause {
        cause: Cause::RefreshSettings,
        identity: message(id),
        kind: Kind::RepositoryChanged,
        actor: Some("gitlab".to_owned()),
        at,
    }
}

pub(crate) fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> DeviceSelector {
    DeviceSelector {
        hostnames: names.into_iter().map(hostname).collect(),
        ..DeviceSelector::default()
    }
}

pub(crate) async fn revision(store: &dyn Store) -> Result<i64, StoreError> {
    let row = store.repository(&settings()).await?;
    Ok(row.map_or(0, |row| row.revision))
}

/// Commits a change and returns the flagged devices.
pub(crate) async fn flag(store: &dyn Store, change: RepositoryChange) -> Result<Flagged> {
    let flagged = Arc::new(Mutex::new(None));
    let (make, keep) = (change.completions.clone(), flagged.clone());
    let change = RepositoryChange {
        completions: Arc::new(move |flagged| {
            *keep.lock().expect("no panic") = Some(flagged.clone());
            make(flagged)
        }),
        ..change
    };
    match store.change(&change).await? {
        Changed::Committed => flagged.lock().expect("no panic").take().context("no rows"),
        other => bail!("{other:?}"),
    }
}

pub(crate) async fn device(place: &Place, name: &str) -> Result<DeviceView> {
    place.store.device(&hostname(name)).await?.context("the device")
}

/// The content of all tables that a change may write.
#[derive(Debug, PartialEq)]
struct Everything {
    repositories: Vec<RepositoryRow>,
    listing: Option<Vec<u8>>,
    devices: Vec<DeviceView>,
    causes: Vec<String>,
    messages: Vec<String>,
}

async fn everything(place: &Place) -> Result<Everything> {
    let all = DeviceQuery {
        limit: 100,
        ..DeviceQuery::default()
    };
    Ok(Everything {
        repositories: place.other.repositories().await?,
        listing: place.other.listing(&settings()).await?,
        devices: place.other.devices(&all).await?,
        causes: place
            .probe
            .texts("SELECT message_id FROM cause ORDER BY 1")
            .await?,
        messages: place.probe.texts("SELECT id FROM inbox ORDER BY 1").await?,
    })
}

pub(crate) async fn a_change_commits_all_of_it_together(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let lease = acquire(place, LONG).await?;
    let flagged = flag(&*place.store, flags(&lease, 0, "push", named(["sw1"]))).await?;
    ensure!(flagged.concerned == 1 && flagged.flipped == 1 && flagged.devices == [hostname("sw1")]);

    let row = place
        .other
        .repository(&settings())
        .await?
        .context("the repository")?;
    let expected = RepositoryRow {
        name: settings(),
        branch: "main".to_owned(),
        revision: 1,
        accepted: Some((commit('a'), at())),
        seen: commit('a'),
        seen_at: at(),
        problem: None,
    };
    ensure!(row == expected, "{row:?}");
    ensure!(place.other.repositories().await? == std::slice::from_ref(&expected));
    ensure!(place.other.listing(&settings()).await?.as_deref() == Some(&b"listing"[..]));
    ensure!(place.other.outcome(&message("push")).await?.is_some());
    let flagged = device(place, "sw1").await?;
    ensure!(!flagged.synchronized && flagged.unsynchronized_since == Some(at()));
    let [cause] = &flagged.causes[..] else {
        bail!("{flagged:?}")
    };
    ensure!(cause.cause == "refresh_settings" && cause.event == "lockstep.repository.changed");
    ensure!(cause.id == "push" && cause.by.as_deref() == Some("gitlab") && cause.at == at());
    ensure!(device(place, "sw2").await?.synchronized);

    // A later sync without acceptance keeps the accepted commit.
    let broken = RepositoryChange {
        seen: commit('b'),
        branch: "release".to_owned(),
        problem: Some("no\u{0}t YAML".to_owned()),
        ..look(&lease, 1)
    };
    ensure!(place.store.change(&broken).await? == Changed::Committed);
    let row = place
        .other
        .repository(&settings())
        .await?
        .context("the repository")?;
    ensure!(row.accepted == expected.accepted && row.revision == 2 && row.seen == commit('b'));
    ensure!(row.branch == "release", "{row:?}");
    ensure!(
        row.problem
            .as_deref()
            .is_some_and(|problem| problem.ends_with("t YAML")),
        "{row:?}"
    );
    ensure!(place.other.listing(&settings()).await?.as_deref() == Some(&b"listing"[..]));
    Ok(())
}

pub(crate) async fn under_a_lost_lease_nothing_is_written(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let late = acquire(place, NO_TIME).await?;
    let before = everything(place).await?;
    let tried = place
        .store
        .change(&flags(&late, 0, "late", named(["sw1"])))
        .await?;
    ensure!(tried == Changed::LeaseLost, "{tried:?}");
    ensure!(everything(place).await? == before);

    let holder = acquire(place, LONG).await?;
    ensure!(holder.fence > late.fence);
    let tried = place
        .other
        .change(&flags(&late, 0, "late", named(["sw1"])))
        .await?;
    ensure!(tried == Changed::LeaseLost, "{tried:?}");
    ensure!(everything(place).await? == before);

    place.store.release(&holder).await?;
    let released = flags(&holder, 0, "late", named(["sw1"]));
    ensure!(place.store.change(&released).await? == Changed::LeaseLost);
    ensure!(everything(place).await? == before);
    Ok(())
}

pub(crate) async fn a_superseded_change_writes_nothing(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let lease = acquire(place, LONG).await?;
    flag(&*place.store, flags(&lease, 0, "push", named(["sw1"]))).await?;
    flag(&*place.store, flags(&lease, 1, "push 2", named(["sw1"]))).await?;
    let before = everything(place).await?;
    for revision in [0, 1, 3] {
        let all = DeviceSelector {
            predicate: Some(Arc::new(|_| true)),
            ..DeviceSelector::default()
        };
        let tried = place.other.change(&flags(&lease, revision, "other", all)).await?;
        ensure!(tried == Changed::Superseded, "{revision}: {tried:?}");
        ensure!(everything(place).await? == before, "{revision}");
    }
    // A refused change leaves no lock and no transaction open.
    flag(&*place.other, flags(&lease, 2, "other", named(["sw1"]))).await?;
    ensure!(device(place, "sw1").await?.desired_generation == 4);
    Ok(())
}

/// Another worker got the message redelivered and processed it first.
pub(crate) async fn a_processed_message_makes_the_change_a_conflict(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    work(place, &keys("push", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    let lease = acquire(place, LONG).await?;
    let before = everything(place).await?;
    let rows: Vec<InboxRow> = ["new", "push"].map(|id| row(message(id))).into();
    let change = RepositoryChange {
        completions: Arc::new(move |_| rows.iter().cloned().map(Into::into).collect()),
        ..flags(&lease, 0, "new", named(["sw1"]))
    };
    for _ in 0..2 {
        let tried = place.store.change(&change).await;
        ensure!(matches!(tried, Err(StoreError::Conflict { .. })), "{tried:?}");
        ensure!(everything(place).await? == before);
    }
    flag(&*place.store, flags(&lease, 0, "new", named(["sw1"]))).await?;
    ensure!(place.other.outcome(&message("new")).await?.is_some());
    Ok(())
}

pub(crate) async fn a_cause_that_hits_nobody_leaves_no_row(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let lease = acquire(place, LONG).await?;
    let no_device = DeviceSelector {
        whole_platforms: ["vrp".to_owned()].into(),
        hostnames: [hostname("sw9")].into(),
        predicate: Some(Arc::new(|_| false)),
        ..DeviceSelector::default()
    };
    for selector in [named(["sw8", "sw9"]), no_device, DeviceSelector::default()] {
        let revision = revision(&*place.store).await?;
        let id = format!("push {revision}");
        let unknown = selector.hostnames.clone();
        let flagged = flag(&*place.store, flags(&lease, revision, &id, selector)).await?;
        let expected = Flagged {
            unknown_hostnames: unknown,
            ..Flagged::default()
        };
        ensure!(flagged == expected, "{flagged:?}");
        ensure!(
            place.store.outcome(&message(&id)).await?.is_some(),
            "the message was processed"
        );
    }
    ensure!(place.probe.texts("SELECT cause FROM cause").await?.is_empty());
    ensure!(device(place, "sw1").await?.synchronized);
    Ok(())
}

pub(crate) async fn a_listing_may_have_any_bytes(place: &Place) -> Result<()> {
    ensure!(place.store.listing(&settings()).await?.is_none());
    let lease = acquire(place, LONG).await?;
    ensure!(place.store.change(&look(&lease, 0)).await? == Changed::Committed);
    ensure!(
        place.store.listing(&settings()).await?.is_none(),
        "nothing is accepted yet"
    );
    let every_byte: Vec<u8> = (0..=255).collect();
    // Large enough for out-of-line storage.
    let large = every_byte.repeat(4000);
    let path = b"100644 blob 0123456789abcdef\tb\xe5d\xff\nname\0".to_vec();
    for listing in [every_byte, large, path, Vec::new()] {
        let revision = revision(&*place.store).await?;
        let advance = Advance {
            commit: commit('c'),
            listing: Arc::new(listing.clone()),
            flags: None,
        };
        let change = RepositoryChange {
            advance: Some(advance),
            ..look(&lease, revision)
        };
        ensure!(place.store.change(&change).await? == Changed::Committed);
        let found = place.other.listing(&settings()).await?;
        ensure!(
            found.as_ref() == Some(&listing),
            "the listing of {} bytes changed",
            listing.len()
        );
    }
    Ok(())
}

pub(crate) async fn repositories_are_listed_by_name(place: &Place) -> Result<()> {
    ensure!(place.store.repositories().await?.is_empty());
    let lease = acquire(place, LONG).await?;
    let names = ["templates", "settings", "Settings"].map(|name| name.to_owned().try_into());
    for name in names {
        let change = RepositoryChange {
            name: name?,
            ..look(&lease, 0)
        };
        ensure!(place.store.change(&change).await? == Changed::Committed);
    }
    let rows = place.other.repositories().await?;
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    ensure!(names == ["Settings", "settings", "templates"], "{names:?}");
    ensure!(rows.iter().all(|row| row.accepted.is_none() && row.revision == 1));
    Ok(())
}
