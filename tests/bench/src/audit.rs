//! Measures what entries of the audit add to the transactions of commands. Events have none.

use std::time::{Duration, Instant};

use anyhow::ensure;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::results::CommandApplied;
use lockstep_protocol::{AuditKind, Digest, Identity, Kind, Source, WorkResult};
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_store::{
    AuditActor, AuditDecision, Completion, InboxRow, InboxState, Keys, NewAuditDecision, NewAuditEntry,
    UnitOfWork,
};

use crate::rounds::{Side, alternate};
use crate::scene::{Host, Scene};
use crate::table::{Goal, Row, Table};

/// Messages in a transaction: the largest batch.
const BATCH: u32 = 500;
const BATCHES: u32 = 40;

/// Commits the completions of commands alternately with and without entries, each on a new schema.
///
/// # Errors
/// The database rejects a statement, or not all rows are there.
pub(crate) async fn measure(host: &Host, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let runs = alternate("audit", rounds, &Side::BOTH, async |side| {
        let scene = host.scene(1).await?;
        let took = commit(&scene, side == Side::Lockstep).await?;
        Ok(took.as_secs_f64() * 1e3 / f64::from(BATCHES))
    })
    .await?;
    table.rows.push(Row::new(
        format!("{BATCH} inbox rows of commands, with entries of the audit"),
        "ms",
        runs.of(Side::Lockstep),
        ("the inbox rows alone", runs.of(Side::Baseline)),
        Goal::None,
    ));
    Ok(())
}

async fn commit(scene: &Scene, audited: bool) -> anyhow::Result<Duration> {
    let store = PostgresStore::connect(PostgresOptions::new(scene.schema.url()))?;
    let began = Instant::now();
    for batch in 0..BATCHES {
        let (mut facts, transaction) = store.begin(&[], &Keys::default()).await?;
        for number in 0..BATCH {
            facts.record(completion(batch * BATCH + number, audited)?);
        }
        transaction.commit(&facts).await?;
    }
    let took = began.elapsed();
    let client = scene.schema.connect().await?;
    let all = i64::from(BATCH * BATCHES);
    for (sql, expected) in [
        ("SELECT count(*) FROM inbox", all),
        ("SELECT count(*) FROM audit", if audited { all } else { 0 }),
    ] {
        let found: i64 = client.query_one(sql, &[]).await?.get(0);
        ensure!(found == expected, "{sql}: {found}, not {expected}");
    }
    Ok(took)
}

/// The completion of a command that marks a device.
fn completion(number: u32, audited: bool) -> anyhow::Result<Completion> {
    let kind = Kind::DeviceMarkRequested.as_str();
    let identity = Identity {
        source: Source::try_from("urn:lockstep:bench".to_owned())?,
        id: format!("mark-{number}").try_into()?,
    };
    let at = SystemClock.now();
    let entry = NewAuditDecision {
        entry: NewAuditEntry {
            kind: AuditKind::FlagCleared,
            actor: AuditActor {
                principal: Some("alice".to_owned()),
                ..AuditActor::default()
            },
            message: Some(identity.clone()),
            message_type: Some(kind.to_owned()),
            subject: Some(format!("access-{number:05}")),
            reason: Some("compared by hand".to_owned()),
            detail: Some("synchronized at generation 7".to_owned()),
        },
        decision: AuditDecision {
            state: InboxState::Applied,
            code: None,
            broker_user: Some("lockstep-console".into()),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        },
    };
    let row = InboxRow {
        identity,
        redrive_count: 0,
        kind: kind.into(),
        digest: Digest::of(kind, None, &serde_json::json!({"number": number})),
        state: InboxState::Applied,
        at,
        actor: Some("alice".into()),
        subject: None,
        result: WorkResult::CommandApplied(CommandApplied {
            changed: true,
            message: "done".to_owned(),
            number: None,
            execution: None,
        })
        .into(),
        follow_ups: false,
        trace_id: None,
    };
    Ok(Completion {
        audit: audited.then(|| Box::new(entry)),
        ..row.into()
    })
}
