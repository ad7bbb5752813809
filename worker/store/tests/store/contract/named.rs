use anyhow::{Result, ensure};
use lockstep_protocol::commands::ExecuteOn;

use super::Place;
use super::executions::{change, fleet, ids};

pub(crate) async fn entities_are_found_by_the_names_that_elements_have(place: &Place) -> Result<()> {
    fleet(place).await?;
    for kind in ExecuteOn::ALL
        .into_iter()
        .filter(|kind| *kind != ExecuteOn::Global)
    {
        let known = ids(place, kind).await?;
        ensure!(known.len() > 1, "{kind}: {known:?}");
        let mut names: Vec<String> = known.keys().cloned().collect();
        let mut expected: Vec<u64> = known.into_values().collect();
        expected.sort_unstable();
        // Twice the same name is one entity.
        names.push(names[0].clone());
        let found = place.store.named(kind, &names).await?;
        ensure!(
            found.ids == expected && found.unknown.is_empty(),
            "{kind}: {found:?}"
        );
        let strange = ["none", "a Ethernet99", "", "a  Ethernet1", "'"].map(str::to_owned);
        names.extend(strange.clone());
        let found = change!(place.store, |executions| executions.named(kind, &names).await?);
        let mut unknown = strange.to_vec();
        unknown.sort();
        ensure!(
            found.ids == expected && found.unknown == unknown,
            "{kind}: {found:?}"
        );
        ensure!(place.store.named(kind, &[]).await?.ids.is_empty());
    }
    let mac = ["0200.0000.0001".to_owned()];
    let client = place.store.named(ExecuteOn::Client, &mac).await?;
    ensure!(client.ids.len() == 1 && client.unknown.is_empty(), "{client:?}");
    let fleet = ["fleet".to_owned()];
    let found = place.store.named(ExecuteOn::Global, &fleet).await?;
    ensure!(found.ids.is_empty() && found.unknown == fleet, "{found:?}");
    Ok(())
}
