//! Measures throughput from events to flags in PostgreSQL to confirmed results, alternately for each contender.

use std::path::PathBuf;

use crate::celery::Celery;
use crate::meter::Measured;
use crate::other_build::OtherBuild;
use crate::rounds::{Runs, alternate};
use crate::scene::{Host, Role, Scene};
use crate::table::{CpuRow, Goal, Row, Table};
use crate::wal;

/// The most CPU time of worker and database per event, in microseconds.
const MOST_CPU: f64 = 40.0;
/// The most bytes of the write-ahead log per event.
const MOST_WAL: f64 = 900.0;
/// The most allocations of the worker per event, with those of its clients of AMQP and PostgreSQL.
const MOST_ALLOCATIONS: f64 = 60.0;
/// The most bytes that they ask for.
const MOST_ALLOCATED: f64 = 8000.0;

/// The size of the measurement, and who takes part in it besides Lockstep and the bare loops.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    pub(crate) events: u32,
    /// Number of events for Celery; 0 leaves it out.
    pub(crate) celery_events: u32,
    pub(crate) devices: u32,
    pub(crate) rounds: u32,
    pub(crate) other: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contender {
    BareOneInFlight,
    BareAsManyInFlight,
    Lockstep,
    OtherBuild,
    Celery,
}

impl Contender {
    const fn name(self) -> &'static str {
        match self {
            Self::BareOneInFlight => "bare, one batch in flight",
            Self::BareAsManyInFlight => "bare, as many in flight",
            Self::Lockstep => "Lockstep",
            Self::OtherBuild => "the other build",
            Self::Celery => "Celery",
        }
    }
}

/// Adds the rows of throughput.
///
/// # Errors
/// A server or a contender fails, or an event was not processed.
pub(crate) async fn measure(host: &Host, sizes: Sizes, table: &mut Table) -> anyhow::Result<()> {
    let celery = match sizes.celery_events {
        0 => None,
        _ => Some(Celery::install().await?),
    };
    let other = sizes.other.as_deref().map(OtherBuild);
    let mut contenders = vec![
        Contender::BareOneInFlight,
        Contender::BareAsManyInFlight,
        Contender::Lockstep,
    ];
    contenders.extend(other.map(|_| Contender::OtherBuild));
    contenders.extend(celery.as_ref().map(|_| Contender::Celery));
    let runs = alternate("throughput", sizes.rounds, &contenders, async |contender| {
        if contender == Contender::OtherBuild {
            let other = other.expect("it takes part");
            return other.throughput(sizes.events, sizes.devices).await;
        }
        let scene = host.scene(sizes.devices).await?;
        match contender {
            Contender::BareOneInFlight => run(&scene, Role::BARE, sizes.events).await,
            Contender::BareAsManyInFlight => run(&scene, Role::BARE_AS_LOCKSTEP, sizes.events).await,
            Contender::Lockstep => {
                let before = wal::position(&scene).await?;
                let mut measured = run(&scene, Role::Lockstep, sizes.events).await?;
                measured.wal = Some(wal::written_since(&scene, &before).await?.bytes);
                scene.check(sizes.events).await?;
                Ok(measured)
            }
            Contender::Celery => {
                let celery = celery.as_ref().expect("it takes part");
                let before = wal::position(&scene).await?;
                let mut measured = celery.measure(&scene, sizes.celery_events, sizes.devices).await?;
                measured.wal = Some(wal::written_since(&scene, &before).await?.bytes);
                scene.check(sizes.celery_events).await?;
                Ok(measured)
            }
            Contender::OtherBuild => unreachable!("it has a scene of its own"),
        }
    })
    .await?;
    add_rates(&runs, table);
    add_costs(runs.of(Contender::Lockstep), table);
    for contender in contenders {
        table.cpu.push(CpuRow::new(contender.name(), runs.of(contender)));
    }
    Ok(())
}

fn add_rates(runs: &Runs<Contender, Measured>, table: &mut Table) {
    let ours = runs.each(Contender::Lockstep, Measured::rate);
    for (what, contender, goal) in [
        (
            "events → flags → results",
            Contender::BareOneInFlight,
            Goal::Times(0.8),
        ),
        (
            "events → flags → results",
            Contender::BareAsManyInFlight,
            Goal::Times(0.7),
        ),
        ("events → flags → results", Contender::OtherBuild, Goal::None),
        ("the same work by Celery", Contender::Celery, Goal::Times(20.0)),
    ] {
        let others = runs.each(contender, Measured::rate);
        if !others.is_empty() {
            let other = (contender.name(), &others[..]);
            table.rows.push(Row::new(what, "msg/s", &ours, other, goal));
        }
    }
}

/// Adds what an event costs Lockstep, against goals of our own.
fn add_costs(ours: &[Measured], table: &mut Table) {
    let each = |of: &dyn Fn(&Measured) -> f64| -> Vec<f64> { ours.iter().map(of).collect() };
    let allocated = Measured::allocated_per_message;
    for (what, unit, figures, goal) in [
        (
            "CPU time of worker and database per event",
            "µs",
            each(&|run| run.per_message(|cpu| cpu.worker + cpu.database)),
            MOST_CPU,
        ),
        (
            "write-ahead log per event",
            "B",
            each(&|run| run.wal_per_message().unwrap_or(f64::NAN)),
            MOST_WAL,
        ),
        (
            "allocations of the worker per event",
            "",
            each(&|run| allocated(run).map_or(f64::NAN, |(count, _)| count)),
            MOST_ALLOCATIONS,
        ),
        (
            "bytes that these ask for",
            "B",
            each(&|run| allocated(run).map_or(f64::NAN, |(_, bytes)| bytes)),
            MOST_ALLOCATED,
        ),
    ] {
        // Allocations are counted only by a build for that.
        if figures.iter().any(|figure| figure.is_nan()) {
            continue;
        }
        let goal = ("goal", &[goal][..]);
        table
            .rows
            .push(Row::new(what, unit, &figures, goal, Goal::AtMost(1.0)));
    }
}

async fn run(scene: &Scene, role: Role, events: u32) -> anyhow::Result<Measured> {
    scene.publish_events(events).await?;
    scene.start(role, events)?.measured().await
}
