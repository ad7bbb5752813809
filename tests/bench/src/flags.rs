//! Measures one change of a repository that concerns the whole fleet, against the update of the counters alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::results::{EventApplied, Outcome, Scope};
use lockstep_protocol::{Cause, DeviceType, Digest, Identity, Kind, MessageKey, Source, WorkResult};
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_store::{
    Advance, Completion, DeviceQuery, DeviceSelector, Fleet, InboxRow, InboxState, Keys, Leases, NewCause,
    RepositoryChange, UnitOfWork,
};

use crate::messages;
use crate::rounds::{Side, alternate};
use crate::scene::{Host, Scene};
use crate::table::{Goal, Row, Table};

const TYPES: [DeviceType; 3] = [DeviceType::ACCESS, DeviceType::DIST, DeviceType::CORE];

const BARE: &str = "UPDATE device SET desired_generation = desired_generation + 1 \
    WHERE device_type IN ('ACCESS', 'DIST', 'CORE')";

/// Number of paths in a large settings repository. The listing is written with the change.
const LISTING_ENTRIES: u32 = 10_000;

/// Measures both alternately, each on a fleet that was vacuumed just before.
///
/// # Errors
/// The database rejects a statement, or not all devices were flagged.
pub(crate) async fn measure(host: &Host, devices: u32, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let runs = alternate("flags", rounds, &Side::BOTH, async |side| {
        let scene = host.scene(devices).await?;
        let took = match side {
            Side::Baseline => update(&scene, devices).await?,
            Side::Lockstep => change(&scene, devices).await?,
        };
        Ok(took.as_secs_f64() * 1e3)
    })
    .await?;
    table.rows.push(Row::new(
        format!("one change that concerns {devices} devices"),
        "ms",
        runs.of(Side::Lockstep),
        ("bare update", runs.of(Side::Baseline)),
        Goal::AtMost(1.15),
    ));
    Ok(())
}

/// Updates the counters only, in one committed transaction.
async fn update(scene: &Scene, devices: u32) -> anyhow::Result<Duration> {
    let client = scene.schema.connect().await?;
    let update = client.prepare(BARE).await?;
    let began = Instant::now();
    client.batch_execute("BEGIN").await?;
    let updated = client.execute(&update, &[]).await?;
    client.batch_execute("COMMIT").await?;
    let took = began.elapsed();
    ensure!(updated == u64::from(devices), "{updated} rows were updated");
    Ok(took)
}

/// Writes everything a worker writes when a file under `global/` changed.
async fn change(scene: &Scene, devices: u32) -> anyhow::Result<Duration> {
    let store = PostgresStore::connect(PostgresOptions::new(scene.schema.url()))?;
    let lease = store
        .acquire("repository/settings", Duration::from_mins(5))
        .await?
        .context("nobody else is here")?;
    let at = SystemClock.now();
    let change = RepositoryChange {
        name: "settings".to_owned().try_into()?,
        branch: "main".to_owned(),
        revision: 0,
        seen: "7".repeat(40).parse()?,
        at,
        problem: None,
        advance: Some(advance()?),
    };
    let cause = NewCause {
        cause: Cause::RefreshSettings,
        identity: identity(),
        kind: Kind::RepositoryChanged,
        actor: Some("gitlab".into()),
        at,
        note: None,
        detail: None,
    };
    let keys = Keys {
        messages: [(
            MessageKey {
                identity: identity(),
                actor: None,
            },
            Digest::of_bytes(b""),
        )]
        .into(),
        repositories: [change.name.clone()].into(),
        flag: Some(DeviceSelector {
            device_types: TYPES.into(),
            ..DeviceSelector::default()
        }),
        ..Keys::default()
    };
    let began = Instant::now();
    let (mut facts, mut transaction) = store.begin(std::slice::from_ref(&lease), &keys).await?;
    ensure!(facts.holds(&lease), "the lease is lost");
    let flagged = transaction.flag(&cause).await?;
    facts.change_repository(change);
    facts.record(completion(EventApplied {
        outcome: Outcome::Applied,
        reason: None,
        scope: Scope::DeviceTypes,
        flipped: flagged.flipped,
        truncated: flagged.concerned > flagged.devices.len() as u64,
        devices: flagged.devices,
        unknown_hostnames: Vec::new(),
        commit: None,
        rejected: Vec::new(),
        marked: Vec::new(),
        warnings: Vec::new(),
    }));
    facts.release(lease);
    transaction.commit(&facts).await?;
    let took = began.elapsed();
    check(scene, &store, devices).await?;
    Ok(took)
}

async fn check(scene: &Scene, store: &PostgresStore, devices: u32) -> anyhow::Result<()> {
    let all = DeviceQuery {
        limit: devices,
        ..DeviceQuery::default()
    };
    let open = store.devices(&all).await?;
    ensure!(
        open.iter()
            .all(|device| device.sync.since.is_some() && device.open_causes.len() == 1),
        "a device does not have the cause"
    );
    let client = scene.schema.connect().await?;
    let flagged = "SELECT count(*) FROM device WHERE desired_generation = 2";
    for (what, sql, expected) in [
        ("flagged devices", flagged, i64::from(devices)),
        ("causes", "SELECT count(*) FROM cause", 1),
        ("inbox rows", "SELECT count(*) FROM inbox", 1),
    ] {
        let found: i64 = client.query_one(sql, &[]).await?.get(0);
        ensure!(found == expected, "{found} {what}, not {expected}");
    }
    Ok(())
}

fn advance() -> anyhow::Result<Advance> {
    let entry = |number| {
        format!(
            "100644 blob {number:040x}\tdevices/{}/base.yml\0",
            messages::hostname(number)
        )
    };
    let listing: String = (0..LISTING_ENTRIES).map(entry).collect();
    Ok(Advance {
        commit: "7".repeat(40).parse()?,
        listing: Arc::new(listing.into_bytes()),
        warnings: Vec::new(),
    })
}

fn identity() -> Identity {
    Identity {
        source: Source::try_from("urn:lockstep:bench".to_owned()).expect("it is a source"),
        id: "push".to_owned().try_into().expect("it is an id"),
    }
}

fn completion(result: EventApplied) -> Completion {
    let kind = Kind::RepositoryChanged.as_str();
    let row = InboxRow {
        identity: identity(),
        redrive_count: 0,
        kind: kind.into(),
        digest: Digest::of(kind, None, &serde_json::json!({})),
        state: InboxState::Applied,
        at: SystemClock.now(),
        actor: Some("gitlab".into()),
        subject: None,
        result: WorkResult::EventApplied(result).into(),
        follow_ups: false,
        trace_id: None,
    };
    row.into()
}
