use anyhow::{Result, bail, ensure};
use jiff::Timestamp;
use lockstep_store::{InventorySourceRow, SourceCursor};

use super::Place;

fn cursor(begins: i64, read_until: i64) -> SourceCursor {
    let at = |second| Timestamp::from_second(second).expect("it is a time");
    SourceCursor {
        begins: at(begins),
        read_until: at(read_until),
    }
}

async fn only(place: &Place) -> Result<InventorySourceRow> {
    let mut rows = place.other.inventory_sources().await?;
    ensure!(rows.len() == 1, "{rows:?}");
    Ok(rows.remove(0))
}

pub(crate) async fn a_place_in_a_change_log_never_moves_back(place: &Place) -> Result<()> {
    ensure!(place.store.inventory_sources().await?.is_empty());
    for (polled, expected) in [
        (cursor(100, 100), cursor(100, 100)),
        (cursor(100, 200), cursor(100, 200)),
        (cursor(150, 150), cursor(100, 200)),
        (cursor(100, 300), cursor(100, 300)),
    ] {
        place.store.source_polled("main", polled).await?;
        let row = only(place).await?;
        ensure!(row.cursor == Some(expected), "{polled:?}: {row:?}");
        ensure!(
            row.name == "main" && row.succeeded_at.is_some() && row.error.is_none(),
            "{row:?}"
        );
    }
    place.store.source_polled("a", cursor(1, 1)).await?;
    let names: Vec<String> = place
        .store
        .inventory_sources()
        .await?
        .into_iter()
        .map(|row| row.name)
        .collect();
    ensure!(names == ["a", "main"], "{names:?}");
    Ok(())
}

pub(crate) async fn an_error_of_a_source_is_kept_until_a_poll_succeeds(place: &Place) -> Result<()> {
    place.store.source_failed("main", "no ro\u{0}ute").await?;
    let row = only(place).await?;
    let Some(first) = row.error else { bail!("an error") };
    ensure!(
        row.cursor.is_none() && row.succeeded_at.is_none() && first.since == first.at,
        "{first:?}"
    );
    place.other.source_failed("main", &"x".repeat(100_000)).await?;
    let Some(second) = only(place).await?.error else {
        bail!("an error")
    };
    ensure!(
        second.since == first.since && second.at >= first.at && second.reason.len() == 2000,
        "{second:?}"
    );
    place.store.source_polled("main", cursor(1, 2)).await?;
    place.store.source_failed("main", "away").await?;
    let row = only(place).await?;
    ensure!(
        row.cursor == Some(cursor(1, 2)) && row.succeeded_at.is_some(),
        "{row:?}"
    );
    let Some(third) = row.error else { bail!("an error") };
    ensure!(
        third.reason == "away" && third.since >= second.at,
        "a new failure begins: {third:?}"
    );
    place.store.source_polled("main", cursor(1, 3)).await?;
    ensure!(only(place).await?.error.is_none());
    Ok(())
}
