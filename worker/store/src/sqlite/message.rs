use super::SqliteStore;
use crate::message_table::{ReadMessageCauses, kept_causes};

impl ReadMessageCauses for SqliteStore {
    const MESSAGE_CAUSES: &'static str = concat!(kept_causes!(), " ORDER BY id LIMIT $4");
}
