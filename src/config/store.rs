use std::path::{Path, PathBuf};

use super::address::{self, StoreUrl};
use super::reader::Reader;

/// `[store]`
#[derive(Debug)]
pub(crate) struct StoreConfig {
    pub(crate) url: StoreUrl,
    /// Certificates of the database's authority, in PEM; otherwise those of the operating system.
    pub(crate) ca_file: Option<PathBuf>,
    /// The most sessions at once.
    pub(crate) pool_size: u16,
}

impl StoreConfig {
    pub(super) fn of(reader: &mut Reader, data_dir: &Path) -> Self {
        let usual = StoreUrl::Sqlite(data_dir.join("store.sqlite"));
        Self {
            url: address::read(reader, "store.url", usual),
            ca_file: reader.path("store.ca_file"),
            pool_size: reader.number("store.pool_size", 16, 1..=1000),
        }
    }
}
