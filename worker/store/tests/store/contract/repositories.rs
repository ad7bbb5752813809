use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use lockstep_protocol::{Cause, CommitId, Kind, RepositoryName};
use lockstep_store::{
    Advance, Device, DeviceQuery, DeviceSelector, Flagged, InboxRow, Keys, Lease, NewCause, RepositoryChange,
    RepositoryRow, RepositoryState, StoreError,
};

use super::leases::{LONG, NO_TIME, acquire};
use super::{
    Place, Store, at, causes, create_all, devices, hostname, kept_causes, key, keys, message,
    messages_with_causes, row, unsynchronize, work,
};

pub(crate) fn settings() -> RepositoryName {
    RepositoryName::try_from("settings".to_owned()).expect("a name")
}

fn commit(digit: char) -> CommitId {
    String::from(digit).repeat(40).parse().expect("a commit")
}

/// A refresh that is committed as the repositories lane does it.
#[derive(Clone)]
pub(crate) struct Refresh {
    pub(crate) lease: Lease,
    pub(crate) change: RepositoryChange,
    pub(crate) flags: Option<(NewCause, DeviceSelector)>,
    pub(crate) rows: Vec<InboxRow>,
}

/// How a refresh ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Committed,
    LeaseLost,
    Superseded,
}

/// A refresh that fetched a commit and changes nothing else.
pub(crate) fn fetched(lease: &Lease, revision: i64) -> Refresh {
    Refresh {
        lease: lease.clone(),
        change: RepositoryChange {
            name: settings(),
            branch: "main".to_owned(),
            revision,
            seen: commit('a'),
            at: at(),
            problem: None,
            advance: None,
        },
        flags: None,
        rows: Vec::new(),
    }
}

/// A refresh that accepts a commit and flags, for one message.
pub(crate) fn flags(lease: &Lease, revision: i64, id: &str, selector: DeviceSelector) -> Refresh {
    let mut refresh = fetched(lease, revision);
    refresh.change.advance = Some(Advance {
        commit: commit('a'),
        listing: Arc::new(b"listing".to_vec()),
        warnings: vec!["acces: one".to_owned(), "group: two".to_owned()],
    });
    refresh.flags = Some((cause(id, at()), selector));
    refresh.rows = vec![row(message(id))];
    refresh
}

/// Commits a refresh in one unit of work.
pub(crate) async fn change(store: &dyn Store, refresh: &Refresh) -> Result<Changed, StoreError> {
    Ok(change_and_flag(store, refresh).await?.0)
}

async fn change_and_flag(store: &dyn Store, refresh: &Refresh) -> Result<(Changed, Flagged), StoreError> {
    let keys = Keys {
        repositories: [refresh.change.name.clone()].into(),
        flag: refresh.flags.as_ref().map(|(_, selector)| selector.clone()),
        ..Keys::default()
    };
    let leases = std::slice::from_ref(&refresh.lease);
    let (mut facts, mut transaction) = store.begin(leases, &keys).await?;
    if !facts.holds(&refresh.lease) {
        return Ok((Changed::LeaseLost, Flagged::default()));
    }
    let revision = facts
        .repository(&refresh.change.name)
        .map_or(0, |row| row.revision);
    if revision != refresh.change.revision {
        return Ok((Changed::Superseded, Flagged::default()));
    }
    let flagged = match &refresh.flags {
        Some((cause, _)) => transaction.flag(cause).await?,
        None => Flagged::default(),
    };
    facts.change_repository(refresh.change.clone());
    for row in &refresh.rows {
        facts.record(row.clone());
    }
    transaction.commit(&facts).await?;
    Ok((Changed::Committed, flagged))
}

fn cause(id: &str, at: Timestamp) -> NewCause {
    NewCause {
        cause: Cause::RefreshSettings,
        identity: message(id),
        kind: Kind::RepositoryChanged,
        actor: Some("gitlab".into()),
        at,
        note: None,
        detail: None,
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

/// Commits a refresh, and returns which devices it flagged.
pub(crate) async fn flag(store: &dyn Store, refresh: Refresh) -> Result<Flagged> {
    match change_and_flag(store, &refresh).await? {
        (Changed::Committed, flagged) => Ok(flagged),
        (other, _) => bail!("{other:?}"),
    }
}

pub(crate) async fn device(place: &Place, name: &str) -> Result<Device> {
    place.store.device(&hostname(name)).await?.context("the device")
}

/// The content of all tables that a change may write.
#[derive(Debug, PartialEq)]
struct Everything {
    repositories: Vec<RepositoryRow>,
    listing: Option<Vec<u8>>,
    devices: Vec<Device>,
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
        causes: messages_with_causes(place).await?,
        messages: place.probe.texts("SELECT id FROM inbox ORDER BY 1").await?,
    })
}

pub(crate) async fn a_time_that_is_ahead_is_corrected_by_the_next_cause(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let lease = acquire(place, LONG).await?;
    let tomorrow = at() + Duration::from_hours(24);
    let mut ahead = flags(&lease, 0, "ahead", named(["sw1"]));
    ahead.flags = Some((cause("ahead", tomorrow), named(["sw1"])));
    flag(&*place.store, ahead).await?;
    ensure!(device(place, "sw1").await?.sync.since == Some(tomorrow));
    flag(&*place.store, flags(&lease, 1, "right", named(["sw1"]))).await?;
    ensure!(device(place, "sw1").await?.sync.since == Some(at()));
    Ok(())
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
        warnings: vec!["acces: one".to_owned(), "group: two".to_owned()],
        seen: commit('a'),
        seen_at: at(),
        asked_at: Some(at()),
        problem: None,
        problem_since: None,
    };
    ensure!(row == expected, "{row:?}");
    ensure!(place.other.repositories().await? == std::slice::from_ref(&expected));
    ensure!(place.other.listing(&settings()).await?.as_deref() == Some(&b"listing"[..]));
    ensure!(place.other.outcome(&key("push")).await?.is_some());
    let flagged = device(place, "sw1").await?;
    ensure!(!flagged.sync.synchronized() && flagged.sync.since == Some(at()));
    let [cause] = &causes(place, &flagged).await?[..] else {
        bail!("{flagged:?}")
    };
    ensure!(cause.cause == "refresh_settings" && cause.kind == "lockstep.repository.changed");
    ensure!(
        cause.identity == message("push") && cause.actor.as_deref() == Some("gitlab") && cause.at == at()
    );
    ensure!(device(place, "sw2").await?.sync.synchronized());

    // A later look that is not accepted leaves what was accepted.
    let mut invalid = fetched(&lease, 1);
    invalid.change = RepositoryChange {
        seen: commit('b'),
        branch: "release".to_owned(),
        problem: Some("no\u{0}t YAML".to_owned()),
        ..invalid.change
    };
    ensure!(change(&*place.store, &invalid).await? == Changed::Committed);
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
    ensure!(row.warnings == expected.warnings && row.problem_since == Some(at()));

    // It has been invalid since the first of several invalid tips.
    let mut again = fetched(&lease, 2);
    again.change = RepositoryChange {
        problem: Some("another".to_owned()),
        at: at() + Duration::from_mins(1),
        ..again.change
    };
    ensure!(change(&*place.store, &again).await? == Changed::Committed);
    let row = place
        .other
        .repository(&settings())
        .await?
        .context("the repository")?;
    ensure!(row.problem_since == Some(at()) && row.seen_at > at(), "{row:?}");
    let failing = place.other.summary().await?.repositories;
    ensure!(
        failing == [state("settings", Some(at()), Some(at() + Duration::from_mins(1)))],
        "{failing:?}"
    );
    ensure!(change(&*place.store, &fetched(&lease, 3)).await? == Changed::Committed);
    let row = place
        .other
        .repository(&settings())
        .await?
        .context("the repository")?;
    ensure!(row.problem.is_none() && row.problem_since.is_none(), "{row:?}");
    let failing = place.other.summary().await?.repositories;
    ensure!(failing == [state("settings", None, Some(at()))], "{failing:?}");
    Ok(())
}

fn state(name: &str, failing_since: Option<Timestamp>, asked_at: Option<Timestamp>) -> RepositoryState {
    RepositoryState {
        name: RepositoryName::try_from(name.to_owned()).expect("a name"),
        failing_since,
        asked_at,
    }
}

pub(crate) async fn a_failure_is_kept_until_an_attempt_succeeds(place: &Place) -> Result<()> {
    ensure!(place.store.failures().await?.is_empty());
    place.store.failed(&settings(), "no ro\u{0}ute").await?;
    let [first] = &place.other.failures().await?[..] else {
        bail!("one failure")
    };
    ensure!(first.name == settings() && first.since == first.at, "{first:?}");
    ensure!(
        first.reason.starts_with("no ro") && first.reason.ends_with("ute"),
        "{first:?}"
    );
    place.other.failed(&settings(), &"x".repeat(100_000)).await?;
    let [second] = &place.store.failures().await?[..] else {
        bail!("one failure")
    };
    ensure!(second.since == first.since && second.at >= first.at, "{second:?}");
    ensure!(second.reason.len() == 2000);
    let failing = place.store.summary().await?.repositories;
    ensure!(
        failing == [state("settings", Some(first.since), None)],
        "{failing:?}"
    );
    for _ in 0..2 {
        place.store.recovered(&settings()).await?;
        ensure!(place.other.failures().await?.is_empty());
    }
    Ok(())
}

pub(crate) async fn under_a_lost_lease_nothing_is_written(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let late = acquire(place, NO_TIME).await?;
    let before = everything(place).await?;
    let tried = change(&*place.store, &flags(&late, 0, "late", named(["sw1"]))).await?;
    ensure!(tried == Changed::LeaseLost, "{tried:?}");
    ensure!(everything(place).await? == before);

    let holder = acquire(place, LONG).await?;
    ensure!(holder.fence > late.fence);
    let tried = change(&*place.other, &flags(&late, 0, "late", named(["sw1"]))).await?;
    ensure!(tried == Changed::LeaseLost, "{tried:?}");
    ensure!(everything(place).await? == before);

    place.store.release(&holder).await?;
    let released = flags(&holder, 0, "late", named(["sw1"]));
    ensure!(change(&*place.store, &released).await? == Changed::LeaseLost);
    ensure!(everything(place).await? == before);
    Ok(())
}

pub(crate) async fn a_superseded_revision_writes_nothing(place: &Place) -> Result<()> {
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
        let tried = change(&*place.other, &flags(&lease, revision, "other", all)).await?;
        ensure!(tried == Changed::Superseded, "{revision}: {tried:?}");
        ensure!(everything(place).await? == before, "{revision}");
    }
    // A refused change leaves no lock and no transaction open.
    flag(&*place.other, flags(&lease, 2, "other", named(["sw1"]))).await?;
    ensure!(device(place, "sw1").await?.sync.desired == 4);
    Ok(())
}

/// As when another worker had it redelivered, worked it, and was faster.
pub(crate) async fn a_message_that_was_processed_makes_it_a_conflict(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    work(place, &keys("push", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    let lease = acquire(place, LONG).await?;
    let before = everything(place).await?;
    let refresh = Refresh {
        rows: ["new", "push"].map(|id| row(message(id))).into(),
        ..flags(&lease, 0, "new", named(["sw1"]))
    };
    for _ in 0..2 {
        let tried = change(&*place.store, &refresh).await;
        ensure!(matches!(tried, Err(StoreError::Conflict { .. })), "{tried:?}");
        ensure!(everything(place).await? == before);
    }
    flag(&*place.store, flags(&lease, 0, "new", named(["sw1"]))).await?;
    ensure!(place.other.outcome(&key("new")).await?.is_some());
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
            place.store.outcome(&key(&id)).await?.is_some(),
            "the message was processed"
        );
    }
    ensure!(kept_causes(place).await?.is_empty());
    ensure!(device(place, "sw1").await?.sync.synchronized());
    Ok(())
}

pub(crate) async fn a_listing_may_have_any_bytes(place: &Place) -> Result<()> {
    ensure!(place.store.listing(&settings()).await?.is_none());
    let lease = acquire(place, LONG).await?;
    ensure!(change(&*place.store, &fetched(&lease, 0)).await? == Changed::Committed);
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
        let mut refresh = fetched(&lease, revision);
        refresh.change.advance = Some(Advance {
            commit: commit('c'),
            listing: Arc::new(listing.clone()),
            warnings: Vec::new(),
        });
        ensure!(change(&*place.store, &refresh).await? == Changed::Committed);
        let found = place.other.listing(&settings()).await?;
        ensure!(
            found.as_ref() == Some(&listing),
            "the listing of {} bytes changed",
            listing.len()
        );
    }
    Ok(())
}

pub(crate) async fn the_names_of_all_devices_are_read(place: &Place) -> Result<()> {
    ensure!(place.store.hostnames().await?.is_empty());
    create_all(place, &["sw1", "sw2"]).await?;
    let mut names = place.other.hostnames().await?;
    names.sort();
    ensure!(names == [hostname("sw1"), hostname("sw2")], "{names:?}");
    Ok(())
}

pub(crate) async fn repositories_are_listed_by_name(place: &Place) -> Result<()> {
    ensure!(place.store.repositories().await?.is_empty());
    let lease = acquire(place, LONG).await?;
    let names = ["templates", "settings", "Settings"].map(|name| name.to_owned().try_into());
    for name in names {
        let mut refresh = fetched(&lease, 0);
        refresh.change.name = name?;
        ensure!(change(&*place.store, &refresh).await? == Changed::Committed);
    }
    let rows = place.other.repositories().await?;
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    ensure!(names == ["Settings", "settings", "templates"], "{names:?}");
    ensure!(rows.iter().all(|row| row.accepted.is_none() && row.revision == 1));
    Ok(())
}
