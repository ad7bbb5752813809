//! Measures throughput with a large fleet and a large inbox whose old rows are being deleted, against a small fleet and an empty inbox.

mod figures;
mod fill;

use std::time::Duration;

use anyhow::ensure;

use crate::messages;
use crate::meter::Measured;
use crate::retention::{Deletion, deleting};
use crate::rounds::{Runs, alternate};
use crate::scene::{Host, Role, Scene};
use crate::table::{CpuRow, Goal, Row, Table, median};
use crate::wal;

use figures::{Accesses, generations, sizes};

/// How long rows are deleted without other load.
const DELETED_ALONE: Duration = Duration::from_secs(5);

/// The size of the measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) events: u32,
    pub(crate) small_devices: u32,
    pub(crate) devices: u32,
    pub(crate) rows: u32,
    pub(crate) rounds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contender {
    Small,
    Large,
    /// Large, and the ids of new events are spread over all old ones instead of ascending with time.
    LargeRandomIds,
}

/// The measurement of a run.
#[derive(Clone, Debug)]
struct Ran {
    measured: Measured,
    /// Bytes of whole-page images in the write-ahead log per event; unknown without `pg_walinspect`.
    images: f64,
    /// Pages per event that were not in the buffers of the database.
    read: f64,
    /// Pages per event that were accessed.
    accessed: f64,
    deletion: Deletion,
}

/// Two runs on the same devices: directly after a checkpoint, when each page that changes is written to the log as a whole, and long
/// after one.
#[derive(Clone, Debug)]
struct Turn {
    at_checkpoint: Ran,
    later: Ran,
    sizes: Vec<(String, f64)>,
}

/// Adds the rows.
///
/// # Errors
/// A server rejects a request, an event was not processed, or the disk is too small.
pub(crate) async fn measure(host: &Host, of: Sizes, table: &mut Table) -> anyhow::Result<()> {
    fill::check_space(of.devices, of.rows)?;
    let mut large = host.scene(of.devices).await?;
    fill::fill(&large, of.rows).await?;
    let contenders = [Contender::Small, Contender::Large, Contender::LargeRandomIds];
    let mut first = 0;
    let runs = alternate("growth", of.rounds, &contenders, async |contender| {
        // Other devices in each turn.
        first += of.events;
        if contender == Contender::Small {
            let mut small = host.scene(of.small_devices).await?;
            return turn(host, &mut small, contender, first, of.events).await;
        }
        turn(host, &mut large, contender, first, of.events).await
    })
    .await?;
    let alone = async {
        tokio::time::sleep(DELETED_ALONE).await;
        Ok(())
    };
    let ((), alone) = deleting(&large, alone).await?;
    add(of, &runs, &alone, table);
    Ok(())
}

async fn turn(
    host: &Host,
    scene: &mut Scene,
    contender: Contender,
    first: u32,
    events: u32,
) -> anyhow::Result<Turn> {
    scene.schema.connect().await?.batch_execute("CHECKPOINT").await?;
    let at_checkpoint = run(host, scene, contender, first, events).await?;
    let later = run(host, scene, contender, first, events).await?;
    Ok(Turn {
        at_checkpoint,
        later,
        sizes: sizes(scene).await?,
    })
}

async fn run(
    host: &Host,
    scene: &mut Scene,
    contender: Contender,
    first: u32,
    events: u32,
) -> anyhow::Result<Ran> {
    host.renew_vhost(scene).await?;
    let run = messages::run();
    let event = |number| match contender {
        Contender::Small | Contender::Large => messages::event(&run, number, scene.devices),
        Contender::LargeRandomIds => {
            messages::event_with_id(uuid::Uuid::new_v4().to_string(), number, scene.devices)
        }
    };
    scene.publish((first..first + events).map(event)).await?;
    let generations_before = generations(scene).await?;
    let before = Accesses::of(scene).await?;
    let position = wal::position(scene).await?;
    let worker = scene.start(Role::Lockstep, events)?;
    let (mut measured, deletion) = match contender {
        Contender::Small => (worker.measured().await?, Deletion::default()),
        Contender::Large | Contender::LargeRandomIds => deleting(scene, worker.measured()).await?,
    };
    let written = wal::written_since(scene, &position).await?;
    measured.wal = Some(written.bytes);
    let (read, accessed) = Accesses::of(scene).await?.since(before, events);
    let bumps = generations(scene).await? - generations_before;
    ensure!(bumps == i64::from(events), "{bumps} bumps for {events} events");
    #[expect(clippy::cast_precision_loss, reason = "a run writes less")]
    let images = written
        .images
        .map_or(f64::NAN, |bytes| bytes as f64 / f64::from(events));
    Ok(Ran {
        measured,
        images,
        read,
        accessed,
        deletion,
    })
}

fn add(of: Sizes, runs: &Runs<Contender, Turn>, alone: &Deletion, table: &mut Table) {
    let small = "small";
    let at_checkpoint: fn(&Turn) -> &Ran = |turn| &turn.at_checkpoint;
    let later: fn(&Turn) -> &Ran = |turn| &turn.later;
    let goal = Goal::Times(0.8);
    for (what, contender, which, goal, who) in [
        (
            format!("events with {} devices and {} inbox rows", of.devices, of.rows),
            Contender::Large,
            later,
            goal,
            "large",
        ),
        (
            "the same directly after a checkpoint".to_owned(),
            Contender::Large,
            at_checkpoint,
            goal,
            "large, directly after a checkpoint",
        ),
        (
            "the same with random ids".to_owned(),
            Contender::LargeRandomIds,
            later,
            Goal::None,
            "large, random ids",
        ),
        (
            "the same with random ids directly after a checkpoint".to_owned(),
            Contender::LargeRandomIds,
            at_checkpoint,
            Goal::None,
            "large, random ids, directly after a checkpoint",
        ),
    ] {
        let mut add = |what: String, unit, figure: &dyn Fn(&Ran) -> f64, goal| {
            let ours = runs.each(contender, |turn| figure(which(turn)));
            let others = runs.each(Contender::Small, |turn| figure(which(turn)));
            table
                .rows
                .push(Row::new(what, unit, &ours, (small, &others), goal));
        };
        add(what, "msg/s", &|ran| ran.measured.rate(), goal);
        let images = |ran: &Ran| ran.images;
        add(
            format!("{who}: whole-page images in the log per event"),
            "B",
            &images,
            Goal::None,
        );
        add(
            format!("{who}: pages accessed per 100 events"),
            "",
            &|ran| ran.accessed * 1e2,
            Goal::None,
        );
        add(
            format!("{who}: of these not in the buffers of the database"),
            "",
            &|ran| ran.read * 1e2,
            Goal::None,
        );
        let measured: Vec<Measured> = runs
            .of(contender)
            .iter()
            .map(|turn| which(turn).measured)
            .collect();
        table.cpu.push(CpuRow::new(who, &measured));
    }
    for (who, which) in [
        ("small", later),
        ("small, directly after a checkpoint", at_checkpoint),
    ] {
        let small = runs.of(Contender::Small);
        let measured: Vec<Measured> = small.iter().map(|turn| which(turn).measured).collect();
        table.cpu.push(CpuRow::new(who, &measured));
    }
    let chunks = runs.each(Contender::Large, |turn| {
        median(turn.later.deletion.chunks.iter().copied())
    });
    table.rows.push(Row::new(
        "a chunk of at most 5,000 deleted rows meanwhile",
        "ms",
        &chunks,
        ("without events", &[median(alone.chunks.iter().copied())]),
        Goal::None,
    ));
    let (Some(last), Some(small)) = (runs.of(Contender::Large).last(), runs.of(Contender::Small).last())
    else {
        return;
    };
    let grown = last.sizes.iter().zip(&small.sizes);
    for ((name, size), (_, small)) in grown.filter(|((_, size), _)| *size >= 1.0) {
        let what = format!("size of {name}");
        table
            .rows
            .push(Row::new(what, "MiB", &[*size], ("small", &[*small]), Goal::None));
    }
}
