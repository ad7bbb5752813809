//! Measures throughput from events to flags in PostgreSQL to confirmed results, alternately for each contender.

use crate::celery::Celery;
use crate::meter::Measured;
use crate::scene::{Host, Role};
use crate::table::{AllocationRow, CpuRow, Goal, Row, Table, median};

/// The size of the measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) events: u32,
    /// Number of events for Celery; 0 leaves it out.
    pub(crate) celery_events: u32,
    pub(crate) devices: u32,
    pub(crate) rounds: u32,
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
    let (mut ours, mut bare, mut celerys) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=sizes.rounds {
        let scene = host.scene(sizes.devices).await?;
        scene.publish_events(sizes.events).await?;
        let role = Role::Bare { linger: 2, ahead: 1 };
        bare.push(scene.start(role, sizes.events)?.measured().await?);
        report(round, "bare", &bare);

        let scene = host.scene(sizes.devices).await?;
        scene.publish_events(sizes.events).await?;
        ours.push(scene.start(Role::Lockstep, sizes.events)?.measured().await?);
        scene.check(sizes.events).await?;
        report(round, "Lockstep", &ours);

        if let Some(celery) = &celery {
            let scene = host.scene(sizes.devices).await?;
            celerys.push(celery.measure(&scene, sizes.celery_events, sizes.devices).await?);
            scene.check(sizes.celery_events).await?;
            report(round, "Celery", &celerys);
        }
    }
    table.rows.push(Row::new(
        "events → flags → results",
        "msg/s",
        rate(&ours),
        ("bare", rate(&bare)),
        Goal::Times(0.9),
    ));
    if !celerys.is_empty() {
        table.rows.push(Row::new(
            "the same work by Celery",
            "msg/s",
            rate(&ours),
            ("Celery", rate(&celerys)),
            Goal::Times(20.0),
        ));
    }
    let allocated = |run: &Measured| run.allocations.map(|all| (run.messages, all));
    if let Some((messages, allocations)) = ours.last().and_then(allocated) {
        let row = AllocationRow::new("with AMQP and PostgreSQL", allocations, messages);
        table.allocations.push(row);
    }
    for (who, runs) in [("Lockstep", ours), ("bare", bare), ("Celery", celerys)] {
        if !runs.is_empty() {
            table.cpu.push(cpu(who, &runs));
        }
    }
    Ok(())
}

fn report(round: u32, who: &str, runs: &[Measured]) {
    if let Some(run) = runs.last() {
        eprintln!("throughput, round {round}: {who} {:.0} msg/s", run.rate());
    }
}

fn rate(runs: &[Measured]) -> f64 {
    median(runs.iter().map(Measured::rate).collect())
}

fn cpu(who: &'static str, runs: &[Measured]) -> CpuRow {
    let middle = |of: &dyn Fn(&Measured) -> f64| median(runs.iter().map(of).collect());
    let rates = || runs.iter().map(Measured::rate);
    CpuRow {
        who,
        rate: rate(runs),
        lowest: rates().fold(f64::INFINITY, f64::min),
        highest: rates().fold(0.0, f64::max),
        batch: middle(&|run| f64::from(run.messages) / f64::from(run.batches.max(1))),
        worker: middle(&|run| run.per_message(|cpu| cpu.worker)),
        broker: middle(&|run| run.per_message(|cpu| cpu.broker)),
        database: middle(&|run| run.per_message(|cpu| cpu.database)),
    }
}
