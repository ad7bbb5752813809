//! Writes the JSON Schemas, the AsyncAPI document, or the broker's definitions to standard output.
//! `cargo run -p lockstep-protocol --features schema --example generate_schema messages`

use std::io::Write as _;

use lockstep_protocol::schema;

#[expect(clippy::disallowed_methods, reason = "an example prints")]
fn main() -> std::io::Result<()> {
    let document = match std::env::args().nth(1).as_deref() {
        Some("messages") => schema::messages(),
        Some("asyncapi") => schema::asyncapi(),
        Some("broker") => schema::broker_definitions("lockstep", "lockstep"),
        _ => {
            return Err(std::io::Error::other(
                "usage: generate_schema messages|asyncapi|broker",
            ));
        }
    };
    writeln!(std::io::stdout(), "{document:#}")
}
