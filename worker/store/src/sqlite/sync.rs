use super::SqliteStore;
use crate::sync_table::{ReadBinding, binding};

impl ReadBinding for SqliteStore {
    const BINDING: &'static str = binding!("device.unsynchronized_since");
}
