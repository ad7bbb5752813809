//! The schema: committed, and with the calls of neops.

use crate::graphql;

#[test]
fn the_schema_is_committed() {
    let committed = include_str!("../../../../graphql/schema.graphql");
    assert!(
        committed == graphql::document(),
        "worker/api/graphql/schema.graphql is outdated; regenerate it and check the difference:\n  \
         cargo run -- schema graphql > worker/api/graphql/schema.graphql"
    );
}
