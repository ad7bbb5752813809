use super::{PostgresStore, broad};
use crate::sync_table::{ReadBinding, binding};

impl ReadBinding for PostgresStore {
    const BINDING: &'static str = binding!(broad::since!());
}
