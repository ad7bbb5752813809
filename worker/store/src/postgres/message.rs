use super::PostgresStore;
use crate::message_table::{ReadMessageCauses, kept_causes};

impl ReadMessageCauses for PostgresStore {
    /// The first cause of a message is in its inbox row.
    const MESSAGE_CAUSES: &'static str = concat!(
        kept_causes!(),
        " UNION SELECT cause_id FROM inbox WHERE source = $1 AND id = $2 AND actor = $3 AND cause_id IS NOT NULL ORDER BY 1 LIMIT $4"
    );
}
