//! Measures events of mixed kinds against interface updates alone: from events to flags in PostgreSQL to confirmed results.

use anyhow::ensure;

use crate::messages;
use crate::meter::Measured;
use crate::rounds::alternate;
use crate::scene::{Host, Role, Scene};
use crate::table::{Goal, Row, Table};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contender {
    Interfaces,
    Mixed,
}

/// Adds the row.
///
/// # Errors
/// A server or a worker fails, or an event was not processed.
pub(crate) async fn measure(
    host: &Host,
    (events, devices): (u32, u32),
    rounds: u32,
    table: &mut Table,
) -> anyhow::Result<()> {
    let contenders = [Contender::Interfaces, Contender::Mixed];
    let runs = alternate("mixed", rounds, &contenders, async |contender| {
        let scene = host.scene(devices).await?;
        let run = messages::run();
        let event = match contender {
            Contender::Interfaces => messages::event,
            Contender::Mixed => messages::mixed_event,
        };
        scene
            .publish((0..events).map(|number| event(&run, number, devices)))
            .await?;
        let measured = scene.start(Role::Lockstep, events)?.measured().await?;
        check(&scene, events).await?;
        Ok(measured)
    })
    .await?;
    table.rows.push(Row::new(
        "events of mixed kinds → flags → results",
        "msg/s",
        &runs.each(Contender::Mixed, Measured::rate),
        (
            "interfaces alone",
            &runs.each(Contender::Interfaces, Measured::rate),
        ),
        Goal::Times(0.8),
    ));
    Ok(())
}

/// Every event was applied; some flag two devices, and some none.
async fn check(scene: &Scene, events: u32) -> anyhow::Result<()> {
    let client = scene.schema.connect().await?;
    let applied = "SELECT count(*) FROM inbox WHERE state = 'applied'";
    let found: i64 = client.query_one(applied, &[]).await?.get(0);
    ensure!(
        found == i64::from(events),
        "{found} of {events} events were applied"
    );
    Ok(())
}
