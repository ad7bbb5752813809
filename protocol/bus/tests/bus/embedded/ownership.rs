use lockstep_bus::BusError;
use lockstep_bus::embedded::{EmbeddedBus, EmbeddedOptions};

use super::open;

#[tokio::test]
async fn a_folder_has_one_owner_until_it_closes() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let second = EmbeddedBus::open(folder.path(), EmbeddedOptions::default());
    assert!(matches!(second, Err(BusError::InUse { .. })), "{second:?}");
    first.close().await;
    open(folder.path()).close().await;
}

#[tokio::test]
async fn a_dropped_bus_unlocks_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    super::until("the folder is free again", || {
        EmbeddedBus::open(folder.path(), EmbeddedOptions::default()).is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).close().await;
    let file = rusqlite::Connection::open(folder.path().join("bus.sqlite")).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    drop(file);
    let refused = EmbeddedBus::open(folder.path(), EmbeddedOptions::default());
    assert!(matches!(refused, Err(BusError::File { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bus.sqlite"), "no database at all".repeat(100)).unwrap();
    let refused = EmbeddedBus::open(folder.path(), EmbeddedOptions::default());
    assert!(matches!(refused, Err(BusError::File { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_dropped_close_closes_nevertheless() {
    let folder = tempfile::tempdir().unwrap();
    let bus = open(folder.path());
    let _ = tokio::time::timeout(std::time::Duration::ZERO, bus.close()).await;
    super::until("the folder is free again", || {
        EmbeddedBus::open(folder.path(), EmbeddedOptions::default()).is_ok()
    })
    .await;
}
